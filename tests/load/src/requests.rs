//! Requests that know what they must be answered with.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::Result;
use crate::book::Done;
use crate::sandbox::Sandbox;

const SUBMIT: &str = "/v3/async/veo-3.1-fast-generate-firstlastframe";
const TASK_RESULT: &str = "/v3/async/task-result";

/// One pixel.
const PICTURE: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGM4EaABAAMkAUEdGZ/EAAAAAElFTkSuQmCC";

/// Who is answered so late was not answered.
const PATIENCE: Duration = Duration::from_secs(30);

/// Every so many requests ask for the next of these faults.
const EVERY: u32 = 10;

/// A fault as its header asks for it, and what must come of it.
#[derive(Clone, Copy)]
pub(crate) struct Fault {
    header: &'static str,
    comes: Comes,
    /// Whether a submit is accepted all the same.
    accepted: bool,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Comes {
    Status(u16),
    /// The connection ends without a whole answer.
    Nothing,
}

const fn fault(header: &'static str, comes: Comes, accepted: bool) -> Fault {
    Fault { header, comes, accepted }
}

const SUBMITS: [Fault; 7] = [
    fault("lost_answer", Comes::Nothing, true),
    fault("lost_answer by=reset", Comes::Nothing, true),
    fault("reset", Comes::Nothing, false),
    fault("rate_limited retry_after=1", Comes::Status(429), false),
    fault("unavailable", Comes::Status(503), false),
    fault("status status=502 body=html accepted=true", Comes::Status(502), true),
    fault("moderation_error", Comes::Status(400), false),
];

const POLLS: [Fault; 5] = [
    fault("reset", Comes::Nothing, false),
    fault("cut_answer", Comes::Nothing, false),
    fault("status status=500 body=empty", Comes::Status(500), false),
    fault("task_not_found", Comes::Status(404), false),
    fault("unknown_status", Comes::Status(200), false),
];

pub(crate) struct Requests {
    http: Client,
    base_url: String,
    admin_url: String,
    api_key: String,
    /// What was answered to the first submits.
    tasks: Mutex<Vec<String>>,
}

impl Requests {
    pub(crate) fn new(sandbox: &Sandbox) -> Result<Self> {
        Ok(Self {
            http: Client::builder().no_proxy().timeout(PATIENCE).build()?,
            base_url: sandbox.base_url.clone(),
            admin_url: sandbox.admin_url.clone(),
            api_key: sandbox.api_key.clone(),
            tasks: Mutex::default(),
        })
    }

    /// One of four is a submit, the others are polls; one of ten has a fault.
    pub(crate) async fn any(&self, number: u32) -> Done {
        let turn = (number / EVERY) as usize;
        let faulty = number.is_multiple_of(EVERY);
        if number % 4 == 1 || (faulty && turn.is_multiple_of(2)) {
            self.submit(faulty.then(|| SUBMITS[turn / 2 % SUBMITS.len()])).await
        } else {
            self.poll(faulty.then(|| POLLS[turn / 2 % POLLS.len()])).await
        }
    }

    pub(crate) async fn submit(&self, fault: Option<Fault>) -> Done {
        let prompt = format!("dusk falls {}", fastrand::u64(..));
        let body = json!({ "image": PICTURE, "last_image": PICTURE, "prompt": prompt, "duration_seconds": 4 });
        let request = self.request(Method::POST, SUBMIT).header("content-type", "application/json");
        let (mut done, answer) = send("submit", request.body(body.to_string()), fault).await;
        done.accepted = fault.map_or(done.problem.is_none(), |fault| fault.accepted);
        if fault.is_none()
            && let Some(id) = answer["task_id"].as_str()
            && let Ok(mut tasks) = self.tasks.lock()
        {
            tasks.push(id.to_owned());
        }
        done
    }

    async fn poll(&self, fault: Option<Fault>) -> Done {
        let task = self.tasks.lock().ok().and_then(|tasks| fastrand::choice(tasks.iter()).cloned()).unwrap_or_default();
        let request = self.request(Method::GET, &format!("{TASK_RESULT}?task_id={task}"));
        let (mut done, answer) = send("poll", request, fault).await;
        if fault.is_none() && done.problem.is_none() && answer["task"]["task_id"] != task.as_str() {
            done.problem = Some(format!("a poll was answered with {answer}"));
        }
        done
    }

    /// Submits that the ledger has.
    pub(crate) async fn ledger(&self) -> Result<u64> {
        let answer =
            self.http.get(format!("{}/ledger", self.admin_url)).send().await?.error_for_status()?.text().await?;
        let ledger: Value = serde_json::from_str(&answer)?;
        ledger["submits"].as_u64().ok_or_else(|| format!("no number of submits in {ledger}").into())
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base_url)).bearer_auth(&self.api_key)
    }
}

async fn send(kind: &'static str, request: RequestBuilder, fault: Option<Fault>) -> (Done, Value) {
    let began = Instant::now();
    let request = match fault {
        Some(fault) => request.header("x-sandbox-fault", fault.header),
        None => request,
    };
    let wanted = fault.map_or(Comes::Status(200), |fault| fault.comes);
    let came = async {
        let answer = request.send().await?;
        Ok::<(StatusCode, String), reqwest::Error>((answer.status(), answer.text().await?))
    };
    let (answer, problem) = match (came.await, wanted) {
        (Ok((status, text)), Comes::Status(code)) if status == code => {
            (serde_json::from_str(&text).unwrap_or_default(), None)
        }
        (Err(error), Comes::Nothing) if !error.is_timeout() && !error.is_connect() => (Value::Null, None),
        (came, _) => {
            let came = came.map_or_else(|error| format!("{error:?}"), |(status, text)| format!("{status} {text}"));
            let asked = fault.map_or("no fault", |fault| fault.header);
            (Value::Null, Some(format!("{kind} with {asked} brought {came}")))
        }
    };
    (Done { kind, fault: fault.map(|fault| fault.header), took: began.elapsed(), problem, accepted: false }, answer)
}
