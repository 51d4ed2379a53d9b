//! A cassette, read for its meaning.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::cassette::Cassette;
use crate::cassette::format::{Answer, Exchange, Note, Operation, Picture, Request};

pub(crate) struct Seen<'a> {
    pub(crate) calls: Vec<Call<'a>>,
    pub(crate) notes: &'a [Note],
    /// Tasks whose submit is in the cassette, and its number.
    pub(crate) tasks: BTreeMap<String, u64>,
    /// The `Authorization` headers that were taken at least once.
    good_keys: BTreeSet<&'a str>,
}

/// One request and its answer, JSON where it was JSON.
pub(crate) struct Call<'a> {
    pub(crate) n: u64,
    pub(crate) request: &'a Request,
    pub(crate) asked: Option<Value>,
    pub(crate) answer: Option<&'a Answer>,
    pub(crate) body: Option<Value>,
}

impl<'a> Seen<'a> {
    pub(crate) fn of(cassette: &'a Cassette) -> Self {
        let calls: Vec<Call<'a>> = cassette.exchanges.iter().map(Call::of).collect();
        let accepted = calls.iter().filter_map(|call| Some((call.accepted()?.to_owned(), call.n)));
        let tasks = accepted.collect();
        let taken = |call: &&Call<'a>| call.status().is_some_and(|status| !matches!(status, 401 | 403));
        let good_keys = calls.iter().filter(taken).filter_map(|call| call.authorization()).collect();
        Self { calls, notes: &cassette.notes, tasks, good_keys }
    }

    pub(crate) fn submits(&self) -> impl Iterator<Item = &Call<'a>> {
        self.calls.iter().filter(|call| call.request.operation == Operation::Submit)
    }

    pub(crate) fn polls(&self) -> impl Iterator<Item = &Call<'a>> {
        self.calls.iter().filter(|call| call.request.operation == Operation::Poll)
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = &Call<'a>> {
        self.calls.iter().filter(|call| call.request.operation == Operation::File)
    }

    pub(crate) fn accepted(&self) -> impl Iterator<Item = &Call<'a>> {
        self.submits().filter(|call| call.accepted().is_some())
    }

    /// Polls that were answered with this state.
    pub(crate) fn in_state(&self, state: &str) -> impl Iterator<Item = &Call<'a>> {
        self.polls().filter(move |call| call.state() == Some(state))
    }

    /// The poll that told the success of a submit.
    pub(crate) fn done(&self, submit: &Call<'_>) -> Option<&Call<'a>> {
        let task = submit.accepted()?;
        self.in_state("TASK_STATUS_SUCCEED").find(|poll| poll.task() == Some(task))
    }

    /// A result link as it was kept.
    pub(crate) fn link(&self, id: &str) -> Option<&'a str> {
        let mut links = self.calls.iter().filter_map(|call| call.answer).flat_map(|answer| &answer.links);
        links.find(|link| link.id == id).map(|link| link.url.as_str())
    }

    /// Whether the key of a call was ever taken.
    pub(crate) fn has_good_key(&self, call: &Call<'_>) -> bool {
        call.authorization().is_some_and(|key| self.good_keys.contains(key))
    }
}

impl<'a> Call<'a> {
    fn of(exchange: &'a Exchange) -> Self {
        let json = |text: Option<&str>| text.and_then(|text| serde_json::from_str(text).ok());
        let answer = exchange.answer.as_ref();
        Self {
            n: exchange.request.n,
            request: &exchange.request,
            asked: json(exchange.request.body.as_deref()),
            answer,
            body: json(answer.and_then(|answer| answer.body.as_deref())),
        }
    }

    pub(crate) fn status(&self) -> Option<u16> {
        self.answer.map(|answer| answer.status)
    }

    pub(crate) fn at(&self, pointer: &str) -> Option<&Value> {
        self.body.as_ref()?.pointer(pointer)
    }

    pub(crate) fn reason(&self) -> Option<&str> {
        self.at("/reason")?.as_str()
    }

    pub(crate) fn state(&self) -> Option<&str> {
        self.at("/task/status")?.as_str().filter(|_| self.status() == Some(200))
    }

    /// The id of the task that the submit became.
    pub(crate) fn accepted(&self) -> Option<&str> {
        let taken = self.request.operation == Operation::Submit && self.status().is_some_and(|status| status < 300);
        self.at("/task_id")?.as_str().filter(|_| taken)
    }

    /// The task that is asked after.
    pub(crate) fn task(&self) -> Option<&str> {
        self.request.subject.strip_prefix("task_id=").filter(|_| self.request.operation == Operation::Poll)
    }

    pub(crate) fn authorization(&self) -> Option<&'a str> {
        self.header("authorization")
    }

    /// Of the request.
    pub(crate) fn header(&self, wanted: &str) -> Option<&'a str> {
        find(&self.request.headers, wanted)
    }

    /// Of the answer.
    pub(crate) fn came(&self, wanted: &str) -> Option<&'a str> {
        find(&self.answer?.headers, wanted)
    }

    pub(crate) fn pictures(&self) -> &'a [Picture] {
        &self.request.pictures
    }

    /// `accepted`, `400 INVALID_REQUEST_BODY`.
    pub(crate) fn outcome(&self) -> String {
        match (self.status(), self.reason()) {
            (Some(status), _) if status < 300 => "accepted".to_owned(),
            (Some(status), Some(reason)) => format!("{status} {reason}"),
            (Some(status), None) => status.to_string(),
            (None, _) => "no answer".to_owned(),
        }
    }
}

fn find<'a>(headers: &'a [(String, String)], wanted: &str) -> Option<&'a str> {
    headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
}
