//! `highway sandbox`, and the sandbox behind `--sandbox`.

use std::time::Duration;

use highwayapi::Client;
use highwayapi_jobs::{Jobs, SqliteStore};
use highwayapi_sandbox::Sandbox;
use serde_json::json;

use crate::args::Serve;
use crate::exit::{Failure, whole};
use crate::interrupt::Interrupts;
use crate::say;

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
    // Before the address is told: whoever stops it at once leaves no clips behind either.
    let interrupts = Interrupts::listen();
    let mut builder = Sandbox::builder().listen(args.listen);
    for host in args.allow_fetch {
        builder = builder.allow_fetch(host);
    }
    if let Some(url) = args.public_url {
        builder = builder.public_url(url);
    }
    let mut sandbox = builder.start().await.map_err(|error| {
        let text = format!("the sandbox does not start: {}", whole(&error));
        Failure::bad_input(format!("{text}; --listen 127.0.0.1:0 takes a free port"))
    })?;
    let (base_url, key) = (sandbox.base_url(), sandbox.api_key().to_owned());
    if args.json {
        say::result(json!({ "event": "listening", "base_url": base_url, "api_key": key }));
    } else {
        say::result(format_args!("The Highway API, on this machine and without a bill: {base_url}\n"));
        say::result(format_args!("  export HIGHWAY_BASE_URL={base_url}"));
        say::result(format_args!("  export HIGHWAY_API_KEY={key}\n"));
        say::result("Ctrl-C stops it.");
    }
    if !args.listen.ip().is_loopback() {
        say::err("highway: note: others on the network can reach it; --public-url gives links that lead them here");
    }
    match interrupts.stoppable(sandbox.stopped()).await {
        None => Ok(()),
        Some(ended) => ended.map_err(|error| Failure::bad_input(error.to_string())),
    }
}
