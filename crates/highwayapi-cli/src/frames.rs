//! From what was typed to the frames of a request.

use highwayapi::{FirstLastFrame, Frame, Result};

use crate::args::Request;

/// The request, with everything in it checked.
pub(crate) fn request(args: &Request) -> Result<FirstLastFrame> {
    let image = frame(&args.image).map_err(|error| error.for_field("image"))?;
    let last_image = frame(&args.last_image).map_err(|error| error.for_field("last_image"))?;
    let request = FirstLastFrame::new(image, last_image, &args.prompt).with_options(args.options());
    request.check()?;
    Ok(request)
}

fn frame(text: &str) -> Result<Frame> {
    let starts_with = |start: &str| text.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start));
    if starts_with("http://") || starts_with("https://") {
        Frame::from_url(text)
    } else if starts_with("data:") {
        Frame::from_data_uri(text)
    } else {
        Frame::open(text)
    }
}
