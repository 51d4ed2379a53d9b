//! The same is not paid for twice, and what is not the same is another job.

use std::sync::{Arc, Mutex};

use highwayapi::{AspectRatio, Charged, DurationSeconds, FirstLastFrame, Frame, Resolution, SampleCount};
use highwayapi_jobs::{Entry, State};
use tokio::runtime::Builder;

use super::{jobs, only, seen};
use crate::support::folder;
use crate::support::service::{Answer, Service, png, request};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_intent_is_on_disk_before_the_service_hears_of_it_and_the_task_before_the_program_does() {
    let (service, folder) = (Service::start().await, folder());
    let there: Arc<Mutex<Vec<Entry>>> = Arc::default();
    let (store, path) = (Arc::clone(&there), folder.path().to_owned());
    service.on_submit(move |_| {
        let look = || Builder::new_current_thread().build().expect("a runtime").block_on(seen(&path));
        let found = std::thread::scope(|scope| scope.spawn(look).join().expect("no panic"));
        *store.lock().expect("a lock") = found;
    });
    let jobs = jobs(folder.path(), service.client());
    let job = jobs.submit(&request("dusk falls")).output("clip.mp4").await.expect("a task");
    {
        let there = there.lock().expect("a lock");
        assert_eq!((there.len(), there[0].job.state, there[0].held), (1, State::Intent, true));
        assert_eq!(there[0].job.asked.as_ref().expect("a request").prompt, "dusk falls");
    }
    let after = &seen(folder.path()).await[0];
    assert_eq!((after.job.state, after.held, job.is_new()), (State::Submitted, true, true));
    assert_eq!(after.job.task_id.as_ref().expect("a task").as_str(), "task-1");
    assert_eq!(after.job.output, Some(std::path::absolute("clip.mp4").expect("a path")));
    assert_eq!(job.job().state.charged(), Charged::Yes);
}

#[tokio::test]
async fn the_same_request_takes_up_what_was_paid_for() {
    let (service, folder) = (Service::start().await, folder());
    let request = request("dusk falls");
    let output = folder.path().join("clip.mp4");
    let first = jobs(folder.path(), service.client());
    let mut job = first.submit(&request).output(&output).await.expect("a task");
    let id = job.job().id.clone();

    let error = first.submit(&request).await.expect_err("it is being worked on");
    assert_eq!((error.is_busy(), error.is_charged(), error.job()), (true, Charged::Yes, Some(&id)));

    job.finish(|_| {}).await.expect("a clip");
    drop(job);
    drop(first);
    let second = jobs(folder.path(), service.client());
    let mut job = second.submit(&request).await.expect("the same");
    assert_eq!((job.is_new(), &job.job().id, job.job().state), (false, &id, State::Downloaded));
    let polls = service.polls();
    job.finish(|_| {}).await.expect("it is there");
    assert_eq!((service.submits(), service.polls(), service.fetched().len()), (1, polls, 1));
    drop(job);

    // The user's word.
    let job = second.submit(&request).again(true).await.expect("another task");
    assert!(job.is_new() && job.job().id != id);
    assert_eq!(service.submits(), 2);
}

#[tokio::test]
async fn what_was_refused_cost_nothing_and_may_be_sent_anew() {
    let (service, folder) = (Service::start().await, folder());
    let jobs = jobs(folder.path(), service.client());
    let request = request("dusk falls");
    service.answers([Answer::Refused, Answer::Busy]);
    for submits in 1..=2 {
        let error = jobs.submit(&request).await.expect_err("refused");
        let of_client = error.client_error().expect("the client's");
        assert_eq!((error.is_charged(), of_client.is_charged()), (Charged::No, Charged::No));
        let all = jobs.list().await.expect("jobs");
        assert_eq!((all.len(), service.submits()), (submits, submits));
        let job = &all[submits - 1].job;
        assert_eq!((job.state, error.job(), job.task_id.as_ref()), (State::Refused, Some(&job.id), None));
        assert_eq!(job.reason, Some(error.to_string()));
    }
    assert!(jobs.submit(&request).await.expect("a task").is_new());
    assert!(!jobs.submit(&request).await.expect("the same").is_new());
    assert_eq!(service.submits(), 3);
}

#[tokio::test]
async fn what_cannot_be_is_found_out_before_anything_is_written_or_sent() {
    let (service, folder) = (Service::start().await, folder());
    let jobs = jobs(folder.path(), service.client());
    for output in ["clip.json", "clip.JSON/..", "/"] {
        let error = jobs.submit(&request("dusk falls")).output(output).await.expect_err(output);
        assert!(error.is_invalid_input() && error.to_string().starts_with("output: "), "{error}");
    }
    let error = jobs.submit(&request("  ")).await.expect_err("no prompt");
    assert!(error.is_invalid_input(), "{error}");
    let path = folder.path().join("first.png");
    std::fs::write(&path, png("one")).expect("a picture");
    let gone = Frame::open(&path).expect("a picture");
    std::fs::remove_file(&path).expect("gone");
    let error = jobs.submit(&FirstLastFrame::new(gone.clone(), gone, "dusk")).await.expect_err("no picture");
    assert!(error.is_invalid_input() && error.is_charged() == Charged::No, "{error}");
    assert_eq!((service.submits(), jobs.list().await.expect("jobs").len()), (0, 0));
}

#[tokio::test]
async fn what_differs_is_another_job_and_a_default_that_is_spelled_out_is_not() {
    let (service, folder) = (Service::start().await, folder());
    let one = jobs(folder.path(), service.client());
    let base = request("dusk falls");
    let frame = |tail| Frame::from_bytes(png(tail)).expect("a picture");
    drop(one.submit(&base).await.expect("a task"));
    let others = [
        request("dusk fell"),
        base.clone().seed(1),
        base.clone().seed(2),
        base.clone().resolution(Resolution::P1080),
        base.clone().aspect_ratio(AspectRatio::Portrait),
        base.clone().sample_count(SampleCount::Two),
        base.clone().generate_audio(true),
        base.clone().enhance_prompt(false),
        base.clone().negative_prompt("text"),
        base.clone().duration_seconds(DurationSeconds::Four),
        FirstLastFrame::new(frame("the first Picture"), frame("the last picture"), "dusk falls"),
        FirstLastFrame::new(frame("the last picture"), frame("the first picture"), "dusk falls"),
    ];
    for (at, other) in others.iter().enumerate() {
        assert!(one.submit(other).await.expect("a task").is_new(), "{at}: {other:?}");
    }
    assert_eq!(service.submits(), others.len() + 1);

    // The same pictures from elsewhere, and every default in words.
    let path = |name: &str, tail| {
        let path = folder.path().join(name);
        std::fs::write(&path, png(tail)).expect("a picture");
        Frame::open(path).expect("a picture")
    };
    let mut same = FirstLastFrame::new(path("a", "the first picture"), path("b", "the last picture"), "dusk falls");
    assert!(!one.submit(&same).await.expect("the same").is_new());
    same = same.with_options(base.options().resolved());
    assert!(!one.submit(&same).await.expect("the same").is_new());
    assert_eq!(service.submits(), others.len() + 1);

    // At another service it is another job.
    let elsewhere = Service::start().await;
    assert!(jobs(folder.path(), elsewhere.client()).submit(&base).await.expect("a task").is_new());
}

/// A record outlives the version that wrote it: were this to change, what is paid for would be paid for again.
#[tokio::test]
async fn the_fingerprint_of_a_request_is_for_good() {
    use highwayapi_jobs::{Jobs, SqliteStore};
    let (closed, store) = ("http://127.0.0.1:1", SqliteStore::in_memory().expect("a record"));
    let jobs = Jobs::with_store(crate::support::service::client(closed), store);
    jobs.submit(&request("dusk falls").seed(7)).await.expect_err("nobody is there");
    let job = only(&jobs).await;
    assert_eq!(job.state, State::Refused);
    let print = job.fingerprint.expect("a fingerprint");
    assert_eq!(print.as_str(), "e1bd058e2e6a33b89356a45024e8eb371b0f45e2a1487d9318c2da0d5677a5c7");
}
