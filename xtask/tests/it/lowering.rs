//! Each step of the lowering does what it says, and none outlives its reason.

use serde_json::{Value, json};
use xtask::lower::{IntegerEnum, lower};

/// The least that gives every step something to do.
fn document() -> Value {
    json!({
        "paths": { "/clips": { "get": { "responses": { "200": {}, "404": {} } } } },
        "components": { "schemas": {
            "Request": { "type": "object", "properties": { "audio": { "type": "boolean", "default": false } } },
            "Status": { "anyOf": [{ "type": "string", "enum": ["DONE"] }, { "type": "string" }] },
            "Text": { "type": "string", "nullable": true },
            "Times": { "type": "object", "description": "Of a run.", "x-unread": true },
            "Seconds": { "type": "integer", "description": "Length.", "enum": [4, 6], "default": 6 },
            "Count": { "type": "integer", "minimum": 1, "maximum": 3, "default": 1 },
        } },
    })
}

/// Why the document with this part replaced cannot be lowered.
fn refusal(pointer: &str, value: Value) -> String {
    let mut document = document();
    *document.pointer_mut(pointer).expect(pointer) = value;
    lower(&document).expect_err(pointer).to_string()
}

#[test]
fn every_step_does_its_work() {
    let (lowered, integers) = lower(&document()).expect("lowers");
    assert_eq!(lowered["paths"]["/clips"]["get"]["responses"], json!({ "200": {} }));
    let schemas = &lowered["components"]["schemas"];
    assert_eq!(schemas["Request"]["properties"]["audio"], json!({ "type": "boolean" }));
    assert_eq!(schemas["Status"], json!({ "oneOf": document()["components"]["schemas"]["Status"]["anyOf"] }));
    assert_eq!(schemas["Text"], json!({ "type": "string" }));
    assert_eq!(schemas["Times"], json!({ "description": "Of a run." }));
    let integer = |name: &str, description: &str, values: &[u8], default| IntegerEnum {
        name: name.to_owned(),
        description: description.to_owned(),
        values: values.to_vec(),
        default,
    };
    assert_eq!(integers, [integer("Count", "", &[1, 2, 3], 1), integer("Seconds", "Length.", &[4, 6], 6)]);
}

#[test]
fn a_step_without_work_fails() {
    let schema = |name: &str| format!("/components/schemas/{name}");
    for (pointer, value, step) in [
        ("/paths/~1clips/get/responses".to_owned(), json!({ "200": {} }), "drop error answers"),
        (schema("Request"), json!({ "type": "object" }), "drop property defaults"),
        (schema("Status"), json!({ "type": "string" }), "open enums as oneOf"),
        (schema("Text"), json!({ "type": "string" }), "drop null from named schemas"),
        (schema("Times"), json!({ "type": "object" }), "take anything where nobody reads"),
        ("/components/schemas".to_owned(), without_integers(), "integer enums"),
    ] {
        let expected = format!("lowering step `{step}` no longer changes anything: delete it");
        assert_eq!(refusal(&pointer, value), expected);
    }
}

fn without_integers() -> Value {
    let mut schemas = document()["components"]["schemas"].take();
    let schemas = schemas.as_object_mut().expect("schemas");
    schemas.retain(|_, schema| schema["type"] != json!("integer"));
    json!(schemas)
}

#[test]
fn an_integer_that_no_enum_can_be_is_refused() {
    let seconds = "/components/schemas/Seconds";
    assert_eq!(refusal(&format!("{seconds}/default"), json!(5)), "Seconds: the default 5 is not among [4, 6]");
    assert!(refusal(&format!("{seconds}/enum/0"), json!(300)).contains("found 300"));
}
