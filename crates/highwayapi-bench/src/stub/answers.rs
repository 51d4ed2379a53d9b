//! Answers in the words of other services, for their clients.

use std::fs;
use std::path::Path;

use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

use super::http::Head;
use crate::Result;

pub(super) struct Answers(Vec<(Regex, Known)>);

#[derive(Deserialize)]
struct Known {
    method: String,
    /// An expression for the whole path.
    path: String,
    #[serde(default = "ok")]
    status: u16,
    /// JSON or text, in which `{base}` is where the stub listens.
    #[serde(default)]
    body: Value,
    /// Answered with the clip instead.
    file: Option<String>,
}

/// What to answer with.
pub(super) enum Answer {
    Text(u16, String),
    Clip,
    /// A small video, after which the connection ends.
    SmallClip,
}

fn ok() -> u16 {
    200
}

impl Answers {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let known: Vec<Known> = serde_json::from_slice(&fs::read(path)?)?;
        let known = known.into_iter().map(|known| Ok((Regex::new(&format!("^(?:{})$", known.path))?, known)));
        Ok(Self(known.collect::<Result<_>>()?))
    }

    /// Of several that fit, the first.
    pub(super) fn answer(&self, head: &Head, base: &str) -> Answer {
        let fits = |(path, known): &&(Regex, Known)| known.method == head.method() && path.is_match(head.path());
        match self.0.iter().find(fits) {
            Some((_, Known { file: Some(_), .. })) => Answer::Clip,
            Some((_, known)) => {
                let body = match &known.body {
                    Value::Null => String::new(),
                    Value::String(text) => text.clone(),
                    body => body.to_string(),
                };
                Answer::Text(known.status, body.replace("{base}", base))
            }
            None => {
                Answer::Text(404, format!("{{\"detail\":\"the stub knows no {} {}\"}}", head.method(), head.path()))
            }
        }
    }
}
