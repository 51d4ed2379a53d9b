//! What the command refuses before a byte is sent, and how it says so.

use std::fs;

use tempfile::TempDir;

use crate::fake::{Fake, Reply};
use crate::process::{highway, photograph, run};

/// An address where nobody listens: whatever gets as far as the network fails there, with another exit code.
const NOWHERE: &str = "http://127.0.0.1:9";

#[test]
fn bad_input_is_named_and_exits_with_2() {
    let folder = TempDir::new().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (first, last) = (photograph("first.jpg"), photograph("last.jpg"));
    fs::write(at("empty.png"), "").expect("written");
    fs::write(at("text.jpg"), "no picture").expect("written");
    fs::write(at("short.png"), b"\x89PNG\r\n\x1a\n\0\0").expect("written");
    fs::write(at("there.mp4"), "").expect("written");

    let mut said = String::new();
    let cases: &[(&str, &[&str])] = &[
        ("a missing picture", &[&at("none.png"), &last, "-p", "x"]),
        ("an empty picture", &[&at("empty.png"), &last, "-p", "x"]),
        ("no picture at all", &[&first, &at("text.jpg"), "-p", "x"]),
        ("half a header", &[&first, &at("short.png"), "-p", "x"]),
        ("a folder", &[&at(""), &last, "-p", "x"]),
        ("a URL without a host", &["https:///first.png", &last, "-p", "x"]),
        ("a broken data URI", &["data:image/png;base64,####", &last, "-p", "x"]),
        ("a GIF as data URI", &["data:image/gif;base64,R0lG", &last, "-p", "x"]),
        ("an empty prompt", &[&first, &last, "-p", " "]),
        ("an existing target", &[&first, &last, "-p", "x", "-o", &at("there.mp4")]),
        ("a target in no folder", &[&first, &last, "-p", "x", "-o", &at("none/clip.mp4")]),
        ("a folder as target", &[&first, &last, "-p", "x", "-o", &at(""), "--overwrite"]),
        ("a target named like its record", &[&first, &last, "-p", "x", "-o", &at("clip.json")]),
        ("a resolution of another service", &[&first, &last, "-p", "x", "--resolution", "4k"]),
        ("too long", &[&first, &last, "-p", "x", "--duration-seconds", "10"]),
        ("too many", &[&first, &last, "-p", "x", "--sample-count", "5"]),
        ("a negative seed", &[&first, &last, "-p", "x", "--seed=-1"]),
        ("requests that are no number", &[&first, &last, "-p", "x", "--requests-per-minute", "many"]),
        ("negative requests", &[&first, &last, "-p", "x", "--requests-per-minute", "-1"]),
        ("a key as a flag", &[&first, &last, "-p", "x", "--api-key", "sk-1"]),
    ];
    for (name, args) in cases {
        let mut command = highway(&["generate", "--base-url", NOWHERE]);
        let output = command.args(*args).env("HIGHWAY_API_KEY", "sk-1").output().expect("the command runs");
        let done = crate::process::Done::from(output);
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{name}: {}", done.stderr);
        let stderr = done.stderr.lines().take_while(|line| !line.starts_with("Usage")).filter(|line| !line.is_empty());
        said += &format!("{name}\n    {}\n", stderr.collect::<Vec<_>>().join("\n    "));
    }
    let said = said.replace(&at(""), "FOLDER/").replace(&photograph(""), "FRAMES/");
    insta::assert_snapshot!(said);
}

#[test]
fn without_a_key_the_way_out_is_told() {
    let done = run(&["generate", &photograph("first.jpg"), &photograph("last.jpg"), "-p", "x", "-o", "/tmp/none.mp4"]);
    assert_eq!(done.code, Some(2));
    insta::assert_snapshot!(done.stderr, @"highway: no API key: set HIGHWAY_API_KEY; without one there is the sandbox (`highway generate --sandbox`)\n  charged: no");
}

#[test]
fn no_connection_costs_nothing_and_exits_with_1() {
    let mut command = highway(&["submit", &photograph("first.jpg"), &photograph("last.jpg"), "-p", "x", "--json"]);
    let output = command.env("HIGHWAY_API_KEY", "sk-1").env("HIGHWAY_BASE_URL", NOWHERE).output();
    let done = crate::process::Done::from(output.expect("the command runs"));
    assert_eq!(done.code, Some(1));
    let last = done.stdout.lines().last().expect("a result");
    let last: serde_json::Value = serde_json::from_str(last).expect("JSON");
    assert_eq!((&last["event"], &last["charged"], &last["exit_code"]), (&"error".into(), &"no".into(), &1.into()));
    assert!(!done.stdout.contains("sk-1") && !done.stderr.contains("sk-1"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_in_which_nothing_can_be_made_is_found_before_anything_is_sent() {
    // Not even the superuser makes files there.
    let args = ["generate", &photograph("first.jpg"), &photograph("last.jpg"), "-p", "x", "-o", "/proc/clip.mp4"];
    let output = highway(&args).env("HIGHWAY_API_KEY", "sk-1").env("HIGHWAY_BASE_URL", NOWHERE).output();
    let done = crate::process::Done::from(output.expect("the command runs"));
    assert_eq!(done.code, Some(2));
    let expected = "highway: output: no file can be made at /proc/clip.mp4; choose another name\n  because: ";
    assert!(done.stderr.starts_with(expected), "{}", done.stderr);
}

#[cfg(unix)]
#[test]
fn a_task_of_which_nothing_is_heard_is_not_said_to_go_on() {
    let fake = Fake::start(|_, _| Reply::Silence);
    let mut command = highway(&["wait", "7b8e1d1c", "--timeout", "1h"]);
    command.env("HIGHWAY_API_KEY", "sk-1").env("HIGHWAY_BASE_URL", &fake.base_url);
    let process = command.spawn().expect("the command runs");
    fake.request();
    crate::process::interrupt(&process);
    let done = crate::process::Done::from(process.wait_with_output().expect("it ends"));
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    assert_eq!(done.stderr, "highway: stopped waiting; nothing was heard of task 7b8e1d1c yet\n  charged: unknown\n");
}
