//! What is written by hand around the generated client: the streamed body and the hooks.

mod changed;
mod identical;
mod printing;
mod source;
mod wire;
