//! Everything that is drawn: from one seed, by purpose and number, so that the order of the draws does not matter.

use sha2::{Digest, Sha256};

use crate::error::Error;

/// What all that is drawn follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seed(u64);

impl Seed {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// One that nobody knows yet, and that every JSON reader can take.
    pub(crate) fn random() -> Result<Self, Error> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).map_err(|e| Error::new("no random seed").caused_by(e))?;
        Ok(Self(u64::from_be_bytes(bytes) >> 11))
    }

    pub(crate) fn value(self) -> u64 {
        self.0
    }

    /// The `n`-th bytes for this purpose.
    pub(crate) fn bytes(&self, what: &str, n: u64) -> [u8; 32] {
        // The numbers come first, and are of fixed length: no two purposes run into each other.
        let digest = Sha256::new_with_prefix(self.0.to_be_bytes()).chain_update(n.to_be_bytes());
        digest.chain_update(what).finalize().into()
    }

    /// The `n`-th number for this purpose.
    pub(crate) fn draw(&self, what: &str, n: u64) -> u64 {
        u64::from_be_bytes(self.bytes(what, n).as_chunks().0[0])
    }

    /// The `n`-th number for this purpose, evenly from 0 up to, not including, 1.
    pub(crate) fn unit(&self, what: &str, n: u64) -> f64 {
        (self.draw(what, n) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The `n`-th UUID for this purpose: version 4, variant 1.
    pub(crate) fn uuid(&self, what: &str, n: u64) -> String {
        let bits = u128::from_be_bytes(self.bytes(what, n).as_chunks().0[0]);
        let bits = bits & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
        let hex = format!("{bits:032x}");
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Another hash would give every user's tests other ids.
    #[test]
    fn the_same_is_drawn_on_every_machine() {
        let seed = Seed::new(7);
        assert_eq!(seed.draw("run", 1), 6_431_949_025_666_759_076);
        assert_eq!(seed.uuid("task", 1), "f745547c-884c-4471-b430-4a12618b212f");
        assert_ne!(seed.draw("run", 1), seed.draw("run", 2));
        assert_ne!(seed.draw("run", 1), seed.draw("queue", 1));
        assert_ne!(seed.draw("run", 1), Seed::new(8).draw("run", 1));
        assert_ne!(Seed::random().unwrap(), Seed::random().unwrap());
    }

    #[test]
    fn a_unit_is_even_and_below_one() {
        let seed = Seed::new(1);
        let units: Vec<f64> = (0..1000).map(|n| seed.unit("x", n)).collect();
        assert!(units.iter().all(|unit| (0.0..1.0).contains(unit)));
        let mean = units.iter().sum::<f64>() / 1000.0;
        assert!((mean - 0.5).abs() < 0.05, "{mean}");
    }

    #[test]
    fn ids_are_version_4_uuids() {
        let id = Seed::new(0).uuid("task", 0);
        let dashes: Vec<usize> = id.match_indices('-').map(|(at, _)| at).collect();
        assert_eq!((id.len(), dashes), (36, vec![8, 13, 18, 23]));
        assert_eq!(&id[14..15], "4");
        assert!("89ab".contains(&id[19..20]), "{id}");
    }
}
