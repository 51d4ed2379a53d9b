//! Queries and bodies against `admin.json`, the JSON form of this crate's `admin.yaml`.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

use crate::api::{drain, is_json};
use crate::contract::{as_json_schema, complaints};
use crate::error::ApiError;

const TEXT: &str = include_str!("admin.json");

/// Most bytes of a body, and of one that is imported.
const MAX_BODY: usize = 1 << 20;
const MAX_IMPORT: usize = 128 << 20;

/// What the document says of each operation, by its id.
struct Document {
    bodies: HashMap<String, Validator>,
    queries: HashMap<String, Query>,
}

struct Query {
    validator: Validator,
    parameters: BTreeMap<String, Parameter>,
}

struct Parameter {
    /// The schema's `type`.
    kind: String,
    default: Option<Value>,
}

pub(super) async fn serve() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], TEXT)
}

/// The query of an operation: its parameters with their defaults.
pub(super) fn query(operation: &str, query: Option<&str>) -> Result<Map<String, Value>, ApiError> {
    let known = document()?.queries.get(operation).ok_or_else(|| undescribed(operation))?;
    let mut values = Map::new();
    let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(
        &format!("/?{}", query.unwrap_or_default())
            .parse()
            .map_err(|_| ApiError::invalid("the query cannot be read"))?,
    );
    for (name, text) in pairs.map_err(|e| ApiError::invalid(e.body_text()))?.0 {
        let value = known.parameters.get(&name).map_or(Value::Null, |parameter| parameter.read(text));
        if values.insert(name.clone(), value).is_some() {
            return Err(ApiError::invalid(format!("{name}: came more than once")));
        }
    }
    let value = Value::Object(values);
    check(&known.validator, &value)?;
    let Value::Object(mut values) = value else { return Err(undescribed(operation)) };
    for (name, parameter) in &known.parameters {
        if let Some(default) = &parameter.default {
            values.entry(name).or_insert_with(|| default.clone());
        }
    }
    Ok(values)
}

/// The body of an operation, checked.
pub(super) async fn body(operation: &str, request: Request) -> Result<Value, ApiError> {
    let most = if operation == "import" { MAX_IMPORT } else { MAX_BODY };
    let validator = document()?.bodies.get(operation).ok_or_else(|| undescribed(operation))?;
    let (head, body) = request.into_parts();
    if let Err(error) = is_json(&head.headers) {
        // Who is still sending must see the answer.
        drain(body, 2 * most).await;
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(ApiError::new(status, "UNSUPPORTED_MEDIA_TYPE", error.message()));
    }
    let bytes = Limited::new(body, most).collect().await.map_err(|e| match e.downcast::<LengthLimitError>() {
        Ok(_) => {
            let what = format!("the body has more than {most} bytes, the most that is taken");
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE", what)
        }
        Err(e) => ApiError::invalid(format!("the body broke off: {e}")),
    })?;
    let bytes: Bytes = bytes.to_bytes();
    let value = serde_json::from_slice(&bytes).map_err(|e| ApiError::invalid(format!("the body is not JSON: {e}")))?;
    check(validator, &value)?;
    Ok(value)
}

fn check(validator: &Validator, value: &Value) -> Result<(), ApiError> {
    let complaints = complaints(validator, value);
    if complaints.is_empty() { Ok(()) } else { Err(ApiError::invalid(complaints.join("; "))) }
}

/// Read when it is first needed: few sandboxes are ever asked.
fn document() -> Result<&'static Document, ApiError> {
    static DOCUMENT: OnceLock<Result<Document, String>> = OnceLock::new();
    DOCUMENT.get_or_init(Document::load).as_ref().map_err(|e| ApiError::internal(e.clone()))
}

fn undescribed(operation: &str) -> ApiError {
    ApiError::internal(format!("admin.yaml does not describe {operation}"))
}

impl Document {
    fn load() -> Result<Self, String> {
        let mut document: Value = serde_json::from_str(TEXT).map_err(|e| format!("admin.json is not JSON: {e}"))?;
        as_json_schema(&mut document);
        let resolve = |value: &Value| -> Value {
            let target = value["$ref"].as_str().and_then(|at| document.pointer(at.strip_prefix('#')?));
            target.unwrap_or(value).clone()
        };
        let validator = |mut schema: Value| {
            schema["components"] = document["components"].clone();
            let built = jsonschema::options().with_draft(Draft::Draft4).build(&schema);
            built.map_err(|e| format!("a schema in admin.json cannot be used: {e}"))
        };
        let (mut bodies, mut queries) = (HashMap::new(), HashMap::new());
        let paths = document["paths"].as_object().into_iter().flatten();
        let operations = paths.flat_map(|(_, path)| path.as_object().into_iter().flatten());
        for (id, operation) in
            operations.filter_map(|(_, operation)| Some((operation["operationId"].as_str()?, operation)))
        {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            if !schema.is_null() {
                bodies.insert(id.to_owned(), validator(json!({ "allOf": [schema] }))?);
            }
            let (mut properties, mut parameters) = (Map::new(), BTreeMap::new());
            for parameter in operation["parameters"].as_array().into_iter().flatten().map(resolve) {
                let schema = resolve(&parameter["schema"]);
                let name = parameter["name"].as_str().unwrap_or_default().to_owned();
                let kind = schema["type"].as_str().unwrap_or_default().to_owned();
                parameters.insert(name.clone(), Parameter { kind, default: schema.get("default").cloned() });
                properties.insert(name, schema);
            }
            let validator = validator(json!({ "properties": properties, "additionalProperties": false }))?;
            queries.insert(id.to_owned(), Query { validator, parameters });
        }
        Ok(Self { bodies, queries })
    }
}

impl Parameter {
    /// What cannot be read stays text, of which the schema complains.
    fn read(&self, text: String) -> Value {
        match (&self.kind[..], &text[..]) {
            ("integer", digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse::<u64>().map_or(Value::String(text), Value::from)
            }
            ("boolean", "true") => Value::Bool(true),
            ("boolean", "false") => Value::Bool(false),
            _ => Value::String(text),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_what_the_document_says() {
        let read = |text: &str| query("get_journal", Some(text)).map(|values| json!(values).to_string());
        insta::assert_snapshot!(read("limit=7&task_id=a%20b&faulted=true").unwrap(), @r#"{"faulted":true,"limit":7,"newest":false,"since":0,"task_id":"a b"}"#);
        let complaints =
            ["limit=0", "limit=x", "limit=", "limit=1&limit=2", "operation=nothing", "faulted=1", "task=1", "since=-1"];
        let complaints = complaints.map(|text| read(text).unwrap_err().message().to_owned());
        insta::assert_snapshot!(complaints.join("\n"));
    }
}
