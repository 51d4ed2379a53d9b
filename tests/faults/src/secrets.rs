//! What must not be seen anywhere, planted so that it can be found.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::{Result, workspace};

/// The key that the sandbox takes.
pub(crate) const KEY: &str = "sk-planted-7f3a9c";

const IN_PICTURE: &str = "planted-picture-7f3a9c.";

/// The repository's two photographs, each with the secret in it, in this new folder.
pub(crate) fn pictures(folder: &Path, size: usize) -> Result<()> {
    std::fs::create_dir(folder)?;
    for name in ["first.jpg", "last.jpg"] {
        let photograph = workspace().join("examples/frames").join(name);
        std::fs::write(folder.join(name), picture(&photograph, size)?)?;
    }
    Ok(())
}

/// A photograph with a text behind its end, where decoders no longer look, repeated up to `size`.
fn picture(photograph: &Path, size: usize) -> Result<Vec<u8>> {
    let mut bytes = std::fs::read(photograph)?;
    let times = 100 + size.saturating_sub(bytes.len()) / IN_PICTURE.len();
    bytes.extend(IN_PICTURE.repeat(times).bytes());
    Ok(bytes)
}

/// The name of a secret that stands in this text. `signatures` are those of the links that were handed out.
pub(crate) fn found(bytes: &[u8], signatures: &[String]) -> Option<&'static str> {
    let contains = |secret: &str| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
    if contains(KEY) {
        return Some("the key");
    }
    if signatures.iter().any(|signature| contains(signature)) {
        return Some("a signature");
    }
    // Wherever in three bytes the text begins, one of these is in its Base64.
    let encoded = (0..3).map(|skipped| STANDARD.encode(&IN_PICTURE.repeat(2)[skipped..skipped + 21]));
    let shown = contains(IN_PICTURE) || encoded.into_iter().any(|text| contains(&text));
    shown.then_some("a picture")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found() {
        let signatures = ["c2lnbmVk".to_owned()];
        let told = |text: &str| found(text.as_bytes(), &signatures);
        assert_eq!(told("nothing of it"), None);
        assert_eq!(told(&format!("Bearer {KEY}")), Some("the key"));
        assert_eq!(told("?signature=c2lnbmVk&x"), Some("a signature"));
        for before in 0..3 {
            let text = STANDARD.encode([vec![b'x'; before], IN_PICTURE.repeat(3).into_bytes()].concat());
            assert_eq!(told(&text), Some("a picture"), "{before}");
        }
    }
}
