//! The whole way, against a sandbox that is a process of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

#[cfg(unix)]
use crate::process::interrupt;
use crate::process::{Done, highway, photograph};

/// `highway sandbox`, terminated when dropped.
pub(crate) struct Server {
    process: Child,
    pub(crate) base_url: String,
    pub(crate) key: String,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// With these arguments besides.
    pub(crate) fn with(args: &[&str]) -> Self {
        let args = [&["sandbox", "--listen", "127.0.0.1:0", "--json"], args].concat();
        let mut process = highway(&args).spawn().expect("the sandbox starts");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("its address");
        let line: Value = serde_json::from_str(&line).expect("JSON");
        let text = |name: &str| line[name].as_str().map(str::to_owned);
        Self {
            process,
            base_url: text("base_url").expect("an address"),
            key: text("api_key").unwrap_or("any".to_owned()),
        }
    }

    pub(crate) fn command(&self, folder: &Path, args: &[&str]) -> Command {
        let mut command = highway(args);
        command.current_dir(folder).env("HIGHWAY_STATE", folder.join("state"));
        command.env("HIGHWAY_BASE_URL", &self.base_url).env("HIGHWAY_API_KEY", &self.key);
        command
    }

    pub(crate) fn run(&self, folder: &Path, args: &[&str]) -> Done {
        self.command(folder, args).output().expect("the command runs").into()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Not killed: it removes its clips.
        terminate(&self.process);
        let _ = self.process.wait();
    }
}

fn terminate(process: &Child) {
    let _ = Command::new("kill").arg(process.id().to_string()).status();
}

pub(crate) fn lines(stdout: &str) -> Vec<Value> {
    stdout.lines().map(|line| serde_json::from_str(line).expect("every line is JSON")).collect()
}

pub(crate) fn is_mp4(path: &Path) -> bool {
    fs::read(path).is_ok_and(|bytes| bytes.len() > 10_000 && &bytes[4..8] == b"ftyp")
}

#[test]
fn generate_with_its_own_sandbox_makes_clips_and_their_records() {
    let folder = TempDir::new().expect("a folder");
    let (first, last) = (photograph("first.jpg"), photograph("last.jpg"));
    let args = ["generate", "--sandbox", &first, &last, "-p", "dusk falls", "--json", "--seed", "7"];
    let more = ["--duration-seconds", "4", "--sample-count", "2", "-o", "dusk.mp4"];
    let output = highway(&[&args[..], &more].concat()).current_dir(folder.path()).output().expect("the command runs");
    let done = Done::from(output);
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);

    let events = lines(&done.stdout);
    let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().expect("a name")).collect();
    assert_eq!(names[..2], ["submitting", "submitted"]);
    assert_eq!(names[names.len() - 5..], ["fetching", "fetching", "saved", "saved", "done"]);
    assert_eq!(events.last().expect("the result")["clips"].as_array().expect("clips").len(), 2);

    assert!(is_mp4(&folder.path().join("dusk-1.mp4")) && is_mp4(&folder.path().join("dusk-2.mp4")));
    let record = fs::read_to_string(folder.path().join("dusk-2.json")).expect("its record");
    let record: Value = serde_json::from_str(&record).expect("JSON");
    assert_eq!(record["request"]["seed"], 7);
    assert_eq!(record["request"]["resolution"], "720p");
    assert_eq!(record["request"]["image"]["width"], 1280);
    assert_eq!(record["sample"], 2);
    let mut left: Vec<_> = fs::read_dir(folder.path()).expect("listed").map(|file| file.expect("a file")).collect();
    left.sort_by_key(|file| file.file_name());
    let left: Vec<_> = left.iter().map(|file| file.file_name().into_string().expect("text")).collect();
    assert_eq!(left, ["dusk-1.json", "dusk-1.mp4", "dusk-2.json", "dusk-2.mp4"]);
}

#[test]
fn submit_wait_and_fetch_are_the_same_in_steps() {
    let folder = TempDir::new().expect("a folder");
    let server = Server::start();
    let (first, last) = (photograph("first.jpg"), photograph("last.jpg"));
    let submit = ["submit", &first, &last, "-p", "dusk falls", "--duration-seconds", "4"];
    let submitted = server.run(folder.path(), &submit);
    let id = submitted.stdout.trim();
    assert_eq!((submitted.code, submitted.stderr), (Some(0), format!("task {id}\n")));

    let early = server.run(folder.path(), &["wait", id, "--timeout", "0s"]);
    assert_eq!(early.code, Some(4), "{}", early.stderr);
    assert!(early.stderr.contains("to go on: highway resume "), "{}", early.stderr);

    let waited = server.run(folder.path(), &["wait", id]);
    assert_eq!(waited.code, Some(0), "{}", waited.stderr);
    let fetched = server.run(folder.path(), &["fetch", id, "-o", "a.mp4"]);
    assert_eq!((fetched.code, fetched.stdout.as_str()), (Some(0), "a.mp4\n"), "{}", fetched.stderr);
    assert!(is_mp4(&folder.path().join("a.mp4")));

    let again = server.run(folder.path(), &["fetch", id, "-o", "a.mp4"]);
    assert_eq!((again.code, again.stdout.as_str()), (Some(0), "a.mp4\n"), "{}", again.stderr);
    fs::write(folder.path().join("mine.mp4"), "mine").expect("written");
    let mine = server.run(folder.path(), &["fetch", id, "-o", "mine.mp4"]);
    assert_eq!(mine.code, Some(2), "{}", mine.stderr);
    assert_eq!(fs::read(folder.path().join("mine.mp4")).expect("mine"), b"mine");
    let over = server.run(folder.path(), &["fetch", id, "-o", "mine.mp4", "--overwrite"]);
    assert_eq!(over.code, Some(0), "{}", over.stderr);
    assert!(is_mp4(&folder.path().join("mine.mp4")));
}

#[test]
fn an_unknown_task_and_a_wrong_key_have_their_exit_codes() {
    let folder = TempDir::new().expect("a folder");
    let server = Server::start();
    let id = "00000000-0000-4000-8000-000000000000";
    assert_eq!(server.run(folder.path(), &["wait", id]).code, Some(1));
    let wrong = server.command(folder.path(), &["wait", id]).env("HIGHWAY_API_KEY", "wrong-key").output();
    let wrong = Done::from(wrong.expect("the command runs"));
    assert_eq!(wrong.code, Some(5), "{}", wrong.stderr);
    assert!(!wrong.stderr.contains("wrong-key"));
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_the_waiting_and_tells_how_to_go_on() {
    let folder = TempDir::new().expect("a folder");
    let server = Server::start();
    let (first, last) = (photograph("first.jpg"), photograph("last.jpg"));
    // Four clips of 1080p take longer than the signal.
    let args = ["generate", &first, &last, "-p", "x", "--json", "--resolution", "1080p", "--sample-count", "4"];
    let mut process = server.command(folder.path(), &args).stderr(Stdio::null()).spawn().expect("the command runs");
    let mut stdout = BufReader::new(process.stdout.take().expect("piped"));
    let mut line = String::new();
    while !line.contains("submitted") {
        line.clear();
        assert!(stdout.read_line(&mut line).expect("a line") > 0, "ended before it submitted");
    }
    interrupt(&process);
    let rest: Vec<String> = stdout.lines().map(|line| line.expect("a line")).collect();
    let result: Value = serde_json::from_str(rest.last().expect("a result")).expect("JSON");
    assert_eq!(process.wait().expect("it ends").code(), Some(4));
    assert_eq!((&result["exit_code"], &result["charged"]), (&4.into(), &"yes".into()));
    assert!(result["hints"][0].as_str().is_some_and(|hint| hint.starts_with("to go on: highway resume ")));
}

/// As in `highway generate --json | head -1`.
#[test]
fn whoever_stops_reading_still_gets_the_video_and_the_id() {
    let folder = TempDir::new().expect("a folder");
    let server = Server::start();
    let (first, last) = (photograph("first.jpg"), photograph("last.jpg"));
    let args = ["generate", &first, &last, "-p", "x", "--json", "--duration-seconds", "4"];
    let mut process = server.command(folder.path(), &args).spawn().expect("the command runs");
    drop(process.stdout.take());
    let done = Done::from(process.wait_with_output().expect("it ends"));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let told = lines(&done.stderr);
    assert_eq!((&told[0]["event"], &told[0]["task_id"]), (&"submitted".into(), &told[2]["task_id"]), "{told:?}");
    assert_eq!((&told[1]["event"], &told[2]["event"]), (&"saved".into(), &"done".into()));
    assert!(is_mp4(&folder.path().join("clip.mp4")));
}

/// The variable is no flag: it does not conflict with `--sandbox`, which does not use it.
#[test]
fn an_exported_address_does_not_disturb_a_sandbox_of_its_own() {
    let folder = TempDir::new().expect("a folder");
    let (first, last) = (photograph("first.jpg"), photograph("last.jpg"));
    let args = ["generate", "--sandbox", &first, &last, "-p", "x"];
    let run = |base_url: &str, more: &[&str]| {
        let mut command = highway(&[&args[..], more].concat());
        Done::from(command.current_dir(folder.path()).env("HIGHWAY_BASE_URL", base_url).output().expect("it runs"))
    };
    let done = run("http://127.0.0.1:9", &["--duration-seconds", "4"]);
    assert_eq!((done.code, done.stdout.as_str()), (Some(0), "clip.mp4\n"), "{}", done.stderr);
    let both = run("", &["--base-url", "http://127.0.0.1:9", "-o", "other.mp4"]);
    assert_eq!(both.code, Some(2), "{}", both.stderr);
}
