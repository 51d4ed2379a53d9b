//! What happens when something goes wrong, tried out: the real command `highway` against the real sandbox, with a proxy
//! in between that loses, cuts, delays and forges. Every cell of the table says beforehand what must come of it.
//!
//! For Unix: it sends signals and limits processes.

mod cell;
pub mod files;
mod ground;
pub mod highway;
mod hosts;
pub mod http;
pub mod kills;
mod lane;
mod page;
mod proxy;
mod said;
mod script;
mod secrets;
mod seen;
mod table;
mod trial;
mod words;

use std::path::{Path, PathBuf};

pub use crate::highway::Highway;
pub use crate::page::{Report, run};

/// What can go wrong with the tests themselves.
pub type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// The workspace's root.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
