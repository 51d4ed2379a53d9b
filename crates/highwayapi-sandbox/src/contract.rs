//! Requests against `openapi.json`, the JSON form of the workspace's `openapi.yaml`.

use highwayapi_render::Size;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::paths::Location;
use jsonschema::{Draft, ValidationError, Validator};
use serde_json::{Map, Value, json};

use crate::error::{ApiError, Error};
use crate::ledger::RequestHash;

const REQUEST: &str = "/components/schemas/FirstLastFrameRequest";

/// Longest piece of what came that an error message repeats.
const SHOWN: usize = 40;

/// Unknown fields that a refusal lists; further ones are counted.
const LISTED: usize = 5;

/// How sibling endpoints of the same vendor spell "no people", and how this one does.
const NO_PEOPLE: (&str, &str) = ("dont_allow", "disallow");

/// What the contract says of a submit, ready to be asked.
pub(crate) struct Contract {
    validator: Validator,
    /// All that a request may have.
    fields: Vec<String>,
    defaults: Map<String, Value>,
    max_picture: usize,
}

/// A submit as the sandbox needs it: checked, defaults filled in.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) image: String,
    pub(crate) last_image: String,
    pub(crate) prompt: String,
    pub(crate) size: Size,
    pub(crate) seconds: u32,
    pub(crate) audio: bool,
    pub(crate) samples: u32,
    pub(crate) seed: Option<u32>,
    /// What makes it the same request as another one, its pictures aside.
    pub(crate) request: RequestHash,
}

impl Contract {
    pub(crate) fn load() -> Result<Self, Error> {
        let mut document: Value = serde_json::from_str(include_str!("openapi.json"))
            .map_err(|e| Error::new("openapi.json is not JSON").caused_by(e))?;
        let properties = document.pointer(REQUEST).and_then(|schema| schema["properties"].as_object());
        let properties = properties.ok_or_else(|| Error::new(format!("openapi.json has no {REQUEST}")))?;
        let fields = properties.keys().cloned().collect();
        let mut defaults = Map::new();
        for (name, property) in properties {
            let target = property["$ref"].as_str().and_then(|at| document.pointer(at.strip_prefix('#')?));
            if let Some(value) = target.unwrap_or(property).get("default") {
                defaults.insert(name.clone(), value.clone());
            }
        }
        let max_picture = properties["image"]["x-max-bytes"].as_u64().and_then(|bytes| bytes.try_into().ok());
        let max_picture = max_picture.ok_or_else(|| Error::new("openapi.json gives `image` no x-max-bytes"))?;

        as_json_schema(&mut document);
        let schema = json!({ "$ref": format!("#{REQUEST}"), "components": document["components"].take() });
        let validator = jsonschema::options()
            .with_draft(Draft::Draft4)
            .build(&schema)
            .map_err(|e| Error::new("the schemas in openapi.json cannot be used").caused_by(e.to_string()))?;
        Ok(Self { validator, fields, defaults, max_picture })
    }

    /// Most bytes of one decoded picture.
    pub(crate) fn max_picture(&self) -> usize {
        self.max_picture
    }

    /// Most bytes of a request's body: two pictures as Base64, and a mebibyte for the rest.
    pub(crate) fn max_body(&self) -> usize {
        2 * self.max_picture.div_ceil(3) * 4 + (1 << 20)
    }

    /// Every violation in one answer, or the order. Who is lenient lets pass what the contract does not speak of.
    pub(crate) fn check(&self, body: &[u8], lenient: bool) -> Result<Order, ApiError> {
        let mut body: Value =
            serde_json::from_slice(body).map_err(|e| ApiError::invalid(format!("the body is not JSON: {e}")))?;
        if lenient && body["person_generation"] == NO_PEOPLE.0 {
            body["person_generation"] = NO_PEOPLE.1.into();
        }
        let mut complaints = complaints(&self.validator, &body);
        if !lenient {
            complaints.extend(self.unknown(&body));
        }
        if !complaints.is_empty() {
            return Err(ApiError::invalid(complaints.join("; ")));
        }
        let fields = body.as_object_mut().ok_or_else(|| ApiError::invalid("the body is not an object"))?;
        for (name, value) in &self.defaults {
            fields.entry(name).or_insert_with(|| value.clone());
        }
        // What fails below is in the contract and unknown here: a value was added to one side only.
        order(fields).ok_or_else(|| ApiError::internal("the contract allows a value that this sandbox does not know"))
    }

    /// The contract's page lists all fields, and says nothing of others. A misspelt one would be paid for, and change
    /// nothing.
    fn unknown(&self, body: &Value) -> Option<String> {
        let unknown = body.as_object()?.keys().filter(|name| !self.fields.contains(name));
        let mut unknown: Vec<String> = unknown.map(|name| shortened(&Value::from(&name[..]))).collect();
        let more = unknown.len().saturating_sub(LISTED);
        unknown.truncate(LISTED);
        let verb = if unknown.len() == 1 { "is no field" } else { "are no fields" };
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let known = self.fields.join(", ");
        let said = || format!("{}{more} {verb} of the request, which are {known}", unknown.join(", "));
        (!unknown.is_empty()).then(said)
    }
}

fn order(fields: &mut Map<String, Value>) -> Option<Order> {
    let request = RequestHash::of_fields(fields);
    let number = |value: &Value| value.as_u64()?.try_into().ok();
    let size = match (fields.get("resolution")?.as_str()?, fields.get("aspect_ratio")?.as_str()?) {
        ("720p", "16:9") => Size::LANDSCAPE_720P,
        ("720p", "9:16") => Size::PORTRAIT_720P,
        ("1080p", "16:9") => Size::LANDSCAPE_1080P,
        ("1080p", "9:16") => Size::PORTRAIT_1080P,
        _ => return None,
    };
    let mut text = |name: &str| match fields.get_mut(name).map(Value::take) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let (image, last_image, prompt) = (text("image")?, text("last_image")?, text("prompt")?);
    let seed = match fields.get("seed") {
        Some(seed) => Some(number(seed)?),
        None => None,
    };
    Some(Order {
        image,
        last_image,
        prompt,
        size,
        seconds: number(fields.get("duration_seconds")?)?,
        audio: fields.get("generate_audio")?.as_bool()?,
        samples: number(fields.get("sample_count")?)?,
        seed,
        request,
    })
}

/// What a schema has against a document; nothing if it is in order.
pub(crate) fn complaints(validator: &Validator, document: &Value) -> Vec<String> {
    let errors: Vec<_> = validator.iter_errors(document).collect();
    // Which values are allowed says more than of which type they are.
    let named = |path: &Location| {
        let is_enum = |e: &ValidationError<'_>| matches!(e.kind(), ValidationErrorKind::Enum { .. });
        errors.iter().any(|e| is_enum(e) && e.instance_path() == path)
    };
    let is_type = |e: &ValidationError<'_>| matches!(e.kind(), ValidationErrorKind::Type { .. });
    errors.iter().filter(|e| !(is_type(e) && named(e.instance_path()))).map(complaint).collect()
}

/// OpenAPI 3.0 spells "or null" as `nullable: true` beside the type.
pub(crate) fn as_json_schema(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("nullable") == Some(&Value::Bool(true)) {
                object.remove("nullable");
                if let Some(kind) = object.get_mut("type") {
                    *kind = json!([kind.take(), "null"]);
                }
                if let Some(Value::Array(values)) = object.get_mut("enum") {
                    values.push(Value::Null);
                }
            }
            object.values_mut().for_each(as_json_schema);
        }
        Value::Array(items) => items.iter_mut().for_each(as_json_schema),
        _ => {}
    }
}

/// `sample_count: 9 is more than 4`: the field, what came, what is allowed.
fn complaint(error: &ValidationError<'_>) -> String {
    let field = error.instance_path().to_string();
    let field = field.trim_start_matches('/');
    let came = shortened(error.instance());
    let what = match error.kind() {
        ValidationErrorKind::Required { property } => {
            return format!("{}: is missing, and it is required", property.as_str().unwrap_or_default());
        }
        ValidationErrorKind::Type { kind: TypeKind::Single(kind) } => format!("{came} is not of type {kind}"),
        ValidationErrorKind::Minimum { limit } => format!("{came} is less than {limit}"),
        ValidationErrorKind::Maximum { limit } => format!("{came} is more than {limit}"),
        ValidationErrorKind::Enum { options } => {
            let options: Vec<String> = options.as_array().into_iter().flatten().map(Value::to_string).collect();
            format!("{came} is none of {}", options.join(", "))
        }
        _ => error.masked_with(came).to_string(),
    };
    if field.is_empty() { format!("the body: {what}") } else { format!("{field}: {what}") }
}

fn shortened(value: &Value) -> String {
    match value {
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::String(text) if text.chars().nth(SHOWN).is_some() => {
            let start: String = text.chars().take(SHOWN).collect();
            format!("{}… ({} bytes)", Value::String(start), text.len())
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A value that is added to the contract has to be added to `order` too.
    #[test]
    fn every_value_of_the_contract_is_known() {
        let contract = Contract::load().unwrap();
        let document: Value = serde_json::from_str(include_str!("openapi.json")).unwrap();
        let values = |name: &str| document["components"]["schemas"][name]["enum"].as_array().unwrap().clone();
        for resolution in values("Resolution") {
            for aspect_ratio in values("AspectRatio") {
                for seconds in values("DurationSeconds") {
                    let body = json!({
                        "image": "a", "last_image": "b", "prompt": "",
                        "resolution": resolution, "aspect_ratio": aspect_ratio, "duration_seconds": seconds,
                    });
                    let order = contract.check(body.to_string().as_bytes(), false).unwrap();
                    assert_eq!(u64::from(order.seconds), seconds.as_u64().unwrap());
                }
            }
        }
    }

    #[test]
    fn nullable_becomes_a_second_type() {
        let mut schema = json!({ "a": { "type": "string", "nullable": true, "enum": ["x"] } });
        as_json_schema(&mut schema);
        assert_eq!(schema, json!({ "a": { "type": ["string", "null"], "enum": ["x", null] } }));
    }
}
