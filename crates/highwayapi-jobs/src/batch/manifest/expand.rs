//! From what a manifest says to single clips, each with an id and a target.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::entry::{Chain, Entry, Pairs};
use super::files::matching;
use crate::batch::{FrameSource, Place, PlannedItem};
use crate::sidecar::Sidecar;
use crate::target::clip_path;

/// So long a name may be that others come from.
const LONGEST_ID: usize = 120;

/// What is told of a mistake: the item, where it has a name, and what it is.
type Tell<'a> = dyn FnMut(Option<&str>, String) + 'a;

/// The clips of a manifest, as they come.
pub(super) struct Expansion<'a> {
    file: &'a Arc<Path>,
    base: &'a Path,
    output_dir: PathBuf,
    items: Vec<PlannedItem>,
    /// Where each id was used first.
    ids: HashMap<String, u64>,
}

/// The two frames of a clip.
struct Ends {
    image: FrameSource,
    last_image: FrameSource,
}

impl<'a> Expansion<'a> {
    pub(super) fn new(file: &'a Arc<Path>, base: &'a Path, output_dir: Option<&Path>) -> Self {
        let output_dir = output_dir.map_or_else(|| PathBuf::from("clips"), Path::to_owned);
        Self { file, base, output_dir, items: Vec::new(), ids: HashMap::new() }
    }

    /// Takes in what one item asks for.
    pub(super) fn add(&mut self, entry: Entry, line: u64, tell: &mut Tell<'_>) {
        let id = entry.id.as_deref();
        let mut whole = true;
        if let Some(id) = id
            && let Err(why) = check_id(id)
        {
            tell(None, why);
            whole = false;
        }
        let prompt = entry.prompt.clone().unwrap_or_default();
        if prompt.trim().is_empty() {
            let what = if entry.prompt.is_some() { "the text is empty" } else { "it is missing" };
            tell(id, format!("prompt: {what}; expected what the video shows and how it moves"));
            whole = false;
        }
        let several = entry.pairs.is_some() || entry.chain.is_some();
        if several && entry.output.as_ref().is_some_and(|output| !output.contains("{id}")) {
            tell(id, "output: several clips cannot go to one file; expected a name with {id} in it".to_owned());
            whole = false;
        }
        let clips = match self.clips(&entry) {
            Ok(clips) => clips,
            Err(problems) => {
                problems.into_iter().for_each(|problem| tell(id, problem));
                return;
            }
        };
        if !whole {
            return;
        }
        for ends in clips {
            let id = match (&entry.id, several) {
                (Some(id), false) => id.clone(),
                (Some(id), true) => self.free(format!("{id}-{}", ends.name())),
                (None, _) => self.free(ends.name()),
            };
            if let Some(earlier) = self.ids.insert(id.clone(), line) {
                tell(Some(&id), format!("id: `{id}` is in line {earlier} already"));
                self.ids.insert(id, earlier);
                continue;
            }
            let output = match &entry.output {
                Some(output) => PathBuf::from(output.replace("{id}", &id)),
                None => self.output_dir.join(format!("{id}.mp4")),
            };
            self.items.push(PlannedItem {
                id,
                number: self.items.len() as u64 + 1,
                output,
                image: ends.image,
                last_image: ends.last_image,
                prompt: prompt.clone(),
                options: entry.options(),
                place: Place { file: Arc::clone(self.file), line },
            });
        }
    }

    /// All clips, once it is seen that none is in the way of another.
    pub(super) fn finish(self, tell: &mut dyn FnMut(u64, &str, String)) -> Vec<PlannedItem> {
        let mut files: HashMap<PathBuf, usize> = HashMap::new();
        for (at, item) in self.items.iter().enumerate() {
            let count = item.samples();
            let clips = (0..count).map(|index| normal(&self.base.join(clip_path(&item.output, index, count))));
            let other = clips.flat_map(|clip| [Sidecar::path(&clip), clip]).filter_map(|file| files.insert(file, at));
            // A clip that is named like its own sidecar is found where targets are looked at.
            if let Some(other) = other.min().filter(|&other| other != at) {
                let other = &self.items[other];
                let output = item.output.display();
                tell(
                    item.place.line,
                    &item.id,
                    format!("output: {output} is in the way of `{}` ({})", other.id, other.place),
                );
            }
        }
        self.items
    }

    fn clips(&self, entry: &Entry) -> Result<Vec<Ends>, Vec<String>> {
        match (&entry.image, &entry.last_image, &entry.pairs, &entry.chain) {
            (Some(image), Some(last_image), None, None) => {
                Ok(vec![Ends { image: self.frame("image", image)?, last_image: self.frame("last_image", last_image)? }])
            }
            (None, None, Some(pairs), None) => self.pairs(pairs),
            (None, None, None, Some(chain)) => self.chain(chain),
            (image, last_image, None, None) => {
                let fields = [("image", image), ("last_image", last_image)];
                let missing = fields.iter().filter(|(_, field)| field.is_none());
                Err(missing
                    .map(|(name, _)| format!("{name}: it is missing; expected a file or an http(s) URL"))
                    .collect())
            }
            _ => {
                Err(vec!["an item has `image` and `last_image`, or `pairs`, or `chain`; here are more of these".into()])
            }
        }
    }

    fn frame(&self, field: &str, text: &str) -> Result<FrameSource, Vec<String>> {
        // The record keeps no pictures and nothing secret, and the batch must be able to go on from the record alone.
        let why = match text.get(..5).map(str::to_ascii_lowercase).as_deref() {
            Some("data:") => "a data URI cannot stand in a manifest",
            Some("http:" | "https") if text.contains(['?', '@', '#']) => {
                "of a URL with a user, query or fragment the record would not keep all"
            }
            _ => return Ok(FrameSource::new(text, self.base)),
        };
        Err(vec![format!("{field}: {why}; expected a file or a plain http(s) URL")])
    }

    /// Files of the same name, whatever their endings.
    fn pairs(&self, pairs: &Pairs) -> Result<Vec<Ends>, Vec<String>> {
        let mut problems = Vec::new();
        let mut find = |field: &str, pattern: &str| {
            let found = matching(pattern, self.base).map_err(|why| problems.push(format!("pairs: {field}: {why}")));
            let mut names: HashMap<String, PathBuf> = HashMap::new();
            for file in found.iter().flatten() {
                if let Some(other) = names.insert(stem(file), file.clone()) {
                    let (one, other) = (file.display(), other.display());
                    problems.push(format!(
                        "pairs: {field}: {one} and {other} have one name, so it is not clear which is meant"
                    ));
                }
            }
            (found.unwrap_or_default(), names)
        };
        let (images, image_names) = find("image", &pairs.image);
        let (last_images, mut names) = find("last_image", &pairs.last_image);
        if !images.is_empty() && !last_images.is_empty() {
            let alone = |file: &Path, pattern| format!("pairs: {} has no counterpart in `{pattern}`", file.display());
            let one = images.iter().filter(|file| !names.contains_key(&stem(file)));
            problems.extend(one.map(|file| alone(file, &pairs.last_image)));
            let other = last_images.iter().filter(|file| !image_names.contains_key(&stem(file)));
            problems.extend(other.map(|file| alone(file, &pairs.image)));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let partner = |image: PathBuf| {
            let last_image = names.remove(&stem(&image))?;
            Some(Ends { image: FrameSource::File(image), last_image: FrameSource::File(last_image) })
        };
        Ok(images.into_iter().filter_map(partner).collect())
    }

    fn chain(&self, chain: &Chain) -> Result<Vec<Ends>, Vec<String>> {
        let frames = match chain {
            Chain::Glob(pattern) => {
                let files = matching(pattern, self.base).map_err(|why| vec![format!("chain: {why}")])?;
                files.into_iter().map(FrameSource::File).collect()
            }
            Chain::Files(files) => files.iter().map(|file| self.frame("chain", file)).collect::<Result<Vec<_>, _>>()?,
        };
        if frames.len() < 2 {
            return Err(vec![format!("chain: {} frame is no chain; expected at least 2", frames.len())]);
        }
        let ends = |two: &[FrameSource]| Ends { image: two[0].clone(), last_image: two[1].clone() };
        Ok(frames.windows(2).map(ends).collect())
    }

    /// A name that was not used yet: the second of the same gets a number.
    fn free(&self, name: String) -> String {
        let mut more = (2..).map(|number| format!("{name}-{number}"));
        let taken = |id: &String| self.ids.contains_key(id);
        if taken(&name) { more.find(|id| !taken(id)).unwrap_or(name) } else { name }
    }
}

impl Ends {
    /// From the names of both frames.
    fn name(&self) -> String {
        let (first, last) = (name_of(&self.image), name_of(&self.last_image));
        let name = if first == last { first } else { format!("{first}-{last}") };
        name.chars().take(LONGEST_ID - 10).collect()
    }
}

fn name_of(frame: &FrameSource) -> String {
    let name = match frame {
        FrameSource::File(file) => stem(file),
        FrameSource::Url(url) => stem(Path::new(url.rsplit('/').next().unwrap_or_default())),
    };
    let safe: String = name.chars().map(|letter| if is_allowed(letter) { letter } else { '_' }).collect();
    match safe.trim_start_matches('.') {
        "" => "frame".to_owned(),
        name => name.to_owned(),
    }
}

fn stem(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn is_allowed(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '.' | '_' | '-')
}

fn check_id(id: &str) -> Result<(), String> {
    let good = !id.is_empty() && !id.starts_with('.') && id.chars().all(is_allowed) && id.chars().count() <= LONGEST_ID;
    if good {
        return Ok(());
    }
    let shown: String = id.chars().take(60).collect();
    let shown = shown.escape_debug();
    Err(format!("id: `{shown}` is no id; expected up to {LONGEST_ID} letters, digits, `.`, `_`, `-`, and no `.` first"))
}

/// Without `.` and `..`, so that two ways to one file are seen to be.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}
