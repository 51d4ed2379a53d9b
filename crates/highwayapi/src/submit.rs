//! The one call that costs money: sent again only where the service cannot have accepted it.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use highwayapi_raw as raw;
use highwayapi_raw::body::Upload;
use reqwest::StatusCode;
use tokio::time::{Instant, sleep};

use crate::answer::{Answer, failure, silence};
use crate::error::Kind;
use crate::redact::clean;
use crate::retry::{LONGEST_PAUSE, LONGEST_WISH, backoff, left_alone};
use crate::schedule::Wish;
use crate::{Charged, Client, Error, FirstLastFrame, Result, Task, TaskId};

const WHAT: &str = "the submit";
/// A timer that is so late was not the only one that waited.
const LATE: Duration = Duration::from_millis(500);

/// So many attempts are made by whoever is patient: with the pauses between them an outage of some minutes.
const MANY: u32 = 12;

/// A submit, attempt by attempt; see [`Client::attempts`].
#[derive(Debug)]
pub struct Attempts {
    client: Client,
    request: FirstLastFrame,
    limit: u32,
    /// What the service may ask for.
    patience: Duration,
    /// Before the next attempt.
    pause: Duration,
    made: u32,
}

/// What became of an attempt to submit.
#[derive(Debug)]
#[non_exhaustive]
pub enum Attempt {
    /// It was accepted and is paid for.
    Accepted(Task),
    /// The service cannot have accepted it, and may do so another time. Nothing was charged.
    NotTaken(Error),
}

/// A submit that did not bring a task.
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// The service cannot have accepted it, and may do so another time.
    pub(crate) again: bool,
}

impl Client {
    /// Submits a video to be made: **at most one POST that the service can have accepted**, and that one is paid for.
    ///
    /// It is repeated (up to [`crate::ClientBuilder::submit_attempts`], with a pause) only where nothing can have been
    /// processed: no connection came about, or the service said that it did not take it (429, or 503
    /// `SERVICE_NOT_AVAILABLE`). A certificate that is not trusted ends it at once. Redirects are not followed.
    ///
    /// It waits its turn in the client's [`crate::ClientBuilder::requests_per_minute`], before polls, for as long as that
    /// takes.
    ///
    /// Dropping the future while it runs leaves open whether the service accepted.
    ///
    /// # Errors
    ///
    /// [`Error::is_charged`] tells what it cost: `No` where the request was bad, refused or never sent; `Unknown` where
    /// it was sent and the answer was lost or cannot be understood. Then only the account's own records can tell.
    /// [`Error::is_rate_limited`] also where the service has asked to be left alone for more than a minute; then nothing
    /// was sent.
    pub async fn submit(&self, request: &FirstLastFrame) -> Result<Task> {
        self.submit_until(request, std::future::pending()).await
    }

    /// As [`Client::submit`], but begins no further attempt, and waits for no turn, once `stop` has resolved. An attempt
    /// that is under way is never cut short: its answer may hold the id of a task that is paid for.
    ///
    /// # Errors
    ///
    /// As `submit`, and [`Error::is_stopped`], with nothing charged.
    pub async fn submit_until(&self, request: &FirstLastFrame, stop: impl Future<Output = ()>) -> Result<Task> {
        let mut attempts = self.attempts(request);
        let mut stop = pin!(stop);
        loop {
            attempts.turn(&mut stop).await?;
            if let Attempt::Accepted(task) = attempts.send().await? {
                return Ok(task);
            }
        }
    }

    /// A submit attempt by attempt, for whoever writes down what is about to be sent, and only then.
    ///
    /// ```no_run
    /// # async fn example(client: highwayapi::Client, clip: highwayapi::FirstLastFrame) -> highwayapi::Result<()> {
    /// use highwayapi::Attempt;
    ///
    /// let mut attempts = client.attempts(&clip);
    /// let task = loop {
    ///     attempts.turn(std::future::pending()).await?;
    ///     // Here it may be written down that it will be sent at once.
    ///     if let Attempt::Accepted(task) = attempts.send().await? {
    ///         break task;
    ///     }
    ///     // And here that it was not taken.
    /// };
    /// # Ok(()) }
    /// ```
    pub fn attempts(&self, request: &FirstLastFrame) -> Attempts {
        Attempts {
            client: self.clone(),
            request: request.clone(),
            limit: self.0.submit_attempts,
            patience: LONGEST_PAUSE,
            pause: Duration::ZERO,
            made: 0,
        }
    }

    async fn submit_once(&self, request: &FirstLastFrame) -> Result<TaskId, Failure> {
        let (request, upload) = request.to_raw();
        let client = self.raw(self.0.hooks.clone().upload(upload.clone()));
        let answer = tokio::select! {
            // An answer that is there counts, however late this is looked at.
            biased;
            answer = client.submit_first_last_frame(&request) => answer,
            () = standstill(&upload, self.0.idle_timeout) => {
                let charged = charged(&upload);
                let error = told(silence(WHAT, charged, self.0.idle_timeout));
                return Err(Failure { error, again: charged == Charged::No });
            }
        };
        match answer {
            Ok(answer) => accepted(&answer.into_inner().task_id.0, &self.0.key),
            Err(raw::Error::UnexpectedResponse(response)) => {
                let answer = Answer::read(response, self.0.idle_timeout).await;
                match answer.task_id() {
                    Some(id) => accepted(&id, &self.0.key),
                    None => Err(refused(answer, &self.0.key)),
                }
            }
            Err(raw::Error::InvalidResponsePayload(bytes, error)) => {
                let answer = Answer::not_as_agreed(&bytes);
                match answer.task_id() {
                    Some(id) => accepted(&id, &self.0.key),
                    None => {
                        let again = false;
                        Err(Failure { error: told(answer.into_unreadable(WHAT, &error, &self.0.key)), again })
                    }
                }
            }
            Err(error) => {
                let charged = charged(&upload);
                // What never left for a reason of our own will not leave the next time either.
                let own = matches!(&error, raw::Error::Custom(_) | raw::Error::InvalidRequest(_))
                    || matches!(&error, raw::Error::CommunicationError(error) if error.is_builder());
                let error = failure(error, WHAT, self.base_url(), charged, self.0.idle_timeout);
                let again = charged == Charged::No && !own && !error.is_tls();
                Err(Failure { error: told(error), again })
            }
        }
    }
}

pub(crate) fn accepted(id: &str, key: &str) -> Result<TaskId, Failure> {
    id.parse().map_err(|_| {
        let text = match clean(id, key) {
            id if id.is_empty() => "the submit was answered without a task id".to_owned(),
            id => format!("the submit was answered with `{id}` for a task id"),
        };
        Failure { error: told(Error::new(Kind::Answer, Charged::Unknown, text)), again: false }
    })
}

pub(crate) fn refused(answer: Answer, key: &str) -> Failure {
    let unavailable =
        answer.status == StatusCode::SERVICE_UNAVAILABLE && answer.reason() == Some("SERVICE_NOT_AVAILABLE");
    // One that names a task may have made it, whatever else it says.
    let again = (unavailable || answer.status == StatusCode::TOO_MANY_REQUESTS) && answer.mentioned_id().is_none();
    // These say that the request was not taken. Others of their kind (408, 409, 425, 499) speak of one that may be.
    let refused = matches!(answer.status.as_u16(), 400..=405 | 413 | 415 | 422) && answer.mentioned_id().is_none();
    let charged = if again || refused { Charged::No } else { Charged::Unknown };
    Failure { error: told(answer.into_error(WHAT, charged, key)), again }
}

impl Attempts {
    /// Makes so many more attempts that an outage of some minutes is sat out, and waits for as long as the service asks for.
    #[must_use]
    pub fn patiently(self) -> Self {
        Self { limit: self.limit.max(MANY), patience: LONGEST_WISH, ..self }
    }

    /// Returns when the next attempt may be made: after a pause, where one was made before, and in its turn. It waits no
    /// longer once `stop` has resolved.
    ///
    /// # Errors
    ///
    /// When the request is bad or a picture is gone, the service asked to be left alone for too long, or `stop` has resolved
    /// ([`Error::is_stopped`]). Nothing was charged.
    pub async fn turn(&mut self, stop: impl Future<Output = ()>) -> Result<()> {
        // Before it waits, for that may take long, and after.
        self.check().await?;
        tokio::select! {
            biased;
            () = stop => {
                let text = "the submit was stopped before it was accepted";
                return Err(told(Error::new(Kind::Stopped, Charged::No, text)));
            }
            turn = async {
                sleep(self.pause).await;
                let wish = Wish::Submit(self.client.0.schedule.now());
                self.client.turn(wish, self.patience, WHAT, Charged::No).await
            } => turn.map_err(told)?,
        }
        self.check().await
    }

    /// Makes an attempt: one POST. It is to be made at once after [`Attempts::turn`].
    ///
    /// # Errors
    ///
    /// As [`Client::submit`]. No further attempt is to be made then.
    pub async fn send(&mut self) -> Result<Attempt> {
        let failure = match self.client.submit_once(&self.request).await {
            Ok(id) => {
                tracing::info!(task_id = %id, "submitted");
                return Ok(Attempt::Accepted(Task::submitted(self.client.clone(), id, self.request.options())));
            }
            Err(failure) => failure,
        };
        self.client.heed(&failure.error);
        self.made += 1;
        let asked = failure.error.retry_after();
        if !failure.again || self.made >= self.limit {
            return Err(failure.error);
        }
        if let Some(asked) = asked.filter(|&asked| asked > self.patience) {
            return Err(failure.error.ending(&left_alone(asked)));
        }
        self.pause = backoff(self.made, asked, LONGEST_PAUSE);
        tracing::warn!(attempt = self.made, pause = ?self.pause, error = %failure.error, "not accepted, trying again");
        Ok(Attempt::NotTaken(failure.error))
    }

    async fn check(&self) -> Result<()> {
        self.request.check()?;
        let pictures = self.request.clone();
        let checked = tokio::task::spawn_blocking(move || pictures.check_pictures()).await;
        checked.unwrap_or_else(|error| Err(Error::input("a picture cannot be read").with_source(error)))
    }
}

/// Without a byte of the body the service has nothing to accept.
fn charged(upload: &Upload) -> Charged {
    if upload.sent() == 0 { Charged::No } else { Charged::Unknown }
}

/// The sentence that matters most, behind the others.
fn told(error: Error) -> Error {
    let sentence = match error.is_charged() {
        Charged::No => "Nothing was charged.",
        Charged::Yes => "It was charged.",
        Charged::Unknown => "Whether it was charged is unknown: sending it again may pay twice.",
    };
    error.ending(sentence)
}

/// Returns when no byte has been handed to the network for `limit`: a large upload may take long, a standstill may not.
async fn standstill(upload: &Upload, limit: Duration) {
    loop {
        let (sent, since) = (upload.sent(), Instant::now());
        sleep(limit).await;
        // Whoever stood still itself, as after Ctrl-Z, has not looked yet: the answer may be there.
        if upload.sent() == sent && since.elapsed() < limit.saturating_add(LATE) {
            return;
        }
    }
}
