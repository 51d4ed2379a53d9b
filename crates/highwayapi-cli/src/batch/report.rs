//! `highway batch report`: what became of a batch, to be looked at or computed with.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use highwayapi_jobs::batch::Report;
use highwayapi_jobs::{Batch, Job, Ledger, State, Which};

use crate::args;
use crate::batch::status::find;
use crate::exit::Failure;
use crate::hint::highway;
use crate::say;
use crate::service;
use crate::show::near;

pub(super) async fn report(args: args::batch::Report) -> Result<(), Failure> {
    let ledger = service::ledger().await?;
    let batch = find(&ledger, &args.batch).await?;
    let report = of(&ledger, &batch).await?;
    let output = args.output.unwrap_or_else(|| PathBuf::from(format!("report.{}", args.format)));
    if output == Path::new("-") {
        return write(&report, &args.format, io::stdout().lock(), Path::new("."), args.embed)
            .map_err(|error| Failure::bad_input(format!("the report cannot be written: {error}")));
    }
    if !args.overwrite && output.symlink_metadata().is_ok() {
        let text = format!("output: {} exists already; choose another name or --overwrite it", output.display());
        return Err(Failure::bad_input(text));
    }
    save(&report, &args.format, &output, args.embed, false)
}

/// The report of a batch as it is now.
pub(super) async fn of(ledger: &Ledger, batch: &Batch) -> Result<Report, Failure> {
    Ok(Report::new(batch, ledger.those(Which::Batch(&batch.id)).await?, way_out))
}

/// What leads on, for one item.
fn way_out(job: &Job) -> Option<String> {
    match job.state {
        State::Unknown => Some(highway(format_args!("resolve {}", job.id))),
        State::Submitted | State::Succeeded => Some(highway(format_args!("resume {}", job.id))),
        _ => None,
    }
}

/// Writes it beside its name and then gives it that: who looks at it meanwhile sees the one before, whole.
pub(super) fn save(report: &Report, format: &str, output: &Path, embed: bool, json: bool) -> Result<(), Failure> {
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut new = output.as_os_str().to_owned();
    new.push(".highway-new");
    let written = File::create(&new).and_then(|file| {
        write(report, format, BufWriter::new(file), folder, embed)?;
        fs::rename(&new, output)
    });
    if let Err(error) = written {
        let _ = fs::remove_file(&new);
        return Err(Failure::bad_input(format!("output: {} cannot be written ({error})", output.display())));
    }
    match json {
        true => say::result(serde_json::json!({ "event": "report", "file": near(output) })),
        false => say::result(near(output)),
    };
    Ok(())
}

fn write(report: &Report, format: &str, out: impl Write, folder: &Path, embed: bool) -> io::Result<()> {
    match format {
        "json" => report.write_json(out),
        "csv" => report.write_csv(out),
        _ => report.write_html(out, folder, embed),
    }
}
