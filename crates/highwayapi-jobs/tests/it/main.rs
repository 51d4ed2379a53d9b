//! The record as programs see it: the store on its own, and the promises that are kept with it.

mod conformance;
mod look;
mod manifest;
mod model;
mod nats;
mod promises;
mod runner;
mod sqlite;
mod support;
