//! The crate as its users see it, as far as no service is needed; what goes over the wire is tested in `tests/`.

mod blocking;
mod contract;
mod frames;
mod mistakes;
mod pictures;
mod warnings;
