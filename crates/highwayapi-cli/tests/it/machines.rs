//! A record for many machines: a NATS server of a test's own, and commands in folders that know nothing of each other.

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Done, interrupt, photograph};
use crate::way::{Server, is_mp4};

const FOREVER: Duration = Duration::from_secs(120);

struct Nats {
    process: Child,
    url: String,
    folder: TempDir,
}

impl Nats {
    /// `None`, said aloud, where this machine has no server: then the test is not run. With `HIGHWAY_NATS_REQUIRED` that is
    /// a failure.
    fn start() -> Option<Self> {
        let Some(program) = program() else {
            let hint = "no nats-server in the PATH, and HIGHWAY_NATS_SERVER names none";
            assert!(env::var_os("HIGHWAY_NATS_REQUIRED").is_none(), "{hint}");
            let test = std::thread::current().name().unwrap_or("a test").to_owned();
            // Past what the test's runner keeps back.
            let _ = writeln!(std::io::stderr(), "NOT RUN: {test}: {hint}");
            return None;
        };
        let folder = TempDir::new().expect("a folder");
        let process = serve(&program, folder.path(), "-1");
        let ports = folder.path().join(format!("nats-server_{}.ports", process.id()));
        let mut nats = Self { process, url: String::new(), folder };
        let port = wait_for("the server's port", || {
            let ports: Value = serde_json::from_str(&fs::read_to_string(&ports).ok()?).ok()?;
            let port: u16 = ports["nats"][0].as_str()?.rsplit(':').next()?.parse().ok()?;
            TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(port)
        });
        nats.url = format!("nats://me:geheim@127.0.0.1:{port}/mine");
        Some(nats)
    }

    fn kill(&mut self) {
        self.process.kill().expect("killed");
        self.process.wait().expect("an end");
    }

    /// With the same record, at the same address.
    fn start_again(&mut self) {
        let port = self.url.rsplit([':', '/']).nth(1).expect("a port");
        self.process = serve(&program().expect("a server"), self.folder.path(), port);
        let port: u16 = port.parse().expect("a port");
        wait_for("the server", || TcpStream::connect(("127.0.0.1", port)).ok());
    }
}

fn serve(program: &Path, folder: &Path, port: &str) -> Child {
    let path = folder.display();
    let user = "authorization { user: me, password: \"geheim\" }";
    let config = format!(
        "listen: \"127.0.0.1:{port}\"\nports_file_dir: \"{path}\"\njetstream {{ store_dir: \"{path}/store\" }}\n{user}\n"
    );
    fs::write(folder.join("nats.conf"), config).expect("written");
    let log = fs::File::create(folder.join("log")).expect("a file");
    let mut command = Command::new(program);
    command.arg("-c").arg(folder.join("nats.conf")).stdout(Stdio::null()).stderr(log);
    command.spawn().expect("a server")
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program() -> Option<PathBuf> {
    if let Some(program) = env::var_os("HIGHWAY_NATS_SERVER").filter(|program| !program.is_empty()) {
        return Some(program.into());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    // Where Debian's package puts it, which is not in everybody's path.
    let folders = env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders.map(|folder| folder.join("nats-server")).find(|program| program.is_file())
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < FOREVER, "no end of waiting for {what}");
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// A command that ends with the test.
struct Running(Option<Child>);

impl Running {
    fn end(mut self) -> Done {
        let child = self.0.take().expect("a process");
        child.wait_with_output().expect("an end").into()
    }

    /// Presses Ctrl-C until it has ended: two that come at once count as one.
    fn leave(mut self) -> Done {
        wait_for("an end", || {
            let child = self.0.as_mut().expect("a process");
            interrupt(child);
            child.try_wait().expect("a process").map(drop)
        });
        self.end()
    }

    /// A command that gave up would be waited for in vain.
    fn assert_well(&mut self) {
        let ended = self.0.as_mut().expect("a process").try_wait().expect("a process");
        if ended.is_some_and(|status| !status.success()) {
            let mut stderr = String::new();
            let _ = self.0.take().and_then(|child| child.stderr).map(|mut pipe| pipe.read_to_string(&mut stderr));
            panic!("{ended:?}: {stderr}");
        }
    }

    fn child(&self) -> &Child {
        self.0.as_ref().expect("a process")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn one_plans_any_work_and_all_can_ask() {
    let Some(nats) = Nats::start() else { return };
    let server = Server::start();
    let (planner, elsewhere) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    for name in ["first.jpg", "last.jpg"] {
        fs::copy(photograph(name), planner.path().join(name)).expect("copied");
    }
    let item = |at: u32| format!("- {{id: c{at}, image: first.jpg, last_image: last.jpg, seed: {at}}}\n");
    let manifest =
        format!("defaults: {{prompt: dusk, duration_seconds: 4}}\nitems:\n{}", (1..=6).map(item).collect::<String>());
    fs::write(planner.path().join("clips.yaml"), manifest).expect("written");
    let start = |folder: &Path, args: &[&str]| {
        let mut command = server.command(folder, &[args, &["--store", &nats.url]].concat());
        // One request a minute of its own: whoever plans leaves the rest to others.
        if args[0] == "batch" {
            command.env("HIGHWAY_REQUESTS_PER_MINUTE", "1");
        }
        Running(Some(command.spawn().expect("the command runs")))
    };
    let worker =
        |name: &str| start(elsewhere.path(), &["worker", "--output-dir", name, "--requests-per-minute", "6000"]);
    let ask = |args: &[&str]| server.run(elsewhere.path(), &[args, &["--store", &nats.url]].concat());
    let workers = [worker("one"), worker("two")];
    let plan = ["batch", "run", "clips.yaml", "--name", "mine", "--concurrency", "1", "--in-flight", "1"];
    let mut planned = start(planner.path(), &plan);

    let downloaded = |least: u64| {
        let status = ask(&["batch", "status", "mine", "--json"]);
        // Seen where the test fails.
        println!("{}", status.stdout);
        let status: Value = serde_json::from_str(&status.stdout).ok()?;
        (status["states"]["downloaded"].as_u64() >= Some(least)).then_some(status)
    };
    // All but the one that the planner itself works on, at its own pace.
    wait_for("the workers", || {
        planned.assert_well();
        downloaded(5)
    });
    let left = planned.leave();
    assert!(matches!(left.code, Some(0 | 4)), "{:?} {}", left.code, left.stderr);
    if left.code == Some(4) {
        assert!(left.stderr.contains("--store nats://USER:PASSWORD@127.0.0.1:"), "{}", left.stderr);
    }
    assert!(!left.stderr.contains("geheim"), "{}", left.stderr);
    // Whoever leaves in peace leaves its work to others.
    let status = wait_for("the last clip", || downloaded(6));
    assert_eq!(status["spent"]["clips"], 6, "{status}");

    let report = ask(&["batch", "report", "mine", "--format", "csv", "-o", "-"]);
    assert_eq!((report.code, report.stdout.lines().count()), (Some(0), 7), "{}{}", report.stdout, report.stderr);
    // As the manifest says, below the manifest's folder or what takes its place.
    let folders = [elsewhere.path().join("one"), elsewhere.path().join("two"), planner.path().to_owned()];
    for at in 1..=6 {
        let made = folders.iter().filter(|folder| is_mp4(&folder.join(format!("clips/c{at}.mp4")))).count();
        assert_eq!(made, 1, "c{at}");
    }
    for worker in workers {
        interrupt(worker.child());
        let done = worker.end();
        assert_eq!(done.code, Some(0), "{}", done.stderr);
    }
    // Nothing is left to do.
    let done = ask(&["worker", "--until-done"]);
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (Some(0), "", ""));
}

#[test]
fn a_worker_sits_out_a_record_that_is_away_and_can_be_left_then() {
    let Some(mut nats) = Nats::start() else { return };
    let (server, folder) = (Server::start(), TempDir::new().expect("a folder"));
    let path = folder.path();
    for name in ["first.jpg", "last.jpg"] {
        fs::copy(photograph(name), path.join(name)).expect("copied");
    }
    let item = |at| format!("- {{image: first.jpg, last_image: last.jpg, seed: {at}, output: '{at}.mp4'}}\n");
    let items: String = (1..=4).map(item).collect();
    let manifest = format!("defaults: {{prompt: dusk, duration_seconds: 4}}\nitems:\n{items}");
    fs::write(path.join("clips.yaml"), manifest).expect("written");
    let url = nats.url.clone();
    let plan = |cap: &str| {
        let pace = ["--concurrency", "1", "--in-flight", "1"];
        let run = ["batch", "run", "clips.yaml", "--name", "mine", "--max-clips", cap, "--store", &url];
        server.run(path, &[&run[..], &pace].concat())
    };
    let capped = plan("0");
    assert_eq!(capped.code, Some(4), "{}", capped.stderr);
    let hint = "to go on, with a larger --max-clips: highway batch resume b-";
    assert!(capped.stderr.contains(hint), "{}", capped.stderr);

    let mut command = server.command(path, &["worker", "--output-dir", "made", "--store", &url]);
    command.stderr(fs::File::create(path.join("log")).expect("a file"));
    let worker = Running(Some(command.spawn().expect("the command runs")));
    let said = |text: &str, times: usize| {
        let often = || fs::read_to_string(path.join("log")).expect("a log").matches(text).count();
        wait_for(text, || (often() >= times).then_some(()));
    };
    // Once it waits for more to do: while it works, an outage is told otherwise.
    said("; 0 clips of 0 at most", 1);
    nats.kill();
    said("trying again", 1);
    nats.start_again();
    let done = plan("9");
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let made =
        fs::read_dir(path.join("made")).map_or(0, |files| files.flatten().filter(|file| is_mp4(&file.path())).count());
    assert!((1..=4).contains(&made), "{made} of them by the worker");

    said("; 4 clips of 9 at most", 1);
    nats.kill();
    said("trying again", 2);
    interrupt(worker.child());
    // The batch that it could not go on with at first is whole.
    let done = worker.end();
    assert_eq!(done.code, Some(0), "{}", fs::read_to_string(path.join("log")).expect("a log"));
}

#[test]
fn a_way_out_repeats_the_record_and_not_its_password() {
    let folder = TempDir::new().expect("a folder");
    let store = folder.path().join("my record").display().to_string();
    let fake = crate::fake::Fake::start(|_, _| crate::fake::answer("400 Bad Request", "", b"{}"));
    let mut command = crate::process::highway(&["batch", "run", "clips.jsonl", "--store", &store]);
    for name in ["first.jpg", "last.jpg"] {
        fs::copy(photograph(name), folder.path().join(name)).expect("copied");
    }
    let line = r#"{"image": "first.jpg", "last_image": "last.jpg", "prompt": "dusk"}"#;
    fs::write(folder.path().join("clips.jsonl"), line).expect("written");
    command.current_dir(folder.path()).env("HIGHWAY_BASE_URL", &fake.base_url).env("HIGHWAY_API_KEY", "key");
    let done = Done::from(command.output().expect("the command runs"));
    let hint = format!("--store '{store}'");
    assert!(done.stderr.contains("batch status b-") && done.stderr.contains(&hint), "{}", done.stderr);
}
