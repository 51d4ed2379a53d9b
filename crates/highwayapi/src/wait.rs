//! Waiting for a task: polls when the schedule says so, a budget for those that fail, a time limit.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::error::Kind;
use crate::retry::{LONGEST_PAUSE, LONGEST_WISH, backoff};
use crate::{Charged, Error, Result, Task, TaskResult, TaskStatus};

/// So many polls may fail in a row: with the pauses between them an outage of some minutes.
const FAILURES: u32 = 12;
/// So often a task that has succeeded is asked for its videos: they may come later than the word.
const LOOKS: u32 = 4;
/// So long before the limit of a wait a task is asked after once more, or a tenth of the limit where that is less.
const LAST_CHANCE: Duration = Duration::from_secs(1);
/// A task of which no more time has passed than this was submitted just now.
const YOUNG: Duration = Duration::from_secs(1);

/// What happens while a task is waited for.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<R = TaskResult> {
    /// The service answered; the task is not finished.
    Progress(R),
    /// A poll failed; waiting goes on.
    #[non_exhaustive]
    PollFailed {
        /// Why.
        error: Error,
        /// How many have failed in a row.
        failures: u32,
        /// When the next one comes.
        pause: Duration,
    },
    /// The task has its videos. The last event.
    Done(R),
}

#[cfg(feature = "blocking")]
impl<R> Event<R> {
    pub(crate) fn map<S>(self, result: impl FnOnce(R) -> S) -> Event<S> {
        match self {
            Self::Progress(progress) => Event::Progress(result(progress)),
            Self::PollFailed { error, failures, pause } => Event::PollFailed { error, failures, pause },
            Self::Done(done) => Event::Done(result(done)),
        }
    }
}

/// The events of one wait: a [`Stream`] that ends with [`Event::Done`] or an error.
///
/// A poll that fails for a passing reason (network, 404 of a task that was there, 408, 425, 429, 5xx, an answer that is
/// none of the service's) is told and repeated, up to 12 times in a row with growing pauses. 401, 403 and other refusals,
/// and a certificate that is not trusted, end the wait at once. A status that this crate does not know is taken for "not finished".
pub struct Events {
    step: Step,
}

type Next = (Waiter, Option<Result<Event>>);

enum Step {
    Idle(Option<Box<Waiter>>),
    Busy(Pin<Box<dyn Future<Output = Next> + Send>>),
}

impl Events {
    pub(crate) fn new(task: Task) -> Self {
        Self { step: Step::Idle(Some(Box::new(Waiter::new(task)))) }
    }

    /// The next event; `None` after the last. The same as the stream's, without a trait to import.
    pub async fn next(&mut self) -> Option<Result<Event>> {
        std::future::poll_fn(|context| self.poll_event(context)).await
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Event>>> {
        loop {
            match &mut self.step {
                Step::Idle(waiter) => match waiter.take() {
                    Some(waiter) => self.step = Step::Busy(Box::pin(waiter.step())),
                    None => return Poll::Ready(None),
                },
                Step::Busy(step) => {
                    let (waiter, event) = ready!(step.as_mut().poll(context));
                    let last = matches!(event, None | Some(Err(_) | Ok(Event::Done(_))));
                    self.step = Step::Idle((!last).then(|| Box::new(waiter)));
                    return Poll::Ready(event);
                }
            }
        }
    }
}

impl Stream for Events {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Event>>> {
        self.poll_event(context)
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

struct Waiter {
    task: Task,
    begun: Instant,
    /// `None`: longer than clocks count.
    deadline: Option<Instant>,
    next_poll: Instant,
    /// The age at which the task was last known not to be done.
    running_at: Option<Duration>,
    run_time: Option<Duration>,
    failures: u32,
    /// How often the task had succeeded and no video was there.
    looks: u32,
    /// Why the last poll failed, if it did.
    last_failure: Option<String>,
}

impl Waiter {
    fn new(task: Task) -> Self {
        let now = Instant::now();
        // A task that was submitted just now is not done yet; one from earlier may be.
        let running_at = task.age().filter(|&age| age <= YOUNG);
        let pause = running_at.map(|age| task.client.0.schedule.pause(task.kind, age));
        let mut waiter = Self {
            begun: now,
            deadline: now.checked_add(task.wait_timeout),
            next_poll: now,
            running_at,
            run_time: None,
            failures: 0,
            looks: 0,
            last_failure: None,
            task,
        };
        waiter.ask_after(pause.unwrap_or_default());
        waiter
    }

    /// And not only after the limit: whoever waits no longer than that wants to know how it stands then.
    fn ask_after(&mut self, pause: Duration) {
        let now = Instant::now();
        let last = self.deadline.and_then(|limit| limit.checked_sub(LAST_CHANCE.min(self.task.wait_timeout / 10)));
        self.next_poll = match last {
            Some(last) if last > now => last.min(now + pause),
            _ => now + pause,
        };
    }

    async fn step(mut self: Box<Self>) -> Next {
        let event = self.next().await;
        (*self, Some(event))
    }

    async fn next(&mut self) -> Result<Event> {
        let in_line = AtomicBool::new(false);
        let poll = async {
            sleep_until(self.next_poll).await;
            in_line.store(true, Ordering::Relaxed);
            // However long the service asked to be left alone: the limit of the wait ends it.
            let turn = self.task.turn(Duration::MAX).await;
            in_line.store(false, Ordering::Relaxed);
            let age = self.task.age();
            match turn {
                Ok(()) => (age, self.task.ask().await),
                Err(error) => (age, Err(error)),
            }
        };
        let (age, answer) = match self.deadline {
            Some(deadline) => match timeout_at(deadline, poll).await {
                Ok(answered) => answered,
                Err(_) => return Err(self.time_limit(in_line.into_inner())),
            },
            None => poll.await,
        };
        match answer {
            Ok(result) => {
                (self.failures, self.last_failure) = (0, None);
                self.task.seen = true;
                self.judge(result, age)
            }
            Err(error) => self.tolerate(error),
        }
    }

    /// `age` is that of the task when it was asked.
    fn judge(&mut self, result: TaskResult, age: Option<Duration>) -> Result<Event> {
        let over = matches!(result.status(), TaskStatus::Succeeded | TaskStatus::Failed);
        let early =
            *result.status() == TaskStatus::Succeeded && result.videos().is_empty() && result.reason().is_none();
        if self.looks == 0 {
            self.learn(age, over);
        }
        self.looks += u32::from(early);
        if over && (!early || self.looks == LOOKS) {
            return result.ran_for(self.run_time).finished().map(Event::Done);
        }
        let schedule = &self.task.client.0.schedule;
        let pause = match (self.looks, age) {
            (0, Some(age)) => schedule.pause(self.task.kind, age),
            (0, None) => schedule.pause_of_unknown(self.begun.elapsed()),
            (looks, _) => schedule.shortest() * looks,
        };
        self.ask_after(pause);
        Ok(Event::Progress(result))
    }

    /// A task that is done when it is first asked after has been so for nobody knows how long, unless it is young.
    fn learn(&mut self, age: Option<Duration>, over: bool) {
        let schedule = &self.task.client.0.schedule;
        if let (Some(from), Some(asked)) = (self.running_at, age) {
            let to = if over { self.task.age().unwrap_or(asked) } else { asked };
            schedule.observe(self.task.kind, from..=to.max(from), over);
            // Where it was asked after so rarely that nobody can say, nothing is said.
            let between = to.saturating_sub(from);
            self.run_time = (over && between <= to / 4).then(|| from + between / 2);
        }
        self.running_at = age;
    }

    fn tolerate(&mut self, error: Error) -> Result<Event> {
        self.failures += 1;
        if !passing(&error, self.task.seen) || self.failures >= FAILURES {
            return Err(error);
        }
        let pause = backoff(self.failures, error.retry_after(), LONGEST_PAUSE).min(LONGEST_WISH);
        tracing::warn!(task_id = %self.task.id(), failures = self.failures, ?pause, %error, "poll failed");
        self.next_poll = Instant::now() + pause;
        self.last_failure = Some(error.to_string().trim_end_matches('.').to_owned());
        Ok(Event::PollFailed { error, failures: self.failures, pause })
    }

    fn time_limit(&self, in_line: bool) -> Error {
        let id = self.task.id();
        let limit = self.task.wait_timeout;
        let line = in_line.then(|| "the last poll had to wait for its turn".to_owned());
        let (charged, text) = match (self.task.seen, self.last_failure.as_ref().or(line.as_ref())) {
            (true, None) => (Charged::Yes, format!("task {id} was not finished within {limit:?}. It goes on")),
            (true, Some(why)) => {
                (Charged::Yes, format!("task {id} was not seen to finish within {limit:?}: {why}. It is paid for"))
            }
            (false, None) => {
                (Charged::Unknown, format!("nothing was heard of task {id} within {limit:?}. It may be there"))
            }
            (false, Some(why)) => {
                (Charged::Unknown, format!("nothing was heard of task {id} within {limit:?}: {why}. It may be there"))
            }
        };
        Error::new(Kind::TimeLimit, charged, format!("{text} and can be waited for again.")).with_task(id)
    }
}

/// Whether the next poll may fare better.
pub(crate) fn passing(error: &Error, seen: bool) -> bool {
    match error.status() {
        Some(404) => seen,
        Some(408 | 425 | 429) => true,
        Some(status) => status >= 500 || error.is_invalid_answer(),
        None => error.is_network(),
    }
}
