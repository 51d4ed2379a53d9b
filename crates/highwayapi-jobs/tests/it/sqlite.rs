//! The record in its file: who may read it, who may use it at once, and what it says when it cannot be used.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Barrier;
use std::time::Duration;

use highwayapi_jobs::{Held, SqliteStore, State, Store, Which, state_folder};
use tokio::runtime::Builder;

use crate::support::{added, folder, held_soon, id, job};

/// What a process of its own does, when a test starts one.
#[test]
#[ignore = "started by other tests, as a process of its own"]
fn process() {
    let Some(role) = env::var_os("RECORD_ROLE") else { return };
    let folder = env::var_os("RECORD_FOLDER").map(std::path::PathBuf::from).expect("a folder");
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    // Behind whatever the test's own runner has written so far.
    let say = |text: &str| println!("\n> {text}");
    let start = |folder: &Path| {
        say("ready");
        while !folder.with_extension("start").exists() {
            std::thread::sleep(Duration::from_micros(100));
        }
    };
    match role.to_str().expect("a role") {
        "open" => {
            start(&folder);
            say(&format!("{:?}", SqliteStore::open(&folder).map(drop)));
        }
        "open at once" => match SqliteStore::open(&folder) {
            Ok(_) => say("opened"),
            Err(error) => say(&error.to_string()),
        },
        "default" => {
            let store = SqliteStore::open_default().expect("a record");
            say(&state_folder().expect("a folder").display().to_string());
            drop(store);
        }
        "hold" => runtime.block_on(async {
            let store = SqliteStore::open(&folder).expect("a record");
            let hold = store.hold(&id("aaaaaaaa")).await.expect("a record");
            assert!(matches!(hold, Held::Yes(..)));
            say("held");
            std::future::pending().await
        }),
        "claim" => runtime.block_on(async {
            let store = SqliteStore::open(&folder).expect("a record");
            start(&folder);
            loop {
                let entries = store.jobs(Which::All).await.expect("jobs");
                let Some(free) = entries.iter().find(|entry| entry.job.state == State::Submitted) else { break };
                let free =
                    entries.iter().find(|entry| entry.job.state == State::Submitted && !entry.held).unwrap_or(free);
                let Held::Yes(hold, mut job) = store.hold(&free.job.id).await.expect("a record") else { continue };
                if job.state == State::Submitted {
                    say(job.id.as_str());
                    job.state = State::Succeeded;
                    store.save(&hold, &job).await.expect("a record");
                }
            }
        }),
        role => panic!("{role}"),
    }
}

struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn command(role: &str, folder: &Path) -> Command {
        let mut command = Command::new(env::current_exe().expect("this program"));
        command.args(["--exact", "sqlite::process", "--ignored", "--nocapture"]);
        command.env("RECORD_ROLE", role).env("RECORD_FOLDER", folder).stdout(Stdio::piped());
        command
    }

    fn start(mut command: Command) -> Self {
        let mut child = command.spawn().expect("a process");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        Self { child, lines }
    }

    /// What it says next.
    fn next(&mut self) -> Option<String> {
        self.lines.find_map(|line| Some(line.expect("a line").strip_prefix("> ")?.to_owned()))
    }

    /// What it says until it ends, which must be a good end.
    fn rest(mut self) -> Vec<String> {
        let said = std::iter::from_fn(|| self.next()).collect();
        assert!(self.child.wait().expect("an end").success());
        said
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// So many processes, which all begin in the same moment. What each of them said.
fn at_once(count: usize, role: &str, folder: &Path) -> Vec<Vec<String>> {
    let mut all: Vec<_> = (0..count).map(|_| Process::start(Process::command(role, folder))).collect();
    for process in &mut all {
        assert_eq!(process.next().as_deref(), Some("ready"));
    }
    fs::write(folder.with_extension("start"), "").expect("a file");
    all.into_iter().map(Process::rest).collect()
}

#[test]
fn many_processes_open_a_fresh_folder_at_the_same_moment() {
    for _ in 0..3 {
        let folder = folder();

        for said in at_once(8, "open", &folder.path().join("state")) {
            assert_eq!(said, ["Ok(())"]);
        }
        let store = SqliteStore::open(folder.path().join("state")).expect("a record");
        // Of those that are gone nothing is left.
        let holders = fs::read_dir(folder.path().join("state/record.holders")).expect("a folder");
        assert_eq!(holders.count(), 1);
        drop(store);
    }
}

#[test]
fn of_many_processes_one_takes_each_job() {
    let folder = folder();
    let record = folder.path().join("state");
    let store = SqliteStore::open(&record).expect("a record");
    let mut ids: Vec<_> = (0..30).map(|at| format!("job000{at:02}")).map(|id| id.replace('o', "x")).collect();
    let runtime = Builder::new_multi_thread().build().expect("a runtime");
    runtime.block_on(async {
        for id in &ids {
            drop(added(&store, &job(id, None, State::Submitted)).await);
        }
    });
    let mut taken = at_once(4, "claim", &record).concat();
    taken.sort_unstable();
    ids.sort_unstable();
    assert_eq!(taken, ids);
}

#[tokio::test]
async fn the_jobs_of_a_killed_process_are_free_at_once_and_not_before() {
    let folder = folder();
    let store = SqliteStore::open(folder.path()).expect("a record");
    let mine = job("aaaaaaaa", None, State::Intent);
    drop(added(&store, &mine).await);
    drop(held_soon(&store, &mine.id).await);
    drop(store);
    let mut holder = Process::start(Process::command("hold", folder.path()));
    assert_eq!(holder.next().as_deref(), Some("held"));

    let store = SqliteStore::open(folder.path()).expect("a record");
    assert!(matches!(store.hold(&mine.id).await.expect("a record"), Held::ByAnother(_)));
    assert!(store.jobs(Which::All).await.expect("jobs")[0].held);
    holder.child.kill().expect("killed");
    holder.child.wait().expect("an end");
    assert!(!store.jobs(Which::All).await.expect("jobs")[0].held);
    assert!(matches!(store.hold(&mine.id).await.expect("a record"), Held::Yes(..)));
}

/// Such as where somebody cleans up what is in use.
#[tokio::test]
async fn a_hold_that_was_lost_to_another_writes_nothing() {
    let folder = folder();
    let open = || SqliteStore::open(folder.path()).expect("a record");
    let (one, other) = (open(), open());
    let mine = job("aaaaaaaa", None, State::Submitted);
    let lost = added(&one, &mine).await;
    for entry in fs::read_dir(folder.path().join("record.holders")).expect("a folder") {
        fs::remove_file(entry.expect("an entry").path()).expect("gone");
    }
    let (_hold, _) = held_soon(&other, &mine.id).await;
    let changed = job("aaaaaaaa", None, State::Downloaded);
    assert!(one.save(&lost, &changed).await.expect_err("lost").is_not_held());
    assert!(one.remove(lost).await.expect_err("lost").is_not_held());
    assert_eq!(other.jobs(Which::All).await.expect("jobs")[0].job, mine);
}

#[test]
fn many_handles_open_a_fresh_folder_at_the_same_moment() {
    for _ in 0..4 {
        let folder = folder();
        let barrier = Barrier::new(12);
        std::thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| {
                    barrier.wait();
                    SqliteStore::open(folder.path().join("state")).expect("a record")
                });
            }
        });
    }
}

#[cfg(unix)]
#[tokio::test]
async fn folder_and_files_are_for_their_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let record = folder.path().join("new/state");
    let store = SqliteStore::open(&record).expect("a record");
    let _hold = added(&store, &job("aaaaaaaa", None, State::Intent)).await;
    let mode = |path: &Path| path.metadata().expect("a file").permissions().mode() & 0o777;
    let modes = |folder: &Path| {
        let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        let mut modes: Vec<_> =
            entries.map(|path| format!("{} {:o}", path.file_name().expect("a name").display(), mode(&path))).collect();
        modes.sort();
        modes
    };
    let expected = ["record.holders 700", "record.sqlite3 600", "record.sqlite3-shm 600", "record.sqlite3-wal 600"];
    assert_eq!(modes(&record), expected);
    assert_eq!((mode(&record), mode(&folder.path().join("new"))), (0o700, 0o700));
    assert!(modes(&record.join("record.holders")).iter().all(|mode| mode.ends_with(" 600")));

    // One that was copied there, open to all, is closed.
    drop(store);
    let copied = folder.path().join("copied");
    fs::create_dir(&copied).expect("a folder");
    fs::copy(record.join("record.sqlite3"), copied.join("record.sqlite3")).expect("a copy");
    fs::set_permissions(copied.join("record.sqlite3"), fs::Permissions::from_mode(0o644)).expect("a mode");
    let _store = SqliteStore::open(&copied).expect("a record");
    assert_eq!(modes(&copied), expected);
}

#[tokio::test]
async fn what_is_no_record_is_said_to_be_none() {
    let folder = folder();
    let path = folder.path().join("record.sqlite3");
    for bytes in ["x".repeat(10), "x".repeat(5000)] {
        fs::write(&path, &bytes).expect("a file");
        let error = SqliteStore::open(folder.path()).expect_err("no record");
        assert_eq!(error.to_string(), format!("the record {} is damaged, or is none", path.display()));
        assert!(error.is_store());
        assert_eq!(fs::read_to_string(&path).expect("a file"), bytes);
    }
    fs::remove_file(&path).expect("no file");
    fs::create_dir(&path).expect("a folder");
    let error = SqliteStore::open(folder.path()).expect_err("no record");
    assert_eq!(
        error.to_string(),
        format!("the record {} cannot be opened; HIGHWAY_STATE can name another folder", path.display())
    );
}

#[tokio::test]
async fn a_record_that_was_cut_is_said_to_be_damaged() {
    let whole = folder();
    let path = whole.path().join("record.sqlite3");
    let store = SqliteStore::open(whole.path()).expect("a record");
    for at in 0..40 {
        let hold = added(&store, &job(&format!("aaaaaa{at:02}"), None, State::Submitted)).await;
        store.remove(hold).await.expect("a record");
        let mut mine = job(&format!("bbbbbb{at:02}"), None, State::Submitted);
        mine.reason = Some("x".repeat(2000));
        drop(added(&store, &mine).await);
    }
    drop(store);
    let bytes = loop {
        // The last one to leave puts everything into the file, once its holds are let go.
        if !path.with_extension("sqlite3-wal").exists() {
            break fs::read(&path).expect("a record");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    for cut in [50, 1000, 4096, 5000, bytes.len() / 2, bytes.len() - 4096, bytes.len() - 100] {
        let folder = folder();
        let path = folder.path().join("record.sqlite3");
        fs::write(&path, &bytes[..cut]).expect("a file");
        let error = match SqliteStore::open(folder.path()) {
            Ok(store) => store.jobs(Which::All).await.expect_err("cut"),
            Err(error) => error,
        };
        let expected = format!("the record {} is damaged, or is none", path.display());
        assert_eq!(error.to_string(), expected, "cut to {cut} of {}: {error:?}", bytes.len());
    }
}

#[tokio::test]
async fn a_record_of_a_later_version_is_refused_and_left_as_it_is() {
    let folder = folder();
    drop(SqliteStore::open(folder.path()).expect("a record"));
    let path = folder.path().join("record.sqlite3");
    let version = |set: Option<u32>| {
        let file = rusqlite::Connection::open(&path).expect("a file");
        if let Some(version) = set {
            file.pragma_update(None, "user_version", version).expect("a version");
        }
        file.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0)).expect("a version")
    };
    version(Some(1000));
    let error = SqliteStore::open(folder.path()).expect_err("later");
    let text = format!("the record {} was written by a later version of this program", path.display());
    assert_eq!((error.to_string(), error.is_store(), version(None)), (text, true, 1000));
}

/// Root may write everywhere, so there somebody else is asked.
#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_written_is_said_to_be_so() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    let folder = folder();
    let mode = |mode| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).expect("a mode");
    let mut command = Process::command("open at once", &folder.path().join("state"));
    if folder.path().metadata().expect("a folder").uid() == 0 {
        command.uid(65534).gid(65534);
        let program = env::current_exe().expect("this program");
        if Command::new(program).arg("--list").stdout(Stdio::null()).uid(65534).gid(65534).status().is_err() {
            eprintln!("skipped: this runs as root, and nobody else can start the test program");
            return;
        }
    }
    mode(0o555);
    let said = Process::start(command).rest();
    mode(0o755);
    assert_eq!(
        said,
        [format!(
            "the record {} cannot be opened; HIGHWAY_STATE can name another folder",
            folder.path().join("state/record.sqlite3").display()
        )]
    );
}

#[test]
fn the_environment_names_the_folder() {
    let folder = folder();
    let start = |name: &str, value: &Path| {
        let mut command = Process::command("default", folder.path());
        command.env_remove("HIGHWAY_STATE").env_remove("XDG_STATE_HOME").env("HOME", folder.path().join("nobody"));
        command.env(name, value).current_dir(folder.path());
        Process::start(command).rest()
    };
    let is = |place: &str| [folder.path().join(place).display().to_string()];
    assert_eq!(start("HIGHWAY_STATE", &folder.path().join("mine")), is("mine"));
    assert_eq!(start("HIGHWAY_STATE", Path::new("here")), is("here"));
    if cfg!(target_os = "linux") {
        assert_eq!(start("XDG_STATE_HOME", &folder.path().join("xdg")), is("xdg/highway"));
        // An empty one is none.
        assert_eq!(start("HIGHWAY_STATE", Path::new("")), is("nobody/.local/state/highway"));
    }
    for place in ["mine", "here"] {
        assert!(folder.path().join(place).join("record.sqlite3").is_file());
    }
}
