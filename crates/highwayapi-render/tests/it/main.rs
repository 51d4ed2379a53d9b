//! The renderer from outside: what comes in, what comes out.

mod clip;
mod pictures;
mod sameness;
mod spec;
mod support;
