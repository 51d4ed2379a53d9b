//! What goes wrong after a submit has begun: the exit code, and what is told so that nothing paid for is lost.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fake::{Fake, Reply, answer, mp4};
use crate::process::{Done, highway, interrupt, photograph};

const ID: &str = "7b8e1d1c-52ab-4f7c-9c3e-0a6c5f6f2d11";

fn command(fake: &Fake, folder: &Path, args: &[&str]) -> Command {
    let mut command = highway(args);
    command.current_dir(folder).env("HIGHWAY_STATE", folder.join("state"));
    command.env("HIGHWAY_BASE_URL", &fake.base_url).env("HIGHWAY_API_KEY", "sk-1");
    command
}

fn run(fake: &Fake, folder: &Path, args: &[&str]) -> Done {
    command(fake, folder, args).output().expect("the command runs").into()
}

fn submit(fake: &Fake, folder: &Path) -> Command {
    command(fake, folder, &["submit", &photograph("first.jpg"), &photograph("last.jpg"), "-p", "x"])
}

/// What is left to read, and the exit code.
fn end(mut process: Child, mut stderr: impl Read) -> (Option<i32>, String) {
    let mut text = String::new();
    stderr.read_to_string(&mut text).expect("text");
    (process.wait().expect("it ends").code(), text)
}

#[test]
fn a_submit_whose_answer_is_lost_is_not_repeated() {
    let folder = TempDir::new().expect("a folder");
    let fake = Fake::start(|_, _| Reply::Close);
    let done = Done::from(submit(&fake, folder.path()).output().expect("the command runs"));
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    assert!(done.stderr.contains("highway resolve "), "{}", done.stderr);
    assert!(fake.request().starts_with("POST ") && fake.is_idle());
}

/// Reading them would take longer than all else before the first byte.
#[cfg(target_os = "linux")]
#[test]
fn no_certificates_are_read_for_a_service_on_this_machine() {
    let folder = TempDir::new().expect("a folder");
    let fake = Fake::start(|_, _| answer("200 OK", "", json!({ "task_id": ID }).to_string().as_bytes()));
    let mut submit = submit(&fake, folder.path());
    submit.env("SSL_CERT_FILE", "/dev/null").env("SSL_CERT_DIR", folder.path().join("none"));
    let done = Done::from(submit.output().expect("the command runs"));
    assert_eq!((done.code, done.stdout.trim()), (Some(0), ID), "{}", done.stderr);
}

#[cfg(unix)]
#[test]
fn the_first_ctrl_c_waits_for_the_answer_and_the_second_leaves() {
    let folder = TempDir::new().expect("a folder");
    let fake = Fake::start(|_, _| Reply::Silence);
    let mut process = submit(&fake, folder.path()).spawn().expect("the command runs");
    let mut stderr = BufReader::new(process.stderr.take().expect("piped"));
    fake.request();

    interrupt(&process);
    let mut note = String::new();
    stderr.read_line(&mut note).expect("a line");
    assert!(note.starts_with("highway: waiting for the answer"), "{note}");
    std::thread::sleep(Duration::from_millis(300));
    assert!(process.try_wait().expect("asked").is_none(), "the first Ctrl-C ended it");

    interrupt(&process);
    let (code, text) = end(process, stderr);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("whether the submit was accepted is unknown"), "{text}");
    assert!(text.contains("highway resolve "), "{text}");
    assert!(fake.is_idle());
}

/// As when its terminal is closed.
#[cfg(unix)]
#[test]
fn a_hang_up_waits_for_the_answer() {
    let folder = TempDir::new().expect("a folder");
    let fake = Fake::start(|_, _| {
        std::thread::sleep(Duration::from_secs(1));
        accepted()
    });
    let process = submit(&fake, folder.path()).spawn().expect("the command runs");
    // Nothing tells that the request is on its way but the record, which has its intent.
    let begun = || run(&fake, folder.path(), &["tasks", "--json"]).stdout.contains("\"intent\"");
    while !begun() {}
    let killed = Command::new("kill").args(["-HUP", &process.id().to_string()]).status().expect("kill runs");
    assert!(killed.success());
    let done = Done::from(process.wait_with_output().expect("it ends"));
    assert_eq!((done.code, done.stdout), (Some(0), format!("{ID}\n")), "{}", done.stderr);
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_the_pause_before_another_attempt() {
    let folder = TempDir::new().expect("a folder");
    let fake = Fake::start(|_, _| answer("429 Too Many Requests", "retry-after: 30\r\n", b"{}"));
    let mut process = submit(&fake, folder.path()).spawn().expect("the command runs");
    let stderr = process.stderr.take().expect("piped");
    fake.request();
    // So that the answer is there and the pause has begun.
    std::thread::sleep(Duration::from_millis(300));

    let pressed = Instant::now();
    interrupt(&process);
    let (code, text) = end(process, stderr);
    assert!(pressed.elapsed() < Duration::from_secs(5));
    assert_eq!(code, Some(1), "{text}");
    assert_eq!(text, "highway: stopped before anything was accepted\n  charged: no\n");
    assert!(fake.is_idle());
}

fn accepted() -> Reply {
    answer("200 OK", "content-type: application/json\r\n", json!({ "task_id": ID }).to_string().as_bytes())
}

/// A task that has succeeded with two videos, the first of them somewhere else.
fn succeeded(request: &str, own_url: &str, elsewhere: &str) -> Reply {
    if request.starts_with("GET /clip.mp4") {
        return answer("200 OK", "", &mp4());
    }
    let videos =
        json!([{ "video_url": format!("{elsewhere}/clip.mp4") }, { "video_url": format!("{own_url}/clip.mp4") }]);
    let body = json!({ "task": { "task_id": ID, "status": "TASK_STATUS_SUCCEED" }, "videos": videos });
    answer("200 OK", "content-type: application/json\r\n", body.to_string().as_bytes())
}

#[test]
fn one_video_that_cannot_be_fetched_does_not_give_up_the_others() {
    let folder = TempDir::new().expect("a folder");
    let fake = Fake::start(|request, own_url| succeeded(request, own_url, "http://127.0.0.1:9"));
    let done = run(&fake, folder.path(), &["fetch", ID]);
    assert_eq!((done.code, done.stdout.as_str()), (Some(6), "clip-2.mp4\n"), "{}", done.stderr);
    assert!(done.stderr.contains("1 of 2 videos could not be fetched"), "{}", done.stderr);
    assert!(done.stderr.contains("because: clip-1.mp4: "), "{}", done.stderr);
    assert!(done.stderr.contains("to fetch again (-o FILE for another place): highway resume "), "{}", done.stderr);
    assert!(folder.path().join("clip-2.json").is_file() && !folder.path().join("clip-1.mp4").exists());
}

#[test]
fn a_sidecar_that_cannot_be_written_does_not_give_up_the_others() {
    let folder = TempDir::new().expect("a folder");
    let fake = Fake::start(|request, own_url| succeeded(request, own_url, own_url));
    // Where the sidecar would go is a folder.
    std::fs::create_dir_all(folder.path().join("clip-1.json/full")).expect("made");
    let done = run(&fake, folder.path(), &["fetch", ID, "--overwrite"]);
    assert_eq!((done.code, done.stdout.as_str()), (Some(6), "clip-2.mp4\n"), "{}", done.stderr);
    assert!(done.stderr.contains("clip-1.json exists already"), "{}", done.stderr);
    // Without its sidecar a clip has no name.
    assert!(!folder.path().join("clip-1.mp4").exists());
    std::fs::remove_dir_all(folder.path().join("clip-1.json")).expect("removed");
    let done = run(&fake, folder.path(), &["resume", "--all"]);
    assert_eq!((done.code, done.stdout.as_str()), (Some(0), "clip-1.mp4\nclip-2.mp4\n"), "{}", done.stderr);
    let fetched = (0..5).filter(|_| fake.request().starts_with("GET /clip.mp4")).count();
    assert!(fetched == 2 && fake.is_idle(), "{fetched}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_while_fetching_tells_that_the_task_is_finished() {
    let folder = TempDir::new().expect("a folder");
    let fake = Fake::start(|request, own_url| match request.starts_with("GET /clip.mp4") {
        true => Reply::Silence,
        false => succeeded(request, own_url, own_url),
    });
    let mut process = command(&fake, folder.path(), &["fetch", ID]).spawn().expect("the command runs");
    let stderr = process.stderr.take().expect("piped");
    while !fake.request().starts_with("GET /clip.mp4") {}
    interrupt(&process);
    let (code, text) = end(process, stderr);
    assert_eq!(code, Some(6), "{text}");
    assert!(text.contains(&format!("stopped; task {ID} is finished and paid for")), "{text}");
    assert!(text.contains("to fetch again (-o FILE for another place): highway resume "), "{text}");
}

#[test]
fn fetch_bears_with_a_poll_that_fails_and_does_not_wait_for_a_task_that_runs() {
    let folder = TempDir::new().expect("a folder");
    let polls = AtomicU32::new(0);
    let fake = Fake::start(move |_, _| {
        if polls.fetch_add(1, Ordering::Relaxed) == 0 {
            return answer("502 Bad Gateway", "", b"");
        }
        let body = json!({ "task": { "task_id": ID, "status": "TASK_STATUS_PROCESSING" } });
        answer("200 OK", "content-type: application/json\r\n", body.to_string().as_bytes())
    });
    let done = run(&fake, folder.path(), &["fetch", ID]);
    assert_eq!(done.code, Some(4), "{}", done.stderr);
    assert!(done.stderr.contains("to go on: highway resume "), "{}", done.stderr);
    // One that fails, one that tells that there is such a task, one that tells how far it is.
    assert!((0..3).all(|_| fake.request().starts_with("GET ")) && fake.is_idle());
}

/// How far a task is, as the service tells.
fn told(id: &str, status: &str, own_url: &str) -> Reply {
    let videos = json!([{ "video_url": format!("{own_url}/clip.mp4") }]);
    let body = json!({ "task": { "task_id": id, "status": status }, "videos": videos });
    answer("200 OK", "content-type: application/json\r\n", body.to_string().as_bytes())
}

#[test]
fn every_step_names_its_job_and_its_task() {
    let folder = TempDir::new().expect("a folder");
    let polls = AtomicU32::new(0);
    // The first tells that there is such a task.
    let fake = Fake::start(move |_, own_url| match polls.fetch_add(1, Ordering::Relaxed) {
        0 | 2 => told(ID, "TASK_STATUS_PROCESSING", own_url),
        1 => answer("502 Bad Gateway", "", b""),
        _ => told(ID, "TASK_STATUS_SUCCEED", own_url),
    });
    let done = run(&fake, folder.path(), &["wait", ID, "--json"]);
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    let events: Vec<Value> = done.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let names: Vec<_> = events.iter().map(|event| &event["event"]).collect();
    assert_eq!(names, ["poll_failed", "progress", "done"]);
    let job = events[2]["job"].as_str().expect("a job");
    for event in &events {
        assert_eq!((&event["job"], &event["task_id"]), (&json!(job), &json!(ID)), "{event}");
    }
}

/// Runs it with all it says on a terminal, where this is typed: how it ended, and what was drawn.
#[cfg(target_os = "linux")]
pub(crate) fn on_terminal(command: &mut Command, typed: &str) -> (Option<i32>, String) {
    use std::fs::File;
    use std::io::Write;

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&screen).and_then(|()| unlockpt(&screen)).expect("a terminal");
    let name = ptsname(&screen, Vec::new()).expect("its name").into_string().expect("text");
    let terminal = File::options().read(true).write(true).open(name).expect("its other side");
    let size = rustix::termios::Winsize { ws_row: 24, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&terminal, size).expect("a size");
    let clone = || terminal.try_clone().expect("a terminal");
    let mut child =
        command.env("TERM", "xterm").stdin(clone()).stdout(clone()).stderr(clone()).spawn().expect("the command runs");
    // The command holds it, too, and the end is seen once nobody does.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    drop(terminal);
    let mut drawn = Vec::new();
    let mut screen = File::from(screen);
    screen.write_all(typed.as_bytes()).expect("typed");
    // It ends with an error: nobody is there any more.
    let _ = screen.read_to_end(&mut drawn);
    (child.wait().expect("an end").code(), String::from_utf8(drawn).expect("text"))
}

/// The next poll may be a minute away.
#[cfg(target_os = "linux")]
#[test]
fn the_line_on_a_terminal_outlives_the_first_clip() {
    const SLOW: &str = "0a4d2f60-8a3f-4f57-bb0e-1d1c1f0c7a22";
    let folder = TempDir::new().expect("a folder");
    let (fetched, polls) = (AtomicU32::new(0), AtomicU32::new(0));
    let fake = Fake::start(move |request, own_url| {
        if request.starts_with("GET /clip.mp4") {
            fetched.fetch_add(1, Ordering::Relaxed);
            return answer("200 OK", "", &mp4());
        }
        if !request.contains(SLOW) {
            return told(ID, "TASK_STATUS_SUCCEED", own_url);
        }
        // It is done at the second poll after the other's clip was fetched.
        let over = fetched.load(Ordering::Relaxed) > 0 && polls.fetch_add(1, Ordering::Relaxed) > 0;
        told(SLOW, if over { "TASK_STATUS_SUCCEED" } else { "TASK_STATUS_PROCESSING" }, own_url)
    });
    for id in [ID, SLOW] {
        assert_eq!(run(&fake, folder.path(), &["adopt", id]).code, Some(0));
    }

    let mut resume = command(&fake, folder.path(), &["resume", "--all"]);
    let (code, screen) = on_terminal(&mut resume, "");
    assert_eq!(code, Some(0), "{screen}");
    assert!(screen.contains("2 jobs left: waiting"), "{screen}");
    // A clip that is saved stands with its size in a line of its own.
    let (_, after) = screen.split_once(".mp4 (").expect("a clip");
    assert!(after.contains("fetching clip-"), "{screen}");
    let (_, after) = after.split_once(".mp4 (").expect("the other clip");
    assert!(!after.contains("fetching") && !after.contains("waiting"), "{screen}");
}

#[test]
fn a_task_that_runs_while_the_key_is_refused_can_be_taken_up_again() {
    let folder = TempDir::new().expect("a folder");
    let fake = Fake::start(|request, _| match request.starts_with("POST") {
        true => accepted(),
        false => answer("401 Unauthorized", "", b"{}"),
    });
    let args = ["generate", &photograph("first.jpg"), &photograph("last.jpg"), "-p", "x"];
    let done = run(&fake, folder.path(), &args);
    assert_eq!(done.code, Some(5), "{}", done.stderr);
    assert!(done.stderr.starts_with(&format!("task {ID}\n")), "{}", done.stderr);
    assert!(done.stderr.contains("to go on: highway resume "), "{}", done.stderr);
}

#[test]
fn a_submit_that_is_refused_for_its_input_exits_with_2_and_a_task_never_does() {
    let folder = TempDir::new().expect("a folder");
    let fake = Fake::start(|_, _| answer("422 Unprocessable Entity", "", b"{}"));
    let done = Done::from(submit(&fake, folder.path()).output().expect("the command runs"));
    assert_eq!(done.code, Some(2), "{}", done.stderr);
    let done = run(&fake, folder.path(), &["wait", ID]);
    assert_eq!(done.code, Some(1), "{}", done.stderr);
}

/// The task is paid for by the time nobody reads any more.
#[test]
fn an_id_that_standard_output_does_not_take_is_told_on_standard_error() {
    let folder = TempDir::new().expect("a folder");
    let fake = Fake::start(|_, _| accepted());
    for again in [&["--again"][..], &["--again", "--json"]] {
        let mut process = submit(&fake, folder.path()).args(again).stdout(Stdio::piped()).spawn().expect("it runs");
        drop(process.stdout.take());
        let stderr = process.stderr.take().expect("piped");
        let (code, text) = end(process, stderr);
        assert_eq!(code, Some(4), "{text}");
        assert!(text.contains(ID) && text.contains("highway resume ") && !text.contains("panicked"), "{text}");
    }
}

#[test]
fn a_record_holds_neither_password_nor_signature_of_a_url() {
    let folder = TempDir::new().expect("a folder");
    let fake = Fake::start(|request, own_url| match request.starts_with("POST") {
        true => accepted(),
        false => succeeded(request, own_url, own_url),
    });
    let url = "https://someone:word@example.com/a.png?signature=abc";
    // One is asked for and two come: each has a file of its own.
    let done = run(&fake, folder.path(), &["generate", url, url, "-p", "x"]);
    assert_eq!((done.code, done.stdout.as_str()), (Some(0), "clip-1.mp4\nclip-2.mp4\n"), "{}", done.stderr);
    let record = std::fs::read_to_string(folder.path().join("clip-1.json")).expect("a record");
    assert!(record.contains("\"https://example.com/a.png"), "{record}");
    assert!(!record.contains("someone") && !record.contains("word") && !record.contains("signature"), "{record}");
}
