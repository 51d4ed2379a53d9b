//! The command as a user runs it: a process of its own, against a real sandbox.

#[cfg(all(unix, feature = "sandbox"))]
mod batch;
mod fake;
mod help;
mod process;
mod record;
mod refusals;
mod trouble;
#[cfg(feature = "sandbox")]
mod way;
