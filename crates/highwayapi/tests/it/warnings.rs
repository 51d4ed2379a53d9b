//! What is allowed and may still surprise.

use highwayapi::{AspectRatio, FirstLastFrame, Frame};

use crate::pictures::{jpeg, png};

fn warnings(image: Vec<u8>, last_image: Vec<u8>, ratio: Option<AspectRatio>) -> Vec<String> {
    let frame = |bytes| Frame::from_bytes(bytes).expect("a picture");
    let clip = FirstLastFrame::new(frame(image), frame(last_image), "dusk");
    ratio.map_or(clip.clone(), |ratio| clip.aspect_ratio(ratio)).warnings()
}

#[test]
fn frames_of_the_videos_shape_give_none() {
    assert_eq!(warnings(png(1280, 720), jpeg(1920, 1080), None), [""; 0]);
    // As encoders round them.
    assert_eq!(warnings(png(1280, 718), jpeg(848, 480), None), [""; 0]);
    assert_eq!(warnings(png(720, 1280), jpeg(9, 16), Some(AspectRatio::Portrait)), [""; 0]);
    // Links and literals are anybody's guess.
    let clip = FirstLastFrame::new(Frame::literal("a"), Frame::from_url("http://a/b.png").expect("a URL"), "dusk");
    assert_eq!(clip.warnings(), [""; 0]);
}

#[test]
fn each_other_frame_is_named() {
    insta::assert_snapshot!(warnings(png(1000, 1000), jpeg(720, 1280), None).join("\n"), @"
    image: the picture is 1000×1000, not 16:9; the service may pad or crop it
    last_image: the picture is 720×1280, not 16:9; the service may pad or crop it
    ");
    let portrait = warnings(png(1280, 720), jpeg(720, 1280), Some(AspectRatio::Portrait));
    assert_eq!(portrait, ["image: the picture is 1280×720, not 9:16; the service may pad or crop it"]);
}

#[test]
fn size_counts_from_the_smaller_reading_of_20_mb() {
    let sized = |size: usize| {
        let mut bytes = png(1920, 1080);
        bytes.resize(size, 0);
        bytes
    };
    assert_eq!(warnings(sized(20_000_000), png(16, 9), None), [""; 0]);
    let warnings = warnings(sized(20_000_001), png(16, 9), None);
    let text = "image: the picture has 20000001 bytes; the service may read its limit of 20 MB as 20000000 bytes";
    assert_eq!(warnings, [text]);
}
