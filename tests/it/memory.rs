//! Pictures are never whole in memory.

#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;

use crate::support::png;

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
    let drained = std::io::copy(&mut (&stream).take(length), &mut std::io::sink()).expect("a body");
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{\"task_id\":\"t\"}").expect("an answer");
    drained
}

#[test]
fn two_pictures_of_20_mb_take_less_than_3_mib() {
    let folder = tempfile::tempdir().expect("a folder");
    let paths = ["first.png", "last.png"].map(|name| folder.path().join(name));
    for path in &paths {
        let mut file = File::create(path).expect("a file");
        file.write_all(&png(1000)).expect("writes");
        file.set_len(20 * MIB).expect("grows");
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let server = thread::spawn(move || drain(listener.accept().expect("a connection").0));

    let probe = Command::new(env!("CARGO_BIN_EXE_memory-probe")).arg(url).args(&paths).output().expect("a probe");
    assert!(probe.status.success(), "{}", String::from_utf8_lossy(&probe.stderr));
    assert!(server.join().expect("a server") > 2 * 20 * MIB * 4 / 3);
    let text = String::from_utf8(probe.stdout).expect("text");
    let above_idle: u64 = text.trim().parse().expect("a number");
    println!("{above_idle} KiB above idle");
    assert!(above_idle < 3 * 1024, "{above_idle} KiB above idle");
}
