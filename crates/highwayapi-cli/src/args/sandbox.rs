//! What can be typed after `highway sandbox`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Subcommand, ValueHint};

#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Serve {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:4310")]
    pub(crate) listen: SocketAddr,
    /// What result links begin with, where clients reach the sandbox by another address than its own
    #[arg(long, value_name = "URL")]
    pub(crate) public_url: Option<String>,
    /// Lets the sandbox fetch frames from this host, or host:port; may be given more than once
    #[arg(long, value_name = "HOST")]
    pub(crate) allow_fetch: Vec<String>,
    #[command(flatten)]
    pub(crate) clockwork: Clockwork,
    #[command(flatten)]
    pub(crate) faults: FaultFlags,
    #[command(flatten)]
    pub(crate) recording: Recording,
    /// Prints one JSON object with the address and the key instead of a text
    #[arg(long)]
    pub(crate) json: bool,
}

/// How the sandbox runs: its seed, its time, what it keeps and how strict it is.
#[derive(clap::Args, Debug)]
pub(crate) struct Clockwork {}

/// What shall go wrong.
#[derive(clap::Args, Debug)]
pub(crate) struct FaultFlags {}

/// What is recorded from the real service, or replayed in its place.
#[derive(clap::Args, Debug)]
pub(crate) struct Recording {
    /// Passes calls on to the real service of --upstream and records them in this new file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "upstream",
        conflicts_with_all = ["replay", "public_url", "allow_fetch"])]
    pub(crate) record: Option<PathBuf>,
    /// The real service
    #[arg(long, value_name = "URL", requires = "record")]
    pub(crate) upstream: Option<String>,
    /// Keeps the videos that are recorded, in a folder beside FILE
    #[arg(long, requires = "record")]
    pub(crate) keep_videos: bool,
    /// Answers as the service did when this file was recorded
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with_all = ["public_url", "allow_fetch"])]
    pub(crate) replay: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Option<RecordingCommand>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum RecordingCommand {
    /// Compares what was recorded with the contract and with what the sandbox answers; exit code 1 where it differs
    Drift(Drift),
    /// Asks the real service what is not known of it, and records it; asks you before anything that may be paid for
    Probe(ProbeArgs),
}

#[derive(clap::Args, Debug)]
pub(crate) struct Drift {
    /// What `--record` or `probe` wrote
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) cassette: PathBuf,
    /// Prints one JSON object instead of a text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct ProbeArgs {
    /// Where it is recorded; a new file
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) cassette: PathBuf,
    /// The real service, asked with the key in HIGHWAY_API_KEY
    #[arg(long, value_name = "URL")]
    pub(crate) upstream: String,
    /// After so many accepted submits nothing is sent any more that could be paid for
    #[arg(long, value_name = "NUMBER", default_value_t = 3)]
    pub(crate) max_paid: u32,
    /// How often a task is asked after
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = humantime::parse_duration)]
    pub(crate) poll_every: Duration,
    /// Does not ask, and pays for up to --max-paid clips
    #[arg(long)]
    pub(crate) yes: bool,
}
