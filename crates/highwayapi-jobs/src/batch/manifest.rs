//! A manifest: which clips a batch is to make. JSON lines, CSV or YAML; all mistakes are told, not the first.

mod entry;
mod expand;
mod files;
mod format;

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use entry::Entry;
use expand::Expansion;
use format::{Field, Raw};

use crate::batch::{Finding, Place, PlannedItem, Weight};
use crate::error::{Error, Result};

#[cfg(feature = "schemars")]
pub use entry::schema;

/// A manifest that was read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Manifest {
    /// Its file.
    pub file: Arc<Path>,
    /// Its folder, absolute: what relative paths in it are relative to.
    pub base: PathBuf,
    /// The clips that it asks for, without those that cannot be told for mistakes.
    pub items: Vec<PlannedItem>,
    /// What is wrong with it, in the order of its lines.
    pub findings: Vec<Finding>,
}

/// How a manifest is read.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Reading {
    /// How it is written. Default: by the end of its name.
    pub format: Option<Format>,
    /// Fields that hold where the manifest says nothing, as text.
    pub defaults: Vec<(String, String)>,
    /// Where clips go whose item names no `output`. Default: the folder `clips` beside the manifest.
    pub output_dir: Option<PathBuf>,
}

/// How a manifest is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// One JSON object a line, for one item each. The first may be `{"defaults": {…}}`.
    Jsonl,
    /// A table whose first line names the fields.
    Csv,
    /// `defaults:` and `items:`. JSON is YAML, too.
    Yaml,
}

impl Format {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Jsonl, Self::Csv, Self::Yaml];

    fn of(file: &Path) -> Option<Self> {
        let end = file.extension()?.to_str()?.to_ascii_lowercase();
        Some(match end.as_str() {
            "jsonl" | "ndjson" => Self::Jsonl,
            "csv" => Self::Csv,
            "yaml" | "yml" | "json" => Self::Yaml,
            _ => return None,
        })
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Yaml => "yaml",
        })
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|format| format.to_string() == text);
        found.copied().ok_or_else(|| {
            Error::input(format!("`{}` is no format of a manifest; expected jsonl, csv, yaml", text.escape_debug()))
        })
    }
}

impl Manifest {
    /// Reads a manifest and lists the folders that it speaks of, but opens no picture. May block.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or nothing says how it is written. What is wrong in it is in
    /// [`Manifest::findings`].
    pub fn read(file: &Path, reading: &Reading) -> Result<Self> {
        let format = reading.format.or_else(|| Format::of(file)).ok_or_else(|| {
            Error::input(format!("{} does not end in .jsonl, .csv, .yaml or .json; name its format", file.display()))
        })?;
        let unreadable =
            |error| Error::input(format!("the manifest {} cannot be read", file.display())).with_source(error);
        let text = fs::read_to_string(file).map_err(unreadable)?;
        let base = std::path::absolute(file).map_err(unreadable)?.parent().unwrap_or(Path::new("/")).to_owned();
        let (file, mut findings) = (Arc::<Path>::from(file), Vec::new());
        let mut tell = |line, item: Option<&str>, text: String| {
            let place = Place { file: Arc::clone(&file), line };
            findings.push(Finding::new(Weight::Problem, place, item, text));
        };
        let read = format::read(format, text.trim_start_matches('\u{feff}'), &mut |line, text| tell(line, None, text));
        let mut defaults = Entry::defaults(read.defaults, &mut |line, text| tell(line, None, text));
        let typed = reading.defaults.iter().map(|(name, value)| Field::text(name, value, 0)).collect();
        let typed = Entry::defaults(Raw { line: 0, fields: typed }, &mut |line, text| tell(line, None, text));
        defaults.fill_in(&typed);
        let mut expansion = Expansion::new(&file, &base, reading.output_dir.as_deref());
        for raw in read.items {
            let line = raw.line;
            let (mut entry, whole) = Entry::new(raw, &mut |line, text| tell(line, None, text));
            if whole {
                entry.fill_in(&defaults);
                expansion.add(entry, line, &mut |item, text| tell(line, item, text));
            }
        }
        let items = expansion.finish(&mut |line, item, text| tell(line, Some(item), text));
        if items.is_empty() && findings.is_empty() {
            let place = Place { file: Arc::clone(&file), line: 0 };
            findings.push(Finding::new(Weight::Problem, place, None, "there is no item in it"));
        }
        findings.sort_by_key(|finding| finding.place.line);
        Ok(Self { file, base, items, findings })
    }
}
