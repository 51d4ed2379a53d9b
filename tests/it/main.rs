//! The contract, tested from outside: what goes over the wire, what comes back, and what the caller is told.

mod answers;
mod contract;
mod download;
mod friday;
mod lost;
mod memory;
mod requests;
mod resume;
mod sandbox;
mod schedule;
mod secrets;
mod support;
mod tries;
mod wait;
