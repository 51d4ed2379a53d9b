//! Bringing a video into its part, over as many requests as it takes.

use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, IF_RANGE, RANGE};
use reqwest::{Response, StatusCode};
use tokio::time::{Instant, sleep};

use super::part::{Flaw, Part};
use super::reply::Reply;
use super::{LARGEST, Progress, download};
use crate::retry::{backoff, left_alone, retry_after};
use crate::wait::passing;
use crate::{Error, Result, Video, tls};

/// So many tries in a row may bring next to nothing.
const TRIES: u32 = 5;
/// Less is next to nothing: of a try, and of the time after which nothing at all would be given up.
const LEAST: u64 = 64 << 10;
/// A link that expires again and again is not the link's fault.
const FRESH_LINKS: u32 = 3;
/// A longer wish for a pause is not slept through but told to the caller.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What ended a try.
enum Setback {
    /// The next one may fare better.
    Again(Error),
    /// A fresh link may.
    Expired(Error),
    /// Without the part it may.
    Changed(Error),
    /// Nothing will.
    End(Error),
}

/// Whatever fails on this side ends it.
impl From<Error> for Setback {
    fn from(error: Error) -> Self {
        Self::End(error)
    }
}

pub(super) struct Transfer<'a> {
    video: &'a Video,
    part: Part,
    progress: Option<Progress<'a>>,
    link: String,
    /// The link is known to have expired.
    stale: bool,
    fresh_links: u32,
    /// The part was of something else once already.
    changed: bool,
}

impl<'a> Transfer<'a> {
    pub(super) fn new(video: &'a Video, part: Part, progress: Option<Progress<'a>>) -> Self {
        let link = video.url().to_owned();
        Self { video, part, progress, link, stale: false, fresh_links: 0, changed: false }
    }

    /// The part once it is whole and checked, with its length and digest.
    pub(super) async fn run(mut self) -> Result<(Part, u64, String)> {
        match self.bring().await {
            Ok((length, sha256)) => Ok((self.part, length, sha256)),
            Err(error) if self.part.is_of_use() => {
                let path = self.part.path().display();
                Err(error.ending(&format!("What came is kept as {path}, and the next download goes on from there.")))
            }
            Err(error) => Err(error),
        }
    }

    async fn bring(&mut self) -> Result<(u64, String)> {
        if self.part.is_whole()? {
            match self.part.check().await {
                Ok(checked) => {
                    self.tell(checked.0);
                    return Ok(checked);
                }
                // An earlier download's: it is fetched as if it were not there.
                Err(Flaw::Io(error)) => return Err(self.part.unchecked(error)),
                Err(Flaw::Digest | Flaw::NotMp4(_)) => self.part.empty()?,
            }
        }
        let mut farthest = self.part.length()?;
        let mut failures = 0;
        loop {
            let error = match self.attempt().await {
                Ok(checked) => return Ok(checked),
                Err(Setback::Again(error)) => error,
                Err(Setback::Expired(_)) if self.fresh_links < FRESH_LINKS => {
                    self.stale = true;
                    continue;
                }
                Err(Setback::Changed(_)) if !self.changed => {
                    self.changed = true;
                    self.part.empty()?;
                    continue;
                }
                Err(Setback::Expired(error) | Setback::Changed(error) | Setback::End(error)) => return Err(error),
            };
            // Bytes that had come before bring nothing: else a host that breaks off and cannot resume kept us for ever.
            let length = self.part.length()?;
            if length >= farthest + LEAST {
                (farthest, failures) = (length, 0);
            } else {
                failures += 1;
            }
            let asked = error.retry_after();
            if let Some(asked) = asked.filter(|&asked| asked > LONGEST_PAUSE) {
                return Err(error.ending(&left_alone(asked)));
            }
            if failures == TRIES {
                return Err(error.ending(&format!("It was tried {TRIES} times.")));
            }
            let pause = backoff(failures.max(1), asked, LONGEST_PAUSE);
            tracing::warn!(task_id = %self.video.task_id, failures, ?pause, %error, "download interrupted, trying again");
            sleep(pause).await;
        }
    }

    async fn attempt(&mut self) -> Result<(u64, String), Setback> {
        if self.stale {
            self.refresh().await?;
        }
        // All may have come and the end of it gone wrong.
        if !self.part.is_whole()? {
            self.pour().await?;
        }
        let flaw = match self.part.check().await {
            Ok(checked) => return Ok(checked),
            Err(flaw) => flaw,
        };
        let unannounced = self.part.announced().length.is_none();
        match flaw {
            Flaw::Io(error) => Err(Setback::End(self.part.unchecked(error))),
            Flaw::Digest => {
                self.part.empty()?;
                Err(Setback::Again(download("what came does not agree with the digest that the file host announced")))
            }
            Flaw::NotMp4(what) => {
                let error = download(format!("what the file host sent {what}"));
                if what.is_another_format() {
                    self.part.empty()?;
                    Err(Setback::End(error))
                } else if unannounced {
                    // Where it broke off, nothing but its boxes tells.
                    Err(Setback::Again(error))
                } else {
                    // It is paid for and whole as far as was announced: perhaps somebody can make use of it.
                    let kept = self.part.leave();
                    Err(Setback::End(error.ending(&format!("It is kept as {}.", kept.display()))))
                }
            }
        }
    }

    /// Asks the task for a link of the same video.
    async fn refresh(&mut self) -> Result<(), Setback> {
        let task = self.video.client.task(self.video.task_id.clone()).accepted();
        let result = task.poll().await.map_err(|error| {
            if !passing(&error, true) {
                return Setback::End(error);
            }
            let asked = error.retry_after();
            let text = "the link has expired, and no fresh one could be had";
            Setback::Again(download(text).with_source(error).with_retry_after(asked))
        })?;
        let Some(fresh) = result.videos().iter().find(|video| video.index() == self.video.index()) else {
            return Err(Setback::End(download(
                "the link has expired, and the service no longer has one for this video",
            )));
        };
        self.link = fresh.url().to_owned();
        self.stale = false;
        self.fresh_links += 1;
        Ok(())
    }

    /// One request, and what comes of it.
    async fn pour(&mut self) -> Result<(), Setback> {
        // A part that cannot be continued counts for nothing.
        let at = if self.part.announced().can_be_continued() { self.part.length()? } else { 0 };
        let files = self.video.client.files().map_err(|error| download("TLS cannot be set up").with_source(error))?;
        let mut request = files.get(&self.link);
        if let (1.., Some(validator)) = (at, &self.part.announced().validator) {
            request = request.header(RANGE, format!("bytes={at}-")).header(IF_RANGE, validator);
        }
        let response = request.send().await.map_err(broken)?;
        let asked = (at > 0).then(|| (at, self.part.announced()));
        let (status, length) = (response.status(), response.content_length());
        match Reply::read(status, response.headers(), length, asked) {
            Reply::Whole(announced) => {
                if announced.length.is_some_and(|length| length > LARGEST) {
                    return Err(too_large().into());
                }
                self.part.begin(announced)?;
                self.receive(response, 0).await
            }
            Reply::Continues => self.receive(response, at).await,
            Reply::Changed => Err(Setback::Changed(refusal(status, response.headers()))),
            Reply::Expired => Err(Setback::Expired(refusal(status, response.headers()))),
            Reply::Busy => Err(Setback::Again(refusal(status, response.headers()))),
            Reply::Refused => Err(Setback::End(refusal(status, response.headers()))),
        }
    }

    /// Writes behind the first `done` bytes what comes.
    async fn receive(&mut self, mut response: Response, mut done: u64) -> Result<(), Setback> {
        let length = self.part.announced().length;
        let patience = self.video.client.0.idle_timeout;
        let mut out = self.part.writer()?;
        let (mut since, mut came) = (Instant::now(), 0);
        let broke_off = loop {
            let chunk = tokio::select! {
                biased;
                chunk = response.chunk(), if out.has_room() => chunk,
                written = out.written() => {
                    self.tell(written.map_err(|error| self.part.unwritable(error))?);
                    continue;
                }
            };
            match chunk {
                Ok(Some(chunk)) => {
                    done += chunk.len() as u64;
                    if done > LARGEST {
                        break Some(Setback::End(too_large()));
                    }
                    if length.is_some_and(|length| done > length) {
                        break Some(Setback::Changed(download("the file host sent more than it had announced")));
                    }
                    out.write(&chunk);
                    if since.elapsed() >= patience && length != Some(done) {
                        if came < LEAST {
                            break Some(Setback::Again(too_slow(came, patience)));
                        }
                        (since, came) = (Instant::now(), 0);
                    }
                    came += chunk.len() as u64;
                }
                Ok(None) => break None,
                Err(error) => break Some(broken(error)),
            }
        };
        while out.is_writing() {
            self.tell(out.written().await.map_err(|error| self.part.unwritable(error))?);
        }
        self.part.written(out.hashed());
        match broke_off {
            Some(setback) => Err(setback),
            None => match length {
                Some(length) if length != done => {
                    Err(Setback::Again(download(format!("the video broke off: {done} of {length} bytes came"))))
                }
                _ => Ok(()),
            },
        }
    }

    fn tell(&mut self, done: u64) {
        if let Some(progress) = &mut self.progress {
            progress(done, self.part.announced().length);
        }
    }
}

fn refusal(status: StatusCode, headers: &HeaderMap) -> Error {
    let hint = match status.as_u16() {
        401 | 403 | 404 | 410 => ": the link may have expired, and fresh ones of the same task fared no better",
        _ => "",
    };
    download(format!("the file host answered with {status}{hint}"))
        .with_status(status.as_u16())
        .with_retry_after(retry_after(headers, SystemTime::now()))
}

fn broken(error: reqwest::Error) -> Setback {
    let host = error.url().map(|url| url.origin().ascii_serialization()).unwrap_or_default();
    let error = error.without_url();
    if tls::is_why(&error) {
        let text =
            format!("the certificate or the TLS of the file host {host}, or of one that it leads to, was refused");
        let error = download(text).with_source(error);
        return Setback::End(error.ending("The video is paid for, and fetching it costs nothing more."));
    }
    let hopeless = error.is_builder() || error.is_redirect();
    let text = if error.is_connect() {
        "the file host cannot be reached"
    } else if error.is_redirect() {
        "the file host redirects and never comes to an end"
    } else if error.is_timeout() {
        "the file host stopped sending"
    } else if error.is_builder() {
        "the service gave a link that is no URL"
    } else {
        "the video broke off"
    };
    let error = download(text).with_source(error);
    if hopeless { Setback::End(error) } else { Setback::Again(error) }
}

fn too_slow(came: u64, patience: Duration) -> Error {
    download(format!("the file host is too slow: {came} bytes came in {} s", patience.as_secs_f32()))
}

fn too_large() -> Error {
    download(format!("the video has more than {LARGEST} bytes, which none of this service has"))
}
