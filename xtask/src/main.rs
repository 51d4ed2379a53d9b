//! Chores of the workspace: `cargo xtask regen [--check]`, `cargo xtask bench`.

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask regen [--check]
       cargo xtask bench [--runs N] [--only B1,B5] [--quick]

  regen           rewrite everything that derives from openapi.yaml and admin.yaml
  regen --check   change nothing; fail if anything would change
  bench           measure this client beside its peers and write docs/benchmarks.*
  bench --only …  some benchmarks, printed and not written; --quick: all, with little of everything";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["regen"] => xtask::regen(xtask::Mode::Write),
        ["regen", "--check"] => xtask::regen(xtask::Mode::Check),
        ["bench", options @ ..] => xtask::bench(options),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
