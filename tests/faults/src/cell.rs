//! One cell of the table: what goes wrong, and what must come of it.

use crate::script::{Fault, Script, Step, When};

/// Where in the way from two pictures to a clip a fault stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Submit,
    Poll,
    Download,
    Machine,
}

impl Group {
    pub(crate) const ALL: [Self; 4] = [Self::Submit, Self::Poll, Self::Download, Self::Machine];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Submit => "While the submit is sent and answered",
            Self::Poll => "While the task is waited for",
            Self::Download => "While the video is fetched",
            Self::Machine => "On the user's own machine",
        }
    }

    /// Before the number of a cell.
    pub(crate) fn letter(self) -> char {
        match self {
            Self::Submit => 'S',
            Self::Poll => 'P',
            Self::Download => 'D',
            Self::Machine => 'M',
        }
    }
}

/// Which address the command is given for the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Proxy,
    /// https where plain HTTP is spoken.
    PlainText,
    SelfSigned,
}

/// What surrounds the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Around {
    Nothing,
    /// A shell that does this first.
    Shell(&'static str),
    /// A file system of its own in the place of the clip's folder, mounted with these options; needs a kernel that lets
    /// users have namespaces.
    Mount(&'static str),
    /// The same in the place of the record's folder.
    MountRecord(&'static str),
}

/// What must come of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Submits that reached the proxy, whole or not.
    pub(crate) posts: usize,
    /// Submits that the service accepted.
    pub(crate) paid: usize,
    /// `None`: ended by a signal.
    pub(crate) code: Option<i32>,
    /// What the command says of it; success says nothing.
    pub(crate) charged: Option<&'static str>,
    /// The state of its job in the record afterwards.
    pub(crate) record: &'static str,
    pub(crate) files: &'static str,
    pub(crate) resume: Resume,
}

/// What taking it up again comes to, once the fault is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resume {
    /// Nothing is paid for, or all is there.
    Nothing,
    Finishes,
    /// Under another name: something that is not ours has the clip's.
    Elsewhere,
    /// The service has nothing more to give.
    Ends,
    /// Whether it was paid for is the user's to find out.
    Asks,
    /// The record cannot be read.
    Refuses,
}

impl Resume {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Nothing => "nothing to do",
            Self::Finishes => "finishes",
            Self::Elsewhere => "finishes with -o FILE",
            Self::Ends => "no video to be had",
            Self::Asks => "asks the user",
            Self::Refuses => "refuses",
        }
    }
}

impl Outcome {
    pub(crate) fn done() -> Self {
        Self {
            posts: 1,
            paid: 1,
            code: Some(0),
            charged: None,
            record: "downloaded",
            files: "clip.json, clip.mp4 whole",
            resume: Resume::Nothing,
        }
    }

    /// Not taken by the service.
    pub(crate) fn free(code: i32) -> Self {
        let nothing = Self { paid: 0, record: "refused", files: "nothing", ..Self::done() };
        Self { code: Some(code), charged: Some("no"), ..nothing }
    }

    /// Not even begun.
    pub(crate) fn unsent(code: i32) -> Self {
        Self { posts: 0, record: "none", ..Self::free(code) }
    }

    /// Nobody can tell whether the service took it; `paid` is what it did.
    pub(crate) fn unknown(paid: usize) -> Self {
        Self { paid, charged: Some("unknown"), record: "unknown", resume: Resume::Asks, ..Self::free(3) }
    }

    /// Paid for and not finished.
    pub(crate) fn owed(code: i32) -> Self {
        let owed = Self { paid: 1, charged: Some("yes"), record: "submitted", ..Self::free(code) };
        Self { resume: Resume::Finishes, ..owed }
    }

    /// Finished and not fetched.
    pub(crate) fn unfetched() -> Self {
        Self { record: "succeeded", ..Self::owed(6) }
    }

    /// The service gave it up.
    pub(crate) fn given_up() -> Self {
        Self { charged: Some("unknown"), record: "failed", resume: Resume::Ends, ..Self::owed(1) }
    }

    pub(crate) fn posts(self, posts: usize) -> Self {
        Self { posts, ..self }
    }

    pub(crate) fn record(self, record: &'static str) -> Self {
        Self { record, ..self }
    }

    pub(crate) fn files(self, files: &'static str) -> Self {
        Self { files, ..self }
    }

    pub(crate) fn resume(self, resume: Resume) -> Self {
        Self { resume, ..self }
    }

    /// Ended by a signal that no program survives.
    pub(crate) fn killed(self) -> Self {
        Self { code: None, charged: None, ..self }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) group: Group,
    pub(crate) name: &'static str,
    /// How long the fault lasts.
    pub(crate) lasts: &'static str,
    pub(crate) script: Script,
    pub(crate) args: Vec<&'static str>,
    pub(crate) address: Address,
    pub(crate) around: Around,
    /// Whether the pictures are too large for the buffers of a connection.
    pub(crate) large: bool,
    /// What goes wrong when it is taken up again.
    pub(crate) after: Script,
    /// Whether all that came over the wire must be of use.
    pub(crate) sparing: bool,
    /// Seconds that the command may take.
    pub(crate) within: u64,
    pub(crate) outcome: Outcome,
}

impl Cell {
    pub(crate) fn new(group: Group, name: &'static str, outcome: Outcome) -> Self {
        Self {
            group,
            name,
            lasts: "",
            script: Script::default(),
            args: Vec::new(),
            address: Address::Proxy,
            around: Around::Nothing,
            large: false,
            after: Script::default(),
            sparing: false,
            within: 20,
            outcome,
        }
    }

    /// At the first request of a step.
    pub(crate) fn once(self, step: Step, fault: Fault) -> Self {
        Self { lasts: "once", ..self.nth(1, step, fault) }
    }

    /// At every request of a step.
    pub(crate) fn lasting(self, step: Step, fault: Fault) -> Self {
        Self { lasts: "lasting", script: self.script.and(step, When::Always, fault), ..self }
    }

    pub(crate) fn nth(self, n: usize, step: Step, fault: Fault) -> Self {
        Self { script: self.script.and(step, When::Nth(n), fault), ..self }
    }

    pub(crate) fn args(mut self, args: &[&'static str]) -> Self {
        self.args.extend(args);
        self
    }

    pub(crate) fn address(self, address: Address) -> Self {
        Self { lasts: "lasting", address, ..self }
    }

    pub(crate) fn around(self, around: Around) -> Self {
        Self { around, ..self }
    }

    pub(crate) fn large(self) -> Self {
        Self { large: true, ..self }
    }

    /// The fault is still there when it is taken up again.
    pub(crate) fn stays(self) -> Self {
        Self { after: self.script.clone(), ..self }
    }

    pub(crate) fn after(self, step: Step, fault: Fault) -> Self {
        Self { after: self.after.and(step, When::Nth(1), fault), ..self }
    }

    pub(crate) fn sparing(self) -> Self {
        Self { sparing: true, ..self }
    }

    pub(crate) fn within(self, within: u64) -> Self {
        Self { within, ..self }
    }

    /// With less patience for silence than usual, so that it shows in reasonable time.
    pub(crate) fn patience(self) -> Self {
        self.within(40).args(&["--idle-timeout", "2s"])
    }

    /// Another outcome than its kind has.
    pub(crate) fn ending(self, outcome: Outcome) -> Self {
        Self { outcome, ..self }
    }
}
