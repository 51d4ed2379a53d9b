//! The step before a POST: who may send, and what it counts.

use std::sync::Arc;

use highwayapi_jobs::{Batch, Begun, Caps, Claim, Hold, Job, Money, Spent, State, Store, Which};
use tokio::sync::Barrier;

use crate::support::{added, at, batch, claimed_soon, dropped, held_soon, id, job, planned};

async fn spent(store: &impl Store) -> Spent {
    store.batches().await.expect("batches")[0].spent
}

async fn state(store: &impl Store, job: &Job) -> State {
    let all = store.jobs(Which::Named(job.id.as_str())).await.expect("jobs");
    all[0].job.state
}

/// A batch of so many jobs, each of another request and at the price of 10.
async fn plan(store: &impl Store, caps: Caps, count: u64) -> (Batch, Vec<Job>) {
    let mut mine = batch("mine");
    mine.caps = caps;
    let job = |at: u64| {
        let mut job = planned(&mine, &format!("aaaaaa{at:02}"), at, Some(&format!("print {at}")));
        job.price = Some(Money::from_micros(10));
        job
    };
    let jobs: Vec<_> = (0..count).map(job).collect();
    store.plan(&mine, &jobs).await.expect("a record");
    (mine, jobs)
}

pub(crate) async fn what_begins_is_written_and_counted<S: Store>(open: impl Fn() -> S) {
    let (one, other) = (open(), open());
    let (_, jobs) = plan(&one, Caps::default(), 2).await;
    for (job, clips) in jobs.iter().zip(1..) {
        let (hold, _) = held_soon(&other, &job.id).await;
        let intent = at(State::Intent, job);
        assert!(matches!(other.begin(&hold, &intent, false).await.expect("a record"), Begun::Yes));
        let found = one.jobs(Which::Named(job.id.as_str())).await.expect("jobs");
        assert_eq!((&found[0].job, found[0].held), (&intent, true));
        let spent = spent(&one).await;
        assert_eq!((spent.clips, spent.money.micros(), spent.unpriced_clips), (clips, 10 * clips, 0));
        // The answer to it, and its end.
        other.save(&hold, &at(State::Submitted, job)).await.expect("a record");
    }
    assert_eq!(spent(&open()).await.clips, 2);
    // What is of no batch is only written.
    let single = job("zzzzzzzz", None, State::Unknown);
    let hold = added(&one, &single).await;
    assert!(matches!(one.begin(&hold, &at(State::Intent, &single), true).await.expect("a record"), Begun::Yes));
    assert_eq!((state(&one, &single).await, spent(&one).await.clips), (State::Intent, 2));
    // One whose batch is not there is not written.
    let lost = planned(&batch("lost"), "yyyyyyyy", 1, None);
    let hold = added(&one, &lost).await;
    one.begin(&hold, &at(State::Intent, &lost), false).await.expect_err("no batch");
    assert_eq!(state(&one, &lost).await, State::Planned);
}

pub(crate) async fn what_is_paid_for_is_not_begun_unless_again<S: Store>(open: impl Fn() -> S) {
    let (one, other) = (open(), open());
    let mine = batch("mine");
    for (&state_of_other, letter) in State::ALL.iter().zip('a'..) {
        let print = state_of_other.to_string();
        let older = at(state_of_other, &planned(&mine, &format!("{letter}0000000"), 1, Some(&print)));
        let new = planned(&mine, &format!("{letter}1111111"), 2, Some(&print));
        one.plan(&mine, &[older.clone(), new.clone()]).await.expect("a record");
        let before = spent(&one).await.clips;
        let (hold, _) = held_soon(&other, &new.id).await;
        let intent = at(State::Intent, &new);
        match (other.begin(&hold, &intent, false).await.expect("a record"), older.is_paid()) {
            (Begun::Same(same), true) => {
                assert_eq!(*same, older);
                assert_eq!((state(&one, &new).await, spent(&one).await.clips), (State::Planned, before));
                let begun = other.begin(&hold, &intent, true).await.expect("a record");
                assert!(matches!(begun, Begun::Yes), "{begun:?}");
            }
            (Begun::Yes, false) => {}
            (begun, _) => panic!("{state_of_other}: {begun:?}"),
        }
        assert_eq!((state(&one, &new).await, spent(&one).await.clips), (State::Intent, before + 1));
        // It is not in its own way, and to others it is the newest.
        let begun = other.begin(&hold, &intent, older.is_paid()).await.expect("a record");
        assert!(matches!(begun, Begun::Yes), "{begun:?}");
        let last = planned(&mine, &format!("{letter}2222222"), 3, Some(&print));
        one.plan(&mine, std::slice::from_ref(&last)).await.expect("a record");
        let (hold, _) = held_soon(&one, &last.id).await;
        match one.begin(&hold, &at(State::Intent, &last), false).await.expect("a record") {
            Begun::Same(same) => assert_eq!(same.id, new.id),
            begun => panic!("{state_of_other}: {begun:?}"),
        }
        drop(hold);
        // Nor does one that is added come beside it.
        let added = one.add(&job(&format!("{letter}3333333"), Some(&print), State::Intent), false).await;
        assert!(matches!(added.expect("a record"), highwayapi_jobs::Added::Same(same) if same.id == new.id));
    }
}

pub(crate) async fn of_many_that_begin_the_same_at_once_one_does<S: Store>(open: impl Fn() -> S) {
    let store = open();
    let mine = batch("mine");
    let jobs: Vec<_> = (0..8).map(|at| planned(&mine, &format!("aaaaaa{at:02}"), at, Some("print"))).collect();
    store.plan(&mine, &jobs).await.expect("a record");
    let yes = begin_at_once(open, &jobs).await;
    assert_eq!((yes, spent(&store).await.clips), (1, 1));
}

pub(crate) async fn of_many_that_begin_at_once_none_passes_a_cap<S: Store>(open: impl Fn() -> S) {
    for caps in [Caps::new(Some(3), None), Caps::new(None, Some(Money::from_micros(39)))] {
        let store = open();
        let (_, jobs) = plan(&store, caps, 8).await;
        // Those of the round before are as they were.
        for job in &jobs {
            let (hold, found) = held_soon(&store, &job.id).await;
            if found.state == State::Intent {
                store.refund(&hold, job).await.expect("a record");
            }
        }
        assert_eq!(spent(&store).await, Spent::default());
        assert_eq!(begin_at_once(&open, &jobs).await, 3);
        let spent = spent(&store).await;
        assert_eq!((spent.clips, spent.money.micros()), (3, 30));
        let mut begun = 0;
        for job in &jobs {
            begun += u64::from(state(&store, job).await == State::Intent);
        }
        assert_eq!(begun, 3);
    }
    // Without a price it may cost anything.
    let store = open();
    let mut mine = batch("mine");
    mine.caps = Caps::new(None, Some(Money::from_micros(1_000_000)));
    let unpriced = planned(&mine, "zzzzzzzz", 9, None);
    store.plan(&mine, std::slice::from_ref(&unpriced)).await.expect("a record");
    let (hold, _) = held_soon(&store, &unpriced.id).await;
    let begun = store.begin(&hold, &at(State::Intent, &unpriced), true).await.expect("a record");
    assert!(matches!(begun, Begun::CapReached), "{begun:?}");
}

/// How many of these begin, each through a handle of its own, all in the same moment.
async fn begin_at_once<S: Store>(open: impl Fn() -> S, jobs: &[Job]) -> usize {
    let barrier = Arc::new(Barrier::new(jobs.len()));
    let begin = |store: S, job: Job, barrier: Arc<Barrier>| async move {
        let (hold, _) = held_soon(&store, &job.id).await;
        barrier.wait().await;
        matches!(store.begin(&hold, &at(State::Intent, &job), false).await.expect("a record"), Begun::Yes)
    };
    let begins: Vec<_> =
        jobs.iter().map(|job| tokio::spawn(begin(open(), job.clone(), Arc::clone(&barrier)))).collect();
    let mut yes = 0;
    for begin in begins {
        yes += usize::from(begin.await.expect("no panic"));
    }
    yes
}

pub(crate) async fn a_batch_that_is_cancelled_begins_nothing<S: Store>(open: impl Fn() -> S) {
    let (one, other) = (open(), open());
    let (mine, jobs) = plan(&one, Caps::new(Some(0), None), 1).await;
    let (hold, _) = held_soon(&one, &jobs[0].id).await;
    other.cancel(&mine.id).await.expect("a record");
    other.cancel(&mine.id).await.expect("it is cancelled already");
    for again in [false, true] {
        let begun = one.begin(&hold, &at(State::Intent, &jobs[0]), again).await.expect("a record");
        assert!(matches!(begun, Begun::Cancelled), "{begun:?}");
    }
    assert_eq!((state(&other, &jobs[0]).await, spent(&other).await), (State::Planned, Spent::default()));
    assert!(one.batches().await.expect("batches")[0].cancelled);
    // It is written as any other, and claimed.
    one.save(&hold, &jobs[0]).await.expect("a record");
    drop(hold);
    drop(claimed_soon(&other, &mine.id, Claim::Any).await);
    other.cancel(&batch("none").id).await.expect_err("no batch");
    assert_eq!(one.batches().await.expect("batches").len(), 1);
}

pub(crate) async fn what_is_refunded_is_not_counted<S: Store>(open: impl Fn() -> S) {
    let (one, other) = (open(), open());
    let (_, jobs) = plan(&one, Caps::new(Some(1), None), 2).await;
    let (first, second) = (held_soon(&one, &jobs[0].id).await.0, held_soon(&other, &jobs[1].id).await.0);
    for state_after in [State::Planned, State::Refused] {
        let intent = at(State::Intent, &jobs[0]);
        assert!(matches!(one.begin(&first, &intent, false).await.expect("a record"), Begun::Yes));
        let begun = other.begin(&second, &at(State::Intent, &jobs[1]), false).await.expect("a record");
        assert!(matches!(begun, Begun::CapReached), "{begun:?}");
        one.refund(&first, &at(state_after, &jobs[0])).await.expect("a record");
        assert_eq!((state(&other, &jobs[0]).await, spent(&other).await), (state_after, Spent::default()));
    }
    assert!(matches!(other.begin(&second, &at(State::Intent, &jobs[1]), false).await.expect("room"), Begun::Yes));
    // What is of no batch is only written.
    let single = job("zzzzzzzz", None, State::Intent);
    let hold = added(&one, &single).await;
    one.refund(&hold, &at(State::Refused, &single)).await.expect("a record");
    assert_eq!((state(&one, &single).await, spent(&one).await.clips), (State::Refused, 1));
}

pub(crate) async fn a_hold_that_has_ended_begins_nothing<S: Store>(open: impl Fn() -> S) {
    let (one, other) = (open(), open());
    let (_, jobs) = plan(&one, Caps::default(), 1).await;
    let (hold, _) = held_soon(&one, &jobs[0].id).await;
    let token = hold.token().to_owned();
    let intent = at(State::Intent, &jobs[0]);
    drop(hold);
    let ended = || Hold::new(id(jobs[0].id.as_str()), token.clone(), || {});
    for round in ["free", "held by another"] {
        for again in [false, true] {
            assert!(one.begin(&ended(), &intent, again).await.expect_err(round).is_not_held());
        }
        assert!(one.refund(&ended(), &intent).await.expect_err(round).is_not_held());
        let (hold, found) = held_soon(&other, &jobs[0].id).await;
        assert_eq!(found, jobs[0]);
        assert!(one.begin(&ended(), &intent, false).await.expect_err(round).is_not_held());
        assert!(one.refund(&ended(), &intent).await.expect_err(round).is_not_held());
        other.save(&hold, &jobs[0]).await.expect("a record");
    }
    assert_eq!((state(&one, &jobs[0]).await, spent(&one).await), (State::Planned, Spent::default()));
}

pub(crate) async fn a_dropped_claim_or_begin_has_happened_or_not<S: Store>(open: impl Fn() -> S) {
    let (one, other) = (open(), open());
    let (mine, jobs) = plan(&one, Caps::default(), 1).await;
    let (unsent, intent) = (&jobs[0], at(State::Intent, &jobs[0]));
    for polls in (0..6).cycle().take(18) {
        // What nobody took is not held.
        drop(dropped(one.claim(&mine.id, Claim::Any), polls).await);
        let (hold, found) = claimed_soon(&other, &mine.id, Claim::Any).await;
        assert_eq!(found, *unsent);

        let whether = dropped(other.begin(&hold, &intent, false), polls).await;
        drop(hold);
        let (hold, found) = held_soon(&one, &unsent.id).await;
        let spent_then = spent(&one).await;
        // It may be counted and not be sent; never the other way round.
        assert!(found == intent || (found == *unsent && whether.is_none()), "{found:?}");
        assert!(found == *unsent || spent_then.clips >= 1);
        if found == *unsent {
            assert!(matches!(one.begin(&hold, &intent, false).await.expect("a record"), Begun::Yes));
        }

        let counted = spent(&one).await.clips;
        let whether = dropped(one.refund(&hold, unsent), polls).await;
        drop(hold);
        let (hold, found) = held_soon(&other, &unsent.id).await;
        assert!(found == *unsent || (found == intent && whether.is_none()), "{found:?}");
        assert!(found == *unsent || spent(&other).await.clips == counted);
        other.save(&hold, unsent).await.expect("a record");
        drop(hold);

        let more = planned(&mine, "zzzzzzzz", 9, None);
        drop(dropped(other.plan(&mine, std::slice::from_ref(&more)), polls).await);
        other.plan(&mine, std::slice::from_ref(&more)).await.expect("a record");
        let (hold, found) = held_soon(&one, &more.id).await;
        assert_eq!(found, more);
        one.remove(hold).await.expect("a record");
    }
}
