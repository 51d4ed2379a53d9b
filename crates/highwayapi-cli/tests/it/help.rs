//! The help texts, for reviewing.

use crate::process::run;

fn help(args: &[&str]) -> String {
    let done = run(&[args, &["--help"]].concat());
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    done.stdout
}

#[test]
fn the_command() {
    insta::assert_snapshot!(help(&[]));
}

#[test]
fn generate() {
    insta::assert_snapshot!(help(&["generate"]));
}

#[cfg(feature = "sandbox")]
#[test]
fn recording() {
    let all = ["drift", "probe"].map(|command| format!("highway sandbox {command}\n{}", help(&["sandbox", command])));
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn the_smaller_ones() {
    let all = ["submit", "wait", "fetch", "resume", "adopt", "resolve", "tasks", "show", "verify", "sandbox"]
        .map(|command| format!("highway {command}\n{}", help(&[command])));
    // `submit` repeats the fields of `generate`: only its head is of interest.
    let [submit, rest @ ..] = &all;
    let submit: Vec<&str> = submit.lines().take(4).collect();
    insta::assert_snapshot!(format!("{}\n…\n\n{}", submit.join("\n"), rest.join("\n")));
}

#[test]
fn batches() {
    let all = ["check", "run", "status", "resume", "retry-failed", "cancel", "report"]
        .map(|command| format!("highway batch {command}\n{}", help(&["batch", command])));
    insta::assert_snapshot!(format!("{}\n{}\nhighway worker\n{}", help(&["batch"]), all.join("\n"), help(&["worker"])));
}
