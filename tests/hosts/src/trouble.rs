//! What is done to workers and to their record, and when: without it no job may be unknown.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    Killed,
    Paused,
    CutFromNats,
    CutFromApi,
    NatsKilled,
    DiskFull,
}

impl Trouble {
    /// To a single worker.
    pub(crate) const OF_WORKERS: [Self; 4] = [Self::Killed, Self::Paused, Self::CutFromNats, Self::CutFromApi];
    /// To the record of all.
    pub(crate) const OF_NATS: [Self; 2] = [Self::NatsKilled, Self::DiskFull];

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Killed => "a worker killed with `SIGKILL` and started anew",
            Self::Paused => "a worker paused with `SIGSTOP` beyond its lease, and woken",
            Self::CutFromNats => "a worker cut off from NATS",
            Self::CutFromApi => "a worker cut off from the API",
            Self::NatsKilled => "NATS killed with `SIGKILL` and started again",
            Self::DiskFull => "NATS's disk full, then freed, and NATS started again",
        }
    }
}

/// Something that has happened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Happened {
    pub(crate) trouble: Trouble,
    /// To which worker; to the record of all where it is none.
    pub(crate) worker: Option<usize>,
    pub(crate) from: SystemTime,
    pub(crate) until: SystemTime,
}

impl Happened {
    /// Whether it can have made this worker lose an answer that came at some time from `sent` to `answered`.
    pub(crate) fn explains(&self, worker: usize, sent: SystemTime, answered: SystemTime) -> bool {
        self.worker.is_none_or(|happened| happened == worker) && self.from <= answered + MARGIN && self.until >= sent
    }
}

/// How long an answer that was sent may be on its way into the record.
const MARGIN: Duration = Duration::from_secs(1);

/// All that has happened in a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Diary(Arc<Mutex<Vec<Happened>>>);

impl Diary {
    /// Write down what began at this time and is over now.
    pub(crate) fn note(&self, trouble: Trouble, worker: Option<usize>, from: SystemTime) {
        let happened = Happened { trouble, worker, from, until: SystemTime::now() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(happened);
    }

    pub(crate) fn all(&self) -> Vec<Happened> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_came_between_sending_and_recording_to_its_sender_explains() {
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let happened = |worker: Option<usize>, from: u64, until: u64| Happened {
            trouble: Trouble::Paused,
            worker,
            from: at(from),
            until: at(until),
        };
        for (worker, from, until, explains) in [
            (Some(1), 95, 105, true),
            (None, 105, 115, true),
            // Within the margin after the answer.
            (Some(1), 111, 120, true),
            (Some(1), 112, 120, false),
            (Some(1), 90, 99, false),
            (Some(2), 95, 105, false),
        ] {
            let found = happened(worker, from, until).explains(1, at(100), at(110));
            assert_eq!(found, explains, "{worker:?} {from} {until}");
        }
    }
}
