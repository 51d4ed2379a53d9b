//! The schedule of a client, end to end: what it learns, what it lets go, and what holds it back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use highwayapi::{Client, TaskId};
use serde_json::json;
use tokio::task::JoinSet;
use wiremock::{MockServer, Request, Respond, ResponseTemplate};

use crate::support::sequence::status;
use crate::support::{KEY, clip, service, succeeded};

/// Runs them side by side to their end.
async fn all<T: Send + 'static>(calls: impl Iterator<Item = impl Future<Output = T> + Send + 'static>) {
    let mut running: JoinSet<_> = calls.collect();
    while let Some(done) = running.join_next().await {
        done.expect("no panic");
    }
}

const RUN_TIME: Duration = Duration::from_millis(400);

/// Makes tasks that are done after [`RUN_TIME`], give or take a tenth, and counts how often each was asked after.
#[derive(Clone, Default)]
struct Service(Arc<Mutex<HashMap<String, (Instant, u32)>>>);

impl Service {
    fn polls(&self) -> HashMap<String, u32> {
        let tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.iter().map(|(id, (_, polls))| (id.clone(), *polls)).collect()
    }
}

impl Respond for Service {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if request.method == "POST" {
            let id = format!("t{}", tasks.len());
            let run_time = RUN_TIME.mul_f64(0.9 + 0.2 * f64::from(tasks.len() as u32 % 7) / 6.0);
            tasks.insert(id.clone(), (Instant::now() + run_time, 0));
            return ResponseTemplate::new(200).set_body_json(json!({ "task_id": id }));
        }
        let (_, id) = request.url.query_pairs().find(|(name, _)| name == "task_id").expect("an id");
        let (done, polls) = tasks.get_mut(id.as_ref()).expect("a task");
        *polls += 1;
        if Instant::now() < *done {
            return status("TASK_STATUS_PROCESSING");
        }
        ResponseTemplate::new(200).set_body_json(succeeded(&["https://files.example.com/clip.mp4"]))
    }
}

fn client(server: &MockServer) -> Client {
    let pauses = Duration::from_millis(10)..=Duration::from_secs(60);
    Client::builder(KEY).base_url(server.uri()).poll_interval(pauses).build().expect("a client")
}

/// Whoever learns nothing asks twelve times while such a task runs; evenly, at the same lag, it would be more.
#[tokio::test]
async fn tasks_are_asked_after_when_those_before_were_done() {
    let counted = Service::default();
    let server = service(counted.clone()).await;
    let client = client(&server);
    let mut learnt = HashMap::new();
    for round in 0..10 {
        all((0..20).map(|_| {
            let client = client.clone();
            async move { client.submit(&clip()).await.expect("a task").wait().await.expect("an end") }
        }))
        .await;
        if round == 4 {
            learnt = counted.polls();
        }
    }
    let polls = counted.polls();
    let later: Vec<_> = polls.iter().filter(|(id, _)| !learnt.contains_key(*id)).map(|(_, polls)| *polls).collect();
    let mean = f64::from(later.iter().sum::<u32>()) / later.len() as f64;
    assert_eq!((polls.len(), later.len()), (200, 100));
    assert!(mean <= 10.0, "{mean} polls for a task");
}

/// Tells who asks after the task `busy` to come back in a second, and writes down when what came.
#[derive(Clone, Default)]
struct Busy(Arc<Mutex<Vec<(Instant, &'static str)>>>);

impl Busy {
    fn came(&self) -> Vec<(Instant, &'static str)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Respond for Busy {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut came = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (what, answer) = if request.method == "POST" {
            ("submit", ResponseTemplate::new(200).set_body_json(json!({ "task_id": "new" })))
        } else if request.url.query() == Some("task_id=busy") {
            ("refused", ResponseTemplate::new(429).insert_header("retry-after", "1"))
        } else {
            ("poll", status("TASK_STATUS_PROCESSING"))
        };
        came.push((Instant::now(), what));
        answer
    }
}

#[tokio::test]
async fn what_one_task_is_told_to_wait_for_all_wait_for() {
    let busy = Busy::default();
    let server = service(busy.clone()).await;
    let pauses = Duration::from_millis(10)..=Duration::from_millis(20);
    let client = Client::builder(KEY).base_url(server.uri()).poll_interval(pauses).build().expect("a client");
    let waits = (0..20).map(|task| {
        let id: TaskId = format!("t{task}").parse().expect("an id");
        let task = client.task(id).wait_timeout(Duration::from_secs(3));
        async move { task.wait().await.expect_err("no end") }
    });
    let refused = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        client.task("busy".parse().expect("an id")).poll().await.expect_err("a refusal");
        let refused = Instant::now();
        client.submit(&clip()).await.expect("a task");
        refused
    };
    let (refused, ()) = tokio::join!(refused, all(waits));

    let came = busy.came();
    let after = |what: &str, from: u64, to: u64| {
        let time = refused + Duration::from_millis(from)..refused + Duration::from_millis(to);
        came.iter().filter(|(at, kind)| *kind == what && time.contains(at)).count()
    };
    // Those that were under way come still, one for each task at most; they would be hundreds.
    assert!(after("poll", 0, 990) <= 20, "{} polls", after("poll", 0, 990));
    assert_eq!((after("submit", 0, 990), after("submit", 990, 60_000)), (0, 1));
    assert!(after("poll", 990, 60_000) > 0);
}

#[tokio::test]
async fn no_more_goes_than_the_budget() {
    let server = service(status("TASK_STATUS_PROCESSING")).await;
    let client = Client::builder(KEY).base_url(server.uri()).requests_per_minute(3).build().expect("a client");
    all((0..10).map(|_| {
        let task = client.task("t".parse().expect("an id"));
        tokio::time::timeout(Duration::from_secs(1), async move { task.poll().await })
    }))
    .await;
    let submit = tokio::time::timeout(Duration::from_millis(100), client.submit(&clip())).await;
    assert!(submit.is_err(), "a submit is part of it");
    assert_eq!(server.received_requests().await.expect("requests").len(), 3);
}

#[tokio::test]
async fn who_is_to_wait_for_long_is_told() {
    let server = service(ResponseTemplate::new(429).insert_header("retry-after", "600")).await;
    let client = client(&server);
    let task = client.task("t".parse().expect("an id"));
    task.poll().await.expect_err("a refusal");
    let poll = task.poll().await.expect_err("a refusal without a request");
    let submit = client.submit(&clip()).await.expect_err("likewise");
    assert!(poll.is_rate_limited() && submit.is_rate_limited());
    assert_eq!(submit.is_charged(), highwayapi::Charged::No);
    assert!(
        submit.to_string().starts_with("the submit was not sent: the service is busy. It asks to be left alone for "),
        "{submit}"
    );
    assert_eq!(server.received_requests().await.expect("requests").len(), 1);
}

#[tokio::test]
async fn whoever_waits_shorter_than_the_pause_is_still_told_how_it_stands() {
    let server =
        service(ResponseTemplate::new(200).set_body_json(succeeded(&["https://files.example.com/clip.mp4"]))).await;
    let client = Client::builder(KEY).base_url(server.uri()).build().expect("a client");
    for _ in 0..20 {
        client.learn(clip().options(), Duration::from_secs(900));
    }
    let id: TaskId = "t".parse().expect("an id");
    let task = client.task(id).submitted_at(SystemTime::now(), clip().options());
    task.wait_timeout(Duration::from_secs(2)).wait().await.expect("an end");
    assert_eq!(server.received_requests().await.expect("requests").len(), 1);
}

#[tokio::test]
async fn a_wait_that_had_no_turn_says_so() {
    let server = service(status("TASK_STATUS_PROCESSING")).await;
    let client = Client::builder(KEY).base_url(server.uri()).requests_per_minute(1).build().expect("a client");
    let task = client.task("t".parse().expect("an id"));
    task.poll().await.expect("the only request");
    let error = task.wait_timeout(Duration::from_millis(100)).wait().await.expect_err("no end");
    assert!(error.is_still_running());
    assert_eq!(
        error.to_string(),
        "nothing was heard of task t within 100ms: the last poll had to wait for its turn. It may be there and can be \
         waited for again."
    );
}
