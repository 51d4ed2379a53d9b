//! `highway sandbox` as a process: its flags, what ends it, and what outlives it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Done, highway, photograph, run};

/// A running sandbox, killed when dropped.
struct Running {
    process: Child,
    said: Value,
    /// Kept, so that it could go on talking.
    _stdout: BufReader<ChildStdout>,
}

impl Running {
    fn start(input: Stdio, args: &[&str]) -> Self {
        let args = [&["sandbox", "--json"], args].concat();
        let mut process = highway(&args).stdin(input).spawn().expect("the sandbox starts");
        let mut stdout = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        let said = serde_json::from_str(&line).expect("JSON");
        Self { process, said, _stdout: stdout }
    }

    /// A command that talks to it.
    fn ask(&self, args: &[&str]) -> Done {
        let mut command = highway(args);
        command.env("HIGHWAY_BASE_URL", self.said["base_url"].as_str().expect("an address"));
        command.env("HIGHWAY_API_KEY", self.said["api_key"].as_str().expect("a key"));
        command.output().expect("the command runs").into()
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.process.id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn it_ends_with_the_program_that_started_it() {
    let folder = TempDir::new().expect("a folder");
    let state = folder.path().join("state").display().to_string();
    let args = ["--listen", "127.0.0.1:0", "--state", &state, "--seed", "7", "--api-key", "one", "--api-key", "two"];
    let mut sandbox = Running::start(Stdio::piped(), &args);
    let base_url = sandbox.said["base_url"].as_str().expect("an address").to_owned();
    assert_eq!(sandbox.said["admin_url"], format!("{base_url}/_sandbox"));
    assert_eq!((&sandbox.said["api_key"], &sandbox.said["seed"]), (&"one".into(), &7.into()));
    assert_eq!(sandbox.process.try_wait().expect("a state"), None);
    drop(sandbox.process.stdin.take());
    assert_eq!(sandbox.process.wait().expect("it ends").code(), Some(0));

    // Nobody holds the other end of these, and nobody has to.
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("a file");
    for input in [Stdio::null(), Stdio::from(std::fs::File::open(&file).expect("a file"))] {
        let mut sandbox = Running::start(input, &["--listen", "127.0.0.1:0"]);
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(sandbox.process.try_wait().expect("a state"), None);
        sandbox.signal("-TERM");
        assert_eq!(sandbox.process.wait().expect("it ends").code(), Some(0));
    }
}

#[test]
fn a_bad_flag_is_told_what_is_allowed() {
    let mut table = String::new();
    for flags in [
        &["--speed", "0"][..],
        &["--speed", "-1"],
        &["--speed", "fast"],
        &["--speed", "2", "--stepped"],
        &["--run-time", "soon"],
        &["--run-time", "2m..1m"],
        &["--queue-time", "lognormal 1s"],
        &["--seed", "x"],
        &["--strict", "--lenient"],
        &["--link-ttl", "x"],
        &["--state", "/dev/null"],
        &["--state", "/"],
        &["--public-url", "clips.example"],
        &["--allow-host", "a b"],
        &["--api-key", ""],
        &["--link-ttl", "0s"],
        &["--max-open-tasks", "-1"],
        &["--scenario", "sunday"],
        &["--faults", "/dev/null/faults.toml"],
        &["--scenario", "drip", "--faults", "/dev/null"],
    ] {
        let done = run(&[&["sandbox", "--listen", "127.0.0.1:0"], flags].concat());
        assert_eq!(done.code, Some(2), "{flags:?}: {}", done.stderr);
        let said = done.stderr.lines().next().unwrap_or_default();
        table.push_str(&format!("{}\n    {said}\n", flags.join(" ")));
    }
    insta::assert_snapshot!(table);
}

#[test]
fn scenarios_are_listed_and_played() {
    let listed = run(&["sandbox", "--list-scenarios"]);
    assert_eq!(listed.code, Some(0), "{}", listed.stderr);
    assert!(
        listed.stdout.contains("\nlost-answers\n  Every second submit is accepted and billed"),
        "{}",
        listed.stdout
    );
    let folder = TempDir::new().expect("a folder");
    let script = folder.path().join("faults.json");
    std::fs::write(&script, r#"{ "fault": [{ "on": "poll", "effect": "task_not_found" }] }"#).expect("a file");
    let sandbox =
        Running::start(Stdio::null(), &["--listen", "127.0.0.1:0", "--faults", &script.display().to_string()]);
    let done = sandbox.ask(&["wait", "123", "--timeout", "1s"]);
    assert!(done.stderr.contains("404 TASK_NOT_FOUND"), "{}", done.stderr);

    let sandbox = Running::start(Stdio::null(), &["--listen", "127.0.0.1:0", "--scenario", "lost-answers"]);
    let (first, last) = (photograph("first.jpg"), photograph("last.jpg"));
    let codes = [0, 1].map(|_| sandbox.ask(&["submit", &first, &last, "-p", "dusk falls"]).code);
    assert_eq!(codes, [Some(0), Some(3)], "the second answer is lost");
}

/// Submits until nobody answers any more, and gives the ids that were told.
fn submit_until_it_is_gone(sandbox: &Running, folder: &Path, tasks: &std::sync::mpsc::Sender<String>) {
    let (first, last) = (photograph("first.jpg"), photograph("last.jpg"));
    loop {
        let mut command = highway(&["submit", &first, &last, "-p", "dusk falls", "--again"]);
        command.env("HIGHWAY_BASE_URL", sandbox.said["base_url"].as_str().expect("an address"));
        command.env("HIGHWAY_API_KEY", "sandbox-key").env("HIGHWAY_STATE", folder);
        let done = Done::from(command.output().expect("the command runs"));
        if done.code != Some(0) {
            return;
        }
        tasks.send(done.stdout.trim().to_owned()).expect("somebody counts");
    }
}

/// The network's port stays the same, so that links do.
#[test]
fn what_was_answered_outlives_kill_9() {
    let folder = TempDir::new().expect("a folder");
    let state = folder.path().join("state").display().to_string();
    let mut listen = "127.0.0.1:0".to_owned();
    let mut told = Vec::new();
    for signal in ["-KILL", "-KILL", "-TERM"] {
        let args = ["--listen", &listen, "--state", &state, "--run-time", "1s", "--speed", "100"];
        let mut sandbox = Running::start(Stdio::null(), &args);
        listen = sandbox.said["base_url"].as_str().expect("an address").replace("http://", "");
        let (sender, tasks) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| submit_until_it_is_gone(&sandbox, &folder.path().join("record"), &sender));
            // In the middle of one more.
            let ids: Vec<_> = tasks.iter().take(3).collect();
            sandbox.signal(signal);
            told.extend(ids);
        });
        drop(sender);
        told.extend(tasks);
        sandbox.process.wait().expect("it ends");
    }

    let args = ["--listen", &listen, "--state", &state, "--run-time", "1s", "--speed", "100"];
    let sandbox = Running::start(Stdio::null(), &args);
    assert!(told.len() >= 9, "{told:?}");
    for id in &told {
        let done = sandbox.ask(&["wait", id]);
        assert_eq!(done.code, Some(0), "{id}: {}", done.stderr);
    }
    // A clip of one that a killed sandbox has taken.
    let clip = folder.path().join("clip.mp4").display().to_string();
    let done = sandbox.ask(&["fetch", &told[0], "-o", &clip]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(std::fs::metadata(&clip).expect("a clip").len() > 10_000);
}
