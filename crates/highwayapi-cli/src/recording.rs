//! `highway sandbox --record`, `--replay`, `drift` and `probe`: what the real service says, kept and compared.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::Path;

use highwayapi_sandbox::Error;
use highwayapi_sandbox::cassette::drift::drift;
use highwayapi_sandbox::cassette::probe::{Go, Probe, Watcher};
use highwayapi_sandbox::cassette::{Cassette, Recorder, RecorderBuilder, Replay};
use serde_json::{Value, json};

use crate::args::{Drift, ProbeArgs, Recording, RecordingCommand};
use crate::exit::{Failure, whole};
use crate::interrupt::Interrupts;
use crate::say;

/// What was asked for instead of a sandbox, if anything was.
pub(crate) async fn instead(
    args: Recording,
    listen: SocketAddr,
    allow_host: &[String],
    json: bool,
) -> Option<Result<(), Failure>> {
    Some(match args {
        Recording { command: Some(RecordingCommand::Drift(args)), .. } => compare(&args).await,
        Recording { command: Some(RecordingCommand::Probe(args)), .. } => probe(args).await,
        Recording { record: Some(cassette), upstream: Some(upstream), keep_videos, .. } => {
            let recorder = Recorder::builder(&upstream, &cassette).listen(listen).keep_videos(keep_videos);
            let recorder = allow_host.iter().fold(recorder, RecorderBuilder::allow_host);
            record(recorder, &cassette, &upstream, listen, json).await
        }
        Recording { replay: Some(cassette), .. } => replay(&cassette, listen, allow_host, json).await,
        Recording { .. } => return None,
    })
}

async fn record(
    recorder: RecorderBuilder,
    cassette: &Path,
    upstream: &str,
    listen: SocketAddr,
    json: bool,
) -> Result<(), Failure> {
    let interrupts = Interrupts::listen();
    let mut recorder = recorder.start().await.map_err(|error| failed(&error))?;
    let base_url = recorder.base_url().to_owned();
    if json {
        let (cassette, event) = (cassette.display().to_string(), "listening");
        say::result(json!({ "event": event, "base_url": base_url, "upstream": upstream, "cassette": cassette }));
    } else {
        let cassette = cassette.display();
        say::result(format_args!("Passes calls on to {upstream} and records them in {cassette}: {base_url}\n"));
        say::result(format_args!("  export HIGHWAY_BASE_URL={base_url}\n"));
        say::result("They are real: your own key goes with them, and what is accepted is paid for. Ctrl-C stops it.");
    }
    if !listen.ip().is_loopback() {
        say::err("highway: note: others on the network can reach it, and their keys come here unprotected");
    }
    let Some(ended) = interrupts.stoppable(recorder.stopped()).await else {
        // What was passed on may be paid for: its answer holds the id of the task.
        tokio::select! {
            biased;
            () = recorder.stop() => {}
            () = interrupts.pressed(2) => say::err("highway: left before every answer was there; the cassette tells which"),
        }
        return Ok(());
    };
    ended.map_err(|error| failed(&error))
}

async fn replay(cassette: &Path, listen: SocketAddr, allow_host: &[String], json: bool) -> Result<(), Failure> {
    let interrupts = Interrupts::listen();
    let mut replay = Replay::start(cassette, listen, allow_host).await.map_err(|error| failed(&error))?;
    let (base_url, stand_ins) = (replay.base_url().to_owned(), replay.stand_ins());
    if json {
        let (cassette, cut) = (cassette.display().to_string(), replay.is_cut());
        say::result(json!({
            "event": "listening", "base_url": base_url, "cassette": cassette, "stand_ins": stand_ins, "cut": cut,
        }));
    } else {
        say::result(format_args!("Answers as {} was recorded: {base_url}\n", cassette.display()));
        say::result(format_args!("  export HIGHWAY_BASE_URL={base_url}"));
        say::result("  export HIGHWAY_API_KEY=any\n");
        if stand_ins > 0 {
            say::result(format_args!(
                "Videos that were not kept, and that black ones of their size stand for: {stand_ins}"
            ));
        }
        if replay.is_cut() {
            say::result("The last line of the cassette is not whole; what is before it is served.");
        }
        say::result("Ctrl-C stops it.");
    }
    if !listen.ip().is_loopback() {
        say::err("highway: note: others on the network can reach it");
    }
    interrupts.stoppable(replay.stopped()).await.unwrap_or(Ok(())).map_err(|error| failed(&error))
}

async fn compare(args: &Drift) -> Result<(), Failure> {
    let cassette = Cassette::read(&args.cassette).map_err(|error| failed(&error))?;
    let report = drift(&cassette).await.map_err(|error| failed(&error))?;
    if args.json {
        let told = serde_json::to_value(&report).map_err(|error| Failure::bad_input(error.to_string()))?;
        let Value::Object(mut told) = told else { return Ok(()) };
        told.insert("event".to_owned(), "drift".into());
        say::result(Value::Object(told));
    } else {
        say::result(report.to_string().trim_end());
    }
    match report.findings.len() {
        0 => Ok(()),
        findings => Err(Failure::differs(findings)),
    }
}

async fn probe(args: ProbeArgs) -> Result<(), Failure> {
    let key = std::env::var("HIGHWAY_API_KEY").unwrap_or_default();
    if key.trim().is_empty() {
        return Err(Failure::bad_input("HIGHWAY_API_KEY is not set; the probe asks with your own key"));
    }
    if !args.yes && !std::io::stdin().is_terminal() {
        let most = args.max_paid;
        let text =
            format!("nobody can be asked: standard input is no terminal; --yes lets it pay for up to {most} clips");
        return Err(Failure::bad_input(text));
    }
    let mut terminal = Terminal { yes: args.yes };
    let probe = Probe::new(&args.upstream, key.trim(), &args.cassette).max_paid(args.max_paid);
    let outcome = probe.poll_every(args.poll_every).run(&mut terminal).await.map_err(|error| failed(&error))?;
    let cassette = args.cassette.display();
    say::result(format_args!("\nAccepted: {}. All of it is in {cassette}; what it says:", outcome.paid));
    say::result(format_args!("  highway sandbox drift {cassette}"));
    match outcome.unknown {
        0 => Ok(()),
        unknown => Err(Failure::unknown_probes(unknown)),
    }
}

struct Terminal {
    yes: bool,
}

impl Watcher for Terminal {
    fn tell(&mut self, line: &str) {
        say::out(line);
    }

    fn may(&mut self, question: &str) -> Go {
        if self.yes {
            say::out(format_args!("{question} yes"));
            return Go::Yes;
        }
        match ask(&format!("{question} [y/N/q] ")).to_lowercase().as_str() {
            "y" | "yes" => Go::Yes,
            "q" | "quit" => Go::Stop,
            _ => Go::No,
        }
    }

    fn text(&mut self, question: &str) -> Option<String> {
        if self.yes { None } else { Some(ask(&format!("{question} "))) }
    }
}

/// What was typed; the end of the input leaves.
fn ask(question: &str) -> String {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(question.as_bytes()).and_then(|()| stdout.flush());
    let mut line = String::new();
    match std::io::stdin().read_line(&mut line) {
        Ok(0) | Err(_) => "q".to_owned(),
        Ok(_) => line.trim().to_owned(),
    }
}

fn failed(error: &Error) -> Failure {
    Failure::bad_input(whole(error))
}
