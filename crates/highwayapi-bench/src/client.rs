//! The clients written in Rust, and the words in which every client is asked and answers.
//!
//! A client is a program `CLIENT SCENARIO ARGS…` that finds the stub in `BENCH_URL`, makes one call and prints one line
//! of JSON: what the call cost, or `{"unsupported": "why"}`.

mod bare;
mod curl;
mod mark;
mod naive;
mod ours;
mod tasks;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

pub(crate) use self::curl::{Body, submit as curl_submit};
pub(crate) use self::tasks::Polled;
use crate::Result;

pub(crate) const KEY: &str = "bench-key";
pub(crate) const PROMPT: &str = "dusk falls over the meadow";

/// What a client said of its call.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Said {
    Cost(Cost),
    Unsupported { unsupported: String },
}

/// What one call cost.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cost {
    /// What was measured, such as `curl 8.5.0`.
    pub(crate) version: String,
    /// What the process held when it was ready to call, after imports and setting up the client.
    pub(crate) idle_kib: u64,
    /// The most that it held during the call.
    pub(crate) peak_kib: u64,
    /// User and system time of the call.
    pub(crate) cpu_s: f64,
    pub(crate) wall_s: f64,
    /// What else the scenario brings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) polled: Option<Polled>,
}

/// What a client is asked for.
pub(crate) enum Call {
    /// So many submits of these two pictures at once.
    Submit { count: usize, first: PathBuf, last: PathBuf },
    /// So many polls, one after another, on a connection that is there.
    Poll { count: usize },
    /// Fetches the video into this file.
    Download { file: PathBuf },
    /// So many tasks begun within this time and waited for; after 50 others by which a client may learn.
    Tasks { count: usize, within: Duration, interval: Duration },
}

impl Call {
    fn parse(scenario: &str, args: &[&str]) -> Result<Self> {
        let millis = |text: &str| text.parse().map(Duration::from_millis);
        Ok(match (scenario, args) {
            ("submit", [count, first, last]) => {
                Self::Submit { count: count.parse()?, first: first.into(), last: last.into() }
            }
            ("start", [first, last]) => Self::Submit { count: 1, first: first.into(), last: last.into() },
            ("poll", [count]) => Self::Poll { count: count.parse()? },
            ("download", [file]) => Self::Download { file: file.into() },
            ("tasks", [count, within, interval]) => {
                Self::Tasks { count: count.parse()?, within: millis(within)?, interval: millis(interval)? }
            }
            _ => return Err(format!("no scenario {scenario} with {} arguments", args.len()).into()),
        })
    }
}

/// Makes one call and prints what it cost.
pub(crate) fn run(name: &str, scenario: &str, args: &[&str]) -> Result<()> {
    let base = std::env::var("BENCH_URL").map_err(|_| "BENCH_URL is not set")?;
    let call = Call::parse(scenario, args)?;
    let said = match name {
        "ours" => one_thread()?.block_on(ours::call(&base, call)),
        "ours-threads" => several_threads()?.block_on(ours::call(&base, call)),
        "naive" => one_thread()?.block_on(naive::call(&base, call)),
        "bare" => bare::call(&base, call),
        "curl" => curl::call(&base, call, curl::Body::Streamed),
        "curl-data" => curl::call(&base, call, curl::Body::Read),
        _ => Err(format!("no client {name}").into()),
    }?;
    println!("{}", serde_json::to_string(&said)?);
    Ok(())
}

/// As the command `highway` makes it.
fn one_thread() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// As `#[tokio::main]` makes it.
fn several_threads() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

fn unsupported(why: &str) -> Said {
    Said::Unsupported { unsupported: why.to_owned() }
}
