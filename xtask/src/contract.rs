//! Reading `openapi.yaml`.

use std::fs;
use std::path::Path;

use openapiv3::OpenAPI;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::Result;

/// The document as it was written, comments aside.
pub struct Contract {
    value: Value,
}

/// Reads the document and refuses keys that the OpenAPI model would silently drop.
pub fn load(path: &Path) -> Result<Contract> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    parse(&text).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// The same, from text.
pub fn parse(text: &str) -> Result<Contract> {
    let value: Value = serde_saphyr::from_str(text)?;
    let model: OpenAPI = serde_json::from_value(value.clone())?;
    let mut dropped = Vec::new();
    dropped_keys("", &value, &serde_json::to_value(model)?, &mut dropped);
    if dropped.is_empty() {
        Ok(Contract { value })
    } else {
        Err(format!("not OpenAPI 3.0, and silently dropped by tools: {}", dropped.join(", ")).into())
    }
}

impl Contract {
    /// The document as a value.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The document as JSON: for programs that should not carry a YAML parser.
    pub fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(&self.value)? + "\n")
    }

    /// A hash of every value in it: an edit that happens to generate the same code still shows.
    pub fn digest(&self) -> String {
        let hash = Sha256::digest(self.value.to_string());
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Lists what stands in `written` and no longer in `kept`: typos and words of other OpenAPI versions.
fn dropped_keys(at: &str, written: &Value, kept: &Value, dropped: &mut Vec<String>) {
    match (written, kept) {
        (Value::Object(written), Value::Object(kept)) => {
            for (key, value) in written {
                let at = format!("{at}/{key}");
                match kept.get(key) {
                    Some(kept) => dropped_keys(&at, value, kept, dropped),
                    None => dropped.push(at),
                }
            }
        }
        (Value::Array(written), Value::Array(kept)) if written.len() == kept.len() => {
            for (index, (written, kept)) in written.iter().zip(kept).enumerate() {
                dropped_keys(&format!("{at}/{index}"), written, kept, dropped);
            }
        }
        // 1 and 1.0 are the same number to a schema.
        (Value::Number(written), Value::Number(kept)) if written.as_f64() == kept.as_f64() => {}
        _ if written == kept => {}
        _ => dropped.push(at.to_owned()),
    }
}
