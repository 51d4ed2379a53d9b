//! Pictures that do as they are told.

use std::io::{self, Cursor, Read};
use std::sync::Arc;

use highwayapi_raw::body::{Source, Upload};
use highwayapi_raw::types::FirstLastFrameRequest;
use http_body_util::BodyExt;

/// Says that it has `size` bytes and gives these.
pub(crate) struct Picture {
    pub(crate) size: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Picture {
    pub(crate) fn whole(bytes: Vec<u8>) -> Arc<Self> {
        Arc::new(Self { size: bytes.len() as u64, bytes })
    }
}

impl Source for Picture {
    fn size(&self) -> u64 {
        self.size
    }

    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Cursor::new(self.bytes.clone())))
    }
}

/// Cannot be opened.
pub(crate) struct Gone;

impl Source for Gone {
    fn size(&self) -> u64 {
        10
    }

    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Err(io::Error::new(io::ErrorKind::NotFound, "the picture is gone"))
    }
}

/// Opens, and breaks after as many bytes.
pub(crate) struct Broken(pub(crate) u64);

impl Source for Broken {
    fn size(&self) -> u64 {
        200_000
    }

    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        struct Fails;
        impl Read for Fails {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the disk is broken"))
            }
        }
        Ok(Box::new(io::repeat(7).take(self.0).chain(Fails)))
    }
}

/// The required fields alone.
pub(crate) fn request(image: &str, last_image: &str, prompt: &str) -> FirstLastFrameRequest {
    FirstLastFrameRequest {
        image: image.to_owned(),
        last_image: last_image.to_owned(),
        prompt: prompt.to_owned(),
        aspect_ratio: None,
        duration_seconds: None,
        enhance_prompt: None,
        generate_audio: None,
        negative_prompt: None,
        person_generation: None,
        resolution: None,
        sample_count: None,
        seed: None,
    }
}

/// All that the streamed body sends.
pub(crate) async fn poured(upload: &Upload, request: &FirstLastFrameRequest) -> io::Result<Vec<u8>> {
    let json = serde_json::to_vec(request)?;
    let (mut body, mut all) = (upload.body(&json)?, Vec::new());
    while let Some(frame) = body.frame().await {
        all.extend_from_slice(frame?.data_ref().expect("no trailers"));
    }
    Ok(all)
}
