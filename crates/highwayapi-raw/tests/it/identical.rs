//! The streamed body is, byte for byte, what serialising the whole request would have given.

use std::future::poll_fn;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use base64::engine::{Engine, general_purpose::STANDARD};
use highwayapi_raw::body::{Source, Upload};
use highwayapi_raw::integers::{DurationSeconds, SampleCount};
use highwayapi_raw::types::{AspectRatio, FirstLastFrameRequest, PersonGeneration, Resolution};
use http_body::Body;
use http_body_util::BodyExt;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::source::{Picture, poured, request};

/// Pictures are sent in chunks of this size.
const CHUNK: usize = 144 * 1024;

/// Sizes where something could go wrong: none, Base64's threes, the ends of chunks, and any.
fn picture() -> impl Strategy<Value = Vec<u8>> {
    let size = prop_oneof![
        0..8usize,
        (1..4usize, 0..7usize).prop_map(|(chunks, beside)| chunks * CHUNK + beside - 3),
        0..3 * CHUNK,
    ];
    // The contents matter little to this code; what matters is that no byte is lost or moved.
    (size, any::<u8>()).prop_map(|(size, first)| (0..size).map(|at| first ^ (at.wrapping_mul(31) >> 3) as u8).collect())
}

/// Texts full of what JSON escapes and of what looks like the body's own keys.
fn awkward() -> impl Strategy<Value = String> {
    let pieces: &[&str] = &[
        "\"",
        "\\",
        "\\\"",
        "\"image\":\"",
        "\"last_image\":\"",
        "\",\"image\":\"x",
        "{",
        "}",
        ",",
        ":",
        "\u{0}",
        "\n",
        "\r\t",
        "\u{7f}",
        "\u{2028}",
        "\u{feff}",
        "🏯",
        "é",
        "\u{10ffff}",
        "dusk",
        "image",
        "</script>",
    ];
    let piece = prop_oneof![select(pieces).prop_map(str::to_owned), any::<char>().prop_map(String::from)];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// A frame as it stands in the request: a picture behind a prefix, or any text.
#[derive(Clone, Debug)]
enum Frame {
    Streamed(&'static str, Vec<u8>),
    Text(String),
}

fn frame() -> impl Strategy<Value = Frame> {
    let prefixes: &[&str] = &["", "data:image/png;base64,", "data:image/jpeg;base64,"];
    prop_oneof![
        3 => (select(prefixes), picture()).prop_map(|(prefix, bytes)| Frame::Streamed(prefix, bytes)),
        1 => awkward().prop_map(Frame::Text),
    ]
}

/// Any subset of the optional fields.
fn filled() -> impl Strategy<Value = FirstLastFrameRequest> {
    let numbers = (
        option::of(any::<u32>()),
        option::of(select(&[DurationSeconds::X4, DurationSeconds::X8][..])),
        option::of(select(&[SampleCount::X1, SampleCount::X4][..])),
    );
    let words = (
        option::of(select(&[Resolution::X720p, Resolution::X1080p][..])),
        option::of(select(&[AspectRatio::X169, AspectRatio::X916][..])),
        option::of(select(&[PersonGeneration::AllowAdult, PersonGeneration::Disallow][..])),
    );
    let switches = (option::of(any::<bool>()), option::of(any::<bool>()));
    (awkward(), option::of(awkward()), numbers, words, switches).prop_map(
        |(prompt, negative_prompt, numbers, words, switches)| FirstLastFrameRequest {
            negative_prompt,
            seed: numbers.0,
            duration_seconds: numbers.1,
            sample_count: numbers.2,
            resolution: words.0,
            aspect_ratio: words.1,
            person_generation: words.2,
            enhance_prompt: switches.0,
            generate_audio: switches.1,
            ..request("", "", &prompt)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn streamed_is_naive(image in frame(), last_image in frame(), request in filled()) {
        let (mut small, mut naive, mut upload) = (request.clone(), request, Upload::new());
        for (field, frame) in [("image", image), ("last_image", last_image)] {
            let (before, whole) = match frame {
                Frame::Text(text) => (text.clone(), text),
                Frame::Streamed(prefix, bytes) => {
                    let whole = format!("{prefix}{}", STANDARD.encode(&bytes));
                    upload = upload.picture(field, Picture::whole(bytes));
                    (prefix.to_owned(), whole)
                }
            };
            match field {
                "image" => (small.image, naive.image) = (before, whole),
                _ => (small.last_image, naive.last_image) = (before, whole),
            }
        }
        let naive = serde_json::to_vec(&naive).expect("JSON");
        let json = serde_json::to_vec(&small).expect("JSON");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");

        let announced = upload.body(&json).expect("a body").size_hint().exact();
        prop_assert_eq!(announced, Some(naive.len() as u64));
        let first = runtime.block_on(poured(&upload, &small)).expect("a body");
        prop_assert!(first == naive, "the streamed body differs from the naive one");
        prop_assert_eq!(upload.sent(), naive.len() as u64);
        // A second attempt reads the pictures again.
        let second = runtime.block_on(poured(&upload, &small)).expect("a body");
        prop_assert!(second == naive, "the second attempt differs from the first");
    }
}

#[test]
fn a_field_that_is_not_there_is_an_error() {
    let upload = Upload::new().picture("image", Picture::whole(vec![1, 2, 3]));
    for json in [r#"{}"#, r#"{"image":null}"#, r#"{"last_image":""}"#, r#"{"prompt":"\"image\":\"x"}"#] {
        let error = upload.body(json.as_bytes()).err().expect(json);
        assert_eq!(error.to_string(), "the request has no text field `image`", "{json}");
    }
}

/// A picture of three chunks that counts the bytes read of it.
struct Counted(Arc<AtomicUsize>);

impl Source for Counted {
    fn size(&self) -> u64 {
        3 * CHUNK as u64
    }

    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        struct Counts(Arc<AtomicUsize>);
        impl Read for Counts {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let left = 3 * CHUNK - self.0.load(Ordering::SeqCst);
                let count = left.min(buffer.len());
                self.0.fetch_add(count, Ordering::SeqCst);
                Ok(count)
            }
        }
        Ok(Box::new(Counts(Arc::clone(&self.0))))
    }
}

#[test]
fn no_chunk_is_read_before_the_last_one_is_dropped() {
    let read = Arc::new(AtomicUsize::new(0));
    let upload = Upload::new().picture("image", Arc::new(Counted(Arc::clone(&read))));
    let mut body = upload.body(br#"{"image":""}"#).expect("a body");
    // With one thread that may block, what is done on it comes after all that was to be done before.
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().expect("a runtime");
    runtime.block_on(async {
        let json = body.frame().await.expect("a frame").expect("JSON");
        for chunk in 1..=3 {
            let held = body.frame().await.expect("a frame").expect("a chunk");
            let next = poll_fn(|context| Poll::Ready(Pin::new(&mut body).poll_frame(context))).await;
            assert_eq!(next.is_pending(), chunk < 3);
            tokio::task::spawn_blocking(|| {}).await.expect("an end");
            assert_eq!(read.load(Ordering::SeqCst), chunk * CHUNK);
            drop(held);
        }
        drop(json);
    });
}

#[test]
fn the_order_of_the_pictures_is_the_requests() {
    let (first, last) = (Picture::whole(vec![0; 3]), Picture::whole(vec![255; 3]));
    let upload = Upload::new().picture("last_image", last).picture("image", Arc::clone(&first) as _);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let body = runtime.block_on(poured(&upload, &request("", "", "dusk"))).expect("a body");
    assert_eq!(String::from_utf8(body).expect("text"), r#"{"image":"AAAA","last_image":"////","prompt":"dusk"}"#);
}
