//! Many tasks waited for at once: how often each was asked for, and how late its end was known.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::mark::Mark;
use super::{Said, unsupported};
use crate::{Result, machine, stub};

/// Calls before the mark, so that connections are there and caches warm.
pub(super) const WARM_UP: usize = 20;
/// Tasks by which a client may learn how long they take.
const LESSONS: usize = 50;

/// What waiting for many tasks came to, for those by which a client may learn and for the others.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Polled {
    pub(crate) lessons: Waited,
    pub(crate) tasks: Waited,
}

/// Means of a number of tasks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Waited {
    pub(crate) gets_per_task: f64,
    /// From the end at the service to its being known.
    pub(crate) lag_s: f64,
}

pub(super) trait Waiter: Clone + Send + Sync + 'static {
    type Task: Send;

    fn submit(&self) -> impl Future<Output = Result<Self::Task>> + Send;

    /// Waits for its end; the task's id.
    fn wait(&self, task: Self::Task) -> impl Future<Output = Result<String>> + Send;
}

pub(super) async fn run(
    base: &str,
    version: &str,
    count: usize,
    within: Duration,
    waiter: impl Waiter,
) -> Result<Said> {
    if !base.starts_with("http://") {
        return Ok(unsupported("polls are measured without TLS"));
    }
    let lessons = wait_for(LESSONS, within, &waiter).await?;
    let mark = Mark::set()?;
    let tasks = wait_for(count, within, &waiter).await?;
    let mut cost = mark.cost(version)?;
    let ends: HashMap<String, (u64, u64)> = stub::control(base, "tasks")?;
    cost.polled = Some(Polled { lessons: means(&lessons, &ends)?, tasks: means(&tasks, &ends)? });
    Ok(Said::Cost(cost))
}

/// The ids of so many tasks, each with when its end was known.
async fn wait_for(count: usize, within: Duration, waiter: &impl Waiter) -> Result<Vec<(String, u64)>> {
    let mut tasks = JoinSet::new();
    for _ in 0..count {
        let (waiter, start) = (waiter.clone(), within.mul_f64(fastrand::f64()));
        tasks.spawn(async move {
            tokio::time::sleep(start).await;
            let task = waiter.submit().await?;
            let id = waiter.wait(task).await?;
            Result::Ok((id, machine::now()?))
        });
    }
    let mut known = Vec::with_capacity(count);
    while let Some(task) = tasks.join_next().await {
        known.push(task??);
    }
    Ok(known)
}

/// `ends` tells of every task when it was done and how often it was asked for.
fn means(known: &[(String, u64)], ends: &HashMap<String, (u64, u64)>) -> Result<Waited> {
    let (mut gets, mut lag) = (0.0, 0.0);
    for (id, known_at) in known {
        let (done_at, asked) = ends.get(id).ok_or("the stub does not know a task")?;
        gets += *asked as f64;
        lag += known_at.saturating_sub(*done_at) as f64 / 1e9;
    }
    let count = known.len() as f64;
    Ok(Waited { gets_per_task: gets / count, lag_s: lag / count })
}
