//! How the command ends: exit codes, and errors as sentences with a way out.

use std::error::Error as StdError;
use std::process::ExitCode;

use highwayapi::{Charged, Error};
use serde_json::json;

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
    /// The user can mend it; nothing was sent.
    pub(crate) fn bad_input(text: impl Into<String>) -> Self {
        Self::new(BAD_INPUT, text, Charged::No)
    }

    /// The user ended the waiting.
    pub(crate) fn interrupted(task_id: &str) -> Self {
        let text = format!("stopped waiting; task {task_id} goes on and is paid for");
        Self { task_id: Some(task_id.to_owned()), ..Self::new(STILL_RUNNING, text, Charged::Yes) }.with_way_out()
    }

    /// The sandbox of this one command ends with it: there is nothing to take up again, and nothing was billed.
    #[cfg(feature = "sandbox")]
    pub(crate) fn in_sandbox(self) -> Self {
        let text = match self.code {
            STILL_RUNNING => "stopped waiting; the sandbox and its tasks end with this command".to_owned(),
            _ => self.text,
        };
        Self { text, charged: Charged::No, hints: Vec::new(), ..self }
    }

    /// The user left while the submit was under way.
    pub(crate) fn left_in_submit() -> Self {
        let text = "left before the service answered; whether the submit was accepted and charged is unknown";
        Self::new(CHARGE_UNKNOWN, text, Charged::Unknown)
    }

    /// A sidecar could not be written; the clip itself is there.
    pub(crate) fn sidecar(clip: &str, error: &std::io::Error) -> Self {
        Self {
            causes: vec![error.to_string()],
            ..Self::new(NOT_FETCHED, format!("{clip} is there, but its .json cannot be written"), Charged::Yes)
        }
    }

    fn new(code: u8, text: impl Into<String>, charged: Charged) -> Self {
        Self { code, text: text.into(), causes: Vec::new(), charged, task_id: None, hints: Vec::new() }
    }

    fn with_way_out(mut self) -> Self {
        let hints = match (self.code, &self.task_id) {
            (STILL_RUNNING, Some(id)) => {
                vec![
                    format!("to wait for it: highway wait {id}"),
                    format!("to get its videos then: highway fetch {id}"),
                ]
            }
            (NOT_FETCHED, Some(id)) => vec![format!("to try again: highway fetch {id} -o FILE")],
            (CHARGE_UNKNOWN, _) => {
                vec!["look at your account's list of tasks or its balance before you submit again".to_owned()]
            }
            _ => Vec::new(),
        };
        self.hints.extend(hints);
        self
    }

    /// Prints what happened, for people or as the last line of `--json`.
    pub(crate) fn report(self, json: bool) -> ExitCode {
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
            println!("{line}");
        } else {
            eprintln!("highway: {}", self.text);
            for cause in &self.causes {
                eprintln!("  because: {cause}");
            }
            for hint in &self.hints {
                eprintln!("  {hint}");
            }
        }
        ExitCode::from(self.code)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = if error.is_task_failed() || error.is_without_video() {
            FAILED
        } else if error.is_auth() || error.is_out_of_balance() {
            ACCOUNT
        } else if error.is_invalid_input() || error.is_config() {
            BAD_INPUT
        } else if error.is_download() || error.is_file() {
            NOT_FETCHED
        } else {
            match (error.is_charged(), error.task_id()) {
                (Charged::Yes, Some(_)) => STILL_RUNNING,
                (Charged::Unknown, None) => CHARGE_UNKNOWN,
                _ => FAILED,
            }
        };
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
        let failure = Self {
            causes,
            task_id: error.task_id().map(ToString::to_string),
            ..Self::new(code, error.to_string(), error.is_charged())
        };
        failure.with_way_out()
    }
}
