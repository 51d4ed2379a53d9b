//! What is known of how long tasks run.
//!
//! Kept as a hazard: of the tasks that reach an age, how many are done soon after. Ages stand on a logarithmic scale; each
//! step of it keeps for how long tasks were watched in it and how many were done in it. So a task that is not done yet
//! teaches as much as one that is, and one that is first seen late teaches nothing about its youth.

use std::sync::LazyLock;

use crate::schedule::policy::Outlook;
use crate::{DurationSeconds, Options, Resolution};

/// From 50 ms to more than two hours.
pub(crate) const STEPS: usize = 300;
/// A step is so many e-folds of age: 4 %.
pub(crate) const STEP: f64 = 0.04;
const FIRST: f64 = 0.05;

/// When so many more are done, what one taught counts a third of what it did: services change.
const MEMORY: f64 = 100.0;

/// Square roots of the ages, in seconds, at which the steps begin, and of that at which the last one ends.
pub(crate) static ROOTS: LazyLock<[f64; STEPS + 1]> = LazyLock::new(|| {
    std::array::from_fn(|step| if step == 0 { 0.0 } else { (FIRST * (step as f64 * STEP).exp()).sqrt() })
});

/// The step in which an age lies.
pub(crate) fn step(age: f64) -> usize {
    ((age / FIRST).max(1.0).ln() / STEP).min(STEPS as f64 - 1.0) as usize
}

/// Tasks that are expected to run equally long: those of one length and resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind(usize);

impl Kind {
    pub(crate) const COUNT: usize = DurationSeconds::ALL.len() * Resolution::ALL.len();

    pub(crate) fn of(options: &Options) -> Self {
        let length = options.duration_seconds.unwrap_or_default();
        let length = DurationSeconds::ALL.iter().position(|&one| one == length).unwrap_or_default();
        let resolution = options.resolution.unwrap_or_default();
        let resolution = Resolution::ALL.iter().position(|&one| one == resolution).unwrap_or_default();
        Self(length * Resolution::ALL.len() + resolution)
    }
}

/// What was seen of some tasks, and what to expect of the next.
struct Seen {
    /// How many were done in each step.
    done: [f64; STEPS],
    /// For how long tasks were watched in each step, in e-folds.
    watched: [f64; STEPS],
    /// How much more the next counts than the first did.
    weight: f64,
    outlook: Outlook,
    observations: u32,
    /// How many of them are not in the outlook yet.
    unread: u32,
}

impl Seen {
    fn new(outlook: Outlook) -> Box<Self> {
        let nothing = [0.0; STEPS];
        Box::new(Self { done: nothing, watched: nothing, weight: 1.0, outlook, observations: 0, unread: 0 })
    }

    /// A task was watched from one age to another, and was done somewhere in between, or was not.
    fn observe(&mut self, from: f64, to: f64, done: bool) {
        let (first, last) = (step(from), step(to));
        let mut running = 1.0;
        for at in first..=last {
            let begin = from.max(ROOTS[at].powi(2));
            let end = if at == last { to } else { ROOTS[at + 1].powi(2) };
            // Where in between nobody knows: it is spread evenly over the time.
            let ended = if !done {
                0.0
            } else if to > from {
                ((end - begin) / (to - from)).clamp(0.0, 1.0)
            } else {
                1.0
            };
            let folds = (end / begin.max(FIRST)).max(1.0).ln().min(STEP);
            self.done[at] += self.weight * ended;
            self.watched[at] += self.weight * folds * (running - ended / 2.0);
            running -= ended;
        }
        if done {
            self.weight *= 1.0 + 1.0 / MEMORY;
        }
        if self.weight > 1e9 {
            let all = self.done.iter_mut().chain(&mut self.watched);
            all.for_each(|sum| *sum /= self.weight);
            self.weight = 1.0;
        }
        self.observations = self.observations.saturating_add(1);
        self.unread += 1;
    }

    /// Whether what came since would change the outlook much. To look at each costs more than it tells.
    fn is_stale(&self) -> bool {
        self.unread > 0 && self.unread >= (self.observations / 16).min(8)
    }

    fn refresh(&mut self, outlook: Outlook) {
        (self.outlook, self.unread) = (outlook, 0);
    }
}

/// What is known of how long tasks run, by kind and of all together.
pub(crate) struct History {
    all: Box<Seen>,
    kinds: [Option<Box<Seen>>; Kind::COUNT],
}

impl History {
    pub(crate) fn new() -> Self {
        Self { all: Seen::new(Outlook::guess()), kinds: Default::default() }
    }

    /// A task was watched from one age to another, in seconds: it ended in between, or it did not.
    pub(crate) fn observe(&mut self, kind: Option<Kind>, from: f64, to: f64, done: bool) {
        self.all.observe(from, to, done);
        if let Some(Kind(kind)) = kind {
            let outlook = || Seen::new(self.all.outlook.clone());
            self.kinds[kind].get_or_insert_with(outlook).observe(from, to, done);
        }
    }

    /// What to expect of a task.
    pub(crate) fn outlook(&mut self, kind: Option<Kind>) -> &Outlook {
        let Self { all, kinds } = self;
        if all.is_stale() {
            all.refresh(Outlook::of_all(&all.done, &all.watched, all.weight));
        }
        match kind.and_then(|Kind(kind)| kinds[kind].as_mut()) {
            Some(seen) => {
                if seen.is_stale() {
                    seen.refresh(Outlook::of_kind(&seen.done, &seen.watched, seen.weight, &all.outlook));
                }
                &seen.outlook
            }
            None => &all.outlook,
        }
    }
}
