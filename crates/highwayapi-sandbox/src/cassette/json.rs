//! Raw JSON text, changed in places and otherwise kept as it came.

use std::ops::Range;

use reqwest::Url;

/// The insides of a text's JSON strings, also of a text that is not whole.
pub(crate) struct Strings<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Strings<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        Self { text, at: 0 }
    }
}

impl Iterator for Strings<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let start = self.at + self.text[self.at..].find('"')? + 1;
        let mut end = start;
        loop {
            match self.text[end..].find(['"', '\\']).map(|found| end + found) {
                Some(at) if self.text.as_bytes()[at] == b'\\' => {
                    // With what it escapes.
                    end = at + 1 + self.text[at + 1..].chars().next().map_or(0, char::len_utf8);
                }
                Some(at) => {
                    self.at = at + 1;
                    return Some(start..at);
                }
                None => {
                    self.at = self.text.len();
                    return (start < self.text.len()).then_some(start..self.text.len());
                }
            }
        }
    }
}

/// The text with those strings changed for which there is a replacement; all else as it came.
pub(crate) fn replace(text: &str, mut replacement: impl FnMut(&str) -> Option<String>) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut done = 0;
    for string in Strings::of(text) {
        let raw = &text[string.start - 1..string.end];
        let Ok(value) = serde_json::from_str::<String>(&format!("{raw}\"")) else { continue };
        if let Some(new) = replacement(&value) {
            replaced.push_str(&text[done..string.start]);
            let quoted = serde_json::Value::String(new).to_string();
            replaced.push_str(&quoted[1..quoted.len() - 1]);
            done = string.end;
        }
    }
    replaced.push_str(&text[done..]);
    replaced
}

/// The link that a string is.
pub(crate) fn as_link(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_found_in_whole_and_broken_texts() {
        let strings = |text: &str| Strings::of(text).map(|range| text[range].to_owned()).collect::<Vec<_>>();
        assert_eq!(strings(r#"{"a":"b\"c\\","é":"é\u00e9"}"#), ["a", r#"b\"c\\"#, "é", r"é\u00e9"]);
        assert_eq!(strings(r#"{"a":"cut"#), ["a", "cut"]);
        assert_eq!(strings(r#"{"a":"cut\"#), ["a", r"cut\"]);
        assert_eq!(strings(r#""" " "#), ["", " "]);
        assert!(strings("<html>").is_empty());
    }

    #[test]
    fn links_are_replaced_and_nothing_else() {
        let text = r#"{ "u": "https:\/\/h.example\/a?b=1\u0026c", "t": "see https://h.example", "n":1.0 }"#;
        let mut seen = Vec::new();
        let replaced = replace(text, |string| {
            seen.push(as_link(string)?.to_string());
            Some("(link)".to_owned())
        });
        assert_eq!(replaced, r#"{ "u": "(link)", "t": "see https://h.example", "n":1.0 }"#);
        assert_eq!(seen, ["https://h.example/a?b=1&c"]);
    }
}
