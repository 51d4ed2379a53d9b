//! One run of the benchmarks, from the options to what is printed and written.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Instant, SystemTime};

use crate::ground::Ground;
use crate::report::Report;
use crate::{Result, benchmarks, machine, picture};

/// What was asked for on the command line.
pub(crate) struct Options {
    runs: usize,
    only: Vec<String>,
    quick: bool,
}

impl Options {
    pub(crate) fn parse(words: &[&str]) -> Result<Self> {
        let mut options = Self { runs: 7, only: Vec::new(), quick: false };
        let mut words = words.iter();
        while let Some(&word) = words.next() {
            match word {
                "--quick" => (options.quick, options.runs) = (true, 1),
                "--runs" => options.runs = words.next().ok_or("--runs needs a number")?.parse()?,
                "--only" => {
                    let names = words.next().ok_or("--only needs names such as B1,B5")?;
                    options.only = names.split(',').map(str::to_owned).collect();
                }
                other => return Err(format!("no option {other}; there are --runs N, --only B1,B5 and --quick").into()),
            }
        }
        if options.runs == 0 {
            return Err("--runs needs at least one".into());
        }
        Ok(options)
    }

    /// Whether what comes out is worth keeping.
    fn is_whole(&self) -> bool {
        self.only.is_empty() && !self.quick
    }

    fn wants(&self, names: &[&str]) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| names.contains(&only.as_str()))
    }
}

pub(crate) fn all(options: &Options) -> Result<()> {
    let ground = Ground::prepare(options.runs, options.quick)?;
    let today = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let mut report = Report {
        machine: machine::describe(),
        date: today.chars().take(10).collect(),
        programs: ["rustc", "curl", "python3", "node"].iter().map(|program| version(program)).collect(),
        runs: options.runs,
        clients: ground.players.iter().map(|player| (player.name.clone(), player.note.clone())).collect(),
        ..Report::default()
    };
    for (names, benchmark) in benchmarks::ALL.iter().filter(|(names, _)| options.wants(names)) {
        let began = Instant::now();
        eprintln!("{} …", names.join(", "));
        if let Err(error) = benchmark(&ground, &mut report) {
            report.failures.push(format!("{} failed: {error}", names.join(", ")));
        }
        eprintln!("{} took {:.0} s", names.join(", "), began.elapsed().as_secs_f64());
    }
    println!("{}; {}\n", report.machine, report.programs.join(", "));
    println!("{}", report.markdown());
    if options.is_whole() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        fs::write(docs.join("benchmarks.md"), report.document())?;
        fs::write(docs.join("benchmarks.svg"), picture::svg(&report))?;
        fs::write(docs.join("benchmarks.json"), report.numbers()?)?;
        eprintln!("wrote docs/benchmarks.md, .svg and .json");
    }
    if report.failures.is_empty() { Ok(()) } else { Err(report.failures.join("; ").into()) }
}

/// The first line of what a program says of its version.
fn version(program: &str) -> String {
    let said = Command::new(program).arg("--version").output().ok();
    let line = said.and_then(|said| Some(String::from_utf8_lossy(&said.stdout).lines().next()?.to_owned()));
    let line = line.map(|line| line.split(" (").next().unwrap_or_default().to_owned());
    match line {
        Some(line) if line.starts_with('v') => format!("{program} {line}"),
        Some(line) => line,
        None => format!("no {program}"),
    }
}
