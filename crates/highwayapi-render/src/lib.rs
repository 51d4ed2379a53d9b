//! Two pictures become a real MP4: H.264, AAC if wanted, 24 frames per second.
//!
//! The first frame is the first picture, the last frame the last one; between them the picture
//! follows the movement that is found between the two, or, where they do not show one scene,
//! cross-fades with a slow push-in. Another seed gives another camera drift and another sound.
//! The same pictures and the same [`ClipSpec`] give the same bytes, on any number of threads.
//!
//! ```no_run
//! use highwayapi_render::{ClipSpec, Picture, Size, render};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let first = Picture::decode(&std::fs::read("first.jpg")?)?;
//! let last = Picture::decode(&std::fs::read("last.png")?)?;
//! let spec = ClipSpec { size: Size::LANDSCAPE_720P, seconds: 8, audio: true, seed: 1 };
//! let clip = render(&first, &last, &spec, &|part| eprintln!("{:.0} %", part * 100.0))?;
//! std::fs::write("clip.mp4", clip)?;
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod audio;
mod error;
mod flow;
mod h264;
mod mp4;
mod picture;
mod scale;
mod scene;
mod seed;
mod spec;
mod warp;

pub use error::Error;
pub use picture::{Picture, PictureKind, inspect};
pub use scene::Scene;
pub use spec::{ClipSpec, FPS, Size};

/// Renders one clip: the bytes of an MP4 file. For several clips of the same pictures make a
/// [`Scene`] once.
///
/// `progress` is called from several threads, one at a time, with rising values from 0.0 to 1.0.
///
/// # Errors
///
/// As [`Scene::render`].
pub fn render(
    first: &Picture,
    last: &Picture,
    spec: &ClipSpec,
    progress: &(dyn Fn(f32) + Sync),
) -> Result<Vec<u8>, Error> {
    Scene::new(first, last, spec.size)?.render(spec, progress)
}
