//! B8, what a dependent pays: a cold `cargo build` of a crate of one line that depends on us, and of the same crate that
//! depends on a comparable client. Crates are fetched beforehand, and that is not counted.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// What one client costs whoever depends on it.
#[derive(Debug, Clone)]
pub(crate) struct BuildCost {
    /// The crate and its features.
    pub(crate) name: &'static str,
    /// Its version.
    pub(crate) version: String,
    /// Crates that are built, this one included: normal and build dependencies on this machine's target.
    pub(crate) crates: usize,
    /// The builds, one a round.
    pub(crate) builds: Vec<Build>,
}

/// One cold build.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Build {
    /// Seconds of CPU, of all processes.
    pub(crate) cpu_s: f64,
    /// Seconds passed.
    pub(crate) wall_s: f64,
}

/// A client as a dependency.
struct Client {
    name: &'static str,
    package: &'static str,
    dependency: String,
    lock: String,
}

/// Builds a dependent of each client so many times, in turn, in a folder of its own below `folder`. `workspace` is the
/// root of this repository, whose lock file pins what we depend on.
pub(crate) fn measure(workspace: &Path, folder: &Path, rounds: usize) -> io::Result<Vec<BuildCost>> {
    let dependents = clients(workspace)?
        .into_iter()
        .map(|client| Dependent::set_up(&folder.join(client.package), client))
        .collect::<io::Result<Vec<_>>>()?;
    let mut costs = dependents.iter().map(Dependent::counted).collect::<io::Result<Vec<_>>>()?;
    for _ in 0..rounds {
        for (dependent, cost) in dependents.iter().zip(&mut costs) {
            cost.builds.push(dependent.build()?);
        }
    }
    Ok(costs)
}

fn clients(workspace: &Path) -> io::Result<[Client; 3]> {
    let ours = workspace.join("crates/highwayapi");
    Ok([
        Client {
            name: "highwayapi",
            package: "highwayapi",
            dependency: format!("{{ path = {ours:?} }}"),
            lock: std::fs::read_to_string(workspace.join("Cargo.lock"))?,
        },
        Client {
            name: "async-openai, video",
            package: "async-openai",
            dependency: r#"{ version = "=0.43.0", features = ["video"] }"#.to_owned(),
            lock: include_str!("../build-cost/async-openai.lock").to_owned(),
        },
        Client {
            name: "octocrab",
            package: "octocrab",
            dependency: r#""=0.54.9""#.to_owned(),
            lock: include_str!("../build-cost/octocrab.lock").to_owned(),
        },
    ])
}

/// The crate of one line.
struct Dependent {
    client: Client,
    folder: PathBuf,
}

impl Dependent {
    fn set_up(folder: &Path, client: Client) -> io::Result<Self> {
        let Client { package, dependency, .. } = &client;
        // A workspace of its own, as it may lie inside of another.
        let manifest = format!(
            "[package]\nname = \"dependent\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
             [dependencies]\n{package} = {dependency}\n\n[workspace]\n"
        );
        std::fs::create_dir_all(folder.join("src"))?;
        std::fs::write(folder.join("Cargo.toml"), manifest)?;
        std::fs::write(folder.join("Cargo.lock"), &client.lock)?;
        std::fs::write(folder.join("src/lib.rs"), format!("pub use {};\n", package.replace('-', "_")))?;
        let dependent = Self { client, folder: folder.to_owned() };
        dependent.cargo(&["fetch"])?;
        Ok(dependent)
    }

    fn counted(&self) -> io::Result<BuildCost> {
        let tree = self.cargo(&["tree", "--offline", "--edges=normal,build", "--prefix=none", "--format={p}"])?;
        // A line is the name, the version and what else there is to say.
        let mut crates: BTreeSet<_> =
            tree.lines().filter_map(|line| line.split_once(' ')).map(|(name, rest)| (name, first_word(rest))).collect();
        crates.retain(|&(name, _)| name != "dependent");
        let version = crates.iter().find(|(name, _)| *name == self.client.package).map_or("", |(_, version)| version);
        let version = version.trim_start_matches('v').to_owned();
        Ok(BuildCost { name: self.client.name, version, crates: crates.len(), builds: Vec::new() })
    }

    fn build(&self) -> io::Result<Build> {
        match std::fs::remove_dir_all(self.folder.join("target")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let (cpu, start) = (children_cpu_s()?, Instant::now());
        self.cargo(&["build", "--offline", "--quiet"])?;
        Ok(Build { cpu_s: children_cpu_s()? - cpu, wall_s: start.elapsed().as_secs_f64() })
    }

    /// What cargo prints. No setting of whoever runs the benchmark changes what is built, nor where.
    fn cargo(&self, arguments: &[&str]) -> io::Result<String> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let mut command = Command::new(cargo);
        command.args(arguments).current_dir(&self.folder).env("CARGO_TARGET_DIR", self.folder.join("target"));
        for setting in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "CARGO_INCREMENTAL"] {
            command.env_remove(setting);
        }
        let output = command.output()?;
        if !output.status.success() {
            let (name, why) = (self.client.name, String::from_utf8_lossy(&output.stderr));
            return Err(io::Error::other(format!("cargo {arguments:?} for {name}: {why}")));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn first_word(text: &str) -> &str {
    text.split(' ').next().unwrap_or_default()
}

/// The CPU time of all children that have ended, and of theirs, in the kernel's hundredths of a second.
fn children_cpu_s() -> io::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The name before is in brackets and may hold anything; cutime and cstime are the 14th and 15th field after it.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(13).take(2);
    let ticks = fields.map(str::parse::<u64>).sum::<Result<u64, _>>().map_err(io::Error::other)?;
    Ok(ticks as f64 / 100.0)
}
