//! Waiting: what it puts up with, and what ends it.

use std::time::Duration;

use highwayapi::{Charged, Client, Error, Event, Task};
use serde_json::json;
use wiremock::{MockServer, ResponseTemplate};

use crate::support::raw::Step::{Request, Reset, Silence};
use crate::support::raw::{Server, answer};
use crate::support::sequence::{Sequence, page, status};
use crate::support::{SUBMIT, builder, client, clip, service, succeeded, traits};

fn done() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(succeeded(&["https://files.example.com/clip.mp4"]))
}

fn processing() -> ResponseTemplate {
    status("TASK_STATUS_PROCESSING")
}

async fn polled(answers: impl Into<Vec<ResponseTemplate>>) -> MockServer {
    service(Sequence::new(answers)).await
}

fn task(client: &Client) -> Task {
    client.task("t1".parse().expect("an id"))
}

async fn polls(server: &MockServer) -> usize {
    server.received_requests().await.expect("requests").iter().filter(|request| request.method == "GET").count()
}

/// The events of a wait in a word each.
async fn events(task: &Task) -> Vec<String> {
    let mut events = task.events();
    let mut words = Vec::new();
    while let Some(event) = events.next().await {
        words.push(match event {
            Ok(Event::Progress(result)) => result.status().to_string(),
            Ok(Event::PollFailed { error, failures, .. }) => {
                format!(
                    "failed {failures}: {}",
                    error.status().map_or("no answer".to_owned(), |status| status.to_string())
                )
            }
            Ok(Event::Done(result)) => format!("done with {}", result.videos().len()),
            Ok(other) => format!("{other:?}"),
            Err(error) => format!("error: {}", traits(&error)),
        });
    }
    assert!(events.next().await.is_none(), "nothing comes after the end");
    words
}

/// They may come a little later than the word that they are there.
#[tokio::test]
async fn videos_that_are_late_are_waited_for_and_not_for_ever() {
    let early = || status("TASK_STATUS_SUCCEED");
    let server = polled([processing(), early(), early(), early(), done()]).await;
    let words = events(&task(&client(&server.uri()))).await;
    assert_eq!(words, ["processing", "succeeded", "succeeded", "succeeded", "done with 1"]);
    let server = polled([early()]).await;
    let words = events(&task(&client(&server.uri()))).await;
    assert_eq!(words, ["succeeded", "succeeded", "succeeded", "error: without_video, charged UNKNOWN"]);
    // With a reason it is the end.
    let filtered = json!({ "task": { "status": "TASK_STATUS_SUCCEED", "reason": "filtered" } });
    let server = polled([ResponseTemplate::new(200).set_body_json(filtered)]).await;
    assert_eq!(events(&task(&client(&server.uri()))).await, ["error: without_video, charged UNKNOWN"]);
}

#[tokio::test]
async fn events_in_their_order() {
    let server =
        polled([status("TASK_STATUS_QUEUED"), processing(), status("TASK_STATUS_ON_HOLD"), processing(), done()]).await;
    let events = events(&task(&client(&server.uri()))).await;
    assert_eq!(events, ["queued", "processing", "TASK_STATUS_ON_HOLD", "processing", "done with 1"]);
    assert_eq!(polls(&server).await, 5);
}

#[tokio::test]
async fn passing_failures_are_told_and_passed_over() {
    let failures = [ResponseTemplate::new(429), ResponseTemplate::new(408), page(502), page(200), page(302)];
    // An answer between two of them sets the count, and with it the pause, back.
    let answers = failures.into_iter().flat_map(|failure| [failure, processing()]).chain([done()]).collect::<Vec<_>>();
    let server = polled(answers).await;
    let events = events(&task(&client(&server.uri()))).await;
    let expected = ["failed 1: 429", "failed 1: 408", "failed 1: 502", "failed 1: 200", "failed 1: 302"];
    let expected: Vec<_> =
        expected.into_iter().flat_map(|failed| [failed, "processing"]).chain(["done with 1"]).collect();
    assert_eq!(events, expected);
}

#[tokio::test]
async fn a_broken_connection_is_passed_over() {
    let done = succeeded(&["https://files.example.com/clip.mp4"]).to_string();
    let server = Server::each(vec![vec![Request, Reset], vec![Request, answer("200 OK", done)]]).await;
    assert_eq!(events(&task(&client(server.url()))).await, ["failed 1: no answer", "done with 1"]);
}

#[tokio::test]
async fn failures_in_a_row_are_counted() {
    let server = polled([page(500), page(500), done()]).await;
    let events = events(&task(&client(&server.uri()))).await;
    assert_eq!(events, ["failed 1: 500", "failed 2: 500", "done with 1"]);
}

#[tokio::test]
async fn what_asking_again_will_not_mend_ends_the_wait() {
    for status in [400, 401, 402, 403, 404, 422] {
        let server = polled([ResponseTemplate::new(status)]).await;
        let error = task(&client(&server.uri())).wait().await.expect_err("an end");
        assert_eq!((error.status(), polls(&server).await), (Some(status), 1));
        assert_eq!(error.task_id().map(|id| id.as_str()), Some("t1"));
    }
}

#[tokio::test]
async fn a_task_that_was_there_may_be_missing_for_a_while() {
    let submitted = ResponseTemplate::new(200).set_body_json(json!({ "task_id": "t1" }));
    let server = polled([submitted, ResponseTemplate::new(404), done()]).await;
    let task = client(&server.uri()).submit(&clip()).await.expect("a task");
    assert_eq!(events(&task).await, ["failed 1: 404", "done with 1"]);
    // An id from somewhere counts as there once it was seen.
    let server = polled([processing(), ResponseTemplate::new(404), done()]).await;
    let events = events(&self::task(&client(&server.uri()))).await;
    assert_eq!(events, ["processing", "failed 1: 404", "done with 1"]);
}

#[tokio::test]
async fn an_id_that_is_known_to_be_accepted_counts_as_there_and_may_be_done() {
    let server = polled([ResponseTemplate::new(404), done()]).await;
    let accepted = task(&client(&server.uri())).accepted();
    assert_eq!(events(&accepted).await, ["failed 1: 404", "done with 1"]);

    let server = polled([ResponseTemplate::new(404), ResponseTemplate::new(400)]).await;
    let patient = builder(&server.uri()).poll_interval(Duration::from_secs(600)..=Duration::from_secs(600));
    let accepted = task(&patient.build().expect("a client")).accepted();
    let mut events = accepted.events();
    let first = tokio::time::timeout(Duration::from_secs(60), events.next()).await.expect("asked at once");
    let Some(Ok(Event::PollFailed { error, .. })) = first else { panic!("{first:?}") };
    assert_eq!((error.status(), error.is_charged()), (Some(404), Charged::Yes));
    let Some(Err(error)) = events.next().await else { panic!("not an end") };
    assert_eq!((error.status(), error.is_charged()), (Some(400), Charged::Yes));
}

#[tokio::test]
async fn one_poll_waits_no_longer_than_the_client_waits_for_anything() {
    let server = Server::start([Request, Silence]).await;
    let client = builder(server.url()).idle_timeout(Duration::from_millis(200)).build().expect("a client");
    let error = task(&client).poll().await.expect_err("no answer");
    assert_eq!((error.is_timeout(), error.to_string()), (true, "the poll was not answered for 0.2 s".to_owned()));
}

#[tokio::test]
async fn the_time_limit_ends_the_waiting_and_names_the_task() {
    let server = polled([processing()]).await;
    let task = task(&client(&server.uri()));
    let error = task.clone().wait_timeout(Duration::from_millis(50)).wait().await.expect_err("no time");
    assert_eq!(traits(&error), "timeout, still_running, charged yes");
    assert_eq!(error.task_id(), Some(task.id()));
    assert_eq!(error.to_string(), "task t1 was not finished within 50ms. It goes on and can be waited for again.");
    // The same as a setting of the client.
    let client = builder(&server.uri()).wait_timeout(Duration::from_millis(50)).build().expect("a client");
    assert!(self::task(&client).wait().await.expect_err("no time").is_still_running());
}

#[tokio::test]
async fn a_wish_for_an_endless_pause_ends_with_the_time_limit() {
    let wait = async |wish| {
        let server = polled([ResponseTemplate::new(429).insert_header("retry-after", wish)]).await;
        let task = task(&client(&server.uri())).wait_timeout(Duration::from_secs(2));
        assert_eq!(events(&task).await, ["failed 1: 429", "error: timeout, still_running, charged UNKNOWN"], "{wish}");
        assert_eq!(polls(&server).await, 1);
    };
    tokio::join!(wait("18446744073709551615"), wait("9999999999"), wait("Fri, 31 Dec 9999 23:59:59 GMT"));
}

#[tokio::test]
async fn a_wish_for_a_pause_is_kept() {
    let server = polled([ResponseTemplate::new(503).insert_header("retry-after", "1"), done()]).await;
    let mut events = task(&client(&server.uri())).events();
    let Some(Ok(Event::PollFailed { pause, error, .. })) = events.next().await else { panic!("not a failed poll") };
    assert_eq!((error.retry_after(), pause), (Some(Duration::from_secs(1)), Duration::from_secs(1)));
    assert!(matches!(events.next().await, Some(Ok(Event::Done(_)))));
}

/// Time runs only where everybody waits for it: this takes no minutes.
#[tokio::test(start_paused = true)]
async fn the_budget_of_failures_runs_out() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let task = task(&client(&url));
    let events = events(&task).await;
    let mut expected: Vec<_> = (1..12).map(|failures| format!("failed {failures}: no answer")).collect();
    expected.push("error: network, charged UNKNOWN".to_owned());
    assert_eq!(events, expected);
    let error: Error = task.wait().await.expect_err("an end");
    assert_eq!(error.task_id(), Some(task.id()));
    assert_eq!(error.to_string(), format!("the poll found no connection to {url}"));
}

#[tokio::test]
async fn waiting_never_submits() {
    let server = polled([processing(), page(502), done()]).await;
    task(&client(&server.uri())).wait().await.expect("a result");
    let requests = server.received_requests().await.expect("requests");
    assert!(requests.iter().all(|request| request.method == "GET" && request.url.path() != SUBMIT));
}
