//! The tasks: admitted, queued, processing, done; bounded in number.

mod task;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use highwayapi_render::ClipSpec;

pub(crate) use self::task::State;
pub(crate) use self::task::Task;
use crate::clip::Pair;
use crate::error::ApiError;

/// Tasks that may wait or run at once, unless the builder says otherwise. One that waits holds one to five kilobytes, its
/// pictures apart.
pub(crate) const MAX_OPEN: usize = 10_000;

/// Finished tasks remembered; over that the oldest are forgotten.
pub(crate) const MAX_FINISHED: usize = 10_000;

/// Characters of a prompt that are remembered: the contract sets no limit.
pub(crate) const PROMPT_KEPT: usize = 1000;

/// A submit that was accepted; from [`Sandbox::accepted`](crate::Sandbox::accepted).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// The id that the submit was answered with.
    pub task_id: String,
    /// What was asked for, its first 1,000 characters.
    pub prompt: String,
    /// The seed that is used, asked for or not.
    pub seed: u32,
}

/// What shall become of one task, where it is not what the sandbox is configured for; in the extensions of its submit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fate {
    /// How long it waits before it runs.
    pub(crate) queued: Option<Duration>,
    /// How long it runs.
    pub(crate) run: Option<Duration>,
    /// It fails at its end, for this reason.
    pub(crate) fails: Option<String>,
    /// It gives at most so many clips.
    pub(crate) clips: Option<u32>,
    /// It runs and never ends.
    pub(crate) stuck: bool,
}

/// All tasks of a sandbox, by id.
pub(crate) struct Tasks {
    max_open: usize,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    tasks: HashMap<String, Task>,
    /// By when they end and their number; those of which nobody knows when stand last.
    open: BTreeMap<(u64, u64), String>,
    /// Oldest first.
    finished: VecDeque<String>,
    /// How many of the oldest finished ones have let go of their pictures.
    bare: usize,
    admitted: u64,
    /// Counts how often all were replaced.
    age: u64,
}

/// A task that is being rendered, and no later one of the same name.
#[derive(Clone)]
pub(crate) struct Ticket {
    pub(crate) task_id: String,
    age: u64,
}

/// What a clip is made of.
pub(crate) struct Recipe {
    pub(crate) id: String,
    pub(crate) pair: Option<Arc<Pair>>,
    pub(crate) spec: ClipSpec,
}

impl Tasks {
    pub(crate) fn new(max_open: usize) -> Self {
        Self { max_open, table: Mutex::default() }
    }

    /// Accepted so far: each of them would have been billed.
    pub(crate) fn admitted(&self) -> u64 {
        self.table().admitted
    }

    /// How many wait or run.
    pub(crate) fn open(&self, now: u64) -> u64 {
        let mut table = self.table();
        table.settle(now);
        table.open.len() as u64
    }

    /// The number of a task among the accepted, counted from 1.
    pub(crate) fn number(&self, id: &str) -> Option<u64> {
        self.table().tasks.get(id).map(|task| task.number)
    }

    /// Those of the accepted that are remembered, in their order.
    pub(crate) fn accepted(&self) -> Vec<Accepted> {
        let accepted = |task: Task| Accepted { task_id: task.task_id, prompt: task.prompt, seed: task.seed };
        self.all(|_, tasks| tasks.into_iter().map(accepted).collect())
    }

    /// Takes a task in, or says that there are too many. `make` gives the task of a number; it counts only once it is
    /// `kept`, and everything else waits for that.
    pub(crate) fn admit(
        &self,
        now: u64,
        make: impl FnOnce(u64) -> Task,
        kept: impl FnOnce(&Task) -> Result<(), ApiError>,
    ) -> Result<Ticket, ApiError> {
        let mut table = self.table();
        table.settle(now);
        if table.open.len() >= self.max_open {
            let most = self.max_open;
            return Err(ApiError::busy(format!("the queue is full: at most {most} tasks wait or run at once")));
        }
        let task = make(table.admitted + 1);
        kept(&task)?;
        let ticket = Ticket { task_id: task.task_id.clone(), age: table.age };
        table.insert(task);
        Ok(ticket)
    }

    /// Takes in what a sandbox before this one has admitted, in the place of all that is here. Returns which of them wait
    /// for their clips.
    pub(crate) fn replace(&self, now: u64, admitted: u64, tasks: Vec<Task>) -> Vec<Ticket> {
        let mut table = Table { admitted, ..Table::default() };
        let mut waiting = Vec::new();
        let mut current = self.table();
        table.age = current.age + 1;
        for task in tasks {
            if task.waits_for_clips() {
                waiting.push(Ticket { task_id: task.task_id.clone(), age: table.age });
            }
            table.insert(task);
        }
        table.settle(now);
        let old = std::mem::replace(&mut *current, table);
        drop(current);
        drop(old);
        waiting
    }

    /// The clips begin to be made.
    pub(crate) fn begin(&self, ticket: &Ticket, now: u64) {
        if let Some(task) = self.table().of(ticket) {
            task.begins.get_or_insert(now);
        }
    }

    pub(crate) fn progress(&self, ticket: &Ticket, part: f32) {
        if let Some(task) = self.table().of(ticket) {
            task.rendered = task.rendered.max(part);
        }
    }

    /// The clips are there, or `fails` says why not. `kept` is told before anybody else.
    pub(crate) fn finish(&self, ticket: &Ticket, now: u64, fails: Option<String>, kept: impl FnOnce(&Task)) {
        let mut table = self.table();
        let Some(task) = table.of(ticket) else { return };
        // All its clips may have been there already.
        task.begins.get_or_insert(now);
        task.ends = Some(now);
        task.fails = fails;
        kept(task);
        let number = task.number;
        table.open.remove(&(u64::MAX, number));
        table.open.insert((now, number), ticket.task_id.clone());
        table.settle(now);
    }

    /// The answer to task-result, by the task's own `answer`.
    pub(crate) fn with<T>(&self, id: &str, answer: impl FnOnce(&Task) -> T) -> Option<T> {
        self.table().tasks.get(id).map(answer)
    }

    /// What this clip of a task is made of.
    pub(crate) fn recipe(&self, id: &str, sample: u32) -> Option<Recipe> {
        let table = self.table();
        let task = table.tasks.get(id)?;
        let spec = task.spec(sample)?;
        Some(Recipe { id: crate::clip::id(&task.image, &task.last_image, &spec), pair: task.pair.clone(), spec })
    }

    /// All of them by their number, and how many were ever accepted; nothing changes meanwhile.
    pub(crate) fn all<T>(&self, look: impl FnOnce(u64, Vec<Task>) -> T) -> T {
        let table = self.table();
        let mut tasks: Vec<_> = table.tasks.values().cloned().collect();
        tasks.sort_unstable_by_key(|task| task.number);
        look(table.admitted, tasks)
    }

    /// Those whose number is below `before`, the newest first.
    pub(crate) fn newest(&self, before: u64, wanted: impl Fn(&Task) -> bool, most: usize) -> Vec<Task> {
        let table = self.table();
        let mut tasks: Vec<_> = table.tasks.values().filter(|task| task.number < before && wanted(task)).collect();
        tasks.sort_unstable_by_key(|task| std::cmp::Reverse(task.number));
        tasks.into_iter().take(most).cloned().collect()
    }

    /// How many are in each state.
    pub(crate) fn by_state(&self, now: u64) -> BTreeMap<State, u64> {
        let all = [State::Queued, State::Processing, State::Succeeded, State::Failed];
        let mut counts = BTreeMap::from(all.map(|state| (state, 0)));
        for task in self.table().tasks.values() {
            *counts.entry(task.state(now)).or_default() += 1;
        }
        counts
    }

    /// Lets the oldest finished task go without its pictures, and says whether there was one.
    pub(crate) fn let_go(&self, now: u64) -> bool {
        let mut table = self.table();
        table.settle(now);
        while let Some(id) = table.finished.get(table.bare).cloned() {
            table.bare += 1;
            if let Some(pair) = table.tasks.get_mut(&id).and_then(|task| task.pair.take()) {
                // Removes files: not under the lock.
                drop(table);
                drop(pair);
                return true;
            }
        }
        false
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn insert(&mut self, task: Task) {
        self.admitted = self.admitted.max(task.number);
        self.open.insert((task.end().unwrap_or(u64::MAX), task.number), task.task_id.clone());
        self.tasks.insert(task.task_id.clone(), task);
    }

    fn of(&mut self, ticket: &Ticket) -> Option<&mut Task> {
        if self.age == ticket.age { self.tasks.get_mut(&ticket.task_id) } else { None }
    }

    /// What has ended by now is finished, in the order of the ends.
    fn settle(&mut self, now: u64) {
        while let Some(next) = self.open.first_entry().filter(|next| next.key().0 <= now && next.key().0 != u64::MAX) {
            self.finished.push_back(next.remove());
            if self.finished.len() > MAX_FINISHED
                && let Some(oldest) = self.finished.pop_front()
            {
                self.bare = self.bare.saturating_sub(1);
                self.tasks.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::task::tests::task;
    use super::*;

    fn admit(tasks: &Tasks, now: u64, with: impl FnOnce(&mut Task)) -> Result<Ticket, ApiError> {
        let make = |number| {
            let mut task = task(number);
            with(&mut task);
            task
        };
        tasks.admit(now, make, |_| Ok(()))
    }

    #[test]
    fn ten_thousand_may_wait_and_ten_thousand_finished_are_remembered() {
        let tasks = Tasks::new(MAX_OPEN);
        let first: Vec<_> = (0..10_000).map(|_| admit(&tasks, 0, |_| {}).unwrap()).collect();
        assert!(admit(&tasks, 0, |_| {}).is_err());

        first.iter().for_each(|ticket| tasks.finish(ticket, 1, None, |_| {}));
        let second: Vec<_> = (0..10_000).map(|_| admit(&tasks, 1, |_| {}).unwrap()).collect();
        assert_eq!(tasks.accepted().len(), 20_000, "who waits makes nobody forgotten");
        tasks.finish(&second[0], 2, None, |_| {});
        let known = |ticket: &Ticket| tasks.with(&ticket.task_id, |_| ()).is_some();
        assert!(!known(&first[0]) && known(&first[1]) && known(&second[0]));
        assert_eq!((tasks.accepted().len(), tasks.admitted()), (19_999, 20_000));
        assert_eq!(tasks.newest(u64::MAX, |_| true, 2).iter().map(|task| task.number).sum::<u64>(), 39_999);
    }

    #[test]
    fn who_ends_by_the_clock_makes_room_for_others() {
        let tasks = Tasks::new(2);
        let planned = |now, ends| admit(&tasks, now, |task| (task.begins, task.ends) = (Some(0), Some(ends)));
        planned(0, 100).unwrap();
        planned(0, 50).unwrap();
        assert!(planned(49, 1000).is_err());
        planned(50, 1000).unwrap();
        assert!(planned(50, 1000).is_err());
        assert_eq!(Vec::from(tasks.table().finished.clone()), ["task 2"]);
        admit(&tasks, 100, |task| (task.ends, task.stuck) = (Some(0), true)).unwrap();
        planned(1000, 2000).unwrap();
        assert!(planned(1999, 3000).is_err(), "what is stuck never ends");
    }

    #[test]
    fn what_could_not_be_kept_was_not_admitted() {
        let tasks = Tasks::new(2);
        assert!(tasks.admit(0, task, |_| Err(ApiError::internal("the disk is full"))).is_err());
        assert_eq!((tasks.admitted(), tasks.accepted().len()), (0, 0));
        assert_eq!(admit(&tasks, 0, |_| {}).unwrap().task_id, "task 1");
    }

    #[test]
    fn a_rendering_from_before_a_reset_touches_nothing() {
        let tasks = Tasks::new(2);
        let old = admit(&tasks, 0, |_| {}).unwrap();
        assert!(tasks.replace(0, 0, Vec::new()).is_empty());
        let new = admit(&tasks, 0, |_| {}).unwrap();
        assert_eq!(old.task_id, new.task_id);
        tasks.begin(&old, 1);
        tasks.finish(&old, 2, None, |_| panic!("it is another task"));
        assert_eq!(tasks.with(&new.task_id, |task| task.state(9)), Some(State::Queued));
    }
}
