//! What clip is wanted.

use crate::error::Error;

/// Frames per second of every clip.
pub const FPS: u32 = 24;

/// The sides a clip may have, in pixels. Below, there is nothing to see; above, the H.264 level
/// would no longer be one that every player takes.
const SIDES: std::ops::RangeInclusive<u32> = 64..=1920;

/// The size of a clip's frames: even, each side 64 to 1920 pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    width: u32,
    height: u32,
}

impl Size {
    /// 1280 × 720.
    pub const LANDSCAPE_720P: Self = Self { width: 1280, height: 720 };
    /// 720 × 1280.
    pub const PORTRAIT_720P: Self = Self { width: 720, height: 1280 };
    /// 1920 × 1080.
    pub const LANDSCAPE_1080P: Self = Self { width: 1920, height: 1080 };
    /// 1080 × 1920.
    pub const PORTRAIT_1080P: Self = Self { width: 1080, height: 1920 };

    /// Any other even size.
    ///
    /// # Errors
    ///
    /// [`Error::is_bad_spec`] for an odd side (4:2:0 chroma has half of each) or one out of range.
    pub fn new(width: u32, height: u32) -> Result<Self, Error> {
        let fits = |side: u32| SIDES.contains(&side) && side.is_multiple_of(2);
        if fits(width) && fits(height) {
            return Ok(Self { width, height });
        }
        let (least, most) = (SIDES.start(), SIDES.end());
        Err(Error::bad_spec(format!(
            "a clip of {width}x{height} pixels cannot be made: both sides must be even and from {least} to {most}"
        )))
    }

    /// Pixels in a row.
    pub fn width(self) -> u32 {
        self.width
    }

    /// Rows.
    pub fn height(self) -> u32 {
        self.height
    }

    pub(crate) fn dims(self) -> (usize, usize) {
        (self.width as usize, self.height as usize)
    }
}

/// One clip: how large, how long, with sound or without, and the seed its movement and sound
/// follow. The same pictures and the same spec give the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClipSpec {
    /// The size of the frames.
    pub size: Size,
    /// The length in seconds, 1 to 60.
    pub seconds: u32,
    /// Whether there is a sound track.
    pub audio: bool,
    /// Another seed gives another camera drift and another sound.
    pub seed: u64,
}

impl ClipSpec {
    pub(crate) fn check(&self) -> Result<(), Error> {
        if (1..=60).contains(&self.seconds) {
            return Ok(());
        }
        let seconds = self.seconds;
        Err(Error::bad_spec(format!("a clip of {seconds} seconds cannot be made: 1 to 60 are possible")))
    }
}
