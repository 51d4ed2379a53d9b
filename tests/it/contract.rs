//! `openapi.yaml` against itself and against these tests.

use serde_json::{Map, Value, json};

use crate::answers::rows;
use crate::support::contract;

#[test]
fn every_operation_has_a_contract_test() {
    let contract = contract();
    let operations = contract["paths"].as_object().expect("paths").values();
    let operations = operations.flat_map(|item| item.as_object().into_iter().flat_map(Map::values));
    let operations: Vec<_> = operations.map(|operation| operation["operationId"].as_str().expect("an id")).collect();
    assert!(!operations.is_empty());
    for operation in operations {
        assert!(rows().iter().any(|row| row.call.operation() == operation), "{operation} has no contract test");
    }
}

/// OpenAPI's `nullable` in JSON Schema's own words.
fn nullable_to_null(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.remove("nullable") == Some(json!(true)) {
                let kind = map["type"].take();
                map.insert("type".to_owned(), json!([kind, "null"]));
            }
            map.values_mut().for_each(nullable_to_null);
        }
        Value::Array(items) => items.iter_mut().for_each(nullable_to_null),
        _ => {}
    }
}

/// Every example in the document with the schema beside it, and where it stands.
fn examples(at: &str, value: &Value, found: &mut Vec<(String, Value, Value)>) {
    match value {
        Value::Object(map) => {
            if let Some(schema) = map.get("schema") {
                let many = map.get("examples").and_then(Value::as_object).into_iter().flatten();
                let many = many.map(|(name, example)| (format!("{at}/examples/{name}"), &example["value"]));
                let one = map.get("example").map(|example| (format!("{at}/example"), example));
                found.extend(many.chain(one).map(|(at, example)| (at, schema.clone(), example.clone())));
            }
            map.iter().for_each(|(key, value)| examples(&format!("{at}/{key}"), value, found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| examples(&format!("{at}/{index}"), item, found));
        }
        _ => {}
    }
}

#[test]
fn every_example_is_of_its_schema() {
    let mut contract = contract();
    nullable_to_null(&mut contract);
    let mut found = Vec::new();
    examples("", &contract, &mut found);
    assert!(found.len() >= 15, "only {} examples were found", found.len());
    for (at, schema, example) in found {
        // The schema refers to components, which it needs around it.
        let mut whole = json!({ "components": contract["components"] });
        whole.as_object_mut().expect("a schema").extend(schema.as_object().expect("a schema").clone());
        let validator = jsonschema::validator_for(&whole).expect("a schema");
        let wrong: Vec<_> = validator.iter_errors(&example).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{at}: {wrong:?}");
    }
}

#[test]
fn every_answer_has_an_example_and_so_has_every_request() {
    let contract = contract();
    let mut bodies = Vec::new();
    media_types("", &contract, &mut bodies);
    assert!(bodies.len() >= 10, "only {} bodies were found", bodies.len());
    for (at, media_type) in bodies {
        assert!(media_type["example"] != Value::Null || media_type["examples"] != Value::Null, "{at} has no example");
    }
}

fn media_types(at: &str, value: &Value, found: &mut Vec<(String, Value)>) {
    let Value::Object(map) = value else { return };
    for (key, value) in map {
        let at = format!("{at}/{key}");
        if key == "content" {
            let types = value.as_object().into_iter().flatten();
            found.extend(types.map(|(name, media_type)| (format!("{at}/{name}"), media_type.clone())));
        }
        media_types(&at, value, found);
    }
}
