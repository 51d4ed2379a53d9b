//! The files of a job: one clip fetched, found again, looked at, copied.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use highwayapi::Video;
use tokio::sync::mpsc;

use crate::asked::hash;
use crate::error::{Error, Problem, Result};
use crate::job::{Clip, Job};
use crate::jobs::blocking;
use crate::publish::publish;
use crate::sidecar::{Sidecar, verify};
use crate::target::clip_path;

/// Of which sample so many bytes are there, of how many.
pub(crate) type Bytes = (usize, u64, Option<u64>);

/// Whether a clip is as it was fetched. Where only its sidecar is gone, that is written again.
pub(crate) fn is_there(job: &Job, clip: &Clip) -> bool {
    match (verify(&clip.file), &job.task_id) {
        (Ok(known), _) => known.sha256 == clip.sha256,
        (Err(_), Some(task_id)) if Sidecar::path(&clip.file).symlink_metadata().is_err() => {
            let is_it = File::open(&clip.file).and_then(hash).is_ok_and(|(sha256, _)| sha256 == clip.sha256);
            is_it && Sidecar::new(job, task_id, clip).write(&clip.file, false).is_ok()
        }
        _ => false,
    }
}

/// Fetches one video: first it is whole and checked, then it has its sidecar, then its name.
pub(crate) async fn fetch(
    video: Video,
    file: PathBuf,
    job: Job,
    progress: mpsc::Sender<Bytes>,
) -> Result<Clip, Problem> {
    let sample = video.index() + 1;
    let fetched = async {
        let task_id = job.task_id.clone().ok_or_else(|| Error::over(&job, ", and has no task"))?;
        let (target, known) = (file.clone(), job.clone());
        if let Some(clip) = blocking(move || found(&target, &known, sample)).await?? {
            // Fetches nothing, as it is there; but removes what a process that was killed while naming it left beside it.
            let _ = video.download(&file).fetch().await;
            return Ok(clip);
        }
        let download = video.download(&file).overwrite(job.may_replace(&file));
        // Where nobody looks in time, the next chunk tells more.
        let download = download.on_progress(move |done, length| {
            let _ = progress.try_send((sample, done, length));
        });
        let fetched = download.fetch().await?;
        let clip = Clip { sample, file: file.clone(), sha256: fetched.sha256().to_owned(), size: fetched.size() };
        let (sidecar, target) = (Sidecar::new(&job, &task_id, &clip), file.clone());
        let (own, beside) = (sidecar.clone(), file.clone());
        let written = blocking(move || sidecar.write(&target, job.may_replace(&Sidecar::path(&target)))).await?;
        written.map_err(|error| in_the_way(&Sidecar::path(&file), error))?;
        if let Err(error) = fetched.keep().await {
            // Without its clip it would speak of somebody else's.
            let _ = blocking(move || own.remove(&beside)).await;
            return Err(error.into());
        }
        Ok(clip)
    };
    let fetched: Result<Clip> = fetched.await;
    fetched.map_err(|error| Problem { file, error })
}

/// The very clip, where an earlier process came as far as that. Anything else in its place is not to be replaced unasked.
fn found(file: &Path, job: &Job, sample: usize) -> Result<Option<Clip>> {
    let sidecar = Sidecar::path(file);
    match (Sidecar::of(file), &job.task_id) {
        (Ok(known), Some(task_id)) if known.is_of(task_id, sample) => Ok(verify(file).ok().map(|known| Clip {
            sample,
            file: file.to_owned(),
            sha256: known.sha256,
            size: known.size,
        })),
        _ if sidecar.symlink_metadata().is_err() || job.may_replace(&sidecar) => Ok(None),
        (Ok(known), _) => {
            let (sidecar, other) = (sidecar.display(), known.task_id);
            Err(Error::clip(format!("{sidecar} exists already and is that of a clip of task {other}")))
        }
        _ => Err(Error::clip(format!("{} exists already and is no sidecar of a clip", sidecar.display()))),
    }
}

/// What came so far of videos that are not in their files yet. Where it cannot be had it is fetched again.
pub(crate) fn bring_along(job: &Job, output: &Path) {
    let (Some(old), Some(task_id)) = (&job.output, &job.task_id) else { return };
    let count = job.samples();
    for index in 0..count {
        let (from, to) = (clip_path(old, index, count), clip_path(output, index, count));
        let _ = highwayapi::move_unfinished_download(from, to, task_id);
    }
}

fn in_the_way(file: &Path, error: std::io::Error) -> Error {
    let why = match error.kind() {
        std::io::ErrorKind::AlreadyExists => "exists already and is not overwritten unless asked",
        _ => "cannot be written",
    };
    Error::clip(format!("{} {why}", file.display())).with_source(error)
}

/// Copies of clips with their sidecars; whole or not there.
pub(crate) fn copies(job: &Job, output: &Path) -> Result<Vec<Clip>> {
    let count = job.samples().max(job.clips.len());
    let task_id = job.task_id.clone().ok_or_else(|| Error::over(job, ", and has no task"))?;
    let mut copies = Vec::new();
    for clip in &job.clips {
        let file = clip_path(output, clip.sample - 1, count);
        if found(&file, job, clip.sample)?.is_none() {
            let copy = Clip { file: file.clone(), ..clip.clone() };
            let (sidecar, replace) = (Sidecar::path(&file), job.may_replace(&file));
            let copied = publish(&file, replace, |new| {
                io::copy(&mut File::open(&clip.file)?, new)?;
                Sidecar::new(job, &task_id, &copy).write(&file, job.may_replace(&sidecar))
            });
            copied.map_err(|error| in_the_way(&file, error))?;
        }
        copies.push(Clip { file, ..clip.clone() });
    }
    Ok(copies)
}
