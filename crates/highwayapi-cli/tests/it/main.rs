//! The command as a user runs it: a process of its own, against a real sandbox.

mod help;
mod process;
mod refusals;
#[cfg(feature = "sandbox")]
mod way;
