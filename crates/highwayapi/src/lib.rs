//! Two pictures and a prompt become a video, over the Highway API (Google Veo 3.1 Fast, first/last frame).
//!
//! ```no_run
//! use highwayapi::{Client, DurationSeconds, FirstLastFrame, Frame, Resolution};
//!
//! # async fn example() -> Result<(), highwayapi::Error> {
//! let client = Client::from_env()?; // HIGHWAY_API_KEY, HIGHWAY_BASE_URL
//! let clip = FirstLastFrame::new(
//!     Frame::open("first.png")?,
//!     Frame::open("last.jpg")?,
//!     "dusk falls over the pagoda",
//! )
//! .resolution(Resolution::P1080)
//! .duration_seconds(DurationSeconds::Six)
//! .generate_audio(true);
//!
//! let task = client.submit(&clip).await?; // at most one paid POST
//! let done = task.wait().await?; // or `poll` once, or `events` as they come
//! done.videos()[0].download("clip.mp4").await?;
//! # Ok(()) }
//! ```
//!
//! # What is paid for
//!
//! Every submit that the service accepts is paid for, and no idempotency key is documented. So [`Client::submit`] repeats
//! a request only where the service cannot have accepted it, and every [`Error`] says through [`Error::is_charged`]
//! whether money was spent. A [`Task`] can be rebuilt from its id alone, and everything after the id may be repeated
//! freely.
//!
//! # Features
//!
//! `rustls` (default) or `native-tls` for TLS · `blocking` for programs without async · `schemars` for a JSON Schema of
//! [`Options`].
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "blocking")]
pub mod blocking;

mod answer;
mod client;
mod download;
mod error;
mod frame;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod mp4;
mod options;
mod redact;
mod request;
mod retry;
mod schedule;
mod submit;
mod task;
mod tls;
mod video;
mod wait;

pub use client::{Client, ClientBuilder};
pub use download::{Download, Fetched, Saved, move_unfinished_download, unfinished_download};
pub use error::{Charged, Error, Result};
pub use frame::{Frame, PictureKind};
pub use options::{AspectRatio, DurationSeconds, NotAllowed, Options, PersonGeneration, Resolution, SampleCount};
pub use request::FirstLastFrame;
pub use schedule::{SharedBudget, SharedTurn};
pub use submit::{Attempt, Attempts};
pub use task::{Task, TaskId};
pub use video::{TaskResult, TaskStatus, Video};
pub use wait::{Event, Events};
