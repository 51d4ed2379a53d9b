//! One item of a manifest, field by field. The JSON Schema that editors use comes from this type.

use highwayapi::{AspectRatio, DurationSeconds, Options, PersonGeneration, Resolution, SampleCount};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::format::{Given, Raw, Tell};

/// One clip, or with `pairs` or `chain` several: the fields of the API and where the clip goes.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema), schemars(transform = schema::of_entry))]
#[serde(default, deny_unknown_fields)]
pub(super) struct Entry {
    /// Names the clip, also in the record; letters, digits and `._-`. Default: from the names of its frames.
    pub(super) id: Option<String>,
    /// Where the clip goes, relative to the manifest; `{id}` stands for its id. Default: `clips/{id}.mp4`.
    pub(super) output: Option<String>,
    /// First frame: a file relative to the manifest, or an http(s) URL.
    pub(super) image: Option<String>,
    /// Last frame, likewise.
    pub(super) last_image: Option<String>,
    /// One clip for each two files of the same name, whatever their endings.
    pub(super) pairs: Option<Pairs>,
    /// Key frames: one clip from each file to the next.
    pub(super) chain: Option<Chain>,
    /// What the video shows and how it moves between the two frames.
    pub(super) prompt: Option<String>,
    seed: Option<u32>,
    resolution: Option<Resolution>,
    aspect_ratio: Option<AspectRatio>,
    sample_count: Option<SampleCount>,
    enhance_prompt: Option<bool>,
    generate_audio: Option<bool>,
    negative_prompt: Option<String>,
    duration_seconds: Option<DurationSeconds>,
    person_generation: Option<PersonGeneration>,
}

/// Two folders, or two globs.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Pairs {
    /// The first frames: a folder or a glob, such as `a/*.png`.
    pub(super) image: String,
    /// The last frames.
    pub(super) last_image: String,
}

/// Key frames.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(untagged, expecting = "expected a folder, a glob such as frames/*.png, or a list of files")]
pub(super) enum Chain {
    /// A folder or a glob, in the order of their names (2 before 10).
    Glob(String),
    /// Files in this order.
    Files(Vec<String>),
}

impl Entry {
    /// Takes each field by itself, so that every mistake is told. Without one it is whole.
    pub(super) fn new(raw: Raw, tell: &mut Tell<'_>) -> (Self, bool) {
        let mut fields = Map::new();
        let mut whole = true;
        for field in raw.fields {
            let value = match field.value {
                Given::Value(value) => check(&field.name, &value).map(|()| value),
                Given::Text(text) => typed(&field.name, text),
            };
            let taken = value.and_then(|value| match fields.insert(field.name.clone(), value) {
                None => Ok(()),
                Some(_) => Err(format!("{}: it stands here twice", field.name)),
            });
            if let Err(why) = taken {
                tell(field.line, why);
                whole = false;
            }
        }
        // Each of its fields was read before.
        let entry = serde_json::from_value(Value::Object(fields)).inspect_err(|error| {
            tell(raw.line, error.to_string());
            whole = false;
        });
        (entry.unwrap_or_default(), whole)
    }

    /// What holds for all items that say nothing else.
    pub(super) fn defaults(mut raw: Raw, tell: &mut Tell<'_>) -> Self {
        raw.fields.retain(|field| {
            let own = matches!(field.name.as_str(), "id" | "pairs" | "chain");
            if own {
                tell(field.line, format!("{}: it is one item's own, and no default for all", field.name));
            }
            !own
        });
        Self::new(raw, tell).0
    }

    /// Takes what it does not say itself.
    pub(super) fn fill_in(&mut self, defaults: &Self) {
        fn or<T: Clone>(own: &mut Option<T>, default: &Option<T>) {
            if own.is_none() {
                own.clone_from(default);
            }
        }
        if self.pairs.is_none() && self.chain.is_none() {
            or(&mut self.image, &defaults.image);
            or(&mut self.last_image, &defaults.last_image);
        }
        or(&mut self.output, &defaults.output);
        or(&mut self.prompt, &defaults.prompt);
        or(&mut self.seed, &defaults.seed);
        or(&mut self.resolution, &defaults.resolution);
        or(&mut self.aspect_ratio, &defaults.aspect_ratio);
        or(&mut self.sample_count, &defaults.sample_count);
        or(&mut self.enhance_prompt, &defaults.enhance_prompt);
        or(&mut self.generate_audio, &defaults.generate_audio);
        or(&mut self.negative_prompt, &defaults.negative_prompt);
        or(&mut self.duration_seconds, &defaults.duration_seconds);
        or(&mut self.person_generation, &defaults.person_generation);
    }

    pub(super) fn options(&self) -> Options {
        let mut options = Options::default();
        options.seed = self.seed;
        options.resolution = self.resolution;
        options.aspect_ratio = self.aspect_ratio;
        options.sample_count = self.sample_count;
        options.enhance_prompt = self.enhance_prompt;
        options.generate_audio = self.generate_audio;
        options.negative_prompt = self.negative_prompt.clone();
        options.duration_seconds = self.duration_seconds;
        options.person_generation = self.person_generation;
        options
    }
}

/// Whether there is such a field.
pub(super) fn is_field(name: &str) -> Result<(), String> {
    check(name, &Value::Null)
}

fn check(name: &str, value: &Value) -> Result<(), String> {
    match serde_json::from_value::<Entry>(json!({ name: value })) {
        Ok(_) => Ok(()),
        Err(error) => {
            let text = error.to_string();
            if text.starts_with("unknown field") {
                return Err(text);
            }
            if text.contains("untagged enum Wire") {
                return Err(format!("{name}: {value} is neither a text nor a whole number"));
            }
            let text = text.replace("expected u32", "expected a whole number from 0 to 4294967295");
            Err(format!("{name}: {}", text.replace("expected a string", "expected a text, which quotes make it")))
        }
    }
}

/// The value of a text that has no type, such as a cell of a table.
fn typed(name: &str, text: String) -> Result<Value, String> {
    // A number that is one, or a switch; `seed: abc` is told as the text that it is.
    let other = serde_json::from_str(&text.to_ascii_lowercase()).ok();
    let other = other.filter(|value| matches!(value, Value::Number(_) | Value::Bool(_)));
    let text = Value::String(text);
    match (check(name, &text), other) {
        (Ok(()), _) => Ok(text),
        (Err(_), Some(value)) => check(name, &value).map(|()| value),
        (Err(why), None) => Err(why),
    }
}

#[cfg(feature = "schemars")]
pub use schema::schema;

#[cfg(feature = "schemars")]
mod schema {
    use highwayapi::Options;
    use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, schema_for};
    use serde_json::{Value, json};

    use super::Entry;

    /// A batch of clips, for `highway batch`.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields, title = "A batch of clips", transform = only_items_are_required)]
    #[expect(dead_code, reason = "only its schema is needed; it is read with line numbers")]
    struct Document {
        /// The address of this schema, for editors.
        #[schemars(rename = "$schema")]
        schema: Option<String>,
        /// What holds for every item that does not say otherwise.
        #[schemars(schema_with = "defaults")]
        defaults: Option<Entry>,
        /// The clips.
        items: Vec<Entry>,
    }

    /// The JSON Schema of a manifest in YAML or JSON.
    pub fn schema() -> Value {
        let generator = SchemaSettings::draft2020_12().into_generator();
        generator.into_root_schema_for::<Document>().to_value()
    }

    fn only_items_are_required(schema: &mut Schema) {
        schema.insert("required".to_owned(), json!(["items"]));
    }

    fn defaults(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Entry::json_schema(generator);
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            for own in ["id", "pairs", "chain"] {
                properties.remove(own);
            }
        }
        schema.remove("description");
        schema
    }

    /// The API's fields are described as they are there.
    pub(super) fn of_entry(schema: &mut Schema) {
        let options = schema_for!(Options).to_value();
        let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
        for (name, property) in properties.iter_mut() {
            if let Some(known) = options["properties"].get(name) {
                property.clone_from(known);
            }
            if property.get("default") == Some(&json!(null))
                && let Some(property) = property.as_object_mut()
            {
                property.remove("default");
            }
        }
    }
}
