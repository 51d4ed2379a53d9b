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
    _folder: TempDir,
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
        let path = folder.path().display().to_string();
        let user = "authorization { user: me, password: \"geheim\" }";
        let config = format!(
            "listen: \"127.0.0.1:-1\"\nports_file_dir: \"{path}\"\njetstream {{ store_dir: \"{path}/store\" }}\n{user}\n"
        );
        fs::write(folder.path().join("nats.conf"), config).expect("written");
        let log = fs::File::create(folder.path().join("log")).expect("a file");
        let mut command = Command::new(program);
        command.arg("-c").arg(folder.path().join("nats.conf")).stdout(Stdio::null()).stderr(log);
        let process = command.spawn().expect("a server");
        let ports = folder.path().join(format!("nats-server_{}.ports", process.id()));
        let mut nats = Self { process, url: String::new(), _folder: folder };
        let port = wait_for("the server's port", || {
            let ports: Value = serde_json::from_str(&fs::read_to_string(&ports).ok()?).ok()?;
            let port: u16 = ports["nats"][0].as_str()?.rsplit(':').next()?.parse().ok()?;
            TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(port)
        });
        nats.url = format!("nats://me:geheim@127.0.0.1:{port}/mine");
        Some(nats)
    }
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
