//! What the user decides: name the task, send it again, give it up, take one in, forget.

use std::time::Duration;

use highwayapi::{Charged, FirstLastFrame, Frame, TaskId};
use highwayapi_jobs::{Job, Jobs, State};

use super::{jobs, only};
use crate::support::folder;
use crate::support::service::{Answer, Service, png, request};

fn task(id: &str) -> TaskId {
    id.parse().expect("a task's id")
}

/// A job whose answer was lost.
async fn unknown(jobs: &Jobs, service: &Service, request: &FirstLastFrame) -> Job {
    service.answers([Answer::Lost]);
    let error = jobs.submit(request).await.expect_err("lost");
    jobs.find(error.job().expect("a job").as_str()).await.expect("a job").job
}

#[tokio::test]
async fn a_task_that_was_found_makes_an_unknown_job_whole() {
    let (service, folder) = (Service::start().await, folder());
    let jobs = jobs(folder.path(), service.client());
    let lost = unknown(&jobs, &service, &request("dusk falls")).await;
    let other = jobs.submit(&request("dawn comes")).await.expect("a task").job().clone();

    let error = jobs.name_task(&lost.id, &task("task-99")).await.expect_err("no such task");
    assert!(error.client_error().is_some_and(highwayapi::Error::is_not_found), "{error}");
    let error = jobs.name_task(&lost.id, &task("task-2")).await.expect_err("the other's");
    assert_eq!(error.to_string(), format!("task task-2 is that of job {}", other.id));
    let error = jobs.name_task(&other.id, &task("task-1")).await.expect_err("it has one");
    assert!(error.is_wrong_state(), "{error}");
    assert_eq!(jobs.find(lost.id.as_str()).await.expect("a job").job, lost);

    let mut named = jobs.name_task(&lost.id, &task("task-1")).await.expect("its task");
    assert_eq!((named.job().state, &named.job().reason), (State::Submitted, &None));
    named.redirect(folder.path().join("clip.mp4"), false).await.expect("elsewhere");
    named.finish(|_| {}).await.expect("a clip");
    drop(named);
    assert!(!jobs.submit(&request("dusk falls")).await.expect("the same").is_new());
    assert_eq!((service.submits(), service.fetched()), (2, vec!["task-1-1".to_owned()]));
}

#[tokio::test]
async fn an_unknown_job_is_sent_again_by_the_users_word_and_once() {
    let (service, folder) = (Service::start().await, folder());
    let path = folder.path().join("first.png");
    std::fs::write(&path, png("one")).expect("a picture");
    let first = || Frame::open(&path).expect("a picture");
    let clip = FirstLastFrame::new(first(), first(), "dusk falls").seed(3);
    let jobs = jobs(folder.path(), service.client());
    let lost = unknown(&jobs, &service, &clip).await;

    for change in [|path: &_| std::fs::write(path, png("two")), |path: &_| std::fs::remove_file(path)] {
        change(&path).expect("a change");
        let error = jobs.submit_again(&lost.id, std::future::pending()).await.expect_err("another picture");
        assert!(error.is_invalid_input() && error.to_string().ends_with("nothing was sent"), "{error}");
        assert_eq!((error.is_charged(), service.submits()), (Charged::No, 1));
        assert_eq!(only(&jobs).await, lost);
    }
    std::fs::write(&path, png("one")).expect("the picture");
    let again = jobs.submit_again(&lost.id, std::future::pending()).await.expect("a task");
    assert_eq!((again.job().state, again.job().attempt), (State::Submitted, 2));
    assert_eq!(again.job().task_id, Some(task("task-2")));
    drop(again);
    let error = jobs.submit_again(&lost.id, std::future::pending()).await.expect_err("it is known");
    assert!(error.is_wrong_state(), "{error}");
    assert_eq!(service.submits(), 2);
    // The same, with every default in words.
    let [first, second] = &service.bodies()[..] else { panic!("two submits") };
    for (field, value) in first.as_object().expect("an object") {
        assert_eq!(second[field], *value, "{field}");
    }
}

#[tokio::test]
async fn a_picture_that_came_from_memory_cannot_be_sent_again() {
    let (service, folder) = (Service::start().await, folder());
    let jobs = jobs(folder.path(), service.client());
    let lost = unknown(&jobs, &service, &request("dusk falls")).await;
    let error = jobs.submit_again(&lost.id, std::future::pending()).await.expect_err("no picture");
    assert!(error.is_invalid_input(), "{error}");
    assert_eq!((only(&jobs).await, service.submits()), (lost, 1));
}

#[tokio::test]
async fn a_second_attempt_that_is_refused_or_stopped_leaves_the_first_unknown() {
    let (service, folder) = (Service::start().await, folder());
    let jobs = jobs(folder.path(), service.client());
    let frame = |url| Frame::from_url(url).expect("a URL");
    let clip = FirstLastFrame::new(frame("https://example.com/a.png"), frame("https://example.com/b.png"), "dusk");
    let lost = unknown(&jobs, &service, &clip).await;

    service.answers([Answer::Busy]);
    let error = jobs.submit_again(&lost.id, std::future::pending()).await.expect_err("refused");
    // This attempt cost nothing; the job as a whole may have.
    assert!(error.is_unresolved(), "{error}");
    assert_eq!((error.is_charged(), service.submits()), (Charged::Unknown, 2));
    let job = only(&jobs).await;
    assert_eq!((job.state, job.attempt), (State::Unknown, 2));
    assert!(jobs.submit(&clip).await.expect_err("it may be paid for").is_unresolved());

    let error = jobs.submit_again(&lost.id, async {}).await.expect_err("stopped");
    let why = std::error::Error::source(&error).expect("why").to_string();
    assert!(error.is_unresolved() && why.contains("the submit was stopped"), "{error}: {why}");
    assert_eq!((only(&jobs).await.state, service.submits()), (State::Unknown, 2));

    let named = jobs.name_task(&lost.id, &task("task-1")).await.expect("the first attempt's task");
    assert_eq!(named.job().state, State::Submitted);
}

#[tokio::test]
async fn a_program_that_ends_while_it_sends_again_leaves_it_unknown() {
    let (service, folder) = (Service::start().await, folder());
    let jobs = jobs(folder.path(), service.client());
    let frame = || Frame::from_url("https://example.com/a.png").expect("a URL");
    let lost = unknown(&jobs, &service, &FirstLastFrame::new(frame(), frame(), "dusk")).await;
    service.answers([Answer::Silence]);
    tokio::select! {
        _ = jobs.submit_again(&lost.id, std::future::pending()) => panic!("an answer out of silence"),
        () = service.submitted(2) => {}
    }
    assert_eq!((only(&jobs).await.state, service.submits()), (State::Unknown, 2));
}

#[tokio::test]
async fn a_job_that_is_given_up_is_kept_and_never_asked_after() {
    let (service, folder) = (Service::start().await, folder());
    let jobs = jobs(folder.path(), service.client());
    let lost = unknown(&jobs, &service, &request("dusk falls")).await;
    let paid = jobs.submit(&request("dawn comes")).await.expect("a task").job().clone();
    for (job, was) in [(&lost, "unknown"), (&paid, "submitted")] {
        let dropped = jobs.give_up(&job.id).await.expect("given up");
        assert_eq!(dropped.state, State::Dropped);
        assert_eq!(dropped.reason, Some(format!("given up by the user when it was {was}")));
        assert!(jobs.give_up(&job.id).await.expect_err("it is").is_wrong_state());
        let mut held = jobs.take_up(&job.id).await.expect("a job");
        assert!(held.finish(|_| {}).await.expect_err("given up").is_wrong_state());
    }
    assert_eq!(service.polls(), 0);
    // Both may have been paid for, and one is known to be.
    for (job, charged) in [(&lost, Charged::Unknown), (&paid, Charged::Yes)] {
        assert_eq!(jobs.find(job.id.as_str()).await.expect("a job").job.charged(), charged);
    }
    assert!(jobs.submit(&request("dusk falls")).await.expect_err("given up").is_wrong_state());
    assert_eq!(service.submits(), 2);
    // What was given up may be wanted after all: taken in by its task, or paid for anew.
    let adopted = jobs.adopt(&task("task-2"), |_| {}).await.expect("its task");
    assert_eq!((adopted.job().state, &adopted.job().id), (State::Submitted, &paid.id));
    assert!(jobs.submit(&request("dusk falls")).again(true).await.expect("a task").is_new());
}

#[tokio::test]
async fn a_task_from_elsewhere_is_taken_in_once_the_service_tells_of_it() {
    let (service, folder) = (Service::start().await, folder());
    let jobs = jobs(folder.path(), service.client());
    service.videos(2);
    service.client().submit(&request("elsewhere")).await.expect("a task");

    let error = jobs.adopt(&task("task-99"), |_| {}).await.expect_err("no such task");
    assert!(error.client_error().is_some_and(highwayapi::Error::is_not_found), "{error}");
    assert_eq!(jobs.list().await.expect("jobs").len(), 0);

    let output = folder.path().join("clip.mp4");
    let mut job = jobs.adopt(&task("task-1"), |_| {}).await.expect("its task");
    job.redirect(output, false).await.expect("a place");
    job.finish(|_| {}).await.expect("clips");
    let id = job.job().id.clone();
    drop(job);
    assert!(folder.path().join("clip-1.mp4").is_file() && folder.path().join("clip-2.mp4").is_file());
    let again = jobs.adopt(&task("task-1"), |_| {}).await.expect("its task");
    assert_eq!((&again.job().id, again.job().state), (&id, State::Downloaded));
    drop(again);
    let error = jobs.submit_again(&id, std::future::pending()).await.expect_err("adopted");
    assert!(error.is_wrong_state(), "{error}");
    assert_eq!((jobs.list().await.expect("jobs").len(), service.submits()), (1, 1));
}

#[tokio::test]
async fn a_job_of_another_service_never_gets_this_ones_key() {
    let (service, elsewhere, folder) = (Service::start().await, Service::start().await, folder());
    let other = jobs(folder.path(), elsewhere.client());
    let paid = other.submit(&request("dusk falls")).await.expect("a task").job().clone();
    let lost = unknown(&other, &elsewhere, &request("dawn comes")).await;
    drop(other);
    let here = jobs(folder.path(), service.client());
    service.client().submit(&request("x")).await.expect("a task");
    let came = (elsewhere.requests().await.len(), service.requests().await.len());

    let mut held = here.take_up(&paid.id).await.expect("a job");
    for error in [
        held.finish(|_| {}).await.expect_err("another service"),
        here.name_task(&lost.id, &task("task-1")).await.expect_err("another service"),
        here.submit_again(&lost.id, std::future::pending()).await.expect_err("another service"),
    ] {
        assert!(error.is_invalid_input() && error.to_string().contains(&elsewhere.uri()), "{error}");
    }
    drop(held);
    assert_eq!((elsewhere.requests().await.len(), service.requests().await.len()), came);
    assert_eq!(here.find(lost.id.as_str()).await.expect("a job").job, lost);
}

#[tokio::test]
async fn only_what_is_over_is_forgotten() {
    let (service, folder) = (Service::start().await, folder());
    let jobs = jobs(folder.path(), service.client());
    let lost = unknown(&jobs, &service, &request("unknown")).await;
    let submitted = jobs.submit(&request("submitted")).await.expect("a task").job().clone();
    let mut job = jobs.submit(&request("downloaded")).output(folder.path().join("clip.mp4")).await.expect("a task");
    job.finish(|_| {}).await.expect("a clip");
    let downloaded = job.job().clone();
    service.answers([Answer::Refused]);
    jobs.submit(&request("refused")).await.expect_err("refused");
    service.answers([Answer::Silence]);
    let gone = request("gone");
    tokio::select! {
        _ = jobs.submit(&gone) => panic!("an answer out of silence"),
        () = service.submitted(5) => {}
    }

    assert_eq!(jobs.prune(Duration::from_secs(3600)).await.expect("a record").len(), 0);
    let pruned = jobs.prune(Duration::ZERO).await.expect("a record");
    assert_eq!(pruned.iter().map(|job| job.state).collect::<Vec<_>>(), [State::Refused], "one is being worked on");
    drop(job);
    let pruned = jobs.prune(Duration::ZERO).await.expect("a record");
    assert_eq!(pruned.iter().map(|job| &job.id).collect::<Vec<_>>(), [&downloaded.id]);
    assert!(folder.path().join("clip.mp4").is_file());
    let left: Vec<_> = jobs.list().await.expect("jobs").into_iter().map(|entry| entry.job).collect();
    assert_eq!(
        left.iter().map(|job| job.state).collect::<Vec<_>>(),
        [State::Unknown, State::Submitted, State::Unknown]
    );
    assert_eq!((&left[0].id, &left[1].id), (&lost.id, &submitted.id));
}

#[tokio::test]
async fn a_job_is_found_by_its_id_its_task_and_a_beginning_that_is_its_own() {
    let (service, folder) = (Service::start().await, folder());
    let jobs = jobs(folder.path(), service.client());
    let job = jobs.submit(&request("dusk falls")).await.expect("a task").job().clone();
    for name in [job.id.as_str(), &job.id.as_str()[..3], "task-1"] {
        assert_eq!(jobs.find(name).await.expect(name).job.id, job.id);
    }
    for name in ["", &job.id.as_str()[..2], "task-", "nothing"] {
        assert!(jobs.find(name).await.expect_err(name).is_not_found());
    }
    let alike: highwayapi_jobs::JobId = format!("{}zzz", &job.id.as_str()[..5]).parse().expect("an id");
    assert!(jobs.take_up(&alike).await.expect_err("none").is_not_found());
    let alike = crate::support::job(alike.as_str(), None, State::Submitted);
    let store = highwayapi_jobs::SqliteStore::open(folder.path()).expect("a record");
    drop(crate::support::added(&store, &alike).await);
    let error = jobs.find(&job.id.as_str()[..5]).await.expect_err("two of them");
    assert_eq!(error.to_string(), format!("2 jobs begin with {}; more of it is needed", &job.id.as_str()[..5]));
}
