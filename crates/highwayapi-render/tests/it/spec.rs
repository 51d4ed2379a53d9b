//! What clips can be asked for.

use highwayapi_render::{ClipSpec, Error, Picture, Scene, Size, render};

use crate::support::{SMALL, photo, size};

#[test]
fn sizes_are_even_and_within_bounds() {
    let named = [Size::LANDSCAPE_720P, Size::PORTRAIT_720P, Size::LANDSCAPE_1080P, Size::PORTRAIT_1080P];
    let dims = named.map(|size| (size.width(), size.height()));
    assert_eq!(dims, [(1280, 720), (720, 1280), (1920, 1080), (1080, 1920)]);
    for size in named {
        assert_eq!(Size::new(size.width(), size.height()).ok(), Some(size));
    }
    for (w, h) in [(0, 0), (1281, 720), (1280, 721), (62, 64), (64, 1922), (u32::MAX - 1, 720)] {
        let error = Size::new(w, h).expect_err("no such size");
        assert!(error.is_bad_spec());
        assert_eq!(
            error.to_string(),
            format!("a clip of {w}x{h} pixels cannot be made: both sides must be even and from 64 to 1920")
        );
    }
}

#[test]
fn lengths_are_within_bounds() {
    let picture = photo(SMALL, 1, 0, 0);
    for seconds in [0, 61, u32::MAX] {
        let spec = ClipSpec { size: size(SMALL), seconds, audio: false, seed: 0 };
        let error = render(&picture, &picture, &spec, &|_| {}).expect_err("no such length");
        assert!(error.is_bad_spec());
        assert_eq!(error.to_string(), format!("a clip of {seconds} seconds cannot be made: 1 to 60 are possible"));
    }
}

#[test]
fn a_scene_renders_its_own_size_only() {
    let picture = photo(SMALL, 1, 0, 0);
    let scene = Scene::new(&picture, &picture, size(SMALL)).expect("a scene");
    let spec = ClipSpec { size: Size::LANDSCAPE_720P, seconds: 1, audio: false, seed: 0 };
    let error = scene.render(&spec, &|_| {}).expect_err("another size");
    assert!(error.is_bad_spec());
    assert_eq!(error.to_string(), "a clip of 1280x720 pixels was asked of a scene of 192x128: they must be the same");
}

#[test]
fn the_smallest_and_oddest_shapes_render() {
    for dims in [(64, 64), (64, 1920), (1920, 64), (98, 130)] {
        let (first, last) = (photo(dims, 1, 0, 0), photo(dims, 1, 3, 3));
        let spec = ClipSpec { size: size(dims), seconds: 1, audio: false, seed: 9 };
        render(&first, &last, &spec, &|_| {}).unwrap_or_else(|e| panic!("{dims:?}: {e}"));
    }
}

#[test]
fn a_movement_beyond_the_margin_renders() {
    let dims = (640, 360);
    let (first, last) = (photo(dims, 1, 0, 0), photo(dims, 1, 185, 70));
    let spec = ClipSpec { size: size(dims), seconds: 1, audio: false, seed: 0 };
    render(&first, &last, &spec, &|_| {}).expect("a clip");
}

#[test]
fn a_server_can_share_everything_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Scene>();
    shared::<Picture>();
    shared::<Error>();
}
