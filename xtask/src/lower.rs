//! The contract is written to be true; the generator needs some of it in another form. Each step here changes the
//! document in memory and fails when it finds nothing to change, so that none outlives its reason.

use serde_json::{Map, Value, json};

use crate::Result;

/// An integer of which only a few values are allowed: generated as a Rust enum, which can be matched exhaustively.
#[derive(Debug, PartialEq, Eq)]
pub struct IntegerEnum {
    /// Name of the schema.
    pub name: String,
    /// Its description.
    pub description: String,
    /// The allowed values, ascending.
    pub values: Vec<u8>,
    /// The contract's default.
    pub default: u8,
}

/// The document for the generator, and the integer enums that it cannot express.
pub fn lower(contract: &Value) -> Result<(Value, Vec<IntegerEnum>)> {
    let mut spec = contract.clone();
    step("drop error answers", drop_error_answers(&mut spec)?)?;
    step("drop property defaults", drop_property_defaults(&mut spec)?)?;
    step("open enums as oneOf", any_of_to_one_of(&mut spec))?;
    step("drop null from named schemas", drop_named_null(&mut spec)?)?;
    step("take anything where nobody reads", take_anything(&mut spec))?;
    let integers = integer_enums(&spec)?;
    step("integer enums", integers.len())?;
    Ok((spec, integers))
}

fn step(name: &str, changes: usize) -> Result<()> {
    if changes == 0 {
        return Err(format!("lowering step `{name}` no longer changes anything: delete it").into());
    }
    Ok(())
}

/// With typed error answers the client loses the status of whatever is not JSON; without them it keeps it.
fn drop_error_answers(spec: &mut Value) -> Result<usize> {
    let mut dropped = 0;
    for path in object(spec, "/paths")?.values_mut() {
        for operation in path.as_object_mut().into_iter().flat_map(|path| path.values_mut()) {
            let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
                continue;
            };
            let before = responses.len();
            responses.retain(|status, _| status.starts_with('2'));
            dropped += before - responses.len();
        }
    }
    Ok(dropped)
}

/// A default on a property is generated as a value that is always sent.
fn drop_property_defaults(spec: &mut Value) -> Result<usize> {
    let mut dropped = 0;
    for schema in object(spec, "/components/schemas")?.values_mut() {
        let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { continue };
        for property in properties.values_mut().filter_map(Value::as_object_mut) {
            dropped += usize::from(property.remove("default").is_some());
        }
    }
    Ok(dropped)
}

/// `anyOf` is the truth for "these known values, or any other text", and is generated as something unreadable.
fn any_of_to_one_of(value: &mut Value) -> usize {
    match value {
        Value::Object(map) => {
            let own = match map.remove("anyOf") {
                Some(any_of) => {
                    map.insert("oneOf".to_owned(), any_of);
                    1
                }
                None => 0,
            };
            own + map.values_mut().map(any_of_to_one_of).sum::<usize>()
        }
        Value::Array(items) => items.iter_mut().map(any_of_to_one_of).sum(),
        _ => 0,
    }
}

/// Whoever refers to these schemas does so in an optional field, and that takes null anyway.
fn drop_named_null(spec: &mut Value) -> Result<usize> {
    let mut dropped = 0;
    for schema in object(spec, "/components/schemas")?.values_mut() {
        let mut drop = |schema: &mut Value| {
            dropped += usize::from(schema.as_object_mut().is_some_and(|map| map.remove("nullable").is_some()));
        };
        drop(schema);
        schema.get_mut("oneOf").and_then(Value::as_array_mut).into_iter().flatten().for_each(drop);
    }
    Ok(dropped)
}

/// What is marked `x-unread` is of no use to a client. In another form than documented it must not make a video
/// unreachable that is paid for.
fn take_anything(value: &mut Value) -> usize {
    match value {
        Value::Object(map) if map.get("x-unread") == Some(&json!(true)) => {
            map.retain(|key, _| key == "description");
            1
        }
        Value::Object(map) => map.values_mut().map(take_anything).sum(),
        Value::Array(items) => items.iter_mut().map(take_anything).sum(),
        _ => 0,
    }
}

/// Integers with an `enum` or a small range would become opaque numbers, which no `match` can exhaust.
fn integer_enums(spec: &Value) -> Result<Vec<IntegerEnum>> {
    let schemas = spec.pointer("/components/schemas").and_then(Value::as_object).ok_or("no schemas")?;
    schemas.iter().filter_map(|(name, schema)| integer_enum(name, schema).transpose()).collect()
}

fn integer_enum(name: &str, schema: &Value) -> Result<Option<IntegerEnum>> {
    if schema["type"] != json!("integer") {
        return Ok(None);
    }
    let values = match &schema["enum"] {
        Value::Array(values) => values.iter().map(small).collect::<Result<Vec<u8>>>()?,
        _ => (small(&schema["minimum"])?..=small(&schema["maximum"])?).collect(),
    };
    let default = small(&schema["default"])?;
    if !values.contains(&default) {
        return Err(format!("{name}: the default {default} is not among {values:?}").into());
    }
    let description = schema["description"].as_str().unwrap_or_default().to_owned();
    Ok(Some(IntegerEnum { name: name.to_owned(), description, values, default }))
}

fn small(value: &Value) -> Result<u8> {
    let number = value.as_u64().and_then(|number| u8::try_from(number).ok());
    number.ok_or_else(|| format!("expected a number from 0 to 255, found {value}").into())
}

fn object<'a>(spec: &'a mut Value, pointer: &str) -> Result<&'a mut Map<String, Value>> {
    let found = spec.pointer_mut(pointer).and_then(Value::as_object_mut);
    found.ok_or_else(|| format!("{pointer} is missing").into())
}
