//! Many clips at once: what a manifest asks for, and what became of it.

mod item;

pub use item::{FrameSource, Place, PlannedItem};
