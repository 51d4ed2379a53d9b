//! Everything that is refused before a byte leaves, in the words that the user reads.

use std::error::Error as _;
use std::fmt::Write;
use std::fs;
use std::io;

use base64::engine::{Engine, general_purpose::STANDARD};
use highwayapi::{Charged, Client, Error, FirstLastFrame, Frame, TaskId};

use crate::pictures::{jpeg, png};

/// Stands for picture bytes that nobody wants to see in an error.
fn long_base64() -> String {
    STANDARD.encode("planted".repeat(1000))
}

fn refused(result: Result<impl Sized, Error>) -> Error {
    result.err().expect("a refusal")
}

fn files() -> Vec<(&'static str, Error)> {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("a file");
        refused(Frame::open(path))
    };
    vec![
        ("missing", refused(Frame::open(folder.path().join("missing.png")))),
        ("below a file", {
            fs::write(folder.path().join("file"), "x").expect("a file");
            refused(Frame::open(folder.path().join("file/first.png")))
        }),
        ("a directory", refused(Frame::open(folder.path()))),
        ("empty", at("empty.png", b"")),
        ("a GIF by another name", at("gif.png", b"GIF89a\x01\0\x01\0")),
        ("text", at("text.jpg", b"not a picture")),
        ("two bytes", at("two.jpg", b"\xff\xd8")),
        ("PNG, cut", at("cut.png", &png(1280, 720)[..20])),
        ("PNG without IHDR", at("idat.png", &[&png(1, 1)[..12], b"IDAT"].concat())),
        ("PNG of no width", at("flat.png", &png(0, 720))),
        ("JPEG, cut", at("cut.jpg", &jpeg(1280, 720)[..12])),
        ("JPEG without a frame header", at("scan.jpg", b"\xff\xd8\xff\xda\0\x02")),
        ("JPEG of no height", at("flat.jpg", &jpeg(1280, 0))),
    ]
    .into_iter()
    .map(|(name, error)| (name, error.for_field("image")))
    .collect()
}

fn pictures_in_memory() -> Vec<(&'static str, Error)> {
    struct Breaks;
    impl io::Read for Breaks {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is broken"))
        }
    }
    vec![
        ("no bytes", refused(Frame::from_bytes(Vec::new()))),
        ("other bytes", refused(Frame::from_bytes(b"RIFF....WEBP".to_vec()))),
        ("a byte too many", refused(Frame::from_reader(20 * 1024 * 1024 + 1, || Ok(io::empty())))),
        ("a reader that does not open", refused(Frame::from_reader(9, || Err::<Breaks, _>(io::Error::other("gone"))))),
        ("a reader that breaks", refused(Frame::from_reader(9, || Ok(Breaks)))),
        ("a reader that ends early", refused(Frame::from_reader(9, || Ok(io::empty())))),
    ]
}

fn links() -> Vec<(&'static str, Error)> {
    [
        ("a file's name", "first.png"),
        ("no host", "http:///first.png"),
        ("nothing but a scheme", "https://"),
        ("another scheme", "ftp://example.com/first.png"),
        ("a local file", "file:///tmp/first.png"),
        ("signed, and with a bad port", "https://example.com:port/first.png?signature=planted"),
        ("a data URI", &format!("data:image/png;base64,{}", long_base64())),
        ("bare Base64", &long_base64()),
    ]
    .map(|(name, url)| (name, refused(Frame::from_url(url))))
    .into()
}

fn data_uris() -> Vec<(&'static str, Error)> {
    [
        ("no comma", "data:image/png;base64"),
        ("another kind", "data:image/gif;base64,R0lGODlh"),
        ("not Base64 at all", "data:image/png,%89PNG"),
        ("a link", "https://example.com/a,b.png"),
        ("a letter that is none of Base64's", "data:image/png;base64,iVBOR*0KGgo="),
        ("no padding", "data:image/png;base64,iVBORw0KGgo"),
        ("nothing behind the comma", "data:image/png;base64,"),
        ("no picture", &format!("data:image/png;base64,{}", long_base64())),
        ("cut", "data:image/png;base64,iVBORw0KGgo="),
        ("Base64 where the kind should be", &format!("{},", long_base64())),
    ]
    .map(|(name, uri)| (name, refused(Frame::from_data_uri(uri))))
    .into()
}

fn requests() -> Vec<(&'static str, Error)> {
    let clip = |prompt| FirstLastFrame::new(Frame::literal("a"), Frame::literal("b"), prompt).check();
    vec![
        ("no prompt", refused(clip(""))),
        ("a prompt of blanks", refused(clip(" \n\t"))),
        ("no task id", refused("".parse::<TaskId>())),
        ("a task id of two words", refused("a b".parse::<TaskId>())),
        ("a task id without an end", refused("a".repeat(513).parse::<TaskId>())),
    ]
}

fn settings() -> Vec<(&'static str, Error)> {
    let at = |base_url: &str| refused(Client::builder("sk-planted").base_url(base_url).build());
    vec![
        ("no key", refused(Client::new(" "))),
        ("a key of two lines", refused(Client::new("sk-planted\nx"))),
        ("no base URL", at("")),
        ("a base URL without scheme", at("localhost:8080")),
        ("a base URL that is a path", at("/v3")),
        ("a base URL with a password", at("https://me:planted@example.com")),
        ("a base URL with a query", at("https://example.com?key=planted")),
    ]
}

#[test]
fn every_refusal_is_a_sentence() {
    let groups = [
        ("Frame::open", files()),
        ("Frame::from_bytes, Frame::from_reader", pictures_in_memory()),
        ("Frame::from_url", links()),
        ("Frame::from_data_uri", data_uris()),
        ("FirstLastFrame, TaskId", requests()),
        ("Client", settings()),
    ];
    let mut text = String::new();
    for (group, errors) in groups {
        writeln!(text, "{group}").expect("writes");
        for (name, error) in errors {
            assert_eq!(error.is_charged(), Charged::No, "{error}");
            assert_eq!(
                (error.is_invalid_input(), error.is_config()),
                (group != "Client", group == "Client"),
                "{error}"
            );
            let seen = format!("{error} {error:?}");
            assert!(!seen.contains("planted") && !seen.contains(&long_base64()[30..60]), "a secret in: {seen:.300}");
            writeln!(text, "  {name}\n    {error}").expect("writes");
        }
    }
    insta::with_settings!({ filters => vec![(r"(/[\w.-]+)*/\.tmp\w+", "[folder]")] }, {
        insta::assert_snapshot!(text);
    });
}

#[test]
fn what_the_system_said_is_kept_as_the_source() {
    let missing = refused(Frame::open("no/such/picture.png"));
    let source = missing.source().and_then(|source| source.downcast_ref::<io::Error>()).expect("a source");
    assert_eq!(source.kind(), io::ErrorKind::NotFound);
    assert!(refused(Frame::from_bytes(Vec::new())).source().is_none());
}
