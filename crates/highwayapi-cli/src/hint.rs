//! Commands that are offered as a way out, so that they work as they stand there.

use std::sync::OnceLock;

static SERVICE: OnceLock<String> = OnceLock::new();
static STORE: OnceLock<String> = OnceLock::new();

/// What every command that is offered must repeat to reach the same service and the same record.
pub(crate) fn set_flags(service: String, store: Option<&str>) {
    let _ = SERVICE.set(service);
    let _ = STORE.set(store.map(|store| format!(" --store {}", word(&without_secrets(store)))).unwrap_or_default());
}

/// What is offered may end up in a log: whoever types it again fills these in.
fn without_secrets(store: &str) -> String {
    match store.split_once("://").map(|(scheme, rest)| (scheme, rest.rsplit_once('@'))) {
        Some((scheme, Some((_, place)))) => format!("{scheme}://USER:PASSWORD@{place}"),
        _ => store.to_owned(),
    }
}

/// One word for a shell.
fn word(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./:@,+=%".contains(letter);
    if text.chars().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// `highway` with these arguments, for the service and the record that were typed.
pub(crate) fn highway(args: impl std::fmt::Display) -> String {
    format!("{}{}", in_record(args), flags(&SERVICE))
}

/// The same for what asks no service.
pub(crate) fn in_record(args: impl std::fmt::Display) -> String {
    format!("highway {args}{}", flags(&STORE))
}

fn flags(which: &'static OnceLock<String>) -> &'static str {
    which.get().map(String::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_repeated_without_its_password() {
        assert_eq!(without_secrets("nats://me:p@ss/w@a:4222,b/mine"), "nats://USER:PASSWORD@a:4222,b/mine");
        for store in ["nats://a:4222/mine", "/var/lib/me@home"] {
            assert_eq!(without_secrets(store), store);
        }
    }

    #[test]
    fn a_word_stays_one_in_a_shell() {
        assert_eq!(word("nats://a:4222,b/mine"), "nats://a:4222,b/mine");
        assert_eq!(word("Bob's clips"), r"'Bob'\''s clips'");
    }
}
