//! Batches that are killed and taken up again, and workers on several hosts to whom everything happens that can: the real
//! command against the real sandbox and a real NATS server, each on an address of its own.
//!
//! For Linux: hosts are network namespaces, and who makes them is root.

mod accounts;
mod batch_kills;
mod batches;
mod inside;
mod memory;
mod nats;
mod net;
mod page;
mod photographs;
mod picture;
mod process;
mod record;
mod service;
mod throughput;
mod trouble;
mod troubles;
mod worker;

pub use accounts::Account;
pub use batch_kills::{BatchKills, KilledBatch};
pub use fault_tests::{Highway, Result};
pub use inside::{Inside, enter};
pub use memory::{Measured, Memory};
pub use net::{Ground, Host};
pub use page::Page;
pub use throughput::{Throughput, Workers};
pub use troubles::{Survived, Troubles};
