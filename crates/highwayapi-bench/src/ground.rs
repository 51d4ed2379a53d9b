//! What every benchmark stands on: files to send, the stub, and who is measured.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::peers;
use crate::player::Player;
use crate::stub::Remote;

/// Two pictures of this size are what the largest submit is made of.
const PICTURE: usize = 20_000_000;
const SMALL_PICTURE: usize = 10_000;

pub(crate) struct Ground {
    /// Everything is written here, and may be removed at any time.
    pub(crate) folder: PathBuf,
    pub(crate) runs: usize,
    /// Little of everything, to see whether it works.
    pub(crate) quick: bool,
    pub(crate) stub: Remote,
    pub(crate) players: Vec<Player>,
    /// The command.
    pub(crate) highway: PathBuf,
    pub(crate) pictures: Pictures,
    pub(crate) small: Pictures,
}

/// Two pictures, and the same as a request that is ready to be sent.
pub(crate) struct Pictures {
    pub(crate) first: PathBuf,
    pub(crate) last: PathBuf,
    pub(crate) body: PathBuf,
}

impl Ground {
    pub(crate) fn prepare(runs: usize, quick: bool) -> Result<Self> {
        let program = std::env::current_exe()?;
        let built = program.parent().ok_or("the program is nowhere")?;
        let folder = built.parent().ok_or("the program is nowhere")?.join(if quick { "bench-quick" } else { "bench" });
        fs::create_dir_all(&folder)?;
        let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        let stub = Remote::start(&folder, &peers.join("answers.json"))?;
        let own = Player::own(&program).into_iter();
        // To see whether it works, nothing is installed.
        let others = if quick { Vec::new() } else { peers::install(&peers, &folder.join("peers"))? };
        Ok(Self {
            pictures: Pictures::write(&folder, "picture", if quick { SMALL_PICTURE } else { PICTURE })?,
            small: Pictures::write(&folder, "small", SMALL_PICTURE)?,
            players: own.chain(others).collect(),
            highway: built.join("highway"),
            folder,
            runs,
            quick,
            stub,
        })
    }
}

impl Pictures {
    fn write(folder: &Path, name: &str, size: usize) -> Result<Self> {
        let path = |what: &str| folder.join(format!("{name}-{what}"));
        let (first, last, body) = (path("first.png"), path("last.png"), path("body.json"));
        fs::write(&first, picture(size, 1))?;
        fs::write(&last, picture(size, 2))?;
        fs::write(&body, ready_made(&first, &last)?)?;
        Ok(Self { first, last, body })
    }
}

/// A PNG as far as its header goes, then noise.
fn picture(size: usize, seed: u64) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x05\0\0\0\x02\xd0\x08\x02\0\0\0".to_vec();
    let mut noise = fastrand::Rng::with_seed(seed);
    bytes.resize_with(size, || noise.u8(..));
    bytes
}

/// What curl is given: the request that the other clients have to make.
fn ready_made(first: &Path, last: &Path) -> Result<String> {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let picture = |path| Result::Ok(format!("data:image/png;base64,{}", STANDARD.encode(fs::read(path)?)));
    let prompt = crate::client::PROMPT;
    let body = serde_json::json!({ "image": picture(first)?, "last_image": picture(last)?, "prompt": prompt });
    Ok(body.to_string())
}
