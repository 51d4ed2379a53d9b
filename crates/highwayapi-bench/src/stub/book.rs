//! What the stub counts, and the tasks that it pretends to work on.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::json;

use super::http::Head;
use crate::{Result, machine};

/// A task that never ends; every other one that the stub did not make has ended already.
const RUNNING: &str = "running";

#[derive(Default)]
pub(super) struct Book(Mutex<Page>);

#[derive(Default)]
struct Page {
    posts: u64,
    gets: u64,
    bytes_in: u64,
    bytes_out: u64,
    first_byte: Option<u64>,
    /// Where the next clip is to break off.
    cut: Option<u64>,
    /// Seconds that half of all tasks are done in, and how far (in the logarithm) others are from it.
    run_time: (f64, f64),
    tasks: HashMap<String, Task>,
    made: u64,
}

struct Task {
    done_at: u64,
    gets: u64,
}

impl Book {
    fn page(&self) -> MutexGuard<'_, Page> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begins(&self, first_byte: u64) {
        self.page().first_byte.get_or_insert(first_byte);
    }

    pub(super) fn came(&self, head: &Head, drained: u64) {
        let mut page = self.page();
        page.bytes_in += drained;
        match head.method() {
            "GET" => page.gets += 1,
            _ => page.posts += 1,
        }
    }

    pub(super) fn sent(&self, bytes: u64) {
        self.page().bytes_out += bytes;
    }

    pub(super) fn take_cut(&self) -> Option<u64> {
        self.page().cut.take()
    }

    /// A new task: its id.
    pub(super) fn submitted(&self) -> String {
        let mut page = self.page();
        page.made += 1;
        let id = format!("task-{}", page.made);
        let (median, sigma) = page.run_time;
        if median > 0.0 {
            let run_time = (median * (sigma * normal()).exp() * 1e9) as u64;
            let done_at = machine::now().unwrap_or_default() + run_time;
            page.tasks.insert(id.clone(), Task { done_at, gets: 0 });
        }
        id
    }

    /// Whether the task is done.
    pub(super) fn polled(&self, id: &str) -> bool {
        match self.page().tasks.get_mut(id) {
            Some(task) => {
                task.gets += 1;
                machine::now().unwrap_or_default() >= task.done_at
            }
            None => id != RUNNING,
        }
    }

    /// `reset` begins anew, `counts` tells, `tasks` tells of every task when it was done and how often it was asked for.
    pub(super) fn control(&self, what: &str, query: &str) -> Result<String> {
        let mut page = self.page();
        match what {
            "reset" => {
                let made = page.made;
                *page = Page { made, ..Page::default() };
                for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
                    match name {
                        "cut" => page.cut = Some(value.parse()?),
                        "median" => page.run_time.0 = value.parse()?,
                        "sigma" => page.run_time.1 = value.parse()?,
                        other => return Err(format!("the stub knows no {other}").into()),
                    }
                }
                Ok("{}".to_owned())
            }
            "counts" => Ok(json!({ "posts": page.posts, "gets": page.gets, "bytes_in": page.bytes_in,
                "bytes_out": page.bytes_out, "first_byte": page.first_byte })
            .to_string()),
            "tasks" => {
                let tasks = page.tasks.iter().map(|(id, task)| (id.clone(), json!([task.done_at, task.gets])));
                Ok(serde_json::Value::Object(tasks.collect()).to_string())
            }
            other => Err(format!("the stub knows no {other}").into()),
        }
    }
}

/// Normally distributed around 0, by Box and Muller.
fn normal() -> f64 {
    let (a, b) = (1.0 - fastrand::f64(), fastrand::f64());
    (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}
