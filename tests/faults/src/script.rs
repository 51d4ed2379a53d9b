//! What goes wrong, and when.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::http::{Answer, Head};

/// A request's part in the way from two pictures to a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Submit,
    Poll,
    Download,
}

impl Step {
    pub(crate) fn of(head: &Head) -> Self {
        match head.method() {
            "POST" => Self::Submit,
            _ if head.path().starts_with("/v3/") => Self::Poll,
            _ => Self::Download,
        }
    }
}

/// Which requests of a step meet the fault, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Nth(usize),
    Always,
}

/// What a fault may point to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stage {
    /// The proxy: what the client takes for the service.
    pub(crate) service: String,
    /// The sandbox itself, another host to the client.
    pub(crate) file_host: String,
    /// A host that has no business with any of it.
    pub(crate) stranger: String,
    /// An https address whose certificate nobody trusts.
    pub(crate) self_signed: String,
    /// Where the clip shall go.
    pub(crate) folder: PathBuf,
    /// What the request asks for, with its query.
    pub(crate) path: String,
}

/// How much of a request comes before something happens.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Came {
    Head,
    Some,
    Whole,
}

/// What goes wrong with one request.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Nobody listens when this step begins: for so long, or for good.
    Closed(Option<Duration>),
    /// The connection is reset; the service never sees the request.
    Reset(Came),
    /// Nothing happens any more; the service never sees the request.
    Silence,
    /// Something else answers; the service never sees the request.
    Instead(fn(&Stage) -> Answer),
    /// The same, before the body was read.
    Early(fn(&Stage) -> Answer),
    /// The service sees it and answers, and its answer comes like this.
    Through(Way),
    /// The request loses a header on its way.
    Without(&'static str),
    /// Something happens on the user's machine meanwhile.
    Meanwhile(fn(&Path)),
    /// The command gets a signal before the service sees the request.
    Signal(&'static str),
}

/// How an answer of the service comes.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// Not at all: the connection is closed.
    Lost,
    /// Not at all: the connection is reset.
    LostByReset,
    /// The connection is reset in the middle of its head.
    HalfHead,
    /// The connection is closed in the middle of its body.
    HalfBody,
    /// Not at all, and the connection stays.
    Silent,
    /// Half its body, and then nothing.
    SilentHalfway,
    /// Its body in so many pieces, with a pause after each.
    Drip(usize, Duration),
    /// After an informational one.
    Hinted,
    /// Changed.
    Changed(fn(&mut Answer, &Stage)),
    /// Not to a command that gets a signal now.
    Signal(&'static str),
    /// To a command that got a signal just before.
    SignalBefore(&'static str),
    /// The first half of its body to a command that gets a signal then.
    SignalHalfway(&'static str),
}

impl Way {
    /// How much of a body comes.
    pub(crate) fn part_of(&self, length: usize) -> usize {
        match self {
            Self::Lost | Self::LostByReset | Self::HalfHead | Self::Silent | Self::Signal(_) => 0,
            Self::HalfBody | Self::SilentHalfway | Self::SignalHalfway(_) => length / 2,
            _ => length,
        }
    }
}

/// Faults by step and count; whatever is not named passes through.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script(Vec<(Step, When, Fault)>);

impl Script {
    pub(crate) fn and(mut self, step: Step, when: When, fault: Fault) -> Self {
        self.0.push((step, when, fault));
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fault of the n-th request of a step.
    pub(crate) fn fault(&self, step: Step, n: usize) -> Option<&Fault> {
        let meant = |when: When| when == When::Always || when == When::Nth(n);
        let mut faults = self.0.iter().filter(|(at, when, _)| *at == step && meant(*when));
        faults.next().map(|(.., fault)| fault)
    }

    /// Whether nobody listens when this step begins, and for how long.
    pub(crate) fn closed(&self, step: Step) -> Option<Option<Duration>> {
        self.0.iter().find_map(|(at, _, fault)| match fault {
            Fault::Closed(pause) if *at == step => Some(*pause),
            _ => None,
        })
    }
}
