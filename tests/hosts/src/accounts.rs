//! The account of a run: what the service would have billed, what the record says, what is in the folder. Unknown jobs are
//! explained, and resolved as their owner would resolve them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use fault_tests::Result;
use fault_tests::files::{leftovers, unverified};

use crate::batches::clips;
use crate::record::{Job, Record};
use crate::service::{Accepted, Books, Request, Service};

/// As long as the sandbox takes for an answer, at most.
const SLOW: Duration = Duration::from_secs(2);

/// How often jobs that were sent again may become unknown once more.
const ROUNDS: usize = 10;

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Clips that were asked for.
    pub clips: usize,
    /// Submits that the service would have billed.
    pub billed: u64,
    /// Clips that were billed more than once.
    pub paid_twice: usize,
    /// Clips that were billed and are not there.
    pub lost: usize,
    /// Files under a clip's name that do not verify, at any time.
    pub unverified: BTreeSet<String>,
    /// Files that are neither a clip nor its sidecar, in the end.
    pub leftovers: usize,
    /// Times that a job was unknown, and by what that is explained.
    pub explained: BTreeMap<String, usize>,
    /// Those that nothing explains.
    pub unexplained: usize,
    /// Unknown jobs that the service had accepted, and were resolved with `--task`.
    pub named: usize,
    /// Those that it had not, and were resolved with `--resubmit`.
    pub resubmitted: usize,
    /// What else is wrong.
    pub problems: Vec<String>,
}

/// Why a job may be unknown.
pub(crate) trait Explain {
    /// In words. `sent` and `answered` are by the clock of the service, where it knows of the submit; of one that it
    /// never saw whole `sent` is by the clock of its sender.
    fn trouble(&self, job: &Job, sent: SystemTime, answered: Option<SystemTime>) -> Option<String>;
}

impl Account {
    /// Whether nothing is wrong.
    pub fn holds(&self) -> bool {
        let faults = [self.paid_twice, self.lost, self.unverified.len(), self.leftovers, self.unexplained];
        faults == [0; 5] && self.problems.is_empty()
    }

    /// Looks at what is there at this moment.
    pub(crate) fn look(&mut self, folder: &Path) -> Result<()> {
        let clips = clips(folder);
        if clips.exists() {
            self.unverified.extend(unverified(&clips)?.iter().map(|path| path.display().to_string()));
        }
        Ok(())
    }

    /// Does what only the account's owner can do about unknown jobs, while nobody else is at work. True when there is
    /// nothing left to do for anybody.
    pub(crate) async fn resolve_all(
        &mut self,
        record: &Record,
        service: &mut Service,
        why: &impl Explain,
    ) -> Result<bool> {
        let (jobs, books) = (record.jobs().await?, service.books().await?);
        for job in jobs.iter().filter(|job| job.is_unknown()) {
            self.resolve(job, &books, record, why).await?;
        }
        Ok(!jobs.iter().any(|job| job.is_unknown() || job.is_unfinished()))
    }

    /// The same, and lets `finish` do the rest, until there is nothing left.
    pub(crate) async fn settle<F: Future<Output = Result<()>>>(
        &mut self,
        record: &Record,
        service: &mut Service,
        why: &impl Explain,
        finish: impl Fn() -> F,
    ) -> Result<()> {
        for _ in 0..ROUNDS {
            if self.resolve_all(record, service, why).await? {
                return Ok(());
            }
            finish().await?;
        }
        self.problems.push(format!("there are unknown or unfinished jobs after {ROUNDS} rounds"));
        Ok(())
    }

    async fn resolve(&mut self, job: &Job, books: &Books, record: &Record, why: &impl Explain) -> Result<()> {
        let accepted = books.accepted.iter().find(|accepted| accepted.clip == job.clip);
        let (args, resolved) = match accepted {
            Some(accepted) => (vec!["--task", &*accepted.task_id], &mut self.named),
            None => (vec!["--resubmit"], &mut self.resubmitted),
        };
        let output = record.run(&[&["resolve", &job.id][..], &args].concat()).await?;
        // 3: sent again, it is lost again. All else may pass: the owner tries again.
        if !matches!(output.status.code(), Some(0 | 3)) {
            return Ok(());
        }
        *resolved += 1;
        match explanation(job, accepted, books, why) {
            Some(cause) => *self.explained.entry(cause).or_default() += 1,
            None => {
                self.unexplained += 1;
                self.problems.push(format!("nothing explains {job:?}, {accepted:?}"));
            }
        }
        Ok(())
    }

    /// What must be there when all is done.
    pub(crate) async fn close(
        &mut self,
        record: &Record,
        service: &mut Service,
        folder: &Path,
        asked: usize,
    ) -> Result<()> {
        let (jobs, books) = (record.jobs().await?, service.books().await?);
        let clips = clips(folder);
        self.look(folder)?;
        (self.clips, self.billed) = (asked, books.billed);
        if books.billed != asked as u64 {
            self.problems.push(format!("{} submits were billed, and {asked} clips asked for", books.billed));
        }
        if books.leaked > 0 {
            self.problems.push("the key went to where the videos are".to_owned());
        }
        for clip in 1..=asked {
            let paid = books.accepted.iter().filter(|accepted| accepted.clip == clip).count();
            let there = clips.join(format!("{clip}.mp4")).exists();
            self.paid_twice += usize::from(paid > 1);
            self.lost += usize::from(paid > 0 && !there);
            let states: Vec<&str> = jobs.iter().filter(|job| job.clip == clip).map(|job| &*job.state).collect();
            if paid != 1 || !there || states != ["downloaded"] {
                let reasons: Vec<_> = jobs.iter().filter(|job| job.clip == clip).map(|job| &job.reason).collect();
                self.problems.push(format!("clip {clip} was paid for {paid} times and is {states:?}: {reasons:?}"));
            }
        }
        for path in leftovers(&clips)? {
            self.leftovers += 1;
            self.problems.push(format!("left over: {}", path.display()));
        }
        self.verify(record, folder, asked).await
    }

    /// By the command itself.
    async fn verify(&mut self, record: &Record, folder: &Path, asked: usize) -> Result<()> {
        let mut command = record.command(&["verify"]);
        command.current_dir(clips(folder)).args((1..=asked).map(|clip| format!("{clip}.mp4")));
        let output = fault_tests::highway::output(command).await?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            self.problems.push(format!("highway verify: {}: {words}", output.status));
        }
        Ok(())
    }
}

/// What made a job unknown: what happened to its sender, or what the sandbox did on purpose.
fn explanation(job: &Job, accepted: Option<&Accepted>, books: &Books, why: &impl Explain) -> Option<String> {
    let fault = |submit: &Request| {
        let fault = submit.fault.as_ref().filter(|fault| !fault.starts_with("slow-"))?;
        Some(format!("the sandbox's fault `{fault}`"))
    };
    let Some(accepted) = accepted else {
        // The journal does not tell of which clip such a submit was, but when.
        let near = |submit: &&Request| submit.is_open_at(job.submitted_at);
        return why.trouble(job, job.submitted_at, None).or_else(|| books.submits.iter().filter(near).find_map(fault));
    };
    match books.submits.iter().find(|submit| submit.task_id.as_ref() == Some(&accepted.task_id)) {
        Some(submit) => fault(submit).or_else(|| why.trouble(job, submit.arrived, Some(submit.answered))),
        // Who sent it was gone before it was answered.
        None => why.trouble(job, accepted.at, Some(accepted.at + SLOW)),
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in [
            ("clips asked for", self.clips),
            ("clips there and verified", self.clips - self.lost.min(self.clips)),
            ("submits billed", self.billed as usize),
            ("**paid twice**", self.paid_twice),
            ("**paid for and lost**", self.lost),
            ("**under a final name and not verified by a sidecar**, at any time", self.unverified.len()),
            ("**files left over when all is done**", self.leftovers),
            ("unknown", self.explained.values().sum::<usize>() + self.unexplained),
            ("of these accepted by the service: `resolve --task`", self.named),
            ("of these not accepted: `resolve --resubmit`", self.resubmitted),
        ] {
            writeln!(f, "| {name} | {count} |")?;
        }
        for (cause, count) in &self.explained {
            writeln!(f, "| unknown for {cause} | {count} |")?;
        }
        writeln!(f, "| **unknown for no such reason** | {} |", self.unexplained)?;
        self.problems.iter().try_for_each(|problem| writeln!(f, "\n{problem}"))
    }
}
