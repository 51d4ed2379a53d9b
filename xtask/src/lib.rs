//! How the files that derive from `openapi.yaml` and the sandbox's `admin.yaml` are made, and how the benchmarks are run.
//!
//! `contract` reads the document, `lower` brings it into the form the generator needs, `generate` makes the Rust,
//! `shape` lists what came out in a form that a person can review.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub mod contract;
pub mod generate;
pub mod lower;
pub mod shape;

/// What goes wrong here is read by a developer at a terminal: text is enough.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Whether [`regen`] may change files.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Rewrite what is out of date.
    Write,
    /// Fail if anything is out of date.
    Check,
}

/// Brings every derived file up to date with `openapi.yaml` and `admin.yaml`.
pub fn regen(mode: Mode) -> Result<()> {
    let root = root();
    let contract = contract::load(&root.join("openapi.yaml"))?;
    let admin = contract::load(&root.join("crates/highwayapi-sandbox/admin.yaml"))?;
    let derived = [
        ("crates/highwayapi-raw/src/generated.rs", generate::client(&contract)?),
        ("crates/highwayapi-sandbox/src/openapi.json", contract.to_json()?),
        ("crates/highwayapi-sandbox/src/admin/admin.json", admin.to_json()?),
    ];
    let mut stale = Vec::new();
    for (path, contents) in derived {
        if ensure(&root.join(path), &contents, mode)? {
            stale.push(path);
        }
    }
    match mode {
        _ if stale.is_empty() => println!("regen: everything agrees with openapi.yaml and admin.yaml"),
        Mode::Write => println!("regen: wrote {}", stale.join(", ")),
        Mode::Check => {
            return Err(format!("{} differ from their document; run `cargo xtask regen`", stale.join(", ")).into());
        }
    }
    Ok(())
}

/// Builds the command and the benchmarks as a release, each by itself so that neither gets the other's features, and runs
/// the benchmarks with these options.
pub fn bench(options: &[&str]) -> Result<()> {
    let cargo = |words: &[&str]| {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let status = Command::new(cargo).args(words).current_dir(root()).status()?;
        if status.success() { Ok(()) } else { Err(format!("cargo {}: {status}", words.join(" ")).into()) }
    };
    cargo(&["build", "--release", "--package", "highwayapi-cli"])?;
    let run = ["run", "--release", "--quiet", "--package", "highwayapi-bench", "--", "run"];
    cargo(&[&run, options].concat())
}

/// The workspace's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_owned()
}

/// Whether the file differed; in [`Mode::Write`] it no longer does.
fn ensure(path: &Path, contents: &str, mode: Mode) -> Result<bool> {
    let current = fs::read_to_string(path).unwrap_or_default().replace("\r\n", "\n");
    if current == contents {
        return Ok(false);
    }
    if mode == Mode::Write {
        fs::write(path, contents).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(true)
}
