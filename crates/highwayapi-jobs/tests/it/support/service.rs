//! A service that does as it is told and counts what it was asked to be paid for.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use highwayapi::{Client, FirstLastFrame, Frame};
use serde_json::{Value, json};
use tokio::time::sleep;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::FOREVER;

pub(crate) const KEY: &str = "sk-test-0123456789";
pub(crate) const SIGNATURE: &str = "signature-9f8e7d6c";

/// What becomes of a submit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Accepted,
    /// Accepted; a gateway answers with a 500.
    Lost,
    /// Accepted; the answer makes no sense.
    Garbage,
    /// Accepted; the answer never comes.
    Silence,
    Refused,
    Busy,
    NoKey,
}

impl Answer {
    fn accepts(self) -> bool {
        matches!(self, Self::Accepted | Self::Lost | Self::Garbage | Self::Silence)
    }
}

type OnSubmit = Box<dyn Fn(&str) + Send>;

#[derive(Default)]
struct Model {
    answers: VecDeque<Answer>,
    /// Called when a submit has arrived.
    on_submit: Option<OnSubmit>,
    submits: Vec<Value>,
    /// Status of the next tasks.
    new_status: Option<&'static str>,
    /// Status and number of videos of each task.
    tasks: HashMap<String, (&'static str, usize)>,
    videos: usize,
    /// The tasks of each prompt, whoever got to know of them.
    accepted: HashMap<String, Vec<String>>,
    /// Videos that cannot be had, by their sample.
    broken: HashSet<usize>,
    polls: usize,
    fetched: Vec<String>,
}

pub(crate) struct Service {
    server: MockServer,
    model: Arc<Mutex<Model>>,
}

impl Service {
    pub(crate) async fn start() -> Self {
        let server = MockServer::builder().start().await;
        let model = Arc::new(Mutex::new(Model { videos: 1, ..Model::default() }));
        let (seen, uri) = (Arc::clone(&model), server.uri());
        let respond = move |request: &Request| lock(&seen).respond(request, &uri);
        Mock::given(any()).respond_with(respond).mount(&server).await;
        Self { server, model }
    }

    pub(crate) fn client(&self) -> Client {
        client(&self.server.uri())
    }

    pub(crate) fn uri(&self) -> String {
        self.server.uri()
    }

    /// The next submits are answered so, all further ones accepted.
    pub(crate) fn answers(&self, answers: impl IntoIterator<Item = Answer>) {
        self.model().answers.extend(answers);
    }

    pub(crate) fn on_submit(&self, call: impl Fn(&str) + Send + 'static) {
        self.model().on_submit = Some(Box::new(call));
    }

    /// How many videos the next tasks have.
    pub(crate) fn videos(&self, videos: usize) {
        self.model().videos = videos;
    }

    pub(crate) fn status(&self, task: &str, status: &'static str) {
        self.model().tasks.get_mut(task).expect("a task").0 = status;
    }

    /// What becomes of the next tasks.
    pub(crate) fn new_status(&self, status: &'static str) {
        self.model().new_status = Some(status);
    }

    /// One of the tasks that there are comes to nothing, if anybody asks.
    pub(crate) fn fail_one(&self) {
        if let Some(task) = self.model().tasks.values_mut().next() {
            task.0 = "TASK_STATUS_FAILED";
        }
    }

    pub(crate) fn has_failed(&self, task: &str) -> bool {
        self.model().tasks[task].0 == "TASK_STATUS_FAILED"
    }

    pub(crate) fn broken(&self, samples: &[usize]) {
        self.model().broken = samples.iter().copied().collect();
    }

    /// How many submits came.
    pub(crate) fn submits(&self) -> usize {
        self.model().submits.len()
    }

    pub(crate) fn bodies(&self) -> Vec<Value> {
        self.model().submits.clone()
    }

    pub(crate) fn polls(&self) -> usize {
        self.model().polls
    }

    /// How many submits of each prompt were accepted, whoever got to know of it.
    pub(crate) fn accepted(&self) -> HashMap<String, usize> {
        self.model().accepted.iter().map(|(prompt, tasks)| (prompt.clone(), tasks.len())).collect()
    }

    pub(crate) fn tasks_of(&self, prompt: &str) -> Vec<String> {
        self.model().accepted.get(prompt).cloned().unwrap_or_default()
    }

    /// Those that no submit came for.
    pub(crate) fn forget_answers(&self) {
        self.model().answers.clear();
    }

    /// What was fetched since this was asked for last, as `task-1-1`.
    pub(crate) fn fetched(&self) -> Vec<String> {
        let mut fetched = std::mem::take(&mut self.model().fetched);
        fetched.sort_unstable();
        fetched
    }

    pub(crate) async fn submitted(&self, count: usize) {
        let wait = async {
            while self.submits() < count {
                sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(FOREVER, wait).await.expect("a submit");
    }

    /// All that came, with heads.
    pub(crate) async fn requests(&self) -> Vec<Request> {
        self.server.received_requests().await.expect("requests")
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        lock(&self.model)
    }
}

impl Model {
    fn respond(&mut self, request: &Request, uri: &str) -> ResponseTemplate {
        let json = |body: Value| ResponseTemplate::new(200).set_body_json(body);
        match (request.method.as_str(), request.url.path()) {
            ("POST", _) => self.submit(&request.body),
            ("GET", "/v3/async/task-result") => {
                self.polls += 1;
                let task = request.url.query_pairs().find(|(name, _)| name == "task_id").expect("an id").1;
                let Some((status, videos)) = self.tasks.get(&*task) else { return refused(404, "NOT_FOUND") };
                let link = |sample| format!("{uri}/files/{task}-{sample}?signature={SIGNATURE}");
                let videos: Vec<_> = (1..=*videos).map(|sample| json!({ "video_url": link(sample) })).collect();
                json(json!({ "task": { "status": status }, "videos": videos, "extra": { "seed": "77" } }))
            }
            ("GET", path) => {
                let name = path.strip_prefix("/files/").expect("a file").to_owned();
                let sample = name.rsplit('-').next().and_then(|sample| sample.parse().ok()).expect("a sample");
                if self.broken.contains(&sample) {
                    return ResponseTemplate::new(500);
                }
                self.fetched.push(name.clone());
                ResponseTemplate::new(200).set_body_bytes(mp4(&name))
            }
            (method, _) => panic!("no test expects {method}"),
        }
    }

    fn submit(&mut self, body: &[u8]) -> ResponseTemplate {
        let body: Value = serde_json::from_slice(body).expect("JSON");
        let prompt = body["prompt"].as_str().expect("a prompt").to_owned();
        self.submits.push(body);
        if let Some(call) = &self.on_submit {
            call(&prompt);
        }
        let answer = self.answers.pop_front().unwrap_or(Answer::Accepted);
        let task = format!("task-{}", self.submits.len());
        if answer.accepts() {
            let status = self.new_status.unwrap_or("TASK_STATUS_SUCCEED");
            self.tasks.insert(task.clone(), (status, self.videos));
            self.accepted.entry(prompt).or_default().push(task.clone());
        }
        let accepted = ResponseTemplate::new(200).set_body_json(json!({ "task_id": task }));
        match answer {
            Answer::Accepted => accepted,
            Answer::Lost => ResponseTemplate::new(500),
            Answer::Garbage => ResponseTemplate::new(200).set_body_raw("<html>Welcome</html>", "text/html"),
            Answer::Silence => accepted.set_delay(2 * FOREVER),
            Answer::Refused => refused(400, "INVALID_REQUEST_BODY"),
            Answer::Busy => refused(429, "RATE_LIMIT_EXCEEDED"),
            Answer::NoKey => refused(401, "INVALID_API_KEY"),
        }
    }
}

/// Asks once, and without a pause.
pub(crate) fn client(base_url: &str) -> Client {
    let pause = Duration::from_millis(10);
    let builder = Client::builder(KEY).base_url(base_url).submit_attempts(1).poll_interval(pause..=pause);
    builder.build().expect("a client")
}

/// A picture that no other looks like.
pub(crate) fn png(tail: &str) -> Vec<u8> {
    let head = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x05\0\0\0\x02\xd0\x08\x02\0\0\0abcd";
    [head, tail.as_bytes()].concat()
}

pub(crate) fn request(prompt: &str) -> FirstLastFrame {
    let frame = |tail| Frame::from_bytes(png(tail)).expect("a picture");
    FirstLastFrame::new(frame("the first picture"), frame("the last picture"), prompt)
}

/// The least that is an MP4 by its boxes, with a name in it.
pub(crate) fn mp4(name: &str) -> Vec<u8> {
    let boxed =
        |name: &[u8; 4], contents: &[u8]| [&(contents.len() as u32 + 8).to_be_bytes()[..], name, contents].concat();
    let moov = [boxed(b"mvhd", &[0; 20]), boxed(b"trak", &[0; 9])].concat();
    [boxed(b"ftyp", b"isom"), boxed(b"moov", &moov), boxed(b"mdat", &name.as_bytes().repeat(100))].concat()
}

fn refused(status: u16, reason: &str) -> ResponseTemplate {
    let body = json!({ "code": status, "reason": reason, "message": "no", "metadata": {} });
    ResponseTemplate::new(status).set_body_json(body)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
