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

use std::future::IntoFuture;

use tokio::runtime::{Builder, Runtime};

use crate::{Error, Event, FirstLastFrame, Result, Saved, TaskId, TaskResult};

/// [`crate::Client`] without async. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    inner: crate::Client,
    runtime: Arc<Runtime>,
}

impl Client {
    /// As [`crate::Client::from_env`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn from_env() -> Result<Self> {
        Self::new(crate::Client::from_env()?)
    }

    /// Around any client, such as one from [`crate::Client::builder`].
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn new(inner: crate::Client) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("highwayapi")
            .enable_all()
            .build()
            .map_err(|error| Error::config("no thread for the client").with_source(error))?;
        Ok(Self { inner, runtime: Arc::new(runtime) })
    }

    /// As [`crate::Client::submit`]: at most one POST that the service can have accepted.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn submit(&self, request: &FirstLastFrame) -> Result<Task> {
        let inner = self.runtime.block_on(self.inner.submit(request))?;
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
    runtime: Arc<Runtime>,
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

    /// As [`crate::Task::poll`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn poll(&self) -> Result<TaskResult> {
        self.runtime.block_on(self.inner.poll())
    }

    /// As [`crate::Task::wait`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn wait(&self) -> Result<Finished> {
        let result = self.runtime.block_on(self.inner.wait())?;
        let video = |inner: &crate::Video| Video { inner: inner.clone(), runtime: Arc::clone(&self.runtime) };
        Ok(Finished { videos: result.videos().iter().map(video).collect(), result })
    }

    /// As [`crate::Task::events`], as an iterator.
    pub fn events(&self) -> impl Iterator<Item = Result<Event>> + use<> {
        let runtime = Arc::clone(&self.runtime);
        let mut events = self.inner.events();
        std::iter::from_fn(move || runtime.block_on(events.next()))
    }
}

/// A task that has its videos.
#[derive(Clone, Debug)]
pub struct Finished {
    result: TaskResult,
    videos: Vec<Video>,
}

impl Finished {
    /// All that the service said.
    pub fn result(&self) -> &TaskResult {
        &self.result
    }

    /// The videos; at least one.
    pub fn videos(&self) -> &[Video] {
        &self.videos
    }
}

/// [`crate::Video`] without async.
#[derive(Clone, Debug)]
pub struct Video {
    inner: crate::Video,
    runtime: Arc<Runtime>,
}

impl Video {
    /// As [`crate::Video::download`]; an existing file is not overwritten.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn download(&self, path: impl AsRef<Path>) -> Result<Saved> {
        self.runtime.block_on(self.inner.download(path).into_future())
    }

    /// As [`Video::download`], replacing a file that is there already.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn download_over(&self, path: impl AsRef<Path>) -> Result<Saved> {
        self.runtime.block_on(self.inner.download(path).overwrite(true).into_future())
    }
}
