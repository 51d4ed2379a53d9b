//! One schedule for all tasks of a client: it learns how long tasks run, says when each is to be asked after, and lets no
//! more requests go than the account's budget allows.

mod budget;
mod history;
mod policy;
#[cfg(test)]
mod simulation;

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

pub(crate) use budget::Wish;
use budget::{Line, Place, Turn};
use history::History;
pub(crate) use history::Kind;

pub(crate) struct Schedule {
    /// Time is counted from here.
    start: Instant,
    pauses: RangeInclusive<Duration>,
    line: Mutex<Line<Arc<Notify>>>,
    /// Made when it is first needed.
    history: Mutex<Option<Box<History>>>,
}

impl Schedule {
    pub(crate) fn new(pauses: RangeInclusive<Duration>, requests_per_minute: Option<u32>) -> Self {
        Self {
            start: Instant::now(),
            pauses,
            line: Mutex::new(Line::new(requests_per_minute)),
            history: Mutex::new(None),
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Returns when a request may be sent. Whoever drops this gives its place up.
    pub(crate) async fn turn(&self, wish: Wish) {
        let called = Arc::new(Notify::new());
        let Some(place) = self.line().enter(wish, self.now(), || Arc::clone(&called)) else { return };
        let waiting = Waiting { schedule: self, place };
        loop {
            let turn = self.line().turn(waiting.place, self.now());
            match turn {
                Turn::Go => return,
                Turn::At(at) => tokio::select! {
                    () = sleep_until(self.start + at) => {}
                    () = called.notified() => {}
                },
                Turn::Later => {
                    // Who is first may have changed with the time alone.
                    self.call_first();
                    called.notified().await;
                }
            }
        }
    }

    /// The service asked to be left alone for so long: by everybody.
    pub(crate) fn leave_alone(&self, wish: Duration) {
        self.line().close(self.now() + wish, fastrand::f64());
    }

    /// For how long nobody may send anything.
    pub(crate) fn left_alone_for(&self) -> Duration {
        self.line().closed_until().saturating_sub(self.now())
    }

    /// The shortest pause between two polls of a task.
    pub(crate) fn shortest(&self) -> Duration {
        *self.pauses.start()
    }

    /// How long to wait before a task of this age is asked after.
    pub(crate) fn pause(&self, kind: Option<Kind>, age: Duration) -> Duration {
        let price = price(&self.pauses);
        self.with_history(|history| {
            history.outlook(kind).pause(age.as_secs_f64(), price, &self.pauses, fastrand::f64())
        })
    }

    /// Of a task whose age nobody knows: nothing can be expected of it, and nothing learnt.
    pub(crate) fn pause_of_unknown(&self, waited: Duration) -> Duration {
        policy::Outlook::guess().pause(waited.as_secs_f64(), price(&self.pauses), &self.pauses, fastrand::f64())
    }

    /// A task was watched from one age to another: it ended in between, or it did not.
    pub(crate) fn observe(&self, kind: Option<Kind>, ages: RangeInclusive<Duration>, done: bool) {
        let (from, to) = (ages.start().as_secs_f64(), ages.end().as_secs_f64());
        self.with_history(|history| history.observe(kind, from, to, done));
    }

    fn call_first(&self) {
        if let Some((_, first)) = self.line().first(self.now()) {
            first.notify_one();
        }
    }

    fn with_history<T>(&self, call: impl FnOnce(&mut History) -> T) -> T {
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        call(history.get_or_insert_with(|| Box::new(History::new())))
    }

    fn line(&self) -> MutexGuard<'_, Line<Arc<Notify>>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many seconds of lag a request is worth: whoever allows short pauses is in a hurry.
fn price(pauses: &RangeInclusive<Duration>) -> f64 {
    pauses.start().as_secs_f64() / 2.0
}

/// A place in the line. When it ends, whoever is first then is called.
struct Waiting<'a> {
    schedule: &'a Schedule,
    place: Place,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.schedule.line().leave(self.place);
        self.schedule.call_first();
    }
}
