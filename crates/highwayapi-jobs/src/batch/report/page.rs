//! The page: its text, style and script in one file, and the items as data.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use base64::write::EncoderWriter;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Report;
use super::place::url;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Nothing is loaded but files beside the page and what is in it, and no script runs but its own, whatever a prompt says.
fn policy() -> String {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; img-src 'self' file: data:; media-src 'self' file: data: blob:; \
         style-src 'sha256-{}'; script-src 'sha256-{}'",
        hash(STYLE),
        hash(SCRIPT)
    )
}

pub(super) fn write(report: &Report, mut out: impl Write, folder: &Path, embed: bool) -> io::Result<()> {
    let mut rest = PAGE;
    for (mark, text) in
        [("{{policy}}", policy().as_str()), ("{{title}}", &escaped(&report.head.name)), ("{{style}}", STYLE)]
    {
        rest = fill(&mut out, rest, mark, text)?;
    }
    rest = fill(&mut out, rest, "{{data}}", "")?;
    let mut embedded = Embedded { wanted: embed, ..Embedded::default() };
    data(report, &mut out, folder, &mut embedded)?;
    rest = fill(&mut out, rest, "{{media}}", "")?;
    for (number, file) in embedded.files.iter().enumerate() {
        write!(out, "<script type=\"text/plain\" id=\"media-{number}\">data:{};base64,", kind(file)?)?;
        let mut encoder = EncoderWriter::new(&mut out, &STANDARD);
        io::copy(&mut File::open(file)?, &mut encoder)?;
        encoder.finish()?;
        drop(encoder);
        out.write_all(b"</script>\n")?;
    }
    rest = fill(&mut out, rest, "{{script}}", SCRIPT)?;
    out.write_all(rest.as_bytes())?;
    out.flush()
}

/// Writes the template as far as a mark, and what stands for the mark; what is left.
fn fill<'a>(out: &mut impl Write, template: &'a str, mark: &str, text: &str) -> io::Result<&'a str> {
    let (before, after) = template.split_once(mark).unwrap_or((template, ""));
    out.write_all(before.as_bytes())?;
    out.write_all(text.as_bytes())?;
    Ok(after)
}

/// The files that are in the page, each once.
#[derive(Default)]
struct Embedded<'a> {
    wanted: bool,
    files: Vec<&'a Path>,
    numbers: HashMap<&'a Path, usize>,
}

impl<'a> Embedded<'a> {
    /// Its number, where it is to be in the page and can be.
    fn number(&mut self, file: &'a Path) -> Option<usize> {
        if !self.wanted || !file.is_file() {
            return None;
        }
        Some(*self.numbers.entry(file).or_insert_with(|| {
            self.files.push(file);
            self.files.len() - 1
        }))
    }
}

/// The items as JSON, one a line, in which nothing ends the element that it stands in.
fn data<'a>(report: &'a Report, out: &mut impl Write, folder: &Path, embedded: &mut Embedded<'a>) -> io::Result<()> {
    write_safe(out, &serde_json::to_value(&report.head)?)?;
    let mut name = |file: &'a Path| {
        let text = file.to_string_lossy();
        if text.starts_with("http://") || text.starts_with("https://") {
            return json!({ "text": text });
        }
        match embedded.number(file) {
            Some(number) => json!({ "media": number, "text": text }),
            None => json!({ "url": url(file, folder), "text": text }),
        }
    };
    for row in &report.items {
        let mut value = serde_json::to_value(row)?;
        value["image"] = json!(row.image.as_deref().map(&mut name));
        value["last_image"] = json!(row.last_image.as_deref().map(&mut name));
        value["clips"] = json!(row.clips.iter().map(|clip| name(clip)).collect::<Vec<_>>());
        write_safe(out, &value)?;
    }
    Ok(())
}

fn write_safe(out: &mut impl Write, value: &Value) -> io::Result<()> {
    let text = value.to_string().replace('<', "\\u003c").replace(['\u{2028}', '\u{2029}'], " ");
    writeln!(out, "{text}")
}

/// By the first bytes, not by the name.
fn kind(file: &Path) -> io::Result<&'static str> {
    let mut head = [0; 4];
    let read = File::open(file)?.read(&mut head)?;
    Ok(match &head[..read] {
        b"\x89PNG" => "image/png",
        [0xff, 0xd8, ..] => "image/jpeg",
        _ => "video/mp4",
    })
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
