//! The request: two frames, a prompt, options.

use std::sync::Arc;

use highwayapi_raw::body::Upload;
use highwayapi_raw::types::FirstLastFrameRequest;

use crate::frame::Sent;
use crate::{AspectRatio, DurationSeconds, Error, Frame, Options, PersonGeneration, Resolution, Result, SampleCount};

/// A video to be made from a first frame, a last frame and a prompt. Only what is set is sent.
#[derive(Clone, Debug)]
pub struct FirstLastFrame {
    image: Frame,
    last_image: Frame,
    prompt: String,
    options: Options,
}

impl FirstLastFrame {
    /// The three required fields: `image`, `last_image` and `prompt` (what the video shows and how it moves between the
    /// two frames).
    pub fn new(image: Frame, last_image: Frame, prompt: impl Into<String>) -> Self {
        Self { image, last_image, prompt: prompt.into(), options: Options::default() }
    }

    /// Replaces all options at once.
    pub fn with_options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// The same seed with the same parameters gives the same result. Unset: which one is used is not documented.
    pub fn seed(mut self, seed: u32) -> Self {
        self.options.seed = Some(seed);
        self
    }

    /// Output resolution. Default: `720p`.
    pub fn resolution(mut self, resolution: Resolution) -> Self {
        self.options.resolution = Some(resolution);
        self
    }

    /// Shape of the video. Default: `16:9`.
    pub fn aspect_ratio(mut self, aspect_ratio: AspectRatio) -> Self {
        self.options.aspect_ratio = Some(aspect_ratio);
        self
    }

    /// How many videos to make; each is likely paid for (inferred). Default: 1.
    pub fn sample_count(mut self, sample_count: SampleCount) -> Self {
        self.options.sample_count = Some(sample_count);
        self
    }

    /// Lets the service improve the prompt. Default: true.
    pub fn enhance_prompt(mut self, enhance_prompt: bool) -> Self {
        self.options.enhance_prompt = Some(enhance_prompt);
        self
    }

    /// Makes an audio track. Default: false.
    pub fn generate_audio(mut self, generate_audio: bool) -> Self {
        self.options.generate_audio = Some(generate_audio);
        self
    }

    /// What should not appear.
    pub fn negative_prompt(mut self, negative_prompt: impl Into<String>) -> Self {
        self.options.negative_prompt = Some(negative_prompt.into());
        self
    }

    /// Length of the video in seconds. Default: 8.
    pub fn duration_seconds(mut self, duration_seconds: DurationSeconds) -> Self {
        self.options.duration_seconds = Some(duration_seconds);
        self
    }

    /// Whether people may be generated. Default: `allow_adult`.
    pub fn person_generation(mut self, person_generation: PersonGeneration) -> Self {
        self.options.person_generation = Some(person_generation);
        self
    }

    /// The first frame.
    pub fn image(&self) -> &Frame {
        &self.image
    }

    /// The last frame.
    pub fn last_image(&self) -> &Frame {
        &self.last_image
    }

    /// The prompt.
    pub fn prompt(&self) -> &str {
        &self.prompt
    }

    /// What was set beyond the required fields.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Finds what is wrong with the request without sending it. [`crate::Client::submit`] begins with this.
    ///
    /// # Errors
    ///
    /// When the prompt is empty.
    pub fn check(&self) -> Result<()> {
        if self.prompt.trim().is_empty() {
            return Err(
                Error::input("the text is empty; expected what the video shows and how it moves").for_field("prompt")
            );
        }
        Ok(())
    }

    /// Whether both pictures can still be had. May block.
    pub(crate) fn check_pictures(&self) -> Result<()> {
        self.image.check().map_err(|error| error.for_field("image"))?;
        self.last_image.check().map_err(|error| error.for_field("last_image"))
    }

    /// What is allowed but may not give what was meant: pictures close to the size limit, or of another shape than the
    /// video. One sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let ratio = self.options.aspect_ratio.unwrap_or_default();
        let fields = [("image", &self.image), ("last_image", &self.last_image)];
        fields.iter().flat_map(|(field, frame)| frame.warnings(field, ratio)).collect()
    }

    /// The body without its pictures, and the pictures to be poured into it.
    pub(crate) fn to_raw(&self) -> (FirstLastFrameRequest, Upload) {
        let mut upload = Upload::new();
        let mut text = |field, frame: &Frame| match frame.sent() {
            Sent::Text(text) => text.to_owned(),
            Sent::Picture { before, source } => {
                upload = std::mem::take(&mut upload).picture(field, Arc::clone(source));
                before.to_owned()
            }
        };
        let request = FirstLastFrameRequest {
            image: text("image", &self.image),
            last_image: text("last_image", &self.last_image),
            prompt: self.prompt.clone(),
            seed: self.options.seed,
            resolution: self.options.resolution.map(Resolution::to_raw),
            aspect_ratio: self.options.aspect_ratio.map(AspectRatio::to_raw),
            sample_count: self.options.sample_count.map(SampleCount::to_raw),
            enhance_prompt: self.options.enhance_prompt,
            generate_audio: self.options.generate_audio,
            negative_prompt: self.options.negative_prompt.clone(),
            duration_seconds: self.options.duration_seconds.map(DurationSeconds::to_raw),
            person_generation: self.options.person_generation.map(PersonGeneration::to_raw),
        };
        (request, upload)
    }
}
