//! A video of 100 MiB that is nothing but boxes.

use std::ops::Range;

/// Where it is.
pub(super) const PATH: &str = "/files/clip.mp4";
/// Where there is one of a few KiB, for clients to warm up.
pub(super) const SMALL_PATH: &str = "/files/small.mp4";
/// How long the part is that holds the pictures of a real one.
const MEDIA: u64 = 100 << 20;
const SMALL_MEDIA: u32 = 4 << 10;

pub(super) struct Clip {
    boxes: Vec<u8>,
    filler: Vec<u8>,
}

fn boxed(name: &[u8; 4], contents: &[u8], more: u32) -> Vec<u8> {
    let size = contents.len() as u32 + 8 + more;
    [&size.to_be_bytes()[..], name, contents].concat()
}

/// All boxes of a video, without the contents of the last.
fn boxes(media: u32) -> Vec<u8> {
    let header = [boxed(b"mvhd", &[0; 100], 0), boxed(b"trak", &[0; 100], 0)].concat();
    let start = [boxed(b"ftyp", b"isom\0\0\x02\0isommp41", 0), boxed(b"moov", &header, 0)].concat();
    [start, boxed(b"mdat", b"", media)].concat()
}

/// The whole answer with the small one; the connection ends with it, so that nobody's download finds one ready.
pub(super) fn small() -> Vec<u8> {
    let video = [boxes(SMALL_MEDIA), vec![7; SMALL_MEDIA as usize]].concat();
    let length = video.len();
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: video/mp4\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    [head.as_bytes(), &video].concat()
}

impl Clip {
    pub(super) fn new() -> Self {
        Self { boxes: boxes(MEDIA as u32), filler: vec![7; 1 << 20] }
    }

    fn length(&self) -> u64 {
        self.boxes.len() as u64 + MEDIA
    }

    /// What of it was asked for; all of it where that cannot be had.
    pub(super) fn range(&self, header: Option<&str>) -> Range<u64> {
        let asked = header.and_then(|header| header.strip_prefix("bytes=")?.split_once('-'));
        let start = asked.and_then(|(start, _)| start.parse().ok()).filter(|&start| start < self.length());
        let end = asked.and_then(|(_, last)| last.parse().ok()).map_or(self.length(), |last: u64| last + 1);
        start.unwrap_or(0)..end.min(self.length())
    }

    pub(super) fn head(&self, range: &Range<u64>) -> String {
        let whole = *range == (0..self.length());
        let status = if whole { "200 OK" } else { "206 Partial Content" };
        let place = format!("content-range: bytes {}-{}/{}\r\n", range.start, range.end - 1, self.length());
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: video/mp4\r\naccept-ranges: bytes\r\netag: \"bench\"\r\n\
             {}content-length: {}\r\n\r\n",
            if whole { "" } else { &place },
            range.end - range.start
        )
    }

    /// Some bytes from `at` on, none at or after `end`.
    pub(super) fn piece(&self, at: u64, end: u64) -> &[u8] {
        let boxes = self.boxes.get(at as usize..).unwrap_or_default();
        let piece = if boxes.is_empty() { &self.filler } else { boxes };
        &piece[..piece.len().min((end - at) as usize)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_up_the_whole_and_a_range_is_what_was_asked_for() {
        let clip = Clip::new();
        let mut at = 0;
        while at < clip.length() {
            at += clip.piece(at, clip.length()).len() as u64;
        }
        assert_eq!(at, clip.length());
        assert_eq!(clip.range(None), 0..clip.length());
        assert_eq!(clip.range(Some("bytes=10-")), 10..clip.length());
        assert_eq!(clip.range(Some("bytes=10-19")), 10..20);
        assert!(clip.head(&(10..20)).contains("content-range: bytes 10-19/"));
        assert_eq!(clip.piece(clip.length() - 5, clip.length()).len(), 5);
    }

    #[test]
    fn the_small_one_is_as_long_as_its_boxes_say_and_ends_the_connection() {
        let answer = small();
        let body = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
        let (head, mut video) = (String::from_utf8_lossy(&answer[..body]), &answer[body..]);
        assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", video.len())), "{head}");
        assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
        let mut names = Vec::new();
        while let Some((size, rest)) = video.split_first_chunk::<4>() {
            names.push(String::from_utf8_lossy(&rest[..4]).into_owned());
            video = &video[u32::from_be_bytes(*size) as usize..];
        }
        assert_eq!(names, ["ftyp", "moov", "mdat"]);
    }
}
