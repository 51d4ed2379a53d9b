//! The files that a manifest speaks of together: folders and globs.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern, glob_with};

/// The pictures of a folder, or what a glob matches, in the order of their names: 2 before 10.
pub(super) fn matching(pattern: &str, base: &Path) -> Result<Vec<PathBuf>, String> {
    let is_folder = base.join(pattern).is_dir();
    let whole = if Path::new(pattern).is_absolute() {
        PathBuf::from(pattern)
    } else {
        // What looks like a pattern in the name of the manifest's own folder is none.
        PathBuf::from(Pattern::escape(&base.to_string_lossy())).join(pattern)
    };
    let whole = if is_folder { whole.join("*") } else { whole };
    let options = MatchOptions { require_literal_leading_dot: true, ..MatchOptions::new() };
    let found = glob_with(&whole.to_string_lossy(), options)
        .map_err(|error| format!("`{pattern}` is no glob: {}", error.msg))?;
    let mut files = Vec::new();
    for file in found {
        let file =
            file.map_err(|error| format!("{} cannot be looked into ({})", error.path().display(), error.error()))?;
        if file.is_file() && (!is_folder || is_picture(&file)) {
            files.push(file);
        }
    }
    if files.is_empty() {
        let what = if is_folder { "there is no picture in" } else { "nothing matches" };
        return Err(format!("{what} `{pattern}`; it is taken relative to {}", base.display()));
    }
    files.sort_by(|one, other| natural(&one.to_string_lossy(), &other.to_string_lossy()));
    Ok(files)
}

/// By its name: what it really is, is seen when it is opened.
fn is_picture(file: &Path) -> bool {
    let end = file.extension().and_then(|end| end.to_str()).unwrap_or_default().to_ascii_lowercase();
    matches!(end.as_str(), "png" | "jpg" | "jpeg")
}

/// Numbers within the text count as numbers.
fn natural(one: &str, other: &str) -> Ordering {
    let (mut left, mut right) = (one, other);
    loop {
        match (left.chars().next(), right.chars().next()) {
            (Some(a), Some(b)) if a.is_ascii_digit() && b.is_ascii_digit() => {
                let (number, rest) = digits(left);
                let (another, another_rest) = digits(right);
                match (number.len(), number).cmp(&(another.len(), another)) {
                    Ordering::Equal => (left, right) = (rest, another_rest),
                    decided => return decided,
                }
            }
            (Some(a), Some(b)) if a == b => (left, right) = (&left[a.len_utf8()..], &right[b.len_utf8()..]),
            // Where nothing else tells them apart: `1` and `01`.
            (None, None) => return one.cmp(other),
            (a, b) => return a.cmp(&b),
        }
    }
}

/// The number that a text begins with, without leading zeros, and what follows.
fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    (number.trim_start_matches('0'), rest)
}

#[cfg(test)]
mod tests {
    use super::natural;

    #[test]
    fn numbers_in_names_are_numbers() {
        let mut names = ["b1", "a10", "a2", "a02", "a", "ä1", "a2b", "a1/10", "a1/9"];
        names.sort_by(|one, other| natural(one, other));
        assert_eq!(names, ["a", "a1/9", "a1/10", "a02", "a2", "a2b", "a10", "b1", "ä1"]);
    }
}
