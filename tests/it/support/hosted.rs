//! A clip at a file host that knows ranges, and breaks off where it is told.

use std::sync::Arc;

use crate::support::mp4_of;
use crate::support::raw::{Hosted, Step};

pub(crate) const ETAG: &str = "etag: \"e1\"\r\n";
/// Where most tests break off: more than next to nothing.
pub(crate) const CUT: usize = 100_000;

pub(crate) fn clip() -> Vec<u8> {
    mp4_of(300_000)
}

pub(crate) fn hosted(head: &str) -> Arc<Hosted> {
    Arc::new(Hosted { bytes: clip(), head: head.to_owned() })
}

/// Gives all that is asked for.
pub(crate) fn whole(file: &Arc<Hosted>) -> Vec<Step> {
    vec![Step::Host(Arc::clone(file), usize::MAX)]
}

/// Gives so many bytes of it and closes the connection.
pub(crate) fn cut(file: &Arc<Hosted>, at: usize) -> Vec<Step> {
    vec![Step::Host(Arc::clone(file), at)]
}
