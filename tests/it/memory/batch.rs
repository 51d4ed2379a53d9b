//! A batch with 256 tasks in flight, in a process of its own.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::{MIB, run};
use crate::support::{mp4, png, succeeded};

const IN_FLIGHT: usize = 256;
const LIMIT_KIB: u64 = 64 * 1024;

/// A service on which no task is done before all are there.
struct Service {
    url: String,
    submits: AtomicUsize,
}

impl Service {
    fn answer(&self, stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::with_capacity(MIB as usize, stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            (reader.read_line(&mut head).ok()? > 0).then_some(())?;
        }
        let body = match head.split(' ').nth(1)? {
            _ if head.starts_with("POST") => {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse().ok()?;
                std::io::copy(&mut reader.take(length), &mut std::io::sink()).ok()?;
                let task = self.submits.fetch_add(1, Ordering::SeqCst);
                format!("{{\"task_id\":\"task-{task}\"}}").into_bytes()
            }
            path if path.starts_with("/v3") && self.submits.load(Ordering::SeqCst) < IN_FLIGHT => {
                br#"{"task":{"status":"TASK_STATUS_PROCESSING"}}"#.to_vec()
            }
            path if path.starts_with("/v3") => succeeded(&[&format!("{}/clip", self.url)]).to_string().into_bytes(),
            _ => {
                let last = [&u32::try_from(4 * MIB + 8).ok()?.to_be_bytes()[..], b"mdat", &vec![7; 4 * MIB as usize]];
                [&mp4()[..], &last.concat()].concat()
            }
        };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        let mut stream = stream;
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).ok()
    }
}

#[test]
fn a_batch_with_256_in_flight_takes_less_than_64_mib() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["first.png", "last.png"] {
        let mut file = File::create(folder.path().join(name)).expect("a file");
        file.write_all(&png(1000)).expect("writes");
        file.set_len(MIB).expect("grows");
    }
    let line = |at| format!("{{\"image\": \"first.png\", \"last_image\": \"last.png\", \"prompt\": \"clip {at}\"}}\n");
    let manifest = folder.path().join("clips.jsonl");
    fs::write(&manifest, (0..IN_FLIGHT).map(line).collect::<String>()).expect("a manifest");

    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let service = Arc::new(Service { url: url.clone(), submits: AtomicUsize::new(0) });
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let service = Arc::clone(&service);
            thread::spawn(move || service.answer(&stream));
        }
    });
    let program = env!("CARGO_BIN_EXE_batch-probe");
    let most = run(program, &[&url, &manifest.display().to_string(), &IN_FLIGHT.to_string()]);
    assert!(most < LIMIT_KIB, "{most} KiB");
}
