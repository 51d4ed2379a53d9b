//! What goes wrong on purpose: a script of rules, looked at by every request and changed at any time.
//!
//! `script` and `rule` are the format, `effect` what can happen, `layer` where it happens: around the handlers, which know
//! nothing of it.

mod answer;
mod clip;
mod effect;
mod header;
mod layer;
mod limits;
mod rule;
mod scenario;
mod script;

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::clock::Clock;
use crate::error::Error;
pub(crate) use crate::faults::effect::{By, Effect};
pub(crate) use crate::faults::layer::layer;
use crate::faults::limits::Windows;
pub(crate) use crate::faults::rule::{Call, Rule};
pub use crate::faults::script::Script;
use crate::faults::script::{Limits, MAX_RULES, free_name, invalid};
use crate::seed::Seed;

/// The name of the rule or fault that a request met; in its response's extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Injected(pub(crate) String);

/// The faults of a sandbox. Every method takes and gives whole values; nothing of it is ever half changed.
pub(crate) struct Faults {
    seed: Seed,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Without its rules.
    script: Script,
    rules: Vec<Live>,
    windows: Windows,
    /// Tasks polled last, the newest first.
    polled: Vec<String>,
}

struct Live {
    rule: Rule,
    fits: u64,
    hits: u64,
}

/// What became of a rule so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Counter {
    pub(crate) name: String,
    pub(crate) effect: &'static str,
    pub(crate) on: bool,
    /// Requests that its `on` and `task` speak of.
    pub(crate) fits: u64,
    /// Requests that met its effect.
    pub(crate) hits: u64,
}

/// What a request meets.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hit {
    /// The rule's.
    pub(crate) name: String,
    pub(crate) effect: Effect,
    /// Hits of this rule so far, this one among them.
    pub(crate) count: u64,
}

impl Faults {
    pub(crate) fn new(script: Script, seed: Seed, clock: Clock) -> Self {
        let faults = Self { seed, clock, state: Mutex::default() };
        faults.put(script);
        faults
    }

    /// The script as it is now, with what was added, removed and switched since it was put there.
    pub(crate) fn get(&self) -> Script {
        let state = self.state();
        let mut script = state.script.clone();
        script.rules = state.rules.iter().map(|live| live.rule.clone()).collect();
        script
    }

    /// Another script in place of the one that is there. All counts begin anew.
    pub(crate) fn put(&self, mut script: Script) {
        let rules = std::mem::take(&mut script.rules).into_iter().map(Live::new).collect();
        *self.state() = State { script, rules, ..State::default() };
    }

    /// All counts begin anew, as those of a sandbox that has just been started.
    pub(crate) fn restart(&self) {
        let mut state = self.state();
        for live in &mut state.rules {
            (live.fits, live.hits) = (0, 0);
        }
        (state.windows, state.polled) = Default::default();
    }

    /// A scenario in place of the script that is there.
    pub(crate) fn load(&self, scenario: &str) -> Result<(), Error> {
        self.put(Script::scenario(scenario)?);
        Ok(())
    }

    /// One more rule, before all others, so that it wins. Gives its name.
    pub(crate) fn add(&self, mut rule: Rule) -> Result<String, Error> {
        let mut state = self.state();
        if state.rules.len() >= MAX_RULES {
            return Err(invalid(format!("there are {MAX_RULES} rules already, and no more are allowed")));
        }
        let taken = |name: &str| state.rules.iter().any(|live| live.name() == name);
        let name = match rule.name.take() {
            Some(name) if taken(&name) => return Err(invalid(format!("name: {name:?} is another rule's already"))),
            Some(name) => name,
            None => free_name(rule.effect.name(), taken),
        };
        rule.name = Some(name.clone());
        state.rules.insert(0, Live::new(rule));
        Ok(name)
    }

    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        let mut state = self.state();
        let at = state.find(name)?;
        state.rules.remove(at);
        Ok(())
    }

    /// A rule that is off counts the requests that fit and hits none.
    pub(crate) fn switch(&self, name: &str, on: bool) -> Result<(), Error> {
        let mut state = self.state();
        let at = state.find(name)?;
        state.rules[at].rule.off = !on;
        Ok(())
    }

    /// In the order of the rules.
    pub(crate) fn counters(&self) -> Vec<Counter> {
        let counter = |live: &Live| Counter {
            name: live.name().to_owned(),
            effect: live.rule.effect.name(),
            on: !live.rule.off,
            fits: live.fits,
            hits: live.hits,
        };
        self.state().rules.iter().map(counter).collect()
    }

    pub(crate) fn limits(&self) -> Limits {
        self.state().script.limits.clone()
    }

    /// Counts a request of this key, or says how long it is until one more is allowed.
    pub(crate) fn count(&self, key: &[u8]) -> Result<(), std::time::Duration> {
        let mut state = self.state();
        let most = state.script.limits.requests_per_minute;
        most.map_or(Ok(()), |most| state.windows.count(key, most, self.clock.now()))
    }

    /// What the request meets: the first rule that fits. All that fit count it.
    pub(crate) fn decide(&self, call: &Call<'_>) -> Option<Hit> {
        let mut state = self.state();
        let mut hit = None;
        for live in state.rules.iter_mut().filter(|live| live.rule.fits(call)) {
            live.fits += 1;
            if hit.is_none() && live.rule.hits(call, live.fits, live.hits, &self.seed) {
                live.hits += 1;
                let effect = live.rule.effect.clone();
                hit = Some(Hit { name: live.name().to_owned(), effect, count: live.hits });
            }
        }
        hit
    }

    /// Notes that this task was polled, and gives the one that was polled before it.
    pub(crate) fn polled_before(&self, task: &str) -> Option<String> {
        let mut state = self.state();
        state.polled.retain(|known| known != task);
        let before = state.polled.first().cloned();
        state.polled.insert(0, task.chars().take(100).collect());
        state.polled.truncate(2);
        before
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn find(&self, name: &str) -> Result<usize, Error> {
        let unknown = || {
            let names: Vec<&str> = self.rules.iter().map(Live::name).collect();
            invalid(format!("no rule is called {name:?}; there are: {}", names.join(", ")))
        };
        self.rules.iter().position(|live| live.name() == name).ok_or_else(unknown)
    }
}

impl Live {
    fn new(rule: Rule) -> Self {
        Self { rule, fits: 0, hits: 0 }
    }

    fn name(&self) -> &str {
        self.rule.name.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
