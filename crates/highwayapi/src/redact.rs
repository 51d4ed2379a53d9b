//! What comes from outside may echo secrets or control a terminal: it is cleaned before it enters an error.

/// A URL without what may be a secret: its query with a signature, its user and password.
pub(crate) fn plain_url(url: &str) -> String {
    let (plain, end) = match url.split_once(['?', '#']) {
        Some((plain, _)) => (plain, "?…"),
        None => (url, ""),
    };
    let mut links = plain.split("://");
    let mut plain = links.next().unwrap_or_default().to_owned();
    // A link may stand behind another, or carry one in its path.
    for rest in links {
        let authority = &rest[..rest.find('/').unwrap_or(rest.len())];
        let host = authority.rfind('@').map_or(0, |at| at + 1);
        plain.push_str("://");
        plain.push_str(&rest[host..]);
    }
    plain.push_str(end);
    plain
}

/// Longest text that is taken over.
const LIMIT: usize = 2000;
/// A run of letters this long is no word: Base64, or something else that nobody reads.
const WORD: usize = 200;

/// `text` from the service, fit for an error: without the key, without signed queries, without pictures, without control
/// characters, of bounded length.
pub(crate) fn clean(text: &str, key: &str) -> String {
    let text = if key.is_empty() { text.to_owned() } else { text.replace(key, "(key)") };
    let text: String = text.chars().map(|letter| if rules(letter) { ' ' } else { letter }).collect();
    let words = text.split_whitespace().map(|word| shortened(unsigned(word)));
    let mut cleaned = words.collect::<Vec<_>>().join(" ");
    // Cut last: half a link no longer shows what in it is a password.
    if let Some((end, _)) = cleaned.char_indices().nth(LIMIT) {
        cleaned.truncate(end);
        cleaned.push('…');
    }
    cleaned
}

/// What a terminal obeys instead of showing it: control characters, and those that turn the direction of what follows.
fn rules(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Links come with a scheme, without one, or with its slashes escaped; what tells them all is a query.
fn unsigned(word: &str) -> String {
    let query = word.split_once('?').is_some_and(|(_, query)| query.contains('='));
    if query || word.contains("://") { plain_url(word) } else { word.to_owned() }
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
    use super::{clean, plain_url};

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
    fn a_plain_url_names_no_user_and_no_signature() {
        assert_eq!(plain_url("https://u:p@f.example:8/a@b.mp4?sig=1#x"), "https://f.example:8/a@b.mp4?…");
        assert_eq!(plain_url("https://f.example/a.mp4"), "https://f.example/a.mp4");
        assert_eq!(plain_url("https://a.example/x,https://u:p@b.example/y"), "https://a.example/x,https://b.example/y");
        assert_eq!(plain_url("no url"), "no url");
    }

    #[test]
    fn nothing_turns_the_direction_of_what_follows() {
        assert_eq!(clean("paid\u{202e}dias\u{2066}x", ""), "paid dias x");
    }

    #[test]
    fn the_length_is_bounded() {
        for word in ["long word ", "://# "] {
            assert_eq!(clean(&word.repeat(100_000), "").chars().count(), 2001);
        }
    }

    #[test]
    fn a_link_at_the_end_of_the_bounds_hides_its_password() {
        let text = "word ".repeat(397) + "https://user:secret@f.example/last.jpg";
        assert!(clean(&text, "").ends_with(" https://f.examp…"));
    }
}
