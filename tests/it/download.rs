//! Fetching a video: it is whole under its name, or not there at all.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use highwayapi::Error;
use tokio::task::JoinSet;

use crate::support::raw::Step::{Head, Reset, Silence};
use crate::support::raw::{Server, Step, answer, send};
use crate::support::{KEY, builder, files, folder, mp4, traits, video};

async fn fetch(url: &str, target: &Path) -> Result<u64, Error> {
    video(url, builder).await.download(target).await.map(|saved| saved.size())
}

#[tokio::test]
async fn whole() {
    let host = Server::start([Head, answer("200 OK", mp4())]).await;
    let folder = folder();
    let target = folder.path().join("clip.mp4");
    let progress = Mutex::new(Vec::new());
    let video = video(&format!("{}/clip.mp4?signature=abc", host.url()), builder).await;
    let saved =
        video.download(&target).on_progress(|done, length| progress.lock().expect("a lock").push((done, length)));
    let saved = saved.await.expect("a clip");
    let length = mp4().len() as u64;
    assert_eq!((saved.path(), saved.size()), (target.as_path(), length));
    assert_eq!(progress.into_inner().expect("a lock").last(), Some(&(length, Some(length))));
    assert_eq!(fs::read(&target).expect("a clip"), mp4());
    assert_eq!(files(folder.path()), ["clip.mp4"]);
    assert_eq!(host.count("GET /clip.mp4?signature=abc HTTP/1.1"), 1);
}

#[tokio::test]
async fn without_a_length_the_boxes_tell() {
    let unannounced = [b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".as_slice(), &mp4()].concat();
    let host = Server::start([Head, Step::Send(unannounced)]).await;
    let folder = folder();
    fetch(host.url(), &folder.path().join("clip.mp4")).await.expect("a clip");
    assert_eq!(files(folder.path()), ["clip.mp4"]);
}

#[tokio::test]
async fn what_is_no_whole_video_leaves_nothing_behind() {
    let announced = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", mp4().len());
    let half = [announced.as_bytes(), &mp4()[..600]].concat();
    let expired = r#"{"code":403,"reason":"LINK_EXPIRED","message":"expired"}"#;
    let endless = "HTTP/1.1 302 Found\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n";
    let cases = [
        ("half of the announced length", vec![Head, Step::Send(half.clone())]),
        ("half, then silence", vec![Head, Step::Send(half.clone()), Silence]),
        ("silence before the answer", vec![Head, Silence]),
        ("closed before the answer", vec![Head]),
        ("reset before the answer", vec![Head, Reset]),
        ("an MP4 cut short", vec![Head, answer("200 OK", &mp4()[..600])]),
        ("an MP4 without its data", vec![Head, answer("200 OK", &mp4()[..80])]),
        ("nothing", vec![Head, answer("200 OK", "")]),
        ("a page of HTML", vec![Head, answer("200 OK", "<!DOCTYPE html><html>expired</html>")]),
        ("an error with 200", vec![Head, answer("200 OK", expired)]),
        ("an error", vec![Head, answer("403 Forbidden", expired)]),
        ("XML of a store", vec![Head, answer("404 Not Found", "<?xml version=\"1.0\"?><Error/>")]),
        ("a failure", vec![Head, answer("500 Internal Server Error", "")]),
        ("a part", vec![Head, answer("206 Partial Content", mp4())]),
        ("no content", vec![Head, send("HTTP/1.1 204 No Content\r\n\r\n")]),
        ("a circle", vec![Head, send(endless)]),
        ("a wish for a long pause", vec![Head, answer("503 Service Unavailable\r\nretry-after: 61", "")]),
        (
            "another digest than announced",
            vec![
                Head,
                answer(
                    "200 OK\r\netag: \"e\"\r\nrepr-digest: sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:",
                    mp4(),
                ),
            ],
        ),
        ("an MP4 cut short, with a validator", vec![Head, answer("200 OK\r\netag: \"e\"", &mp4()[..600])]),
        (
            "an MP4 cut short, without a length",
            vec![Head, send([b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", &mp4()[..600]].concat())],
        ),
        ("no HTTP", vec![Head, send("220 ftp ready\r\n")]),
    ];
    // All at once: those that are tried again take seconds.
    let mut outcomes = JoinSet::new();
    for (order, (name, steps)) in cases.into_iter().enumerate() {
        outcomes.spawn(async move { (order, name, no_video(name, steps).await) });
    }
    let mut outcomes = outcomes.join_all().await;
    outcomes.sort();
    let text: String = outcomes.into_iter().map(|(_, name, outcome)| format!("{name}\n{outcome}")).collect();
    insta::assert_snapshot!(text);
}

async fn no_video(name: &str, steps: Vec<Step>) -> String {
    let host = Server::start(steps).await;
    let folder = folder();
    let url = format!("{}/clip.mp4?signature=abc", host.url());
    let patience = Duration::from_millis(if name.contains("silence") { 500 } else { 60_000 });
    let video = video(&url, |url| builder(url).idle_timeout(patience)).await;
    let error = video.download(folder.path().join("clip.mp4")).await.expect_err(name);
    assert!(error.is_download() && error.task_id().is_some(), "{error:?}");
    let said = error.to_string().replace(&folder.path().display().to_string(), "FOLDER");
    // What may be of use to somebody stays, and never under its final name; what is none goes.
    let kept = said.contains("It is kept as FOLDER/clip.mp4.highway-kept");
    let left: &[&str] = if kept { &["clip.mp4.highway-kept"] } else { &[] };
    assert_eq!(files(folder.path()), left, "{name}");
    format!("  {}\n  {said}\n  requests: {}\n", traits(&error), host.connections())
}

#[tokio::test]
async fn a_link_that_leads_nowhere() {
    let folder = folder();
    let target = folder.path().join("clip.mp4");
    for url in ["clip.mp4?signature=abc", "ftp://127.0.0.1/clip.mp4?signature=abc"] {
        let error = fetch(url, &target).await.expect_err(url);
        let sentence = "the service gave a link that is no URL";
        assert_eq!((error.to_string().as_str(), error.is_download()), (sentence, true), "{url}");
    }
    assert_eq!(files(folder.path()), [""; 0]);
}

#[tokio::test]
async fn a_target_that_will_not_do_is_found_before_anything_is_fetched() {
    let host = Server::start([Head, answer("200 OK", mp4())]).await;
    let folder = folder();
    let there = folder.path().join("clip.mp4");
    fs::write(&there, "mine").expect("a file");

    let error = fetch(host.url(), &there).await.expect_err("there already");
    assert!(error.is_already_exists() && error.is_file());
    let error = fetch(host.url(), folder.path()).await.expect_err("a directory");
    assert!(error.is_file() && error.to_string().ends_with("is a directory; expected the name of a file"), "{error}");
    let error = fetch(host.url(), &folder.path().join("no/clip.mp4")).await.expect_err("no folder");
    assert!(error.is_file() && error.to_string().ends_with("clip.mp4.highway-part cannot be written"), "{error}");

    assert_eq!(host.connections(), 0);
    assert_eq!(fs::read(&there).expect("mine"), b"mine");
    assert_eq!(files(folder.path()), ["clip.mp4"]);
}

#[tokio::test]
async fn a_file_is_replaced_when_asked_and_only_by_a_video() {
    let folder = folder();
    let target = folder.path().join("clip.mp4");
    fs::write(&target, "mine").expect("a file");
    let page = Server::start([Head, answer("200 OK", "<html>")]).await;
    let bad = video(page.url(), builder).await;
    bad.download(&target).overwrite(true).await.expect_err("no video");
    assert_eq!(fs::read(&target).expect("mine"), b"mine");
    let host = Server::start([Head, answer("200 OK", mp4())]).await;
    let good = video(host.url(), builder).await;
    good.download(&target).overwrite(true).await.expect("a video");
    assert_eq!(fs::read(&target).expect("a clip"), mp4());
    assert_eq!(files(folder.path()), ["clip.mp4"]);
}

#[tokio::test]
async fn a_file_that_comes_into_being_meanwhile_is_not_replaced() {
    let host = Server::start([Head, answer("200 OK", mp4())]).await;
    let folder = folder();
    let target = folder.path().join("clip.mp4");
    let video = video(host.url(), builder).await;
    let write = || fs::write(&target, "theirs").expect("a file");
    let error = video.download(&target).on_progress(|_, _| write()).await.expect_err("there by now");
    assert!(error.is_already_exists(), "{error}");
    let kept = format!("The video is whole and kept as {}.highway-part.", target.display());
    assert!(error.to_string().ends_with(&kept), "{error}");
    assert_eq!(fs::read(&target).expect("theirs"), b"theirs");
    assert_eq!(files(folder.path()), ["clip.mp4", "clip.mp4.highway-part", "clip.mp4.highway-part.json"]);
}

#[tokio::test]
async fn while_it_is_fetched_it_has_another_name() {
    let host = Server::start([Head, answer("200 OK", mp4())]).await;
    let folder = folder();
    let seen = Mutex::new(Vec::new());
    let video = video(host.url(), builder).await;
    let download = video.download(folder.path().join("clip.mp4"));
    download.on_progress(|_, _| seen.lock().expect("a lock").extend(files(folder.path()))).await.expect("a video");
    let mut seen = seen.into_inner().expect("a lock");
    seen.dedup();
    assert_eq!(seen, ["clip.mp4.highway-part", "clip.mp4.highway-part.json"]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_in_place_of_the_part_leads_nowhere() {
    let host = Server::start([Head, answer("200 OK", mp4())]).await;
    let folder = folder();
    let theirs = folder.path().join("theirs");
    fs::write(&theirs, "theirs").expect("a file");
    std::os::unix::fs::symlink(&theirs, folder.path().join("clip.mp4.highway-part")).expect("a link");
    let error = video(host.url(), builder).await.download(folder.path().join("clip.mp4")).await.expect_err("a link");
    assert!(error.is_file(), "{error}");
    assert_eq!(fs::read(&theirs).expect("theirs"), b"theirs");
}

#[cfg(unix)]
#[tokio::test]
async fn a_part_is_private_and_a_video_is_as_new_files_are() {
    use std::os::unix::fs::PermissionsExt;
    let host = Server::start([Head, answer("200 OK", mp4())]).await;
    let folder = folder();
    let mode = |name: &str| folder.path().join(name).metadata().expect(name).permissions().mode() & 0o777;
    fs::write(folder.path().join("usual"), "").expect("a file");
    let seen = Mutex::new(0);
    let video = video(host.url(), builder).await;
    let download = video.download(folder.path().join("clip.mp4"));
    download.on_progress(|_, _| *seen.lock().expect("a lock") = mode("clip.mp4.highway-part")).await.expect("a video");
    assert_eq!((seen.into_inner().expect("a lock"), mode("clip.mp4")), (0o600, mode("usual")));
}

#[tokio::test]
async fn file_hosts_learn_nothing() {
    let last = Server::start([Head, answer("200 OK", mp4())]).await;
    let moved =
        format!("HTTP/1.1 302 Found\r\nlocation: {}/b.mp4?signature=def\r\ncontent-length: 0\r\n\r\n", last.url());
    let first = Server::start([Head, send(moved)]).await;
    let folder = folder();
    fetch(&format!("{}/a.mp4?signature=abc", first.url()), &folder.path().join("clip.mp4")).await.expect("a clip");
    for (host, path) in [(&first, "/a.mp4?signature=abc"), (&last, "/b.mp4?signature=def")] {
        assert_eq!(host.connections(), 1);
        let came = String::from_utf8(host.came().concat()).expect("a head");
        let mut lines: Vec<_> = came.trim_end().lines().map(|line| line.split(':').next().expect("a name")).collect();
        assert!(came.starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{came}");
        lines[1..].sort_unstable();
        assert_eq!(lines[1..], ["accept", "host"], "{came}");
        assert!(!came.contains(KEY));
    }
}
