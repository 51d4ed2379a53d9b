//! `highway sandbox`, and the sandbox behind `--sandbox`.

use std::error::Error;
use std::time::Duration;

use highwayapi::Client;
use highwayapi_jobs::{Jobs, SqliteStore};
use highwayapi_sandbox::{Builder, Clock, Sandbox, Script};
use serde_json::json;

use crate::args::{Clockwork, FaultFlags, Serve};
use crate::exit::{Failure, whole};
use crate::interrupt::Interrupts;
use crate::{recording, say};

/// A sandbox for one command; it ends when it is dropped.
pub(crate) async fn start() -> Result<Sandbox, Failure> {
    Sandbox::start().await.map_err(|error| Failure::bad_input(format!("the sandbox does not start: {}", whole(&error))))
}

/// With a record that ends with the sandbox. Asks more often than a service on the network would like.
pub(crate) fn jobs(sandbox: &Sandbox, timeout: Duration, idle_timeout: Duration) -> Result<Jobs, Failure> {
    let interval = Duration::from_millis(100)..=Duration::from_millis(500);
    let builder = Client::builder(sandbox.api_key()).base_url(sandbox.base_url()).poll_interval(interval);
    let builder = builder.wait_timeout(timeout).idle_timeout(idle_timeout);
    Ok(Jobs::with_store(builder.build()?, SqliteStore::in_memory()?))
}

pub(crate) async fn serve(args: Serve) -> Result<(), Failure> {
    if args.faults.list_scenarios {
        list_scenarios(args.json);
        return Ok(());
    }
    if let Some(done) = recording::instead(args.recording, args.listen, &args.allow_host, args.json).await {
        return done;
    }
    // Before the address is told: whoever stops it at once leaves no clips behind either.
    let interrupts = Interrupts::listen();
    let mut builder = configured(&args.clockwork)?.listen(args.listen);
    if let Some(script) = script(&args.faults)? {
        builder = builder.faults(script);
    }
    for name in args.allow_host {
        builder = builder.allow_host(name);
    }
    for host in args.allow_fetch {
        builder = builder.allow_fetch(host);
    }
    if let Some(url) = args.public_url {
        builder = builder.public_url(url);
    }
    let mut sandbox = builder.start().await.map_err(|error| {
        let taken = error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>());
        let taken = taken.is_some_and(|cause| cause.kind() == std::io::ErrorKind::AddrInUse);
        let hint = if taken { "; --listen 127.0.0.1:0 takes a free port" } else { "" };
        Failure::bad_input(format!("the sandbox does not start: {}{hint}", whole(&error)))
    })?;
    let (base_url, key, seed) = (sandbox.base_url(), sandbox.api_key().to_owned(), sandbox.seed());
    if args.json {
        let admin_url = format!("{base_url}/_sandbox");
        say::result(json!({
            "event": "listening", "base_url": base_url, "admin_url": admin_url, "api_key": key, "seed": seed,
        }));
    } else {
        say::result(format_args!("The Highway API, on this machine and without a bill: {base_url}\n"));
        say::result(format_args!("  export HIGHWAY_BASE_URL={base_url}"));
        say::result(format_args!("  export HIGHWAY_API_KEY={key}\n"));
        say::result(format_args!("{base_url}/ shows in a browser what happens, and lets things go wrong."));
        say::result(format_args!("All that is drawn follows from --seed {seed}. Ctrl-C stops it."));
    }
    if !args.listen.ip().is_loopback() {
        say::err("highway: note: others on the network can reach it; --public-url gives links that lead them here");
    }
    let stopped = async {
        tokio::select! {
            stopped = sandbox.stopped() => stopped,
            () = abandoned(), if args.json => Ok(()),
        }
    };
    match interrupts.stoppable(stopped).await {
        None => Ok(()),
        Some(ended) => ended.map_err(|error| Failure::bad_input(error.to_string())),
    }
}

fn configured(args: &Clockwork) -> Result<Builder, Failure> {
    let mut builder =
        Sandbox::builder().lenient(args.lenient).link_ttl(args.link_ttl).max_open_tasks(args.max_open_tasks);
    for key in &args.api_key {
        builder = builder.api_key(key);
    }
    if let Some(seed) = args.seed {
        builder = builder.seed(seed);
    }
    if let Some(speed) = args.speed {
        builder = builder.clock(Clock::scaled(speed).map_err(|error| Failure::bad_input(error.to_string()))?);
    }
    if args.stepped {
        builder = builder.clock(Clock::stepped());
    }
    if let Some(time) = args.run_time {
        builder = builder.run_time(time);
    }
    if let Some(time) = args.queue_time {
        builder = builder.queue_time(time);
    }
    if let Some(folder) = &args.state {
        builder = builder.state(folder);
    }
    Ok(builder)
}

fn script(args: &FaultFlags) -> Result<Option<Script>, Failure> {
    let read = match (&args.scenario, &args.faults) {
        (Some(name), _) => Script::scenario(name).map_err(|error| error.to_string()),
        (None, Some(file)) => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| Failure::bad_input(format!("--faults: {} cannot be read: {error}", file.display())))?;
            let is_json = file.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("json"));
            let read = if is_json { Script::from_json(&text) } else { Script::from_toml(&text) };
            read.map_err(|error| format!("{}: {error}", file.display()))
        }
        (None, None) => return Ok(None),
    };
    read.map(Some).map_err(Failure::bad_input)
}

fn list_scenarios(json: bool) {
    for script in Script::scenarios() {
        let (name, description, advice) = (script.name(), script.description(), script.advice());
        if json {
            say::result(json!({ "scenario": name, "description": description, "advice": advice }));
        } else {
            say::result(format_args!("{name}\n  {description}\n  What a client should do: {advice}"));
        }
    }
}

/// Returns once standard input has ended, if it is a pipe or a socket: whoever started the sandbox holds the other end, and
/// is gone then, however it ended. Never returns for a terminal, a file or `/dev/null`.
async fn abandoned() {
    if !is_pipe() {
        return std::future::pending().await;
    }
    let (ended, end) = tokio::sync::oneshot::channel();
    // A thread of its own: a read that blocks for good must not hold up the end of the command.
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = ended.send(());
    });
    let _ = end.await;
}

#[cfg(unix)]
fn is_pipe() -> bool {
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileTypeExt;
    let Ok(input) = std::io::stdin().as_fd().try_clone_to_owned() else { return false };
    let kind = std::fs::File::from(input).metadata().map(|metadata| metadata.file_type());
    kind.is_ok_and(|kind| kind.is_fifo() || kind.is_socket())
}

#[cfg(not(unix))]
fn is_pipe() -> bool {
    false
}
