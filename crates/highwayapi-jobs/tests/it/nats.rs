//! The record on NATS: what only it has. What every engine must do is in `conformance`.

pub(crate) mod server;
