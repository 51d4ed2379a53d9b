//! How far a batch is, in numbers.

use std::collections::BTreeMap;

use super::newest;
use crate::state::State;
use crate::store::Entry;

/// How many items of a batch are in which state. An item that was tried more than once counts by its newest job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<State, u64>);

impl Tally {
    /// Of all jobs of a batch, in the order in which they were added.
    pub fn of(entries: Vec<Entry>) -> Self {
        let mut tally = Self::default();
        newest(entries).iter().for_each(|entry| tally.add(entry.job.state, 1));
        tally
    }

    /// Counts so many more.
    pub fn add(&mut self, state: State, items: u64) {
        *self.0.entry(state).or_default() += items;
    }

    /// How many are in this state.
    pub fn count(&self, state: State) -> u64 {
        self.0.get(&state).copied().unwrap_or_default()
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Each state that there is, and how many are in it.
    pub fn states(&self) -> impl Iterator<Item = (State, u64)> {
        self.0.iter().map(|(&state, &items)| (state, items))
    }
}
