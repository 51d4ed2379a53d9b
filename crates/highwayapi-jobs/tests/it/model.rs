//! Random lives of a record: whatever happens in whatever order, nobody pays more often than was decided.

mod batches;

use std::collections::HashMap;
use std::time::Duration;

use highwayapi::{FirstLastFrame, Frame};
use highwayapi_jobs::{Entry, Job, Jobs, SqliteStore, State};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Builder;
use tokio::time::sleep;

use crate::support::service::{Answer, Service};
use crate::support::{dropped, folder};

const PROMPTS: [&str; 3] = ["dawn", "noon", "dusk"];

#[derive(Clone, Debug)]
enum Op {
    Submit {
        prompt: usize,
        again: bool,
        answer: Answer,
    },
    /// The program ends some way into a submit.
    Crash {
        prompt: usize,
        polls: usize,
        answer: Answer,
    },
    /// Two programs at once.
    Both {
        prompt: usize,
    },
    Reopen,
    List,
    TakeUp,
    /// What the user decides on the first job that is unknown.
    SubmitAgain {
        answer: Answer,
        polls: usize,
    },
    Name,
    GiveUp,
    Fail,
}

fn op() -> impl Strategy<Value = Op> {
    use Answer::{Accepted, Busy, Garbage, Lost, Refused};
    let answer = prop::sample::select(&[Accepted, Accepted, Lost, Garbage, Refused, Busy][..]);
    let prompt = 0..PROMPTS.len();
    prop_oneof![
        6 => (prompt.clone(), prop::bool::weighted(0.2), answer.clone())
            .prop_map(|(prompt, again, answer)| Op::Submit { prompt, again, answer }),
        4 => (prompt.clone(), 0..40_usize, answer.clone())
            .prop_map(|(prompt, polls, answer)| Op::Crash { prompt, polls, answer }),
        2 => prompt.prop_map(|prompt| Op::Both { prompt }),
        2 => Just(Op::Reopen),
        1 => Just(Op::List),
        3 => Just(Op::TakeUp),
        2 => (answer, prop_oneof![Just(usize::MAX), 0..40_usize])
            .prop_map(|(answer, polls)| Op::SubmitAgain { answer, polls }),
        1 => Just(Op::Name),
        1 => Just(Op::GiveUp),
        1 => Just(Op::Fail),
    ]
}

fn request(prompt: &str) -> FirstLastFrame {
    let frame = |url| Frame::from_url(url).expect("a URL");
    FirstLastFrame::new(frame("https://example.com/a.png"), frame("https://example.com/b.png"), prompt)
}

fn prompt_of(entry: &Entry) -> &str {
    asked(&entry.job)
}

fn asked(job: &Job) -> &str {
    &job.asked.as_ref().expect("a request").prompt
}

struct Life {
    folder: tempfile::TempDir,
    service: Service,
    jobs: Jobs,
    /// How often each prompt may be accepted by now.
    allowed: HashMap<&'static str, usize>,
}

impl Life {
    async fn new() -> Self {
        let (folder, service) = (folder(), Service::start().await);
        let jobs = Self::open(&folder, &service);
        Self { folder, service, jobs, allowed: PROMPTS.map(|prompt| (prompt, 1)).into() }
    }

    fn open(folder: &tempfile::TempDir, service: &Service) -> Jobs {
        Jobs::with_store(service.client(), SqliteStore::open(folder.path().join("state")).expect("a record"))
    }

    /// The user's decision.
    fn allow(&mut self, prompt: &str) {
        *self.allowed.get_mut(prompt).expect("a prompt") += 1;
    }

    /// Once nothing that was dropped is on its way any more.
    async fn quiet(&self) -> Vec<Entry> {
        loop {
            let entries = self.jobs.list().await.expect("jobs");
            if entries.iter().all(|entry| !entry.held) {
                return entries;
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    async fn first(&self, state: State) -> Option<Entry> {
        self.quiet().await.into_iter().find(|entry| entry.job.state == state)
    }

    async fn live(&mut self, op: &Op) {
        match *op {
            Op::Submit { prompt, again, answer } => {
                let prompt = PROMPTS[prompt];
                self.quiet().await;
                if again {
                    self.allow(prompt);
                }
                self.send(answer, prompt, usize::MAX, again).await;
            }
            Op::Crash { prompt, polls, answer } => self.send(answer, PROMPTS[prompt], polls, false).await,
            Op::Both { prompt } => {
                let (other, request) = (Self::open(&self.folder, &self.service), request(PROMPTS[prompt]));
                let _ = tokio::join!(self.jobs.submit(&request), other.submit(&request));
            }
            Op::Reopen => self.jobs = Self::open(&self.folder, &self.service),
            Op::List => drop(self.jobs.list().await.expect("jobs")),
            Op::TakeUp => {
                for entry in self.quiet().await {
                    let mut job = self.jobs.take_up(&entry.job.id).await.expect("a job");
                    if job.job().state.is_unfinished() {
                        let output = self.folder.path().join(format!("{}.mp4", entry.job.id));
                        job.redirect(output, false).await.expect("a place");
                        job.finish(|_| {}).await.expect("a clip");
                    }
                }
            }
            Op::SubmitAgain { answer, polls } => {
                if let Some(entry) = self.first(State::Unknown).await {
                    self.allow(prompt_of(&entry));
                    self.service.answers([answer]);
                    drop(dropped(self.jobs.submit_again(&entry.job.id, std::future::pending()), polls).await);
                    self.service.forget_answers();
                }
            }
            Op::Name => {
                if let Some(entry) = self.first(State::Unknown).await {
                    let tasks = self.service.tasks_of(prompt_of(&entry));
                    for task in tasks {
                        if self.jobs.name_task(&entry.job.id, &task.parse().expect("an id")).await.is_ok() {
                            break;
                        }
                    }
                }
            }
            Op::GiveUp => {
                let unknown = self.first(State::Unknown).await;
                let entry = match unknown {
                    Some(entry) => Some(entry),
                    None => self.first(State::Submitted).await,
                };
                if let Some(entry) = entry {
                    self.jobs.give_up(&entry.job.id).await.expect("given up");
                }
            }
            Op::Fail => {
                if let Some(entry) = self.first(State::Submitted).await {
                    let task = entry.job.task_id.clone().expect("a task");
                    self.service.status(task.as_str(), "TASK_STATUS_FAILED");
                    let mut job = self.jobs.take_up(&entry.job.id).await.expect("a job");
                    job.finish(|_| {}).await.expect_err("failed");
                }
            }
        }
    }

    async fn send(&self, answer: Answer, prompt: &str, polls: usize, again: bool) {
        let request = request(prompt);
        self.service.answers([answer]);
        let _ = dropped(self.jobs.submit(&request).again(again).into_future(), polls).await;
        // Where no submit came for it, it is not for the next one.
        self.service.forget_answers();
    }
}

#[test]
fn nobody_pays_more_often_than_was_decided() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let config = Config { cases: 24, failure_persistence: None, max_shrink_iters: 64, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let lives = prop::collection::vec(op(), 1..25);
    let run = runner.run(&lives, |ops| {
        runtime.block_on(async {
            let mut life = Life::new().await;
            for op in &ops {
                life.live(op).await;
                for (prompt, accepted) in life.service.accepted() {
                    let allowed = life.allowed[&*prompt];
                    prop_assert!(
                        accepted <= allowed,
                        "{prompt}: accepted {accepted} times, {allowed} allowed, by {op:?}"
                    );
                }
            }
            // And whatever was accepted is in the record: by its task, or as an attempt of which nobody knows.
            let entries = life.quiet().await;
            for (prompt, _) in life.service.accepted() {
                let of_it = || entries.iter().map(|entry| &entry.job).filter(|job| asked(job) == prompt);
                let known: Vec<_> = of_it().filter_map(|job| job.task_id.as_ref()).map(|task| task.as_str()).collect();
                let tasks = life.service.tasks_of(&prompt);
                let unknown = tasks.iter().filter(|task| !known.contains(&task.as_str())).count();
                let attempts = of_it().filter(|job| job.state != State::Refused).map(|job| job.attempt as usize);
                let open = attempts.sum::<usize>() - known.len();
                prop_assert!(unknown <= open, "{prompt}: {unknown} of {tasks:?} are lost, the record has {known:?}");
            }
            Ok(())
        })
    });
    run.unwrap_or_else(|error| panic!("{error}"));
}
