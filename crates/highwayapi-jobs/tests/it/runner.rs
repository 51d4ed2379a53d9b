//! Running batches, against a service that does its worst.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use highwayapi::{Charged, Client, SharedBudget, SharedTurn};
use highwayapi_jobs::batch::{BatchEvent, Ending, Outcome};
use highwayapi_jobs::{Caps, Entry, Error, Jobs, Ledger, Money, PriceTable, SqliteStore, State, Which, verify};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::support::FOREVER;
use crate::support::batches::Work;
use crate::support::failing::Failing;
use crate::support::service::{Answer, KEY, png};

async fn entries(work: &Work) -> Vec<Entry> {
    work.jobs().those(Which::Batch(&work.batch().id)).await.expect("jobs")
}

fn counts(outcome: &Outcome) -> Vec<(State, u64)> {
    outcome.tally.states().collect()
}

#[tokio::test]
async fn a_batch_is_made_whole_and_made_once() {
    let work = Work::new().await;
    let prompts = ["one", "two", "three", "four", "five"];
    assert_eq!(work.plan(&prompts).await.expect("planned"), 5);
    let outcome = work.run().await;
    assert!(matches!(outcome.ending, Ending::Done), "{:?}", outcome.ending);
    assert_eq!((counts(&outcome), outcome.left), (vec![(State::Downloaded, 5)], 0));
    assert_eq!((outcome.batch.spent.clips, work.service.submits()), (5, 5));
    for prompt in prompts {
        let clip = work.path("clips").join(format!("{prompt}.mp4"));
        assert_eq!(verify(&clip).expect("a clip").request.expect("what was asked for").prompt, prompt);
    }
    // Planned again with more, and run again.
    assert_eq!(work.plan(&[&prompts[..], &["six"]].concat()).await.expect("planned"), 1);
    assert_eq!(counts(&work.run().await), [(State::Downloaded, 6)]);
    assert_eq!(work.plan(&prompts).await.expect("planned"), 0);
    assert_eq!((counts(&work.run().await), work.service.submits()), (vec![(State::Downloaded, 6)], 6));
}

#[tokio::test]
async fn items_that_are_added_while_it_runs_are_made_too() {
    let work = Arc::new(Work::new().await);
    work.plan(&["one"]).await.expect("planned");
    let jobs = work.jobs();
    let mut added = false;
    let outcome = {
        let more = Arc::clone(&work);
        jobs.run(&work.batch().id).run(std::future::pending(), move |event| {
            if matches!(event, BatchEvent::Submitted(_)) && !added {
                added = true;
                let more = Arc::clone(&more);
                tokio::spawn(async move { more.plan(&["one", "two"]).await.expect("planned") });
            }
        })
    };
    outcome.await.expect("an outcome");
    // Whether the first run saw it depends on who was quicker; none is lost, and none is made twice.
    loop {
        if counts(&work.run().await) == [(State::Downloaded, 2)] {
            break;
        }
    }
    assert_eq!((work.clips(), work.service.submits()), (vec!["one".to_owned(), "two".to_owned()], 2));
}

#[tokio::test]
async fn a_cap_on_clips_is_kept_until_it_is_raised() {
    let work = Work::new().await;
    let prompts = ["one", "two", "three", "four"];
    work.plan_up_to(3, &prompts).await.expect("planned");
    for _ in 0..2 {
        let run = work.jobs().run(&work.batch().id).submits(1).run(std::future::pending(), |_| {});
        let outcome = run.await.expect("an outcome");
        assert!(matches!(outcome.ending, Ending::CapReached), "{:?}", outcome.ending);
        assert_eq!(counts(&outcome), [(State::Planned, 1), (State::Downloaded, 3)]);
        assert_eq!((work.service.submits(), outcome.batch.spent.clips), (3, 3));
    }
    // The first in the manifest came first.
    assert_eq!(work.clips(), ["one", "three", "two"]);
    work.plan_up_to(4, &prompts).await.expect("planned");
    assert_eq!((counts(&work.run().await), work.service.submits()), (vec![(State::Downloaded, 4)], 4));
}

#[tokio::test]
async fn a_cap_on_money_is_kept_to_the_last_millionth_and_refused_without_prices() {
    let work = Work::new().await;
    let prompts = ["one", "two", "three"];
    let mut batch = work.batch();
    batch.caps = Caps::new(None, Some(Money::from_micros(1_600_000)));
    let error = work.plan_as(batch.clone(), &prompts).await.expect_err("no prices");
    assert!(error.is_invalid_input() && error.to_string().starts_with("max-spend: "), "{error}");
    assert_eq!(work.jobs().batches().await.expect("batches").len(), 0);

    let prices = r#"{"currency": "USD", "prices": [{"resolution": "720p", "per_second": 0.1}]}"#;
    batch.prices = Some(PriceTable::parse(prices).expect("prices"));
    work.plan_as(batch, &prompts).await.expect("planned");
    let outcome = work.run().await;
    assert!(matches!(outcome.ending, Ending::CapReached), "{:?}", outcome.ending);
    assert_eq!((outcome.batch.spent.money.to_string().as_str(), work.service.submits()), ("1.60", 2));
    let priced = entries(&work).await.into_iter().filter_map(|entry| entry.job.price).count();
    assert_eq!(priced, 3);
}

#[tokio::test]
async fn what_is_refused_is_not_repeated_and_what_passes_is() {
    let work = Work::new().await;
    work.service.answers([Answer::Refused, Answer::Busy, Answer::Busy]);
    work.plan(&["one", "two"]).await.expect("planned");
    let outcome = work.run().await;
    assert_eq!(counts(&outcome), [(State::Downloaded, 1), (State::Refused, 1)]);
    // The one that was refused is not counted, and neither are the attempts that were not taken.
    assert_eq!((work.service.submits(), outcome.batch.spent.clips), (4, 1));
    let refused = entries(&work).await.into_iter().find(|entry| entry.job.state == State::Refused).expect("a job");
    assert!(refused.job.reason.expect("a reason").contains("INVALID_REQUEST_BODY"));

    let retried = work.jobs().retry_failed(&work.batch().id, false).await.expect("planned");
    assert_eq!((retried.refused, retried.failed), (1, 0));
    work.jobs().retry_failed(&work.batch().id, false).await.expect("nothing more");
    assert_eq!((counts(&work.run().await), work.service.submits()), (vec![(State::Downloaded, 2)], 5));
    assert_eq!(entries(&work).await.len(), 3);
}

#[tokio::test]
async fn what_failed_is_tried_again_only_by_its_users_word() {
    let work = Work::new().await;
    work.service.new_status("TASK_STATUS_FAILED");
    work.plan(&["one"]).await.expect("planned");
    assert_eq!(counts(&work.run().await), [(State::Failed, 1)]);
    work.service.new_status("TASK_STATUS_SUCCEED");
    let id = work.batch().id;
    let retried = work.jobs().retry_failed(&id, false).await.expect("nothing");
    assert_eq!((retried.failed, retried.failed_and_left), (0, 1));
    assert_eq!((counts(&work.run().await), work.service.submits()), (vec![(State::Failed, 1)], 1));
    let retried = work.jobs().retry_failed(&id, true).await.expect("planned");
    assert_eq!((retried.failed, retried.failed_and_left), (1, 0));
    let outcome = work.run().await;
    assert_eq!((counts(&outcome), work.service.submits()), (vec![(State::Downloaded, 1)], 2));
    assert_eq!(outcome.batch.spent.clips, 2);
}

#[tokio::test]
async fn what_had_its_videos_and_has_none_any_more_is_left_and_was_paid_for() {
    let work = Work::new().await;
    work.plan(&["one"]).await.expect("planned");
    work.service.broken(&[1]);
    assert_eq!(counts(&work.run().await), [(State::Succeeded, 1)]);
    work.service.fail_one();
    let before = work.service.polls();
    let outcome = work.run().await;
    assert_eq!((counts(&outcome), outcome.left), (vec![(State::Succeeded, 1)], 1));
    // Nothing that asking again would change.
    assert_eq!(work.service.polls() - before, 1);
}

#[tokio::test]
async fn what_is_unknown_is_never_sent_again_of_itself() {
    let work = Work::new().await;
    work.service.answers([Answer::Lost, Answer::Garbage]);
    work.plan(&["one", "two", "three"]).await.expect("planned");
    for _ in 0..2 {
        let outcome = work.run().await;
        assert_eq!(counts(&outcome), [(State::Downloaded, 1), (State::Unknown, 2)]);
        assert_eq!((work.service.submits(), outcome.batch.spent.clips), (3, 3));
        let retried = work.jobs().retry_failed(&work.batch().id, true).await.expect("nothing");
        assert_eq!((retried.refused, retried.failed, retried.failed_and_left), (0, 0, 0));
    }
}

#[tokio::test]
async fn a_key_that_is_refused_stops_the_batch_and_uses_up_none_of_it() {
    let work = Work::new().await;
    work.service.answers([Answer::NoKey, Answer::NoKey, Answer::NoKey, Answer::NoKey]);
    work.plan(&["one", "two", "three", "four", "five", "six"]).await.expect("planned");
    let outcome = work.run().await;
    let Ending::Service(error) = &outcome.ending else { panic!("{:?}", outcome.ending) };
    assert!(error.client_error().is_some_and(highwayapi::Error::is_auth), "{error}");
    assert_eq!(outcome.tally.count(State::Refused), 0);
    assert_eq!(outcome.batch.spent.clips, outcome.tally.count(State::Downloaded));
    work.service.forget_answers();
    assert_eq!(counts(&work.run().await), [(State::Downloaded, 6)]);
}

#[tokio::test]
async fn what_waits_for_its_turn_is_planned() {
    let work = Work::new().await;
    let client = Client::builder(KEY).base_url(work.service.uri()).requests_per_minute(1).build().expect("a client");
    let jobs = Jobs::with_store(client, SqliteStore::open(work.path("state")).expect("a record"));
    work.plan(&["one", "two", "three"]).await.expect("planned");
    let submitted = Arc::new(Notify::new());
    let (told, runner) = (Arc::clone(&submitted), jobs.clone());
    let id = work.batch().id;
    let run = tokio::spawn(async move {
        runner
            .run(&id)
            .run(std::future::pending(), |event| {
                if let BatchEvent::Submitted(_) = event {
                    told.notify_one()
                }
            })
            .await
    });
    submitted.notified().await;
    let states = async |jobs: &Jobs| {
        let mut states: Vec<_> =
            jobs.list().await.expect("jobs").into_iter().map(|entry| (entry.job.state, entry.held)).collect();
        states.sort_unstable();
        states
    };
    assert_eq!(states(&work.jobs()).await, [(State::Planned, true), (State::Planned, true), (State::Submitted, true)]);
    // Killed now, none of them is unknown.
    run.abort();
    drop(run.await);
    let ended = async { while states(&work.jobs()).await.iter().any(|(_, held)| *held) {} };
    timeout(FOREVER, ended).await.expect("an end of the holds");
    assert_eq!(
        states(&work.jobs()).await,
        [(State::Planned, false), (State::Planned, false), (State::Submitted, false)]
    );
    assert_eq!(work.service.submits(), 1);
}

#[tokio::test]
async fn once_it_is_stopped_nothing_more_is_begun_and_what_was_is_finished() {
    let work = Work::new().await;
    let prompts: Vec<_> = (0..20).map(|at| format!("clip-{at:02}")).collect();
    work.plan(&prompts.iter().map(String::as_str).collect::<Vec<_>>()).await.expect("planned");
    let (stop, told) = (Arc::new(Notify::new()), Arc::new(Mutex::new(Vec::new())));
    let (stopped, heard) = (Arc::clone(&stop), Arc::clone(&told));
    let outcome = work.jobs().run(&work.batch().id).submits(1).run(stop.notified(), move |event| {
        if matches!(event, BatchEvent::Submitted(_)) {
            stopped.notify_one();
        }
        heard.lock().expect("a lock").push(format!("{event:?}"));
    });
    let outcome = outcome.await.expect("an outcome");
    assert!(matches!(outcome.ending, Ending::Stopped), "{:?}", outcome.ending);
    let (planned, made) = (outcome.tally.count(State::Planned), outcome.tally.count(State::Downloaded));
    assert_eq!((planned + made, work.service.submits() as u64), (20, made));
    assert!(planned > 0 && made > 0, "{planned} {made}");
    assert_eq!(told.lock().expect("a lock").iter().filter(|event| event.starts_with("Stopping")).count(), 1);
    assert_eq!((counts(&work.run().await), work.service.submits()), (vec![(State::Downloaded, 20)], 20));
}

#[tokio::test]
async fn what_is_stopped_before_it_begins_claims_nothing() {
    let work = Work::new().await;
    work.plan(&["one", "two"]).await.expect("planned");
    let outcome = work.jobs().run(&work.batch().id).run(std::future::ready(()), |event| {
        assert!(matches!(event, BatchEvent::Stopping(_)), "{event:?}");
    });
    let outcome = outcome.await.expect("an outcome");
    assert!(matches!(outcome.ending, Ending::Stopped), "{:?}", outcome.ending);
    assert_eq!((counts(&outcome), work.service.submits()), (vec![(State::Planned, 2)], 0));
}

/// One that is kept in a record which is away for a while.
#[derive(Debug)]
struct Away(AtomicUsize);

impl SharedBudget for Away {
    fn turn(&self) -> SharedTurn<'_> {
        let is_away = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        Box::pin(async move { if is_away { Err(Error::store("the record is away"))? } else { Ok(()) } })
    }
}

#[tokio::test]
async fn a_budget_that_cannot_be_asked_is_waited_for_as_the_record_is() {
    let work = Work::new().await;
    work.plan(&["one"]).await.expect("planned");
    let client = Client::builder(KEY).base_url(work.service.uri()).shared_budget(Arc::new(Away(1.into())));
    let store = SqliteStore::open(work.path("state")).expect("a record");
    let jobs = Jobs::with_store(client.build().expect("a client"), store);
    let run = jobs.run(&work.batch().id).run(std::future::pending(), |_| {});
    let outcome = timeout(FOREVER, run).await.expect("an end").expect("an outcome");
    assert!(matches!(outcome.ending, Ending::Done), "{:?}", outcome.ending);
    assert_eq!(counts(&outcome), [(State::Downloaded, 1)]);
}

#[tokio::test]
async fn a_task_that_cannot_be_written_down_now_is_written_down_once_that_works() {
    let work = Work::new().await;
    work.plan(&["one"]).await.expect("planned");
    let store = Failing::new(SqliteStore::open(work.path("state")).expect("a record"));
    let failing = store.clone();
    work.service.on_submit(move |_| failing.fail(6));
    let jobs = Jobs::with_store(work.service.client(), store);
    let mut told = Vec::new();
    let run = jobs.run(&work.batch().id).run(std::future::pending(), |event| match event {
        BatchEvent::Unrecorded { task_id, .. } => told.push(task_id.to_string()),
        BatchEvent::Again { reason, .. } => told.push(reason),
        BatchEvent::Submitted(job) => told.push(job.state.to_string()),
        _ => {}
    });
    let outcome = timeout(FOREVER, run).await.expect("an end").expect("an outcome");
    assert_eq!((counts(&outcome), outcome.left), (vec![(State::Downloaded, 1)], 0));
    assert_eq!((work.service.submits(), outcome.batch.spent.clips), (1, 1));
    let unwritten = "task task-1 is accepted and paid for, but the record could not be written";
    assert_eq!(told, ["task-1", unwritten, "submitted"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_anywhere_it_goes_on_and_pays_for_nothing_twice() {
    let work = Work::new().await;
    let prompts: Vec<_> = (0..12).map(|at| format!("clip-{at:02}")).collect();
    work.plan(&prompts.iter().map(String::as_str).collect::<Vec<_>>()).await.expect("planned");
    for events in [1, 2, 3, 5, 8, 13, 21] {
        let seen = AtomicUsize::new(0);
        let enough = Notify::new();
        let jobs = work.jobs();
        let run = jobs.run(&work.batch().id).run(std::future::pending(), |_| {
            if seen.fetch_add(1, Ordering::Relaxed) + 1 >= events {
                enough.notify_one();
            }
        });
        tokio::select! {
            outcome = run => drop(outcome.expect("an outcome")),
            () = enough.notified() => {}
        }
    }
    let outcome = work.run().await;
    let unknown = outcome.tally.count(State::Unknown);
    assert_eq!(outcome.tally.count(State::Downloaded) + unknown, 12, "{:?}", outcome.tally);
    assert!(work.service.accepted().values().all(|&accepted| accepted == 1), "{:?}", work.service.accepted());
    assert!(outcome.batch.spent.clips >= work.service.submits() as u64);
    for entry in entries(&work).await {
        assert!(entry.job.state != State::Unknown || entry.job.reason.is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_that_run_the_same_batch_work_side_by_side() {
    let work = Work::new().await;
    let prompts: Vec<_> = (0..16).map(|at| format!("clip-{at:02}")).collect();
    work.plan(&prompts.iter().map(String::as_str).collect::<Vec<_>>()).await.expect("planned");
    let (one, other) = timeout(FOREVER, async { tokio::join!(work.run(), work.run()) }).await.expect("an end");
    // Each of them waits for what the other works on.
    for outcome in [&one, &other] {
        assert_eq!(counts(outcome), [(State::Downloaded, 16)]);
    }
    assert_eq!((work.service.submits(), work.clips().len(), one.batch.spent.clips), (16, 16, 16));
}

#[tokio::test]
async fn what_is_cancelled_is_dropped_unless_it_was_sent() {
    let work = Work::new().await;
    work.plan_up_to(1, &["one", "two", "three"]).await.expect("planned");
    work.service.broken(&[1]);
    let outcome = work.run().await;
    assert_eq!(counts(&outcome), [(State::Planned, 2), (State::Succeeded, 1)]);
    assert_eq!(outcome.left, 1);
    work.service.broken(&[]);
    let id = work.batch().id;
    assert_eq!(work.jobs().cancel(&id).await.expect("cancelled"), 2);
    assert_eq!(work.jobs().cancel(&id).await.expect("cancelled"), 0);
    for entry in entries(&work).await.iter().filter(|entry| entry.job.state == State::Dropped) {
        assert_eq!((entry.job.charged(), entry.job.is_paid()), (Charged::No, false));
    }
    let error = work.plan(&["four"]).await.expect_err("cancelled");
    assert!(error.is_invalid_input() && error.to_string().contains("cancelled"), "{error}");
    let outcome = work.run().await;
    assert_eq!(counts(&outcome), [(State::Downloaded, 1), (State::Dropped, 2)]);
    assert_eq!(work.service.submits(), 1);
    // The same may be asked for anew.
    let mut anew = work.batch();
    anew = highwayapi_jobs::Batch::new(&anew.service, "another", &anew.base);
    let dropped = entries(&work).await.into_iter().find(|entry| entry.job.state == State::Dropped).expect("a job");
    let prompt = dropped.job.asked.expect("a request").prompt;
    work.plan_as(anew.clone(), &[&prompt]).await.expect("planned");
    let outcome = work.jobs().run(&anew.id).run(std::future::pending(), |_| {}).await.expect("an outcome");
    assert_eq!((counts(&outcome), work.service.submits()), (vec![(State::Downloaded, 1)], 2));
}

#[tokio::test]
async fn what_cannot_be_sent_any_more_is_refused_and_costs_nothing() {
    let work = Work::new().await;
    work.plan(&["one", "two"]).await.expect("planned");
    // In the way of one; then no picture for all.
    fs::create_dir(work.path("clips")).expect("a folder");
    fs::write(work.path("clips/one.mp4"), "somebody else's").expect("a file");
    let outcome = work.run().await;
    assert_eq!(counts(&outcome), [(State::Downloaded, 1), (State::Refused, 1)]);
    work.plan(&["one", "two", "three"]).await.expect("planned");
    fs::write(work.path("b.png"), png("another")).expect("a picture");
    let outcome = work.run().await;
    assert_eq!(counts(&outcome), [(State::Downloaded, 1), (State::Refused, 2)]);
    assert_eq!((work.service.submits(), outcome.batch.spent.clips), (1, 1));
    let reasons: Vec<_> = entries(&work).await.into_iter().filter_map(|entry| entry.job.reason).collect();
    assert!(reasons[0].starts_with("output: ") && reasons[1].starts_with("last_image: "), "{reasons:?}");
    assert_eq!(fs::read_to_string(work.path("clips/one.mp4")).expect("a file"), "somebody else's");
}

#[tokio::test]
async fn what_was_paid_for_elsewhere_is_not_paid_for_again() {
    let work = Work::new().await;
    let jobs = work.jobs();
    let request = work.request("one");
    drop(jobs.submit(&request).output(work.path("other.mp4")).await.expect("a task"));
    work.plan(&["one"]).await.expect("planned");
    let outcome = work.run().await;
    assert_eq!((counts(&outcome), work.service.submits()), (vec![(State::Refused, 1)], 1));
    let reason = entries(&work).await[0].job.reason.clone().expect("a reason");
    assert!(reason.contains("the same was submitted as job"), "{reason}");
}

#[tokio::test]
async fn the_same_item_is_planned_once_whoever_plans_it() {
    let work = Work::new().await;
    let prompts: Vec<_> = (0..30).map(|at| format!("clip-{at:02}")).collect();
    let prompts: Vec<_> = prompts.iter().map(String::as_str).collect();
    let (one, other) = tokio::join!(work.plan(&prompts), work.plan(&prompts));
    one.expect("planned");
    other.expect("planned");
    assert_eq!(entries(&work).await.len(), 30);
    // Under the same name something else is a mistake.
    fs::write(work.path("a.png"), png("another")).expect("a picture");
    let error = work.plan(&["clip-07"]).await.expect_err("another");
    assert!(error.is_invalid_input() && error.to_string().starts_with("id: `clip-07`"), "{error}");
}

#[tokio::test]
async fn a_batch_of_another_service_never_gets_this_ones_key() {
    let work = Work::new().await;
    work.plan(&["one"]).await.expect("planned");
    let elsewhere = crate::support::service::Service::start().await;
    let ledger = Ledger::with_store(SqliteStore::open(work.path("state")).expect("a record"));
    let jobs = Jobs::new(elsewhere.client(), ledger);
    let error = jobs.run(&work.batch().id).run(std::future::pending(), |_| {}).await.expect_err("another service");
    assert!(error.is_invalid_input(), "{error}");
    assert_eq!((elsewhere.submits(), elsewhere.polls()), (0, 0));
}

#[tokio::test]
async fn all_who_use_a_record_share_its_budget() {
    let work = Work::new().await;
    let ledger = Ledger::with_store(SqliteStore::open(work.path("state")).expect("a record"));
    let budget = ledger.budget(&work.service.uri());
    timeout(Duration::from_secs(10), budget.turn()).await.expect("at once").expect("a turn");
}
