//! Pictures like those that were sent: of the same form, size and dimensions, and as readable.

use base64::engine::{Engine, general_purpose::STANDARD};

use crate::cassette::format::{Form, Picture};

/// Where nothing is known of a picture: what a first frame usually is.
const USUAL: (u32, u32) = (1280, 720);

/// More bytes than are ever recorded.
const LARGEST: u64 = 64 << 20;

/// The string that stands where the picture was. Of a URL that the service could fetch, a picture.
pub(crate) fn text(picture: &Picture, accepted: bool) -> String {
    let encoded = || match (picture.size, picture.kind.as_deref()) {
        // It could not be decoded: this cannot either.
        (None, _) => "!".to_owned(),
        (Some(size), kind) => STANDARD.encode(file(size, kind.is_some(), picture)),
    };
    match picture.sent {
        Form::DataUri => format!("data:{},{}", picture.media_type.as_deref().unwrap_or_default(), encoded()),
        Form::BareBase64 => encoded(),
        Form::Url if !accepted => picture.url.clone().unwrap_or_default(),
        Form::Url => format!("data:image/png;base64,{}", STANDARD.encode(png(USUAL.0, USUAL.1))),
        Form::Text => picture.text.clone().unwrap_or_default(),
    }
}

fn file(size: u64, is_picture: bool, picture: &Picture) -> Vec<u8> {
    let mut bytes = match (is_picture, picture.readable) {
        (false, _) => Vec::new(),
        (true, Some(false)) => png(1, 1)[..40].to_vec(),
        (true, _) => png(picture.width.unwrap_or(USUAL.0), picture.height.unwrap_or(USUAL.1)),
    };
    // What follows the end of a picture is not looked at.
    let size = size.min(LARGEST) as usize;
    if is_picture && picture.readable != Some(false) {
        bytes.resize(size.max(bytes.len()), 0);
    } else {
        bytes.resize(size, 0);
    }
    bytes
}

/// Black, one bit a pixel.
pub(crate) fn png(width: u32, height: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let pixels = vec![0; width.div_ceil(8) as usize * height as usize];
    // Writing to memory does not fail, and an odd size leaves what the sandbox refuses as well.
    let _ = encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels));
    file
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use highwayapi_render::{Picture as Decoded, inspect};

    use super::*;
    use crate::cassette::request::tell;

    #[test]
    fn a_stand_in_is_told_as_what_it_stands_for() {
        for (width, height, size, readable, sent) in [
            (1280, 720, 100_000, true, Form::DataUri),
            (1, 1, 5_000, true, Form::BareBase64),
            (3000, 2, 4_000, false, Form::DataUri),
        ] {
            let picture = Picture {
                sent,
                media_type: Some("image/png;base64".to_owned()),
                size: Some(size),
                kind: Some("png".to_owned()),
                width: Some(width),
                height: Some(height),
                readable: Some(readable),
                ..Picture::default()
            };
            let body = serde_json::json!({ "image": text(&picture, true) }).to_string();
            let told = &tell(body.as_bytes()).pictures[0];
            assert_eq!((told.sent, told.size, told.readable), (sent, Some(size), Some(readable)));
            if readable {
                assert_eq!((told.width, told.height), (Some(width), Some(height)));
            }
        }
        assert!(inspect(&png(1, 1)).is_ok() && Decoded::decode(&png(9, 3)).is_ok());
    }
}
