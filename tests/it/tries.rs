//! What a download puts up with: hosts that fail, stall or send something else, and links that expire.

use std::fs;
use std::time::{Duration, Instant};

use highwayapi::Charged;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::hosted::{CUT, ETAG, clip, cut, hosted, whole};
use crate::support::raw::Step::{Head, Request, Trickle};
use crate::support::raw::{Server, answer, send};
use crate::support::{builder, client, files, first_video, folder, mp4, polled, succeeded, video};

/// Together, because each takes seconds.
#[tokio::test]
async fn five_tries_in_a_row_may_bring_next_to_nothing() {
    tokio::join!(
        nobody_is_there(),
        bytes_that_come_again_bring_nothing(),
        tries_that_bring_something_are_not_counted()
    );
}

async fn nobody_is_there() {
    let folder = folder();
    let nowhere = video("http://127.0.0.1:1/clip.mp4?signature=abc", builder).await;
    let error = nowhere.download(folder.path().join("clip.mp4")).await.expect_err("nobody");
    assert_eq!(error.to_string(), "the file host cannot be reached. It was tried 5 times.");
    assert_eq!((error.is_download(), files(folder.path())), (true, Vec::new()));
}

async fn bytes_that_come_again_bring_nothing() {
    let host = Server::start(cut(&hosted(""), CUT)).await;
    let folder = folder();
    let error = video(host.url(), builder).await.download(folder.path().join("clip.mp4")).await.expect_err("no end");
    assert_eq!((error.is_download(), host.connections()), (true, 6), "{error}");
    assert_eq!(files(folder.path()), [""; 0]);
}

async fn tries_that_bring_something_are_not_counted() {
    let file = hosted(ETAG);
    // Five that fail at once would end it.
    let mut scripts = vec![cut(&file, 0), cut(&file, 0)];
    scripts.extend(vec![cut(&file, 66_000); 4]);
    let host = Server::each([scripts, vec![cut(&file, 0)], vec![whole(&file)]].concat()).await;
    let folder = folder();
    let target = folder.path().join("clip.mp4");
    video(host.url(), builder).await.download(&target).await.expect("a clip");
    assert_eq!((fs::read(&target).expect("a clip"), host.connections()), (clip(), 8));
    assert!(host.hosted() <= clip().len() + (64 << 10), "{} bytes went over the wire", host.hosted());
}

#[tokio::test]
async fn answers_that_ask_to_come_back_are_kept_to() {
    let statuses = ["408 A", "425 B", "429 C", "500 D", "502 E", "503 F", "503 F\r\nretry-after: 1"];
    let mut runs = JoinSet::new();
    for status in statuses {
        runs.spawn(async move {
            let host = Server::each(vec![vec![Head, answer(status, "")], whole(&hosted(""))]).await;
            let folder = folder();
            let begun = Instant::now();
            video(host.url(), builder).await.download(folder.path().join("clip.mp4")).await.expect(status);
            assert_eq!(host.connections(), 2, "{status}");
            let pause = if status.contains("retry-after") { 1000 } else { 250 };
            assert!(begun.elapsed() >= Duration::from_millis(pause), "{status}");
        });
    }
    runs.join_all().await;
}

#[tokio::test]
async fn a_host_that_is_too_slow_is_given_up() {
    let file = hosted(ETAG);
    let begun = format!("HTTP/1.1 200 OK\r\n{ETAG}content-length: {}\r\n\r\n", clip().len());
    let slow = vec![Head, send(begun), Trickle(clip()[..100].to_vec(), Duration::from_millis(40))];
    let host = Server::each(vec![slow, whole(&file)]).await;
    let folder = folder();
    let target = folder.path().join("clip.mp4");
    let video = video(host.url(), |url| builder(url).idle_timeout(Duration::from_millis(400))).await;
    let begun = Instant::now();
    video.download(&target).await.expect("a clip");
    assert!(begun.elapsed() < Duration::from_secs(3), "all of the trickle was waited for");
    assert_eq!((fs::read(&target).expect("a clip"), host.connections()), (clip(), 2));
    assert_eq!(host.count("range: bytes="), 1, "what came is kept");
}

#[tokio::test]
async fn an_announced_digest_must_agree() {
    let wrong = "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:";
    let mut runs = JoinSet::new();
    for head in [format!("repr-digest: {wrong}"), format!("x-amz-checksum-sha256: {}", &wrong[9..53])] {
        runs.spawn(async move {
            let bad = vec![Head, answer(&format!("200 OK\r\n{ETAG}{head}"), mp4())];
            let right = vec![
                Head,
                answer("200 OK\r\nrepr-digest: sha-256=:coIOup1gqq1vQw32otMJYT894DEyMQigxEaLCUW9mpM=:", mp4()),
            ];
            let host = Server::each(vec![bad, right]).await;
            let folder = folder();
            video(host.url(), builder).await.download(folder.path().join("clip.mp4")).await.expect("a clip");
            assert_eq!((host.connections(), host.count("range: ")), (2, 0), "{head}");
        });
    }
    runs.join_all().await;
}

#[tokio::test]
async fn an_expired_link_is_replaced_and_the_video_goes_on() {
    let mut runs = JoinSet::new();
    for status in ["401 Unauthorized", "403 Forbidden", "404 Not Found", "410 Gone"] {
        runs.spawn(async move {
            let file = hosted(ETAG);
            let old = Server::each(vec![cut(&file, CUT), vec![Head, answer(status, "")]]).await;
            let new = Server::start(whole(&file)).await;
            // The service lists more than can be fetched: the place counts, not the order of the links.
            let listed = |link: &str| {
                let mut list = succeeded(&["", link]);
                list["videos"][0] = json!({});
                answer("200 OK\r\nconnection: close", list.to_string())
            };
            let polls = vec![
                vec![Request, listed(old.url())],
                vec![Request, answer("502 Bad Gateway\r\nconnection: close", "")],
                vec![Request, polled(&["http://127.0.0.1:1/", new.url()])],
            ];
            let service = Server::each(polls).await;
            let video = first_video(&client(service.url())).await;
            assert_eq!(video.index(), 1);
            let folder = folder();
            let target = folder.path().join("clip.mp4");
            video.download(&target).await.expect(status);
            assert_eq!(fs::read(&target).expect(status), clip());
            assert_eq!((old.connections(), new.connections(), service.connections()), (2, 1, 3), "{status}");
            assert_eq!(new.count("range: bytes=100000-"), 1, "{status}");
        });
    }
    runs.join_all().await;
}

#[tokio::test]
async fn links_are_made_fresh_three_times_at_most() {
    let host = Server::start([Head, answer("403 Forbidden", "")]).await;
    let service = Server::start([Request, polled(&[host.url()])]).await;
    let folder = folder();
    let video = first_video(&client(service.url())).await;
    let error = video.download(folder.path().join("clip.mp4")).await.expect_err("no link");
    assert_eq!((error.status(), error.is_download(), error.is_charged()), (Some(403), true, Charged::Yes));
    assert_eq!((host.connections(), service.connections()), (4, 4));
}

#[tokio::test]
async fn where_no_fresh_link_is_to_be_had_it_ends() {
    let refusal = |status: &str| answer(&format!("{status}\r\nconnection: close"), "{}");
    for (name, step, status) in
        [("refused", refusal("401 Unauthorized"), Some(401)), ("no longer listed", polled(&[]), None)]
    {
        let host = Server::start([Head, answer("403 Forbidden", "")]).await;
        let service = Server::each(vec![vec![Request, polled(&[host.url()])], vec![Request, step]]).await;
        let folder = folder();
        let video = first_video(&client(service.url())).await;
        let error = video.download(folder.path().join("clip.mp4")).await.expect_err(name);
        assert_eq!((error.status(), error.is_charged()), (status, Charged::Yes), "{error:?}");
        assert_eq!((error.is_auth(), error.is_download()), (status.is_some(), status.is_none()), "{error:?}");
        assert_eq!((host.connections(), service.connections()), (1, 2), "{name}");
    }
}
