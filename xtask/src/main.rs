//! Chores of the workspace: `cargo xtask regen [--check]`.

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask regen [--check]

  regen           rewrite everything that derives from openapi.yaml
  regen --check   change nothing; fail if anything would change";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["regen"] => xtask::regen(xtask::Mode::Write),
        ["regen", "--check"] => xtask::regen(xtask::Mode::Check),
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
