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
    /// What a careful user of the same library can reach.
    best_practice: bool,
    note: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Runtime {
    Python,
    Node,
}

/// All of `peers`, installed into `folder` unless they are there. One that cannot be had says why.
pub(crate) fn install(peers: &Path, folder: &Path) -> Result<Vec<Player>> {
    let listed: Vec<Peer> = serde_json::from_slice(&fs::read(peers.join("peers.json"))?)?;
    let (programs, venv) = (folder.join("programs"), folder.join("venv"));
    copy(peers, &programs)?;
    let (python, node) = (python(&programs, &venv), node(&programs));
    let player = |peer: Peer| {
        let (kind, interpreter, installed) = match peer.runtime {
            Runtime::Python => (Kind::Python, venv.join("bin/python"), &python),
            Runtime::Node => (Kind::Node, "node".into(), &node),
        };
        let words = [&interpreter, &programs.join(&peer.program)].map(|path| path.display().to_string());
        let command = installed.clone().map(|()| words.to_vec());
        let best_practice = peer.best_practice;
        let name = if best_practice { format!("{}, best practice", peer.name) } else { peer.name };
        Player { best_practice, name, kind, command, scenarios: Some(peer.scenarios), note: peer.note }
    };
    Ok(listed.into_iter().map(player).collect())
}

/// The files of a folder and of those in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

type Installed = std::result::Result<(), String>;

fn python(programs: &Path, venv: &Path) -> Installed {
    let pins = programs.join("requirements.txt");
    unless_done(&pins, venv, || {
        run(Command::new("python3").args(["-m", "venv"]).arg(venv))?;
        run(Command::new(venv.join("bin/pip")).args(["install", "--quiet", "-r"]).arg(&pins))
    })
}

fn node(programs: &Path) -> Installed {
    let ci = ["ci", "--ignore-scripts", "--silent", "--no-audit", "--no-fund"];
    unless_done(&programs.join("package-lock.json"), programs, || {
        run(Command::new("npm").args(ci).current_dir(programs))
    })
}

/// Installs into a folder, unless it was done with the same pins before.
fn unless_done(pins: &Path, folder: &Path, install: impl FnOnce() -> Installed) -> Installed {
    let pinned = fs::read_to_string(pins).map_err(|error| format!("{}: {error}", pins.display()))?;
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
