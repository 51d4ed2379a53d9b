//! Nothing paid twice, nothing lost: a durable record of paid work for the Highway API.
//!
//! ```no_run
//! use highwayapi::{Client, FirstLastFrame, Frame};
//! use highwayapi_jobs::Jobs;
//!
//! # async fn example() -> Result<(), highwayapi_jobs::Error> {
//! let jobs = Jobs::open(Client::from_env()?)?;
//! let clip = FirstLastFrame::new(Frame::open("first.png")?, Frame::open("last.jpg")?, "dusk falls");
//!
//! // Written down, then sent. Run again, after whatever happened, it takes up what was paid for.
//! let mut job = jobs.submit(&clip).output("clip.mp4").await?;
//! job.finish(|_step| {}).await?; // clip.mp4, and clip.json beside it
//! # Ok(()) }
//! ```
//!
//! Before a submit is sent, an _intent_ is on disk; when its answer comes, the task's id is on disk before anything else
//! happens. A program that dies in between leaves a job that is [`State::Unknown`]: nobody can tell whether the service
//! accepted it, no idempotency key is documented, and so nothing here ever sends it again by itself. All that comes after
//! the id may be repeated freely, and [`Jobs::take_up`] and [`HeldJob::finish`] do: polls, fetches, checks.
//!
//! The record holds the prompt, the options, hashes of the pictures and the paths they came from. It never holds the key,
//! a picture or a result link.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod asked;
pub mod batch;
mod clips;
mod error;
mod job;
mod jobs;
mod ledger;
#[cfg(feature = "nats")]
mod nats;
mod place;
mod publish;
mod send;
mod sidecar;
mod sqlite;
mod state;
mod store;
mod target;
mod time;
mod work;

pub use asked::{Asked, Fingerprint, Picture, Pictures};
pub use batch::{Batch, BatchId, Caps, Item, Money, Price, PriceTable, Spent, Tally, newest};
pub use error::{Error, Problem, Result};
pub use job::{Clip, Job, JobId};
pub use jobs::{Jobs, Submission};
pub use ledger::Ledger;
#[cfg(feature = "nats")]
pub use nats::{NatsOptions, NatsStore};
pub use place::state_folder;
pub use sidecar::{Sidecar, verify};
pub use sqlite::SqliteStore;
pub use state::{Event, State};
pub use store::{Added, Begun, Claim, Entry, Held, Hold, Pending, Store, Which};
pub use target::{Replaceable, clip_path};
pub use work::{HeldJob, Step};
