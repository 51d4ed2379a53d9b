//! A soft seeded ambience, and its encoding as AAC.

use crate::error::Error;
use crate::seed::Draw;

/// Samples per second.
pub(crate) const RATE: u32 = 48_000;
/// Samples in an AAC frame.
pub(crate) const AAC_FRAME: u32 = 1024;
const BITRATE: u32 = 128_000;

/// Encoded sound.
pub(crate) struct Sound {
    /// The decoder's configuration (AudioSpecificConfig).
    pub(crate) config: Vec<u8>,
    /// Samples that the decoder puts out before the first real one.
    pub(crate) priming: u32,
    pub(crate) bitrate: u32,
    pub(crate) data: Vec<u8>,
    /// The bytes of each AAC frame.
    pub(crate) sizes: Vec<u32>,
}

/// The ambience of `seed`, `seconds` long, stereo.
pub(crate) fn ambience(seed: u64, seconds: u32) -> Result<Sound, Error> {
    let (left, right) = compose(seed, seconds);
    let failed = |e: syom::AacError| Error::encoder("the sound could not be encoded as AAC").caused_by(e);
    let options = syom::EncodeOptions::raw().with_bitrate_bps(BITRATE);
    let mut encoder = syom::Encoder::new(RATE, 2, &options).map_err(failed)?;
    let config = encoder.asc().to_vec();
    let (mut data, mut sizes) = (Vec::new(), Vec::new());
    let mut take = |frame: syom::EncodedFrame<'_>| {
        sizes.push(frame.au.len() as u32);
        data.extend_from_slice(frame.au);
        Ok(())
    };
    encoder.feed(&[&left, &right], &mut take).map_err(failed)?;
    let info = encoder.finish(&mut take).map_err(failed)?;
    Ok(Sound { config, priming: info.priming as u32, bitrate: BITRATE, data, sizes })
}

/// A chord that swells and ebbs, over a breath of wind.
fn compose(seed: u64, seconds: u32) -> (Vec<f32>, Vec<f32>) {
    let mut draw = Draw(seed ^ 0x0073_6f75_6e64);
    let count = (seconds * RATE) as usize;
    let (mut left, mut right) = (vec![0.0; count], vec![0.0; count]);
    let root = draw.between(196.0, 330.0);
    for ratio in [1.0, 1.5, 2.0, 2.25, 2.5, 3.0] {
        // Slightly out of tune, so that the chord breathes.
        let step = phase_step(root * ratio * draw.between(0.998, 1.002));
        let (mut phase, mut swell) = (0u32, (draw.unit() * u32::MAX as f32) as u32);
        let swell_step = phase_step(draw.between(0.06, 0.22));
        let (loud, pan) = (0.2 / ratio, draw.between(0.2, 0.8));
        for (l, r) in left.iter_mut().zip(&mut right) {
            let tone = sine(phase) * loud * (0.55 + 0.45 * sine(swell));
            *l += tone * (1.0 - pan);
            *r += tone * pan;
            phase = phase.wrapping_add(step);
            swell = swell.wrapping_add(swell_step);
        }
    }
    for channel in [&mut left, &mut right] {
        let (mut slow, mut slower) = (0.0, 0.0);
        for sample in channel {
            slow += 0.02 * (draw.between(-1.0, 1.0) - slow);
            slower += 0.02 * (slow - slower);
            *sample += 0.15 * slower;
        }
    }
    let fade = RATE as usize / 2;
    for i in 0..fade.min(count) {
        let part = i as f32 / fade as f32;
        let gain = part * part * (3.0 - 2.0 * part);
        for channel in [&mut left, &mut right] {
            channel[i] *= gain;
            channel[count - 1 - i] *= gain;
        }
    }
    (left, right)
}

/// How far a 32-bit phase goes on in a sample.
fn phase_step(hertz: f32) -> u32 {
    (f64::from(hertz) * (1u64 << 32) as f64 / f64::from(RATE)) as u32
}

/// A polynomial, because the platform's sine differs from one to the next.
fn sine(phase: u32) -> f32 {
    // -1 to 1 is a full turn; the outer quarters are folded back into the inner half.
    let turn = phase as i32 as f32 / (1u32 << 31) as f32;
    let x = if turn > 0.5 {
        1.0 - turn
    } else if turn < -0.5 {
        -1.0 - turn
    } else {
        turn
    };
    let x2 = x * x;
    x * (std::f32::consts::PI + x2 * (-5.167_712_8 + x2 * (2.550_164 - x2 * 0.599_264_5)))
}
