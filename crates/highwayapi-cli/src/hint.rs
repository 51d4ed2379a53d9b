//! Commands that are offered as a way out, so that they work as they stand there.

use std::sync::OnceLock;

static FLAGS: OnceLock<String> = OnceLock::new();

/// What every command that is offered must repeat to reach the same service.
pub(crate) fn set_flags(flags: String) {
    let _ = FLAGS.set(flags);
}

/// `highway` with these arguments, for the service that was typed.
pub(crate) fn highway(args: impl std::fmt::Display) -> String {
    format!("highway {args}{}", FLAGS.get().map(String::as_str).unwrap_or_default())
}
