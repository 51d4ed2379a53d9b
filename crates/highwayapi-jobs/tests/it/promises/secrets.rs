//! What is never written down.

use std::fs;
use std::path::Path;

use super::jobs;
use crate::support::folder;
use crate::support::service::{Answer, KEY, SIGNATURE, Service, request};

fn all_bytes(folder: &Path, to: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all_bytes(&path, to);
        } else {
            to.push((path.display().to_string(), fs::read(&path).expect("a file")));
        }
    }
}

#[tokio::test]
async fn no_key_no_picture_and_no_result_link_is_in_any_file() {
    let (service, folder) = (Service::start().await, folder());
    let record = folder.path().join("state");
    let jobs = jobs(&record, service.client());
    service.answers([Answer::Lost, Answer::Refused]);
    for prompt in ["lost", "refused"] {
        jobs.submit(&request(prompt)).await.expect_err(prompt);
    }
    let mut job = jobs.submit(&request("dusk falls")).output(folder.path().join("clip.mp4")).await.expect("a task");
    service.broken(&[1]);
    job.finish(|_| {}).await.expect_err("broken");
    service.broken(&[]);
    job.finish(|_| {}).await.expect("a clip");
    let url = highwayapi::Frame::from_url("https://me:word-of-mine@example.com/a.png?token=my-token").expect("a URL");
    let signed = highwayapi::FirstLastFrame::new(url.clone(), url, "by link");
    drop(jobs.submit(&signed).await.expect("a task"));

    let mut files = Vec::new();
    // With the file still open, so that what is only in its journal is looked at, too.
    all_bytes(folder.path(), &mut files);
    assert!(files.iter().any(|(name, bytes)| name.ends_with("-wal") && !bytes.is_empty()));
    let has = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(files.iter().any(|(_, bytes)| has(bytes, "dusk falls")), "this looks at the wrong files");
    // The second is that picture's end in Base64.
    let secrets = [KEY, "the first picture", "QgcGljdHVyZ", SIGNATURE, "word-of-mine", "my-token", "/files/"];
    for (name, bytes) in &files {
        for secret in secrets {
            assert!(!has(bytes, secret), "{secret} is in {name}");
        }
    }
}
