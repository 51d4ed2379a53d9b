//! What a probe asks, in this order.

use serde_json::{Value, json};

use crate::cassette::probe::pictures::Pictures;

/// No task has this id.
pub(crate) const NO_TASK: &str = "00000000-0000-4000-8000-000000000000";

/// The same for all submits that carry it.
pub(crate) const IDEMPOTENCY_KEY: &str = "highway-probe-1";

/// What a step can cost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Cost {
    /// Nothing: no submit, or none with a key.
    None,
    /// It should be refused. Whether a refusal costs anything is a question of its own.
    IfTaken,
    /// A clip, or several, if it is accepted.
    Clip,
}

pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) cost: Cost,
    /// What it costs, for the question before it.
    pub(crate) price: &'static str,
    pub(crate) when: When,
    pub(crate) call: fn(&Pictures) -> Call,
}

/// Which steps make sense after what was accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum When {
    Always,
    /// No submit with an `Idempotency-Key` was accepted yet.
    NoneWasKeyed,
    /// One was, and this sends the very same again.
    OneWasKeyed,
}

pub(crate) struct Call {
    pub(crate) key: Key,
    /// With its question mark; of polls.
    pub(crate) query: String,
    /// Of submits.
    pub(crate) body: Option<String>,
    pub(crate) idempotency_key: Option<&'static str>,
}

#[derive(Clone, Copy)]
pub(crate) enum Key {
    None,
    Wrong,
    Right,
}

pub(crate) const STEPS: &[Step] = &[
    free("poll-no-key", "a poll without a key", |_| poll(Key::None, &task(NO_TASK))),
    free("poll-wrong-key", "a poll with a wrong key", |_| poll(Key::Wrong, &task(NO_TASK))),
    free("poll-no-task", "a poll of a task that does not exist", |_| poll(Key::Right, &task(NO_TASK))),
    free("poll-no-id", "a poll that names no task", |_| poll(Key::Right, "")),
    free("submit-no-key", "a good submit without a key", |pictures| submit(pictures, json!({})).with(Key::None)),
    free("submit-wrong-key", "a good submit with a wrong key", |pictures| submit(pictures, json!({})).with(Key::Wrong)),
    refused("not-json", "half a body", |_| raw("{\"image\": \"")),
    refused("empty-object", "no field at all", |_| raw("{}")),
    refused("sample-count-9", "sample_count 9", |pictures| submit(pictures, json!({ "sample_count": 9 }))),
    refused("duration-5", "duration_seconds 5", |pictures| submit(pictures, json!({ "duration_seconds": 5 }))),
    refused("resolution-4k", "resolution 4k", |pictures| submit(pictures, json!({ "resolution": "4k" }))),
    refused("not-a-picture", "a text where a picture should be", |pictures| {
        submit(pictures, json!({ "image": "data:image/png;base64,aGVsbG8gd29ybGQ=" }))
    }),
    refused("broken-base64", "Base64 that cannot be read", |pictures| {
        submit(pictures, json!({ "image": "data:image/png;base64,iVBO!" }))
    }),
    refused("half-a-picture", "a picture that is cut in the middle", |pictures| {
        submit(pictures, json!({ "image": pictures.cut() }))
    }),
    refused("picture-url", "a picture's URL that leads nowhere", |pictures| {
        submit(pictures, json!({ "image": "https://files.invalid/first.png" }))
    }),
    refused("picture-21.5mb", "a picture of 21,500,000 bytes", |pictures| {
        submit(pictures, json!({ "image": pictures.too_large() }))
    }),
    refused("dont-allow", "person_generation dont_allow, as siblings spell it", |pictures| {
        submit(pictures, json!({ "person_generation": "dont_allow" }))
    }),
    refused("tiny-picture", "a picture of 1 × 1", |pictures| submit(pictures, json!({ "image": pictures.tiny() }))),
    paid(
        "unknown-field",
        "a plain clip, with a field that nobody documents",
        "One clip of 4 s if it is taken",
        |pictures| submit(pictures, json!({ "highway_probe": true })).keyed(),
    ),
    Step {
        when: When::NoneWasKeyed,
        ..paid("plain", "a plain clip", "One clip of 4 s", |pictures| submit(pictures, json!({})).keyed())
    },
    paid("bare-base64", "a picture as Base64 without data:", "One clip of 4 s if it is taken", |pictures| {
        submit(pictures, json!({ "image": pictures.bare() }))
    }),
    paid(
        "picture-20.48mb",
        "a picture between 20,000,000 bytes and 20 MiB",
        "One clip of 4 s if it is taken",
        |pictures| submit(pictures, json!({ "image": pictures.between() })),
    ),
    paid("1080p-4s", "1080p, 4 s", "One clip of 4 s, in 1080p", |pictures| {
        submit(pictures, json!({ "resolution": "1080p" }))
    }),
    paid("no-people", "people in the prompt, and none allowed", "One clip of 4 s if it is taken", |pictures| {
        submit(
            pictures,
            json!({ "person_generation": "disallow", "prompt": "a woman walks into the picture and waves" }),
        )
    }),
    Step {
        when: When::OneWasKeyed,
        ..paid(
            "idempotency",
            "the plain clip again, with the same Idempotency-Key",
            "One clip of 4 s, unless the key is honoured",
            |_| raw(""),
        )
    },
];

const fn free(name: &'static str, what: &'static str, call: fn(&Pictures) -> Call) -> Step {
    Step { name, what, cost: Cost::None, price: "", when: When::Always, call }
}

const fn refused(name: &'static str, what: &'static str, call: fn(&Pictures) -> Call) -> Step {
    Step { name, what, cost: Cost::IfTaken, price: "", when: When::Always, call }
}

const fn paid(name: &'static str, what: &'static str, price: &'static str, call: fn(&Pictures) -> Call) -> Step {
    Step { name, what, cost: Cost::Clip, price, when: When::Always, call }
}

impl Call {
    fn with(self, key: Key) -> Self {
        Self { key, ..self }
    }

    fn keyed(self) -> Self {
        Self { idempotency_key: Some(IDEMPOTENCY_KEY), ..self }
    }
}

fn task(id: &str) -> String {
    format!("?task_id={id}")
}

fn poll(key: Key, query: &str) -> Call {
    Call { key, query: query.to_owned(), body: None, idempotency_key: None }
}

fn raw(body: &str) -> Call {
    Call { key: Key::Right, query: String::new(), body: Some(body.to_owned()), idempotency_key: None }
}

/// The cheapest clip that there is, with these fields besides.
fn submit(pictures: &Pictures, fields: Value) -> Call {
    let mut body = json!({
        "image": pictures.first(),
        "last_image": pictures.last(),
        "prompt": "dusk turns into night, the camera stands still",
        "duration_seconds": 4,
        "sample_count": 1,
        "resolution": "720p",
        "seed": 1,
    });
    if let (Some(body), Value::Object(fields)) = (body.as_object_mut(), fields) {
        body.extend(fields);
    }
    raw(&body.to_string())
}
