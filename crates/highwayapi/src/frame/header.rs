//! Kind and dimensions of a picture, from as few of its bytes as possible.

use std::fmt;
use std::io::{self, Read};

/// What the service takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PictureKind {
    /// JPEG, any flavour.
    Jpeg,
    /// PNG.
    Png,
}

impl fmt::Display for PictureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
        })
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub(crate) kind: PictureKind,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

#[derive(Debug)]
pub(crate) enum HeaderError {
    Io(io::Error),
    /// Neither of the two kinds.
    Unknown,
    /// What is wrong, as the rest of a sentence.
    Broken(PictureKind, &'static str),
}

const PNG_MAGIC: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

impl Header {
    pub(crate) fn read(mut reader: impl Read) -> Result<Self, HeaderError> {
        // Three bytes tell a JPEG, and a shorter file is neither.
        let start = take::<3>(&mut reader, HeaderError::Unknown)?;
        if start == [0xff, 0xd8, 0xff] {
            return jpeg(&mut reader);
        }
        if start == PNG_MAGIC[..3] {
            return png(&mut reader);
        }
        Err(HeaderError::Unknown)
    }
}

/// The next bytes; `short` if the picture ends within them.
fn take<const N: usize>(reader: &mut impl Read, short: HeaderError) -> Result<[u8; N], HeaderError> {
    let mut bytes = [0; N];
    match reader.read_exact(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(short),
        Err(error) => Err(HeaderError::Io(error)),
    }
}

fn png(reader: &mut impl Read) -> Result<Header, HeaderError> {
    const ENDS: &str = "ends within its header";
    let broken = |what| HeaderError::Broken(PictureKind::Png, what);
    if take::<5>(reader, HeaderError::Unknown)? != PNG_MAGIC[3..] {
        return Err(HeaderError::Unknown);
    }
    if take::<8>(reader, broken(ENDS))? != *b"\0\0\0\x0dIHDR" {
        return Err(broken("has no IHDR chunk where it must stand"));
    }
    let width = u32::from_be_bytes(take(reader, broken(ENDS))?);
    let height = u32::from_be_bytes(take(reader, broken(ENDS))?);
    take::<9>(reader, broken(ENDS))?;
    if width == 0 || height == 0 {
        return Err(broken("states a width or height of 0"));
    }
    Ok(Header { kind: PictureKind::Png, width, height })
}

/// Walks the segments to the frame header. The `FF` of the first marker has been read.
fn jpeg(reader: &mut impl Read) -> Result<Header, HeaderError> {
    const ENDS: &str = "ends within its header";
    let broken = |what| HeaderError::Broken(PictureKind::Jpeg, what);
    loop {
        let mut marker = 0xff;
        while marker == 0xff {
            [marker] = take(reader, broken(ENDS))?;
        }
        match marker {
            // A restart or "temporary" marker stands alone.
            0x01 | 0xd0..=0xd7 => {}
            0xda => return Err(broken("states no dimensions before its pixels")),
            0x00 | 0xd8 | 0xd9 => return Err(broken("has a broken header")),
            _ => {
                let length = u16::from_be_bytes(take(reader, broken(ENDS))?);
                let left = length.checked_sub(2).ok_or(broken("has a broken header"))?;
                // SOF0 to SOF15, which share their range with three other tables.
                if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
                    // Precision, dimensions, a count, and one component at least.
                    if left < 9 {
                        return Err(broken("has a broken header"));
                    }
                    let [_, h1, h0, w1, w0] = take(reader, broken(ENDS))?;
                    let (width, height) = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
                    if width == 0 || height == 0 {
                        return Err(broken("states a width or height of 0"));
                    }
                    return Ok(Header { kind: PictureKind::Jpeg, width: width.into(), height: height.into() });
                }
                let skipped = io::copy(&mut reader.take(left.into()), &mut io::sink());
                if skipped.map_err(HeaderError::Io)? < u64::from(left) {
                    return Err(broken(ENDS));
                }
            }
        }
        let [next] = take(reader, broken(ENDS))?;
        if next != 0xff {
            return Err(broken("has a broken header"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<(PictureKind, u32, u32), String> {
        match Header::read(bytes) {
            Ok(header) => Ok((header.kind, header.width, header.height)),
            Err(error) => Err(format!("{error:?}")),
        }
    }

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x05\0\0\0\x02\xd0\x08\x02\0\0\0abcd";
    /// An application segment, a fill byte, a quantisation table, then SOF2.
    const JPEG: &[u8] = b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xdb\0\x03a\xff\xc2\0\x0b\x08\x01\0\x02\0\x01";

    #[test]
    fn dimensions_come_from_the_header() {
        assert_eq!(read(PNG), Ok((PictureKind::Png, 1280, 720)));
        assert_eq!(read(JPEG), Ok((PictureKind::Jpeg, 512, 256)));
    }

    #[test]
    fn a_header_cut_anywhere_is_an_error_and_never_a_picture() {
        for picture in [PNG, &JPEG[..JPEG.len() - 1]] {
            for end in 0..picture.len() {
                assert!(read(&picture[..end]).is_err(), "cut at {end}");
            }
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases: [(&[u8], &str); 7] = [
            (b"GIF89a", "Unknown"),
            (b"\x89PNG\n\x1a\nxxxxxxxxxxxxxxxxxxxxxx", "Unknown"),
            (b"\x89PNG\r\n\x1a\n\0\0\0\x0dIDAT\0\0\0\x01", "no IHDR"),
            (b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\0\0\0\0\x01\x08\x02\0\0\0abcd", "of 0"),
            (b"\xff\xd8\xff\xda\0\x02", "no dimensions"),
            (b"\xff\xd8\xff\xe0\0\x01", "broken header"),
            (b"\xff\xd8\xff\xc0\0\x07\x08\0\x02\0\x02\xff\xd9", "broken header"),
        ];
        for (bytes, part) in cases {
            let error = read(bytes).expect_err(part);
            assert!(error.contains(part), "{error} should speak of {part}");
        }
    }
}
