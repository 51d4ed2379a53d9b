//! The sandbox as a process, and its own books: what it would have billed, and what it answered.

use std::path::Path;
use std::time::{Duration, SystemTime};

use fault_tests::highway::{PATIENCE, plain};
use fault_tests::http::get;
use fault_tests::{Highway, Result};
use serde_json::Value;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::batches::clip_of;
use crate::net::Host;
use crate::process::{Process, Voice};

pub(crate) struct Service {
    pub(crate) base_url: String,
    pub(crate) key: String,
    address: String,
    process: Process,
}

/// What the service has to say of a run.
#[derive(Clone, Debug)]
pub(crate) struct Books {
    /// Submits that would have been billed.
    pub(crate) billed: u64,
    /// Times that a key was sent to where videos are.
    pub(crate) leaked: u64,
    /// The tasks behind these submits.
    pub(crate) accepted: Vec<Accepted>,
    /// Every submit that came.
    pub(crate) submits: Vec<Request>,
}

#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    pub(crate) task_id: String,
    pub(crate) clip: usize,
    pub(crate) at: SystemTime,
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) arrived: SystemTime,
    pub(crate) answered: SystemTime,
    pub(crate) task_id: Option<String>,
    /// None where the sender went before there was an answer.
    pub(crate) status: Option<u64>,
    /// What the sandbox did to it on purpose.
    pub(crate) fault: Option<String>,
}

impl Request {
    /// Whether it came at about this time, and its sender was not told what came of it.
    pub(crate) fn is_open_at(&self, time: SystemTime) -> bool {
        // With these the service says that it did not take it.
        let refused = matches!(self.status, Some(429 | 503));
        let (from, until) = (time - Duration::from_secs(1), time + Duration::from_secs(5));
        !refused && self.task_id.is_none() && (from..=until).contains(&self.arrived)
    }
}

impl Service {
    /// On a host of its own, or here.
    pub(crate) async fn start(highway: &Highway, host: Option<&Host>, folder: &Path, args: &[&str]) -> Result<Self> {
        let (mut command, listen) = match host {
            Some(host) => (host.command(highway.path()), format!("{}:8080", host.address)),
            None => (Command::new(highway.path()), "127.0.0.1:0".to_owned()),
        };
        plain(&mut command);
        command.args(["sandbox", "--json", "--listen", &listen]).args(args);
        let voice = Voice::default();
        let mut process = Process::start(command, &folder.join("sandbox.log"), &voice)?;
        let told = |name: &str| voice.find(|line| line[name].as_str().map(str::to_owned));
        let listens = async {
            while told("base_url").is_none() && matches!(process.ended(), Ok(None)) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        let _ = timeout(PATIENCE, listens).await;
        let silent = || format!("the sandbox does not start: {}", process.last_words());
        let base_url = told("base_url").ok_or_else(silent)?;
        let key = told("api_key").ok_or_else(silent)?;
        let address = base_url.trim_start_matches("http://").to_owned();
        Ok(Self { base_url, key, address, process })
    }

    pub(crate) async fn books(&mut self) -> Result<Books> {
        if let Some(status) = self.process.ended()? {
            return Err(format!("the sandbox ended with {status}: {}", self.process.last_words()).into());
        }
        let ledger = self.ask("/_sandbox/ledger").await?;
        let number = |name: &str| ledger[name].as_u64().ok_or_else(|| format!("a ledger without {name}"));
        Ok(Books {
            billed: number("submits")?,
            leaked: number("leaked")?,
            accepted: self.accepted().await?,
            submits: self.journal("submit").await?,
        })
    }

    /// How many tasks are there that have not ended.
    pub(crate) async fn open(&self) -> Result<usize> {
        let mut open = 0;
        for status in ["TASK_STATUS_QUEUED", "TASK_STATUS_PROCESSING"] {
            let page = self.ask(&format!("/_sandbox/tasks?status={status}&limit=1000")).await?;
            open += page["tasks"].as_array().map_or(0, Vec::len);
        }
        Ok(open)
    }

    /// Submits and polls that came in this time.
    pub(crate) async fn requests(&self, from: SystemTime, until: SystemTime) -> Result<usize> {
        let within = |line: &Request| (from..until).contains(&line.arrived);
        let (submits, polls) = (self.journal("submit").await?, self.journal("poll").await?);
        Ok(submits.iter().chain(&polls).filter(|line| within(line)).count())
    }

    async fn accepted(&self) -> Result<Vec<Accepted>> {
        let began = self.began().await?;
        let (mut accepted, mut before) = (Vec::new(), String::new());
        loop {
            let page = self.ask(&format!("/_sandbox/tasks?limit=1000{before}")).await?;
            for task in page["tasks"].as_array().into_iter().flatten() {
                let (task_id, prompt) = (task["task_id"].as_str(), task["prompt"].as_str());
                let clip = prompt.and_then(clip_of).ok_or_else(|| format!("a task that nobody asked for: {task}"))?;
                let at = began + Duration::from_millis(task["submitted_ms"].as_u64().unwrap_or_default());
                accepted.push(Accepted { task_id: task_id.unwrap_or_default().to_owned(), clip, at });
            }
            match page["next"].as_u64() {
                Some(next) => before = format!("&before={next}"),
                None => return Ok(accepted),
            }
        }
    }

    async fn journal(&self, operation: &str) -> Result<Vec<Request>> {
        let began = self.began().await?;
        let lines = get(&self.address, &format!("/_sandbox/journal?operation={operation}&limit=50000")).await?;
        let lines = String::from_utf8(lines)?;
        let request = |line: &str| -> Result<Request> {
            let line: Value = serde_json::from_str(line)?;
            let millis = |name: &str| Duration::from_millis(line[name].as_u64().unwrap_or_default());
            let arrived = began + millis("at_ms");
            Ok(Request {
                arrived,
                answered: arrived + millis("took_ms"),
                task_id: line["task_id"].as_str().map(str::to_owned),
                status: line["status"].as_u64(),
                fault: line["fault"].as_str().map(str::to_owned),
            })
        };
        lines.lines().map(request).collect()
    }

    /// When the sandbox's time began.
    async fn began(&self) -> Result<SystemTime> {
        let clock = self.ask("/_sandbox/clock").await?;
        let now = clock["now_ms"].as_u64().ok_or("a clock without a time")?;
        Ok(SystemTime::now() - Duration::from_millis(now))
    }

    async fn ask(&self, path: &str) -> Result<Value> {
        Ok(serde_json::from_slice(&get(&self.address, path).await?)?)
    }
}
