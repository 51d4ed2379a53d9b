//! Whether a file is a whole MP4: its boxes are walked, nothing is decoded.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

/// What is wrong with a file, as the rest of a sentence.
#[derive(Debug)]
pub(crate) enum NotMp4 {
    Io(io::Error),
    /// The first bytes belong to something else.
    Other(&'static str),
    Truncated,
    TooManyBoxes,
    Missing(&'static str),
}

impl NotMp4 {
    /// Whether it is known to be something else, and not an MP4 that is broken or odd.
    pub(crate) fn is_another_format(&self) -> bool {
        matches!(self, Self::Other(what) if *what != UNKNOWN)
    }
}

/// More boxes than any clip of this service has. A file of nothing but boxes could be walked for minutes.
pub(crate) const MOST_BOXES: u64 = 4096;

const UNKNOWN: &str = "something else";

impl fmt::Display for NotMp4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "cannot be read back: {error}"),
            Self::Other(what) => write!(f, "is {what} and no MP4"),
            Self::Truncated => f.write_str("ends in the middle of an MP4"),
            Self::TooManyBoxes => write!(f, "is an MP4 of more than {MOST_BOXES} boxes"),
            Self::Missing(name) => write!(f, "is an MP4 without its `{name}` box"),
        }
    }
}

impl From<io::Error> for NotMp4 {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Truncated,
            _ => Self::Io(error),
        }
    }
}

struct BoxHeader {
    name: [u8; 4],
    /// Where the contents begin and end.
    start: u64,
    end: u64,
}

/// Reads boxes, and not without end.
struct Boxes<F> {
    file: F,
    count: u64,
}

impl<F: Read + Seek> Boxes<F> {
    fn read(&mut self, at: u64, limit: u64) -> Result<BoxHeader, NotMp4> {
        self.count += 1;
        if self.count > MOST_BOXES {
            return Err(NotMp4::TooManyBoxes);
        }
        self.file.seek(SeekFrom::Start(at))?;
        let mut bytes = [0; 8];
        self.file.read_exact(&mut bytes)?;
        let [a, b, c, d, name @ ..] = bytes;
        let mut start = at + 8;
        let size = match u32::from_be_bytes([a, b, c, d]) {
            // To the end of what it stands in.
            0 => limit - at,
            1 => {
                let mut large = [0; 8];
                self.file.read_exact(&mut large)?;
                start += 8;
                u64::from_be_bytes(large)
            }
            size => size.into(),
        };
        let end = at.checked_add(size).filter(|&end| end <= limit).ok_or(NotMp4::Truncated)?;
        if end < start {
            return Err(NotMp4::Truncated);
        }
        Ok(BoxHeader { name, start, end })
    }
}

/// Checks that `ftyp` comes first, `moov` is complete with at least one track, `mdat` is there, and the boxes fill the
/// file exactly.
pub(crate) fn check(file: impl Read + Seek) -> Result<(), NotMp4> {
    let mut file = Boxes { file, count: 0 };
    let length = file.file.seek(SeekFrom::End(0))?;
    if length == 0 {
        return Err(NotMp4::Other("empty"));
    }
    let mut at = 0;
    let mut seen = Vec::new();
    while at < length {
        let header = match file.read(at, length) {
            Err(error) if at == 0 => return Err(first_bytes(&mut file.file).unwrap_or(error)),
            header => header?,
        };
        if at == 0 && &header.name != b"ftyp" {
            return Err(first_bytes(&mut file.file).unwrap_or(NotMp4::Missing("ftyp")));
        }
        if &header.name == b"moov" {
            check_moov(&mut file, &header)?;
        }
        seen.push(header.name);
        at = header.end;
    }
    let required = ["ftyp", "moov", "mdat"];
    match required.into_iter().find(|name| !seen.iter().any(|seen| seen == name.as_bytes())) {
        Some(name) => Err(NotMp4::Missing(name)),
        None => Ok(()),
    }
}

/// The boxes within fill it exactly and include a header and a track.
fn check_moov(file: &mut Boxes<impl Read + Seek>, moov: &BoxHeader) -> Result<(), NotMp4> {
    let (mut mvhd, mut trak) = (false, false);
    let mut at = moov.start;
    while at < moov.end {
        let inner = file.read(at, moov.end)?;
        mvhd |= &inner.name == b"mvhd";
        trak |= &inner.name == b"trak";
        at = inner.end;
    }
    match (mvhd, trak) {
        (true, true) => Ok(()),
        (false, _) => Err(NotMp4::Missing("mvhd")),
        (true, false) => Err(NotMp4::Missing("trak")),
    }
}

/// What the beginning of something that is no MP4 most likely is.
fn first_bytes(file: &mut (impl Read + Seek)) -> Option<NotMp4> {
    let mut start = [0; 64];
    file.seek(SeekFrom::Start(0)).ok()?;
    let length = file.read(&mut start).ok()?;
    let text = std::str::from_utf8(&start[..length]).unwrap_or_default().trim_start().to_ascii_lowercase();
    if text.starts_with("<!doctype html") || text.starts_with("<html") {
        Some(NotMp4::Other("a page of HTML"))
    } else if text.starts_with('<') {
        Some(NotMp4::Other("XML"))
    } else if text.starts_with(['{', '[']) {
        Some(NotMp4::Other("JSON"))
    } else if length >= 8 && &start[4..8] == b"ftyp" {
        None
    } else {
        Some(NotMp4::Other(UNKNOWN))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::check;

    fn boxed(name: &[u8; 4], contents: &[u8]) -> Vec<u8> {
        let size = (contents.len() as u32 + 8).to_be_bytes();
        [&size[..], name, contents].concat()
    }

    fn clip() -> Vec<u8> {
        let moov = [boxed(b"mvhd", &[0; 20]), boxed(b"trak", &[0; 9])].concat();
        [boxed(b"ftyp", b"isom"), boxed(b"moov", &moov), boxed(b"mdat", &[7; 100])].concat()
    }

    fn verdict(bytes: &[u8]) -> String {
        match check(Cursor::new(bytes)) {
            Ok(()) => "whole".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_whole_clip_passes() {
        assert_eq!(verdict(&clip()), "whole");
    }

    #[test]
    fn a_clip_cut_anywhere_does_not() {
        let clip = clip();
        for end in 0..clip.len() {
            assert_ne!(verdict(&clip[..end]), "whole", "cut at {end}");
        }
    }

    #[test]
    fn what_is_no_clip_is_named() {
        assert_eq!(verdict(b"  <!DOCTYPE html><html>expired</html>"), "is a page of HTML and no MP4");
        assert_eq!(verdict(b"{\"code\":403}"), "is JSON and no MP4");
        assert_eq!(verdict(b"<?xml version='1.0'?><Error/>"), "is XML and no MP4");
        assert_eq!(verdict(&[0xff; 100]), "is something else and no MP4");
        assert_eq!(verdict(b""), "is empty and no MP4");
        let no_track = [boxed(b"ftyp", b"isom"), boxed(b"moov", &boxed(b"mvhd", b""))].concat();
        assert_eq!(verdict(&no_track), "is an MP4 without its `trak` box");
    }

    #[test]
    fn boxes_without_end_are_not_walked() {
        let free = |count| [clip(), boxed(b"free", b"").repeat(count)].concat();
        // Five are the clip's own.
        assert_eq!(verdict(&free(4091)), "whole");
        assert_eq!(verdict(&free(4092)), "is an MP4 of more than 4096 boxes");
    }

    #[test]
    fn sizes_that_lie_are_caught() {
        let mut clip = clip();
        let moov = 12;
        clip[moov..moov + 4].copy_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(verdict(&clip), "ends in the middle of an MP4");
        let huge = [&1u32.to_be_bytes()[..], b"ftyp", &u64::MAX.to_be_bytes()].concat();
        assert_eq!(verdict(&huge), "ends in the middle of an MP4");
    }
}
