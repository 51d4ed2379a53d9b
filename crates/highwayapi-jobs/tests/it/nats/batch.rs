//! A whole batch, run by several processes of which one is killed and one sleeps through its lease.

use std::fs;
use std::time::Duration;

use highwayapi_jobs::batch::{BatchEvent, Ending, Frames, Outcome};
use highwayapi_jobs::{Jobs, State, verify};

use super::process::Worker;
use super::server::{Server, options};
use crate::support::batches::Work;

const CLIPS: usize = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_four_workers_one_dies_and_one_sleeps_and_nothing_is_paid_twice_or_lost() {
    let Some(server) = Server::start() else { return };
    let work = Work::new().await;
    let prompts: Vec<_> = (0..CLIPS).map(|at| format!("clip-{at}")).collect();
    let items: Vec<_> = prompts.iter().map(|prompt| (prompt.as_str(), prompt.as_str())).collect();
    let manifest = work.manifest(&items);
    let jobs = Jobs::with_store(work.service.client(), server.store().await);
    let frames = Frames::read(&manifest.items, |_, _| {});
    assert_eq!(jobs.plan(&work.batch(), &manifest.items, &frames).await.expect("planned"), CLIPS as u64);
    // The workers share no disk with whoever planned it.
    for name in ["a.png", "b.png"] {
        fs::remove_file(work.path(name)).expect("gone");
    }

    let uri = work.service.uri();
    // So slow that each of them gets something to do.
    work.service.on_submit(|_| std::thread::sleep(Duration::from_millis(100)));
    let mut workers: Vec<_> = (0..4).map(|_| Worker::runs(&server.url(), &uri)).collect();
    tokio::task::block_in_place(|| {
        for worker in &mut workers {
            assert_eq!(worker.next(), "ready");
        }
        workers.iter_mut().for_each(|worker| worker.tell("go"));
        assert_eq!(workers[0].next(), "submitted");
        workers[0].signal("-KILL");
        assert_eq!(workers[1].next(), "submitted");
        workers[1].signal("-STOP");
        std::thread::sleep(2 * options().lease);
        workers[1].signal("-CONT");
    });
    // What the one that slept was fetching at the same time may be left for another time.
    let mut outcome = run(&jobs, &work).await;
    while outcome.left > 0 {
        outcome = run(&jobs, &work).await;
    }
    assert!(matches!(outcome.ending, Ending::Done), "{:?}", outcome.ending);
    tokio::task::block_in_place(|| {
        // Also the one that slept: what it knows for certain is in the record when it ends.
        for worker in &mut workers[1..] {
            let ended = std::iter::repeat_with(|| worker.next()).find(|said| said != "submitted");
            assert_eq!(ended.as_deref(), Some("Done"));
        }
    });
    let outcome = run(&jobs, &work).await;

    let entries = jobs.list().await.expect("jobs");
    assert_eq!(entries.len(), CLIPS);
    let accepted = work.service.accepted();
    assert!(accepted.values().all(|&times| times == 1), "paid twice: {accepted:?}");
    for job in entries.iter().map(|entry| &entry.job) {
        let prompt = &job.asked.as_ref().expect("a request").prompt;
        match job.state {
            State::Downloaded => {
                let clip = work.path("clips").join(format!("{prompt}.mp4"));
                assert_eq!(&verify(&clip).expect("a clip").request.expect("what was asked for").prompt, prompt);
            }
            State::Unknown => assert!(job.reason.is_some()),
            state => panic!("{prompt} is {state}: {:?}", job.reason),
        }
    }
    let unknown = entries.iter().filter(|entry| entry.job.state == State::Unknown).count();
    // Whoever dies between counting and sending has counted too much.
    let spent = outcome.batch.spent.clips as usize;
    let over = spent.checked_sub(CLIPS).expect("all of them were sent");
    // What the killed one was sending at that moment, four at most, is unknown, or only counted. The one that slept takes
    // back what it sent.
    assert!(unknown + over <= 4, "{unknown} unknown, {over} counted too much");
}

async fn run(jobs: &Jobs, work: &Work) -> Outcome {
    let outcome = jobs.run(&work.batch().id).run(std::future::pending(), |event| {
        if let BatchEvent::Left { job, error, .. } = event {
            println!("{} is left as {}: {error}", job.id, job.state);
        }
    });
    outcome.await.expect("an outcome")
}
