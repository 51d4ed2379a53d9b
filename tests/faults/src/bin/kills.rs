//! Kills a worker at random moments, and prints what that cost: `docs/kills.md` keeps a long run.

use std::env::{args, current_exe};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use fault_tests::kills::{Plan, run, work};
use fault_tests::{Highway, Result};

const USAGE: &str = "kills [--kills N] [--clips N] [--seed N] [--highway FILE]";

fn main() -> Result<ExitCode> {
    let args: Vec<String> = args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == "work") {
        return work(&args[1..]).map(|()| ExitCode::SUCCESS);
    }
    let (mut plan, mut binary) = (Plan { seed: fastrand::u64(..1 << 32), ..Plan::default() }, None);
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let value = args.next().ok_or(USAGE)?;
        match arg.as_str() {
            "--kills" => plan.kills = value.parse()?,
            "--clips" => plan.clips = value.parse()?,
            "--seed" => plan.seed = value.parse()?,
            "--highway" => binary = Some(PathBuf::from(value)),
            _ => return Err(USAGE.into()),
        }
    }
    let highway = match binary {
        Some(path) => Highway::at(path.canonicalize()?)?,
        None => Highway::build()?,
    };
    eprintln!("seed {}", plan.seed);
    let started = Instant::now();
    let runtime = tokio::runtime::Runtime::new()?;
    let tally = runtime.block_on(run(&plan, &highway, &current_exe()?))?;
    print!("{}", plan.page(&tally));
    eprintln!("{} s", started.elapsed().as_secs());
    Ok(if tally.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
