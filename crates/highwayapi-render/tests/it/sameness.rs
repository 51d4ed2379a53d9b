//! What stays the same and what does not.

use std::num::NonZeroUsize;

use highwayapi_render::{Scene, render};

use crate::support::{SMALL, noise, photo, psnr, read, size, spec};

#[test]
fn the_same_inputs_give_the_same_bytes_on_any_number_of_threads() {
    let dims = (640, 360);
    for pair in [(photo(dims, 1, 0, 0), photo(dims, 1, 20, 6)), (photo(dims, 1, 0, 0), noise(dims, 1))] {
        let scene = Scene::new(&pair.0, &pair.1, size(dims)).expect("a scene");
        let spec = spec(size(dims), 1, 11);
        let whole = render(&pair.0, &pair.1, &spec, &|_| {}).expect("a clip");
        for threads in 1..=5 {
            let threads = NonZeroUsize::new(threads).expect("at least one");
            let again = scene.render_on(threads, &spec, &|_| {}).expect("a clip");
            assert!(whole == again, "{threads} threads give other bytes");
        }
    }
}

#[test]
fn another_seed_looks_and_sounds_different_but_begins_and_ends_alike() {
    let dims = (640, 360);
    for other in [1, 2] {
        let scene = Scene::new(&photo(dims, 1, 0, 0), &photo(dims, other, 20, 6), size(dims)).expect("a scene");
        let clips: Vec<_> =
            (0..4).map(|seed| read(&scene.render(&spec(size(dims), 1, seed), &|_| {}).expect("a clip"))).collect();
        let frames: Vec<_> = clips.iter().map(|clip| clip.frames()).collect();
        for a in 0..4 {
            for b in 0..a {
                let middle = psnr(&frames[a][12], &frames[b][12]);
                assert!(middle < 36.0, "seeds {b} and {a} look alike: {middle:.1} dB");
                assert!(psnr(&frames[a][0], &frames[b][0]) > 60.0);
                assert!(psnr(&frames[a][23], &frames[b][23]) > 38.0);
                let sound = |i: usize| &clips[i].audio.as_ref().expect("a sound track").samples;
                assert!(sound(a) != sound(b), "seeds {b} and {a} sound alike");
            }
        }
    }
}

/// The bytes of one clip, hashed: a change of the picture's or the sound's arithmetic, or a machine
/// that computes differently, shows here. Update it knowingly.
#[test]
fn the_bytes_are_those_of_every_machine() {
    let scene = Scene::new(&photo(SMALL, 1, 0, 0), &photo(SMALL, 1, 9, 5), size(SMALL)).expect("a scene");
    let mut silent = spec(size(SMALL), 1, 7);
    silent.audio = false;
    let clip = scene.render(&silent, &|_| {}).expect("a clip");
    let fnv =
        clip.iter().fold(0xcbf2_9ce4_8422_2325u64, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3));
    assert_eq!(format!("{fnv:016x}"), "ac4f4ad2601c4f66");
}
