//! What can be typed after `highway batch`, and after `highway worker`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Subcommand, ValueHint};
use highwayapi_jobs::Money;
use highwayapi_jobs::batch::Format;

use super::{Limit, Service};

#[derive(clap::Args, Debug)]
pub(crate) struct Batch {
    #[command(subcommand)]
    pub(crate) command: BatchCommand,
}

#[derive(Subcommand, Debug)]
pub(crate) enum BatchCommand {
    /// Looks at everything before a cent is spent: pictures, targets, duplicates, what was paid for before
    Check(Check),
    /// Makes the clips of a manifest; run again, it goes on where it was
    Run(Run),
    /// Tells how far batches are
    Status(Status),
    /// Goes on with a batch from the record, without its manifest
    Resume(Resume),
    /// Tries items again that came to nothing
    RetryFailed(RetryFailed),
    /// Ends a batch: what was sent is finished by `resume`, and nothing more is sent
    Cancel(Cancel),
    /// Writes a page with all clips, or a table
    Report(Report),
}

impl BatchCommand {
    pub(super) fn service(&self) -> Option<&Service> {
        match self {
            Self::Check(check) => Some(&check.service),
            Self::Run(run) => Some(&run.service),
            Self::Resume(resume) => Some(&resume.service),
            Self::RetryFailed(retry) => Some(&retry.resume.service),
            Self::Status(_) | Self::Cancel(_) | Self::Report(_) => None,
        }
    }

    pub(super) fn json(&self) -> bool {
        match self {
            Self::Check(check) => check.json,
            Self::Run(run) => run.json,
            Self::Status(status) => status.json,
            Self::Resume(resume) => resume.json,
            Self::RetryFailed(retry) => retry.resume.json,
            Self::Cancel(cancel) => cancel.json,
            Self::Report(_) => false,
        }
    }
}

#[derive(clap::Args, Debug)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) source: Source,
    #[command(flatten)]
    pub(crate) means: Means,
    #[command(flatten)]
    pub(crate) service: Service,
    /// Prints one JSON object a line for every finding, and one with the totals
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) source: Source,
    /// Prints what would be sent and what it costs, and sends nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) means: Means,
    #[command(flatten)]
    pub(crate) consent: Consent,
    #[command(flatten)]
    pub(crate) pace: Pace,
    /// Writes a page with all clips there at the end, replacing the one of last time
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) report: Option<PathBuf>,
    /// Uses a sandbox and a record of its own for this one command: no key, no bill, real videos
    #[cfg(feature = "sandbox")]
    #[arg(long, conflicts_with = "base_url")]
    pub(crate) sandbox: bool,
    #[command(flatten)]
    pub(crate) service: Service,
    #[command(flatten)]
    pub(crate) limit: Limit,
    /// Prints one JSON object a line for every event; the last one is the result
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Status {
    /// The batch: its id, its name, or its manifest; without it all are listed
    pub(crate) batch: Option<String>,
    /// Prints one JSON object a line for every batch
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Resume {
    /// The batch: its id, its name, or its manifest
    pub(crate) batch: String,
    #[command(flatten)]
    pub(crate) caps: Caps,
    #[command(flatten)]
    pub(crate) consent: Consent,
    #[command(flatten)]
    pub(crate) pace: Pace,
    #[command(flatten)]
    pub(crate) service: Service,
    #[command(flatten)]
    pub(crate) limit: Limit,
    /// Prints one JSON object a line for every event; the last one is the result
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct RetryFailed {
    /// Also those that failed at the service, which may have been billed; without it only what was refused and cost nothing
    #[arg(long)]
    pub(crate) again: bool,
    #[command(flatten)]
    pub(crate) resume: Resume,
}

/// Works on the batches of a record, beside any number of others.
#[derive(clap::Args, Debug)]
pub(crate) struct Worker {
    /// Where clips go, instead of the folders that the batches were planned for
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub(crate) output_dir: Option<PathBuf>,
    /// Ends once nothing is left to do, instead of waiting for more
    #[arg(long)]
    pub(crate) until_done: bool,
    #[command(flatten)]
    pub(crate) pace: Pace,
    #[command(flatten)]
    pub(crate) service: Service,
    #[command(flatten)]
    pub(crate) limit: Limit,
    /// Prints one JSON object a line for every event
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Cancel {
    /// The batch: its id, its name, or its manifest
    pub(crate) batch: String,
    /// Prints one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Report {
    /// The batch: its id, its name, or its manifest
    pub(crate) batch: String,
    /// Where it goes; `-` is standard output [default: report.html, report.json or report.csv]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
    /// A page to look at, or all of it for programs
    #[arg(long, default_value = "html", value_parser = ["html", "json", "csv"])]
    pub(crate) format: String,
    /// Puts frames and clips into the page, which then can be sent to others; a third larger than these files. Without it
    /// the page shows them from where they are
    #[arg(long)]
    pub(crate) embed: bool,
    /// Replaces a file that is there already
    #[arg(long)]
    pub(crate) overwrite: bool,
}

/// What is to be made.
#[derive(clap::Args, Debug)]
pub(crate) struct Source {
    /// The manifest: JSON lines, CSV or YAML, with the API's fields, `id` and `output`
    #[arg(value_name = "MANIFEST", value_hint = ValueHint::FilePath)]
    pub(crate) manifest: PathBuf,
    /// How it is written, where its name does not say so
    #[arg(long, value_parser = one_of(Format::ALL))]
    pub(crate) format: Option<Format>,
    /// A field for every item that does not name it, such as `resolution=1080p`; may be given more than once
    #[arg(long = "default", value_name = "FIELD=VALUE", value_parser = field)]
    pub(crate) defaults: Vec<(String, String)>,
    /// Where clips go whose item names no output [default: the folder `clips` beside the manifest]
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub(crate) output_dir: Option<PathBuf>,
    /// What the batch is called in the record [default: the manifest's path]
    #[arg(long)]
    pub(crate) name: Option<String>,
}

/// What it may cost.
#[derive(clap::Args, Debug)]
pub(crate) struct Means {
    #[command(flatten)]
    pub(crate) caps: Caps,
    /// Your own table of prices, in JSON; see docs/batches.md. Without it prices are unknown
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) prices: Option<PathBuf>,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Caps {
    /// Sends requests for so many clips at most, counted over all runs of the batch; holds until another is given
    #[arg(long, value_name = "NUMBER")]
    pub(crate) max_clips: Option<u64>,
    /// Spends so much at most, by your own prices and over all runs, such as 12.50; holds until another is given
    #[arg(long, value_name = "AMOUNT")]
    pub(crate) max_spend: Option<Money>,
}

/// Whether it asks before it spends.
#[derive(clap::Args, Debug)]
pub(crate) struct Consent {
    /// Does not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Asks before it sends requests for more clips than this
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    pub(crate) ask_above: u64,
}

/// How much at once.
#[derive(clap::Args, Debug)]
pub(crate) struct Pace {
    /// Requests that are sent at once
    #[arg(long, value_name = "NUMBER", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) concurrency: u16,
    /// Tasks that are at the service at once
    #[arg(long, value_name = "NUMBER", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) in_flight: u16,
}

fn one_of<T>(all: &'static [T]) -> impl TypedValueParser<Value = T>
where
    T: FromStr + ToString + Clone + Send + Sync + 'static,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    PossibleValuesParser::new(all.iter().map(ToString::to_string)).try_map(|text| text.parse::<T>())
}

fn field(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected a field, `=` and its value, such as resolution=1080p".to_owned()),
    }
}
