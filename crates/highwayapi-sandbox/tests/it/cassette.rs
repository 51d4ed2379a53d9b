//! Recording: against a sandbox, and against a service that misbehaves.

use std::path::Path;
use std::sync::{Arc, Mutex};

use highwayapi_sandbox::cassette::Recorder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// A client of one address, with one key.
pub(crate) struct Caller {
    pub(crate) base_url: String,
    pub(crate) key: String,
}

impl Caller {
    pub(crate) async fn post(&self, body: &Value) -> Response {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let request = http.post(format!("{}{SUBMIT}", self.base_url)).bearer_auth(&self.key);
        request.header("content-type", "application/json").body(body.to_string()).send().await.unwrap()
    }

    pub(crate) async fn poll(&self, id: &str) -> Response {
        let url = format!("{}{TASK_RESULT}?task_id={id}", self.base_url);
        reqwest::Client::new().get(url).bearer_auth(&self.key).send().await.unwrap()
    }

    /// Submits, polls to the end; the states that came, and the last answer.
    pub(crate) async fn story(&self, body: &Value) -> (Vec<String>, Value) {
        let id = json_of(self.post(body).await).await["task_id"].as_str().unwrap().to_owned();
        let mut states: Vec<String> = Vec::new();
        loop {
            let result = json_of(self.poll(&id).await).await;
            let state = result["task"]["status"].as_str().unwrap().to_owned();
            states.push(state.clone());
            if ["TASK_STATUS_SUCCEED", "TASK_STATUS_FAILED"].contains(&state.as_str()) {
                return (states, result);
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
}

pub(crate) async fn recorder(upstream: &str, cassette: &Path, keep_videos: bool) -> Recorder {
    Recorder::builder(upstream, cassette).keep_videos(keep_videos).start().await.unwrap()
}

/// The lines of a cassette of this kind.
pub(crate) fn lines(cassette: &Path, kind: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(cassette).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter_map(|mut line| line.get_mut(kind).map(Value::take)).collect()
}

/// Waits for the line that is written once a video is through.
pub(crate) async fn videos(cassette: &Path, wanted: usize) -> Vec<Value> {
    for _ in 0..500 {
        let videos = lines(cassette, "video");
        if videos.len() >= wanted {
            return videos;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{wanted} videos did not get through");
}

/// All that was written anywhere, the names of files included.
fn everything(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        all.extend_from_slice(path.to_str().unwrap().as_bytes());
        if path.is_dir() {
            all.extend(everything(&path));
        } else {
            all.extend(std::fs::read(&path).unwrap());
        }
    }
    all
}

fn contains(all: &[u8], needle: &str) -> bool {
    all.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[tokio::test]
async fn a_whole_story_is_recorded_and_nothing_secret_is() {
    let key = "sk-planted-key-0123456789";
    let sandbox = Sandbox::builder().api_key(key).start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cassette = folder.path().join("story.cassette");
    let recorder = recorder(&sandbox.base_url(), &cassette, true).await;
    let caller = Caller { base_url: recorder.base_url().to_owned(), key: key.to_owned() };

    let body = small(json!({ "prompt": format!("my key is {key}, see https://u:pw@h.example/x?sig=planted") }));
    let (states, result) = caller.story(&body).await;
    let link = result["videos"][0]["video_url"].as_str().unwrap();
    assert!(link.starts_with(&format!("{}/files/", recorder.base_url())) && !link.contains("signature"), "{link}");
    // A client that leaks its key to the file host leaks it to the recorder alone.
    let request = reqwest::Client::new().get(link).bearer_auth(key).header("range", "bytes=0-9");
    let part = request.send().await.unwrap();
    assert_eq!((part.status().as_u16(), sandbox.leaked_keys()), (206, 0));
    assert_eq!(part.bytes().await.unwrap().len(), 10);
    let head = reqwest::Client::new().head(link).send().await.unwrap();
    let whole = reqwest::get(link).await.unwrap();
    assert_eq!(whole.headers()["etag"], head.headers()["etag"]);
    let whole = whole.bytes().await.unwrap();
    assert_eq!(head.headers()["content-length"], whole.len().to_string());
    assert_eq!(sandbox.submits(), 1);

    let told = videos(&cassette, 2).await;
    assert_eq!((&told[0]["length"], &told[0]["whole"], &told[0]["kept"]), (&json!(10), &json!(true), &Value::Null));
    let kept = folder.path().join("story.cassette.videos").join(told[1]["kept"].as_str().unwrap());
    assert_eq!(std::fs::read(&kept).unwrap(), whole);
    use sha2::Digest;
    let digest: String = sha2::Sha256::digest(&whole).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(told[1]["sha256"], digest);

    let requests = lines(&cassette, "request");
    let picture = json!({
        "field": "image", "sent": "data URI", "media_type": "image/png;base64", "size": 69, "kind": "png", "width": 1,
        "height": 1, "readable": true, "sha256": requests[0]["pictures"][0]["sha256"],
    });
    assert_eq!(requests[0]["pictures"][0], picture);
    let sent: Value = serde_json::from_str(requests[0]["body"].as_str().unwrap()).unwrap();
    assert_eq!(sent["image"], "(picture 1)");
    assert_eq!(sent["prompt"], "my key is (key 1), see https://h.example/x?sig=(redacted)");
    let came: Vec<Value> = lines(&cassette, "answer");
    let states_kept = came.iter().filter_map(|answer| serde_json::from_str::<Value>(answer["body"].as_str()?).ok());
    let states_kept: Vec<String> =
        states_kept.filter_map(|body| Some(body["task"]["status"].as_str()?.to_owned())).collect();
    assert_eq!(states_kept, states);

    let all = everything(folder.path());
    let signature = |link: &Value| link["url"].as_str().unwrap().contains("&signature=(redacted)");
    assert!(came.iter().filter_map(|answer| answer["links"].as_array()).flatten().all(signature));
    for secret in [key, PNG, &PNG[..40], "planted\"", "u:pw", "sig=planted"] {
        assert!(!contains(&all, secret), "{secret} is in {}", String::from_utf8_lossy(&all));
    }
    #[cfg(unix)]
    for (path, wanted) in [(&cassette, 0o600), (&kept, 0o600), (&kept.parent().unwrap().to_owned(), 0o700)] {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, wanted, "{}", path.display());
    }
}

#[tokio::test]
async fn only_the_documented_operations_are_passed_on() {
    let sandbox = Sandbox::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cassette = folder.path().join("c");
    let recorder = recorder(&sandbox.base_url(), &cassette, false).await;
    for path in ["/", "/files/0123456789abcdef.mp4", "/v3/async/other"] {
        assert_eq!(reqwest::get(format!("{}{path}", recorder.base_url())).await.unwrap().status(), 404, "{path}");
    }
    assert!(lines(&cassette, "request").is_empty());
    let again = Recorder::builder(sandbox.base_url(), &cassette).start().await.unwrap_err();
    assert!(again.to_string().ends_with("c is there already, and nothing is recorded over it"), "{again}");
}

/// A service that answers as the test says, one request a connection.
pub(crate) struct Odd {
    pub(crate) base_url: String,
    /// Requests, head and body.
    pub(crate) seen: Arc<Mutex<Vec<String>>>,
}

impl Odd {
    /// `answer` gets the number of the request and its text.
    pub(crate) async fn start(answer: impl Fn(usize, &str) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let requests = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let text = request_text(&mut stream).await;
                let number = {
                    let mut requests = requests.lock().unwrap();
                    requests.push(text.clone());
                    requests.len()
                };
                stream.write_all(answer(number, &text).as_bytes()).await.unwrap();
            }
        });
        Self { base_url, seen }
    }

    pub(crate) fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

async fn request_text(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text;
            }
        }
        if stream.read_buf(&mut bytes).await.unwrap() == 0 {
            return text;
        }
    }
}

pub(crate) fn reply(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

const JSON: &str = "content-type: application/json\r\n";

#[tokio::test]
async fn whatever_a_service_says_is_kept_as_it_was() {
    let odd = Odd::start(|number, _| match number {
        1 => reply(
            "200 OK",
            "content-type: application/json\r\nx-trace: t-1\r\nset-cookie: session=planted\r\n",
            "{ \"task_id\" :\"a\", \"new\": 1.0 }",
        ),
        2 => reply("502 Bad Gateway", "content-type: text/html\r\n", "<html>bad gateway</html>"),
        3 => reply(
            "429 Too Many Requests",
            &format!("{JSON}retry-after: 7\r\n"),
            r#"{"code":429,"reason":"RATE_LIMIT_EXCEEDED"}"#,
        ),
        4 => reply("307 Temporary Redirect", "location: http://127.0.0.1:9/elsewhere?sig=planted\r\n", ""),
        5 => String::new(),
        6 => "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"task_id\":".to_owned(),
        _ => reply("400 Bad Request", JSON, &json!({ "message": format!("image: {PNG} is none") }).to_string()),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let cassette = folder.path().join("odd");
    let recorder = recorder(&odd.base_url, &cassette, false).await;
    let caller = Caller { base_url: recorder.base_url().to_owned(), key: "sk-planted".to_owned() };
    let mut heard = Vec::new();
    for _ in 0..7 {
        let answer = caller.post(&small(json!({}))).await;
        heard.push((answer.status().as_u16(), answer.text().await.unwrap()));
    }
    // One POST each, whatever became of it.
    assert_eq!(odd.count(), 7);
    assert!(odd.seen.lock().unwrap().iter().all(|request| request.contains("authorization: Bearer sk-planted")));
    assert_eq!(heard[0], (200, "{ \"task_id\" :\"a\", \"new\": 1.0 }".to_owned()));
    assert_eq!(heard[1], (502, "<html>bad gateway</html>".to_owned()));
    let statuses: Vec<u16> = heard.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [200, 502, 429, 307, 502, 502, 400]);
    for at in [4, 5] {
        let error: Value = serde_json::from_str(&heard[at].1).unwrap();
        assert_eq!((&error["code"], &error["reason"]), (&json!(502), &json!("ANSWER_LOST")));
    }

    let answers = lines(&cassette, "answer");
    assert_eq!(answers[0]["body"], "{ \"task_id\" :\"a\", \"new\": 1.0 }");
    let names: Vec<&str> =
        answers[0]["headers"].as_array().unwrap().iter().map(|pair| pair[0].as_str().unwrap()).collect();
    assert_eq!(names, ["connection", "content-type", "x-trace", "set-cookie", "content-length"]);
    assert_eq!(answers[0]["headers"][3][1], "(redacted, 15 characters)");
    assert_eq!(answers[2]["headers"][2], json!(["retry-after", "7"]));
    assert_eq!(answers[3]["headers"][1], json!(["location", "http://127.0.0.1:9/elsewhere?sig=(redacted)"]));
    let lost: Vec<Value> = lines(&cassette, "lost");
    assert_eq!(
        lost.iter().map(|lost| (&lost["n"], &lost["sent"])).collect::<Vec<_>>(),
        [(&json!(5), &json!(true)), (&json!(6), &json!(true))]
    );
    let all = everything(folder.path());
    for secret in ["sk-planted", PNG, &PNG[..30], "session=", "sig=planted", "t-1"] {
        assert!(!contains(&all, secret), "{secret}");
    }
}

/// Nobody listens there: nothing was sent, and the cassette says so.
#[tokio::test]
async fn a_service_that_is_not_there_was_sent_nothing() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cassette = folder.path().join("c");
    let recorder = recorder(&format!("http://{free}"), &cassette, false).await;
    let caller = Caller { base_url: recorder.base_url().to_owned(), key: "k".to_owned() };
    let error = json_of(caller.post(&small(json!({}))).await).await;
    assert_eq!(error["reason"], "NOT_SENT");
    assert_eq!(lines(&cassette, "lost")[0]["sent"], false);
}

/// What may have been paid for is written down, whether or not its client is still there.
#[tokio::test]
async fn a_client_that_hangs_up_loses_nothing() {
    let (went, mut gone) = tokio::sync::mpsc::channel::<()>(1);
    let gate = Arc::new(tokio::sync::Notify::new());
    let opened = Arc::clone(&gate);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        request_text(&mut stream).await;
        went.send(()).await.unwrap();
        opened.notified().await;
        stream.write_all(reply("200 OK", JSON, r#"{"task_id":"paid"}"#).as_bytes()).await.unwrap();
    });
    let folder = tempfile::tempdir().unwrap();
    let cassette = folder.path().join("c");
    let recorder = recorder(&upstream, &cassette, false).await;
    let caller = Caller { base_url: recorder.base_url().to_owned(), key: "k".to_owned() };
    let client = tokio::spawn(async move { caller.post(&small(json!({}))).await });
    gone.recv().await.unwrap();
    // On disk before it was passed on.
    assert_eq!(lines(&cassette, "request").len(), 1);
    client.abort();
    assert!(client.await.unwrap_err().is_cancelled());
    let stopping = tokio::spawn(recorder.stop());
    gate.notify_one();
    stopping.await.unwrap();
    // And the recorder waited for it.
    assert_eq!(lines(&cassette, "answer")[0]["body"], r#"{"task_id":"paid"}"#);
}

/// A file host that sends on to another place: the next request comes here, too, and has no key either.
#[tokio::test]
async fn links_are_followed_step_by_step_without_credentials() {
    let odd = Odd::start(|number, text| {
        let host = text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned();
        let video = json!({ "task": { "status": "TASK_STATUS_SUCCEED" }, "videos": [{ "video_url": format!("http://{host}/one.mp4?sig=planted") }] });
        match number {
            1 => reply("200 OK", JSON, &video.to_string()),
            2 => reply("302 Found", &format!("location: http://{host}/two.mp4?sig=planted2\r\n"), ""),
            3 => reply("200 OK", "content-type: video/mp4\r\n", "the video"),
            _ => "HTTP/1.1 200 OK\r\ncontent-type: video/mp4\r\ncontent-length: 100\r\n\r\nhalf".to_owned(),
        }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let cassette = folder.path().join("c");
    let recorder = recorder(&odd.base_url, &cassette, true).await;
    let caller = Caller { base_url: recorder.base_url().to_owned(), key: "sk-planted".to_owned() };
    let link = json_of(caller.poll("t").await).await["videos"][0]["video_url"].as_str().unwrap().to_owned();
    // This client follows redirects by itself.
    let request = reqwest::Client::new().get(&link).bearer_auth("sk-planted").header("cookie", "a=b");
    assert_eq!(request.send().await.unwrap().text().await.unwrap(), "the video");
    assert!(reqwest::get(&link).await.unwrap().bytes().await.is_err(), "what breaks off there breaks off here");

    let seen = odd.seen.lock().unwrap().clone();
    assert!(
        seen[1].starts_with("GET /one.mp4?sig=planted HTTP") && seen[2].starts_with("GET /two.mp4?sig=planted2 HTTP")
    );
    assert!(seen[1..].iter().all(|request| !request.contains("authorization") && !request.contains("cookie")));
    let told = videos(&cassette, 2).await;
    assert_eq!((&told[0]["length"], &told[0]["whole"]), (&json!(9), &json!(true)));
    assert_eq!((&told[1]["whole"], &told[1]["kept"]), (&json!(false), &Value::Null));
    assert!(!contains(&everything(folder.path()), "planted"));
}
