//! When to ask next: a pure function of what is known of run times, of the task's age and of the bounds.
//!
//! The question is as old as inspection plans for machines. If a request is worth `price` seconds of lag, the least of both
//! is had by asking with a density of √(hazard / 2·price): rarely before a task can be done, often when it is likely, and
//! rarely again in the tail (Keller, "Optimum checking schedules for systems subject to random failure", 1974).

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::schedule::history::{ROOTS, STEP, STEPS, step};

/// Where nothing is known: as many tasks end while their age grows from 1 to e minutes as from 1 to e seconds, each time
/// two in three of those that are left.
const GUESS: f64 = 1.0;
/// The guess counts like a tenth of a task that was watched.
const GUESS_WEIGHT: f64 = 0.1;
/// What is known of all tasks counts like one of one's own kind.
const ALL_WEIGHT: f64 = 1.0;

/// What to expect of a task.
#[derive(Clone)]
pub(crate) struct Outlook {
    /// How many end per e-fold of age, of those that are left.
    hazard: [f64; STEPS],
    /// ∫ √(hazard per second) over the age up to the beginning of each step.
    pressure: [f64; STEPS + 1],
}

impl Outlook {
    /// Nothing is known.
    pub(crate) fn guess() -> Self {
        Self::new([GUESS; STEPS])
    }

    /// From what was seen of all tasks.
    pub(crate) fn of_all(done: &[f64; STEPS], watched: &[f64; STEPS], weight: f64) -> Self {
        Self::seen(done, watched, weight, &[GUESS; STEPS], GUESS_WEIGHT)
    }

    /// From what was seen of some of them.
    pub(crate) fn of_kind(done: &[f64; STEPS], watched: &[f64; STEPS], weight: f64, all: &Self) -> Self {
        Self::seen(done, watched, weight, &all.hazard, ALL_WEIGHT)
    }

    /// Where little was seen, it leans on what was thought before.
    fn seen(done: &[f64; STEPS], watched: &[f64; STEPS], weight: f64, before: &[f64; STEPS], lean: f64) -> Self {
        let (done, watched) = (smooth(done), smooth(watched));
        let lean = lean * STEP * weight;
        Self::new(std::array::from_fn(|at| (done[at] + lean * before[at]) / (watched[at] + lean)))
    }

    fn new(hazard: [f64; STEPS]) -> Self {
        let mut pressure = [0.0; STEPS + 1];
        for at in 0..STEPS {
            // The hazard per second is that per e-fold divided by the age; its root integrates to twice the age's.
            pressure[at + 1] = pressure[at] + hazard[at].sqrt() * 2.0 * (ROOTS[at + 1] - ROOTS[at]);
        }
        Self { hazard, pressure }
    }

    /// How long to wait until a task of this age, in seconds, is asked after again. `chance`, from 0 to 1, spreads those
    /// that would ask together.
    pub(crate) fn pause(&self, age: f64, price: f64, pauses: &RangeInclusive<Duration>, chance: f64) -> Duration {
        let next = self.age_at(self.pressure_at(age) + (2.0 * price).sqrt());
        let pause = (next - age) * (0.97 + 0.06 * chance);
        let (shortest, longest) = (pauses.start().as_secs_f64(), pauses.end().as_secs_f64());
        Duration::from_secs_f64(pause.clamp(shortest, longest))
    }

    fn pressure_at(&self, age: f64) -> f64 {
        let at = step(age);
        self.pressure[at] + self.hazard[at].sqrt() * 2.0 * (age.sqrt() - ROOTS[at]).max(0.0)
    }

    fn age_at(&self, pressure: f64) -> f64 {
        let at = self.pressure[1..STEPS].partition_point(|&reached| reached < pressure);
        (ROOTS[at] + (pressure - self.pressure[at]) / (2.0 * self.hazard[at].sqrt())).powi(2)
    }
}

/// What was seen in one step speaks for its neighbours too: 1 : 4 : 6 : 4 : 1, as two times the mean with each side.
fn smooth(values: &[f64; STEPS]) -> [f64; STEPS] {
    let mut values = *values;
    for _ in 0..2 {
        (1..STEPS).for_each(|at| values[at - 1] = (values[at - 1] + values[at]) / 2.0);
        (1..STEPS).rev().for_each(|at| values[at] = (values[at - 1] + values[at]) / 2.0);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::history::History;

    const PAUSES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60);

    fn pause(history: &mut History, age: f64) -> f64 {
        history.outlook(None).pause(age, 0.5, &PAUSES, 0.5).as_secs_f64()
    }

    #[test]
    fn without_experience_pauses_grow_with_the_age() {
        let mut history = History::new();
        let pauses = [1.0, 10.0, 100.0, 1000.0].map(|age| pause(&mut history, age).round());
        assert_eq!(pauses, [1.0, 3.0, 10.0, 32.0]);
    }

    #[test]
    fn with_experience_it_asks_when_tasks_are_done() {
        let mut history = History::new();
        for _ in 0..50 {
            history.observe(None, 72.0, 74.0, true);
            history.observe(None, 0.0, 72.0, false);
        }
        let (early, late) = (pause(&mut history, 0.0), pause(&mut history, 71.0));
        assert!(early > 50.0, "{early}");
        assert!(late < 3.0, "{late}");
    }

    #[test]
    fn no_pause_is_out_of_bounds_whatever_was_seen() {
        let mut history = History::new();
        for (from, to) in [(0.0, 0.0), (0.0, 1e9), (1e9, 1e9), (1e-9, 1e-9), (7000.0, 9000.0), (5.0, 3.0)] {
            for _ in 0..3000 {
                history.observe(None, from, to, true);
                history.observe(None, from, to, false);
            }
            for age in [0.0, 1e-9, 0.05, 1.0, 73.0, 8137.0, 1e6, 1e12] {
                let pause = pause(&mut history, age);
                assert!((1.0..=60.0).contains(&pause), "{pause} at {age}");
            }
        }
    }
}
