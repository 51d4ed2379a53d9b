//! What can be typed. Flags carry the names of the API's fields, and their defaults and allowed values come from the
//! contract.

pub(crate) mod batch;
#[cfg(feature = "sandbox")]
mod sandbox;

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand, ValueHint};
use highwayapi::{AspectRatio, DurationSeconds, Options, PersonGeneration, Resolution, SampleCount, TaskId};

#[cfg(feature = "sandbox")]
pub(crate) use self::sandbox::{Clockwork, Drift, FaultFlags, ProbeArgs, Recording, RecordingCommand, Serve};

const ENVIRONMENT: &str = "\
Environment:
  HIGHWAY_API_KEY   the key of your account; never a flag, where other users would see it
  HIGHWAY_BASE_URL  where the service is, if not at https://api.highwayapi.ai
  HIGHWAY_REQUESTS_PER_MINUTE
                    how many a process may send in a minute, if not 50; see --requests-per-minute
  HIGHWAY_STATE     folder of the record of all paid work; else ~/.local/state/highway
  HIGHWAY_NATS_CREDS, HIGHWAY_NATS_NKEY, HIGHWAY_NATS_CA, HIGHWAY_NATS_USER, HIGHWAY_NATS_PASSWORD
                    with --store nats://…: files, or user and password

Exit codes:
  0  done
  1  failed
  2  wrong usage or bad input; nothing was charged
  3  whether the submit was charged is unknown; decide with `highway resolve`
  4  not finished, at work in another process, or stopped at a cap; take it up again with `highway resume` or
     `highway batch resume`
  5  the key is not accepted, or the account has no balance
  6  the video is made and paid for but could not be fetched; `highway resume` tries again";

/// Two pictures and a prompt become a video, over the Highway API.
#[derive(Parser, Debug)]
#[command(name = "highway", version, after_help = ENVIRONMENT, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Where the record is, if not in HIGHWAY_STATE: a folder, or for many machines nats://HOST:4222 with a NATS server
    #[arg(long, global = true, value_name = "PLACE")]
    pub(crate) store: Option<String>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Makes a video: submits, waits, fetches
    Generate(Generate),
    /// Submits and prints the task's id
    Submit(Submit),
    /// Waits until a task is finished
    Wait(Wait),
    /// Fetches the videos of a finished task
    Fetch(Fetch),
    /// Lists all that was submitted from here, and how far it is
    Tasks(Tasks),
    /// Tells all that is known of one job
    Show(Show),
    /// Finishes what was begun: waits, fetches; whatever ended it
    Resume(Resume),
    /// Takes in a task that was submitted elsewhere
    Adopt(Adopt),
    /// Decides about a job of which nobody knows whether it was paid for
    Resolve(Resolve),
    /// Checks clips against what stands in their .json
    Verify(Verify),
    /// Makes the clips of a manifest, ten or ten thousand
    Batch(batch::Batch),
    /// Works on what others have planned, beside them
    Worker(batch::Worker),
    /// Serves the API on this machine, with real videos, without key or bill
    #[cfg(feature = "sandbox")]
    Sandbox(Box<Serve>),
}

impl Command {
    fn service(&self) -> Option<&Service> {
        Some(match self {
            Self::Generate(generate) => &generate.service,
            Self::Submit(submit) => &submit.service,
            Self::Wait(wait) => &wait.service,
            Self::Fetch(fetch) => &fetch.service,
            Self::Resume(resume) => &resume.service,
            Self::Adopt(adopt) => &adopt.service,
            Self::Resolve(resolve) => &resolve.service,
            Self::Worker(worker) => &worker.service,
            Self::Batch(batch) => batch.command.service()?,
            Self::Tasks(_) | Self::Show(_) | Self::Verify(_) => return None,
            #[cfg(feature = "sandbox")]
            Self::Sandbox(_) => return None,
        })
    }

    /// What a hint must repeat to reach the same service.
    pub(crate) fn service_flags(&self) -> String {
        let url = self.service().and_then(|service| service.base_url.as_ref());
        url.map(|url| format!(" --base-url {url}")).unwrap_or_default()
    }

    /// What was typed of the budget of requests.
    pub(crate) fn requests_per_minute(&self) -> Option<u32> {
        self.service()?.requests_per_minute
    }

    /// Whether this process is to be the service, too.
    pub(crate) fn has_sandbox(&self) -> bool {
        match self {
            #[cfg(feature = "sandbox")]
            Self::Generate(generate) => generate.sandbox,
            #[cfg(feature = "sandbox")]
            Self::Batch(batch::Batch { command: batch::BatchCommand::Run(run) }) => run.sandbox,
            #[cfg(feature = "sandbox")]
            Self::Sandbox(_) => true,
            _ => false,
        }
    }

    pub(crate) fn json(&self) -> bool {
        match self {
            Self::Generate(generate) => generate.json,
            Self::Submit(submit) => submit.json,
            Self::Wait(wait) => wait.json,
            Self::Fetch(fetch) => fetch.json,
            Self::Tasks(tasks) => tasks.json,
            Self::Show(show) => show.json,
            Self::Resume(resume) => resume.json,
            Self::Adopt(adopt) => adopt.json,
            Self::Resolve(resolve) => resolve.json,
            Self::Verify(verify) => verify.json,
            Self::Batch(batch) => batch.command.json(),
            Self::Worker(worker) => worker.json,
            #[cfg(feature = "sandbox")]
            Self::Sandbox(serve) => match &serve.recording.command {
                Some(RecordingCommand::Drift(drift)) => drift.json,
                _ => serve.json,
            },
        }
    }
}

#[derive(clap::Args, Debug)]
pub(crate) struct Generate {
    #[command(flatten)]
    pub(crate) request: Request,
    #[command(flatten)]
    pub(crate) output: Output,
    /// Submits and pays even if the very same was paid for before
    #[arg(long)]
    pub(crate) again: bool,
    #[command(flatten)]
    pub(crate) service: Service,
    #[command(flatten)]
    pub(crate) limit: Limit,
    /// Uses a sandbox of its own for this one command: no key, no bill, a real video
    #[cfg(feature = "sandbox")]
    #[arg(long, conflicts_with = "base_url")]
    pub(crate) sandbox: bool,
    /// Prints the task's id and does not wait
    #[arg(long, conflicts_with_all = ["output", "overwrite", "timeout"])]
    #[cfg_attr(feature = "sandbox", arg(conflicts_with = "sandbox"))]
    pub(crate) no_wait: bool,
    /// Prints one JSON object a line for every event; the last one is the result
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Submit {
    #[command(flatten)]
    pub(crate) request: Request,
    /// Submits and pays even if the very same was paid for before
    #[arg(long)]
    pub(crate) again: bool,
    #[command(flatten)]
    pub(crate) service: Service,
    /// Prints one JSON object a line for every event; the last one is the result
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Wait {
    /// The task's id, as `submit` printed it, or the job's, as `tasks` lists it
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) service: Service,
    #[command(flatten)]
    pub(crate) limit: Limit,
    /// Prints one JSON object a line for every event; the last one is the result
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Fetch {
    /// The task's id, as `submit` printed it, or the job's, as `tasks` lists it
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) service: Service,
    /// Prints one JSON object a line for every event; the last one is the result
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Tasks {
    #[command(subcommand)]
    pub(crate) command: Option<TasksCommand>,
    /// Prints one JSON object a line for every job
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Subcommand, Debug)]
pub(crate) enum TasksCommand {
    /// Removes jobs from the record that are over: downloaded, failed, refused or dropped. Clips stay; the same request is
    /// paid for anew when it comes again
    Prune(Prune),
}

#[derive(clap::Args, Debug)]
pub(crate) struct Prune {
    /// Only what has not changed for so long, such as 12h or 90days
    #[arg(long, value_name = "DURATION", default_value = "30days", value_parser = humantime::parse_duration)]
    pub(crate) older_than: Duration,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Show {
    /// The job's id, its beginning, or the task's id
    pub(crate) id: String,
    /// Prints one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Resume {
    /// The job's id, its beginning, or the task's id
    #[arg(required_unless_present = "all")]
    pub(crate) id: Option<String>,
    /// Everything that is not finished
    #[arg(long, conflicts_with_all = ["id", "output"])]
    pub(crate) all: bool,
    /// Where the video goes, if not where it was to go
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
    /// Replaces files that are there already
    #[arg(long, conflicts_with = "all")]
    pub(crate) overwrite: bool,
    #[command(flatten)]
    pub(crate) service: Service,
    #[command(flatten)]
    pub(crate) limit: Limit,
    /// Prints one JSON object a line for every event; the last one is the result
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Adopt {
    /// The task's id
    pub(crate) task_id: TaskId,
    #[command(flatten)]
    pub(crate) service: Service,
    /// Prints one JSON object a line for every event; the last one is the result
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Resolve {
    /// The job's id, or its beginning
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) decision: Decision,
    #[command(flatten)]
    pub(crate) service: Service,
    /// Prints one JSON object a line for every event; the last one is the result
    #[arg(long)]
    pub(crate) json: bool,
}

/// Without one of these it only tells what is known.
#[derive(clap::Args, Debug)]
#[group(multiple = false)]
pub(crate) struct Decision {
    /// It was not accepted: submits it again, which pays twice if it was
    #[arg(long)]
    pub(crate) resubmit: bool,
    /// Gives it up, whether or not it was paid for
    #[arg(long)]
    pub(crate) drop: bool,
    /// It was accepted, as this task
    #[arg(long, value_name = "TASK_ID")]
    pub(crate) task: Option<TaskId>,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Verify {
    /// The clips; the .json of each stands beside it
    #[arg(required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) clips: Vec<PathBuf>,
    /// Prints one JSON object a line for every clip
    #[arg(long)]
    pub(crate) json: bool,
}

/// The fields of the request.
#[derive(clap::Args, Debug)]
pub(crate) struct Request {
    /// First frame: a file, an http(s) URL or a data URI; JPEG or PNG of up to 20 MB
    #[arg(value_name = "IMAGE", value_hint = ValueHint::FilePath)]
    pub(crate) image: String,
    /// Last frame, likewise
    #[arg(value_name = "LAST_IMAGE", value_hint = ValueHint::FilePath)]
    pub(crate) last_image: String,
    /// What the video shows and how it moves between the two frames
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) prompt: String,
    /// From 0 to 4294967295; the same with the same parameters gives the same result
    #[arg(long)]
    seed: Option<u32>,
    #[arg(long, value_parser = choice::<Resolution>(Resolution::ALL), help = with_default::<Resolution>("Output resolution"))]
    resolution: Option<Resolution>,
    #[arg(long, value_parser = choice::<AspectRatio>(AspectRatio::ALL), help = with_default::<AspectRatio>("Shape of the video"))]
    aspect_ratio: Option<AspectRatio>,
    #[arg(long, value_parser = choice::<SampleCount>(SampleCount::ALL), help = with_default::<SampleCount>("How many videos to make; each is likely paid for"))]
    sample_count: Option<SampleCount>,
    #[arg(long, value_parser = choice::<DurationSeconds>(DurationSeconds::ALL), help = with_default::<DurationSeconds>("Length of the video in seconds"))]
    duration_seconds: Option<DurationSeconds>,
    /// What should not appear
    #[arg(long, value_name = "TEXT")]
    negative_prompt: Option<String>,
    #[arg(long, value_parser = choice::<PersonGeneration>(PersonGeneration::ALL), help = with_default::<PersonGeneration>("Whether people may be generated"))]
    person_generation: Option<PersonGeneration>,
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        help = flag_default("Makes an audio track", |options| options.generate_audio))]
    generate_audio: Option<bool>,
    #[arg(long, value_name = "BOOL", help = flag_default("Lets the service improve the prompt", |options| options.enhance_prompt))]
    enhance_prompt: Option<bool>,
}

impl Request {
    pub(crate) fn options(&self) -> Options {
        let mut options = Options::default();
        options.seed = self.seed;
        options.resolution = self.resolution;
        options.aspect_ratio = self.aspect_ratio;
        options.sample_count = self.sample_count;
        options.enhance_prompt = self.enhance_prompt;
        options.generate_audio = self.generate_audio;
        options.negative_prompt = self.negative_prompt.clone();
        options.duration_seconds = self.duration_seconds;
        options.person_generation = self.person_generation;
        options
    }
}

/// Where videos go.
#[derive(clap::Args, Debug)]
pub(crate) struct Output {
    /// Where the video goes [default: clip.mp4]; several go to clip-1.mp4, clip-2.mp4, … What made
    /// each stands beside it in clip.json
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
    /// Replaces files that are there already
    #[arg(long)]
    pub(crate) overwrite: bool,
}

/// Where the service is.
#[derive(clap::Args, Debug)]
pub(crate) struct Service {
    #[arg(
        long,
        value_name = "URL",
        // Not clap's `env`: a variable would then conflict with `--sandbox` as if it were typed.
        help = "Where the service is [default: HIGHWAY_BASE_URL, or else https://api.highwayapi.ai]"
    )]
    pub(crate) base_url: Option<String>,
    /// How long nothing may move on a connection before it is given up
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = patience)]
    pub(crate) idle_timeout: Duration,
    /// How many requests this process alone sends in a minute at most; several at once share the account's budget. 0 for
    /// no limit [default: HIGHWAY_REQUESTS_PER_MINUTE, or else 50, and no limit for a service on this machine]. With --store
    /// nats://… a number typed here is from then on also the budget of all who use that record, which is 50 at first
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = requests)]
    pub(crate) requests_per_minute: Option<u32>,
}

/// How long to wait.
#[derive(clap::Args, Debug)]
pub(crate) struct Limit {
    /// How long to wait for one task, such as 90s, 10m or 1h; ends the waiting, never the task
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Duration,
}

/// Less than a second is no patience: it would leave the submit unknown for nothing.
fn patience(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration >= Duration::from_secs(1) => Ok(duration),
        Ok(_) => Err("expected at least 1s".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn requests(text: &str) -> Result<u32, String> {
    text.trim().parse().map_err(|_| format!("expected a whole number from 0 (no limit) to {}", u32::MAX))
}

fn choice<T>(all: &'static [T]) -> impl TypedValueParser<Value = T>
where
    T: FromStr + Display + Clone + Send + Sync + 'static,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    PossibleValuesParser::new(all.iter().map(ToString::to_string)).try_map(|text| text.parse::<T>())
}

fn with_default<T: Default + Display>(help: &str) -> String {
    format!("{help} [default: {}]", T::default())
}

fn flag_default(help: &str, field: impl Fn(&Options) -> Option<bool>) -> String {
    format!("{help} [default: {}]", field(&Options::default().resolved()).unwrap_or_default())
}
