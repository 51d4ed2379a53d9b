//! Answers that nobody saw, and records that cannot be written: never sent again of itself.

use highwayapi::Charged;
use highwayapi_jobs::{Jobs, SqliteStore, State};

use super::{jobs, only};
use crate::support::failing::Failing;
use crate::support::folder;
use crate::support::service::{Answer, Service, request};

/// Whatever is done with a job that is unknown, nothing is sent.
async fn nothing_sends_it_again(jobs: &Jobs, service: &Service) {
    let request = request("dusk falls");
    let sent = service.submits();
    let job = only(jobs).await;
    assert_eq!((job.state, job.state.charged(), &job.task_id), (State::Unknown, Charged::Unknown, &None));
    assert!(job.reason.is_some());
    for _ in 0..2 {
        let mut held = jobs.take_up(&job.id).await.expect("a job");
        let error = held.finish(|_| {}).await.expect_err("nothing to wait for");
        assert_eq!((error.is_unresolved(), error.is_charged(), error.job()), (true, Charged::Unknown, Some(&job.id)));
        drop(held);
        let error = jobs.submit(&request).await.expect_err("it may be paid for");
        assert_eq!((error.is_unresolved(), error.is_charged(), error.job()), (true, Charged::Unknown, Some(&job.id)));
        assert_eq!(only(jobs).await.state, State::Unknown);
    }
    assert_eq!((service.submits(), service.polls()), (sent, 0));
}

#[tokio::test]
async fn an_answer_that_is_lost_or_makes_no_sense_leaves_it_unknown() {
    for answer in [Answer::Lost, Answer::Garbage] {
        let (service, folder) = (Service::start().await, folder());
        service.answers([answer]);
        let one = jobs(folder.path(), service.client());
        let error = one.submit(&request("dusk falls")).await.expect_err("lost");
        assert_eq!((error.is_charged(), error.client_error().is_some()), (Charged::Unknown, true));
        assert_eq!(only(&one).await.reason, Some(error.to_string()));
        nothing_sends_it_again(&one, &service).await;
        drop(one);
        nothing_sends_it_again(&jobs(folder.path(), service.client()), &service).await;
    }
}

#[tokio::test]
async fn a_program_that_ends_while_it_waits_for_the_answer_leaves_it_unknown() {
    let (service, folder) = (Service::start().await, folder());
    service.answers([Answer::Silence]);
    let one = jobs(folder.path(), service.client());
    let request = request("dusk falls");
    tokio::select! {
        _ = one.submit(&request) => panic!("an answer out of silence"),
        () = service.submitted(1) => {}
    }
    nothing_sends_it_again(&one, &service).await;
    assert_eq!(service.accepted()["dusk falls"], 1);
}

#[tokio::test]
async fn a_task_that_cannot_be_written_down_is_told_and_paid_for() {
    let (service, folder) = (Service::start().await, folder());
    let store = Failing::new(SqliteStore::open(folder.path()).expect("a record"));
    let one = Jobs::with_store(service.client(), store.clone());
    service.on_submit(move |_| store.fail(100));
    let error = one.submit(&request("dusk falls")).await.expect_err("unrecorded");
    assert_eq!((error.is_unrecorded(), error.is_charged()), (true, Charged::Yes));
    assert_eq!(error.task_id().expect("a task").as_str(), "task-1");
    assert!(error.to_string().contains("task task-1 is accepted and paid for"), "{error}");
    let id = error.job().expect("a job").clone();
    drop(one);

    // Its record says what it knows, and the note that was taken heals it.
    let one = jobs(folder.path(), service.client());
    // That its hold has ended is known here once it is written.
    let ended = async {
        while one.list().await.expect("a record")[0].held {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), ended).await.expect("an end of the hold");
    nothing_sends_it_again(&one, &service).await;
    let job = one.name_task(&id, error.task_id().expect("a task")).await.expect("its task");
    assert_eq!(job.job().state, State::Submitted);
    assert_eq!(service.submits(), 1);
}

#[tokio::test]
async fn a_record_that_fails_for_a_moment_is_tried_again() {
    let (service, folder) = (Service::start().await, folder());
    let store = Failing::new(SqliteStore::open(folder.path()).expect("a record"));
    let one = Jobs::with_store(service.client(), store.clone());
    service.on_submit(move |_| store.fail(2));
    drop(one.submit(&request("dusk falls")).await.expect("a task"));
    let job = only(&one).await;
    assert_eq!((job.state, job.task_id.expect("a task").as_str()), (State::Submitted, "task-1"));
}

#[tokio::test]
async fn what_cannot_be_written_down_is_not_sent() {
    let store = Failing::new(SqliteStore::in_memory().expect("a record"));
    store.fail(1);
    let service = Service::start().await;
    let error = Jobs::with_store(service.client(), store).submit(&request("dusk")).await.expect_err("full");
    assert_eq!((error.is_store(), error.is_charged(), service.submits()), (true, Charged::No, 0));
}
