//! The whole way without async.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use highwayapi::blocking::Client;
use highwayapi::{Event, FirstLastFrame, Frame};

fn boxed(name: &[u8; 4], contents: &[u8]) -> Vec<u8> {
    [&(contents.len() as u32 + 8).to_be_bytes()[..], name, contents].concat()
}

/// The least that is an MP4 by its boxes.
fn clip() -> Vec<u8> {
    let moov = [boxed(b"mvhd", &[0; 20]), boxed(b"trak", &[0; 9])].concat();
    [boxed(b"ftyp", b"isom"), boxed(b"moov", &moov), boxed(b"mdat", &[7; 100])].concat()
}

/// Accepts every submit; every task is processing once and then done.
fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let clip_url = format!("{url}/clip.mp4");
    thread::spawn(move || {
        let mut polls = 0;
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let answer = match request(&mut stream) {
                submit if submit.starts_with("POST") => br#"{"task_id":"t"}"#.to_vec(),
                poll if poll.contains("task-result") => {
                    polls += 1;
                    let status = if polls % 2 == 1 { "PROCESSING" } else { "SUCCEED" };
                    let task = format!(r#""task":{{"status":"TASK_STATUS_{status}"}}"#);
                    format!(r#"{{{task},"videos":[{{"video_url":"{clip_url}"}}]}}"#).into_bytes()
                }
                _ => clip(),
            };
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.len());
            stream.write_all(&[head.as_bytes(), &answer].concat()).expect("answers");
        }
    });
    url
}

/// Reads a request whole; bodies here end with a brace that nothing else has.
fn request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).expect("a request");
        request.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&request);
        if read == 0 || text.ends_with("\r\n\r\n") && text.starts_with("GET") || text.ends_with('}') {
            return text.into_owned();
        }
    }
}

#[test]
fn submit_wait_download() {
    let quick = Duration::from_millis(1)..=Duration::from_millis(2);
    let client = highwayapi::Client::builder("sk-1").base_url(serve()).poll_interval(quick).build().expect("a client");
    let client = Client::from_async(client).expect("a thread");
    let task = client.submit(&FirstLastFrame::new(Frame::literal("a"), Frame::literal("b"), "dusk")).expect("a task");
    assert_eq!(task.id().as_str(), "t");

    let done = task.wait().expect("videos");
    assert_eq!((done.videos().len(), done.status()), (1, &highwayapi::TaskStatus::Succeeded));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("clip.mp4");
    let saved = done.videos()[0].download(&path).expect("a clip");
    assert_eq!((saved.path(), saved.size()), (path.as_path(), clip().len() as u64));
    assert_eq!(std::fs::read(&path).expect("a clip"), clip());
    assert!(done.videos()[0].download(&path).expect_err("there already").is_already_exists());
    done.videos()[0].download_over(&path).expect("a clip");

    let again = client.task(task.id().clone());
    let events: Vec<_> = again.events().map(|event| event.expect("an event")).collect();
    assert!(matches!(events.as_slice(), [Event::Progress(_), Event::Done(_)]), "{events:?}");
    // Its third poll would say "processing" again, and there is no time left for a fourth.
    assert!(again.wait_timeout(Duration::ZERO).wait().expect_err("no time").is_still_running());
    assert!(task.poll().expect("an answer").videos().len() == 1);
}
