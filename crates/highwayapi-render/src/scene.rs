//! From two pictures to clips.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

use crate::error::Error;
use crate::h264::{Gop, GopEncoder, QP_LADDER};
use crate::picture::Picture;
use crate::scale::{Frame, cover};
use crate::spec::{ClipSpec, FPS, Size};
use crate::warp::{Drift, Warp};
use crate::{audio, mp4};

/// Closed groups of pictures in a clip: always four, so that the bytes do not depend on how many
/// of them are encoded at the same time.
const GOPS: usize = 4;

/// Two pictures scaled to a size and the movement between them, found once: from here any number
/// of clips can be rendered, also at the same time.
pub struct Scene {
    size: Size,
    first: Frame,
    last: Frame,
    warp: Warp,
}

impl Scene {
    /// Scales both pictures (they fill the frame, what sticks out is cut evenly) and looks for the
    /// movement between them.
    ///
    /// # Errors
    ///
    /// Only if scaling fails, which no decoded picture is known to do.
    pub fn new(first: &Picture, last: &Picture, size: Size) -> Result<Self, Error> {
        let (first, last) = (cover(first, size)?, cover(last, size)?);
        let warp = Warp::new(&first, &last, size);
        Ok(Self { size, first, last, warp })
    }

    /// The size of the clips that come from here.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Renders a clip on all cores: the bytes of an MP4 file.
    ///
    /// `progress` is called from several threads, one at a time, with rising values from 0.0 to 1.0.
    ///
    /// # Errors
    ///
    /// [`Error::is_bad_spec`] if the size is not this scene's or the length out of range,
    /// [`Error::is_encoder`] if an encoder fails.
    pub fn render(&self, spec: &ClipSpec, progress: &(dyn Fn(f32) + Sync)) -> Result<Vec<u8>, Error> {
        let threads = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        self.render_on(threads, spec, progress)
    }

    /// As [`render`](Self::render) on at most so many threads; more than four are of no use. The
    /// bytes are the same for any number.
    ///
    /// # Errors
    ///
    /// As [`render`](Self::render).
    pub fn render_on(
        &self,
        threads: NonZeroUsize,
        spec: &ClipSpec,
        progress: &(dyn Fn(f32) + Sync),
    ) -> Result<Vec<u8>, Error> {
        spec.check()?;
        if spec.size != self.size {
            let (wanted, own) = (spec.size, self.size);
            return Err(Error::bad_spec(format!(
                "a clip of {}x{} pixels was asked of a scene of {}x{}: they must be the same",
                wanted.width(),
                wanted.height(),
                own.width(),
                own.height()
            )));
        }
        let meter = Meter::new(spec.seconds * FPS, progress);
        let sound = spec.audio.then(|| audio::ambience(spec.seed, spec.seconds)).transpose()?;
        let gops = self.encode(threads.get().min(GOPS), spec, &meter)?;
        let clip = mp4::write(self.size, spec.seconds, &gops, sound.as_ref())?;
        meter.finish();
        Ok(clip)
    }

    /// The whole clip at the finest quantiser that the encoder survives: it depends on the content
    /// alone.
    fn encode(&self, threads: usize, spec: &ClipSpec, meter: &Meter<'_>) -> Result<Vec<Gop>, Error> {
        let mut failure = String::new();
        for qp in QP_LADDER {
            match self.encode_at(qp, threads, spec, meter) {
                Ok(gops) => return Ok(gops),
                Err(words) => failure = words,
            }
            meter.restart();
        }
        let error = Error::encoder("the frames could not be encoded as H.264, not even coarsely");
        Err(error.caused_by(std::io::Error::other(failure)))
    }

    /// The error is only the words of OpenH264's: its Debug form carries a backtrace.
    fn encode_at(&self, qp: u8, threads: usize, spec: &ClipSpec, meter: &Meter<'_>) -> Result<Vec<Gop>, String> {
        let drift = Drift::of(spec.seed);
        let frames = (spec.seconds * FPS) as usize;
        let gops: [OnceLock<Gop>; GOPS] = Default::default();
        let (next, failure) = (AtomicUsize::new(0), OnceLock::new());
        let encode_gop = |index: usize| {
            let mut encoder = GopEncoder::new(self.size, qp)?;
            let mut between = Frame::new(self.size);
            for i in index * frames / GOPS..(index + 1) * frames / GOPS {
                let frame = if i == 0 {
                    &self.first
                } else if i == frames - 1 {
                    &self.last
                } else {
                    self.warp.frame(i as f32 / (frames - 1) as f32, &drift, &mut between);
                    &between
                };
                encoder.push(frame)?;
                meter.step();
                // What another thread failed at is to be done again as a whole.
                if failure.get().is_some() {
                    break;
                }
            }
            Ok::<_, openh264::Error>(encoder.finish())
        };
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(slot) = gops.get(index) else { break };
                match encode_gop(index) {
                    Ok(gop) => drop(slot.set(gop)),
                    Err(e) => drop(failure.set(e.to_string())),
                }
            }
        };
        thread::scope(|scope| {
            (1..threads).for_each(|_| drop(scope.spawn(work)));
            work();
        });
        if let Some(words) = failure.into_inner() {
            return Err(words);
        }
        gops.into_iter()
            .map(|gop| gop.into_inner().ok_or_else(|| "a group of pictures is missing".to_owned()))
            .collect()
    }
}

/// Counts frames and tells the part done, never less than before.
struct Meter<'a> {
    total: u32,
    /// Frames done in this attempt, and the most in any.
    done: Mutex<(u32, u32)>,
    progress: &'a (dyn Fn(f32) + Sync),
}

impl<'a> Meter<'a> {
    fn new(total: u32, progress: &'a (dyn Fn(f32) + Sync)) -> Self {
        progress(0.0);
        Self { total, done: Mutex::default(), progress }
    }

    fn step(&self) {
        // Called under the lock, so that the values come in order.
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.0 += 1;
        if done.0 > done.1 {
            done.1 = done.0;
            // The very end is told when the file is whole.
            (self.progress)((done.1 as f32 / self.total as f32).min(0.99));
        }
    }

    fn restart(&self) {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).0 = 0;
    }

    fn finish(&self) {
        (self.progress)(1.0);
    }
}
