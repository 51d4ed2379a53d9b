//! What is in a clip.

use std::sync::Mutex;

use highwayapi_render::{ClipSpec, Scene, Size, render};
use syom::{DecodeOptions, decode_with, wrap_adts_au};

use crate::support::{SMALL, at_path, boxes, luma_of, noise, photo, psnr, read, size, small_clip, spec, word};

const MOVIE_SCALE: u32 = 48_000;

#[test]
fn lasts_exactly_as_long_as_asked_in_every_place_that_says_so() {
    let (first, last) = (photo(SMALL, 1, 0, 0), photo(SMALL, 1, 8, 4));
    let scene = Scene::new(&first, &last, size(SMALL)).expect("a scene");
    for seconds in [1, 4, 6, 8] {
        let bytes = scene.render(&spec(size(SMALL), seconds, 3), &|_| {}).expect("a clip");
        let movie = at_path(&bytes, "moov/mvhd");
        assert_eq!((word(movie[0], 3), word(movie[0], 4)), (MOVIE_SCALE, seconds * MOVIE_SCALE));
        for (path, at) in [("moov/trak/tkhd", 5), ("moov/trak/edts/elst", 2)] {
            let durations: Vec<u32> = at_path(&bytes, path).iter().map(|b| word(b, at)).collect();
            assert_eq!(durations, [seconds * MOVIE_SCALE; 2], "{path}");
        }
        let clip = read(&bytes);
        let frames = seconds as usize * 24;
        assert_eq!(clip.video.samples.len(), frames);
        assert_eq!(clip.video.duration, u64::from(seconds * clip.video.timescale));
        let even = (0..frames as u64).map(|i| i * u64::from(clip.video.timescale) / 24);
        assert!(clip.video.times.iter().copied().eq(even), "24 frames a second, evenly");
        // The sound is coded a little longer: what the edit list cuts at both ends.
        let audio = clip.audio.expect("a sound track");
        let edit = at_path(&bytes, "moov/trak/edts/elst")[1];
        let priming = u64::from(word(edit, 3));
        let spare = audio.duration - priming - u64::from(seconds * audio.timescale);
        assert!(priming == 1024 && spare < 1024, "priming {priming}, spare {spare}");
    }
}

#[test]
fn puts_moov_first_and_alternates_sound_and_picture() {
    let bytes = small_clip(&photo(SMALL, 1, 0, 0), &photo(SMALL, 1, 8, 4));
    let kinds: Vec<String> = boxes(&bytes).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["ftyp", "moov", "mdat"]);
    let clip = read(&bytes);
    let audio = clip.audio.expect("a sound track");
    let video_starts_again = clip.video.offsets[12];
    assert!(audio.offsets[0] < video_starts_again, "the first sound stands before the second half second");
    let media: usize = clip.video.samples.iter().chain(&audio.samples).map(Vec::len).sum();
    assert_eq!(media, at_path(&bytes, "mdat")[0].len(), "every byte belongs to a sample");
}

#[test]
fn has_four_closed_groups() {
    let size = size(SMALL);
    let scene = Scene::new(&photo(SMALL, 1, 0, 0), &photo(SMALL, 2, 0, 0), size).expect("a scene");
    let clip = read(&scene.render(&spec(size, 4, 1), &|_| {}).expect("a clip"));
    assert_eq!(clip.video.keys, [0, 24, 48, 72]);
    let idr = |sample: &[u8]| sample[4] & 31 == 5;
    for (i, sample) in clip.video.samples.iter().enumerate() {
        assert_eq!(idr(sample), clip.video.keys.contains(&i), "sample {i}");
    }
}

#[test]
fn starts_and_ends_with_the_pictures() {
    for (dims, other) in [((1280, 720), 1), ((720, 1280), 2), ((1920, 1080), 1), ((1080, 1920), 1)] {
        let (first, last) = (photo(dims, 1, 0, 0), photo(dims, other, 24, 10));
        let clip = read(&render(&first, &last, &spec(size(dims), 1, 5), &|_| {}).expect("a clip"));
        let frames = clip.frames();
        assert_eq!(frames.len(), 24, "{dims:?}");
        let (start, end) = (psnr(&frames[0], &luma_of(&first)), psnr(&frames[23], &luma_of(&last)));
        assert!(start >= 40.0 && end >= 40.0, "{dims:?}: {start:.1} dB and {end:.1} dB");
    }
}

#[test]
fn moves_smoothly_and_only_in_between() {
    let dims = (640, 360);
    for other in [1, 2] {
        let (first, last) = (photo(dims, 1, 0, 0), photo(dims, other, 30, 12));
        let clip = read(&render(&first, &last, &spec(size(dims), 2, 1), &|_| {}).expect("a clip"));
        let frames = clip.frames();
        let step = |i: usize| {
            let pairs = frames[i].iter().zip(&frames[i + 1]);
            pairs.map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / frames[i].len() as f64
        };
        let steps: Vec<f64> = (0..frames.len() - 1).map(step).collect();
        let largest = steps.iter().copied().fold(0.0, f64::max);
        let smallest_inside = steps[12..36].iter().copied().fold(f64::MAX, f64::min);
        assert!(smallest_inside > 0.2, "it stands still: {steps:.1?}");
        assert!(steps[0] < 0.6 * largest && steps[46] < 0.6 * largest, "it starts or ends abruptly: {steps:.1?}");
        for pair in steps.windows(2) {
            assert!((pair[0] - pair[1]).abs() < 0.6 * largest, "it jumps: {steps:.1?}");
        }
    }
}

#[test]
fn follows_a_pan_instead_of_fading() {
    let dims = (640, 360);
    let pan = 40;
    let (first, last) = (photo(dims, 1, 0, 0), photo(dims, 1, pan, 0));
    let clip = read(&render(&first, &last, &spec(size(dims), 1, 1), &|_| {}).expect("a clip"));
    let middle = &clip.frames()[12];
    // Half-way between two views of one scene is the view from half-way, give or take the drift.
    let centre = |luma: &[u8], dx: usize, dy: usize| -> Vec<u8> {
        let rows = (120 + dy..200 + dy).map(|y| y * 640 + 240 + dx);
        rows.flat_map(|start| luma[start..start + 120].to_vec()).collect()
    };
    let target = centre(&luma_of(&photo(dims, 1, pan / 2, 0)), 15, 15);
    let best_of = |luma: &[u8]| {
        let near = (0..30).flat_map(|dx| (0..30).map(move |dy| (dx, dy)));
        near.map(|(dx, dy)| psnr(&target, &centre(luma, dx, dy))).fold(0.0, f64::max)
    };
    let faded: Vec<u8> = luma_of(&first).iter().zip(luma_of(&last)).map(|(&a, b)| a.midpoint(b)).collect();
    let (best, fade) = (best_of(middle), best_of(&faded));
    assert!(best > fade + 3.0, "at best {best:.1} dB, a fade would give {fade:.1} dB");
}

#[test]
fn survives_pure_noise() {
    // At the finest quantiser this overflows the encoder's buffer.
    let dims = (1280, 720);
    let clip = read(&render(&noise(dims, 1), &noise(dims, 9), &spec(size(dims), 1, 1), &|_| {}).expect("a clip"));
    assert_eq!(clip.frames().len(), 24);
}

#[test]
fn crops_what_sticks_out_evenly() {
    // Green in the middle, red where a wide clip has no room.
    let tall =
        crate::support::picture(100, 300, |_, y| if y.abs_diff(150) < 45 { [20, 200, 20] } else { [200, 20, 20] });
    let size = Size::new(320, 180).expect("a size");
    let spec = ClipSpec { size, seconds: 1, audio: false, seed: 0 };
    let frames = read(&render(&tall, &tall, &spec, &|_| {}).expect("a clip")).frames();
    let green = luma_of(&crate::support::picture(320, 180, |_, _| [20, 200, 20]));
    assert!(psnr(&frames[0], &green) > 40.0);
}

#[test]
fn has_sound_only_if_asked_and_soft() {
    let (first, last) = (photo(SMALL, 1, 0, 0), photo(SMALL, 1, 8, 4));
    let silent = ClipSpec { audio: false, ..spec(size(SMALL), 1, 1) };
    assert!(read(&render(&first, &last, &silent, &|_| {}).expect("a clip")).audio.is_none());

    let clip = read(&render(&first, &last, &spec(size(SMALL), 4, 1), &|_| {}).expect("a clip"));
    let units = clip.audio.expect("a sound track").samples;
    let adts: Vec<u8> = units.iter().flat_map(|au| wrap_adts_au(au, 48_000, 2).expect("a unit")).collect();
    let sound = decode_with(&adts, &DecodeOptions::unbounded()).expect("sound");
    for channel in &sound.channels {
        let played = &channel[1024..1024 + 4 * 48_000];
        let peak = played.iter().fold(0.0f32, |peak, s| peak.max(s.abs()));
        let jump = played.windows(2).fold(0.0f32, |jump, s| jump.max((s[0] - s[1]).abs()));
        let loud = (played.iter().map(|s| s * s).sum::<f32>() / played.len() as f32).sqrt();
        assert!((0.003..0.1).contains(&loud) && peak < 0.4, "loudness {loud}, peak {peak}");
        assert!(jump < 0.02, "a click: {jump}");
        let edges = [&played[..480], &played[played.len() - 480..]].concat();
        assert!(edges.iter().all(|s| s.abs() < 0.01), "it is not faded in and out");
    }
}

#[test]
fn tells_its_progress_upwards_from_0_to_1() {
    let seen = Mutex::new(Vec::new());
    // Noise makes the encoder start again: even then nothing goes back.
    let dims = (1280, 720);
    let pictures = (noise(dims, 1), noise(dims, 9));
    let tell = |part: f32| seen.lock().expect("no panic in between").push(part);
    render(&pictures.0, &pictures.1, &spec(size(dims), 1, 1), &tell).expect("a clip");
    let seen = seen.into_inner().expect("no panic in between");
    assert_eq!((seen.first(), seen.last()), (Some(&0.0), Some(&1.0)));
    assert!(seen.is_sorted() && seen.len() >= 24, "{seen:?}");
}
