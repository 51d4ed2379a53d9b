//! Key, pictures and signed links are planted everywhere and looked for in all that can be printed or logged.

mod listening;

use std::error::Error as _;
use std::fmt::{Debug, Display};
use std::time::Duration;

use base64::engine::{Engine, general_purpose::STANDARD};
use highwayapi::{Client, Error, Event, FirstLastFrame, Frame};
use highwayapi_jobs::{Jobs, SqliteStore};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::support::raw::Step::{Head, Reset, Silence};
use crate::support::raw::{Server, answer, send};
use crate::support::sequence::{Sequence, page, status};
use crate::support::{mp4, png, service, succeeded};

const KEY: &str = "sk-planted-key-7f3a";
const SIGNATURE: &str = "planted-signature-7f3a";
const IN_PICTURE: &str = "planted-picture-7f3a";

fn picture() -> Vec<u8> {
    [png(0), IN_PICTURE.repeat(100).into_bytes()].concat()
}

/// What must not be seen anywhere, with a name for it.
fn secrets() -> Vec<(&'static str, String)> {
    let bytes = picture();
    let base64 = STANDARD.encode(&bytes);
    vec![
        ("the key", KEY.to_owned()),
        ("a signature", SIGNATURE.to_owned()),
        ("a picture", IN_PICTURE.to_owned()),
        ("a picture's Base64", base64[100..130].to_owned()),
        ("a picture's bytes as numbers", format!("{:?}", &bytes[100..110]).trim_matches(['[', ']']).to_owned()),
    ]
}

/// Everything that was shown to anyone.
#[derive(Default)]
struct Shown(Vec<String>);

impl Shown {
    fn debug(&mut self, value: &impl Debug) {
        self.0.push(format!("{value:?}"));
        self.0.push(format!("{value:#?}"));
    }

    fn text(&mut self, value: &impl Display) {
        self.0.push(value.to_string());
    }

    /// An error and all that caused it.
    fn error(&mut self, error: &Error) {
        self.debug(error);
        self.text(error);
        self.text(&error.reason().unwrap_or_default());
        let mut source = error.source();
        while let Some(error) = source {
            self.debug(&error);
            self.text(&error);
            source = error.source();
        }
    }

    /// The same of what a record says.
    fn record<T: Debug>(&mut self, outcome: Result<T, highwayapi_jobs::Error>) {
        match outcome {
            Ok(value) => self.debug(&value),
            Err(error) => {
                self.debug(&error);
                self.text(&error);
                let mut source = error.source();
                while let Some(error) = source {
                    self.debug(&error);
                    self.text(&error);
                    source = error.source();
                }
            }
        }
    }

    fn outcome<T: Debug>(&mut self, outcome: Result<T, Error>) {
        match outcome {
            Ok(value) => self.debug(&value),
            Err(error) => self.error(&error),
        }
    }
}

fn client(base_url: &str) -> Client {
    let builder = Client::builder(KEY).base_url(base_url).submit_attempts(2).idle_timeout(Duration::from_secs(1));
    builder
        .poll_interval(Duration::ZERO..=Duration::ZERO)
        .wait_timeout(Duration::from_secs(60))
        .build()
        .expect("a client")
}

fn signed(base_url: &str) -> String {
    format!("{base_url}/clip.mp4?signature={SIGNATURE}")
}

fn clip() -> FirstLastFrame {
    let link = Frame::from_url(&signed("https://files.example.com")).expect("a URL");
    FirstLastFrame::new(Frame::from_bytes(picture()).expect("a picture"), link, "dusk falls")
}

/// A service that says back whatever it was told, in many ways.
#[derive(Clone)]
struct Echo {
    status: u16,
    words: fn(&str) -> Value,
}

impl Respond for Echo {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let headers = format!("{:?}", request.headers["authorization"]);
        let body = String::from_utf8_lossy(&request.body);
        let link = signed("https://files.example.com");
        let said = format!("{headers} {body} {link} {KEY} {}", link.replace('/', "\\/"));
        ResponseTemplate::new(self.status)
            .insert_header("location", link.as_str())
            .insert_header("x-echo", KEY)
            .set_body_json((self.words)(&said))
    }
}

async fn submits(shown: &mut Shown) {
    let words: [fn(&str) -> Value; 6] = [
        |said| json!({ "reason": "INVALID_REQUEST_BODY", "message": said }),
        |said| json!({ "reason": said }),
        |said| json!({ "message": said.replace(' ', "_") }),
        |said| json!({ "task_id": said }),
        |said| json!({ "unknown": said }),
        |said| json!(format!("<html>{said}")),
    ];
    for status in [200, 201, 302, 400, 401, 429, 500, 503] {
        for words in words {
            let server = service(Echo { status, words }).await;
            let client = client(&server.uri());
            shown.outcome(client.submit(&clip()).await);
            shown.outcome(client.task("t".parse().expect("an id")).poll().await);
        }
    }
    for steps in [
        vec![Head],
        vec![Head, Reset],
        vec![Head, Silence],
        vec![Head, send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{")],
    ] {
        let server = Server::start(steps).await;
        shown.outcome(client(server.url()).submit(&clip()).await);
    }
    shown.outcome(client("http://127.0.0.1:1").submit(&clip()).await);
    let server = service(ResponseTemplate::new(200).set_body_json(json!({ "task_id": "t" }))).await;
    shown.outcome(client(&server.uri()).submit(&clip()).await);
}

async fn waits(shown: &mut Shown) {
    let said = format!("see {} with Bearer {KEY}", signed("https://files.example.com"));
    let task = |task: Value| ResponseTemplate::new(200).set_body_json(json!({ "task": task }));
    let endings = [
        task(json!({ "status": "TASK_STATUS_FAILED", "reason": said })),
        task(json!({ "status": "TASK_STATUS_FAILED", "error": said })),
        task(json!({ "status": "TASK_STATUS_SUCCEED", "message": said })),
        ResponseTemplate::new(401).set_body_json(json!({ "message": said })),
        ResponseTemplate::new(200).set_body_json(succeeded(&[&signed("https://files.example.com")])),
    ];
    for ending in endings {
        let answers = [task(json!({ "status": said })), status("TASK_STATUS_QUEUED"), page(502), ending];
        let server = service(Sequence::new(answers)).await;
        let task = client(&server.uri()).task("t".parse().expect("an id"));
        let mut events = task.events();
        shown.debug(&task);
        shown.debug(&events);
        while let Some(event) = events.next().await {
            if let Ok(Event::Progress(result)) = &event {
                shown.text(result.status());
            }
            if let Ok(Event::PollFailed { error, .. }) = &event {
                shown.error(error);
            }
            shown.outcome(event);
        }
    }
}

async fn downloads(shown: &mut Shown) {
    let last = Server::start([Head, answer("200 OK", mp4())]).await;
    let moved = |to: &str| send(format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n"));
    let refusal = json!({ "message": signed("https://files.example.com") }).to_string();
    let hosts = [
        vec![Head, moved(&signed(last.url()))],
        vec![Head, moved(&signed(""))],
        vec![Head, moved(&signed("ftp://127.0.0.1"))],
        vec![Head, moved(&signed("http://127.0.0.1:1"))],
        vec![Head, answer("403 Forbidden", refusal)],
        vec![Head, answer("200 OK", "<html>")],
        vec![Head, Reset],
        vec![Head, Silence],
    ];
    let mut links =
        vec![signed("http://127.0.0.1:1"), signed(""), signed("ftp://127.0.0.1"), signed("https://127.0.0.1:port")];
    let mut servers = Vec::new();
    for steps in hosts {
        let server = Server::start(steps).await;
        links.push(signed(server.url()));
        servers.push(server);
    }
    let folder = tempfile::tempdir().expect("a folder");
    // All at once: those that are tried again take seconds.
    let mut results = Vec::new();
    let mut services = Vec::new();
    for link in &links {
        let service = service(ResponseTemplate::new(200).set_body_json(succeeded(&[link]))).await;
        results.push(client(&service.uri()).task("t".parse().expect("an id")).wait().await.expect("a result"));
        services.push(service);
    }
    let mut outcomes = JoinSet::new();
    for (index, (result, link)) in results.into_iter().zip(links).enumerate() {
        let target = folder.path().join(format!("{index}.mp4"));
        shown.debug(&result);
        let video = result.videos()[0].clone();
        assert_eq!(video.url(), link, "whoever asks for the link gets it");
        shown.debug(&video);
        shown.debug(&video.download(&target));
        outcomes.spawn(async move { video.download(target).fetch().await });
    }
    for outcome in outcomes.join_all().await {
        shown.debug(&outcome);
        match outcome {
            Ok(fetched) => shown.outcome(fetched.keep().await),
            Err(error) => shown.error(&error),
        }
    }
    assert!(folder.path().join("4.mp4").exists(), "the first redirect should lead to a video");
}

/// The same with a record, and all that it leaves on disk.
async fn records(shown: &mut Shown) {
    let folder = tempfile::tempdir().expect("a folder");
    // Open until its files are looked at: closing tidies them.
    let store = SqliteStore::open(folder.path().join("state")).expect("a record");
    let host = Server::start([Head, answer("200 OK", mp4())]).await;
    let said: fn(&str) -> Value = |said| json!({ "reason": said, "message": said });
    let accepted: fn(&str) -> Value = |_| json!({ "task_id": "t" });
    for (index, (status, words)) in [(400, said), (500, said), (200, said), (200, accepted)].into_iter().enumerate() {
        let submit = Echo { status, words };
        let done = ResponseTemplate::new(200).set_body_json(succeeded(&[&signed(host.url())]));
        let server = MockServer::start().await;
        Mock::given(method("POST")).respond_with(submit).mount(&server).await;
        Mock::given(method("GET")).respond_with(done).mount(&server).await;
        let jobs = Jobs::with_store(client(&server.uri()), store.clone());
        shown.debug(&jobs);
        let request = clip();
        let output = folder.path().join(format!("{index}.mp4"));
        match jobs.submit(&request).output(&output).again(true).await {
            Ok(mut job) => {
                shown.debug(&job);
                shown.record(job.finish(|step| assert!(!format!("{step:?}").contains(SIGNATURE))).await);
                assert!(output.exists(), "the last one should end in a clip");
            }
            Err(error) => shown.record::<()>(Err(error)),
        }
        shown.record(jobs.list().await);
    }
    for file in ["state/record.sqlite3", "state/record.sqlite3-wal", "3.json"] {
        let bytes = std::fs::read(folder.path().join(file)).expect(file);
        shown.text(&String::from_utf8_lossy(&bytes));
    }
}

fn settings(shown: &mut Shown) {
    shown.debug(&Client::builder(KEY));
    shown.debug(&client("http://127.0.0.1:1"));
    shown.debug(&clip());
    shown.debug(clip().image());
    shown.debug(clip().last_image());
    let base64 = STANDARD.encode(picture());
    let uri = format!("data:image/png;base64,{base64}");
    shown.outcome(Frame::from_data_uri(&uri));
    shown.debug(&Frame::literal(uri.as_str()));
    for mistake in [&uri, &base64, &signed("ftp://files.example.com"), &signed("https://:")] {
        shown.outcome(Frame::from_url(mistake));
        shown.outcome(Frame::from_data_uri(&format!("{mistake}*")));
    }
    shown.outcome(Client::new(format!("{KEY}\n{KEY}")));
    shown.outcome(Client::builder(KEY).base_url(format!("https://me:{KEY}@example.com")).build());
    shown.outcome(Client::builder(KEY).base_url(format!("https://example.com?key={KEY}")).build());
}

#[tokio::test]
async fn nothing_gives_a_secret_away() {
    let log = listening::everything();
    let mut shown = Shown::default();
    settings(&mut shown);
    let (mut by_waits, mut by_downloads, mut by_records) = (Shown::default(), Shown::default(), Shown::default());
    tokio::join!(submits(&mut shown), waits(&mut by_waits), downloads(&mut by_downloads), records(&mut by_records));
    shown.0.extend([by_waits.0, by_downloads.0, by_records.0].concat());

    let logged = log();
    // Whoever hears nothing finds nothing.
    for proof in [
        "submitted",
        "not accepted, trying again",
        "poll failed",
        "download interrupted, trying again",
        "starting new connection",
    ] {
        assert!(logged.iter().any(|line| line.contains(proof)), "nothing was logged of {proof:?}");
    }
    assert!(shown.0.iter().any(|text| text.contains("fingerprint TEXT AS") && text.contains("dusk falls")));
    assert!(shown.0.len() > 300, "only {} texts were shown", shown.0.len());
    for text in shown.0.iter().chain(&logged) {
        for (name, secret) in secrets() {
            assert!(!text.contains(&secret), "{name} stands in: {text:.2000}");
        }
    }
}
