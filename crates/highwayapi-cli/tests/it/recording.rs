//! `highway sandbox --record`, `--replay`, `drift` and `probe`, as processes.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Done, highway, photograph};
use crate::way::Server;

fn generate(server: &Server, folder: &Path, clip: &str) -> Done {
    let (first, last) = (photograph("first.jpg"), photograph("last.jpg"));
    let args = ["generate", &first, &last, "-p", "dusk falls", "--duration-seconds", "4", "--seed", "7", "-o", clip];
    server.run(folder, &[&args[..], &["--again"]].concat())
}

#[test]
fn a_recorded_clip_is_replayed_and_does_not_drift() {
    let folder = TempDir::new().expect("a folder");
    let cassette = folder.path().join("story.cassette");
    let name = cassette.to_str().expect("text");
    let sandbox = Server::start();
    let mut recorder = Server::with(&["--record", name, "--upstream", &sandbox.base_url, "--keep-videos"]);
    recorder.key.clone_from(&sandbox.key);
    let done = generate(&recorder, folder.path(), "recorded.mp4");
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    drop(recorder);
    let again =
        Done::from(highway(&["sandbox", "--record", name, "--upstream", &sandbox.base_url]).output().expect("it runs"));
    assert_eq!(again.code, Some(2), "nothing is recorded over it: {}", again.stderr);
    drop(sandbox);

    let replay = Server::with(&["--replay", name]);
    let done = generate(&replay, folder.path(), "replayed.mp4");
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let bytes = |clip: &str| fs::read(folder.path().join(clip)).expect("a clip");
    assert_eq!(bytes("replayed.mp4"), bytes("recorded.mp4"));

    let drift = |args: &[&str]| Done::from(highway(&[&["sandbox", "drift"], args].concat()).output().expect("it runs"));
    let report = drift(&[name]);
    assert_eq!((report.code, report.stderr.as_str()), (Some(0), ""), "{}", report.stdout);
    assert!(report.stdout.contains("Where the sandbox answers otherwise: nowhere\n"), "{}", report.stdout);

    // The service as it might be.
    let changed = fs::read_to_string(&cassette)
        .expect("text")
        .replace("video_url_ttl\\\":\\\"3600\\\"", "video_url_ttl\\\":3600");
    fs::write(&cassette, changed).expect("written");
    let report = drift(&[name, "--json"]);
    assert_eq!(report.code, Some(1), "{}", report.stdout);
    let told: Value = serde_json::from_str(report.stdout.lines().next().expect("a line")).expect("JSON");
    assert_eq!((&told["event"], &told["findings"][0]["at"]), (&"drift".into(), &"/videos/*/video_url_ttl".into()));
    assert_eq!(told["findings"][0]["settles"], serde_json::json!(["link-ttl"]));

    fs::write(&cassette, "no cassette").expect("written");
    assert_eq!(drift(&[name]).code, Some(2));
    assert_eq!(drift(&["nowhere"]).code, Some(2));
}

#[test]
fn a_probe_asks_before_it_spends() {
    let folder = TempDir::new().expect("a folder");
    let cassette = folder.path().join("live.cassette");
    let name = cassette.to_str().expect("text");
    let sandbox = Server::start();
    let probe = |more: &[&str]| {
        let args = ["sandbox", "probe", name, "--upstream", &sandbox.base_url, "--poll-every", "50ms"];
        sandbox.run(folder.path(), &[&args[..], more].concat())
    };
    // Nobody is there to be asked.
    let done = probe(&[]);
    assert_eq!(done.code, Some(2), "{}", done.stdout);
    assert!(done.stderr.contains("--yes lets it pay for up to 3 clips"), "{}", done.stderr);
    assert!(!cassette.exists());

    let done = probe(&["--yes", "--max-paid", "0"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stdout.contains("Accepted: 0."), "{}", done.stdout);
    assert!(!fs::read_to_string(&cassette).expect("a cassette").contains(&sandbox.key));
}

#[test]
fn a_key_does_not_travel_unprotected() {
    let args = ["sandbox", "--record", "never", "--upstream", "http://api.example"];
    let done = Done::from(highway(&args).output().expect("it runs"));
    assert_eq!(done.code, Some(2));
    assert!(done.stderr.contains("would get the API key unprotected"), "{}", done.stderr);
    assert!(!Path::new("never").exists());
}
