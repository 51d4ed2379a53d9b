//! Neither pictures nor videos are ever whole in memory.

#![cfg(target_os = "linux")]

mod batch;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;

use crate::support::{mp4, png, succeeded};

const MIB: u64 = 1024 * 1024;

/// Takes one request and keeps nothing of it but its length.
fn drain(mut stream: TcpStream) -> u64 {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a head");
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("text");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    let length = length.parse().expect("a length");
    let mut body = BufReader::with_capacity(MIB as usize, (&stream).take(length));
    let drained = std::io::copy(&mut body, &mut std::io::sink()).expect("a body");
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{\"task_id\":\"t\"}").expect("an answer");
    drained
}

/// What so many submits at once of two pictures take above idle, in KiB. The service takes one after the other, and so
/// all that wait have handed over as much as they can.
fn submits(count: usize, size: u64) -> u64 {
    let folder = tempfile::tempdir().expect("a folder");
    let paths = ["first.png", "last.png"].map(|name| folder.path().join(name));
    for path in &paths {
        let mut file = File::create(path).expect("a file");
        file.write_all(&png(1000)).expect("writes");
        file.set_len(size).expect("grows");
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let server = thread::spawn(move || {
        let connections: Vec<_> = (0..count).map(|_| listener.accept().expect("a connection").0).collect();
        connections.into_iter().map(drain).min()
    });
    let [first, last] = paths.each_ref().map(|path| path.display().to_string());
    let above_idle = probe(&[&url, "submit", &count.to_string(), &first, &last]);
    assert!(server.join().expect("a server") > Some(2 * size * 4 / 3));
    above_idle
}

#[test]
fn two_pictures_of_20_mb_take_less_than_1_5_mib() {
    let above_idle = submits(1, 20_000_000);
    assert!(above_idle < 1536, "{above_idle} KiB above idle");
}

#[test]
fn each_of_64_submits_at_once_takes_less_than_400_kib() {
    // More than the sockets hold.
    let size = 8 * MIB;
    let more = submits(64, size) - submits(1, size);
    assert!(more / 63 < 400, "{more} KiB for 63 more submits");
}

/// What the probe took above what it has when idle, in KiB.
fn probe(args: &[&str]) -> u64 {
    run(env!("CARGO_BIN_EXE_memory-probe"), args)
}

fn run(program: &str, args: &[&str]) -> u64 {
    let probe = Command::new(program).args(args).output().expect("a probe");
    assert!(probe.status.success(), "{}", String::from_utf8_lossy(&probe.stderr));
    let text = String::from_utf8(probe.stdout).expect("text");
    println!("{args:?}: {text}");
    text.trim().parse().expect("a number")
}

/// Answers a poll, then the request for its video: one of 100 MiB.
fn video(listener: &TcpListener) {
    let own_url = format!("http://{}", listener.local_addr().expect("an address"));
    let head = |length: usize| format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    let accept = || {
        let (stream, _) = listener.accept().expect("a connection");
        let mut lines = BufReader::new(&stream).lines().map(|line| line.expect("a head"));
        assert!(lines.any(|line| line.is_empty()));
        stream
    };
    let polled = succeeded(&[&own_url]).to_string();
    accept().write_all(format!("{}{polled}", head(polled.len())).as_bytes()).expect("an answer");

    // What comes last holds the rest.
    let boxes = mp4();
    let (start, rest) = (&boxes[..boxes.len() - 1008], 100 * MIB as usize);
    let mut stream = accept();
    let last = [&u32::try_from(rest + 8).expect("fits").to_be_bytes()[..], b"mdat"].concat();
    let length = start.len() + last.len() + rest;
    stream.write_all(&[head(length).as_bytes(), start, &last].concat()).expect("a start");
    for _ in 0..100 {
        stream.write_all(&vec![7; MIB as usize]).expect("the rest");
    }
}

#[test]
fn a_video_of_100_mib_takes_less_than_3_5_mib() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("clip.mp4");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let server = thread::spawn(move || video(&listener));
    let above_idle = probe(&[&url, "download", "t", &target.display().to_string()]);
    server.join().expect("a server");
    assert!(target.metadata().expect("a clip").len() > 100 * MIB);
    assert!(above_idle < 3584, "{above_idle} KiB above idle");
}
