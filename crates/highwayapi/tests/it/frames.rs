//! Every way to make a frame, and what it then knows.

use std::fs::{self, File};
use std::io::{Cursor, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::engine::{Engine, general_purpose::STANDARD};
use highwayapi::{Frame, PictureKind};

use crate::pictures::{jpeg, png};

/// The same picture by every way that takes one.
fn every_way(bytes: &[u8], folder: &tempfile::TempDir, media_type: &str) -> Vec<Frame> {
    // The name says nothing about the kind.
    let path = folder.path().join("picture.txt");
    fs::write(&path, bytes).expect("a file");
    let own = bytes.to_vec();
    vec![
        Frame::open(&path).expect("a file"),
        Frame::from_bytes(bytes.to_vec()).expect("bytes"),
        Frame::from_reader(bytes.len() as u64, move || Ok(Cursor::new(own.clone()))).expect("a reader"),
        Frame::from_data_uri(&format!("data:{media_type};base64,{}", STANDARD.encode(bytes))).expect("a data URI"),
    ]
}

#[test]
fn a_picture_is_known_by_its_first_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let pictures = [
        (png(1280, 720), PictureKind::Png, (1280, 720), "image/png"),
        (jpeg(640, 480), PictureKind::Jpeg, (640, 480), "image/jpeg"),
        // What a data URI claims is no more believed than a file's name.
        (jpeg(640, 480), PictureKind::Jpeg, (640, 480), "image/png"),
    ];
    for (bytes, kind, dimensions, media_type) in pictures {
        for frame in every_way(&bytes, &folder, media_type) {
            assert_eq!(frame.kind(), Some(kind), "{frame:?}");
            assert_eq!(frame.dimensions(), Some(dimensions), "{frame:?}");
            assert_eq!(frame.size(), Some(bytes.len() as u64), "{frame:?}");
            assert_eq!(frame.text(), None);
            let mut read = Vec::new();
            frame.reader().expect("a picture").expect("opens").read_to_end(&mut read).expect("reads");
            assert_eq!(read, bytes, "{frame:?}");
        }
    }
}

#[test]
fn the_examples_are_pictures() {
    for name in ["first.jpg", "last.jpg"] {
        let path = format!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/frames/{}"), name);
        assert_eq!(Frame::open(path).expect("a picture").kind(), Some(PictureKind::Jpeg));
    }
}

#[test]
fn a_link_and_a_literal_are_sent_as_they_are() {
    for url in
        ["http://example.com/first.png", "HTTPS://user@example.com:8443/a%20b?sig=x#y", "https://[::1]/", "http://a"]
    {
        let frame = Frame::from_url(url).expect("a URL");
        assert_eq!(frame.text(), Some(url));
        assert!(frame.kind().is_none() && frame.size().is_none() && frame.dimensions().is_none());
        assert!(frame.reader().is_none());
    }
    let frame = Frame::literal("anything at all\n");
    assert_eq!(frame.text(), Some("anything at all\n"));
    assert!(frame.kind().is_none() && frame.reader().is_none());
}

#[test]
fn a_data_uri_may_shout() {
    let uri = format!("DATA:Image/PNG;BASE64,{}", STANDARD.encode(png(1, 1)));
    assert_eq!(Frame::from_data_uri(&uri).expect("a data URI").dimensions(), Some((1, 1)));
}

#[test]
fn the_limit_is_the_contracts_to_the_byte() {
    let most = crate::contract::max_picture_bytes();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("large.png");
    let mut file = File::create(&path).expect("a file");
    file.write_all(&png(4000, 3000)).expect("writes");
    // Sparse: takes no room.
    file.set_len(most).expect("grows");
    assert_eq!(Frame::open(&path).expect("just not too large").size(), Some(most));
    file.set_len(most + 1).expect("grows");
    let error = Frame::open(&path).expect_err("too large").to_string();
    assert!(error.contains(&(most + 1).to_string()) && error.contains(&format!("({most} bytes)")), "{error}");
}

#[test]
fn what_is_too_large_is_not_even_opened() {
    let opened = Arc::new(AtomicUsize::new(0));
    let open = |size| {
        let opened = Arc::clone(&opened);
        Frame::from_reader(size, move || {
            opened.fetch_add(1, Ordering::Relaxed);
            Ok(Cursor::new(png(1, 1)))
        })
    };
    assert!(open(u64::MAX).is_err() && open(0).is_err());
    assert_eq!(opened.load(Ordering::Relaxed), 0);
    assert!(open(33).is_ok());
    assert_eq!(opened.load(Ordering::Relaxed), 1);
}
