//! Answers that never come, or not whole: what the caller is told, and how often the service was asked to be paid.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::thread;
use std::time::Duration;

use highwayapi::{Charged, FirstLastFrame, Frame};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use crate::support::raw::Step::{self, Bytes, Head, Request, Reset, Silence};
use crate::support::raw::{Server, answer, send};
use crate::support::{builder, client, clip, large_clip, png, traits};

/// Only there to turn a hang into a failure.
const FOREVER: Duration = Duration::from_secs(60);
/// How long the client puts up with silence where it will not end.
const PATIENCE: Duration = Duration::from_millis(700);

const ACCEPTED: &str = r#"{"task_id":"t"}"#;

struct Case {
    name: &'static str,
    request: FirstLastFrame,
    steps: Vec<Step>,
}

fn cases() -> Vec<Case> {
    let small = |name, steps: Vec<Step>| Case { name, request: clip(), steps };
    let large = |name, steps: Vec<Step>| Case { name, request: large_clip(), steps };
    let unauthorized = || answer("401 Unauthorized", json!({ "reason": "FAILED_TO_AUTH" }).to_string());
    vec![
        small("closed after the head", vec![Head]),
        large("closed after the head, with the body still coming", vec![Head]),
        large("closed in the middle of the body", vec![Bytes(1_000_000)]),
        large("reset in the middle of the body", vec![Bytes(1_000_000), Reset]),
        small("closed after the whole request", vec![Request]),
        large("closed after the whole request, a large one", vec![Request]),
        small("reset after the whole request", vec![Request, Reset]),
        small("closed in the middle of the answer's head", vec![Request, send("HTTP/1.1 200 O")]),
        small(
            "closed in the middle of the answer",
            vec![Request, send("HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{\"task")],
        ),
        small("something that is no HTTP", vec![Request, send("SSH-2.0-OpenSSH_9.9\r\n")]),
        small("silence after the whole request", vec![Request, Silence]),
        large("silence in the middle of the body", vec![Bytes(1_000_000), Silence]),
        small(
            "silence in the middle of the answer",
            vec![Request, send("HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{"), Silence],
        ),
        small(
            "silence in the middle of a refusal",
            vec![Request, send("HTTP/1.1 400 Bad Request\r\ncontent-length: 99\r\n\r\n{"), Silence],
        ),
        small(
            "silence in the middle of a failure",
            vec![Request, send("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 99\r\n\r\n{"), Silence],
        ),
        large("refused before the body was read", vec![Head, unauthorized(), Silence]),
        large("accepted before the body was read", vec![Head, answer("200 OK", ACCEPTED), Silence]),
        small("an endless answer", vec![Request, answer("200 OK", " ".repeat(2 * 1024 * 1024)), Silence]),
        small(
            "accepted after a hint",
            vec![Request, send("HTTP/1.1 103 Early Hints\r\n\r\n"), answer("200 OK", ACCEPTED)],
        ),
    ]
}

impl Case {
    async fn seen(self) -> String {
        let server = Server::start(self.steps).await;
        let patience = if self.name.starts_with("silence") { PATIENCE } else { FOREVER };
        let client = builder(server.url()).idle_timeout(patience).build().expect("a client");
        let outcome = timeout(2 * FOREVER, client.submit(&self.request)).await.expect(self.name);
        let mut text = format!("{}\n  connections {}, POST×{}", self.name, server.connections(), server.count("POST "));
        match outcome {
            Ok(task) => write!(text, ", ok: task {}", task.id()),
            Err(error) => {
                // Whatever happens here, the money is the point: after a byte of the body nothing is sent again.
                assert_ne!(error.is_charged(), Charged::Yes);
                write!(text, ", {}\n  {error}", traits(&error))
            }
        }
        .expect("writes");
        text
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers() {
    let mut table = Vec::new();
    for case in cases() {
        table.push(case.seen().await);
    }
    insta::assert_snapshot!(table.join("\n"));
}

/// A port where nobody listens.
async fn nobody() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    (listener, url)
}

#[tokio::test]
async fn no_connection_costs_nothing() {
    let (listener, url) = nobody().await;
    drop(listener);
    let error = client(&url).submit(&clip()).await.expect_err("nobody there");
    assert_eq!(error.to_string(), format!("the submit found no connection to {url}. Nothing was charged."));
    assert_eq!(traits(&error), "network, charged no");
}

#[tokio::test]
async fn a_stop_begins_no_further_attempt() {
    let busy = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 30\r\ncontent-length: 0\r\n\r\n";
    let server = Server::start([Request, Step::Send(busy.into())]).await;
    let error = client(server.url())
        .submit_until(&clip(), async {
            while server.count("POST ") == 0 {
                sleep(Duration::from_millis(5)).await;
            }
            sleep(Duration::from_millis(200)).await;
        })
        .await
        .expect_err("stopped in its pause");
    assert!(error.is_stopped(), "{error}");
    assert_eq!(traits(&error), "charged no");
    assert_eq!(server.count("POST "), 1);

    let error = client(server.url()).submit_until(&clip(), async {}).await.expect_err("stopped before it began");
    assert!(error.is_stopped(), "{error}");
    assert_eq!(server.count("POST "), 1);
}

#[tokio::test]
async fn a_picture_that_is_gone_is_found_out_before_a_byte_is_sent() {
    let server = Server::start([Request, answer("200 OK", ACCEPTED)]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("last.png");
    std::fs::write(&path, png(1000)).expect("a picture");
    let first = Frame::from_bytes(png(10)).expect("a picture");
    let request = FirstLastFrame::new(first, Frame::open(&path).expect("a picture"), "dusk falls");
    std::fs::write(&path, png(999)).expect("another picture");
    let error = client(server.url()).submit(&request).await.expect_err("changed");
    assert_eq!((error.field(), error.is_charged()), (Some("last_image"), Charged::No));
    std::fs::remove_file(&path).expect("no picture");
    let error = client(server.url()).submit(&request).await.expect_err("gone");
    assert_eq!((error.field(), error.is_charged()), (Some("last_image"), Charged::No));
    assert_eq!(server.count("POST "), 0);
}

#[tokio::test]
async fn a_service_that_comes_back_gets_the_submit() {
    let (listener, url) = nobody().await;
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let service = async {
        // The first attempt is over at once, and the next comes after a quarter of a second at the earliest. Should this
        // machine sleep over that, one of the later ones finds the service.
        sleep(Duration::from_millis(50)).await;
        let listener = TcpListener::bind(address).await.expect("the port again");
        Server::on(listener, vec![vec![Request, answer("200 OK", ACCEPTED)]])
    };
    let client = builder(&url).submit_attempts(6).build().expect("a client");
    let request = clip();
    let (server, task) = tokio::join!(service, client.submit(&request));
    assert_eq!(task.expect("a task").id().as_str(), "t");
    assert_eq!(server.count("POST "), 1);
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_no_reason_to_send_twice() {
    // The server says nothing of closing, and closes.
    let server = Server::start([Request, answer("200 OK", ACCEPTED)]).await;
    let client = client(server.url());
    for submits in 1..=10 {
        client.submit(&clip()).await.expect("a task");
        assert_eq!(server.count("POST "), submits);
    }
}

#[tokio::test]
async fn a_dropped_submit_is_not_taken_up_by_anyone() {
    let server = Server::start([Request, Silence]).await;
    let client = client(server.url());
    let request = clip();
    let arrived = async {
        while server.count("POST ") == 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        _ = client.submit(&request) => panic!("an answer out of silence"),
        () = arrived => {}
    }
    sleep(Duration::from_millis(700)).await;
    assert_eq!((server.connections(), server.count("POST ")), (1, 1));
}

/// As after Ctrl-Z and `fg`: the time was over while nobody looked, and so was the wait for the answer.
#[tokio::test]
async fn an_answer_that_came_while_the_program_stood_still_counts() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let service = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let _ = stream.read(&mut [0; 64 * 1024]).expect("a request");
        thread::sleep(Duration::from_millis(1500));
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{ACCEPTED}", ACCEPTED.len()).expect("an answer");
        stream
    });
    let client = builder(&url).idle_timeout(Duration::from_secs(1)).build().expect("a client");
    tokio::spawn(async {
        sleep(Duration::from_millis(1200)).await;
        thread::sleep(Duration::from_secs(2));
    });
    let task = client.submit(&clip()).await.expect("a task");
    assert_eq!(task.id().as_str(), "t");
    drop(service.join().expect("an answer"));
}
