//! Recorded answers against `openapi.json`.

use std::collections::HashMap;

use axum::http::StatusCode;
use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

use crate::cassette::drift::report::{Findings, Kind, shown};
use crate::cassette::drift::seen::{Call, Seen};
use crate::cassette::format::Operation;
use crate::contract::as_json_schema;
use crate::error::Error;

/// Headers of which HTTP itself tells the meaning, or that concern the connection alone.
const ORDINARY: &[&str] = &[
    "access-control-allow-origin",
    "accept-ranges",
    "age",
    "allow",
    "alt-svc",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "etag",
    "expires",
    "keep-alive",
    "last-modified",
    "server",
    "strict-transport-security",
    "transfer-encoding",
    "vary",
    "via",
    "x-content-type-options",
    "x-frame-options",
];

pub(crate) struct Contract {
    document: Value,
    validators: HashMap<String, Validator>,
}

impl Contract {
    pub(crate) fn load() -> Result<Self, Error> {
        let document: Value = serde_json::from_str(include_str!("../../openapi.json"))
            .map_err(|e| Error::new("openapi.json is not JSON").caused_by(e))?;
        let mut schemas = document.clone();
        as_json_schema(&mut schemas);
        let names = schemas["components"]["schemas"].as_object().into_iter().flat_map(|schemas| schemas.keys());
        let validator = |name: &String| {
            let reference = format!("#/components/schemas/{name}");
            let schema = json!({ "$ref": reference, "components": schemas["components"] });
            let built = jsonschema::options().with_draft(Draft::Draft4).build(&schema);
            built
                .map(|validator| (reference, validator))
                .map_err(|e| Error::new("openapi.json cannot be used").caused_by(e.to_string()))
        };
        let answers = ["SubmitResponse", "TaskResult", "ApiError"];
        let validators =
            names.filter(|name| answers.contains(&name.as_str())).map(validator).collect::<Result<_, _>>()?;
        Ok(Self { document, validators })
    }

    pub(crate) fn check(&self, seen: &Seen<'_>, findings: &mut Findings) {
        for call in &seen.calls {
            let path = match call.request.operation {
                Operation::Submit | Operation::Poll => self.resolved(&self.document["paths"][&call.request.path]),
                Operation::File => continue,
            };
            let operation = &path[call.request.method.to_lowercase()];
            self.check_answer(call, &operation["responses"], findings);
        }
    }

    fn check_answer(&self, call: &Call<'_>, responses: &Value, findings: &mut Findings) {
        let Some(answer) = call.answer else { return };
        for (name, value) in &answer.headers {
            if !ORDINARY.contains(&name.as_str()) {
                findings.add(Kind::Silent, call, format!("header {name}"), value, "no header is documented");
            }
        }
        let status = StatusCode::from_u16(answer.status).map_or(answer.status.to_string(), |status| status.to_string());
        let response = self.resolved(&responses[answer.status.to_string()]);
        if response.is_null() {
            let known: Vec<&str> =
                responses.as_object().into_iter().flat_map(|known| known.keys()).map(String::as_str).collect();
            findings.add(Kind::Contract, call, "status", &status, format!("one of {}", known.join(", ")));
            return;
        }
        let kind = call
            .came("content-type")
            .unwrap_or("none")
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        let media = &response["content"][&kind];
        if media.is_null() {
            let known: Vec<&str> = response["content"]
                .as_object()
                .into_iter()
                .flat_map(|known| known.keys())
                .map(String::as_str)
                .collect();
            findings.add(
                Kind::Contract,
                call,
                "header content-type",
                format!("{kind} with {status}"),
                known.join(" or "),
            );
            return;
        }
        if kind != "application/json" {
            return;
        }
        let Some(body) = &call.body else {
            let came = answer.body.as_deref().unwrap_or_default();
            findings.add(Kind::Contract, call, "/", shown(&came.into()), "JSON");
            return;
        };
        if let Some(validator) = media["schema"]["$ref"].as_str().and_then(|name| self.validators.get(name)) {
            for error in validator.iter_errors(body) {
                let at = any_index(&error.instance_path().to_string());
                let at = if at.is_empty() { "/".to_owned() } else { at };
                findings.add(Kind::Contract, call, at, shown(error.instance()), error.masked().to_string());
            }
        }
        self.walk(call, body, &media["schema"], "", findings);
        self.check_error(call, response, findings);
    }

    /// What a schema lets pass and yet does not name: fields, and values of open enumerations.
    fn walk(&self, call: &Call<'_>, value: &Value, schema: &Value, at: &str, findings: &mut Findings) {
        let schema = self.resolved(schema);
        let open =
            schema["anyOf"].as_array().into_iter().flatten().find_map(|one| self.resolved(one)["enum"].as_array());
        if let Some(known) = open.filter(|known| value.is_string() && !known.contains(value)) {
            let known: Vec<&str> = known.iter().filter_map(Value::as_str).collect();
            findings.add(Kind::Contract, call, at, shown(value), format!("one of {}", known.join(", ")));
        }
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    let inside = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                    let property = &schema["properties"][name];
                    if !property.is_null() {
                        self.walk(call, field, property, &inside, findings);
                    } else if schema["additionalProperties"].is_null() {
                        findings.add(Kind::Silent, call, inside, shown(field), "no such field is documented");
                    }
                }
            }
            Value::Array(items) => {
                items.iter().for_each(|item| self.walk(call, item, &schema["items"], &format!("{at}/*"), findings));
            }
            _ => {}
        }
    }

    /// What the contract says of errors in words.
    fn check_error(&self, call: &Call<'_>, response: &Value, findings: &mut Findings) {
        let lists = response["x-reasons"].as_object();
        let known: Vec<&str> = lists
            .into_iter()
            .flat_map(|lists| lists.values())
            .filter_map(Value::as_array)
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let Some(status) = call.status().filter(|_| !known.is_empty()) else { return };
        if let Some(reason) =
            call.at("/reason").filter(|reason| !reason.as_str().is_some_and(|reason| known.contains(&reason)))
        {
            findings.add(
                Kind::Silent,
                call,
                "/reason",
                format!("{} with {status}", shown(reason)),
                format!("one of {}", known.join(", ")),
            );
        }
        if let Some(code) = call.at("/code").filter(|code| code.as_u64() != Some(status.into())) {
            findings.add(Kind::Contract, call, "/code", format!("{} with {status}", shown(code)), "the status again");
        }
    }

    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let target = schema["$ref"].as_str().and_then(|name| self.document.pointer(name.strip_prefix('#')?));
        target.map_or(schema, |target| self.resolved(target))
    }
}

/// `/videos/0/video_url` becomes `/videos/*/video_url`.
fn any_index(pointer: &str) -> String {
    let part = |part: &str| {
        if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) {
            "*".to_owned()
        } else {
            part.to_owned()
        }
    };
    pointer.split('/').map(part).collect::<Vec<_>>().join("/")
}
