//! What a submit's body says, without its pictures.

use base64::engine::{Engine, Simd, general_purpose::PAD};
use highwayapi_render::{Picture as Decoded, PictureKind, inspect};
use serde_json::Value;

use crate::cassette::format::{Form, Picture};
use crate::cassette::json::Strings;
use crate::cassette::redact::{clean, digest};

/// Fields that hold pictures.
const FIELDS: [&str; 2] = ["image", "last_image"];

/// A text this short is kept where a picture should be.
const SHORT: usize = 40;

/// A body, told.
pub(crate) struct Told {
    /// As it came, with `(picture 1)` where a picture was; not yet cleaned of anything else.
    pub(crate) text: String,
    pub(crate) pictures: Vec<Picture>,
    /// The same for the same content, however it is written.
    pub(crate) subject: String,
}

/// Reads a body of whatever kind.
pub(crate) fn tell(body: &[u8]) -> Told {
    let Ok(raw) = std::str::from_utf8(body) else {
        return Told { text: String::from_utf8_lossy(body).into_owned(), pictures: Vec::new(), subject: subject(body) };
    };
    let mut text = String::new();
    let mut pictures = Vec::new();
    let mut done = 0;
    let mut field = None;
    for string in Strings::of(raw) {
        let content = &raw[string.clone()];
        if raw[string.end..].trim_start_matches(['"', ' ', '\t', '\r', '\n']).starts_with(':') {
            field = FIELDS.into_iter().find(|field| *field == content);
        } else if let Some(field) = field.take() {
            text.push_str(&raw[done..string.start]);
            done = string.end;
            pictures.push(picture(field, content));
            text.push_str(&format!("(picture {})", pictures.len()));
        }
    }
    text.push_str(&raw[done..]);
    let subject = match serde_json::from_str::<Value>(&text) {
        // Its keys are sorted.
        Ok(value) => subject(format!("{value} {}", Value::from_iter(pictures.iter().map(by_content))).as_bytes()),
        Err(_) => subject(body),
    };
    Told { text, pictures, subject }
}

fn subject(bytes: &[u8]) -> String {
    digest(bytes)[..32].to_owned()
}

fn by_content(picture: &Picture) -> Value {
    serde_json::to_value(picture).unwrap_or_default()
}

/// `escaped` is the inside of a JSON string.
fn picture(field: &str, escaped: &str) -> Picture {
    let unescaped = escaped.contains('\\').then(|| serde_json::from_str::<String>(&format!("\"{escaped}\"")).ok());
    let text = unescaped.flatten();
    let text = text.as_deref().unwrap_or(escaped);
    let told = Picture { field: field.to_owned(), ..Picture::default() };
    let starts = |prefix: &str| text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    if starts("http://") || starts("https://") {
        let url = text.split(['?', '#']).next().unwrap_or_default();
        return Picture { sent: Form::Url, sha256: Some(digest(text.as_bytes())), url: Some(clean(url)), ..told };
    }
    if let Some((head, encoded)) = text.split_once(',').filter(|_| starts("data:")) {
        let kind = head["data:".len()..].chars().take(SHORT).collect();
        return decoded(Picture { sent: Form::DataUri, media_type: Some(kind), ..told }, encoded);
    }
    let picture = decoded(Picture { sent: Form::BareBase64, ..told.clone() }, text);
    // Many a word is Base64 too.
    if picture.kind.is_some() || text.len() > SHORT {
        return picture;
    }
    Picture { text: Some(clean(text)), sha256: Some(digest(text.as_bytes())), ..told }
}

fn decoded(told: Picture, encoded: &str) -> Picture {
    let Ok(bytes) = Simd::standard(PAD).decode(encoded) else {
        return Picture { sha256: Some(digest(encoded.as_bytes())), ..told };
    };
    let header = inspect(&bytes).ok();
    Picture {
        sha256: Some(digest(&bytes)),
        size: Some(bytes.len() as u64),
        kind: header.map(|(kind, ..)| name(kind).to_owned()),
        width: header.map(|(_, width, _)| width),
        height: header.map(|(.., height)| height),
        readable: Some(header.is_some() && Decoded::decode(&bytes).is_ok()),
        ..told
    }
}

fn name(kind: PictureKind) -> &'static str {
    match kind {
        PictureKind::Jpeg => "jpeg",
        PictureKind::Png => "png",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGM4EaABAAMkAUEdGZ/EAAAAAElFTkSuQmCC";

    #[test]
    fn pictures_are_told_and_the_rest_stays_as_it_was() {
        let body = format!(
            "{{ \"last_image\" : \"{}\",\"prompt\":\"a \\\"b\\\"\",\n\"seed\":1.0, \"image\":\"data:image/png;base64,{PNG}\"}}",
            PNG.replace('/', "\\/")
        );
        let told = tell(body.as_bytes());
        let wanted = r#"{ "last_image" : "(picture 1)","prompt":"a \"b\"",
"seed":1.0, "image":"(picture 2)"}"#;
        assert_eq!(told.text, wanted);
        let [last, first] = &told.pictures[..] else { panic!() };
        assert_eq!((last.sent, first.sent), (Form::BareBase64, Form::DataUri));
        assert_eq!(last.sha256, first.sha256);
        assert_eq!(
            (first.size, first.kind.as_deref(), first.width, first.height),
            (Some(69), Some("png"), Some(1), Some(1))
        );
        assert_eq!((first.readable, first.media_type.as_deref()), (Some(true), Some("image/png;base64")));
    }

    #[test]
    fn a_subject_is_the_content_and_the_form() {
        let subject = |body: String| tell(body.as_bytes()).subject;
        let one = subject(format!(r#"{{"image":"{PNG}","prompt":"x"}}"#));
        assert_eq!(one, subject(format!(r#"{{ "prompt": "x", "image": "{}" }}"#, PNG.replace('/', "\\/"))));
        assert_ne!(one, subject(format!(r#"{{"image":"data:image/png;base64,{PNG}","prompt":"x"}}"#)));
        assert_ne!(one, subject(format!(r#"{{"image":"{PNG}","prompt":"y"}}"#)));
        assert_ne!(subject("{".to_owned()), subject("[".to_owned()));
    }

    #[test]
    fn whatever_stands_for_a_picture_is_told() {
        let of = |value: &str| tell(format!(r#"{{"image":{value}}}"#).as_bytes());
        let url = of(r#""https://u:p@h.example/a.png?sig=secret""#);
        assert_eq!(url.pictures[0].url.as_deref(), Some("https://h.example/a.png"));
        assert_eq!(of(r#""first.png""#).pictures[0].text.as_deref(), Some("first.png"));
        assert_eq!(of(r#""data:image/png;base64,!""#).pictures[0].size, None);
        assert!(of("7").pictures.is_empty());
        let gif = &of(r#""data:image/gif;base64,R0lGODlh""#).pictures[0];
        assert_eq!((gif.size, gif.readable), (Some(6), Some(false)));
        // Cut in the middle of a picture.
        assert!(!tell(format!(r#"{{"image":"{PNG}"#).as_bytes()).text.contains("ANSUhEUg"));
        assert!(tell(b"\xff{\"image\":\"x\"}").pictures.is_empty());
    }
}
