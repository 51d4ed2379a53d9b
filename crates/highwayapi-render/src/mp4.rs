//! The MP4 file: `ftyp`, `moov`, `mdat`, in this order, so that it plays while it loads.
//!
//! All dates are zero: the same clip is the same bytes.

use crate::audio::{AAC_FRAME, RATE, Sound};
use crate::error::Error;
use crate::h264::Gop;
use crate::spec::{FPS, Size};

/// Ticks per second of the whole file and of the sound.
const MOVIE_SCALE: u32 = RATE;
const FRAME_TICKS: u32 = 512;
const VIDEO_SCALE: u32 = FPS * FRAME_TICKS;
/// Sound and picture alternate in pieces of half a second.
const CHUNKS_PER_SECOND: u32 = 2;
/// The unity matrix of a picture that is neither turned nor stretched.
const MATRIX: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];

/// What goes into a track besides its samples.
struct Track<'a> {
    id: u32,
    timescale: u32,
    ticks_per_sample: u32,
    /// Where in the track playing starts: behind the encoder's priming.
    start: u32,
    sizes: Vec<u32>,
    data: Vec<&'a [u8]>,
    /// Samples in each chunk.
    chunks: Vec<u32>,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Video { size: Size, gops: &'a [Gop] },
    Audio(&'a Sound),
}

/// Puts the tracks together.
pub(crate) fn write(size: Size, seconds: u32, gops: &[Gop], sound: Option<&Sound>) -> Result<Vec<u8>, Error> {
    let mut tracks = vec![video_track(size, seconds, gops)];
    tracks.extend(sound.map(|sound| audio_track(seconds, sound)));

    // The chunks in the order of the file: which track, which samples, how many bytes.
    let mut sequence = Vec::new();
    let mut next = vec![0; tracks.len()];
    for chunk in 0..(seconds * CHUNKS_PER_SECOND) as usize {
        for (t, track) in tracks.iter().enumerate() {
            let samples = next[t]..next[t] + track.chunks[chunk] as usize;
            next[t] = samples.end;
            sequence.push((t, samples));
        }
    }
    let media: u64 = tracks.iter().flat_map(|track| &track.sizes).map(|&bytes| u64::from(bytes)).sum();

    let mut out = Vec::with_capacity(media as usize + 64 * 1024);
    boxed(&mut out, b"ftyp", |b| b.extend(b"isom\0\0\x02\0isomiso2avc1mp41"));
    // The offsets do not change the size of `moov`: a first one is written to be measured.
    let mut moov = Vec::new();
    write_moov(&mut moov, seconds, &tracks, &vec![Vec::new(); tracks.len()]);
    let empty = moov.len();
    let chunk_count = sequence.len();
    let start = (out.len() + empty + 4 * chunk_count + 8) as u64;
    if start + media > u64::from(u32::MAX) {
        return Err(Error::encoder(format!("the clip has {media} bytes: a file of over 4 GiB is not written")));
    }
    let mut offsets = vec![Vec::new(); tracks.len()];
    let mut offset = start as u32;
    for (t, samples) in &sequence {
        offsets[*t].push(offset);
        offset += tracks[*t].sizes[samples.clone()].iter().sum::<u32>();
    }
    write_moov(&mut out, seconds, &tracks, &offsets);
    boxed(&mut out, b"mdat", |b| {
        for (t, samples) in &sequence {
            tracks[*t].data[samples.clone()].iter().for_each(|sample| b.extend_from_slice(sample));
        }
    });
    Ok(out)
}

fn video_track(size: Size, seconds: u32, gops: &[Gop]) -> Track<'_> {
    let per_chunk = FPS / CHUNKS_PER_SECOND;
    Track {
        id: 1,
        timescale: VIDEO_SCALE,
        ticks_per_sample: FRAME_TICKS,
        start: 0,
        sizes: gops.iter().flat_map(|gop| gop.sizes.iter().copied()).collect(),
        data: gops.iter().flat_map(|gop| cut(&gop.data, &gop.sizes)).collect(),
        chunks: vec![per_chunk; (seconds * CHUNKS_PER_SECOND) as usize],
        kind: Kind::Video { size, gops },
    }
}

fn audio_track(seconds: u32, sound: &Sound) -> Track<'_> {
    let count = sound.sizes.len() as u32;
    let last = seconds * CHUNKS_PER_SECOND;
    // A frame goes with the half second in which it starts to sound; the last takes the rest.
    let upto = |chunk: u32| match chunk {
        0 => 0,
        c if c == last => count,
        c => (c * RATE / CHUNKS_PER_SECOND + sound.priming).div_ceil(AAC_FRAME).min(count),
    };
    Track {
        id: 2,
        timescale: RATE,
        ticks_per_sample: AAC_FRAME,
        start: sound.priming,
        sizes: sound.sizes.clone(),
        data: cut(&sound.data, &sound.sizes).collect(),
        chunks: (0..last).map(|c| upto(c + 1) - upto(c)).collect(),
        kind: Kind::Audio(sound),
    }
}

fn cut<'a>(mut data: &'a [u8], sizes: &[u32]) -> impl Iterator<Item = &'a [u8]> {
    sizes.iter().map(move |&size| {
        let (sample, rest) = data.split_at(size as usize);
        data = rest;
        sample
    })
}

fn write_moov(out: &mut Vec<u8>, seconds: u32, tracks: &[Track<'_>], offsets: &[Vec<u32>]) {
    let duration = seconds * MOVIE_SCALE;
    boxed(out, b"moov", |b| {
        boxed(b, b"mvhd", |b| {
            // Version and flags, dates, then rate 1.0 and volume 1.0.
            words(b, [0, 0, 0, MOVIE_SCALE, duration, 0x1_0000, 0x0100_0000, 0, 0]);
            words(b, MATRIX);
            words(b, [0; 6]);
            words(b, [tracks.len() as u32 + 1]);
        });
        for (track, offsets) in tracks.iter().zip(offsets) {
            boxed(b, b"trak", |b| track.write(b, duration, offsets));
        }
    });
}

impl Track<'_> {
    fn write(&self, b: &mut Vec<u8>, duration: u32, offsets: &[u32]) {
        let (size, volume) = match self.kind {
            Kind::Video { size, .. } => (Some(size), 0),
            Kind::Audio(_) => (None, 0x0100_0000),
        };
        let (w, h) = size.map_or((0, 0), |size| (size.width() << 16, size.height() << 16));
        boxed(b, b"tkhd", |b| {
            // Flags 3: enabled, in the movie. Both tracks are in no alternate group.
            words(b, [3, 0, 0, self.id, 0, duration, 0, 0, 0, volume]);
            words(b, MATRIX);
            words(b, [w, h]);
        });
        boxed(b, b"edts", |b| boxed(b, b"elst", |b| words(b, [0, 1, duration, self.start, 0x1_0000])));
        boxed(b, b"mdia", |b| {
            boxed(b, b"mdhd", |b| {
                let ticks = self.sizes.len() as u32 * self.ticks_per_sample;
                // Language "und", packed in three times five bits.
                words(b, [0, 0, 0, self.timescale, ticks, 0x55c4_0000]);
            });
            let (handler, name): (&[u8; 4], &[u8]) = match self.kind {
                Kind::Video { .. } => (b"vide", b"video\0"),
                Kind::Audio(_) => (b"soun", b"sound\0"),
            };
            boxed(b, b"hdlr", |b| {
                words(b, [0, 0]);
                b.extend(handler);
                words(b, [0; 3]);
                b.extend(name);
            });
            boxed(b, b"minf", |b| {
                match self.kind {
                    Kind::Video { .. } => boxed(b, b"vmhd", |b| words(b, [1, 0, 0])),
                    Kind::Audio(_) => boxed(b, b"smhd", |b| words(b, [0, 0])),
                }
                // Flags 1 of `url `: the samples are in this file.
                boxed(b, b"dinf", |b| {
                    boxed(b, b"dref", |b| {
                        words(b, [0, 1]);
                        boxed(b, b"url ", |b| words(b, [1]));
                    });
                });
                boxed(b, b"stbl", |b| self.write_samples(b, offsets));
            });
        });
    }

    fn write_samples(&self, b: &mut Vec<u8>, offsets: &[u32]) {
        boxed(b, b"stsd", |b| {
            words(b, [0, 1]);
            match self.kind {
                Kind::Video { size, gops } => boxed(b, b"avc1", |b| avc1(b, size, gops)),
                Kind::Audio(sound) => boxed(b, b"mp4a", |b| mp4a(b, sound)),
            }
        });
        boxed(b, b"stts", |b| words(b, [0, 1, self.sizes.len() as u32, self.ticks_per_sample]));
        if let Kind::Video { gops, .. } = self.kind {
            boxed(b, b"stss", |b| {
                words(b, [0, gops.len() as u32]);
                let mut first = 1;
                for gop in gops {
                    words(b, [first]);
                    first += gop.sizes.len() as u32;
                }
            });
        }
        boxed(b, b"stsc", |b| {
            // Only where the number of samples changes; chunks count from 1.
            let runs = || (0..self.chunks.len()).filter(|&c| c == 0 || self.chunks[c] != self.chunks[c - 1]);
            words(b, [0, runs().count() as u32]);
            runs().for_each(|c| words(b, [c as u32 + 1, self.chunks[c], 1]));
        });
        boxed(b, b"stsz", |b| {
            words(b, [0, 0, self.sizes.len() as u32]);
            words(b, self.sizes.iter().copied());
        });
        boxed(b, b"stco", |b| {
            words(b, [0, self.chunks.len() as u32]);
            words(b, offsets.iter().copied());
        });
    }
}

fn avc1(b: &mut Vec<u8>, size: Size, gops: &[Gop]) {
    words(b, [0, 1, 0, 0, 0, 0, size.width() << 16 | size.height()]);
    // 72 dpi both ways, one frame per sample, no compressor name, depth 24, no palette.
    words(b, [0x48_0000, 0x48_0000, 0]);
    b.extend(1u16.to_be_bytes());
    b.extend([0; 32]);
    b.extend([0, 24, 0xff, 0xff]);
    boxed(b, b"avcC", |b| {
        // All groups carry the same parameter sets.
        let Some(Gop { sps, pps, .. }) = gops.first() else { return };
        b.push(1);
        b.extend(sps.get(1..4).unwrap_or_default());
        // Four bytes of NAL length; one SPS.
        b.extend([0xff, 0xe1]);
        b.extend((sps.len() as u16).to_be_bytes());
        b.extend(sps);
        b.push(1);
        b.extend((pps.len() as u16).to_be_bytes());
        b.extend(pps);
    });
    // BT.709 primaries, transfer and matrix, limited range.
    boxed(b, b"colr", |b| b.extend(b"nclx\0\x01\0\x01\0\x01\0"));
    boxed(b, b"pasp", |b| words(b, [1, 1]));
}

fn mp4a(b: &mut Vec<u8>, sound: &Sound) {
    // Two channels of 16 bits.
    words(b, [0, 1, 0, 0, 2 << 16 | 16, 0, RATE << 16]);
    boxed(b, b"esds", |b| {
        words(b, [0]);
        let config = sound.config.len() as u8;
        // ES descriptor, decoder configuration (AAC, audio stream), its specific part, SL.
        b.extend([3, 3 + 2 + 13 + 2 + config + 3, 0, 2, 0]);
        b.extend([4, 13 + 2 + config, 0x40, 0x15, 0, 0, 0]);
        words(b, [sound.bitrate, sound.bitrate]);
        b.extend([5, config]);
        b.extend(&sound.config);
        b.extend([6, 1, 2]);
    });
}

fn words(b: &mut Vec<u8>, words: impl IntoIterator<Item = u32>) {
    words.into_iter().for_each(|word| b.extend(word.to_be_bytes()));
}

fn boxed(out: &mut Vec<u8>, kind: &[u8; 4], content: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; 4]);
    out.extend(kind);
    content(out);
    let size = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&size.to_be_bytes());
}
