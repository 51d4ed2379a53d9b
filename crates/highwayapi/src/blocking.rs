//! The same calls for programs without async.
//!
//! ```no_run
//! use highwayapi::{FirstLastFrame, Frame, blocking::Client};
//!
//! # fn main() -> Result<(), highwayapi::Error> {
//! let client = Client::from_env()?;
//! let clip = FirstLastFrame::new(Frame::open("first.png")?, Frame::open("last.jpg")?, "dusk falls");
//! let done = client.submit(&clip)?.wait()?;
//! done.videos()[0].download("clip.mp4")?;
//! # Ok(()) }
//! ```
//!
//! These calls block their thread, so they must not be made on a thread of an async runtime: that panics.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use std::future::{Future, IntoFuture};
use std::ops::Deref;

use tokio::runtime::{Builder, Runtime};

use crate::{Error, Event, FirstLastFrame, Result, Saved, TaskId};

/// [`crate::Client`] without async. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    inner: crate::Client,
    runtime: Arc<Thread>,
}

impl Client {
    /// As [`crate::Client::from_env`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn from_env() -> Result<Self> {
        Self::from_async(crate::Client::from_env()?)
    }

    /// As [`crate::Client::new`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn new(api_key: impl Into<String>) -> Result<Self> {
        Self::from_async(crate::Client::new(api_key)?)
    }

    /// Around any client, such as one from [`crate::Client::builder`].
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn from_async(inner: crate::Client) -> Result<Self> {
        Ok(Self { inner, runtime: Arc::new(Thread::new()?) })
    }

    /// As [`crate::Client::submit`]: at most one POST that the service can have accepted.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn submit(&self, request: &FirstLastFrame) -> Result<Task> {
        let inner = self.runtime.run(self.inner.submit(request))?;
        Ok(Task { inner, runtime: Arc::clone(&self.runtime) })
    }

    /// As [`crate::Client::task`].
    pub fn task(&self, id: TaskId) -> Task {
        Task { inner: self.inner.task(id), runtime: Arc::clone(&self.runtime) }
    }
}

/// [`crate::Task`] without async.
#[derive(Clone, Debug)]
pub struct Task {
    inner: crate::Task,
    runtime: Arc<Thread>,
}

impl Task {
    /// As [`crate::Task::id`].
    pub fn id(&self) -> &TaskId {
        self.inner.id()
    }

    /// As [`crate::Task::wait_timeout`].
    pub fn wait_timeout(self, wait_timeout: Duration) -> Self {
        Self { inner: self.inner.wait_timeout(wait_timeout), ..self }
    }

    /// As [`crate::Task::accepted`].
    #[must_use]
    pub fn accepted(self) -> Self {
        Self { inner: self.inner.accepted(), ..self }
    }

    /// As [`crate::Task::poll`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn poll(&self) -> Result<TaskResult> {
        Ok(TaskResult::new(self.runtime.run(self.inner.poll())?, &self.runtime))
    }

    /// As [`crate::Task::wait`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn wait(&self) -> Result<TaskResult> {
        Ok(TaskResult::new(self.runtime.run(self.inner.wait())?, &self.runtime))
    }

    /// As [`crate::Task::events`], as an iterator.
    pub fn events(&self) -> impl Iterator<Item = Result<Event<TaskResult>>> + use<> {
        let runtime = Arc::clone(&self.runtime);
        let mut events = self.inner.events();
        std::iter::from_fn(move || {
            let event = runtime.run(events.next())?;
            Some(event.map(|event| event.map(|result| TaskResult::new(result, &runtime))))
        })
    }
}

/// [`crate::TaskResult`] without async: all that it tells, and videos that can be fetched.
#[derive(Clone, Debug)]
pub struct TaskResult {
    inner: crate::TaskResult,
    videos: Vec<Video>,
}

impl TaskResult {
    fn new(inner: crate::TaskResult, runtime: &Arc<Thread>) -> Self {
        let video = |inner: &crate::Video| Video { inner: inner.clone(), runtime: Arc::clone(runtime) };
        Self { videos: inner.videos().iter().map(video).collect(), inner }
    }

    /// The videos, as [`crate::TaskResult::videos`].
    pub fn videos(&self) -> &[Video] {
        &self.videos
    }
}

impl Deref for TaskResult {
    type Target = crate::TaskResult;

    fn deref(&self) -> &crate::TaskResult {
        &self.inner
    }
}

/// [`crate::Video`] without async.
#[derive(Clone, Debug)]
pub struct Video {
    inner: crate::Video,
    runtime: Arc<Thread>,
}

impl Video {
    /// As [`crate::Video::download`]; an existing file is not overwritten.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn download(&self, path: impl AsRef<Path>) -> Result<Saved> {
        self.runtime.run(self.inner.download(path).into_future())
    }

    /// As [`Video::download`], replacing a file that is there already.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn download_over(&self, path: impl AsRef<Path>) -> Result<Saved> {
        self.runtime.run(self.inner.download(path).overwrite(true).into_future())
    }
}

/// The thread on which the calls of one client run.
#[derive(Debug)]
struct Thread(Option<Runtime>);

impl Thread {
    fn new() -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("highwayapi").enable_all().build();
        Ok(Self(Some(runtime.map_err(|error| Error::config("no thread for the client").with_source(error))?)))
    }

    fn run<T>(&self, call: impl Future<Output = T>) -> T {
        match &self.0 {
            Some(runtime) => runtime.block_on(call),
            None => unreachable!("only drop takes the runtime"),
        }
    }
}

impl Drop for Thread {
    /// A runtime that is dropped the plain way waits, and panics where waiting is not allowed.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
