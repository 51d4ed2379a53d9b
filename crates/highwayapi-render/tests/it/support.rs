//! Pictures made in code, and a reader of clips that shares nothing with the writer.

use highwayapi_render::{ClipSpec, Picture, Scene, Size};
use openh264::decoder::Decoder;
use openh264::formats::YUVSource;
use shiguredo_mp4::TrackKind;
use shiguredo_mp4::boxes::SampleEntry;
use shiguredo_mp4::demux::{Input, Mp4FileDemuxer};

pub(crate) const SMALL: (u32, u32) = (192, 128);

pub(crate) fn size(dims: (u32, u32)) -> Size {
    Size::new(dims.0, dims.1).expect("a size that is allowed")
}

pub(crate) fn spec(size: Size, seconds: u32, seed: u64) -> ClipSpec {
    ClipSpec { size, seconds, audio: true, seed }
}

pub(crate) fn small_clip(first: &Picture, last: &Picture) -> Vec<u8> {
    let size = size(SMALL);
    let scene = Scene::new(first, last, size).expect("a scene");
    scene.render(&spec(size, 1, 1), &|_| {}).expect("a clip")
}

/// A PNG of any colour type and depth from its packed rows.
pub(crate) fn png(w: u32, h: u32, color: png::ColorType, depth: png::BitDepth, rows: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, w, h);
    encoder.set_color(color);
    encoder.set_depth(depth);
    if color == png::ColorType::Indexed {
        encoder.set_palette(vec![250, 10, 10, 10, 250, 10, 10, 10, 250, 240, 240, 240]);
        encoder.set_trns(vec![255, 255, 128]);
    }
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(rows).expect("rows");
    writer.finish().expect("an end");
    out
}

pub(crate) fn rgb_png(w: u32, h: u32, pixel: impl Fn(u32, u32) -> [u8; 3]) -> Vec<u8> {
    let rows: Vec<u8> = (0..h).flat_map(|y| (0..w).map(move |x| (x, y))).flat_map(|(x, y)| pixel(x, y)).collect();
    png(w, h, png::ColorType::Rgb, png::BitDepth::Eight, &rows)
}

pub(crate) fn picture(w: u32, h: u32, pixel: impl Fn(u32, u32) -> [u8; 3]) -> Picture {
    Picture::decode(&rgb_png(w, h, pixel)).expect("a picture")
}

/// Something like a photograph, seen by a camera at (`dx`, `dy`): soft shapes of all sizes and a
/// little grain. Another `scene` shows something else.
pub(crate) fn photo((w, h): (u32, u32), scene: u32, dx: u32, dy: u32) -> Picture {
    picture(w, h, |x, y| {
        let octave = |cell: u32, channel: u32| smooth(x + dx, y + dy, cell, scene * 8 + channel) / 4;
        std::array::from_fn(|c| {
            let c = c as u32;
            let sum = 2 * octave(97, 0) + octave(41, c) + octave(13, 3) + (hash(x, y, scene) & 3);
            sum.min(255) as u8
        })
    })
}

pub(crate) fn noise((w, h): (u32, u32), seed: u32) -> Picture {
    picture(w, h, |x, y| std::array::from_fn(|c| hash(x, y, seed + c as u32) as u8))
}

/// Random values at the corners of cells, in between bilinear: 0 to 255.
fn smooth(x: u32, y: u32, cell: u32, salt: u32) -> u32 {
    let corner = |i, j| hash(x / cell + i, y / cell + j, salt) & 255;
    let (fx, fy) = (x % cell, y % cell);
    let row = |j| corner(0, j) * (cell - fx) + corner(1, j) * fx;
    (row(0) * (cell - fy) + row(1) * fy) / (cell * cell)
}

fn hash(x: u32, y: u32, salt: u32) -> u32 {
    let mut h = x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca77) ^ salt.wrapping_mul(0xc2b2_ae3d);
    for _ in 0..2 {
        h = (h ^ (h >> 15)).wrapping_mul(0x2c1b_3c6d);
    }
    h ^ (h >> 16)
}

/// A track as a player sees it.
pub(crate) struct Track {
    pub(crate) timescale: u32,
    pub(crate) duration: u64,
    pub(crate) samples: Vec<Vec<u8>>,
    pub(crate) offsets: Vec<u64>,
    pub(crate) times: Vec<u64>,
    pub(crate) keys: Vec<usize>,
    entry: Option<SampleEntry>,
}

pub(crate) struct Clip {
    pub(crate) video: Track,
    pub(crate) audio: Option<Track>,
}

pub(crate) fn read(bytes: &[u8]) -> Clip {
    let mut demuxer = Mp4FileDemuxer::new();
    demuxer.handle_input(Input { position: 0, data: bytes });
    let mut tracks: Vec<(u32, TrackKind, Track)> = Vec::new();
    for info in demuxer.tracks().expect("tracks") {
        let timescale = info.timescale.get();
        let (samples, offsets, times, keys) = Default::default();
        let track = Track { timescale, duration: info.duration, samples, offsets, times, keys, entry: None };
        tracks.push((info.track_id, info.kind, track));
    }
    while let Some(sample) = demuxer.next_sample().expect("a sample") {
        let (.., track) = tracks.iter_mut().find(|(id, ..)| *id == sample.track.track_id).expect("its track");
        if sample.keyframe {
            track.keys.push(track.samples.len());
        }
        if let Some(entry) = sample.sample_entry {
            track.entry = Some(entry.clone());
        }
        let start = sample.data_offset as usize;
        track.samples.push(bytes[start..start + sample.data_size].to_vec());
        track.offsets.push(sample.data_offset);
        track.times.push(sample.timestamp);
    }
    let mut take = |kind| {
        let at = tracks.iter().position(|(_, k, _)| *k == kind)?;
        Some(tracks.remove(at).2)
    };
    Clip { video: take(TrackKind::Video).expect("a video track"), audio: take(TrackKind::Audio) }
}

/// The luma of a frame.
pub(crate) type Luma = Vec<u8>;

impl Clip {
    /// Decodes all frames; hands on the luma of each.
    pub(crate) fn frames(&self) -> Vec<Luma> {
        let Some(SampleEntry::Avc1(avc1)) = &self.video.entry else { panic!("no avc1") };
        let mut decoder = Decoder::new().expect("a decoder");
        let mut parameters = Vec::new();
        for set in avc1.avcc_box.sps_list.iter().chain(&avc1.avcc_box.pps_list) {
            parameters.extend([0, 0, 0, 1]);
            parameters.extend(set);
        }
        let mut frames = Vec::new();
        for sample in &self.video.samples {
            let mut packet = std::mem::take(&mut parameters);
            let mut rest = sample.as_slice();
            while let Some((length, tail)) = rest.split_first_chunk::<4>() {
                let (nal, tail) = tail.split_at(u32::from_be_bytes(*length) as usize);
                packet.extend([0, 0, 0, 1]);
                packet.extend(nal);
                rest = tail;
            }
            if let Some(frame) = decoder.decode(&packet).expect("a decodable frame") {
                frames.push(tight_luma(&frame));
            }
        }
        frames.extend(decoder.flush_remaining().expect("the rest").iter().map(tight_luma));
        frames
    }
}

fn tight_luma(frame: &impl YUVSource) -> Luma {
    let (w, h) = frame.dimensions();
    frame.y().chunks(frame.strides().0).take(h).flat_map(|row| &row[..w]).copied().collect()
}

/// BT.709 limited-range luma in floating point: the textbook, not our integers.
pub(crate) fn luma_of(picture: &Picture) -> Luma {
    let luma = |p: &[u8]| {
        let [r, g, b] = [p[0], p[1], p[2]].map(f64::from);
        (16.0 + 219.0 / 255.0 * (0.2126 * r + 0.7152 * g + 0.0722 * b)).round() as u8
    };
    picture.rgb().chunks_exact(3).map(luma).collect()
}

pub(crate) fn psnr(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len(), "frames of one size");
    let sum: u64 = a.iter().zip(b).map(|(&a, &b)| u64::from(a.abs_diff(b)).pow(2)).sum();
    10.0 * (255.0 * 255.0 * a.len() as f64 / (sum as f64).max(1e-9)).log10()
}

/// The boxes at one level: kind and content.
pub(crate) fn boxes(mut bytes: &[u8]) -> Vec<(String, &[u8])> {
    let mut out = Vec::new();
    while let Some((length, _)) = bytes.split_first_chunk::<4>() {
        let (this, rest) = bytes.split_at(u32::from_be_bytes(*length) as usize);
        out.push((String::from_utf8_lossy(&this[4..8]).into_owned(), &this[8..]));
        bytes = rest;
    }
    out
}

/// The contents of all boxes at a path such as `moov/trak/tkhd`.
pub(crate) fn at_path<'a>(bytes: &'a [u8], path: &str) -> Vec<&'a [u8]> {
    let (head, tail) = path.split_once('/').map_or((path, None), |(head, tail)| (head, Some(tail)));
    let found = boxes(bytes).into_iter().filter(|(kind, _)| kind == head).map(|(_, content)| content);
    match tail {
        Some(tail) => found.flat_map(|content| at_path(content, tail)).collect(),
        None => found.collect(),
    }
}

/// The `n`-th 32-bit word of a box.
pub(crate) fn word(content: &[u8], n: usize) -> u32 {
    let bytes = content[4 * n..4 * n + 4].try_into().expect("four bytes");
    u32::from_be_bytes(bytes)
}
