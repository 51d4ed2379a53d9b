//! One run of the benchmarks, from the options to what is printed and written.

use std::time::Instant;

use crate::ground::Ground;
use crate::report::Report;
use crate::{Result, benchmarks, machine};

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

    fn wants(&self, names: &[&str]) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| names.contains(&only.as_str()))
    }
}

pub(crate) fn all(options: &Options) -> Result<()> {
    let ground = Ground::prepare(options.runs, options.quick)?;
    let mut report = Report { machine: machine::describe(), runs: options.runs, ..Report::default() };
    for (names, benchmark) in benchmarks::ALL.iter().filter(|(names, _)| options.wants(names)) {
        let began = Instant::now();
        eprintln!("{} …", names.join(", "));
        benchmark(&ground, &mut report)?;
        eprintln!("{} took {:.0} s", names.join(", "), began.elapsed().as_secs_f64());
    }
    println!("{}\n", report.machine);
    println!("{}", report.markdown());
    Ok(())
}
