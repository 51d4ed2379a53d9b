//! Many clips at once: what a manifest asks for, and what became of it.

mod finding;
mod item;
mod manifest;

pub use finding::{Finding, Weight};
pub use item::{FrameSource, Place, PlannedItem};
#[cfg(feature = "schemars")]
pub use manifest::schema as manifest_schema;
pub use manifest::{Format, Manifest, Reading};
