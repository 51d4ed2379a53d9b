//! What can be typed after `highway sandbox`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Subcommand, ValueHint};
use highwayapi_sandbox::RunTime;

/// What a recorder and a cassette have no use for.
const OF_A_SANDBOX: [&str; 15] = [
    "public_url",
    "allow_fetch",
    "api_key",
    "seed",
    "speed",
    "stepped",
    "run_time",
    "queue_time",
    "link_ttl",
    "max_open_tasks",
    "state",
    "strict",
    "lenient",
    "scenario",
    "faults",
];

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected an address with its port, such as 127.0.0.1:4310".to_owned())
}

#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Serve {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:4310", value_parser = address)]
    pub(crate) listen: SocketAddr,
    /// What result links begin with, where clients reach the sandbox by another address than its own
    #[arg(long, value_name = "URL")]
    pub(crate) public_url: Option<String>,
    /// Lets the sandbox fetch frames from this host, or host:port; may be given more than once
    #[arg(long, value_name = "HOST")]
    pub(crate) allow_fetch: Vec<String>,
    /// Lets clients call the sandbox by this name, too, in the Host header; may be given more than once
    #[arg(long, value_name = "NAME")]
    pub(crate) allow_host: Vec<String>,
    #[command(flatten)]
    pub(crate) clockwork: Clockwork,
    #[command(flatten)]
    pub(crate) faults: FaultFlags,
    #[command(flatten)]
    pub(crate) recording: Recording,
    /// Prints one JSON object with the addresses, the key and the seed instead of a text, and ends when standard input is a
    /// pipe and closes: with the program that started it
    #[arg(long)]
    pub(crate) json: bool,
}

/// How the sandbox runs: its keys, its time, what it keeps and how strict it is.
#[derive(clap::Args, Debug)]
pub(crate) struct Clockwork {
    /// A key that is taken, an account of its own; may be given more than once [default: sandbox-key]
    #[arg(long, value_name = "KEY")]
    pub(crate) api_key: Vec<String>,
    /// What ids, run times and all else that is drawn follow from: the same seed, clock and requests give the same answers
    /// and clips [default: a random one, or the folder's]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub(crate) seed: Option<u64>,
    /// Lets the sandbox's time pass so many times as quick, from 0.001 to 1000000
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true, conflicts_with = "stepped")]
    pub(crate) speed: Option<f64>,
    /// Lets the sandbox's time stand still until it is moved through the admin API
    #[arg(long)]
    pub(crate) stepped: bool,
    /// How long tasks run, by the sandbox's time: 73s, 20s..2m, "lognormal 73s 0.3" (median, deviation of the logarithm) or
    /// "exponential 1m" [default: as long as rendering takes]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) run_time: Option<RunTime>,
    /// How long tasks wait before they run, likewise [default: not at all]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) queue_time: Option<RunTime>,
    /// For how long a result link is good, by the sandbox's time
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = humantime::parse_duration)]
    pub(crate) link_ttl: Duration,
    /// How many tasks may wait or run at once; further submits are answered with 429
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000, allow_negative_numbers = true)]
    pub(crate) max_open_tasks: usize,
    /// Keeps tasks, pictures and bills in this folder, and goes on from what is there
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) state: Option<PathBuf>,
    /// Refuses what the vendor's page does not allow; so it is unless --lenient says otherwise
    #[arg(long, conflicts_with = "lenient")]
    pub(crate) strict: bool,
    /// Lets pass what the page does not speak of: other fields, bare Base64, `dont_allow` for no people
    #[arg(long)]
    pub(crate) lenient: bool,
}

/// What shall go wrong.
#[derive(clap::Args, Debug)]
pub(crate) struct FaultFlags {
    /// Lets a scenario that comes with the sandbox go wrong, such as bad-friday
    #[arg(long, value_name = "NAME", conflicts_with = "faults")]
    pub(crate) scenario: Option<String>,
    /// Lets go wrong what this script says, in TOML, or in JSON where the name ends in .json
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) faults: Option<PathBuf>,
    /// Lists the scenarios, with what happens and what a client should do
    #[arg(long)]
    pub(crate) list_scenarios: bool,
}

/// What is recorded from the real service, or replayed in its place.
#[derive(clap::Args, Debug)]
pub(crate) struct Recording {
    /// Passes calls on to the real service of --upstream and records them in this new file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "upstream",
        conflicts_with = "replay", conflicts_with_all = OF_A_SANDBOX)]
    pub(crate) record: Option<PathBuf>,
    /// The real service
    #[arg(long, value_name = "URL", requires = "record")]
    pub(crate) upstream: Option<String>,
    /// Keeps the videos that are recorded, in a folder beside FILE
    #[arg(long, requires = "record")]
    pub(crate) keep_videos: bool,
    /// Answers as the service did when this file was recorded
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with_all = OF_A_SANDBOX)]
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
