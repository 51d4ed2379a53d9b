//! What every engine must do. Each test is given a way to get further handles to one and the same store.

mod batches;
mod begin;

use std::sync::Arc;

use highwayapi_jobs::{Added, Held, Hold, SqliteStore, State, Store, Which};
use tokio::sync::Barrier;

use crate::support::{added, dropped, folder, held_soon, id, job};

pub(crate) use batches::*;
pub(crate) use begin::*;

/// The tests over one engine, as a module `$engine`: `$keep` lives as long as the test, which is not run
/// where it is none; `$open` makes handles of it.
macro_rules! engine {
    ($engine:ident, $keep:expr, $open:expr) => {
        crate::conformance::engine!(
            $engine, $keep, $open,
            what_is_added_is_there_for_all_in_its_order,
            the_same_is_added_once_unless_again,
            of_many_at_once_one_adds,
            a_hold_excludes_all_others,
            of_many_at_once_one_holds,
            the_end_of_a_hold_frees_the_job,
            a_hold_outlives_its_handle,
            a_hold_that_has_ended_writes_nothing,
            what_is_saved_is_there_for_all,
            what_is_removed_is_gone_for_all,
            a_dropped_call_has_happened_or_not,
            those_are_found_that_are_asked_for,
            what_is_planned_is_there_for_all_and_free,
            what_is_planned_again_stays_as_it_is,
            what_was_begun_is_claimed_before_what_is_planned,
            a_claim_takes_what_has_something_left_to_do,
            of_many_that_claim_at_once_each_takes_another,
            an_item_counts_by_its_newest_job,
            what_begins_is_written_and_counted,
            what_is_paid_for_is_not_begun_unless_again,
            of_many_that_begin_the_same_at_once_one_does,
            of_many_that_begin_at_once_none_passes_a_cap,
            a_batch_that_is_cancelled_begins_nothing,
            what_is_refunded_is_not_counted,
            a_hold_that_has_ended_begins_nothing,
            a_dropped_claim_or_begin_has_happened_or_not
        );
    };
    ($engine:ident, $keep:expr, $open:expr, $($test:ident),+) => {
        mod $engine {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $test() {
                    let Some(keep) = $keep else { return };
                    let test = crate::conformance::$test(|| $open(&keep));
                    tokio::time::timeout(crate::support::FOREVER, test).await.expect("an end");
                }
            )+
        }
    };
}
pub(crate) use engine;

engine!(sqlite, Some(folder()), |folder: &tempfile::TempDir| SqliteStore::open(folder.path()).expect("a record"));
engine!(in_memory, Some(SqliteStore::in_memory().expect("a record")), |store: &SqliteStore| store.clone());
engine!(nats, crate::nats::server::Server::start(), |server: &crate::nats::server::Server| server.open());

const IDS: [&str; 5] = ["zzzzzzzz", "aaaaaaaa", "mmmmmmmm", "00000000", "bbbbbbbb"];

pub(crate) async fn what_is_added_is_there_for_all_in_its_order<S: Store>(open: impl Fn() -> S) {
    let stores = [open(), open()];
    let jobs = IDS.map(|id| job(id, None, State::Submitted));
    for (job, store) in jobs.iter().zip(stores.iter().cycle()) {
        drop(added(store, job).await);
    }
    // Nor does a change of the first put it last.
    let (hold, first) = held_soon(&stores[1], &jobs[0].id).await;
    stores[1].save(&hold, &first).await.expect("a record");
    for store in [&stores[0], &stores[1], &open()] {
        let found: Vec<_> = store.jobs(Which::All).await.expect("jobs").into_iter().map(|entry| entry.job).collect();
        assert_eq!(found, jobs);
    }
}

pub(crate) async fn the_same_is_added_once_unless_again<S: Store>(open: impl Fn() -> S) {
    let (one, other) = (open(), open());
    for (&state, id) in State::ALL.iter().zip(('a'..).map(|letter| letter.to_string().repeat(8))) {
        let print = state.to_string();
        drop(added(&one, &job(&id, Some(&print), state)).await);
        let other_id = |first: &str| format!("{first}{}", &id[1..]);
        let next = job(&other_id("0"), Some(&print), State::Intent);
        match (other.add(&next, false).await.expect("a record"), state.is_paid()) {
            (Added::Same(same), true) => assert_eq!(same.id.as_str(), id),
            (Added::New(_), false) => {}
            (added, _) => panic!("{state}: {added:?}"),
        }
        let again = job(&other_id("1"), Some(&print), State::Intent);
        assert!(matches!(one.add(&again, true).await.expect("a record"), Added::New(_)), "{state}");
        let last = job(&other_id("2"), Some(&print), State::Intent);
        match other.add(&last, false).await.expect("a record") {
            Added::Same(same) => assert_eq!(same.id, again.id, "{state}: not the newest"),
            added => panic!("{state}: {added:?}"),
        }
    }
    // What says nothing of itself is never the same.
    drop(added(&one, &job("yyyyyyyy", None, State::Submitted)).await);
    drop(added(&one, &job("zzzzzzzz", None, State::Submitted)).await);
}

pub(crate) async fn of_many_at_once_one_adds<S: Store>(open: impl Fn() -> S) {
    for round in 0..5 {
        let barrier = Arc::new(Barrier::new(8));
        let add = |at: usize, store: S, barrier: Arc<Barrier>| async move {
            let job = job(&format!("{round}000000{at}"), Some(&format!("print {round}")), State::Intent);
            barrier.wait().await;
            (store.add(&job, false).await.expect("a record"), job.id)
        };
        let adds: Vec<_> = (0..8).map(|at| tokio::spawn(add(at, open(), Arc::clone(&barrier)))).collect();
        let (mut new, mut same) = (Vec::new(), Vec::new());
        for add in adds {
            match add.await.expect("no panic") {
                (Added::New(hold), id) => new.push((hold, id)),
                (Added::Same(job), _) => same.push(job.id),
            }
        }
        assert_eq!((new.len(), same.len()), (1, 7));
        assert!(same.iter().all(|id| *id == new[0].1));
        assert_eq!(open().jobs(Which::All).await.expect("jobs").len(), round + 1);
    }
}

pub(crate) async fn a_hold_excludes_all_others<S: Store>(open: impl Fn() -> S) {
    let (one, other) = (open(), open());
    let mine = job("aaaaaaaa", None, State::Submitted);
    let mut hold = added(&one, &mine).await;
    for how in ["added", "held"] {
        for store in [&one, &other, &open()] {
            assert!(
                matches!(store.hold(&mine.id).await.expect("a record"), Held::ByAnother(job) if *job == mine),
                "{how}"
            );
            assert!(store.jobs(Which::All).await.expect("jobs")[0].held, "{how}");
        }
        drop(hold);
        hold = held_soon(&other, &mine.id).await.0;
    }
    drop(hold);
    let (_hold, _) = held_soon(&one, &mine.id).await;
    assert!(matches!(one.hold(&id("bbbbbbbb")).await.expect("a record"), Held::NotFound));
}

pub(crate) async fn of_many_at_once_one_holds<S: Store>(open: impl Fn() -> S) {
    let store = open();
    let mine = job("aaaaaaaa", None, State::Submitted);
    drop(added(&store, &mine).await);
    drop(held_soon(&open(), &mine.id).await);
    for _ in 0..5 {
        // Free for all before it begins.
        while store.jobs(Which::All).await.expect("jobs")[0].held {}
        let barrier = Arc::new(Barrier::new(8));
        let hold = |store: S, barrier: Arc<Barrier>| async move {
            barrier.wait().await;
            store.hold(&id("aaaaaaaa")).await.expect("a record")
        };
        let holds: Vec<_> = (0..8).map(|_| tokio::spawn(hold(open(), Arc::clone(&barrier)))).collect();
        let mut held = Vec::new();
        for hold in holds {
            if let Held::Yes(hold, _) = hold.await.expect("no panic") {
                held.push(hold);
            }
        }
        assert_eq!(held.len(), 1);
    }
}

pub(crate) async fn the_end_of_a_hold_frees_the_job<S: Store>(open: impl Fn() -> S) {
    let (one, other) = (open(), open());
    let mine = job("aaaaaaaa", None, State::Submitted);
    drop(added(&one, &mine).await);
    for _ in 0..20 {
        // Where it was held, at once.
        assert!(!one.jobs(Which::All).await.expect("jobs")[0].held);
        let Held::Yes(hold, _) = one.hold(&mine.id).await.expect("a record") else { panic!("still held") };
        drop(hold);
    }
    for store in [&other, &one, &other] {
        drop(held_soon(store, &mine.id).await);
    }
}

pub(crate) async fn a_hold_outlives_its_handle<S: Store>(open: impl Fn() -> S) {
    let (one, other) = (open(), open());
    let mine = job("aaaaaaaa", None, State::Submitted);
    let hold = added(&one, &mine).await;
    drop(one);
    // Opening another may look for what is left of dead ones.
    for store in [&other, &open()] {
        assert!(matches!(store.hold(&mine.id).await.expect("a record"), Held::ByAnother(_)));
    }
    drop(hold);
    drop(held_soon(&other, &mine.id).await);
}

pub(crate) async fn a_hold_that_has_ended_writes_nothing<S: Store>(open: impl Fn() -> S) {
    let (one, other) = (open(), open());
    let mine = job("aaaaaaaa", None, State::Submitted);
    let changed = job("aaaaaaaa", None, State::Downloaded);
    let hold = added(&one, &mine).await;
    let token = hold.token().to_owned();
    drop(hold);
    let ended = || Hold::new(mine.id.clone(), token.clone(), || {});
    for round in ["free", "held by another"] {
        assert!(one.save(&ended(), &changed).await.expect_err(round).is_not_held());
        assert!(one.remove(ended()).await.expect_err(round).is_not_held());
        let (hold, found) = held_soon(&other, &mine.id).await;
        assert_eq!((found, hold.token() == token), (mine.clone(), false));
        assert!(one.save(&ended(), &changed).await.expect_err(round).is_not_held());
        assert!(one.remove(ended()).await.expect_err(round).is_not_held());
        other.save(&hold, &mine).await.expect("a record");
    }
    assert_eq!(open().jobs(Which::All).await.expect("jobs")[0].job, mine);
}

pub(crate) async fn what_is_saved_is_there_for_all<S: Store>(open: impl Fn() -> S) {
    let (one, other) = (open(), open());
    let [first, mut second] = ["aaaaaaaa", "bbbbbbbb"].map(|id| job(id, Some(id), State::Intent));
    let (_hold, hold) = (added(&one, &first).await, added(&one, &second).await);
    second.task_id = Some("task-1".parse().expect("a task's id"));
    second.state = State::Refused;
    one.save(&hold, &second).await.expect("a record");
    let found: Vec<_> = other.jobs(Which::All).await.expect("jobs").into_iter().map(|entry| entry.job).collect();
    assert_eq!(found, [first, second.clone()]);
    // What is the same goes by how it is now.
    drop(added(&other, &job("cccccccc", Some("bbbbbbbb"), State::Intent)).await);
    drop(hold);
    assert_eq!(held_soon(&other, &second.id).await.1, second);
}

pub(crate) async fn what_is_removed_is_gone_for_all<S: Store>(open: impl Fn() -> S) {
    let (one, other) = (open(), open());
    let [first, second] = ["aaaaaaaa", "bbbbbbbb"].map(|id| job(id, Some(id), State::Submitted));
    let (hold, _hold) = (added(&one, &first).await, added(&one, &second).await);
    one.remove(hold).await.expect("a record");
    for store in [&one, &other] {
        assert!(matches!(store.hold(&first.id).await.expect("a record"), Held::NotFound));
        let found: Vec<_> = store.jobs(Which::All).await.expect("jobs").into_iter().map(|entry| entry.job).collect();
        assert_eq!(found, std::slice::from_ref(&second));
    }
    drop(added(&other, &first).await);
}

pub(crate) async fn a_dropped_call_has_happened_or_not<S: Store>(open: impl Fn() -> S) {
    let (one, other) = (open(), open());
    for polls in (0..6).cycle().take(24) {
        let mine = job("aaaaaaaa", Some("print"), State::Submitted);
        if dropped(one.add(&mine, false), polls).await.is_none() {
            // Whether it was added may turn out later; that it is not held does.
            while one.jobs(Which::All).await.expect("jobs").is_empty() {
                one.add(&mine, false).await.map(drop).unwrap_or_default();
            }
        }
        drop(held_soon(&other, &mine.id).await);

        drop(dropped(one.hold(&mine.id), polls).await);
        let (hold, found) = held_soon(&other, &mine.id).await;
        assert_eq!(found, mine);

        let saved = job("aaaaaaaa", Some("print"), State::Succeeded);
        let whether = dropped(other.save(&hold, &saved), polls).await;
        drop(hold);
        let (hold, found) = held_soon(&one, &mine.id).await;
        assert!(found == saved || (found == mine && whether.is_none()), "{found:?}");

        let whether = dropped(one.remove(hold), polls).await;
        match other.hold(&mine.id).await.expect("a record") {
            Held::NotFound => {}
            held => {
                assert!(whether.is_none());
                drop(held);
                loop {
                    match other.hold(&mine.id).await.expect("a record") {
                        Held::Yes(hold, _) => break other.remove(hold).await.expect("a record"),
                        Held::ByAnother(_) => tokio::task::yield_now().await,
                        Held::NotFound => break,
                    }
                }
            }
        }
    }
}
