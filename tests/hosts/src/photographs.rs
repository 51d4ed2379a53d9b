//! Real photographs, as many as are asked for: the repository's two, each with a comment of its own. Their contents
//! differ, and decoding them costs what decoding a photograph costs.

use std::fs;
use std::path::{Path, PathBuf};

use fault_tests::{Result, workspace};

/// What a JPEG's segment can hold beside its length.
const SEGMENT: usize = 65_533;

/// The two frames of a clip.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) first: PathBuf,
    pub(crate) last: PathBuf,
}

/// So many pairs, no two of them alike, in this folder; each picture of at least `size` bytes.
pub(crate) fn pairs(folder: &Path, count: usize, size: usize) -> Result<Vec<Pair>> {
    fs::create_dir_all(folder)?;
    let photographs = ["first", "last"].map(|name| {
        let bytes = fs::read(workspace().join(format!("examples/frames/{name}.jpg")));
        bytes.map(|bytes| (name, bytes))
    });
    let [first, last] = photographs;
    let (first, last) = (first?, last?);
    let write = |(name, bytes): &(&str, Vec<u8>), number: usize| -> Result<PathBuf> {
        let path = folder.join(format!("{name}-{number}.jpg"));
        fs::write(&path, commented(bytes, number, size).ok_or("the repository's photograph is no JPEG")?)?;
        Ok(path)
    };
    (1..=count).map(|number| Ok(Pair { first: write(&first, number)?, last: write(&last, number)? })).collect()
}

/// With comments after the first segment, which must stay the first.
fn commented(jpeg: &[u8], number: usize, size: usize) -> Option<Vec<u8>> {
    let length = u16::from_be_bytes([*jpeg.get(4)?, *jpeg.get(5)?]);
    let (head, rest) = jpeg.split_at_checked(4 + usize::from(length))?;
    let mut picture = head.to_vec();
    let text = format!("picture {number}").into_bytes();
    loop {
        let missing = size.saturating_sub(picture.len() + rest.len() + 4);
        let mut comment = text.clone();
        comment.resize(missing.clamp(text.len(), SEGMENT), b' ');
        picture.extend([0xff, 0xfe]);
        picture.extend(u16::try_from(comment.len() + 2).ok()?.to_be_bytes());
        picture.extend(&comment);
        if picture.len() + rest.len() >= size {
            picture.extend(rest);
            return Some(picture);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_makes_a_picture_another_one_of_the_size_that_was_asked_for() {
        let photograph = fs::read(workspace().join("examples/frames/first.jpg")).expect("a photograph");
        let picture = |number, size| commented(&photograph, number, size).expect("a picture");
        assert_ne!(picture(1, 0), picture(2, 0));
        // What is behind the comments is as it was.
        assert!(picture(1, 0).ends_with(&photograph[20..]) && picture(1, 0).starts_with(&photograph[..20]));
        for size in [1_000_000, 5_000_000] {
            let length = picture(1, size).len();
            assert!((size..size + 200).contains(&length), "{length} of {size}");
        }
        assert!(commented(b"no JPEG", 1, 0).is_none());
    }
}
