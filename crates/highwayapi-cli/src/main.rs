//! The command `highway`: parses, calls, prints. What it calls is the crate `highwayapi`.
#![forbid(unsafe_code)]

mod args;
mod exit;
mod frames;
mod interrupt;
mod record;
mod report;
#[cfg(feature = "sandbox")]
mod sandbox;
mod say;
mod steps;

use std::process::ExitCode;

use args::{Args, Command};
use clap::Parser;
use exit::Failure;

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say::err(format_args!("highway: no threads: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let (json, flags) = (args.command.json(), args.command.service_flags());
    let done = runtime.block_on(run(args));
    // A poll that hangs must not keep the process.
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json, &flags),
    }
}

async fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Generate(generate) => steps::generate(generate).await,
        Command::Submit(submit) => steps::submit(submit).await,
        Command::Wait(wait) => steps::wait(wait).await,
        Command::Fetch(fetch) => steps::fetch(fetch).await,
        #[cfg(feature = "sandbox")]
        Command::Sandbox(serve) => sandbox::serve(serve).await,
    }
}
