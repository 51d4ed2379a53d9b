//! The pictures of a manifest, each read once however many clips begin or end with it.

use std::collections::{BTreeMap, HashMap};
use std::error::Error as StdError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use highwayapi::{FirstLastFrame, Frame};

use super::{FrameSource, PlannedItem};
use crate::asked::{Asked, Picture};

/// More threads than this only wait for the disk.
const MOST_THREADS: usize = 8;

/// What was read of each picture: its header and its hash, never the picture.
#[derive(Debug)]
pub struct Frames(HashMap<FrameSource, Result<Known, String>>);

#[derive(Debug)]
struct Known {
    frame: Frame,
    picture: Picture,
}

impl Frames {
    /// Reads every picture of these items, on several threads and 64 KiB at a time. `told` is called after each with how
    /// many are done, and how many there are. Blocks.
    pub fn read(items: &[PlannedItem], told: impl Fn(usize, usize) + Sync) -> Self {
        let sources = items.iter().flat_map(|item| [&item.image, &item.last_image]);
        // Neighbours in a folder are neighbours on the disk.
        let sources: Vec<_> =
            sources.map(|source| (source.text(), source)).collect::<BTreeMap<_, _>>().into_values().collect();
        let (next, done, known) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(HashMap::new()));
        let work = || {
            while let Some(&source) = sources.get(next.fetch_add(1, Ordering::Relaxed)) {
                let read = Known::read(source);
                known.lock().unwrap_or_else(PoisonError::into_inner).insert(source.clone(), read);
                told(done.fetch_add(1, Ordering::Relaxed) + 1, sources.len());
            }
        };
        let threads = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS).min(sources.len());
        thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
        Self(known.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// The request of an item, and what the record is to know of it.
    ///
    /// # Errors
    ///
    /// What is wrong with either picture, with the field's name.
    pub fn request(&self, item: &PlannedItem) -> Result<(FirstLastFrame, Asked), Vec<String>> {
        match (self.known(&item.image, "image"), self.known(&item.last_image, "last_image")) {
            (Ok(image), Ok(last_image)) => {
                let request = FirstLastFrame::new(image.frame.clone(), last_image.frame.clone(), &item.prompt);
                let asked = Asked {
                    image: image.picture.clone(),
                    last_image: last_image.picture.clone(),
                    prompt: item.prompt.clone(),
                    options: item.options.resolved(),
                };
                Ok((request.with_options(item.options.clone()), asked))
            }
            (image, last_image) => Err([image.err(), last_image.err()].into_iter().flatten().collect()),
        }
    }

    fn known(&self, source: &FrameSource, field: &str) -> Result<&Known, String> {
        match self.0.get(source) {
            Some(Ok(known)) => Ok(known),
            Some(Err(why)) => Err(format!("{field}: {why}")),
            None => Err(format!("{field}: {} was not read", source.text())),
        }
    }
}

impl Known {
    fn read(source: &FrameSource) -> Result<Self, String> {
        let frame = source.open().map_err(|error| whole(&error))?;
        let picture = Picture::new(&frame).map_err(|error| format!("{} cannot be read ({error})", frame.name()))?;
        Ok(Self { frame, picture })
    }
}

/// An error and what led to it.
fn whole(error: &dyn StdError) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", whole(source)),
        None => error.to_string(),
    }
}
