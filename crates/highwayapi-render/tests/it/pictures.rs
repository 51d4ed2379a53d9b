//! Pictures from outside, the odd ones above all.

use std::error::Error as _;

use highwayapi_render::{Picture, PictureKind, inspect};
use png::{BitDepth, ColorType};

use crate::support::{photo, png, rgb_png, small_clip};

const BASELINE: &[u8] = include_bytes!("../fixtures/baseline.jpg");
const PROGRESSIVE: &[u8] = include_bytes!("../fixtures/progressive.jpg");
const GREY: &[u8] = include_bytes!("../fixtures/grey.jpg");
const CMYK: &[u8] = include_bytes!("../fixtures/cmyk.jpg");
const RESTARTS: &[u8] = include_bytes!("../fixtures/restarts.jpg");
const TURNED: &[u8] = include_bytes!("../fixtures/turned-6.jpg");

fn pixel(picture: &Picture, x: u32, y: u32) -> [u8; 3] {
    let at = ((y * picture.width() + x) * 3) as usize;
    [picture.rgb()[at], picture.rgb()[at + 1], picture.rgb()[at + 2]]
}

#[track_caller]
fn assert_near(found: [u8; 3], wanted: [u8; 3], most: u8) {
    let near = found.iter().zip(wanted).all(|(f, w)| f.abs_diff(w) <= most);
    assert!(near, "found {found:?}, wanted about {wanted:?}");
}

#[test]
fn every_kind_of_png_decodes_to_what_a_viewer_shows() {
    // Colour type, depth, the bits of one row of four pixels, and the first and last pixel as shown.
    type Row = (ColorType, BitDepth, &'static [u8], [u8; 3], [u8; 3]);
    let table: &[Row] = &[
        (ColorType::Grayscale, BitDepth::One, &[0b0111_0000], [0; 3], [255; 3]),
        (ColorType::Grayscale, BitDepth::Two, &[0b0001_1011], [0; 3], [255; 3]),
        (ColorType::Grayscale, BitDepth::Four, &[0x0f, 0xf8], [0; 3], [0x88; 3]),
        (ColorType::Grayscale, BitDepth::Eight, &[7, 8, 9, 200], [7; 3], [200; 3]),
        (ColorType::Grayscale, BitDepth::Sixteen, &[9, 1, 0, 0, 0, 0, 77, 255], [9; 3], [77; 3]),
        (ColorType::GrayscaleAlpha, BitDepth::Eight, &[50, 255, 0, 0, 0, 0, 0, 0], [50; 3], [255; 3]),
        (
            ColorType::GrayscaleAlpha,
            BitDepth::Sixteen,
            &[50, 0, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 128, 0],
            [50; 3],
            [127; 3],
        ),
        (ColorType::Rgb, BitDepth::Eight, &[1, 2, 3, 0, 0, 0, 0, 0, 0, 4, 5, 6], [1, 2, 3], [4, 5, 6]),
        (
            ColorType::Rgb,
            BitDepth::Sixteen,
            &[1, 0, 2, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 9, 5, 9, 6, 9],
            [1, 2, 3],
            [4, 5, 6],
        ),
        (
            ColorType::Rgba,
            BitDepth::Eight,
            &[10, 20, 30, 255, 0, 0, 0, 0, 0, 0, 0, 0, 100, 0, 200, 128],
            [10, 20, 30],
            [177, 127, 227],
        ),
        (ColorType::Indexed, BitDepth::Two, &[0b0001_1011], [250, 10, 10], [240, 240, 240]),
        (ColorType::Indexed, BitDepth::Eight, &[0, 1, 3, 2], [250, 10, 10], [132, 132, 252]),
    ];
    for &(color, depth, row, first, last) in table {
        let bytes = png(4, 1, color, depth, row);
        assert_eq!(inspect(&bytes).expect("a header"), (PictureKind::Png, 4, 1));
        let picture = Picture::decode(&bytes).unwrap_or_else(|e| panic!("{color:?} {depth:?}: {e}"));
        assert_eq!((pixel(&picture, 0, 0), pixel(&picture, 3, 0)), (first, last), "{color:?} {depth:?}");
        small_clip(&picture, &picture);
    }
}

#[test]
fn every_kind_of_jpeg_decodes() {
    for (name, bytes) in [("baseline", BASELINE), ("progressive", PROGRESSIVE), ("restarts", RESTARTS), ("cmyk", CMYK)]
    {
        assert_eq!(inspect(bytes).expect("a header"), (PictureKind::Jpeg, 96, 64), "{name}");
        let picture = Picture::decode(bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_near(pixel(&picture, 10, 10), [220, 30, 30], 12);
        assert_near(pixel(&picture, 67, 37), [30, 60, 220], 12);
        small_clip(&picture, &picture);
    }
    let grey = Picture::decode(GREY).expect("grey");
    assert_near(pixel(&grey, 10, 10), [87; 3], 6);
    small_clip(&grey, &grey);
}

#[test]
fn an_exif_turn_is_undone() {
    // Where the red corner of the stored picture is shown, as (right, bottom), and whether the sides swap.
    let table = [
        (1, (false, false), false),
        (2, (true, false), false),
        (3, (true, true), false),
        (4, (false, true), false),
        (5, (false, false), true),
        (6, (true, false), true),
        (7, (true, true), true),
        (8, (false, true), true),
    ];
    let at = TURNED.windows(8).position(|w| w == [0x01, 0x12, 0, 3, 0, 0, 0, 1]).expect("the tag") + 9;
    assert_eq!(TURNED[at], 6);
    for (turn, (right, bottom), swapped) in table {
        let mut bytes = TURNED.to_vec();
        bytes[at] = turn;
        let picture = Picture::decode(&bytes).expect("a picture");
        let (w, h) = if swapped { (64, 96) } else { (96, 64) };
        assert_eq!((picture.width(), picture.height()), (w, h), "{turn}");
        assert_eq!(inspect(&bytes).expect("a header"), (PictureKind::Jpeg, w, h), "{turn}");
        let x = if right { w - 11 } else { 10 };
        let y = if bottom { h - 11 } else { 10 };
        assert_near(pixel(&picture, x, y), [220, 30, 30], 12);
    }
    // 5 and 7 keep their corner when mixed up with 1 and 3: the disc tells.
    let mut bytes = TURNED.to_vec();
    bytes[at] = 7;
    assert_near(pixel(&Picture::decode(&bytes).expect("a picture"), 63 - 37, 95 - 67), [30, 60, 220], 12);
}

#[test]
fn one_pixel_is_enough_and_so_is_a_line() {
    for (w, h) in [(1, 1), (1, 5000), (5000, 1)] {
        let picture = Picture::decode(&rgb_png(w, h, |_, _| [9, 99, 199])).expect("a picture");
        small_clip(&picture, &picture);
    }
}

#[test]
fn what_follows_the_picture_does_not_matter() {
    let png = rgb_png(3, 2, |_, _| [1, 2, 3]);
    for bytes in [&png, BASELINE] {
        let longer = [bytes, b"and then some more".as_slice()].concat();
        assert_eq!(
            Picture::decode(&longer).expect("a picture").rgb(),
            Picture::decode(bytes).expect("a picture").rgb()
        );
    }
}

#[test]
fn what_is_no_picture_is_said_to_be_none() {
    let empty = "the picture is empty: a JPEG or PNG file is needed";
    let other = "the picture is neither a JPEG nor a PNG file, judged by its first bytes";
    let header = "the picture's header is incomplete or damaged: it gives no dimensions";
    let zero = "the picture's header says 0x1 pixels: no side may be 0";
    let mut no_width = rgb_png(1, 1, |_, _| [0; 3]);
    no_width[19] = 0;
    let table: &[(&[u8], &str)] = &[
        (b"", empty),
        (b"GIF89a\x01\x00\x01\x00", other),
        (b"RIFF\0\0\0\0WEBPVP8 ", other),
        (b"<!doctype html>", other),
        (b"\x89PNG\r\n\x1a\n\0\0", header),
        (b"\xff\xd8\xff", header),
        (b"\xff\xd8\xff\xd9", header),
        (b"\xff\xd8\xff\xc0\x00\x02", header),
        (&no_width, zero),
    ];
    for (bytes, sentence) in table {
        let error = inspect(bytes).expect_err("no picture");
        assert!(error.is_bad_picture());
        assert_eq!(error.to_string(), *sentence);
        assert_eq!(Picture::decode(bytes).expect_err("no picture").to_string(), *sentence);
    }
}

#[test]
fn a_truncated_picture_is_an_error_and_never_a_panic() {
    let photo = photo((96, 64), 1, 0, 0);
    let rows = photo.rgb();
    let plain = rgb_png(96, 64, |x, y| std::array::from_fn(|c| rows[((y * 96 + x) * 3) as usize + c]));
    let indexed = png(4, 1, ColorType::Indexed, BitDepth::Eight, &[0, 1, 2, 3]);
    for bytes in [&plain, &indexed, BASELINE, PROGRESSIVE, GREY, CMYK, RESTARTS, TURNED] {
        for end in 0..bytes.len() {
            match Picture::decode(&bytes[..end]) {
                // A PNG's last chunk only says that it is over.
                Ok(_) => assert!(bytes[0] == 0x89 && end + 16 > bytes.len(), "{end} of {} bytes pass", bytes.len()),
                Err(error) => assert!(error.is_bad_picture(), "{end}: {error:?}"),
            }
        }
    }
    let error = Picture::decode(&plain[..plain.len() / 2]).expect_err("half a picture");
    assert_eq!(error.to_string(), "the PNG is truncated: it ends before the picture is complete");
    assert!(error.source().is_some());
    let error = Picture::decode(&BASELINE[..BASELINE.len() / 2]).expect_err("half a picture");
    assert_eq!(error.to_string(), "the JPEG is truncated: its end marker is missing");
    let mut damaged = BASELINE.to_vec();
    let table = damaged.windows(2).position(|w| w == [0xff, 0xc4]).expect("a Huffman table");
    damaged[table + 5..table + 21].fill(0xee);
    let error = Picture::decode(&damaged).expect_err("a table of nonsense");
    assert_eq!(error.to_string(), "the JPEG is damaged and cannot be decoded");
    assert!(error.source().is_some());
}

#[test]
fn a_damaged_picture_never_panics() {
    let plain = rgb_png(16, 16, |x, y| [x as u8, y as u8, 0]);
    for bytes in [&plain, BASELINE, PROGRESSIVE, GREY, CMYK, RESTARTS, TURNED] {
        for at in 2..bytes.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut damaged = bytes.to_vec();
                damaged[at] ^= flip;
                if let Err(error) = Picture::decode(&damaged) {
                    assert!(error.is_bad_picture() || error.is_too_many_pixels(), "{error:?}");
                }
            }
        }
    }
}

#[test]
fn a_decompression_bomb_is_refused_by_its_header() {
    let mut bomb = rgb_png(1, 1, |_, _| [0; 3]);
    for (w, h) in [(7072u32, 7072u32), (100_000, 100_000), (u32::MAX, u32::MAX), (1, 50_000_001)] {
        bomb[16..20].copy_from_slice(&w.to_be_bytes());
        bomb[20..24].copy_from_slice(&h.to_be_bytes());
        let sentence = format!("the picture's header says {w}x{h} pixels: at most 50 megapixels are decoded");
        let error = inspect(&bomb).expect_err("too many pixels");
        assert!(error.is_too_many_pixels());
        assert_eq!(error.to_string(), sentence);
        assert!(Picture::decode(&bomb).expect_err("too many pixels").is_too_many_pixels());
    }
    let frame = BASELINE.windows(2).position(|w| w == [0xff, 0xc0]).expect("a frame header");
    let mut bomb = BASELINE.to_vec();
    bomb[frame + 5..frame + 9].copy_from_slice(&[0xff; 4]);
    assert!(inspect(&bomb).expect_err("too many pixels").is_too_many_pixels());
    assert!(Picture::decode(&bomb).expect_err("too many pixels").is_too_many_pixels());
}

#[test]
fn a_jpeg_with_two_frame_headers_does_not_get_past_the_cap() {
    let frame = BASELINE.windows(2).position(|w| w == [0xff, 0xc0]).expect("a frame header");
    let mut second = BASELINE[frame..frame + 19].to_vec();
    second[5..9].copy_from_slice(&[0xff; 4]);
    let bytes = [&BASELINE[..frame + 19], &second, &BASELINE[frame + 19..]].concat();
    assert_eq!(inspect(&bytes).expect("the first header").1, 96);
    assert!(Picture::decode(&bytes).expect_err("two frames").is_bad_picture());
}

#[test]
fn side_chunks_that_unfold_to_megabytes_are_left_folded() {
    let picture = rgb_png(2, 2, |_, _| [3, 4, 5]);
    // 100 MB of zeros as a PNG has them: its IDAT is a zlib stream.
    let zeros = png(10_000, 10_000, ColorType::Grayscale, BitDepth::Eight, &vec![0; 100_000_000]);
    let zlib: Vec<u8> =
        chunks(&zeros).filter(|(kind, _)| kind == b"IDAT").flat_map(|(_, data)| data.to_vec()).collect();
    for (kind, head) in [(b"iCCP", b"p\0\0".as_slice()), (b"zTXt", b"k\0\0"), (b"iTXt", b"k\0\x01\0\0\0")] {
        let chunk = chunk(kind, &[head, &zlib].concat());
        let bytes = [&picture[..33], &chunk, &picture[33..]].concat();
        assert_eq!(Picture::decode(&bytes).expect("a picture").rgb(), [3, 4, 5].repeat(4));
    }
    // A side chunk that is as large as it says is only carried along.
    let large = chunk(b"prVt", &vec![0; 70 << 20]);
    Picture::decode(&[&picture[..33], &large, &picture[33..]].concat()).expect("a picture");
}

fn chunks(mut png: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    png = &png[8..];
    std::iter::from_fn(move || {
        let (length, rest) = png.split_first_chunk::<4>()?;
        let (kind, rest) = rest.split_first_chunk::<4>()?;
        let (data, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        png = &rest[4..];
        Some((*kind, data))
    })
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [kind, data].concat();
    let crc = body.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    });
    [&(data.len() as u32).to_be_bytes(), body.as_slice(), &(!crc).to_be_bytes()].concat()
}
