//! Batches as a user has them: a manifest, a sandbox that is a process of its own, and a command that is killed.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Done, photograph, run};
use crate::way::{Server, is_mp4, lines};

const MANIFEST: &str = "\
defaults: {prompt: dusk falls, duration_seconds: 4}
items:
- chain: [first.jpg, last.jpg, first.jpg]
  output: made/{id}.mp4
  seed: 1
- {id: two, image: first.jpg, last_image: last.jpg, seed: 2, sample_count: 2}
- {id: three, image: first.jpg, last_image: last.jpg, seed: 3}
";

/// The photographs, and a manifest of four items with five clips.
fn folder(manifest: &str) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    for name in ["first.jpg", "last.jpg"] {
        fs::copy(photograph(name), folder.path().join(name)).expect("copied");
    }
    fs::write(folder.path().join("clips.yaml"), manifest).expect("written");
    folder
}

fn status(server: &Server, folder: &Path) -> Value {
    let done = server.run(folder, &["batch", "status", "clips.yaml", "--json"]);
    serde_json::from_str(&done.stdout).expect("JSON")
}

/// Without what differs from run to run.
fn steady(done: &Done, folder: &Path) -> String {
    let folder = folder.display().to_string();
    format!("{}---\n{}", done.stdout, done.stderr).replace(&format!("{folder}/"), "").replace(&folder, "FOLDER")
}

#[test]
fn a_check_tells_every_problem_and_needs_no_key() {
    let folder = folder(
        "defaults: {prompt: dusk falls}\nitems:\n\
         - {id: a, image: first.jpg, last_image: last.jpg}\n\
         - {id: b, image: none.jpg, last_image: last.jpg, aspect_ratio: 9:16}\n\
         - {id: c, image: first.jpg, last_image: clips.yaml, output: a.mp4}\n\
         - {id: d, image: first.jpg, last_image: last.jpg}\n\
         - {id: e, image: first.jpg, last_image: last.jpg, aspect_ratio: 9:16, output: there.mp4}\n\
         - {id: f, image: first.jpg, last_image: last.jpg, resolution: 4k}\n",
    );
    fs::write(folder.path().join("there.mp4"), "somebody's").expect("written");
    let mut command = crate::process::highway(&["batch", "check", "clips.yaml", "--base-url", "http://127.0.0.1:9"]);
    let done = Done::from(command.current_dir(folder.path()).output().expect("the command runs"));
    assert_eq!(done.code, Some(2));
    insta::assert_snapshot!(steady(&done, folder.path()));
}

#[test]
fn a_batch_that_is_killed_goes_on_and_pays_for_nothing_twice() {
    let (server, folder) = (Server::start(), folder(MANIFEST));
    let path = folder.path();
    let prices = r#"{"currency": "USD", "prices": [{"per_second": 0.10}]}"#;
    fs::write(path.join("prices.json"), prices).expect("written");
    let checked = server.run(path, &["batch", "check", "clips.yaml", "--prices", "prices.json"]);
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""));
    let totals = "4 items, 5 clips, 20 s of video\nto send: 4 items, 5 clips; cost: 2.00 USD\n";
    assert_eq!(checked.stdout, totals);
    let planned = server.run(path, &["batch", "run", "clips.yaml", "--prices", "prices.json", "--dry-run"]);
    let first = planned.stdout.lines().next();
    assert_eq!(
        (planned.code, first),
        (Some(0), Some("first-last: first.jpg + last.jpg -> made/first-last.mp4  0.40 USD"))
    );
    assert!(server.run(path, &["batch", "status"]).stdout.is_empty(), "nothing is written down by looking");

    // Much is asked for, and nobody is there to be asked.
    let asked = server.run(path, &["batch", "run", "clips.yaml", "--ask-above", "4"]);
    assert_eq!(asked.code, Some(2), "{}", asked.stderr);

    let run = ["batch", "run", "clips.yaml", "--prices", "prices.json", "--in-flight", "1", "--yes"];
    let mut process = server.command(path, &run).spawn().expect("the command runs");
    let begun = Instant::now();
    while !is_mp4(&path.join("made/first-last.mp4")) {
        assert!(begun.elapsed() < Duration::from_secs(300), "no clip comes");
        std::thread::sleep(Duration::from_millis(20));
    }
    process.kill().expect("killed");
    let _ = process.wait();
    assert!(status(&server, path)["states"]["planned"].as_u64() > Some(0), "it was killed in the middle");

    // Where it was killed in a submit, nobody knows what became of that one; sent again it counts again.
    let mut clips = 5;
    let mut done = server.run(path, &["batch", "resume", "clips.yaml", "--yes"]);
    if done.code == Some(3) {
        let report = server.run(path, &["batch", "report", "clips.yaml", "--format", "json", "-o", "-"]);
        let report: Value = serde_json::from_str(&report.stdout).expect("JSON");
        for item in report["items"].as_array().expect("items").iter().filter(|item| item["state"] == "unknown") {
            let job = item["job"].as_str().expect("a job");
            assert_eq!(server.run(path, &["resolve", job, "--resubmit"]).code, Some(0));
            clips += if item["id"] == "two" { 2 } else { 1 };
        }
        done = server.run(path, &["batch", "resume", "clips.yaml", "--yes"]);
    }
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    let state = status(&server, path);
    assert_eq!((&state["states"]["downloaded"], &state["spent"]["clips"]), (&4.into(), &clips.into()));
    for clip in ["made/first-last.mp4", "made/last-first.mp4", "clips/two-1.mp4", "clips/two-2.mp4", "clips/three.mp4"]
    {
        assert_eq!(server.run(path, &["verify", clip]).code, Some(0), "{clip}");
    }

    // Run once more there is nothing to do and nothing to pay.
    let again = server.run(path, &["batch", "run", "clips.yaml", "--ask-above", "0", "--json"]);
    assert_eq!(again.code, Some(0), "{}{}", again.stdout, again.stderr);
    assert_eq!(lines(&again.stdout).last().expect("a result")["spent"]["clips"], clips);

    reports(&server, path);
}

fn reports(server: &Server, path: &Path) {
    assert_eq!(server.run(path, &["batch", "report", "clips.yaml"]).stdout, "report.html\n");
    let page = fs::read_to_string(path.join("report.html")).expect("a page");
    assert!(page.contains(r#""url":"made/first-last.mp4""#) && page.contains(r#""url":"first.jpg""#));
    assert_eq!(server.run(path, &["batch", "report", "clips.yaml"]).code, Some(2), "it is there already");
    assert_eq!(server.run(path, &["batch", "report", "clips.yaml", "--overwrite", "--embed"]).code, Some(0));
    let embedded = fs::metadata(path.join("report.html")).expect("a page").len();
    assert!(embedded > page.len() as u64 + 100_000, "{embedded}");
    let table = server.run(path, &["batch", "report", "clips.yaml", "--format", "csv", "-o", "-"]).stdout;
    assert_eq!(table.lines().count(), 5, "{table}");
}

#[test]
fn a_cap_ends_a_batch_and_a_larger_one_goes_on() {
    let (server, folder) = (Server::start(), folder(MANIFEST));
    let path = folder.path();
    let capped = server.run(path, &["batch", "run", "clips.yaml", "--max-clips", "1", "--concurrency", "1"]);
    assert_eq!(capped.code, Some(4), "{}", capped.stderr);
    assert!(capped.stderr.contains("what is left would pass what the batch may cost"), "{}", capped.stderr);
    assert_eq!(capped.stdout.lines().last(), Some("made/first-last.mp4"));
    let unpriced = server.run(path, &["batch", "run", "clips.yaml", "--max-spend", "1"]);
    assert_eq!(unpriced.code, Some(2), "{}", unpriced.stderr);
    let cancelled = server.run(path, &["batch", "cancel", "clips.yaml"]);
    assert!(cancelled.stdout.ends_with(": 3 items are not sent any more\n"), "{}", cancelled.stdout);
    let ended = server.run(path, &["batch", "resume", "clips.yaml", "--json"]);
    let last = lines(&ended.stdout).pop().expect("a result");
    assert_eq!((&last["states"]["downloaded"], &last["states"]["dropped"]), (&1.into(), &3.into()), "{last}");
}

/// Who says no has changed nothing: others may be at work on the same record.
#[cfg(target_os = "linux")]
#[test]
fn on_a_terminal_it_asks_and_a_no_sends_nothing() {
    use crate::trouble::on_terminal;

    let (server, folder) = (Server::start(), folder(MANIFEST));
    let path = folder.path();
    let run = ["batch", "run", "clips.yaml", "--ask-above", "4", "--max-clips", "1"];
    for no in ["n\n", "\n"] {
        let (code, screen) = on_terminal(&mut server.command(path, &run), no);
        assert_eq!(code, Some(2), "{screen}");
        assert!(screen.contains("5 clips will be sent and paid for (cost: unknown). Go on? [y/N]"), "{screen}");
        assert!(screen.contains("stopped; nothing was sent"), "{screen}");
        assert!(server.run(path, &["batch", "status"]).stdout.is_empty());
    }
    let (code, screen) = on_terminal(&mut server.command(path, &run), "y\n");
    assert_eq!(code, Some(4), "{screen}");
    assert_eq!(status(&server, path)["spent"]["clips"], 1);

    let resume = ["batch", "resume", "clips.yaml", "--ask-above", "1", "--max-clips", "9"];
    let (code, screen) = on_terminal(&mut server.command(path, &resume), "n\n");
    assert_eq!(code, Some(2), "{screen}");
    let state = status(&server, path);
    assert_eq!((&state["spent"]["clips"], &state["caps"]["max_clips"]), (&1.into(), &1.into()), "{state}");
}

#[test]
fn a_sandbox_of_its_own_is_enough_for_a_first_try() {
    let folder =
        folder("defaults: {prompt: dusk, duration_seconds: 4}\nitems:\n- {image: first.jpg, last_image: last.jpg}\n");
    let mut command = crate::process::highway(&["batch", "run", "clips.yaml", "--sandbox", "--report", "report.html"]);
    let done = Done::from(command.current_dir(folder.path()).output().expect("the command runs"));
    assert_eq!((done.code, done.stdout.as_str()), (Some(0), "clips/first-last.mp4\nreport.html\n"), "{}", done.stderr);
    assert!(run(&["batch", "status"]).stdout.is_empty());
}

/// The README's lines, but for the first two, which bring the service.
#[test]
fn the_lines_of_the_readme_work_as_written() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = fs::read_to_string(root.join("README.md")).expect("the README");
    let section = readme.split("\n## ").find(|section| section.starts_with("Batches\n")).expect("a section");
    let script: Vec<&str> = section.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    assert_eq!(script.len(), 10, "{script:?}");
    assert!(script[0].starts_with("highway sandbox &") && script[1].starts_with("export HIGHWAY_BASE_URL="));

    let (server, folder) = (Server::start(), TempDir::new().expect("a folder"));
    for name in ["batch/clips.yaml", "batch/prices.json", "frames/first.jpg", "frames/last.jpg"] {
        let to = folder.path().join("examples").join(name);
        fs::create_dir_all(to.parent().expect("a folder")).expect("made");
        fs::copy(root.join("examples").join(name), to).expect("copied");
    }
    // The environment is that of `highway`, and so the program that is run with it.
    let highway = server.command(folder.path(), &[]);
    let bin = Path::new(highway.get_program()).parent().expect("a folder").display().to_string();
    let path = format!("{bin}:{}", std::env::var("PATH").unwrap_or_default());
    let mut shell = std::process::Command::new("sh");
    shell.args(["-e", "-c", &script[2..].join("\n")]).current_dir(folder.path());
    for (name, value) in highway.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let done = Done::from(shell.env("PATH", path).output().expect("a shell runs"));
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("to send: 4 items, 4 clips; cost: 1.80 USD"), "{}", done.stdout);
    assert!(folder.path().join("examples/batch/report.html").is_file() && done.stdout.ends_with("report.html\n"));
}
