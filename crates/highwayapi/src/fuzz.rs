//! What must hold for any bytes from outside: one function for each place where they come in. `cargo fuzz` calls them
//! with bytes that it makes up, and a test with those that are kept in `fuzz/corpus`.

use std::error::Error as StdError;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use base64::engine::{Engine, general_purpose::STANDARD};
use bytes::Bytes;
use highwayapi_raw as raw;
use highwayapi_raw::types;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};

use crate::answer::{Answer, failure};
use crate::frame::Sent;
use crate::frame::header::Header;
use crate::retry::{self, backoff};
use crate::retry::{LONGEST_PAUSE, LONGEST_WISH};
use crate::submit::{accepted, refused};
use crate::task::essentials;
use crate::{AspectRatio, Charged, Client, Error, Frame, PictureKind, TaskId, TaskResult, TaskStatus, mp4};

/// Stands in seeds and dictionaries, and never in what is said.
const KEY: &str = "sk-fuzz-0123456789abcdef";
const WHAT: &str = "the poll";
/// A text of the service, and a sentence that takes over two of them.
const LONGEST_TEXT: usize = 2001;
const LONGEST_SENTENCE: usize = 2 * LONGEST_TEXT + 400;

/// A picture that is taken has the kind of its first bytes and the dimensions that its header ends with.
pub fn picture_header(bytes: &[u8]) {
    let mut rest = bytes;
    let frame = Frame::from_bytes(bytes.to_vec());
    let again = Bytes::copy_from_slice(bytes);
    let dripping = Frame::from_reader(bytes.len() as u64, move || Ok(Drip(Cursor::new(again.clone()))));
    let told = |frame: &Result<Frame, Error>| frame.as_ref().map(Frame::dimensions).map_err(Error::to_string);
    assert_eq!(told(&dripping), told(&frame), "the same, however little comes at once");
    let Ok(header) = Header::read(&mut rest) else {
        return speaks_well(&frame.expect_err("a header that is none is no frame"));
    };
    let head = &bytes[..bytes.len() - rest.len()];
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number, &byte| number << 8 | u32::from(byte));
    let found = match header.kind {
        PictureKind::Png => {
            assert!(head.starts_with(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR") && head.len() == 33);
            (number(&head[16..20]), number(&head[20..24]))
        }
        PictureKind::Jpeg => {
            assert!(head.starts_with(b"\xff\xd8\xff"));
            let frame_header = &head[head.len() - 9..];
            assert!(
                frame_header[0] == 0xff
                    && matches!(frame_header[1], 0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf)
            );
            // As long as one component makes it.
            assert!(number(&frame_header[2..4]) >= 11);
            (number(&frame_header[7..9]), number(&frame_header[5..7]))
        }
    };
    assert_eq!((header.width, header.height), found);
    assert!(header.width > 0 && header.height > 0);
    assert!(Header::read(&head[..head.len() - 1]).is_err(), "nothing is read that is not needed");

    let frame = frame.expect("a header makes a frame");
    assert_eq!((frame.kind(), frame.dimensions()), (Some(header.kind), Some(found)));
    assert_eq!(frame.size(), Some(bytes.len() as u64));
    frame.warnings("image", AspectRatio::Portrait);
}

/// A data URI that is taken is a picture, and the same text is sent for it.
pub fn data_uri(bytes: &[u8]) {
    let Ok(uri) = std::str::from_utf8(bytes) else { return };
    let frame = Frame::from_data_uri(uri);
    let picture = uri.split_once(',').filter(|(start, _)| {
        ["data:image/png;base64", "data:image/jpeg;base64"].iter().any(|known| start.eq_ignore_ascii_case(known))
    });
    let picture = picture.and_then(|(_, base64)| STANDARD.decode(base64).ok());
    assert_eq!(frame.is_ok(), picture.is_some_and(|picture| Frame::from_bytes(picture).is_ok()));
    let frame = match frame {
        Ok(frame) => frame,
        Err(error) => return speaks_well(&error),
    };
    let Sent::Picture { before, source } = frame.sent() else { panic!("a data URI is a picture") };
    let mut picture = Vec::new();
    source.open().and_then(|mut reader| reader.read_to_end(&mut picture)).expect("bytes in memory");
    let base64 = STANDARD.encode(&picture);
    assert_eq!(uri.split_once(',').map(|(_, base64)| base64), Some(&base64[..]));
    let (magic, expected) = match frame.kind() {
        Some(PictureKind::Png) => (&b"\x89PNG"[..], "data:image/png;base64,"),
        Some(PictureKind::Jpeg) => (&b"\xff\xd8\xff"[..], "data:image/jpeg;base64,"),
        None => panic!("a data URI is a picture"),
    };
    assert!(picture.starts_with(magic));
    assert_eq!(before, expected);
    let again = Frame::from_data_uri(&format!("{before}{base64}")).expect("what is sent");
    assert_eq!((again.kind(), again.dimensions(), again.size()), (frame.kind(), frame.dimensions(), frame.size()));
}

/// The body of a poll's 200.
pub fn task_result(bytes: &[u8]) {
    let client = client();
    let id: TaskId = "7b8e1d1c-52ab-4f7c-9c3e-0a6c5f6f2d11".parse().expect("an id");
    let raw: types::TaskResult = match serde_json::from_slice(bytes) {
        Ok(raw) => raw,
        Err(error) => match essentials(bytes) {
            Some(raw) => raw,
            None => {
                let error = raw::Error::InvalidResponsePayload(Bytes::copy_from_slice(bytes), error);
                let error = failure(error, WHAT, client.base_url(), Charged::Yes, Duration::ZERO);
                assert!(error.is_invalid_answer());
                return speaks_well(&error);
            }
        },
    };
    let links: Vec<_> = raw.videos.iter().flatten().filter_map(|video| video.video_url.clone()).collect();
    let seed = raw.extra.as_ref().and_then(|extra| extra.seed.clone());
    let result = TaskResult::new(client, &id, raw);
    if let Some(found) = result.seed() {
        assert!(match seed {
            Some(types::NumberOrText::Number(number)) => number == found as f64,
            Some(types::NumberOrText::Text(text)) => text.trim().parse() == Ok(found),
            None => false,
        });
    }
    is_clean(&result.status().to_string());
    if let Some(reason) = result.reason() {
        assert!(!reason.is_empty());
        is_clean(reason);
    }
    assert!(result.progress_percent().is_none_or(|percent| (0.0..=100.0).contains(&percent)));
    let links: Vec<_> = links.iter().filter(|link| !link.trim().is_empty()).collect();
    assert_eq!(result.videos().iter().map(|video| video.url()).collect::<Vec<_>>(), links);
    let times = result.videos().iter().map(|video| video.ttl()).chain([result.eta()]);
    assert!(times.flatten().all(|time| time > Duration::ZERO));
    let _ = format!("{result:?}");

    let (status, videos) = (result.status().clone(), result.videos().len());
    match result.finished() {
        Ok(_) => assert!(status == TaskStatus::Succeeded && videos > 0),
        Err(error) => {
            speaks_well(&error);
            assert_eq!(error.task_id(), Some(&id));
            assert_eq!(error.is_task_failed(), status == TaskStatus::Failed);
            assert_eq!(error.is_without_video(), status == TaskStatus::Succeeded);
            assert!(!error.is_without_video() || videos == 0);
            // Nobody knows of what was given up; of what goes on it is known.
            let over = matches!(status, TaskStatus::Failed | TaskStatus::Succeeded);
            assert_eq!(error.is_charged(), if over { Charged::Unknown } else { Charged::Yes });
        }
    }
}

/// Three digits of a status, and the body of an answer with it.
pub fn error_body(bytes: &[u8]) {
    let Some((status, body)) = bytes.split_at_checked(3) else { return };
    let Ok(status) = StatusCode::from_bytes(status) else { return };
    let answer = || Answer { status, ..Answer::not_as_agreed(body) };

    if let Some(id) = answer().task_id() {
        assert!(status.is_success() && !id.is_empty());
        match accepted(&id, KEY) {
            Ok(taken) => assert_eq!(taken.as_str(), id),
            Err(failure) => {
                speaks_well(&failure.error);
                assert!(!failure.again && failure.error.is_charged() == Charged::Unknown);
            }
        }
    }
    let failure = refused(answer(), KEY);
    speaks_well(&failure.error);
    assert!(!failure.again || matches!(status.as_u16(), 429 | 503) && failure.error.is_charged() == Charged::No);
    assert!(status.is_client_error() || failure.again || failure.error.is_charged() == Charged::Unknown);
    let error = answer().into_error(WHAT, Charged::Unknown, KEY);
    speaks_well(&error);
    assert_eq!((error.status(), error.is_charged()), (Some(status.as_u16()), Charged::Unknown));
    if let Err(unread) = serde_json::from_slice::<types::SubmitResponse>(body) {
        let error = Answer::not_as_agreed(body).into_unreadable(WHAT, &unread, KEY);
        speaks_well(&error);
        assert_eq!((error.status(), error.is_charged()), (Some(200), Charged::Unknown));
    }
}

/// The value of a `Retry-After`.
pub fn retry_after(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let asked = retry::retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value.clone())]), now);

    let text = value.to_str().unwrap_or_default().trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        assert_eq!(asked, text.parse().ok().map(Duration::from_secs));
    } else if let Some(asked) = asked {
        let date = httpdate::fmt_http_date(now + asked);
        let again = HeaderMap::from_iter([(RETRY_AFTER, date.parse().expect("a date"))]);
        assert_eq!(retry::retry_after(&again, now), Some(asked));
    }
    for failures in [0, 1, 2, 8, u32::MAX] {
        let pause = backoff(failures, asked, LONGEST_PAUSE);
        assert!(pause >= asked.unwrap_or(Duration::from_millis(250)));
        assert!(pause <= asked.unwrap_or_default().max(LONGEST_PAUSE));
        assert!(Instant::now().checked_add(pause.min(LONGEST_WISH)).is_some());
    }
}

/// What is said to be an MP4 is one for another reading of the same rules, and was found out by reading little.
pub fn mp4_boxes(bytes: &[u8]) {
    let walk = |length| {
        let mut file = Counted { bytes, length, at: 0, read: 0, seeks: 0 };
        let verdict = mp4::check(&mut file);
        assert!(file.read <= 64 + 16 * mp4::MOST_BOXES, "{} bytes were read", file.read);
        assert!(file.seeks <= 2 + mp4::MOST_BOXES, "{} places were looked at", file.seeks);
        if let Err(what) = &verdict {
            is_clean(&what.to_string());
        }
        verdict
    };
    let verdict = walk(bytes.len() as u64);
    assert_eq!(verdict.is_ok(), is_mp4(bytes), "{verdict:?}");
    // The same beginning of the longest file that there can be.
    let _ = walk(i64::MAX as u64);
}

fn is_mp4(bytes: &[u8]) -> bool {
    let Some(boxes) = boxes(bytes) else { return false };
    let has = |boxes: &[Mp4Box], wanted: &[u8; 4]| boxes.iter().any(|(name, _)| name == wanted);
    let mut count = boxes.len() as u64;
    let tracks = boxes.iter().filter(|(name, _)| name == b"moov").all(|(_, contents)| {
        self::boxes(contents).is_some_and(|inner| {
            count += inner.len() as u64;
            has(&inner, b"mvhd") && has(&inner, b"trak")
        })
    });
    let first = boxes.first().is_some_and(|(name, _)| name == b"ftyp");
    first && tracks && has(&boxes, b"moov") && has(&boxes, b"mdat") && count <= mp4::MOST_BOXES
}

type Mp4Box<'a> = ([u8; 4], &'a [u8]);

/// The boxes that fill these bytes exactly.
fn boxes(mut bytes: &[u8]) -> Option<Vec<Mp4Box<'_>>> {
    let mut boxes = Vec::new();
    while !bytes.is_empty() {
        let (size, rest) = bytes.split_first_chunk()?;
        let (name, rest) = rest.split_first_chunk()?;
        let (head, size) = match u32::from_be_bytes(*size) {
            0 => (8, bytes.len()),
            1 => (16, usize::try_from(u64::from_be_bytes(*rest.first_chunk()?)).ok()?),
            size => (8, size as usize),
        };
        boxes.push((*name, bytes.get(head..size)?));
        bytes = &bytes[size..];
    }
    Some(boxes)
}

/// Gives one byte at a time.
struct Drip<R>(R);

impl<R: Read> Read for Drip<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let one = into.len().min(1);
        self.0.read(&mut into[..one])
    }
}

/// A file that begins with these bytes and goes on with zeros.
struct Counted<'a> {
    bytes: &'a [u8],
    length: u64,
    at: u64,
    read: u64,
    seeks: u64,
}

impl Read for Counted<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.length.saturating_sub(self.at);
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(into.len());
        let rest = usize::try_from(self.at).ok().and_then(|at| self.bytes.get(at..)).unwrap_or_default();
        let kept = rest.len().min(count);
        into[..kept].copy_from_slice(&rest[..kept]);
        into[kept..count].fill(0);
        self.at += count as u64;
        self.read += count as u64;
        Ok(count)
    }
}

impl Seek for Counted<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.seeks += 1;
        self.at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::End(0) => self.length,
            _ => return Err(io::ErrorKind::Unsupported.into()),
        };
        Ok(self.at)
    }
}

fn client() -> &'static Client {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    CLIENT.get_or_init(|| Client::builder(KEY).base_url("http://127.0.0.1:9").build().expect("a client"))
}

/// Whatever came, an error says it in a text that is fit for a terminal and a log.
fn speaks_well(error: &Error) {
    if let Some(reason) = error.reason() {
        is_clean(reason);
    }
    is_fit(&error.to_string(), LONGEST_SENTENCE);
    is_fit(&format!("{error:?}"), 2 * LONGEST_SENTENCE);
    let mut source = error.source();
    while let Some(error) = source {
        is_fit(&error.to_string(), LONGEST_SENTENCE);
        source = error.source();
    }
}

fn is_clean(text: &str) {
    is_fit(text, LONGEST_TEXT);
}

fn is_fit(text: &str, longest: usize) {
    assert!(!text.contains(KEY), "the key is in: {text}");
    assert!(!text.contains(char::is_control), "control characters are in: {text:?}");
    assert!(text.chars().count() <= longest, "{} characters", text.chars().count());
    for link in text.split_whitespace().filter(|word| word.contains("://")) {
        assert!(!link.split_once('?').is_some_and(|(_, query)| query.contains('=')), "a query is in: {link}");
        for rest in link.split("://").skip(1) {
            let authority = rest.split('/').next().unwrap_or_default();
            assert!(!authority.contains('@'), "a user is in: {link}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    type Target = fn(&[u8]);

    const TARGETS: [(&str, Target); 6] = [
        ("picture_header", picture_header),
        ("data_uri", data_uri),
        ("task_result", task_result),
        ("error_body", error_body),
        ("retry_after", retry_after),
        ("mp4_boxes", mp4_boxes),
    ];

    #[test]
    fn corpora_replay() {
        let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
        let mut broken = Vec::new();
        for (name, target) in TARGETS {
            let folder = corpora.join(name);
            let seeds = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
            let seeds: Vec<_> = seeds.map(|seed| seed.expect(name).path()).collect();
            assert!(!seeds.is_empty(), "{} is empty", folder.display());
            for seed in seeds {
                let bytes = fs::read(&seed).expect("a seed");
                if std::panic::catch_unwind(|| target(&bytes)).is_err() {
                    broken.push(seed);
                }
            }
        }
        assert!(broken.is_empty(), "does not hold for {broken:#?}");
    }
}
