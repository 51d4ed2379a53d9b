//! The pictures that a probe sends.

use base64::engine::{Engine, general_purpose::STANDARD};

use crate::cassette::drift::stand_in;
use crate::error::Error;

/// Between 20,000,000 bytes and 20 MiB: only one meaning of “20 MB” allows it.
const BETWEEN: usize = 20_480_000;

/// More than either meaning allows.
const TOO_LARGE: usize = 21_500_000;

pub(crate) struct Pictures {
    first: Vec<u8>,
    last: Vec<u8>,
}

impl Pictures {
    /// Dusk and night, 1280 × 720.
    pub(crate) fn paint() -> Result<Self, Error> {
        let first = gradient([250, 160, 90], [90, 60, 120])?;
        Ok(Self { first, last: gradient([60, 60, 130], [10, 10, 40])? })
    }

    pub(crate) fn first(&self) -> String {
        uri(&self.first)
    }

    pub(crate) fn last(&self) -> String {
        uri(&self.last)
    }

    pub(crate) fn bare(&self) -> String {
        STANDARD.encode(&self.first)
    }

    pub(crate) fn between(&self) -> String {
        uri(&padded(&self.first, BETWEEN))
    }

    pub(crate) fn too_large(&self) -> String {
        uri(&padded(&self.first, TOO_LARGE))
    }

    pub(crate) fn cut(&self) -> String {
        uri(&self.first[..self.first.len() / 2])
    }

    pub(crate) fn tiny(&self) -> String {
        uri(&stand_in::png(1, 1))
    }
}

fn uri(bytes: &[u8]) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(bytes))
}

/// What follows the end of a picture, readers pass over.
fn padded(picture: &[u8], size: usize) -> Vec<u8> {
    let mut padded = picture.to_vec();
    padded.resize(size, 0);
    padded
}

fn gradient(top: [u8; 3], bottom: [u8; 3]) -> Result<Vec<u8>, Error> {
    const WIDTH: u32 = 1280;
    const HEIGHT: u32 = 720;
    let mut pixels = Vec::with_capacity((WIDTH * HEIGHT * 3) as usize);
    for row in 0..HEIGHT {
        let mix = |from: u8, to: u8| ((u32::from(from) * (HEIGHT - row) + u32::from(to) * row) / HEIGHT) as u8;
        let colour = [mix(top[0], bottom[0]), mix(top[1], bottom[1]), mix(top[2], bottom[2])];
        (0..WIDTH).for_each(|_| pixels.extend_from_slice(&colour));
    }
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, WIDTH, HEIGHT);
    encoder.set_color(png::ColorType::Rgb);
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels));
    written.map_err(|e| Error::new("a picture for the probe cannot be made").caused_by(e))?;
    Ok(file)
}
