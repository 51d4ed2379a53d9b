//! Tries out everything that can go wrong, and prints the page of it: `docs/faults.md`.

use std::env::args;
use std::path::PathBuf;
use std::process::ExitCode;

use fault_tests::{Highway, Result, run};

const USAGE: &str = "faults [ROW or part of a name] [--highway FILE]";

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let (mut only, mut binary) = (String::new(), None);
    let mut args = args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--highway" => binary = Some(PathBuf::from(args.next().ok_or(USAGE)?)),
            _ if arg.starts_with('-') => return Err(USAGE.into()),
            _ => only = arg,
        }
    }
    let highway = match binary {
        Some(path) => Highway::at(path.canonicalize()?)?,
        None => Highway::build()?,
    };
    let report = run(&highway, &only).await?;
    print!("{}", report.markdown());
    for name in report.left_out() {
        eprintln!("left out, for it cannot be tried out here: {name}");
    }
    let problems = report.problems();
    for problem in &problems {
        eprintln!("{problem}");
    }
    eprintln!("{} rows, {} problems", report.len(), problems.len());
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
