//! Pictures from outside: recognised, measured, bounded, decoded.

use std::io::Cursor;

use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use crate::error::Error;

/// More pixels than this are refused before anything is allocated: 50 MP unfold to 150 MB.
const MAX_PIXELS: u64 = 50_000_000;

/// What colour profiles and other side chunks of a PNG may unfold to.
const MAX_PNG_EXTRAS: usize = 64 << 20;

/// What transparency is laid on.
const BACKDROP: u32 = 255;

/// The two formats that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PictureKind {
    /// JPEG: baseline or progressive; grey, colour, or CMYK.
    Jpeg,
    /// PNG: every colour type and depth.
    Png,
}

/// A decoded picture, 8-bit RGB, at most 50 megapixels.
///
/// It is what a viewer shows: a JPEG's EXIF orientation is applied, transparency is laid on white,
/// 16-bit samples are cut to 8. Colour profiles are ignored, of an animated PNG the still picture
/// counts, and whatever follows the end of the picture is not looked at.
#[derive(Clone)]
pub struct Picture {
    kind: PictureKind,
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

/// What the first bytes say.
struct Header {
    kind: PictureKind,
    /// As stored, before the turn.
    width: u32,
    height: u32,
    /// EXIF's 1 to 8; 1 is upright.
    orientation: u8,
    /// Where in the file the dimensions were found.
    at: usize,
}

impl Header {
    fn turned_dims(&self) -> (u32, u32) {
        if self.orientation >= 5 { (self.height, self.width) } else { (self.width, self.height) }
    }
}

/// Tells kind, width and height (as shown, so after an EXIF turn) from the header alone.
///
/// # Errors
///
/// [`Error::is_bad_picture`] when it is neither JPEG nor PNG or the header is incomplete,
/// [`Error::is_too_many_pixels`] over 50 megapixels.
pub fn inspect(bytes: &[u8]) -> Result<(PictureKind, u32, u32), Error> {
    let header = read_header(bytes)?;
    let (width, height) = header.turned_dims();
    Ok((header.kind, width, height))
}

impl Picture {
    /// Decodes a whole JPEG or PNG file.
    ///
    /// # Errors
    ///
    /// As [`inspect`], and [`Error::is_bad_picture`] when the data behind the header is truncated
    /// or damaged.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let header = read_header(bytes)?;
        let rgb = match header.kind {
            PictureKind::Png => decode_png(bytes)?,
            PictureKind::Jpeg => decode_jpeg(bytes, &header)?,
        };
        if rgb.len() as u64 != u64::from(header.width) * u64::from(header.height) * 3 {
            return Err(Error::bad_picture("the picture is damaged: its data do not fit its header"));
        }
        let (width, height) = header.turned_dims();
        Ok(Self { kind: header.kind, width, height, rgb: upright(rgb, &header) })
    }

    /// The format it came in.
    pub fn kind(&self) -> PictureKind {
        self.kind
    }

    /// Pixels in a row.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The pixels: rows from the top, three bytes each.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kind, width, height, .. } = self;
        write!(f, "Picture({kind:?}, {width}x{height})")
    }
}

fn read_header(bytes: &[u8]) -> Result<Header, Error> {
    let header = if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        png_header(bytes)
    } else if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
        jpeg_header(bytes)
    } else if bytes.is_empty() {
        return Err(Error::bad_picture("the picture is empty: a JPEG or PNG file is needed"));
    } else {
        return Err(Error::bad_picture("the picture is neither a JPEG nor a PNG file, judged by its first bytes"));
    };
    let header = header
        .ok_or_else(|| Error::bad_picture("the picture's header is incomplete or damaged: it gives no dimensions"))?;
    let (width, height) = (header.width, header.height);
    if width == 0 || height == 0 {
        return Err(Error::bad_picture(format!("the picture's header says {width}x{height} pixels: no side may be 0")));
    }
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        let most = MAX_PIXELS / 1_000_000;
        return Err(Error::too_many_pixels(format!(
            "the picture's header says {width}x{height} pixels: at most {most} megapixels are decoded"
        )));
    }
    Ok(header)
}

fn png_header(bytes: &[u8]) -> Option<Header> {
    let ihdr = bytes.get(12..24)?.strip_prefix(b"IHDR")?;
    let (width, height) = ihdr.split_at_checked(4)?;
    let word = |b: &[u8]| b.try_into().ok().map(u32::from_be_bytes);
    Some(Header { kind: PictureKind::Png, width: word(width)?, height: word(height)?, orientation: 1, at: 16 })
}

/// Walks the segments up to the frame header, which holds the dimensions; EXIF comes before it.
fn jpeg_header(bytes: &[u8]) -> Option<Header> {
    let mut rest = bytes.get(2..)?;
    let mut orientation = 1;
    loop {
        let start = rest.iter().position(|&b| b == 0xff)?;
        rest = &rest[start..];
        let fill = rest.iter().position(|&b| b != 0xff)?;
        let marker = rest[fill];
        rest = &rest[fill + 1..];
        match marker {
            // Stuffed zeros, TEM, restarts and a second start have no length.
            0x00 | 0x01 | 0xd0..=0xd8 => continue,
            0xd9 | 0xda => return None,
            _ => {}
        }
        let length = usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?]));
        let body = rest.get(2..length)?;
        match marker {
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let side = |at: usize| Some(u32::from(u16::from_be_bytes([*body.get(at)?, *body.get(at + 1)?])));
                let at = bytes.len() - rest.len();
                return Some(Header { kind: PictureKind::Jpeg, width: side(3)?, height: side(1)?, orientation, at });
            }
            0xe1 => orientation = exif_orientation(body).unwrap_or(orientation),
            _ => {}
        }
        rest = rest.get(length..)?;
    }
}

fn exif_orientation(app1: &[u8]) -> Option<u8> {
    let tiff = app1.strip_prefix(b"Exif\0\0")?;
    let little = match tiff.get(..2)? {
        b"II" => true,
        b"MM" => false,
        _ => return None,
    };
    let short = |at: usize| {
        let pair = [*tiff.get(at)?, *tiff.get(at.checked_add(1)?)?];
        Some(if little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) })
    };
    let (low, high) = if little { (4, 6) } else { (6, 4) };
    let ifd = usize::from(short(high)?) << 16 | usize::from(short(low)?);
    let entries = usize::from(short(ifd)?);
    let entry = (0..entries).filter_map(|i| ifd.checked_add(2 + 12 * i)).find(|&at| short(at) == Some(0x0112))?;
    u8::try_from(short(entry + 8)?).ok().filter(|turn| (1..=8).contains(turn))
}

fn decode_png(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let damaged = |e: png::DecodingError| {
        let message = match &e {
            png::DecodingError::IoError(_) => "the PNG is truncated: it ends before the picture is complete",
            png::DecodingError::LimitsExceeded => {
                "the PNG's side chunks unfold to more than 64 MiB: that is not decoded"
            }
            _ => "the PNG is damaged and cannot be decoded",
        };
        Error::bad_picture(message).caused_by(e)
    };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: MAX_PNG_EXTRAS });
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(damaged)?;
    let size = reader.output_buffer_size().ok_or_else(|| Error::bad_picture("the PNG is too large to decode"))?;
    let mut pixels = vec![0; size];
    let info = reader.next_frame(&mut pixels).map_err(damaged)?;
    pixels.truncate(info.buffer_size());

    let over = |sample: u8, alpha: u8| {
        let (sample, alpha) = (u32::from(sample), u32::from(alpha));
        ((sample * alpha + BACKDROP * (255 - alpha) + 127) / 255) as u8
    };
    match info.color_type {
        png::ColorType::Grayscale => Ok(pixels.iter().flat_map(|&grey| [grey; 3]).collect()),
        png::ColorType::GrayscaleAlpha => Ok(pixels.as_chunks().0.iter().flat_map(|&[g, a]| [over(g, a); 3]).collect()),
        png::ColorType::Rgb => Ok(pixels),
        png::ColorType::Rgba => {
            // In place: 50 MP with alpha are 200 MB already.
            let count = pixels.len() / 4;
            for i in 0..count {
                let alpha = pixels[4 * i + 3];
                for channel in 0..3 {
                    pixels[3 * i + channel] = over(pixels[4 * i + channel], alpha);
                }
            }
            pixels.truncate(3 * count);
            Ok(pixels)
        }
        png::ColorType::Indexed => Err(Error::bad_picture("the PNG is damaged: its palette could not be applied")),
    }
}

fn decode_jpeg(bytes: &[u8], header: &Header) -> Result<Vec<u8>, Error> {
    // The decoder lets the last rows be missing. An end marker before the frame header would be
    // that of a thumbnail.
    if !bytes[header.at..].windows(2).rev().any(|pair| pair == [0xff, 0xd9]) {
        return Err(Error::bad_picture("the JPEG is truncated: its end marker is missing"));
    }
    // Strict, so that a damaged file is an error and not a half-grey picture. The sides are those
    // that were checked: a second frame header cannot raise them.
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(header.width as usize)
        .set_max_height(header.height as usize)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    JpegDecoder::new_with_options(Cursor::new(bytes), options)
        .decode()
        .map_err(|e| Error::bad_picture("the JPEG is damaged and cannot be decoded").caused_by(e))
}

fn upright(rgb: Vec<u8>, header: &Header) -> Vec<u8> {
    if header.orientation == 1 {
        return rgb;
    }
    let (w, h) = (header.width as usize, header.height as usize);
    let (turned_w, turned_h) = if header.orientation >= 5 { (h, w) } else { (w, h) };
    let mut out = Vec::with_capacity(rgb.len());
    for y in 0..turned_h {
        for x in 0..turned_w {
            let (sx, sy) = match header.orientation {
                2 => (w - 1 - x, y),
                3 => (w - 1 - x, h - 1 - y),
                4 => (x, h - 1 - y),
                5 => (y, x),
                6 => (y, h - 1 - x),
                7 => (w - 1 - y, h - 1 - x),
                _ => (w - 1 - y, x),
            };
            let at = (sy * w + sx) * 3;
            out.extend_from_slice(&rgb[at..at + 3]);
        }
    }
    out
}
