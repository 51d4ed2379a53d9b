//! One life of the worker, ended by itself or by a kill.

use std::path::Path;
use std::process::Stdio;
use std::time::SystemTime;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::Result;
use crate::highway::PATIENCE;
use crate::kills::aim::{Aim, Scene};
use crate::kills::journal::Journal;
use crate::kills::worker::Task;

/// A command that came to its own end.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) task: Task,
    pub(super) code: Option<i64>,
    pub(super) words: String,
}

#[derive(Debug)]
pub(super) struct Life {
    pub(super) begun: SystemTime,
    /// When it was killed, if it was.
    pub(super) killed: Option<SystemTime>,
    /// What was running then.
    pub(super) cut_off: Vec<Task>,
    pub(super) ended: Vec<Ended>,
}

impl Life {
    /// Starts a worker, and kills it and all that it started when the moment comes.
    pub(super) async fn new(
        mut worker: Command,
        aim: Option<Aim>,
        (folder, state): (&Path, &Path),
        journal: &Journal,
    ) -> Result<Self> {
        worker.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let begun = SystemTime::now();
        let mut worker = worker.spawn()?;
        let group =
            worker.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)).ok_or("a worker without a process")?;
        let (Some(stdout), Some(stderr)) = (worker.stdout.take(), worker.stderr.take()) else {
            return Err("a worker without a voice".into());
        };
        let (count, begun_tasks) = watch::channel(0);
        let told = tokio::spawn(listen(stdout, count));
        let mut scene = Scene { folder, state, journal, begun: begun_tasks };
        let moment = async {
            match aim {
                Some(aim) => aim.comes(&mut scene).await,
                None => tokio::time::sleep(PATIENCE).await,
            }
        };
        let killed = tokio::select! {
            status = worker.wait() => {
                let status = status?;
                if !status.success() {
                    return Err(format!("the worker ended with {status}: {}", rest(stderr).await).into());
                }
                None
            }
            () = moment => {
                kill_process_group(group, Signal::KILL)?;
                let killed = SystemTime::now();
                if aim.is_none() {
                    return Err(format!("the worker is not done after {PATIENCE:?}").into());
                }
                Some(killed)
            }
        };
        all_dead(&mut worker, stderr).await?;
        let (cut_off, ended) = told.await?;
        Ok(Self { begun, killed, cut_off, ended })
    }
}

/// The dead close what they had open.
async fn all_dead(worker: &mut Child, stderr: ChildStderr) -> Result<()> {
    worker.wait().await?;
    timeout(PATIENCE, rest(stderr)).await.map(drop).map_err(|_| "somebody survives a kill".into())
}

async fn rest(mut stderr: ChildStderr) -> String {
    let mut words = Vec::new();
    // Cut off, it is still what there is.
    let _ = stderr.read_to_end(&mut words).await;
    String::from_utf8_lossy(&words).into_owned()
}

/// What was begun and did not end, and what did.
async fn listen(stdout: ChildStdout, count: watch::Sender<usize>) -> (Vec<Task>, Vec<Ended>) {
    let (mut running, mut ended) = (Vec::new(), Vec::new());
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(told) = serde_json::from_str::<Value>(&line) else { continue };
        let task = |name: &str| told[name].as_str().and_then(Task::of);
        if let Some(task) = task("begin") {
            running.push(task);
            count.send_modify(|count| *count += usize::from(matches!(task, Task::Generate(_))));
        } else if let Some(task) = task("end") {
            if let Some(at) = running.iter().position(|&running| running == task) {
                running.swap_remove(at);
            }
            let words = told["words"].as_str().unwrap_or_default().to_owned();
            ended.push(Ended { task, code: told["code"].as_i64(), words });
        }
    }
    (running, ended)
}
