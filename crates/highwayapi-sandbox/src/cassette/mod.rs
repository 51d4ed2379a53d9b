//! Cassettes: what a real service answered, recorded, replayed, and compared with the contract and the sandbox.
//!
//! A [`Recorder`] stands between a client and the service and writes a file in which are no keys, no signatures and no
//! pictures. A [`Replay`] serves that file. [`drift`] says where the service differs from what was believed of it, and
//! [`probe`] asks it what is not known.

pub mod drift;
mod format;
mod json;
pub mod probe;
mod record;
mod redact;
mod replay;
mod request;
mod serve;
mod upstream;
mod video;
mod write;

pub use format::Cassette;
pub use record::{Recorder, RecorderBuilder};
pub use replay::Replay;
