//! The record: what is listed, taken up again, decided and checked.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fake::{Fake, Reply, answer, mp4};
use crate::process::{Done, highway, photograph};

const ID: &str = "7b8e1d1c-52ab-4f7c-9c3e-0a6c5f6f2d11";

fn run(fake: &Fake, folder: &Path, args: &[&str]) -> Done {
    let mut command = highway(args);
    command.current_dir(folder).env("HIGHWAY_STATE", folder.join("state"));
    command.env("HIGHWAY_BASE_URL", &fake.base_url).env("HIGHWAY_API_KEY", "sk-1");
    command.output().expect("the command runs").into()
}

fn generate(fake: &Fake, folder: &Path, more: &[&str]) -> Done {
    let (first, last) = (photograph("first.jpg"), photograph("last.jpg"));
    run(fake, folder, &[&["generate", &first, &last, "-p", "dusk falls", "--seed", "7"], more].concat())
}

fn record(fake: &Fake, folder: &Path) -> Vec<Value> {
    let listed = run(fake, folder, &["tasks", "--json"]);
    listed.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn json(status: &str, body: &Value) -> Reply {
    answer(status, "content-type: application/json\r\n", body.to_string().as_bytes())
}

/// A service where all goes well.
fn well(request: &str, own_url: &str) -> Reply {
    if request.starts_with("POST") {
        json("200 OK", &json!({ "task_id": ID }))
    } else if request.starts_with("GET /clip.mp4") {
        answer("200 OK", "", &mp4())
    } else {
        let videos = json!([{ "video_url": format!("{own_url}/clip.mp4") }]);
        json("200 OK", &json!({ "task": { "status": "TASK_STATUS_SUCCEED" }, "videos": videos }))
    }
}

/// One where the answer to a submit is lost, and all else goes well.
fn lossy(request: &str, own_url: &str) -> Reply {
    if request.starts_with("POST") { Reply::Close } else { well(request, own_url) }
}

/// Without what differs from run to run.
fn steady(text: &str, job: &str, fake: &Fake) -> String {
    let frames = fs::canonicalize(photograph("")).expect("the photographs");
    let text = text.replace(job, "JOB").replace(&fake.base_url, "SERVICE").replace(&photograph(""), "FRAMES/");
    let text = text.replace(&format!("{}/", frames.display()), "FRAMES/");
    let time = |line: &str| ["submitted  ", "changed    "].iter().any(|name| line.starts_with(name));
    let lines = text.lines().map(|line| if time(line) { format!("{} TIME", &line[..18]) } else { line.to_owned() });
    lines.collect::<Vec<_>>().join("\n")
}

fn requests(fake: &Fake) -> Vec<String> {
    let mut requests = Vec::new();
    while !fake.is_idle_after(&mut requests) {}
    requests
}

fn posts(fake: &Fake) -> usize {
    requests(fake).iter().filter(|request| request.starts_with("POST")).count()
}

#[test]
fn the_same_again_is_not_paid_for_again() {
    let folder = TempDir::new().expect("a folder");
    let fake = Fake::start(well);
    for (more, file) in [(&[][..], "clip.mp4"), (&[], "clip.mp4"), (&["-o", "b.mp4"], "b.mp4")] {
        let done = generate(&fake, folder.path(), more);
        assert_eq!((done.code, done.stdout), (Some(0), format!("{file}\n")), "{}", done.stderr);
        let verified = run(&fake, folder.path(), &["verify", file]);
        assert_eq!(verified.code, Some(0), "{}", verified.stderr);
    }
    fs::remove_file(folder.path().join("b.mp4")).expect("removed");
    let done = generate(&fake, folder.path(), &["-o", "b.mp4"]);
    assert_eq!((done.code, fs::read(folder.path().join("b.mp4")).expect("again")), (Some(0), mp4()), "{}", done.stderr);
    assert_eq!((posts(&fake), record(&fake, folder.path()).len()), (1, 1));

    let again = generate(&fake, folder.path(), &["-o", "c.mp4", "--again"]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert_eq!((posts(&fake), record(&fake, folder.path()).len()), (1, 2));
}

#[test]
fn a_file_that_is_in_the_way_is_not_replaced_by_what_was_paid_for_before() {
    let folder = TempDir::new().expect("a folder");
    let fake = Fake::start(well);
    assert_eq!(generate(&fake, folder.path(), &[]).code, Some(0));
    fs::write(folder.path().join("mine.mp4"), "mine").expect("written");
    let done = generate(&fake, folder.path(), &["-o", "mine.mp4"]);
    assert_eq!(done.code, Some(2), "{}", done.stderr);
    assert_eq!(fs::read(folder.path().join("mine.mp4")).expect("mine"), b"mine");
    assert_eq!(generate(&fake, folder.path(), &["-o", "mine.mp4", "--overwrite"]).code, Some(0));
    assert_eq!(fs::read(folder.path().join("mine.mp4")).expect("a clip"), mp4());
}

#[test]
fn an_answer_that_is_lost_is_decided_by_its_user_alone() {
    let folder = TempDir::new().expect("a folder");
    let fake = Fake::start(lossy);
    assert_eq!(generate(&fake, folder.path(), &[]).code, Some(3));
    let job = record(&fake, folder.path())[0]["id"].as_str().expect("an id").to_owned();
    for args in [&["resume", "--all"][..], &["resume", &job], &["wait", &job], &["fetch", &job]] {
        let done = run(&fake, folder.path(), args);
        assert_eq!(done.code, Some(3), "{args:?}: {}", done.stderr);
        assert!(done.stderr.contains(&format!("highway resolve {job}")), "{}", done.stderr);
    }
    let again = generate(&fake, folder.path(), &[]);
    assert_eq!(again.code, Some(3), "{}", again.stderr);
    assert_eq!(posts(&fake), 1);

    let told = run(&fake, folder.path(), &["resolve", &job[..4]]);
    assert_eq!((told.code, told.stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!(steady(&told.stdout, &job, &fake));

    let found = run(&fake, folder.path(), &["resolve", &job, "--task", ID]);
    assert_eq!(found.code, Some(0), "{}", found.stderr);
    let resumed = run(&fake, folder.path(), &["resume", "--all"]);
    assert_eq!((resumed.code, resumed.stdout.as_str()), (Some(0), "clip.mp4\n"), "{}", resumed.stderr);
    assert_eq!((posts(&fake), &record(&fake, folder.path())[0]["state"]), (0, &"downloaded".into()));
}

#[test]
fn sent_again_or_given_up_by_the_word_of_the_user() {
    let folder = TempDir::new().expect("a folder");
    let fake = Fake::start(lossy);
    assert_eq!(generate(&fake, folder.path(), &[]).code, Some(3));
    let job = record(&fake, folder.path())[0]["id"].as_str().expect("an id").to_owned();

    let again = run(&fake, folder.path(), &["resolve", &job, "--resubmit"]);
    assert_eq!(again.code, Some(3), "{}", again.stderr);
    assert_eq!(posts(&fake), 2);
    assert_eq!(record(&fake, folder.path())[0]["attempt"], 2);

    let dropped = run(&fake, folder.path(), &["resolve", &job, "--drop"]);
    assert_eq!((dropped.code, dropped.stdout), (Some(0), format!("job {job} is dropped\n")));
    assert_eq!(run(&fake, folder.path(), &["resume", "--all"]).code, Some(0));
    let over = run(&fake, folder.path(), &["resolve", &job, "--resubmit"]);
    assert_eq!(over.code, Some(1), "{}", over.stderr);
    // What was given up may have been paid for, and is sent anew only when that is asked for.
    let same = generate(&fake, folder.path(), &[]);
    assert_eq!(same.code, Some(1), "{}", same.stderr);
    assert!(same.stderr.contains("the same `highway generate` with --again"), "{}", same.stderr);
    assert_eq!(posts(&fake), 0);
    assert_eq!(generate(&fake, folder.path(), &["--again"]).code, Some(3));
    assert_eq!(posts(&fake), 1);
}

#[test]
fn a_task_from_elsewhere_is_taken_in_and_finished() {
    let folder = TempDir::new().expect("a folder");
    let fake = Fake::start(well);
    let adopted = run(&fake, folder.path(), &["adopt", ID]);
    assert_eq!(adopted.code, Some(0), "{}", adopted.stderr);
    let job = record(&fake, folder.path())[0]["id"].as_str().expect("an id").to_owned();
    let resumed = run(&fake, folder.path(), &["resume", ID]);
    assert_eq!((resumed.code, resumed.stdout), (Some(0), format!("clip-{job}.mp4\n")), "{}", resumed.stderr);
    let elsewhere = run(&fake, folder.path(), &["resume", &job, "-o", "there.mp4"]);
    assert_eq!((elsewhere.code, elsewhere.stdout.as_str()), (Some(0), "there.mp4\n"), "{}", elsewhere.stderr);
    assert_eq!(posts(&fake), 0);
}

#[test]
fn a_clip_that_has_changed_is_told() {
    let folder = TempDir::new().expect("a folder");
    let fake = Fake::start(well);
    assert_eq!(generate(&fake, folder.path(), &[]).code, Some(0));
    let clip = folder.path().join("clip.mp4");
    let mut bytes = mp4();
    *bytes.last_mut().expect("a byte") = b'y';
    fs::write(&clip, &bytes).expect("written");
    let changed = run(&fake, folder.path(), &["verify", "clip.mp4"]);
    assert_eq!(changed.code, Some(1));
    insta::assert_snapshot!(changed.stderr, @r"
    highway: a clip is not as it was fetched
      because: clip.mp4 is not what clip.json says: its SHA-256 is another
      charged: no
      to fetch it again, if it is in the record: highway resume 7b8e1d1c-52ab-4f7c-9c3e-0a6c5f6f2d11 -o clip.mp4 --overwrite
    ");
    let refused = run(&fake, folder.path(), &["resume", ID]);
    assert_eq!(refused.code, Some(6), "{}", refused.stderr);
    let replaced = run(&fake, folder.path(), &["resume", ID, "--overwrite"]);
    assert_eq!(replaced.code, Some(0), "{}", replaced.stderr);
    fs::remove_file(&clip).expect("removed");
    let gone = run(&fake, folder.path(), &["verify", "clip.mp4", "--json"]);
    let gone: Vec<Value> = gone.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((&gone[0]["event"], &gone[1]["event"]), (&"changed".into(), &"error".into()));
    assert_eq!(gone[1]["exit_code"], 1);
    let resumed = run(&fake, folder.path(), &["resume", ID]);
    assert_eq!(resumed.code, Some(0), "{}", resumed.stderr);
    assert_eq!(run(&fake, folder.path(), &["verify", "clip.mp4"]).code, Some(0));
}

#[test]
fn what_is_over_can_be_removed_and_is_then_paid_for_anew() {
    let folder = TempDir::new().expect("a folder");
    let (fake, lossy) = (Fake::start(well), Fake::start(lossy));
    assert_eq!(generate(&fake, folder.path(), &[]).code, Some(0));
    assert_eq!(generate(&lossy, folder.path(), &["-o", "b.mp4"]).code, Some(3));
    let early = run(&fake, folder.path(), &["tasks", "prune"]);
    assert_eq!((early.code, early.stdout.as_str()), (Some(0), ""), "{}", early.stderr);
    let pruned = run(&fake, folder.path(), &["tasks", "prune", "--older-than", "0s"]);
    assert_eq!((pruned.code, pruned.stdout.lines().count()), (Some(0), 1), "{}", pruned.stderr);
    let left = record(&fake, folder.path());
    assert_eq!((left.len(), &left[0]["state"]), (1, &"unknown".into()));
    assert!(folder.path().join("clip.mp4").is_file());
    assert_eq!(generate(&fake, folder.path(), &["-o", "c.mp4"]).code, Some(0));
    assert_eq!(posts(&fake), 2);
}

#[test]
fn the_table_is_for_people() {
    let folder = TempDir::new().expect("a folder");
    let (fake, lossy) = (Fake::start(well), Fake::start(lossy));
    let empty = run(&fake, folder.path(), &["tasks"]);
    assert_eq!((empty.code, empty.stdout.as_str()), (Some(0), ""), "{}", empty.stderr);
    assert_eq!(generate(&fake, folder.path(), &["-o", "夕.mp4"]).code, Some(0));
    let (first, last) = (photograph("first.jpg"), photograph("last.jpg"));
    let odd = run(&lossy, folder.path(), &["submit", &first, &last, "-p", "\x1b[31mred\nand two lines"]);
    assert_eq!(odd.code, Some(3));
    let table = run(&fake, folder.path(), &["tasks"]);
    let ids = record(&fake, folder.path());
    let mut text = format!("{}{}", table.stdout, table.stderr);
    for id in ids {
        text = text.replace(id["id"].as_str().expect("an id"), "JOB-----");
    }
    for seconds in 0..10 {
        text = text.replace(&format!("  {seconds} s  "), "  N s  ");
    }
    insta::assert_snapshot!(text, @r"
    JOB       STATE       AGE  CLIP    PROMPT
    JOB-----  downloaded  N s  夕.mp4  dusk falls
    JOB-----  unknown     N s  -        [31mred and two lines
    highway: 1 may have been paid for, and nobody knows: highway resolve ID
    ");
}

/// Two at the same moment: one pays, the other one says so.
#[test]
fn two_of_the_same_at_once_pay_once() {
    let folder = TempDir::new().expect("a folder");
    let fake = Fake::start(well);
    let both: Vec<Done> = std::thread::scope(|scope| {
        let run = || scope.spawn(|| generate(&fake, folder.path(), &[]));
        [run(), run()].into_iter().map(|thread| thread.join().expect("runs")).collect()
    });
    assert!(both.iter().any(|done| done.code == Some(0)), "{}{}", both[0].stderr, both[1].stderr);
    assert_eq!((posts(&fake), record(&fake, folder.path()).len()), (1, 1));
}
