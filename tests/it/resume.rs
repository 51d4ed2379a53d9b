//! Downloads that survive: what broke off goes on from there, and never with bytes of something else.

use std::fs;
use std::future::IntoFuture;
use std::path::Path;
use std::sync::Arc;

use highwayapi::{Charged, Video};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::support::hosted::{CUT, ETAG, clip, cut, hosted, whole};
use crate::support::raw::Step::{Head, Host, Silence};
use crate::support::raw::{Server, answer, send};
use crate::support::{builder, files, folder, mp4, video};

const PART: &str = "clip.mp4.highway-part";
const NOTE: &str = "clip.mp4.highway-part.json";

/// Downloads until so many bytes are there, and drops the download.
async fn drop_at(video: &Video, target: &Path, bytes: usize) {
    let there = Notify::new();
    let progress = |done, _| {
        if done >= bytes as u64 {
            there.notify_one()
        }
    };
    tokio::select! {
        outcome = video.download(target).on_progress(progress).into_future() => panic!("{outcome:?}"),
        () = there.notified() => {}
    }
}

fn note(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join(NOTE)).expect("a note")).expect("JSON")
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().expect("a file").permissions().mode() & 0o777
}

/// What new files here are like.
#[cfg(unix)]
fn usual_mode(folder: &Path) -> u32 {
    let usual = folder.join("usual");
    fs::write(&usual, "").expect("a file");
    let mode = mode(&usual);
    fs::remove_file(usual).expect("a file");
    mode
}

#[tokio::test]
async fn what_breaks_off_goes_on_from_there() {
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    let modified = format!("last-modified: {date}\r\n");
    tokio::join!(goes_on(ETAG, "\"e1\""), goes_on(&modified, date));
}

async fn goes_on(head: &str, validator: &str) {
    let file = hosted(head);
    let host = Server::each(vec![cut(&file, CUT), cut(&file, CUT), whole(&file)]).await;
    let folder = folder();
    let target = folder.path().join("clip.mp4");
    let saved = video(host.url(), builder).await.download(&target).await.expect("a clip");
    assert_eq!(fs::read(&target).expect("a clip"), clip());
    assert_eq!((saved.size(), files(folder.path())), (clip().len() as u64, vec!["clip.mp4".to_owned()]));
    assert_eq!((host.connections(), host.count(&format!("if-range: {validator}\r\n"))), (3, 2));
    assert_eq!((host.count("range: bytes=100000-\r\n"), host.count("range: bytes=200000-\r\n")), (1, 1));
    assert!(host.hosted() <= clip().len() + (64 << 10), "{} bytes went over the wire", host.hosted());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_dropped_download_is_continued_by_the_next() {
    let file = hosted(ETAG);
    let first = Server::start([Host(Arc::clone(&file), CUT), Silence]).await;
    let folder = folder();
    let target = folder.path().join("clip.mp4");
    let usual = usual_mode(folder.path());
    drop_at(&video(first.url(), builder).await, &target, CUT).await;
    assert_eq!(files(folder.path()), [PART, NOTE]);
    assert_eq!((mode(&folder.path().join(PART)), mode(&folder.path().join(NOTE))), (0o600, 0o600));
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("a boot id");
    let expected = json!({
        "task_id": "t", "video": 0, "length": clip().len(), "validator": "\"e1\"", "sha256": null,
        "mode": usual, "boot_id": boot_id.trim(),
    });
    assert_eq!(note(folder.path()), expected);

    let second = Server::start(whole(&file)).await;
    let mut least = u64::MAX;
    let video = video(second.url(), builder).await;
    let saved = video.download(&target).on_progress(|done, _| least = least.min(done)).await.expect("a clip");
    assert_eq!((saved.size(), second.hosted()), (clip().len() as u64, clip().len() - CUT));
    assert!(least > CUT as u64, "what was there already counts");
    assert_eq!(fs::read(&target).expect("a clip"), clip());
    assert_eq!((mode(&target), files(folder.path())), (usual, vec!["clip.mp4".to_owned()]));
}

/// A part as a killed program leaves it, and what it has written down.
#[cfg(target_os = "linux")]
fn leave(folder: &Path, length: usize, change: impl Fn(&mut Value)) {
    use std::os::unix::fs::PermissionsExt;
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("a boot id");
    let mut note = json!({
        "task_id": "t", "video": 0, "length": clip().len(), "validator": "\"e1\"", "sha256": null,
        "mode": 0o640, "boot_id": boot_id.trim(),
    });
    change(&mut note);
    fs::write(folder.join(PART), [clip(), clip()].concat().split_at(length).0).expect("a part");
    fs::set_permissions(folder.join(PART), fs::Permissions::from_mode(0o600)).expect("a part");
    match note {
        Value::Null => {}
        Value::String(text) => fs::write(folder.join(NOTE), text).expect("a note"),
        note => fs::write(folder.join(NOTE), note.to_string()).expect("a note"),
    }
}

/// It may be the only one of its kind, and paid for.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_part_of_another_task_is_not_touched() {
    let folder = folder();
    leave(folder.path(), clip().len() / 2, |note| note["task_id"] = "u".into());
    let (part, target) = (folder.path().join("clip.mp4.highway-part"), folder.path().join("clip.mp4"));
    let before = fs::read(&part).expect("a part");
    assert_eq!(highwayapi::unfinished_download(&target).as_ref().map(|id| id.as_str()), Some("u"));
    let host = Server::start(whole(&hosted(ETAG))).await;
    let error = video(host.url(), builder).await.download(&target).overwrite(true).await.expect_err("another's");
    assert!(error.is_file() && error.to_string().contains("is what came of another task so far"), "{error}");
    assert_eq!((fs::read(&part).expect("a part"), host.connections()), (before, 0));
    // What is of no use to anyone is in nobody's way.
    leave(folder.path(), clip().len() / 2, |note| {
        note["task_id"] = "u".into();
        note["boot_id"] = "another".into();
    });
    assert_eq!(highwayapi::unfinished_download(&target), None);
    video(host.url(), builder).await.download(&target).await.expect("a clip");
    assert_eq!(files(folder.path()), ["clip.mp4"]);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn only_a_part_of_the_same_video_and_run_is_continued() {
    type Change = fn(&mut Value);
    let half = clip().len() / 2;
    let cases: [(&str, usize, Change, bool); 10] = [
        ("as it was left", half, |_| {}, true),
        ("another video", half, |note| note["video"] = 1.into(), false),
        ("another run of the machine", half, |note| note["boot_id"] = "another".into(), false),
        ("an unknown run", half, |note| note["boot_id"] = Value::Null, false),
        ("no validator", half, |note| note["validator"] = Value::Null, false),
        ("no length", half, |note| note["length"] = Value::Null, false),
        ("longer than the video", clip().len() + 1, |_| {}, false),
        ("a broken note", half, |note| *note = "{\"task_id\":\"t\"".into(), false),
        ("an empty note", half, |note| *note = "".into(), false),
        ("no note", half, |note| *note = Value::Null, false),
    ];
    for (name, length, change, continued) in cases {
        let folder = folder();
        leave(folder.path(), length, change);
        let host = Server::start(whole(&hosted(ETAG))).await;
        let target = folder.path().join("clip.mp4");
        video(host.url(), builder).await.download(&target).await.expect(name);
        assert_eq!(fs::read(&target).expect(name), clip(), "{name}");
        assert_eq!((host.connections(), host.count("range: bytes=")), (1, usize::from(continued)), "{name}");
        let expected = if continued { 0o640 } else { usual_mode(folder.path()) };
        assert_eq!((mode(&target), files(folder.path())), (expected, vec!["clip.mp4".to_owned()]), "{name}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_part_that_has_another_name_too_is_not_written_to() {
    for change in [|_: &mut Value| {}, |note: &mut Value| *note = Value::Null] {
        let folder = folder();
        leave(folder.path(), CUT, change);
        let theirs = folder.path().join("theirs");
        fs::hard_link(folder.path().join(PART), &theirs).expect("a name");
        let host = Server::start(whole(&hosted(ETAG))).await;
        let target = folder.path().join("clip.mp4");
        video(host.url(), builder).await.download(&target).await.expect("a clip");
        assert_eq!(fs::read(&theirs).expect("theirs"), clip()[..CUT]);
        assert_eq!((fs::read(&target).expect("a clip"), host.count("range: ")), (clip(), 0));
    }
}

#[tokio::test]
async fn fetched_is_whole_and_has_no_name_yet() {
    let host = Server::start([Head, answer("200 OK", mp4())]).await;
    let folder = folder();
    let target = folder.path().join("clip.mp4");
    let video = video(host.url(), builder).await;
    let fetched = video.download(&target).fetch().await.expect("a video");
    let sha256 = "72820eba9d60aaad6f430df6a2d309613f3de031323108a0c4468b0945bd9a93";
    assert_eq!((fetched.path(), fetched.size(), fetched.sha256()), (target.as_path(), mp4().len() as u64, sha256));
    assert_eq!(files(folder.path()), [PART, NOTE]);
    assert_eq!(fs::read(folder.path().join(PART)).expect("a part"), mp4());
    let saved = fetched.keep().await.expect("a name");
    assert_eq!((saved.path(), saved.size(), saved.sha256()), (target.as_path(), mp4().len() as u64, sha256));
    assert_eq!((files(folder.path()), host.connections()), (vec!["clip.mp4".to_owned()], 1));
}

#[tokio::test]
async fn what_was_fetched_needs_no_request() {
    // Neither validator nor announced digest: what was checked is known by its own.
    let host = Server::start([Head, answer("200 OK", mp4())]).await;
    let folder = folder();
    let target = folder.path().join("clip.mp4");
    drop(video(host.url(), builder).await.download(&target).fetch().await.expect("a video"));
    let nowhere = video("http://127.0.0.1:1/clip.mp4", builder).await;
    let mut told = Vec::new();
    let fetched = nowhere.download(&target).on_progress(|done, length| told.push((done, length))).fetch().await;
    let fetched = fetched.expect("a video");
    assert_eq!(told, [(mp4().len() as u64, Some(mp4().len() as u64))]);

    fs::write(&target, "theirs").expect("a file");
    let error = fetched.keep().await.expect_err("there by now");
    assert!(error.is_already_exists() && error.task_id().is_some(), "{error:?}");
    assert_eq!(fs::read(&target).expect("theirs"), b"theirs");
    let saved = nowhere.download(&target).overwrite(true).await.expect("a video");
    assert_eq!((fs::read(saved.path()).expect("a video"), host.connections()), (mp4(), 1));
    assert_eq!(files(folder.path()), ["clip.mp4"]);
}

#[tokio::test]
async fn a_whole_part_that_is_no_longer_what_was_checked_is_fetched_anew() {
    let host = Server::start([Head, answer("200 OK\r\netag: \"e1\"", mp4())]).await;
    let folder = folder();
    let target = folder.path().join("clip.mp4");
    let video = video(host.url(), builder).await;
    drop(video.download(&target).fetch().await.expect("a video"));
    let mut bytes = mp4();
    *bytes.last_mut().expect("a byte") ^= 1;
    fs::write(folder.path().join(PART), bytes).expect("a part");
    video.download(&target).await.expect("a video");
    assert_eq!((fs::read(&target).expect("a video"), host.connections()), (mp4(), 2));
    assert_eq!(host.count("range: "), 0);
}

#[tokio::test]
async fn without_length_or_validator_it_begins_anew_and_leaves_nothing() {
    let unannounced = [b"HTTP/1.1 200 OK\r\netag: \"e1\"\r\n\r\n".as_slice(), &clip()[..CUT]].concat();
    let cases =
        [vec![Host(hosted(""), CUT)], vec![Host(hosted("etag: W/\"e1\"\r\n"), CUT)], vec![Head, send(unannounced)]];
    let mut runs = JoinSet::new();
    for steps in cases {
        runs.spawn(async move {
            let host = Server::each(vec![steps.clone(), whole(&hosted(""))]).await;
            let folder = folder();
            let target = folder.path().join("clip.mp4");
            video(host.url(), builder).await.download(&target).await.expect("a clip");
            assert_eq!(fs::read(&target).expect("a clip"), clip());
            assert_eq!((host.connections(), host.count("range: ")), (2, 0));
            fs::remove_file(&target).expect("a clip");

            let host = Server::start([steps, vec![Silence]].concat()).await;
            drop_at(&video(host.url(), builder).await, &target, CUT).await;
            assert_eq!(files(folder.path()), [""; 0]);
        });
    }
    runs.join_all().await;
}

#[tokio::test]
async fn a_rest_that_is_none_is_not_taken() {
    let file = hosted(ETAG);
    let length = clip().len();
    let rest = |first: usize, total: usize, more: &str| {
        let status = format!("206 Partial Content\r\ncontent-range: bytes {first}-{}/{total}{more}", total - 1);
        vec![Head, answer(&status, [0xff; 10])]
    };
    let cases = [
        ("all of it", vec![Head, answer("200 OK", clip())], 2),
        ("from elsewhere", rest(CUT + 1, length, ""), 3),
        ("of another length", rest(CUT, length + 1, ""), 3),
        ("of another version", rest(CUT, length, "\r\netag: \"e2\""), 3),
        ("none", vec![Head, answer("416 Range Not Satisfiable", "")], 3),
    ];
    let mut runs = JoinSet::new();
    for (name, steps, requests) in cases {
        let host = Server::each(vec![cut(&file, CUT), steps, whole(&file)]).await;
        runs.spawn(async move {
            let folder = folder();
            let target = folder.path().join("clip.mp4");
            video(host.url(), builder).await.download(&target).await.expect(name);
            assert_eq!(fs::read(&target).expect(name), clip(), "{name}");
            assert_eq!((host.connections(), host.count("range: bytes=")), (requests, 1), "{name}");
        });
    }
    runs.join_all().await;
}

#[tokio::test]
async fn it_begins_anew_only_once_for_a_rest_that_is_none() {
    let file = hosted(ETAG);
    let none = vec![Head, answer("416 Range Not Satisfiable", "")];
    let host = Server::each(vec![cut(&file, CUT), none.clone(), cut(&file, CUT), none]).await;
    let folder = folder();
    let error = video(host.url(), builder).await.download(folder.path().join("clip.mp4")).await.expect_err("no rest");
    assert_eq!((error.status(), error.is_download(), host.connections()), (Some(416), true, 4), "{error}");
}

#[tokio::test]
async fn two_at_once_do_not_mix() {
    let host = Server::start([Host(hosted(ETAG), CUT), Silence]).await;
    let folder = folder();
    let target = folder.path().join("clip.mp4");
    let video = video(host.url(), builder).await;
    let there = Notify::new();
    let first = video.download(&target).on_progress(|_, _| there.notify_one());
    let second = async {
        there.notified().await;
        video.download(&target).await.expect_err("busy")
    };
    tokio::select! {
        outcome = first.into_future() => panic!("{outcome:?}"),
        error = second => {
            assert!(error.is_file() && error.to_string().ends_with("is being fetched by another program"), "{error}");
        }
    }
    assert_eq!(host.connections(), 1);
}

/// Of the next test, which runs it in a process that may write no large files.
#[tokio::test]
#[ignore = "needs a folder with little room, named in the environment"]
async fn where_there_is_little_room() {
    let Ok(folder) = std::env::var("HIGHWAY_LITTLE_ROOM") else { return };
    let host = Server::start(whole(&hosted(ETAG))).await;
    let video = video(host.url(), builder).await;
    let error = video.download(Path::new(&folder).join("clip.mp4")).await.expect_err("no room");
    assert!(error.is_disk_full() && error.is_file() && error.is_charged() == Charged::Yes, "{error:?}");
    println!("{}", error.to_string().replace(&folder, "FOLDER"));
    assert_eq!(host.connections(), 1);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn where_there_is_no_room_it_ends_and_is_continued_when_there_is() {
    let folder = folder();
    let limited = r#"trap "" XFSZ; ulimit -f 100; exec "$0" --ignored --exact --nocapture "$1""#;
    let mut command = std::process::Command::new("sh");
    command.arg("-c").arg(limited).arg(std::env::current_exe().expect("a program"));
    command.arg("resume::where_there_is_little_room").env("HIGHWAY_LITTLE_ROOM", folder.path());
    let output = command.output().expect("a program");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let part = "FOLDER/clip.mp4.highway-part";
    let sentence = format!(
        "{part} cannot be written: files may not be that large. What came is kept as {part}, and the next download goes \
         on from there.\n"
    );
    assert!(said.contains(&sentence), "{said}");
    let kept = fs::metadata(folder.path().join(PART)).expect("a part").len() as usize;
    assert!(kept > 0 && kept < clip().len(), "{kept} bytes are kept");

    let host = Server::start(whole(&hosted(ETAG))).await;
    let target = folder.path().join("clip.mp4");
    video(host.url(), builder).await.download(&target).await.expect("a clip");
    assert_eq!((fs::read(&target).expect("a clip"), host.hosted()), (clip(), clip().len() - kept));
}
