//! Batches: what is planned, found, claimed and counted up.

use std::path::Path;
use std::sync::Arc;

use highwayapi_jobs::{Batch, Caps, Claim, Held, Item, Job, Money, State, Store, Tally, Which};
use tokio::sync::Barrier;

use crate::support::{added, at, batch, claimed_soon, held_soon, id, job, planned};

async fn jobs_of(store: &impl Store, batch: &Batch) -> Vec<Job> {
    store.jobs(Which::Batch(&batch.id)).await.expect("jobs").into_iter().map(|entry| entry.job).collect()
}

pub(crate) async fn those_are_found_that_are_asked_for<S: Store>(open: impl Fn() -> S) {
    let (one, other) = (open(), open());
    let mine = batch("mine");
    let mut all: Vec<_> = (0..12).map(|at| job(&format!("a{at:07}"), Some("print"), State::Submitted)).collect();
    all.push(planned(&mine, "b0000000", 1, Some("another")));
    for (at, job) in all.iter_mut().enumerate() {
        job.task_id = (at % 3 == 0).then(|| format!("task-{}", at % 2).parse().expect("a task's id"));
        job.output = (at % 4 == 0).then(|| format!("/clips/{}.mp4", at % 8).into());
        job.run_ms = (at % 2 == 0).then_some(1000);
        drop(one.add(job, true).await.expect("a record"));
    }
    let task = "task-1".parse().expect("a task's id");
    let print = all[12].fingerprint.clone().expect("a fingerprint");
    for (which, count) in [
        (Which::All, 13),
        (Which::Ran(100), 7),
        (Which::Named("a00000"), 12),
        (Which::Named("a0000011"), 1),
        (Which::Named("b"), 1),
        (Which::Named("'; DROP"), 0),
        (Which::Task(&task), 2),
        (Which::Same(&print), 1),
        (Which::Output(Path::new("/clips/4.mp4")), 2),
        (Which::Output(Path::new("/clips/0.mp4")), 2),
        (Which::Output(Path::new("clips/0.mp4")), 0),
        (Which::Batch(&mine.id), 1),
        (Which::Batch(&batch("yours").id), 0),
    ] {
        let expected: Vec<_> = all.iter().filter(|job| which.includes(job)).cloned().collect();
        let found: Vec<_> = other.jobs(which).await.expect("jobs").into_iter().map(|entry| entry.job).collect();
        assert_eq!((found.len(), found), (count, expected), "{which:?}");
    }
    let last = other.jobs(Which::Ran(2)).await.expect("jobs");
    assert_eq!(last.iter().map(|entry| entry.job.id.as_str()).collect::<Vec<_>>(), ["a0000010", "b0000000"]);
}

pub(crate) async fn what_is_planned_is_there_for_all_and_free<S: Store>(open: impl Fn() -> S) {
    let (one, other) = (open(), open());
    let (mine, yours) = (batch("mine"), batch("yours"));
    let jobs = [planned(&mine, "zzzzzzzz", 2, Some("z")), planned(&mine, "aaaaaaaa", 1, Some("a"))];
    one.plan(&mine, &jobs).await.expect("a record");
    other.plan(&yours, &[planned(&yours, "bbbbbbbb", 1, Some("b"))]).await.expect("a record");
    for store in [&one, &other, &open()] {
        assert_eq!(store.batches().await.expect("batches"), [mine.clone(), yours.clone()]);
        assert_eq!(jobs_of(store, &mine).await, jobs);
        assert_eq!(jobs_of(store, &yours).await.len(), 1);
        let all = store.jobs(Which::All).await.expect("jobs");
        assert_eq!((all.len(), all.iter().any(|entry| entry.held)), (3, false));
    }
    // A job like any other.
    let (hold, mut found) = held_soon(&other, &jobs[0].id).await;
    assert_eq!(found, jobs[0]);
    found.reason = Some("changed".to_owned());
    other.save(&hold, &found).await.expect("a record");
    assert_eq!(jobs_of(&one, &mine).await[0], found);
}

pub(crate) async fn what_is_planned_again_stays_as_it_is<S: Store>(open: impl Fn() -> S) {
    let (one, other) = (open(), open());
    let mine = batch("mine");
    let first = planned(&mine, "aaaaaaaa", 1, Some("a"));
    one.plan(&mine, std::slice::from_ref(&first)).await.expect("a record");
    let (hold, _) = held_soon(&one, &first.id).await;
    let begun = at(State::Intent, &first);
    one.begin(&hold, &begun, false).await.expect("a record");
    one.cancel(&mine.id).await.expect("a record");

    let mut anew = mine.clone();
    anew.caps = Caps::new(Some(7), Some(Money::from_micros(5)));
    anew.created_at = std::time::SystemTime::now();
    let more = [first.clone(), planned(&mine, "bbbbbbbb", 2, Some("b"))];
    for _ in 0..2 {
        other.plan(&anew, &more).await.expect("a record");
        let found = &one.batches().await.expect("batches")[0];
        assert_eq!((found.caps, found.spent.clips, found.cancelled), (anew.caps, 1, true));
        assert_eq!(found.created_at, mine.created_at);
        assert_eq!(jobs_of(&other, &mine).await, [begun.clone(), more[1].clone()]);
    }
    // Nor does it end the hold.
    one.save(&hold, &at(State::Submitted, &first)).await.expect("still held");
}

pub(crate) async fn what_was_begun_is_claimed_before_what_is_planned<S: Store>(open: impl Fn() -> S) {
    let (one, other) = (open(), open());
    let (mine, yours) = (batch("mine"), batch("yours"));
    let of = |ids: [&str; 4], batch: &Batch| {
        let numbers = [3, 1, 4, 2];
        ids.iter().zip(numbers).map(|(id, number)| planned(batch, id, number, None)).collect::<Vec<_>>()
    };
    let jobs = of(["cccccccc", "aaaaaaaa", "dddddddd", "bbbbbbbb"], &mine);
    one.plan(&mine, &jobs).await.expect("a record");
    other.plan(&yours, &of(["eeeeeeee", "ffffffff", "gggggggg", "hhhhhhhh"], &yours)).await.expect("a record");
    assert!(one.claim(&mine.id, Claim::Begun).await.expect("a record").is_none());
    let (hold, _) = held_soon(&one, &jobs[2].id).await;
    one.save(&hold, &at(State::Submitted, &jobs[2])).await.expect("a record");
    drop(hold);
    // Free for the others, too, before they look for it.
    while other.jobs(Which::Batch(&mine.id)).await.expect("jobs").iter().any(|entry| entry.held) {}

    let mut holds = Vec::new();
    for id in ["dddddddd", "aaaaaaaa", "bbbbbbbb", "cccccccc"] {
        let (hold, job) = claimed_soon(&other, &mine.id, Claim::Any).await;
        assert_eq!((job.id.as_str(), hold.id().as_str()), (id, id));
        for store in [&one, &other] {
            assert!(matches!(store.hold(&job.id).await.expect("a record"), Held::ByAnother(_)));
        }
        holds.push(hold);
    }
    assert!(one.claim(&mine.id, Claim::Any).await.expect("a record").is_none());
    // The end of a hold frees it for the next claim.
    drop(holds.pop());
    let (hold, job) = claimed_soon(&one, &mine.id, Claim::Any).await;
    assert_eq!(job.id, id("cccccccc"));
    one.save(&hold, &job).await.expect("held");
}

pub(crate) async fn a_claim_takes_what_has_something_left_to_do<S: Store>(open: impl Fn() -> S) {
    let (one, other) = (open(), open());
    let mine = batch("mine");
    let jobs: Vec<_> = State::ALL
        .iter()
        .zip(1..)
        .map(|(&state, number)| at(state, &planned(&mine, &format!("aaaaaaa{number}"), number, None)))
        .collect();
    one.plan(&mine, &jobs).await.expect("a record");
    for what in [Claim::Begun, Claim::Any] {
        let (mut holds, mut states) = (Vec::new(), Vec::new());
        while let Some((hold, job)) = one.claim(&mine.id, what).await.expect("a record") {
            holds.push(hold);
            states.push(job.state);
        }
        states.sort_unstable();
        let expected: Vec<_> = State::ALL.iter().copied().filter(|&state| what.includes(state)).collect();
        assert_eq!(states, expected);
    }
    drop(claimed_soon(&other, &mine.id, Claim::Begun).await);
}

pub(crate) async fn of_many_that_claim_at_once_each_takes_another<S: Store>(open: impl Fn() -> S) {
    let store = open();
    let mine = batch("mine");
    let jobs: Vec<_> = (0..20).map(|at| planned(&mine, &format!("aaaaaa{at:02}"), at, None)).collect();
    store.plan(&mine, &jobs).await.expect("a record");
    let barrier = Arc::new(Barrier::new(8));
    let claim = |store: S, barrier: Arc<Barrier>, batch: Batch| async move {
        barrier.wait().await;
        let mut holds = Vec::new();
        while let Some((hold, _)) = store.claim(&batch.id, Claim::Any).await.expect("a record") {
            holds.push(hold);
        }
        (store, holds)
    };
    let claims: Vec<_> = (0..8).map(|_| tokio::spawn(claim(open(), Arc::clone(&barrier), mine.clone()))).collect();
    let mut held = Vec::new();
    for claim in claims {
        held.push(claim.await.expect("no panic"));
    }
    let mut ids: Vec<_> = held.iter().flat_map(|(_, holds)| holds.iter().map(|hold| hold.id().clone())).collect();
    ids.sort_unstable();
    assert_eq!(ids, jobs.iter().map(|job| job.id.clone()).collect::<Vec<_>>());
}

pub(crate) async fn an_item_counts_by_its_newest_job<S: Store>(open: impl Fn() -> S) {
    let (one, other) = (open(), open());
    let mine = batch("mine");
    let first = |id: &str, number, state| at(state, &planned(&mine, id, number, None));
    let jobs = [
        first("aaaaaaaa", 1, State::Failed),
        first("bbbbbbbb", 2, State::Downloaded),
        first("cccccccc", 3, State::Refused),
    ];
    one.plan(&mine, &jobs).await.expect("a record");
    one.plan(&mine, &[first("00000000", 1, State::Planned)]).await.expect("a record");
    drop(added(&one, &job("zzzzzzzz", None, State::Unknown)).await);
    let mut expected = Tally::default();
    for state in [State::Planned, State::Downloaded, State::Refused] {
        expected.add(state, 1);
    }
    let tally = other.tally(&mine.id).await.expect("a record");
    assert_eq!((tally.total(), tally), (3, expected));
    assert_eq!(other.tally(&batch("yours").id).await.expect("a record").total(), 0);

    let (hold, mut job) = held_soon(&other, &id("00000000")).await;
    job = at(State::Submitted, &job);
    job.item = job.item.map(|item| Item::new(item.batch, item.id, 9, item.output));
    other.save(&hold, &job).await.expect("a record");
    let tally = one.tally(&mine.id).await.expect("a record");
    assert_eq!((tally.count(State::Planned), tally.count(State::Submitted)), (0, 1));
}
