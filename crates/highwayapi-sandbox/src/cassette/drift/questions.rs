//! What is not known of the service, and what a cassette says of it. `docs/sandbox-cassettes.md` has the list with its
//! sources.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::cassette::drift::evidence::{
    LARGE, SUCCEED, by_value, grouped, is_api, kinds, largest, odd_picture, outcomes, sent, size_and_length, told,
    values, wrong_value,
};
use crate::cassette::drift::report::shown;
use crate::cassette::drift::seen::{Call, Seen};
use crate::cassette::format::Form;

/// A question, and what a cassette answers to it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Settled {
    /// Its name.
    pub name: &'static str,
    /// What is asked.
    pub asks: &'static str,
    /// What the contract, the client and the sandbox go by until it is answered.
    pub believed: &'static str,
    /// What came, with the numbers of the requests; nothing where the cassette does not tell.
    pub answers: Vec<String>,
}

struct Question {
    name: &'static str,
    asks: &'static str,
    believed: &'static str,
    /// Findings at places that begin so are about it.
    about: &'static [&'static str],
    answer: fn(&Seen<'_>) -> Vec<String>,
}

/// Answers every question as far as the cassette goes.
pub(crate) fn settle(seen: &Seen<'_>) -> Vec<Settled> {
    let settled = |question: &Question| {
        let Question { name, asks, believed, .. } = *question;
        Settled { name, asks, believed, answers: (question.answer)(seen) }
    };
    QUESTIONS.iter().map(settled).collect()
}

/// The questions that a finding at this place is about.
pub(crate) fn about(at: &str) -> Vec<&'static str> {
    let concerns = |question: &&Question| question.about.iter().any(|about| at.starts_with(about));
    QUESTIONS.iter().filter(concerns).map(|question| question.name).collect()
}

const QUESTIONS: &[Question] = &[
    Question {
        name: "no-key",
        asks: "What is said where no key comes?",
        believed: "401 FAILED_TO_AUTH",
        about: &[],
        answer: |seen| outcomes(seen.calls.iter().filter(|call| is_api(call) && call.authorization().is_none())),
    },
    Question {
        name: "wrong-key",
        asks: "What is said of a key that is none?",
        believed: "403 INVALID_API_KEY",
        about: &[],
        answer: |seen| {
            let refused = |call: &&Call<'_>| is_api(call) && call.authorization().is_some() && !seen.has_good_key(call);
            outcomes(seen.calls.iter().filter(refused))
        },
    },
    Question {
        name: "unknown-task",
        asks: "What is said of a task that is not known?",
        believed: "404 TASK_NOT_FOUND",
        about: &[],
        answer: |seen| {
            let unknown = |task: &str| !seen.tasks.contains_key(task);
            let asked = |call: &&Call<'_>| {
                seen.has_good_key(call) && call.task().is_some_and(unknown) && call.status() != Some(200)
            };
            outcomes(seen.polls().filter(asked))
        },
    },
    Question {
        name: "reasons",
        asks: "Which reasons does it give, with which status?",
        believed: "those of the vendor's table, and of its family's",
        about: &["/reason"],
        answer: |seen| {
            let errors = seen.calls.iter().filter(|call| call.reason().is_some());
            let mut reasons = outcomes(errors);
            reasons.sort();
            reasons
        },
    },
    Question {
        name: "error-metadata",
        asks: "Is `metadata` in every error?",
        believed: "sometimes missing",
        about: &["/metadata"],
        answer: |seen| kinds(seen.calls.iter().filter(|call| call.reason().is_some()), "/metadata"),
    },
    Question {
        name: "retry-after",
        asks: "Does Retry-After come with 429 or 503?",
        believed: "documented nowhere; honoured if it comes",
        about: &["header retry-after"],
        answer: |seen| {
            let busy = seen.calls.iter().filter(|call| matches!(call.status(), Some(429 | 503)));
            told(busy, |call| Some(format!("{}: {}", call.outcome(), call.came("retry-after").unwrap_or("none"))))
        },
    },
    Question {
        name: "wrong-values",
        asks: "How are values refused that are not allowed?",
        believed: "400 INVALID_REQUEST_BODY",
        about: &[],
        answer: |seen| by_value(seen, |call| wrong_value(call.asked.as_ref()?)),
    },
    Question {
        name: "unknown-field",
        asks: "Are fields refused that are not documented?",
        believed: "taken, and not looked at",
        about: &[],
        answer: |seen| {
            let odd = |call: &&Call<'_>| call.asked.as_ref().is_some_and(|asked| asked.get("highway_probe").is_some());
            outcomes(seen.submits().filter(odd))
        },
    },
    Question {
        name: "no-people",
        asks: "Is “no people” spelled `disallow`, or `dont_allow` as on sibling endpoints?",
        believed: "disallow",
        about: &[],
        answer: |seen| by_value(seen, |call| Some(call.asked.as_ref()?["person_generation"].as_str()?.to_owned())),
    },
    Question {
        name: "bare-base64",
        asks: "Is a picture taken as Base64 without `data:`?",
        believed: "refused; data URIs are sent",
        about: &[],
        answer: |seen| outcomes(sent(seen, Form::BareBase64)),
    },
    Question {
        name: "data-uri",
        asks: "Is a picture taken as a data URI?",
        believed: "taken",
        about: &[],
        answer: |seen| {
            let whole = |call: &&Call<'_>| call.pictures().iter().all(|picture| picture.readable == Some(true));
            let about_it = |call: &&Call<'_>| call.reason().is_none_or(|reason| reason.contains("IMAGE"));
            outcomes(sent(seen, Form::DataUri).filter(whole).filter(about_it).filter(|call| largest(call) < LARGE))
        },
    },
    Question {
        name: "picture-url",
        asks: "What is said of a picture's URL that leads nowhere?",
        believed: "a 400; which reason is not known",
        about: &[],
        answer: |seen| outcomes(sent(seen, Form::Url)),
    },
    Question {
        name: "picture-size",
        asks: "Does “20 MB” mean 20,000,000 bytes or 20 MiB, and of the decoded file?",
        believed: "20 MiB of the decoded file",
        about: &[],
        answer: |seen| {
            by_value(seen, |call| Some(format!("{} bytes", largest(call))).filter(|_| largest(call) >= LARGE))
        },
    },
    Question {
        name: "picture-kind",
        asks: "How are files refused that are no picture, or too small a one?",
        believed: "400 INVALID_IMAGE_FORMAT; the smallest size is not known",
        about: &[],
        answer: |seen| by_value(seen, odd_picture),
    },
    Question {
        name: "combinations",
        asks: "Which resolutions and lengths go together, with a last frame?",
        believed: "all; nothing is refused beforehand",
        about: &[],
        answer: |seen| {
            let all = by_value(seen, |call| size_and_length(call.asked.as_ref()?));
            let taken: Vec<String> = all
                .iter()
                .filter_map(|answer| answer.split_once(": accepted"))
                .map(|(pair, _)| format!("{pair}: "))
                .collect();
            // Where it was taken, whatever else was refused was not for this.
            let tells =
                |answer: &String| answer.contains(": accepted") || !taken.iter().any(|pair| answer.starts_with(pair));
            all.into_iter().filter(tells).collect()
        },
    },
    Question {
        name: "states",
        asks: "Which states does a task go through?",
        believed: "TASK_STATUS_QUEUED, _PROCESSING, then _SUCCEED or _FAILED",
        about: &["/task/status"],
        answer: |seen| {
            let mut states: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
            for call in seen.polls() {
                let submit = call.task().and_then(|task| seen.tasks.get(task));
                if let (Some(&submit), Some(state)) = (submit, call.state()) {
                    let states = states.entry(submit).or_default();
                    if states.last() != Some(&state) {
                        states.push(state);
                    }
                }
            }
            grouped(states.into_iter().map(|(submit, states)| (states.join(", "), submit)))
        },
    },
    Question {
        name: "run-time",
        asks: "How long does a clip take?",
        believed: "from 11 s to 6 min; up to 30 min in a queue",
        about: &[],
        answer: |seen| {
            told(seen.accepted(), |call| {
                let done = seen.done(call)?;
                let seconds = done.answer?.at_ms.saturating_sub(call.request.at_ms) as f64 / 1000.0;
                Some(format!("{seconds:.1} s from submit to success"))
            })
        },
    },
    Question {
        name: "task-type",
        asks: "What is `task_type` for this endpoint?",
        believed: "not known; never read",
        about: &["/task/task_type"],
        answer: |seen| values(seen, "/task/task_type"),
    },
    Question {
        name: "progress",
        asks: "What are `progress_percent` and `eta` of a finished task?",
        believed: "0 was seen; never used to decide",
        about: &["/task/progress_percent", "/task/eta"],
        answer: |seen| [values(seen, "/task/progress_percent"), values(seen, "/task/eta")].concat(),
    },
    Question {
        name: "extra",
        asks: "Of which types are the seed and the times in `extra`?",
        believed: "text; numbers are taken too",
        about: &["/extra"],
        answer: |seen| {
            let kinds = |pointer| kinds(seen.in_state(SUCCEED), pointer);
            [kinds("/extra"), kinds("/extra/seed"), kinds("/extra/debug_info/submit_time_ms")].concat()
        },
    },
    Question {
        name: "empty-lists",
        asks: "Are `images` and `audios` empty, null or missing?",
        believed: "empty",
        about: &["/images", "/audios"],
        answer: |seen| [kinds(seen.in_state(SUCCEED), "/images"), kinds(seen.in_state(SUCCEED), "/audios")].concat(),
    },
    Question {
        name: "link-ttl",
        asks: "What does `video_url_ttl` say, and how?",
        believed: "text, 3600",
        about: &["/videos/*/video_url_ttl"],
        answer: |seen| {
            let mut answers = values(seen, "/videos/0/video_url_ttl");
            let links = seen.in_state(SUCCEED).filter_map(|call| call.answer).flat_map(|answer| &answer.links);
            let query = links.filter_map(|link| link.url.split_once('?')).map(|(_, query)| query).next();
            answers.extend(query.map(|query| format!("a link's query: {query}")));
            answers
        },
    },
    Question {
        name: "fresh-link",
        asks: "Does asking again give a fresh link?",
        believed: "perhaps",
        about: &[],
        answer: |seen| {
            let mut links: BTreeMap<&str, Vec<(u64, &str)>> = BTreeMap::new();
            for call in seen.in_state(SUCCEED) {
                if let (Some(task), Some(link)) = (call.task(), call.answer.and_then(|answer| answer.links.first())) {
                    links.entry(task).or_default().push((call.n, &link.id));
                }
            }
            let pairs = links.values().flat_map(|links| links.windows(2));
            let fresh = |pair: &[(u64, &str)]| if pair[0].1 == pair[1].1 { "the same link" } else { "a fresh link" };
            grouped(pairs.map(|pair| (fresh(pair).to_owned(), pair[1].0)))
        },
    },
    Question {
        name: "file-host",
        asks: "Which host serves videos, with ranges, an ETag, an answer to HEAD?",
        believed: "any host",
        about: &[],
        answer: |seen| {
            told(seen.files(), |call| {
                let host =
                    seen.link(&call.request.subject).and_then(|url| url.split("/(path)").next()).unwrap_or("a host");
                let range = call.header("range").map(|range| format!(" with {range}")).unwrap_or_default();
                let etag = if call.came("etag").is_some() { "an ETag" } else { "no ETag" };
                let kind = call.came("content-type").unwrap_or("no type");
                let status = call.status().map_or("no answer".to_owned(), |status| status.to_string());
                Some(format!("{} {host}{range}: {status}, {kind}, {etag}", call.request.method))
            })
        },
    },
    Question {
        name: "samples",
        asks: "How many videos come for `sample_count`?",
        believed: "as many, or fewer where some were filtered out",
        about: &[],
        answer: |seen| {
            told(seen.accepted(), |call| {
                let came = seen.done(call)?.at("/videos").and_then(Value::as_array).map_or(0, Vec::len);
                let wanted = call.asked.as_ref().and_then(|asked| asked["sample_count"].as_u64()).unwrap_or(1);
                Some(format!("{wanted} asked for, {came} came"))
            })
        },
    },
    Question {
        name: "moderation",
        asks: "Does a refusal for content come as an HTTP error or as a failed task?",
        believed: "either",
        about: &[],
        answer: |seen| {
            let words = ["ILLEGAL", "PROHIBITED", "SAFETY", "MODERATION"];
            let speaks = |text: &str| words.iter().any(|word| text.to_uppercase().contains(word));
            let errors = seen.submits().filter(|call| call.reason().is_some_and(speaks));
            let failed = |call: &Call<'_>| Some(format!("a failed task: {}", shown(call.at("/task/reason")?)));
            let mut answers = told(errors, |call| Some(format!("an HTTP error: {}", call.outcome())));
            answers.extend(told(seen.in_state("TASK_STATUS_FAILED"), failed));
            answers
        },
    },
    Question {
        name: "idempotency",
        asks: "Does `Idempotency-Key` keep a submit from being paid for twice?",
        believed: "not documented; never relied on",
        about: &[],
        answer: |seen| {
            let mut keyed: BTreeMap<&str, Vec<(u64, Option<&str>)>> = BTreeMap::new();
            for call in seen.submits().filter(|call| call.header("idempotency-key").is_some()) {
                keyed.entry(&call.request.subject).or_default().push((call.n, call.accepted()));
            }
            let twice = |calls: Vec<(u64, Option<&str>)>| {
                let [(first, one), (second, other), ..] = calls[..] else { return None };
                let same = if one.is_some() && one == other { "the same task" } else { "another task, or none" };
                Some(format!("sent twice: {same} (#{first}, #{second})"))
            };
            keyed.into_values().filter_map(twice).collect()
        },
    },
    Question {
        name: "billing",
        asks: "What does a clip cost, and does a refused or failed one cost anything?",
        believed: "unknown; no price is built in",
        about: &[],
        answer: |seen| {
            seen.notes.iter().filter(|note| note.question == "billing").map(|note| note.text.clone()).collect()
        },
    },
];
