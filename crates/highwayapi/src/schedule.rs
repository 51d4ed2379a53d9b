//! One schedule for all tasks of a client: it learns how long tasks run, says when each is to be asked after, and lets no
//! more requests go than the account's budget allows.

mod budget;
mod history;
mod policy;
mod shared;
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
pub use shared::{SharedBudget, SharedTurn};

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
    ///
    /// # Errors
    ///
    /// For how long the service asked to be left alone, where that is more than `patience`.
    pub(crate) async fn turn(&self, wish: Wish, patience: Duration) -> Result<(), Duration> {
        let called = Arc::new(Notify::new());
        let asked = || Some(self.left_alone_for()).filter(|&asked| asked > patience);
        if let Some(asked) = asked() {
            return Err(asked);
        }
        let Some(place) = self.line().enter(wish, self.now(), || Arc::clone(&called)) else { return Ok(()) };
        let waiting = Waiting { schedule: self, place };
        loop {
            if let Some(asked) = asked() {
                return Err(asked);
            }
            let turn = self.line().turn(waiting.place, self.now());
            let at = match turn {
                Turn::Go => return Ok(()),
                Turn::At(at) => at,
                Turn::Later(at) => {
                    // Who is first may have changed with the time alone.
                    self.call_first();
                    at
                }
            };
            tokio::select! {
                () = sleep_until(self.start + at) => {}
                () = called.notified() => {}
            }
        }
    }

    /// The service asked to be left alone for so long: by everybody.
    pub(crate) fn leave_alone(&self, wish: Duration) {
        let mut line = self.line();
        line.close(self.now() + wish, fastrand::f64());
        line.all().for_each(|waiting| waiting.notify_one());
    }

    /// For how long nobody may send anything.
    fn left_alone_for(&self) -> Duration {
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

#[cfg(test)]
mod tests {
    use tokio::time::{sleep, timeout};

    use super::*;

    const POLL: Wish = Wish::Poll(Duration::ZERO);
    const SUBMIT: Wish = Wish::Submit(Duration::ZERO);

    /// One request a minute, and that is gone.
    async fn busy() -> Schedule {
        let schedule = Schedule::new(Duration::from_secs(1)..=Duration::from_secs(60), Some(1));
        schedule.turn(POLL, Duration::MAX).await.expect("a turn");
        schedule
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_gives_up_makes_room_at_once() {
        let schedule = busy().await;
        let first = timeout(Duration::from_secs(5), schedule.turn(SUBMIT, Duration::MAX));
        let (first, second) = tokio::join!(first, schedule.turn(POLL, Duration::MAX));
        assert!(first.is_err() && second.is_ok());
        assert!(schedule.now() < Duration::from_millis(61_500), "{:?}", schedule.now());
    }

    #[tokio::test(start_paused = true)]
    async fn who_holds_a_place_and_does_not_come_holds_nobody_up() {
        let schedule = busy().await;
        let mut first = Box::pin(schedule.turn(SUBMIT, Duration::MAX));
        timeout(Duration::from_secs(5), &mut first).await.expect_err("a place in the line");
        schedule.turn(POLL, Duration::MAX).await.expect("a turn");
        assert!(schedule.now() < Duration::from_secs(63), "{:?}", schedule.now());
        first.await.expect("a turn");
    }

    #[tokio::test(start_paused = true)]
    async fn those_in_line_are_told_of_a_wish_that_is_too_long_for_them() {
        let schedule = busy().await;
        let wish = async {
            sleep(Duration::from_secs(5)).await;
            schedule.leave_alone(Duration::from_secs(3600));
        };
        let (told, ()) = tokio::join!(schedule.turn(SUBMIT, Duration::from_secs(60)), wish);
        assert!(told.expect_err("a wish") > Duration::from_secs(3599));
        assert!(schedule.now() < Duration::from_secs(6), "{:?}", schedule.now());
    }
}
