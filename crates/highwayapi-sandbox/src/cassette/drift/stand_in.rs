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
        (Some(size), kind) => STANDARD.encode(file(size, kind, picture)),
    };
    match picture.sent {
        Form::DataUri => format!("data:{},{}", picture.media_type.as_deref().unwrap_or_default(), encoded()),
        Form::BareBase64 => encoded(),
        Form::Url if !accepted => picture.url.clone().unwrap_or_default(),
        Form::Url => format!("data:image/png;base64,{}", STANDARD.encode(png(USUAL.0, USUAL.1))),
        Form::Text => picture.text.clone().unwrap_or_default(),
    }
}

fn file(size: u64, kind: Option<&str>, picture: &Picture) -> Vec<u8> {
    let (width, height) = (picture.width.unwrap_or(USUAL.0), picture.height.unwrap_or(USUAL.1));
    let mut bytes = match kind {
        Some("jpeg") => jpeg(width, height),
        Some(_) => png(width, height),
        None => Vec::new(),
    };
    let mut size = size.min(LARGEST) as usize;
    if picture.readable == Some(false) {
        // Its header can be read, and the rest cannot.
        bytes.truncate(bytes.len() / 2);
    } else {
        size = size.max(bytes.len());
    }
    // What follows the end of a picture is not looked at.
    bytes.resize(size, 0);
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

/// Grey. Its one Huffman code, of one bit, says that nothing changes: each block is two of them.
fn jpeg(width: u32, height: u32) -> Vec<u8> {
    const QUANTISATION: [u8; 5] = [0xff, 0xdb, 0, 67, 0];
    const ONE_CODE: [u8; 16] = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let side = |length: u32| u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    let mut file = vec![0xff, 0xd8];
    file.extend_from_slice(&QUANTISATION);
    file.extend_from_slice(&[1; 64]);
    file.extend_from_slice(&[0xff, 0xc0, 0, 11, 8]);
    file.extend_from_slice(&side(height));
    file.extend_from_slice(&side(width));
    file.extend_from_slice(&[1, 1, 0x11, 0]);
    for table in [0, 0x10] {
        file.extend_from_slice(&[0xff, 0xc4, 0, 20, table]);
        file.extend_from_slice(&ONE_CODE);
        file.push(0);
    }
    file.extend_from_slice(&[0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0]);
    let blocks = width.div_ceil(8) as usize * height.div_ceil(8) as usize;
    file.resize(file.len() + (2 * blocks).div_ceil(8), 0);
    file.extend_from_slice(&[0xff, 0xd9]);
    file
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::cassette::request::tell;

    #[test]
    fn a_stand_in_is_told_as_what_it_stands_for() {
        for (kind, width, height, size, readable, sent) in [
            ("png", 1280, 720, 100_000, true, Form::DataUri),
            ("jpeg", 1280, 720, 100_000, true, Form::DataUri),
            ("jpeg", 1, 1, 5_000, true, Form::BareBase64),
            ("jpeg", 4001, 2999, 300_000, true, Form::BareBase64),
            ("png", 1280, 720, 4_000, false, Form::DataUri),
            ("jpeg", 1280, 720, 4_000, false, Form::DataUri),
        ] {
            let picture = Picture {
                sent,
                media_type: Some(format!("image/{kind};base64")),
                size: Some(size),
                kind: Some(kind.to_owned()),
                width: Some(width),
                height: Some(height),
                readable: Some(readable),
                ..Picture::default()
            };
            let body = serde_json::json!({ "image": text(&picture, true) }).to_string();
            let told = &tell(body.as_bytes()).pictures[0];
            assert_eq!((told.sent, told.size, told.kind.as_deref()), (sent, Some(size), Some(kind)), "{width}");
            assert_eq!((told.width, told.height, told.readable), (Some(width), Some(height), Some(readable)));
        }
    }
}
