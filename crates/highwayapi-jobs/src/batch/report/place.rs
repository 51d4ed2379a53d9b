//! How a page names a file.

use std::path::{Component, Path, absolute};

/// The file as seen from a folder, as a URL: relative where there is a way, so that both can be moved together.
pub(super) fn url(file: &Path, folder: &Path) -> String {
    let (Ok(file), Ok(folder)) = (absolute(file), absolute(folder)) else { return String::new() };
    let (file, folder): (Vec<_>, Vec<_>) = (file.components().collect(), folder.components().collect());
    let common = file.iter().zip(&folder).take_while(|(one, other)| one == other).count();
    let up = std::iter::repeat_n("..".to_owned(), folder.len() - common);
    let down = file[common..].iter().map(|part| match part {
        Component::Normal(name) => escaped(&name.to_string_lossy()),
        part => part.as_os_str().to_string_lossy().into_owned(),
    });
    let parts: Vec<_> = if common == 0 { down.collect() } else { up.chain(down).collect() };
    let url = parts.join("/");
    if common == 0 { format!("file:///{}", url.trim_start_matches('/').replace('\\', "")) } else { url }
}

/// Everything but letters, digits and what means nothing in a URL.
fn escaped(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => escaped.push(byte.into()),
            _ => escaped += &format!("%{byte:02X}"),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::url;

    #[test]
    fn files_are_named_as_seen_from_the_page() {
        let of = |file: &str| url(Path::new(file), Path::new("/batch/out"));
        assert_eq!(of("/batch/out/clips/1.mp4"), "clips/1.mp4");
        assert_eq!(of("/batch/a b/ü?#%.png"), "../a%20b/%C3%BC%3F%23%25.png");
        assert_eq!(of("/elsewhere/1.png"), "../../elsewhere/1.png");
        assert_eq!(of("/batch/out/javascript:x"), "javascript%3Ax");
    }
}
