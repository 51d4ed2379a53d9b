//! The states of a job and every way from one to another. Nothing else in this crate decides what may follow on what.
//!
//! ```text
//! planned ──▶ intent ──▶ submitted ──▶ succeeded ──▶ downloaded
//!
//! planned     begun ▶ intent          cannot be sent ▶ refused      cancelled ▶ dropped
//! intent      accepted ▶ submitted    refused ▶ refused             refused for now ▶ planned
//!             answer lost, sender gone, or refused a second time ▶ unknown
//! submitted   succeeded ▶ succeeded   failed ▶ failed
//! succeeded   all fetched ▶ downloaded
//! downloaded  a clip is gone ▶ succeeded
//! failed      succeeded after all ▶ succeeded
//!
//! By the user's word alone:
//! unknown     its task is named ▶ submitted    sent again ▶ intent
//! unknown, submitted, succeeded                given up ▶ dropped
//! dropped     its task is named ▶ submitted
//! ```
//!
//! What was sent again and is refused this time goes back to unknown: what became of the time before is still open.
//!
//! A POST is sent on entering `intent` and never otherwise. Two things lead there: a job of which no POST can have been
//! accepted (a new one, or [`Event::Begun`]), and [`Event::SubmitAgain`], which no program causes by itself.

use std::fmt;

use highwayapi::Charged;
use serde::{Deserialize, Serialize};

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum State {
    /// Written down to be sent later. Nothing was sent, or what was is known not to have been taken; nothing was charged.
    Planned,
    /// About to be sent, or being sent: written down before the first byte.
    Intent,
    /// Accepted and paid for; its task id is known.
    Submitted,
    /// The service has made its videos.
    Succeeded,
    /// Its videos are in their files.
    Downloaded,
    /// The service gave it up, or made no video. Whether that is billed is not documented.
    Failed,
    /// Not accepted; nothing was charged.
    Refused,
    /// Sent, and nobody saw the answer: it may have been accepted and paid for. Never sent again by itself.
    Unknown,
    /// Given up by the user.
    Dropped,
}

/// What happens to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// It is about to be sent.
    Begun,
    /// It was never sent, and will not be.
    Cancelled,
    /// The submit was answered with a task id.
    Accepted,
    /// The submit cost nothing: refused, or never sent.
    Refused,
    /// The submit was not taken and cost nothing; another time it may be.
    PutOff,
    /// The submit cost nothing, but the one before it, whose answer was lost, may have.
    RefusedAgain,
    /// The submit was sent and its answer was lost or makes no sense.
    AnswerLost,
    /// Whoever was sending it is gone without a word.
    HolderGone,
    /// The service has made the videos.
    Succeeded,
    /// The service gave the task up, or made no video.
    Failed,
    /// All videos are in their files.
    Fetched,
    /// A file of a downloaded job is no longer there, or no longer what it was.
    ClipGone,
    /// The user found the task, such as in the account's records, or wants one back that was given up.
    TaskNamed,
    /// The user wants it sent again, knowing that it may be paid for twice.
    SubmitAgain,
    /// The user gives it up.
    Dropped,
}

impl State {
    /// All of them, in the order in which a job goes through them.
    pub const ALL: &[Self] = &[
        Self::Planned,
        Self::Intent,
        Self::Submitted,
        Self::Succeeded,
        Self::Downloaded,
        Self::Failed,
        Self::Refused,
        Self::Unknown,
        Self::Dropped,
    ];

    /// What follows; `None` where the event cannot happen to a job in this state.
    pub const fn after(self, event: Event) -> Option<Self> {
        use Event as E;
        Some(match (self, event) {
            (Self::Planned, E::Begun) => Self::Intent,
            (Self::Planned, E::Refused) => Self::Refused,
            (Self::Planned, E::Cancelled) => Self::Dropped,

            (Self::Intent, E::Accepted) => Self::Submitted,
            (Self::Intent, E::Refused) => Self::Refused,
            (Self::Intent, E::PutOff) => Self::Planned,
            (Self::Intent, E::RefusedAgain | E::AnswerLost | E::HolderGone) => Self::Unknown,

            (Self::Submitted | Self::Failed, E::Succeeded) => Self::Succeeded,
            (Self::Submitted | Self::Failed, E::Failed) => Self::Failed,

            (Self::Succeeded, E::Succeeded) => Self::Succeeded,
            (Self::Succeeded, E::Fetched) => Self::Downloaded,
            (Self::Downloaded, E::ClipGone) => Self::Succeeded,

            (Self::Unknown | Self::Dropped, E::TaskNamed) => Self::Submitted,
            (Self::Unknown, E::SubmitAgain) => Self::Intent,
            (Self::Unknown | Self::Submitted | Self::Succeeded, E::Dropped) => Self::Dropped,
            _ => return None,
        })
    }

    /// Whether something is left to do that costs nothing: `resume` takes it up.
    pub const fn is_unfinished(self) -> bool {
        matches!(self, Self::Submitted | Self::Succeeded)
    }

    /// Whether the same request, sent again, would or might be paid for a second time: always, unless it was refused or
    /// is yet to be sent.
    pub const fn is_paid(self) -> bool {
        !matches!(self, Self::Planned | Self::Refused)
    }

    /// Whether money was spent.
    pub const fn charged(self) -> Charged {
        match self {
            Self::Planned | Self::Refused => Charged::No,
            Self::Submitted | Self::Succeeded | Self::Downloaded => Charged::Yes,
            Self::Intent | Self::Failed | Self::Unknown | Self::Dropped => Charged::Unknown,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Planned => "planned",
            Self::Intent => "intent",
            Self::Submitted => "submitted",
            Self::Succeeded => "succeeded",
            Self::Downloaded => "downloaded",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
            Self::Dropped => "dropped",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Event, State};

    const EVENTS: [Event; 15] = [
        Event::Begun,
        Event::Cancelled,
        Event::Accepted,
        Event::Refused,
        Event::PutOff,
        Event::RefusedAgain,
        Event::AnswerLost,
        Event::HolderGone,
        Event::Succeeded,
        Event::Failed,
        Event::Fetched,
        Event::ClipGone,
        Event::TaskNamed,
        Event::SubmitAgain,
        Event::Dropped,
    ];

    /// Every transition, as a table to be read.
    #[test]
    fn transitions() {
        let rows = State::ALL.iter().flat_map(|&state| {
            let after = move |event: &Event| state.after(*event).map(|next| format!("{state} {event:?} {next}"));
            EVENTS.iter().filter_map(after)
        });
        let expected = "\
planned Begun intent
planned Cancelled dropped
planned Refused refused
intent Accepted submitted
intent Refused refused
intent PutOff planned
intent RefusedAgain unknown
intent AnswerLost unknown
intent HolderGone unknown
submitted Succeeded succeeded
submitted Failed failed
submitted Dropped dropped
succeeded Succeeded succeeded
succeeded Fetched downloaded
succeeded Dropped dropped
downloaded ClipGone succeeded
failed Succeeded succeeded
failed Failed failed
unknown TaskNamed submitted
unknown SubmitAgain intent
unknown Dropped dropped
dropped TaskNamed submitted";
        assert_eq!(rows.collect::<Vec<_>>().join("\n"), expected);
    }

    proptest! {
        /// Whatever happens in whatever order, a second POST takes the user's word.
        #[test]
        fn one_post_and_one_more_for_each_time_the_user_says_so(
            events in prop::collection::vec(prop::sample::select(&EVENTS[..]), 0..60)
        ) {
            let (mut state, mut posts, mut allowed) = (State::Planned, 0, 1);
            for event in events {
                let Some(next) = state.after(event) else { continue };
                match event {
                    Event::Begun | Event::SubmitAgain => posts += 1,
                    // The service did not take it.
                    Event::PutOff => posts -= 1,
                    _ => prop_assert!(next != State::Intent),
                }
                if event == Event::SubmitAgain {
                    allowed += 1;
                    prop_assert_eq!(state, State::Unknown);
                }
                state = next;
            }
            prop_assert!(posts <= allowed);
        }

        /// What was paid for is never taken for free, and only the user gives it up.
        #[test]
        fn what_is_paid_for_stays_so(events in prop::collection::vec(prop::sample::select(&EVENTS[..]), 0..60)) {
            let (mut state, mut accepted) = (State::Planned, false);
            for event in events {
                let Some(next) = state.after(event) else { continue };
                accepted |= event == Event::Accepted;
                accepted &= event != Event::SubmitAgain;
                prop_assert!(!(accepted && matches!(next, State::Planned | State::Refused | State::Intent)));
                prop_assert_eq!(next == State::Dropped, matches!(event, Event::Dropped | Event::Cancelled));
                prop_assert!(state != State::Dropped || event == Event::TaskNamed);
                state = next;
            }
        }
    }
}
