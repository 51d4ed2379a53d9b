//! The command `highway`: parses, calls, prints. What it calls are the crates `highwayapi` and `highwayapi-jobs`.
#![forbid(unsafe_code)]

mod args;
mod batch;
mod exit;
mod frames;
mod hint;
mod interrupt;
#[cfg(feature = "sandbox")]
mod recording;
mod report;
mod resolve;
mod resume;
#[cfg(feature = "sandbox")]
mod sandbox;
mod say;
mod service;
mod show;
mod steps;

use std::process::ExitCode;

use args::{Args, Command};
use clap::Parser;
use exit::Failure;
use tokio::runtime;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return exit::usage(&error),
    };
    // One thread, and others only for what may block; a sandbox serves and renders.
    let mut runtime = match args.command.has_sandbox() {
        true => runtime::Builder::new_multi_thread(),
        false => runtime::Builder::new_current_thread(),
    };
    let runtime = match runtime.worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say::err(format_args!("highway: no threads: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let json = args.command.json();
    hint::set_flags(args.command.service_flags(), args.store.as_deref());
    service::keep_at(args.store.clone(), args.command.requests_per_minute());
    let done = runtime.block_on(run(args));
    // A poll that hangs must not keep the process.
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json),
    }
}

async fn run(args: Args) -> Result<(), Failure> {
    if args.store.is_some() && args.command.has_sandbox() {
        return Err(Failure::bad_input("store: a sandbox of one command has a record of its own, which ends with it"));
    }
    match args.command {
        Command::Generate(generate) => steps::generate(generate).await,
        Command::Submit(submit) => steps::submit(submit).await,
        Command::Wait(wait) => steps::wait(wait).await,
        Command::Fetch(fetch) => steps::fetch(fetch).await,
        Command::Tasks(tasks) => show::tasks(tasks).await,
        Command::Show(show) => show::show(show).await,
        Command::Resume(resume) => resume::resume(resume).await,
        Command::Adopt(adopt) => steps::adopt(adopt).await,
        Command::Resolve(resolve) => resolve::resolve(resolve).await,
        Command::Verify(verify) => show::check(verify).await,
        Command::Batch(batch) => batch::batch(batch.command).await,
        Command::Worker(worker) => batch::work(worker).await,
        #[cfg(feature = "sandbox")]
        Command::Sandbox(serve) => sandbox::serve(*serve).await,
    }
}
