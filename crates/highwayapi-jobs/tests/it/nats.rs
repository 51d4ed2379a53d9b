//! The record on NATS: what only it has. What every engine must do is in `conformance`.

mod batch;
mod leases;
mod outage;
mod process;
mod secrets;
pub(crate) mod server;
mod shared;
mod speed;
mod tallies;
