//! From text to fields with their lines, for each way in which a manifest can be written.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_saphyr::Spanned;

use super::Format;
use super::entry::is_field;

/// What is told of a mistake: its line, and what it is.
pub(super) type Tell<'a> = dyn FnMut(u64, String) + 'a;

/// A manifest as fields.
#[derive(Default)]
pub(super) struct Read {
    pub(super) defaults: Raw,
    pub(super) items: Vec<Raw>,
}

/// One item as it is written.
#[derive(Default)]
pub(super) struct Raw {
    pub(super) line: u64,
    pub(super) fields: Vec<Field>,
}

pub(super) struct Field {
    pub(super) name: String,
    pub(super) value: Given,
    pub(super) line: u64,
}

pub(super) enum Given {
    Value(Value),
    /// Of no type: `7` may be a number or a text.
    Text(String),
}

impl Field {
    pub(super) fn text(name: &str, value: &str, line: u64) -> Self {
        Self { name: name.to_owned(), value: Given::Text(value.to_owned()), line }
    }
}

pub(super) fn read(format: Format, text: &str, tell: &mut Tell<'_>) -> Read {
    match format {
        Format::Jsonl => jsonl(text, tell),
        Format::Csv => csv(text, tell),
        Format::Yaml => yaml(text, tell),
    }
}

fn jsonl(text: &str, tell: &mut Tell<'_>) -> Read {
    let mut read = Read::default();
    let mut first = true;
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let head = std::mem::take(&mut first);
        match serde_json::from_str::<Map<Value>>(line) {
            Ok(Map(fields)) if fields.iter().any(|(name, _)| name == "defaults") => {
                if !head {
                    tell(number, "`defaults` stand in the first line alone".to_owned());
                    continue;
                }
                for (name, value) in fields {
                    match (name.as_str(), value) {
                        ("defaults", Value::Object(defaults)) => {
                            read.defaults =
                                raw(number, defaults.into_iter().map(|(name, value)| (name, value, number)));
                        }
                        ("defaults", other) => tell(number, format!("defaults: {other} is no object of fields")),
                        ("$schema", _) => {}
                        (other, _) => {
                            tell(number, format!("`{other}` cannot stand beside `defaults`; it is one item's own"));
                        }
                    }
                }
            }
            Ok(Map(fields)) => {
                read.items.push(raw(number, fields.into_iter().map(|(name, value)| (name, value, number))));
            }
            Err(error) => tell(number, without_place(&error, "expected one JSON object a line")),
        }
    }
    read
}

fn csv(text: &str, tell: &mut Tell<'_>) -> Read {
    let mut read = Read::default();
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let heads = match reader.headers() {
        Ok(heads) => heads.clone(),
        Err(error) => {
            tell(1, error.to_string());
            return read;
        }
    };
    let mut known = true;
    for head in &heads {
        if let Err(why) = is_field(head) {
            tell(1, why);
            known = false;
        }
    }
    for record in reader.records() {
        match record {
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                let cells = heads.iter().zip(&record).filter(|(_, cell)| !cell.is_empty());
                let fields = cells.map(|(head, cell)| Field::text(head, cell, line)).collect();
                read.items.push(Raw { line, fields });
            }
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                tell(
                    line,
                    match error.kind() {
                        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                            format!("{len} cells, where the first line names {expected_len} fields")
                        }
                        _ => error.to_string(),
                    },
                );
            }
        }
    }
    if !known {
        read.items.clear();
    }
    read
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default, rename = "$schema")]
    _schema: Option<String>,
    #[serde(default)]
    defaults: Option<Map<Spanned<Value>>>,
    items: Vec<Spanned<Map<Spanned<Value>>>>,
}

fn yaml(text: &str, tell: &mut Tell<'_>) -> Read {
    // The user's own file: it may be as long as it is. `y` and `001` are names of clips, not a yes and a one.
    let options = serde_saphyr::options! {
        budget: None,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        with_snippet: false,
    };
    let document: Document = match serde_saphyr::from_str_with_options(text, options) {
        Ok(document) => document,
        Err(error) => {
            let text = error.to_string();
            // The line is told already, and what a program could set is nothing for its user.
            let text = text.split(" at line ").next().and_then(|text| text.split(", set ").next()).unwrap_or_default();
            tell(error.location().map_or(0, |location| location.line()), text.to_owned());
            return Read::default();
        }
    };
    let fields = |line, Map(fields): Map<Spanned<Value>>| {
        raw(line, fields.into_iter().map(|(name, value)| (name, value.value, value.referenced.line())))
    };
    let items = document.items.into_iter().map(|item| fields(item.referenced.line(), item.value)).collect();
    Read { defaults: document.defaults.map(|map| fields(1, map)).unwrap_or_default(), items }
}

fn raw(line: u64, fields: impl Iterator<Item = (String, Value, u64)>) -> Raw {
    Raw { line, fields: fields.map(|(name, value, line)| Field { name, value: Given::Value(value), line }).collect() }
}

/// What JSON says is wrong, without a line that is none of the manifest's.
fn without_place(error: &serde_json::Error, expected: &str) -> String {
    let text = error.to_string();
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    match error.column() {
        0 => format!("{what}; {expected}"),
        column => format!("{what} at column {column}; {expected}"),
    }
}

/// A map in its order, with what stands in it twice.
struct Map<V>(Vec<(String, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Map<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for Fields<V> {
            type Value = Map<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of fields")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Map(fields))
            }
        }

        deserializer.deserialize_map(Fields(PhantomData))
    }
}
