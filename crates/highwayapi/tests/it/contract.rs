//! What this crate knows by heart is what stands in `openapi.yaml`.

use std::fs;

use highwayapi::{AspectRatio, DurationSeconds, Options, PersonGeneration, Resolution, SampleCount};
use serde_json::{Map, Value, json};

fn contract() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../openapi.yaml");
    serde_saphyr::from_str(&fs::read_to_string(path).expect(path)).expect("YAML")
}

fn schema(name: &str) -> Value {
    contract()["components"]["schemas"][name].take()
}

/// The request's fields that may be left out, what they refer to put in place.
fn optional_fields() -> Map<String, Value> {
    let mut request = schema("FirstLastFrameRequest");
    let required = request["required"].take();
    let required = required.as_array().expect("required fields");
    let fields = request["properties"].as_object().expect("properties").clone();
    let fields = fields.into_iter().filter(|(name, _)| !required.contains(&json!(name)));
    fields.map(|(name, field)| (name, resolved(field, &contract()))).collect()
}

/// The schema itself instead of a reference to it.
fn resolved(field: Value, document: &Value) -> Value {
    match field["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).expect(reference).clone(),
        None => field,
    }
}

/// All allowed values of a closed field.
fn values(schema: &Value) -> Value {
    match &schema["enum"] {
        Value::Null => {
            let bound = |name: &str| schema[name].as_u64().expect(name);
            json!((bound("minimum")..=bound("maximum")).collect::<Vec<_>>())
        }
        values => values.clone(),
    }
}

pub(crate) fn max_picture_bytes() -> u64 {
    let properties = &schema("FirstLastFrameRequest")["properties"];
    let most = |field: &str| properties[field]["x-max-bytes"].as_u64().expect("a limit");
    assert_eq!(most("image"), most("last_image"));
    most("image")
}

#[test]
fn every_default() {
    let defaults: Map<String, Value> = optional_fields()
        .into_iter()
        .filter_map(|(name, mut field)| Some((name, field.as_object_mut()?.remove("default")?)))
        .collect();
    assert_eq!(defaults.len(), 7, "{defaults:?}");
    assert_eq!(json!(Options::default().resolved()), json!(defaults));
    assert_eq!(json!(Options::default()), json!({}), "what is not set is not sent");
}

#[test]
fn every_allowed_value() {
    for (name, ours) in [
        ("Resolution", json!(Resolution::ALL)),
        ("AspectRatio", json!(AspectRatio::ALL)),
        ("DurationSeconds", json!(DurationSeconds::ALL)),
        ("SampleCount", json!(SampleCount::ALL)),
        ("PersonGeneration", json!(PersonGeneration::ALL)),
    ] {
        assert_eq!(ours, values(&schema(name)), "{name}");
    }
}

#[test]
fn values_are_read_as_they_are_written() {
    for (name, field) in optional_fields() {
        if field["type"] == "boolean" || name == "negative_prompt" {
            continue;
        }
        let allowed = if name == "seed" { json!([0, u32::MAX]) } else { values(&field) };
        for value in allowed.as_array().expect("values") {
            let options = json!({ &name: value });
            let read: Options = serde_json::from_value(options.clone()).expect("options");
            assert_eq!(json!(read), options);
        }
        let refused = json!({ &name: if field["type"] == "integer" { json!(-1) } else { json!("480p") } });
        assert!(serde_json::from_value::<Options>(refused.clone()).is_err(), "{refused} should be refused");
    }
    assert!(serde_json::from_value::<Options>(json!({ "sed": 1 })).is_err(), "a typo should be refused");
}

#[test]
fn what_is_not_allowed_is_answered_with_what_is() {
    let error = |error: highwayapi::NotAllowed| error.to_string();
    assert_eq!("4k".parse::<Resolution>().map_err(error), Err("`4k` is not allowed; expected 720p, 1080p".to_owned()));
    assert_eq!("5".parse::<DurationSeconds>().map_err(error), Err("`5` is not allowed; expected 4, 6, 8".to_owned()));
    assert_eq!("9:16".parse(), Ok(AspectRatio::Portrait));
    assert_eq!("3".parse(), Ok(SampleCount::Three));
}

#[test]
fn the_seed_spans_its_type() {
    let seed = &optional_fields()["seed"];
    assert_eq!((&seed["minimum"], &seed["maximum"]), (&json!(u32::MIN), &json!(u32::MAX)));
}

/// What a JSON Schema says of one field, in a form that both sides can be brought into.
#[derive(Debug, PartialEq)]
struct Facts {
    values: Value,
    minimum: Option<f64>,
    maximum: Option<f64>,
    default: Value,
}

impl Facts {
    fn of(schema: &Value, default: &Value) -> Self {
        let closed = schema["enum"].is_array() || schema["maximum"].as_u64().is_some_and(|most| most < 100);
        let bound = |name: &str| schema[name].as_f64().filter(|_| !closed);
        Self {
            values: if closed { values(schema) } else { Value::Null },
            minimum: bound("minimum"),
            maximum: bound("maximum"),
            default: default.clone(),
        }
    }
}

#[test]
fn the_json_schema_of_options() {
    let ours = json!(schemars::schema_for!(Options));
    assert_eq!(ours["additionalProperties"], json!(false));
    let properties = ours["properties"].as_object().expect("properties");
    let theirs = optional_fields();
    assert!(properties.keys().eq(theirs.keys()), "{:?} are not {:?}", properties.keys(), theirs.keys());
    for (name, field) in properties {
        // An option is its schema or null.
        let inner = field["anyOf"].as_array().map_or(field.clone(), |any_of| resolved(any_of[0].clone(), &ours));
        let theirs = &theirs[name];
        assert_eq!(Facts::of(&inner, &field["default"]), Facts::of(theirs, &theirs["default"]), "{name}");
        assert!(field["description"].is_string(), "{name} is not described");
    }
}
