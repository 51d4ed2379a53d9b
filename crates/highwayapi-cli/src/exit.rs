//! How the command ends: exit codes, and errors as sentences with a way out.

use std::error::Error as StdError;
use std::process::ExitCode;

use highwayapi::{Charged, Error, TaskId};
use serde_json::json;

use crate::say;

const FAILED: u8 = 1;
const BAD_INPUT: u8 = 2;
const CHARGE_UNKNOWN: u8 = 3;
const STILL_RUNNING: u8 = 4;
const ACCOUNT: u8 = 5;
const NOT_FETCHED: u8 = 6;

/// Why the command did not do what was asked.
pub(crate) struct Failure {
    code: u8,
    text: String,
    causes: Vec<String>,
    charged: Charged,
    task_id: Option<String>,
    hints: Vec<String>,
}

impl Failure {
    /// The user can mend it; nothing was charged.
    pub(crate) fn bad_input(text: impl Into<String>) -> Self {
        Self::new(BAD_INPUT, text, Charged::No)
    }

    /// The user stopped it early.
    pub(crate) fn stopped() -> Self {
        Self::new(FAILED, "stopped before anything was accepted; nothing was charged", Charged::No)
    }

    /// The user ended the waiting.
    pub(crate) fn interrupted(task_id: &TaskId) -> Self {
        let text = format!("stopped waiting; task {task_id} goes on and is paid for");
        Self::new(STILL_RUNNING, text, Charged::Yes).about(task_id)
    }

    /// The user ended the waiting before the service told anything of the task.
    pub(crate) fn interrupted_unseen(task_id: &TaskId) -> Self {
        let text = format!("stopped waiting; nothing was heard of task {task_id} yet");
        Self::new(FAILED, text, Charged::Unknown).about(task_id)
    }

    /// The id of a task that runs did not get to whom it was meant for.
    pub(crate) fn untold(task_id: &TaskId) -> Self {
        let text = format!("standard output cannot be written; task {task_id} goes on and is paid for");
        Self::new(STILL_RUNNING, text, Charged::Yes).about(task_id)
    }

    /// The user stopped the fetching.
    pub(crate) fn interrupted_fetch(task_id: &TaskId, problems: Vec<String>) -> Self {
        let text = format!("stopped; task {task_id} is finished and paid for");
        Self { causes: problems, ..Self::new(NOT_FETCHED, text, Charged::Yes) }.about(task_id)
    }

    /// Some of the videos or their records are not here.
    pub(crate) fn not_fetched(task_id: &TaskId, problems: Vec<String>) -> Self {
        let text = format!("task {task_id} is finished and paid for, but not all of it could be fetched");
        Self { causes: problems, ..Self::new(NOT_FETCHED, text, Charged::Yes) }.about(task_id)
    }

    /// The sandbox of this one command ends with it: there is nothing to take up again, and nothing was billed.
    #[cfg(feature = "sandbox")]
    pub(crate) fn in_sandbox(self) -> Self {
        let what = match self.code {
            STILL_RUNNING | CHARGE_UNKNOWN => Some("stopped waiting"),
            NOT_FETCHED => Some("not every video was fetched"),
            _ => None,
        };
        let text = match what {
            Some(what) => format!("{what}; the sandbox and its tasks end with this command"),
            None => self.text,
        };
        Self { text, charged: Charged::No, hints: Vec::new(), ..self }
    }

    /// The user left while the submit was under way.
    pub(crate) fn left_in_submit() -> Self {
        let text = "left before the service answered; whether the submit was accepted and charged is unknown";
        Self::new(CHARGE_UNKNOWN, text, Charged::Unknown).with_way_out()
    }

    fn new(code: u8, text: impl Into<String>, charged: Charged) -> Self {
        Self { code, text: text.into(), causes: Vec::new(), charged, task_id: None, hints: Vec::new() }
    }

    fn about(self, task_id: &TaskId) -> Self {
        Self { task_id: Some(task_id.to_string()), ..self }.with_way_out()
    }

    fn with_way_out(mut self) -> Self {
        let hints = match (self.code, &self.task_id) {
            (NOT_FETCHED, Some(id)) => {
                vec![format!("to fetch again: highway fetch {id} -o FILE (--overwrite replaces what is there)")]
            }
            // Whatever ended the waiting: what is paid for can be taken up again.
            (code, Some(id)) if code == STILL_RUNNING || self.charged == Charged::Yes => {
                vec![
                    format!("to wait for it: highway wait {id}"),
                    format!("to get its videos then: highway fetch {id}"),
                ]
            }
            (CHARGE_UNKNOWN, _) => {
                vec!["look at your account's records or balance before you submit again".to_owned()]
            }
            _ => Vec::new(),
        };
        self.hints.extend(hints);
        self
    }

    /// Prints what happened, for people or as the last line of `--json`. `flags` is what the hinted commands must repeat.
    pub(crate) fn report(mut self, json: bool, flags: &str) -> ExitCode {
        if let Some(id) = &self.task_id {
            let with_flags = format!("{id}{flags}");
            for hint in &mut self.hints {
                *hint = hint.replace(id, &with_flags);
            }
        }
        if json {
            let charged = match self.charged {
                Charged::No => "no",
                Charged::Yes => "yes",
                Charged::Unknown => "unknown",
            };
            let line = json!({
                "event": "error",
                "message": self.text,
                "causes": self.causes,
                "charged": charged,
                "task_id": self.task_id,
                "exit_code": self.code,
                "hints": self.hints,
            });
            say::result(line);
        } else {
            say::err(format_args!("highway: {}", self.text));
            for cause in &self.causes {
                say::err(format_args!("  because: {cause}"));
            }
            for hint in &self.hints {
                say::err(format_args!("  {hint}"));
            }
        }
        ExitCode::from(self.code)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        if error.is_stopped() {
            return Self::stopped();
        }
        let code = if error.is_auth() || error.is_out_of_balance() {
            ACCOUNT
        } else {
            match (error.task_id(), error.is_charged()) {
                _ if error.is_still_running() => STILL_RUNNING,
                (Some(_), Charged::Yes) if error.is_download() || error.is_file() => NOT_FETCHED,
                (Some(_), Charged::Yes) => STILL_RUNNING,
                // It failed, or nothing is known of it: in no case is something wrong with what was typed.
                (Some(_), _) => FAILED,
                (None, Charged::Unknown) => CHARGE_UNKNOWN,
                (None, _) if error.is_invalid_input() || error.is_config() => BAD_INPUT,
                (None, _) => FAILED,
            }
        };
        let failure = Self {
            causes: causes(&error),
            task_id: error.task_id().map(ToString::to_string),
            ..Self::new(code, error.to_string(), error.is_charged())
        };
        failure.with_way_out()
    }
}

/// What led to an error, outermost first.
pub(crate) fn causes(error: &Error) -> Vec<String> {
    let mut causes = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        // Libraries like to repeat themselves.
        if causes.last() != Some(&text) {
            causes.push(text);
        }
        source = cause.source();
    }
    causes
}
