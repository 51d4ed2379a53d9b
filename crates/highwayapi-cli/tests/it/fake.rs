//! A service that misbehaves as a sandbox would not.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// What the fake does with a request that it has read.
pub(crate) enum Reply {
    /// Closes the connection.
    Close,
    /// Keeps the connection and says nothing.
    Silence,
    /// Sends these bytes and closes the connection.
    Bytes(Vec<u8>),
}

pub(crate) struct Fake {
    pub(crate) base_url: String,
    requests: Mutex<Receiver<String>>,
}

impl Fake {
    /// Serves one connection after the other, and no more than forty: its thread ends with the test at the latest.
    pub(crate) fn start(reply: impl Fn(&str, &str) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let base_url = format!("http://{}", listener.local_addr().expect("its address"));
        let own_url = base_url.clone();
        let (sender, requests) = channel();
        thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming().take(40) {
                let mut stream = stream.expect("a connection");
                let request = read(&stream).expect("a whole request");
                let reply = reply(&request, &own_url);
                if let Reply::Bytes(bytes) = &reply {
                    stream.write_all(bytes).expect("answered");
                }
                let _ = sender.send(request);
                if let Reply::Silence = reply {
                    silent.push(stream);
                }
            }
        });
        Self { base_url, requests: Mutex::new(requests) }
    }

    /// The first line of the next request, once it has been answered.
    pub(crate) fn request(&self) -> String {
        self.requests.lock().expect("a lock").recv_timeout(Duration::from_secs(20)).expect("a request comes")
    }

    /// Takes the next request, if one has come; whether there was none.
    pub(crate) fn is_idle_after(&self, requests: &mut Vec<String>) -> bool {
        match self.requests.lock().expect("a lock").recv_timeout(Duration::from_millis(300)) {
            Ok(request) => {
                requests.push(request);
                false
            }
            Err(_) => true,
        }
    }

    /// Whether nothing more came.
    pub(crate) fn is_idle(&self) -> bool {
        self.requests.lock().expect("a lock").recv_timeout(Duration::from_millis(300)).is_err()
    }
}

/// Reads head and body; returns the first line.
fn read(stream: &TcpStream) -> std::io::Result<String> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut length = 0;
    let mut chunked = false;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        chunked |= line == "transfer-encoding: chunked";
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().expect("a number");
        }
    }
    assert!(!chunked, "the fake knows no chunks");
    std::io::copy(&mut reader.take(length), &mut std::io::sink())?;
    Ok(first.trim().to_owned())
}

pub(crate) fn answer(status: &str, headers: &str, body: &[u8]) -> Reply {
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n", body.len());
    Reply::Bytes([head.as_bytes(), body].concat())
}

/// The least that is an MP4.
pub(crate) fn mp4() -> Vec<u8> {
    let boxed = |name: &[u8], contents: &[u8]| {
        let size = u32::try_from(contents.len() + 8).expect("small");
        [&size.to_be_bytes(), name, contents].concat()
    };
    let moov = [boxed(b"mvhd", b""), boxed(b"trak", b"")].concat();
    [boxed(b"ftyp", b"isom"), boxed(b"moov", &moov), boxed(b"mdat", b"x")].concat()
}
