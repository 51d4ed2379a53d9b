//! Who is measured, and how one call of a client is had.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::client::{Cost, Said};
use crate::ground::{Ground, Pictures};
use crate::{Result, machine};

/// No call takes longer.
const LIMIT: Duration = Duration::from_secs(180);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Ours,
    /// The physical limit.
    Limit,
    Curl,
    Naive,
    Python,
    Node,
}

/// A client that is measured.
#[derive(Clone)]
pub(crate) struct Player {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// The program and its first arguments, or why there is none.
    pub(crate) command: std::result::Result<Vec<String>, String>,
    /// What it can be asked for; everything where it is not said.
    pub(crate) scenarios: Option<Vec<String>>,
    /// What a careful user of the same library can reach.
    pub(crate) best_practice: bool,
    /// How it does what it is asked for.
    pub(crate) note: String,
}

pub(crate) const OURS: &str = "highwayapi";
pub(crate) const OURS_THREADS: &str = "highwayapi, several threads";
pub(crate) const LIMIT_NAME: &str = "limit: a bare loop";
pub(crate) const CURL: &str = "curl";
pub(crate) const NAIVE: &str = "naive generated client";

impl Player {
    /// The clients of this program.
    pub(crate) fn own(program: &Path) -> Vec<Self> {
        let own = |name: &str, kind, client: &str, note: &str| Self {
            name: name.to_owned(),
            kind,
            command: Ok(vec![program.display().to_string(), "client".to_owned(), client.to_owned()]),
            scenarios: None,
            best_practice: false,
            note: note.to_owned(),
        };
        let curl = |name: &str, client, note| {
            let there = Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_ok();
            let player = own(name, Kind::Curl, client, note);
            if there { player } else { Self { command: Err("curl is not installed".to_owned()), ..player } }
        };
        vec![
            own(LIMIT_NAME, Kind::Limit, "bare", "moves the same bytes and does nothing else"),
            own(
                OURS,
                Kind::Ours,
                "ours",
                "this repository's crate, as its documentation shows; Tokio's current-thread runtime",
            ),
            Self {
                scenarios: Some(["submit", "download"].map(str::to_owned).into()),
                ..own(OURS_THREADS, Kind::Ours, "ours-threads", "the same on Tokio's multi-thread runtime")
            },
            curl(CURL, "curl", "`-T`, `-o`: the body ready-made in a file and read while it is sent"),
            curl("curl -d", "curl-data", "the same body, read before it is sent"),
            own(
                NAIVE,
                Kind::Naive,
                "naive",
                "generated from the contract; whole pictures as text, the video in one piece; current-thread runtime",
            ),
        ]
    }

    pub(crate) fn knows(&self, scenario: &str) -> bool {
        self.scenarios.as_ref().is_none_or(|known| known.iter().any(|known| known == scenario))
    }

    /// The program, ready for its arguments, in an environment without proxies.
    pub(crate) fn command(&self, ground: &Ground, tls: bool) -> Result<Command> {
        let words = self.command.as_ref().map_err(String::as_str)?;
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        environment(&mut command, ground, tls);
        Ok(command)
    }

    /// One call, on the clients' core.
    pub(crate) fn call(&self, ground: &Ground, call: &Asked) -> Result<Said> {
        let mut command = self.command(ground, call.tls)?;
        command.arg(call.scenario).args(&call.args);
        let fetched = call.args.first().filter(|_| call.scenario == "download").map(Path::new);
        let begone = || fetched.map(fs::remove_file);
        begone();
        let output = output(&mut command)?;
        begone();
        let last = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().to_owned()
        };
        if !output.status.success() {
            return Err(format!("{}: {}", output.status, last(&output.stderr)).into());
        }
        serde_json::from_str(&last(&output.stdout)).map_err(|_| "it did not say what the call cost".into())
    }
}

/// Where the stub is and which certificate to trust, in the words of each runtime.
pub(crate) fn environment(command: &mut Command, ground: &Ground, tls: bool) {
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command.env("NO_PROXY", "127.0.0.1,localhost").env("BENCH_BODY", &ground.pictures.body);
    command.env("BENCH_URL", if tls { &ground.stub.secure_base } else { &ground.stub.base });
    if tls {
        for name in ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"] {
            command.env(name, &ground.stub.certificate);
        }
    }
}

/// What a program prints, on the clients' core and within the limit of time.
fn output(command: &mut Command) -> Result<std::process::Output> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    machine::pin(machine::CLIENTS)?;
    let child = command.spawn();
    machine::unpin()?;
    let child = child?;
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    let (done, waiting) = mpsc::channel();
    thread::spawn(move || done.send(child.wait_with_output()));
    if let Ok(output) = waiting.recv_timeout(LIMIT) {
        return Ok(output?);
    }
    kill(pid, Signal::SIGKILL)?;
    Err(format!("not done within {LIMIT:?}").into())
}

/// What the runs of one client came to.
pub(crate) struct Runs {
    pub(crate) player: Player,
    /// One of each run, or why there is none.
    pub(crate) costs: std::result::Result<Vec<Cost>, String>,
}

/// Every client that knows the scenario in turn, and that again for every run, so that what drifts hits all alike. Where
/// it is warmed up, each makes one more call before, which is forgotten.
pub(crate) fn rounds<'a>(
    ground: &Ground,
    players: impl IntoIterator<Item = &'a Player>,
    call: &Asked,
    warm_up: bool,
) -> Vec<Runs> {
    let begin = |player: &Player| {
        let costs = player.command.as_ref().map(|_| Vec::new()).map_err(Clone::clone);
        Runs { player: player.clone(), costs }
    };
    let mut all: Vec<Runs> = players.into_iter().filter(|player| player.knows(call.scenario)).map(begin).collect();
    for round in usize::from(!warm_up)..=ground.runs {
        all.retain_mut(|runs| {
            let Ok(costs) = &mut runs.costs else { return true };
            match runs.player.call(ground, call) {
                Ok(Said::Cost(_)) if round == 0 => {}
                Ok(Said::Cost(cost)) => costs.push(cost),
                Ok(Said::Unsupported { .. }) => return false,
                Err(error) => runs.costs = Err(format!("failed: {error}")),
            }
            true
        });
    }
    all
}

/// What a client is asked for.
pub(crate) struct Asked {
    pub(crate) scenario: &'static str,
    pub(crate) args: Vec<String>,
    pub(crate) tls: bool,
}

impl Asked {
    pub(crate) fn new(scenario: &'static str, args: Vec<String>) -> Self {
        Self { scenario, args, tls: false }
    }

    /// So many submits of these pictures at once.
    pub(crate) fn submit(count: usize, pictures: &Pictures) -> Self {
        let path = |path: &Path| path.display().to_string();
        Self::new("submit", vec![count.to_string(), path(&pictures.first), path(&pictures.last)])
    }

    pub(crate) fn over_tls(self) -> Self {
        Self { tls: true, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_judged_on_one_thread_and_shown_on_several_where_they_matter() {
        let own = Player::own(Path::new("bench"));
        let known = |name: &str| {
            let player = own.iter().find(|player| player.name == name).expect("a client");
            ["submit", "download", "poll", "start"].map(|scenario| player.knows(scenario))
        };
        assert_eq!(known(OURS), [true; 4]);
        assert_eq!(known(OURS_THREADS), [true, true, false, false]);
        assert_eq!(own.iter().find(|player| player.kind == Kind::Ours).map(|player| player.name.as_str()), Some(OURS));
    }
}
