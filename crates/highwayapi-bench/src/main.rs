//! Measures this client beside its peers and the physical limit, all on one machine in one run; see
//! `docs/benchmarks.md`. One program in three parts: it runs the benchmarks, it is the stub that stands in for the
//! service, and it is the clients written in Rust.
#![forbid(unsafe_code)]

mod benchmarks;
mod build_cost;
mod client;
mod ground;
mod load;
mod machine;
mod peers;
mod picture;
mod player;
mod report;
mod run;
mod stats;
mod stub;

use std::path::Path;
use std::process::ExitCode;

/// Whatever went wrong, as a sentence.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const USAGE: &str = "\
usage: highwayapi-bench run [--runs N] [--only B1,B5] [--quick]
       highwayapi-bench stub CERTIFICATE ANSWERS
       highwayapi-bench client ours|ours-threads|naive|bare|curl|curl-data SCENARIO ARGS…";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["run", options @ ..] => run::Options::parse(options).and_then(|options| run::all(&options)),
        ["stub", certificate, answers] => stub::serve(Path::new(certificate), Path::new(answers)),
        ["client", name, scenario, args @ ..] => client::run(name, scenario, args),
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("highwayapi-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
