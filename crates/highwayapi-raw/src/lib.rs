//! The Highway API as its contract states it: types and calls generated from `openapi.yaml`, with two additions written
//! by hand. [`hooks`] authenticates every request, [`body`] streams the pictures of a submit.
//!
//! Nothing here retries, waits or downloads; the crate `highwayapi` does.
//!
//! ```no_run
//! use highwayapi_raw::{Client, hooks::{ApiKey, Hooks}, types::FirstLastFrameRequest};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let hooks = Hooks::new(ApiKey::new("the key")?);
//! let client = Client::new_with_client("https://api.highwayapi.ai", reqwest::Client::new(), hooks);
//! let request = FirstLastFrameRequest {
//!     image: "https://example.com/first.png".into(),
//!     last_image: "https://example.com/last.jpg".into(),
//!     prompt: "dusk falls over the pagoda".into(),
//!     aspect_ratio: None,
//!     duration_seconds: None,
//!     enhance_prompt: None,
//!     generate_audio: None,
//!     negative_prompt: None,
//!     person_generation: None,
//!     resolution: None,
//!     sample_count: None,
//!     seed: None,
//! };
//! let task_id = client.submit_first_last_frame(&request).await?.into_inner().task_id;
//! # Ok(()) }
//! ```
#![forbid(unsafe_code)]

pub mod body;
pub mod hooks;

#[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, clippy::unwrap_used)]
#[rustfmt::skip]
mod generated;

pub use generated::{Client, Error, ResponseValue, integers, types};
