//! What several of the tests need.

pub(crate) mod hosted;
pub(crate) mod raw;
pub(crate) mod sequence;

use std::fs;
use std::path::Path;
use std::time::Duration;

use self::raw::{Server, Step, answer};
use highwayapi::{
    AspectRatio, Charged, Client, ClientBuilder, DurationSeconds, Error, FirstLastFrame, Frame, PersonGeneration,
    Resolution, SampleCount, Video,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use wiremock::matchers::{any, method, path};
use wiremock::{Mock, MockServer, Respond, ResponseTemplate};

pub(crate) const SUBMIT: &str = "/v3/async/veo-3.1-fast-generate-firstlastframe";
pub(crate) const TASK_RESULT: &str = "/v3/async/task-result";
pub(crate) const KEY: &str = "sk-test-0123456789";

/// `openapi.yaml` as it stands at the root of the workspace.
pub(crate) fn contract() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi.yaml");
    serde_saphyr::from_str(&fs::read_to_string(path).expect(path)).expect("YAML")
}

/// Quick: at most one repetition, with its pause of half a second at most, and no pause between polls.
pub(crate) fn builder(base_url: &str) -> ClientBuilder {
    let pause = Duration::from_millis(1);
    Client::builder(KEY).base_url(base_url).submit_attempts(2).poll_interval(pause..=2 * pause)
}

pub(crate) fn client(base_url: &str) -> Client {
    builder(base_url).build().expect("a client")
}

/// A server with this answer to every submit and every poll. Whatever else is asked is answered so that the test says it.
pub(crate) async fn service(answer: impl Respond + Clone + 'static) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).and(path(SUBMIT)).respond_with(answer.clone()).mount(&server).await;
    Mock::given(method("GET")).and(path(TASK_RESULT)).respond_with(answer).mount(&server).await;
    let other = ResponseTemplate::new(418).set_body_string("no test expects this request");
    Mock::given(any()).respond_with(other).mount(&server).await;
    server
}

/// The start of a picture: 1280×720, then `size` bytes of nothing in particular.
pub(crate) fn png(size: usize) -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x05\0\0\0\x02\xd0\x08\x02\0\0\0abcd".to_vec();
    png.extend((0..size).map(|at| ((at * 31) >> 3) as u8));
    png
}

/// The smallest request, its pictures as links.
pub(crate) fn clip() -> FirstLastFrame {
    let frame = |url| Frame::from_url(url).expect("a URL");
    FirstLastFrame::new(frame("https://example.com/first.png"), frame("https://example.com/last.jpg"), "dusk falls")
}

/// The same with no option left to its default.
pub(crate) fn with_every_option(request: FirstLastFrame) -> FirstLastFrame {
    request
        .seed(u32::MAX)
        .resolution(Resolution::P1080)
        .aspect_ratio(AspectRatio::Portrait)
        .sample_count(SampleCount::Four)
        .enhance_prompt(false)
        .generate_audio(true)
        .negative_prompt("text, watermark")
        .duration_seconds(DurationSeconds::Four)
        .person_generation(PersonGeneration::Disallow)
}

/// A request that is too large to disappear in the buffers of a connection.
pub(crate) fn large_clip() -> FirstLastFrame {
    let frame = Frame::from_bytes(png(15_000_000)).expect("a picture");
    FirstLastFrame::new(frame.clone(), frame, "dusk falls")
}

/// The least that is an MP4 by its boxes.
pub(crate) fn mp4() -> Vec<u8> {
    mp4_of(1000)
}

/// The same with so many bytes of data.
pub(crate) fn mp4_of(size: usize) -> Vec<u8> {
    let data: Vec<_> = (0..size).map(|at| ((at * 31) >> 3) as u8).collect();
    let boxed =
        |name: &[u8; 4], contents: &[u8]| [&(contents.len() as u32 + 8).to_be_bytes()[..], name, contents].concat();
    let moov = [boxed(b"mvhd", &[0; 20]), boxed(b"trak", &[0; 9])].concat();
    [boxed(b"ftyp", b"isom"), boxed(b"moov", &moov), boxed(b"mdat", &data)].concat()
}

/// A task that has succeeded, with one video behind each link.
pub(crate) fn succeeded(urls: &[&str]) -> Value {
    let videos: Vec<_> = urls.iter().map(|url| json!({ "video_url": url })).collect();
    json!({ "task": { "status": "TASK_STATUS_SUCCEED" }, "videos": videos })
}

/// A video behind this link, as a poll brings it. Whoever polls again gets the same link.
pub(crate) async fn video(url: &str, builder: impl Fn(&str) -> ClientBuilder) -> Video {
    let service = Server::start([Step::Request, polled(&[url])]).await;
    let client = builder(service.url()).build().expect("a client");
    first_video(&client).await
}

/// The answer to a poll of a task that has succeeded.
pub(crate) fn polled(urls: &[&str]) -> Step {
    answer("200 OK\r\nconnection: close", succeeded(urls).to_string())
}

/// The first video of the task `t`.
pub(crate) async fn first_video(client: &Client) -> Video {
    let task = client.task("t".parse().expect("an id"));
    // Where the test's own client has little patience, this machine may be too slow for it.
    let mut result = task.poll().await;
    for _ in 0..20 {
        if result.is_ok() {
            break;
        }
        result = task.poll().await;
    }
    let result = result.expect("an answer");
    result.videos()[0].clone()
}

pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Names of all files there, sorted.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// What a caller can ask an error, where the answer is yes.
pub(crate) fn traits(error: &Error) -> String {
    let charged = match error.is_charged() {
        Charged::No => "charged no",
        Charged::Yes => "charged yes",
        Charged::Unknown => "charged UNKNOWN",
    };
    let traits = [
        ("invalid_input", error.is_invalid_input()),
        ("config", error.is_config()),
        ("auth", error.is_auth()),
        ("out_of_balance", error.is_out_of_balance()),
        ("moderation", error.is_moderation()),
        ("rate_limited", error.is_rate_limited()),
        ("not_found", error.is_not_found()),
        ("timeout", error.is_timeout()),
        ("still_running", error.is_still_running()),
        ("network", error.is_network()),
        ("invalid_answer", error.is_invalid_answer()),
        ("task_failed", error.is_task_failed()),
        ("without_video", error.is_without_video()),
        ("tls", error.is_tls()),
        ("download", error.is_download()),
        ("file", error.is_file()),
        ("disk_full", error.is_disk_full()),
        ("already_exists", error.is_already_exists()),
    ];
    let traits: String = traits.iter().filter(|(_, yes)| *yes).map(|(name, _)| format!("{name}, ")).collect();
    format!("{traits}{charged}")
}
