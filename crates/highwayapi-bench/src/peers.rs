//! Clients of other services, from their registries, pinned, in a folder of their own.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::Result;
use crate::player::{Kind, Player};

/// As `peers/peers.json` lists them.
#[derive(Deserialize)]
struct Peer {
    name: String,
    runtime: Runtime,
    program: String,
    scenarios: Vec<String>,
    /// Used as its documentation recommends where that differs from its defaults.
    #[serde(default)]
    best_practice: bool,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Runtime {
    Python,
    Node,
}

/// All of `peers`, installed into `folder` unless they are there. One that cannot be had says why.
pub(crate) fn install(peers: &Path, folder: &Path) -> Result<Vec<Player>> {
    let list = peers.join("peers.json");
    if !list.exists() {
        return Ok(Vec::new());
    }
    let listed: Vec<Peer> = serde_json::from_slice(&fs::read(list)?)?;
    fs::create_dir_all(folder)?;
    let (python, node) = (python(peers, folder), node(peers, folder));
    let player = |peer: Peer| {
        let (kind, program, installed) = match peer.runtime {
            Runtime::Python => (Kind::Python, folder.join("venv/bin/python"), &python),
            // Modules are looked for beside the program, so it is run where they are.
            Runtime::Node => (Kind::Node, "node".into(), &node),
        };
        let script = match peer.runtime {
            Runtime::Python => peers.join(&peer.program),
            Runtime::Node => folder.join("node").join(&peer.program),
        };
        let words = || vec![program.display().to_string(), script.display().to_string()];
        let name = if peer.best_practice { format!("{}, best practice", peer.name) } else { peer.name };
        Player { name, kind, command: installed.clone().map(|()| words()), scenarios: Some(peer.scenarios) }
    };
    Ok(listed.into_iter().map(player).collect())
}

type Installed = std::result::Result<(), String>;

fn python(peers: &Path, folder: &Path) -> Installed {
    let venv = folder.join("venv");
    unless_done(&venv, &[peers.join("requirements.txt")], || {
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        let pip = venv.join("bin/pip");
        run(Command::new(pip).args(["install", "--quiet", "-r"]).arg(peers.join("requirements.txt")))
    })
}

fn node(peers: &Path, folder: &Path) -> Installed {
    let modules = folder.join("node");
    let own = |entry: &fs::DirEntry| entry.file_name() != "node_modules" && entry.path().is_file();
    let entries = fs::read_dir(peers).map_err(|error| error.to_string())?.filter_map(|entry| entry.ok().filter(own));
    let files: Vec<_> = entries.map(|entry| entry.path()).collect();
    fs::create_dir_all(&modules).map_err(|error| error.to_string())?;
    for file in &files {
        let copied = fs::copy(file, modules.join(file.file_name().unwrap_or_default()));
        copied.map_err(|error| error.to_string())?;
    }
    let lock = [peers.join("package.json"), peers.join("package-lock.json")];
    unless_done(&modules, &lock, || {
        run(Command::new("npm").args(["ci", "--silent", "--no-audit"]).current_dir(&modules))
    })
}

/// Does it, unless it was done with the same files before.
fn unless_done(folder: &Path, from: &[impl AsRef<Path>], install: impl FnOnce() -> Installed) -> Installed {
    let pinned: String = from.iter().map(|file| fs::read_to_string(file).unwrap_or_default()).collect();
    let stamp = folder.join("installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == pinned) {
        return Ok(());
    }
    eprintln!("installing into {}", folder.display());
    install()?;
    fs::write(stamp, pinned).map_err(|error| error.to_string())
}

fn run(command: &mut Command) -> Installed {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("not installable: {}", text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or(&program)))
}
