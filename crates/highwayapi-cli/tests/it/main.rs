//! The command as a user runs it: a process of its own, against a real sandbox.

#[cfg(all(unix, feature = "sandbox"))]
mod batch;
mod fake;
mod help;
#[cfg(all(unix, feature = "nats", feature = "sandbox"))]
mod machines;
mod process;
mod record;
#[cfg(feature = "sandbox")]
mod recording;
mod refusals;
#[cfg(feature = "sandbox")]
mod sandbox;
mod trouble;
#[cfg(feature = "sandbox")]
mod way;
