//! What comes from outside may echo secrets or control a terminal: it is cleaned before it enters an error.

/// The part of a URL that carries no signature.
pub(crate) fn without_query(url: &str) -> String {
    match url.split_once(['?', '#']) {
        Some((plain, _)) => format!("{plain}?…"),
        None => url.to_owned(),
    }
}

/// Longest text that is taken over.
const LIMIT: usize = 2000;
/// A run of letters this long is no word: Base64, or something else that nobody reads.
const WORD: usize = 200;

/// `text` from the service, fit for an error: without the key, without signed queries, without pictures, without control
/// characters, of bounded length.
pub(crate) fn clean(text: &str, key: &str) -> String {
    let text = if key.is_empty() { text.to_owned() } else { text.replace(key, "(key)") };
    let text: String =
        text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(LIMIT + 1).collect();
    let words = text.split_whitespace().map(|word| shortened(unsigned(word)));
    let mut cleaned = words.collect::<Vec<_>>().join(" ");
    if text.chars().count() > LIMIT && !cleaned.ends_with('…') {
        cleaned.push('…');
    }
    cleaned
}

/// Links come with a scheme, without one, or with its slashes escaped; what tells them all is a query.
fn unsigned(word: &str) -> String {
    let query = word.split_once('?').is_some_and(|(_, query)| query.contains('='));
    if query || word.contains("://") { without_query(word) } else { word.to_owned() }
}

fn shortened(word: String) -> String {
    if word.chars().count() <= WORD {
        return word;
    }
    let start: String = word.chars().take(20).collect();
    format!("{start}…")
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn secrets_and_control_characters_are_gone() {
        let base64 = "iVBORw0KGgo".repeat(40);
        let text = format!("bad key sk-1\x1b[31m for https://f.example/c.mp4?sig=abc and data:{base64} end");
        let cleaned = clean(&text, "sk-1");
        assert_eq!(cleaned, "bad key (key) [31m for https://f.example/c.mp4?… and data:iVBORw0KGgoiVBO… end");
    }

    #[test]
    fn a_link_hides_no_picture_and_needs_no_scheme() {
        let base64 = "iVBORw0KGgo".repeat(40);
        let echo = format!(r#"{{"image":"{base64}","last_image":"https://f.example/last.jpg"}}"#);
        assert_eq!(clean(&echo, ""), r#"{"image":"iVBORw0KGg…"#);
        assert_eq!(clean("f.example/c.mp4?sig=abc", ""), "f.example/c.mp4?…");
        assert_eq!(clean(r"https:\/\/f.example\/c.mp4?sig=abc", ""), r"https:\/\/f.example\/c.mp4?…");
        assert_eq!(clean("really? yes", ""), "really? yes");
    }

    #[test]
    fn the_length_is_bounded() {
        assert!(clean(&"long word ".repeat(100_000), "").chars().count() < 2100);
    }
}
