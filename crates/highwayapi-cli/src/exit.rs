//! How the command ends: exit codes, and errors as sentences with a way out.

use std::error::Error as StdError;
use std::path::PathBuf;
use std::process::ExitCode;

use highwayapi::{Charged, Error, TaskId};
use highwayapi_jobs::{Job, State};
use serde_json::json;

use crate::hint::highway;
use crate::say;
use crate::show::{charged, near, plain};

pub(crate) const FAILED: u8 = 1;
const BAD_INPUT: u8 = 2;
pub(crate) const CHARGE_UNKNOWN: u8 = 3;
pub(crate) const STILL_RUNNING: u8 = 4;
const ACCOUNT: u8 = 5;
const NOT_FETCHED: u8 = 6;

/// What was typed is no command, or asks for help.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    say::err("\ncharged: no");
    ExitCode::from(BAD_INPUT)
}

/// The code of several: what asks for a decision comes first, then what can be tried again.
pub(crate) fn worst(codes: &[u8]) -> Option<u8> {
    let rank = |code: u8| [CHARGE_UNKNOWN, ACCOUNT, NOT_FETCHED, STILL_RUNNING].iter().position(|&one| one == code);
    codes.iter().copied().min_by_key(|&code| rank(code).unwrap_or(4))
}

/// Why the command did not do what was asked.
pub(crate) struct Failure {
    code: u8,
    text: String,
    causes: Vec<String>,
    charged: Charged,
    job: Option<Box<str>>,
    task_id: Option<Box<str>>,
    hints: Vec<String>,
}

impl Failure {
    /// The user can mend it; nothing was charged.
    pub(crate) fn bad_input(text: impl Into<String>) -> Self {
        Self::new(BAD_INPUT, text, Charged::No)
    }

    /// What was recorded is not what was believed.
    #[cfg(feature = "sandbox")]
    pub(crate) fn differs(findings: usize) -> Self {
        let what = if findings == 1 {
            "1 difference was found".to_owned()
        } else {
            format!("{findings} differences were found")
        };
        Self::new(FAILED, what, Charged::No)
    }

    /// Answers of a probe were lost.
    #[cfg(feature = "sandbox")]
    pub(crate) fn unknown_probes(lost: u32) -> Self {
        let text = format!("of {lost} submits it is not known whether they were accepted; your account's page tells");
        Self::new(CHARGE_UNKNOWN, text, Charged::Unknown)
    }

    /// The user stopped it early.
    fn stopped() -> Self {
        Self::new(FAILED, "stopped before anything was accepted", Charged::No)
    }

    /// The user ended the waiting or the fetching.
    pub(crate) fn interrupted(job: &Job) -> Self {
        let id = job.task_id.as_ref().map(ToString::to_string).unwrap_or_default();
        let (code, text) = match job.state {
            State::Submitted => (STILL_RUNNING, format!("stopped waiting; task {id} goes on and is paid for")),
            State::Succeeded => (NOT_FETCHED, format!("stopped; task {id} is finished and paid for")),
            state => (FAILED, format!("stopped; job {} is {state}", job.id)),
        };
        Self::new(code, text, job.charged()).about(job)
    }

    /// The user ended the waiting before the service told anything of the task.
    pub(crate) fn interrupted_unseen(task_id: &TaskId) -> Self {
        let text = format!("stopped waiting; nothing was heard of task {task_id} yet");
        Self { task_id: Some(task_id.as_str().into()), ..Self::new(FAILED, text, Charged::Unknown) }
    }

    /// The id of a task that runs did not get to whom it was meant for.
    pub(crate) fn untold(job: &Job) -> Self {
        let id = job.task_id.as_ref().map(ToString::to_string).unwrap_or_default();
        let text = format!("standard output cannot be written; task {id} goes on and is paid for");
        Self::new(STILL_RUNNING, text, Charged::Yes).about(job)
    }

    /// The user left while the submit was under way.
    pub(crate) fn left_in_submit() -> Self {
        let text = "left before the service answered; whether the submit was accepted is unknown";
        let hint = format!("to see what is known: highway tasks, and to decide: {}", highway("resolve ID"));
        Self { hints: vec![hint], ..Self::new(CHARGE_UNKNOWN, text, Charged::Unknown) }
    }

    /// Nobody knows whether it was paid for.
    pub(crate) fn unresolved(job: &Job) -> Self {
        let why = job.reason.as_deref().unwrap_or("its answer was never seen");
        let text = format!("job {} may have been accepted and paid for: {why}", job.id);
        Self::new(CHARGE_UNKNOWN, text, Charged::Unknown).about(job)
    }

    /// Something is left to do that is not for this service.
    pub(crate) fn elsewhere(services: &[String]) -> Self {
        let text = "not everything is finished: some of it is at another service".to_owned();
        let hint = |url| format!("to finish it, with the key for there: highway resume --all --base-url {url}");
        Self { hints: services.iter().map(hint).collect(), ..Self::new(STILL_RUNNING, text, Charged::Yes) }
    }

    /// Some clips are not what was fetched. `made` are those that can be fetched again, and their tasks.
    pub(crate) fn not_as_fetched(problems: Vec<String>, made: &[(PathBuf, TaskId)]) -> Self {
        let text = match problems.len() {
            1 => "a clip is not as it was fetched".to_owned(),
            count => format!("{count} clips are not as they were fetched"),
        };
        let hint = |(clip, id): &(PathBuf, TaskId)| {
            let clip = clip.display();
            format!("to fetch it again, if it is in the record: highway resume {id} -o {clip} --overwrite")
        };
        Self { causes: problems, hints: made.iter().map(hint).collect(), ..Self::new(FAILED, text, Charged::No) }
    }

    /// More than one job came to no good end.
    pub(crate) fn several(failures: Vec<Self>) -> Self {
        let code = worst(&failures.iter().map(|failure| failure.code).collect::<Vec<_>>());
        let charged = failures.iter().map(|failure| failure.charged).max_by_key(|charged| match charged {
            Charged::No => 0,
            Charged::Yes => 1,
            Charged::Unknown => 2,
        });
        let text = format!("{} jobs are not finished", failures.len());
        let mut several = Self::new(code.unwrap_or(FAILED), text, charged.unwrap_or(Charged::No));
        for failure in failures {
            let told = std::iter::once(failure.text).chain(failure.causes).collect::<Vec<_>>().join(": ");
            several.causes.push(match failure.job {
                Some(job) if !told.contains(&*job) => format!("job {job}: {told}"),
                _ => told,
            });
            several.hints.extend(failure.hints);
        }
        several.hints.dedup();
        several
    }

    /// Not every item of a batch came to a good end. What the batch has cost is told before.
    pub(crate) fn of_batch(code: u8, text: impl Into<String>, causes: Vec<String>, charged: Charged) -> Self {
        Self { causes, ..Self::new(code, text, charged) }
    }

    /// Names one more way out.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    pub(crate) fn code(&self) -> u8 {
        self.code
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
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
        Self { text, charged: Charged::No, job: None, hints: Vec::new(), ..self }
    }

    fn new(code: u8, text: impl Into<String>, charged: Charged) -> Self {
        let text = text.into();
        Self { code, text, causes: Vec::new(), charged, job: None, task_id: None, hints: Vec::new() }
    }

    /// Names the job, and with it the way out.
    pub(crate) fn about(mut self, job: &Job) -> Self {
        self.job = Some(job.id.as_str().into());
        self.task_id = job.task_id.as_ref().map(|id| id.as_str().into()).or(self.task_id);
        self.with_way_out()
    }

    fn with_way_out(mut self) -> Self {
        // Whatever ended it: what is paid for can be taken up again.
        let goes_on = self.code == STILL_RUNNING || self.charged == Charged::Yes;
        let hint = match (self.code, &self.job, &self.task_id) {
            (CHARGE_UNKNOWN, Some(job), _) => Some(("to see what is known, and to decide", format!("resolve {job}"))),
            (NOT_FETCHED, Some(job), _) => {
                Some(("to fetch again (-o FILE for another place)", format!("resume {job}")))
            }
            (_, Some(job), _) if goes_on => Some(("to go on", format!("resume {job}"))),
            (_, None, Some(id)) if goes_on => Some(("to go on", format!("wait {id}"))),
            _ => None,
        };
        let hint = hint.map(|(what, command)| format!("{what}: {}", highway(command)));
        self.hints = hint.into_iter().collect();
        self
    }

    /// Prints what happened, for people or as the last line of `--json`.
    pub(crate) fn report(self, json: bool) -> ExitCode {
        if json {
            let line = json!({
                "event": "error",
                "message": self.text,
                "causes": self.causes,
                "charged": charged(self.charged),
                "job": self.job,
                "task_id": self.task_id,
                "exit_code": self.code,
                "hints": self.hints,
            });
            say::result(line);
        } else {
            say::err(format_args!("highway: {}", plain(&self.text)));
            for cause in &self.causes {
                say::err(format_args!("  because: {}", plain(cause)));
            }
            say::err(format_args!("  charged: {}", charged(self.charged)));
            for hint in &self.hints {
                say::err(format_args!("  {hint}"));
            }
        }
        ExitCode::from(self.code)
    }
}

impl Failure {
    fn of_client(error: &Error) -> Self {
        if error.is_stopped() {
            return Self::stopped();
        }
        let open = error.task_id().is_none() && error.is_charged() == Charged::Unknown;
        let code = if !open && (error.is_auth() || error.is_out_of_balance()) {
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
            causes: causes(error),
            task_id: error.task_id().map(|id| id.as_str().into()),
            ..Self::new(code, error.to_string(), error.is_charged())
        };
        failure.with_way_out()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::of_client(&error)
    }
}

impl From<highwayapi_jobs::Error> for Failure {
    fn from(error: highwayapi_jobs::Error) -> Self {
        let mut failure = match error.client_error() {
            Some(client) => Self::of_client(client),
            None => Self::new(code(&error), error.to_string(), error.is_charged()),
        };
        failure.causes = match error.problems() {
            [] => causes(&error),
            problems => {
                problems.iter().map(|problem| format!("{}: {}", near(&problem.file), whole(&problem.error))).collect()
            }
        };
        failure.job = error.job().map(|id| id.as_str().into());
        failure.task_id = error.task_id().map(|id| id.as_str().into());
        let mut failure = failure.with_way_out();
        let over = error.is_wrong_state()
            || error.client_error().is_some_and(|error| error.is_task_failed() || error.is_without_video());
        if over && failure.hints.is_empty() && failure.job.is_some() {
            if let (Some(job), false) = (&failure.job, error.is_wrong_state()) {
                let ask = highway(format_args!("resume {job}"));
                failure.hints.push(format!("to ask the service once more, which costs nothing: {ask}"));
            }
            failure.hints.push("to pay for another try: the same `highway generate` with --again".to_owned());
        }
        if let (true, Some(id)) = (error.is_unrecorded(), error.task_id()) {
            let why = "the record does not know it, so note the task; when the record can be written again";
            let job = error.job().map(ToString::to_string).unwrap_or_default();
            failure.hints = vec![format!("{why}: {}", highway(format_args!("resolve {job} --task {id}")))];
        }
        failure
    }
}

/// What the record, not the service, has to say.
fn code(error: &highwayapi_jobs::Error) -> u8 {
    if error.is_unresolved() {
        CHARGE_UNKNOWN
    } else if error.is_unrecorded() || error.is_busy() {
        STILL_RUNNING
    } else if error.is_not_fetched() || error.is_clip() {
        NOT_FETCHED
    } else if error.is_invalid_input() || error.is_not_found() {
        BAD_INPUT
    } else {
        match error.is_charged() {
            // Whatever it was, it can be taken up again.
            Charged::Yes if error.is_store() => STILL_RUNNING,
            _ => FAILED,
        }
    }
}

/// An error and what led to it, in one line.
pub(crate) fn whole(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    for cause in causes(error) {
        text.truncate(text.trim_end_matches('.').len());
        text = format!("{text}: {cause}");
    }
    text
}

/// What led to an error, outermost first.
pub(crate) fn causes(error: &dyn StdError) -> Vec<String> {
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
