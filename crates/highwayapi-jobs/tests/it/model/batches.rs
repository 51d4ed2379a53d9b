//! Random lives of a batch: killed, run by two at once, capped, tried again, cancelled.

use std::collections::HashMap;
use std::future::pending;
use std::time::Duration;

use highwayapi_jobs::batch::{BatchEvent, Ending};
use highwayapi_jobs::{Batch, Caps, Entry, Job, State, Which};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Builder;
use tokio::time::{sleep, timeout};

use super::asked;
use crate::support::batches::Work;
use crate::support::service::Answer;
use crate::support::{FOREVER, dropped};

/// The items and what they ask for: some the same.
const ITEMS: [(&str, &str); 7] = [
    ("one", "dawn"),
    ("two", "noon"),
    ("three", "dusk"),
    ("four", "dawn"),
    ("five", "rain"),
    ("six", "snow"),
    ("seven", "noon"),
];

#[derive(Clone, Debug)]
enum Op {
    /// Planned, once more or for the first time, with so many of the items.
    Plan {
        items: usize,
        max_clips: Option<u64>,
    },
    /// Run until it ends or is killed.
    Run {
        answers: Vec<Answer>,
        polls: usize,
    },
    /// By two programs, of which one is killed.
    Both {
        answers: Vec<Answer>,
        polls: usize,
    },
    /// One of the requests by itself.
    Single {
        item: usize,
        answer: Answer,
    },
    Retry {
        again: bool,
    },
    /// What the user decides on the first job that is unknown.
    SubmitAgain {
        answer: Answer,
        polls: usize,
    },
    Fail,
    List,
    Cancel,
}

fn op() -> impl Strategy<Value = Op> {
    use Answer::{Accepted, Busy, Garbage, Lost, Refused};
    let answer = || prop::sample::select(&[Accepted, Accepted, Accepted, Lost, Garbage, Refused, Refused, Busy][..]);
    let answers = || prop::collection::vec(answer(), 0..6);
    let polls = || prop_oneof![1 => Just(usize::MAX), 2 => 0..150_usize];
    prop_oneof![
        3 => (0..=ITEMS.len(), prop::option::of(0..8_u64)).prop_map(|(items, max_clips)| Op::Plan { items, max_clips }),
        6 => (answers(), polls()).prop_map(|(answers, polls)| Op::Run { answers, polls }),
        2 => (answers(), 0..150_usize).prop_map(|(answers, polls)| Op::Both { answers, polls }),
        2 => (0..ITEMS.len(), answer()).prop_map(|(item, answer)| Op::Single { item, answer }),
        2 => any::<bool>().prop_map(|again| Op::Retry { again }),
        1 => (answer(), polls()).prop_map(|(answer, polls)| Op::SubmitAgain { answer, polls }),
        2 => Just(Op::Fail),
        1 => Just(Op::List),
        1 => prop::bool::weighted(0.3).prop_map(|cancel| if cancel { Op::Cancel } else { Op::List }),
    ]
}

struct Life {
    work: Work,
    /// How often each prompt may be accepted by now.
    allowed: HashMap<&'static str, usize>,
    /// The highest cap that there ever was; none was set is no limit.
    most: Option<u64>,
    /// Submits beside the batch, which it does not count.
    singles: u64,
}

impl Life {
    async fn new() -> Self {
        let allowed = ITEMS.map(|(_, prompt)| (prompt, 1)).into();
        let mut life = Self { work: Work::new().await, allowed, most: Some(0), singles: 0 };
        life.plan(3, Some(2)).await;
        life
    }

    async fn batch(&self) -> Batch {
        self.work.jobs().find_batch("mine").await.expect("a batch")
    }

    async fn plan(&mut self, items: usize, max_clips: Option<u64>) {
        let mut batch = self.work.batch();
        batch.caps = Caps::new(max_clips, None);
        self.most = self.most.zip(max_clips).map(|(most, cap)| most.max(cap));
        // A batch that is cancelled takes nothing.
        let _ = self.work.plan_items(batch, &ITEMS[..items]).await;
    }

    /// Once nothing that was dropped is on its way any more.
    async fn quiet(&self) -> Vec<Entry> {
        loop {
            let entries = self.work.jobs().list().await.expect("jobs");
            if entries.iter().all(|entry| !entry.held) {
                return entries;
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    async fn run(&self, polls: usize) {
        let jobs = self.work.jobs();
        let run = jobs.run(&self.work.batch().id).submits(2).run(pending(), |_| {});
        if let Some(outcome) = dropped(run, polls).await {
            outcome.expect("an outcome");
        }
    }

    fn allow(&mut self, prompt: &str) {
        *self.allowed.get_mut(prompt).expect("a prompt") += 1;
    }

    async fn live(&mut self, op: &Op) {
        match *op {
            Op::Plan { items, max_clips } => self.plan(items, max_clips).await,
            Op::Run { ref answers, polls } => {
                self.work.service.answers(answers.iter().copied());
                self.run(polls).await;
            }
            Op::Both { ref answers, polls } => {
                self.work.service.answers(answers.iter().copied());
                tokio::join!(self.run(usize::MAX), self.run(polls));
            }
            Op::Single { item, answer } => {
                self.singles += 1;
                self.work.service.answers([answer]);
                let request = self.work.request(ITEMS[item].1);
                drop(self.work.jobs().submit(&request).await);
            }
            Op::Retry { again } => {
                let entries = self.quiet().await;
                if again && !self.batch().await.cancelled {
                    for entry in highwayapi_jobs::newest(entries) {
                        if entry.job.state == State::Failed {
                            self.allow(asked(&entry.job));
                        }
                    }
                }
                let _ = self.work.jobs().retry_failed(&self.work.batch().id, again).await;
            }
            Op::SubmitAgain { answer, polls } => {
                let unknown = self.quiet().await.into_iter().find(|entry| entry.job.state == State::Unknown);
                if let Some(entry) = unknown {
                    self.allow(asked(&entry.job));
                    self.singles += u64::from(entry.job.item.is_none());
                    self.work.service.answers([answer]);
                    let jobs = self.work.jobs();
                    drop(dropped(jobs.submit_again(&entry.job.id, pending()), polls).await);
                }
            }
            Op::Fail => self.work.service.fail_one(),
            Op::List => drop(self.work.jobs().list().await.expect("jobs")),
            Op::Cancel => drop(self.work.jobs().cancel(&self.work.batch().id).await.expect("cancelled")),
        }
        // Where no submit came for it, it is not for the next one.
        self.work.service.forget_answers();
    }

    /// What must hold at any time.
    async fn check(&self, op: &Op) -> Result<(), TestCaseError> {
        let accepted = self.work.service.accepted();
        for (prompt, accepted) in &accepted {
            let allowed = self.allowed[prompt.as_str()];
            prop_assert!(*accepted <= allowed, "{prompt}: accepted {accepted} times, {allowed} allowed, by {op:?}");
        }
        let spent = self.batch().await.spent.clips;
        prop_assert!(self.most.is_none_or(|most| spent <= most), "{spent} is above {:?} by {op:?}", self.most);
        let accepted = accepted.values().sum::<usize>() as u64;
        prop_assert!(accepted <= spent + self.singles, "{accepted} accepted, {spent} counted, by {op:?}");
        Ok(())
    }

    /// Run to its end, nothing is left over, and whatever was accepted is in the record.
    async fn end(&mut self) -> Result<(), TestCaseError> {
        self.plan(ITEMS.len(), None).await;
        let jobs = self.work.jobs();
        let mut troubles = Vec::new();
        let told = |event| {
            if let BatchEvent::Left { .. } | BatchEvent::Again { .. } | BatchEvent::Trouble(_) = event {
                troubles.push(format!("{event:?}"));
            }
        };
        let outcome = jobs.run(&self.work.batch().id).run(pending(), told).await.expect("an outcome");
        let cancelled = outcome.batch.cancelled;
        prop_assert!(matches!(outcome.ending, Ending::Done), "{:?}", outcome.ending);
        for (state, items) in outcome.tally.states() {
            let over = !matches!(state, State::Planned | State::Intent | State::Submitted);
            prop_assert!(over, "{items} are {state}: {troubles:#?}");
        }
        // What had its videos and was said to have failed before they were fetched stays what it was: paid for.
        let items = jobs.those(Which::Batch(&outcome.batch.id)).await.expect("jobs");
        let gone = |job: &Job| job.task_id.as_ref().is_some_and(|task| self.work.service.has_failed(task.as_str()));
        for Entry { job, .. } in &items {
            prop_assert!(job.state != State::Succeeded || gone(job), "{} is {}: {troubles:#?}", job.id, job.state);
        }
        prop_assert!(cancelled || outcome.tally.total() == ITEMS.len() as u64, "{:?}", outcome.tally);
        let entries = self.quiet().await;
        for prompt in self.work.service.accepted().keys() {
            let of_it = || entries.iter().map(|entry| &entry.job).filter(|job| asked(job) == prompt);
            let known: Vec<_> = of_it().filter_map(|job| job.task_id.as_ref()).map(|task| task.as_str()).collect();
            let tasks = self.work.service.tasks_of(prompt);
            let unknown = tasks.iter().filter(|task| !known.contains(&task.as_str())).count();
            let attempts = of_it().filter(|job| job.state != State::Refused).map(|job| job.attempt as usize);
            let open = attempts.sum::<usize>() - known.len();
            prop_assert!(unknown <= open, "{prompt}: {unknown} of {tasks:?} are lost, the record has {known:?}");
        }
        let of_batch = jobs.those(Which::Batch(&self.work.batch().id)).await.expect("jobs");
        let sent = of_batch.iter().filter(|entry| entry.job.is_paid()).count();
        prop_assert!(outcome.batch.spent.clips >= sent as u64, "{sent} sent, {:?}", outcome.batch.spent);
        Ok(())
    }
}

#[test]
fn no_batch_pays_twice_passes_its_cap_or_loses_anything() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let config = Config { cases: 20, failure_persistence: None, max_shrink_iters: 64, ..Config::default() };
    let run = TestRunner::new(config).run(&prop::collection::vec(op(), 1..14), |ops| {
        runtime.block_on(async {
            let mut life = Life::new().await;
            for op in &ops {
                timeout(FOREVER, life.live(op)).await.expect("an end");
                life.check(op).await?;
            }
            life.end().await
        })
    });
    run.unwrap_or_else(|error| panic!("{error}"));
}
