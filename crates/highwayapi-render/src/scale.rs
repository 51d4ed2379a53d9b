//! From a picture to a frame: cover-crop to the clip's size, then BT.709 4:2:0.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use crate::error::Error;
use crate::picture::Picture;
use crate::spec::Size;

/// One frame as the encoder takes it: 8-bit limited-range I420, rows without padding.
#[derive(Clone)]
pub(crate) struct Frame {
    pub(crate) y: Vec<u8>,
    pub(crate) u: Vec<u8>,
    pub(crate) v: Vec<u8>,
}

impl Frame {
    pub(crate) fn new(size: Size) -> Self {
        let (w, h) = size.dims();
        Self { y: vec![0; w * h], u: vec![0; w * h / 4], v: vec![0; w * h / 4] }
    }
}

/// Fills `size`, keeps the picture's proportions, cuts what sticks out evenly on both sides.
pub(crate) fn cover(picture: &Picture, size: Size) -> Result<Frame, Error> {
    let unable = "the picture could not be scaled to the size of the clip";
    let source = TypedImageRef::<U8x3>::from_buffer(picture.width(), picture.height(), picture.rgb())
        .map_err(|e| Error::encoder(unable).caused_by(e))?;
    let mut scaled = TypedImage::<U8x3>::new(size.width(), size.height());
    // Catmull-Rom is a polynomial; Lanczos would ask the platform for sines.
    let options =
        ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom)).fit_into_destination(None);
    Resizer::new().resize_typed(&source, &mut scaled, &options).map_err(|e| Error::encoder(unable).caused_by(e))?;
    Ok(to_bt709(scaled.pixels(), size))
}

/// 15-bit integer arithmetic; chroma from the sum of each 2×2 block.
fn to_bt709(rgb: &[U8x3], size: Size) -> Frame {
    let (w, _) = size.dims();
    let mut frame = Frame::new(size);
    for (luma, pixel) in frame.y.iter_mut().zip(rgb) {
        let [r, g, b] = pixel.0.map(i32::from);
        *luma = ((5983 * r + 20127 * g + 2032 * b + (16 << 15) + (1 << 14)) >> 15) as u8;
    }
    let chroma = frame.u.iter_mut().zip(&mut frame.v);
    let pairs = rgb.chunks_exact(2 * w).flat_map(|rows| {
        let (top, bottom) = rows.split_at(w);
        top.chunks_exact(2).zip(bottom.chunks_exact(2))
    });
    for ((u, v), (top, bottom)) in chroma.zip(pairs) {
        let sum = |c: usize| -> i32 { top.iter().chain(bottom).map(|p| i32::from(p.0[c])).sum() };
        let (r, g, b) = (sum(0), sum(1), sum(2));
        *u = ((-3298 * r - 11094 * g + 14392 * b + (128 << 17) + (1 << 16)) >> 17) as u8;
        *v = ((14392 * r - 13073 * g - 1319 * b + (128 << 17) + (1 << 16)) >> 17) as u8;
    }
    frame
}
