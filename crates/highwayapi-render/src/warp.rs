//! In-between frames: both pictures bent towards each other along the flow and blended.
//!
//! Displacements stand on a grid and are interpolated in integers; each picture has a mirrored
//! margin as wide as the largest displacement, so that the inner loop needs no clamping. Pixels
//! are made eight at a time, in 16-bit lanes that every processor has.

use crate::flow::Flow;
use crate::scale::Frame;
use crate::seed::Draw;
use crate::spec::Size;

/// Pixels from one grid point to the next.
const CELL: usize = 16;
/// Displacements on the grid are in 1/512 pixel.
const GRID_BITS: u32 = 9;
/// Positions along a row are in 1/8192 pixel, of which the upper five bits choose the sample.
const STEP_BITS: u32 = 13;
/// Pixels made at once: a cell of luma has two such runs, one of chroma is one.
const RUN: usize = 8;
/// Pixels that move as one may be this far off, in 1/8192 pixel: a fifth.
const SLACK: i32 = (1 << STEP_BITS) / 5;
/// How far outside a picture, in pixels, its part in the blend is down to nothing.
const FADE: f32 = 16.0;
/// How much closer the last picture comes when there is no flow to follow.
const PUSH_IN: f32 = 0.06;

/// A camera's small wandering, nothing at both ends: what tells one seed from another.
pub(crate) struct Drift {
    /// In parts of the frame's sides.
    bow: (f32, f32),
    sway: (f32, f32),
    zoom: f32,
    /// How much the movement runs ahead or lags half-way.
    haste: f32,
}

impl Drift {
    pub(crate) fn of(seed: u64) -> Self {
        let mut draw = Draw(seed);
        // Four seeds in a row, which are a request's samples, go four different ways.
        let way = |bit: u32| if seed >> bit & 1 == 0 { 1.0 } else { -1.0 };
        let bow = (way(0) * draw.between(0.006, 0.014), way(1) * draw.between(0.006, 0.014));
        let sway = (draw.signed(0.003, 0.008), draw.signed(0.003, 0.008));
        // So much closer that the wandering uncovers no margin.
        let zoom = 2.0 * bow.0.abs().max(bow.1.abs()) + draw.between(0.0, 0.025);
        Self { bow, sway, zoom, haste: draw.signed(0.1, 0.4) }
    }
}

/// Two pictures and the movement from one to the other.
pub(crate) struct Warp {
    size: Size,
    first: Padded,
    last: Padded,
    grid_w: usize,
    /// The flow at the grid points, in pixels.
    grid: Vec<(f32, f32)>,
    /// Whether that is a flow found between the pictures.
    found: bool,
}

/// At a grid point: the displacement of the first picture (x, y), that of the last, and the last
/// one's part in the blend, of 256. All in 1/512.
type Knot = [i32; 5];

impl Warp {
    pub(crate) fn new(first: &Frame, last: &Frame, size: Size) -> Self {
        let (w, h) = size.dims();
        let flow = Flow::between(&first.y, &last.y, w, h);
        let flow = flow.is_usable().then_some(flow);
        // One point beyond the last cell, which may stick out: 1080 is no multiple of 16.
        let (grid_w, grid_h) = (w.div_ceil(CELL) + 1, h.div_ceil(CELL) + 1);
        let point = |i: usize| {
            let (x, y) = (((i % grid_w) * CELL) as f32, ((i / grid_w) * CELL) as f32);
            match &flow {
                Some(flow) => flow.at(x, y),
                // A slow push-in is a flow too: away from the centre.
                None => (PUSH_IN * (x - w as f32 / 2.0), PUSH_IN * (y - h as f32 / 2.0)),
            }
        };
        Self {
            size,
            first: Padded::new(first, size),
            last: Padded::new(last, size),
            grid_w,
            grid: (0..grid_w * grid_h).map(point).collect(),
            found: flow.is_some(),
        }
    }

    /// The frame at `t`, from 0 (first picture) to 1 (last picture).
    pub(crate) fn frame(&self, t: f32, drift: &Drift, out: &mut Frame) {
        let t = t + drift.haste * t * (1.0 - t);
        let ease = t * t * (3.0 - 2.0 * t);
        let knots = self.knots(t, ease, drift);
        let (w, _) = self.size.dims();

        for (y, row) in out.y.chunks_exact_mut(w).enumerate() {
            self.walk::<CELL>(&knots, y, w, |run| run.put(&self.first.y, &self.last.y, row));
        }
        let chroma = out.u.chunks_exact_mut(w / 2).zip(out.v.chunks_exact_mut(w / 2));
        for (y, (u_row, v_row)) in chroma.enumerate() {
            self.walk::<{ CELL / 2 }>(&knots, y, w / 2, |run| {
                run.put(&self.first.u, &self.last.u, u_row);
                run.put(&self.first.v, &self.last.v, v_row);
            });
        }
    }

    fn knots(&self, t: f32, ease: f32, drift: &Drift) -> Vec<Knot> {
        let (w, h) = (self.size.width() as f32, self.size.height() as f32);
        let swell = 16.0 * t * t * (1.0 - t) * (1.0 - t);
        let side = 2.0 * t - 1.0;
        let shift_x = swell * (drift.bow.0 + side * drift.sway.0) * w;
        let shift_y = swell * (drift.bow.1 + side * drift.sway.1) * h;
        let zoom = swell * drift.zoom;
        let most = (self.first.margin - 2) as f32;
        let fixed = |d: f32| (d * (1 << GRID_BITS) as f32) as i32;
        let knot = |(i, &(u, v)): (usize, &(f32, f32))| {
            let x = ((i % self.grid_w) * CELL) as f32;
            let y = ((i / self.grid_w) * CELL) as f32;
            let dx = shift_x - zoom * (x - w / 2.0);
            let dy = shift_y - zoom * (y - h / 2.0);
            let rest = 1.0 - ease;
            let (ax, ay, bx, by) = (dx - ease * u, dy - ease * v, dx + rest * u, dy + rest * v);
            // Where one picture does not reach, the other is to be seen and no mirrored margin; but
            // a different picture at the rim would only look like a frame.
            let seen = |x: f32, y: f32| {
                if !self.found {
                    return 1.0;
                }
                let inside = x.min(w - x).min(y).min(h - y);
                (1.0 + inside / FADE).clamp(0.01, 1.0)
            };
            let (a, b) = (rest * seen(x + ax, y + ay), ease * seen(x + bx, y + by));
            let [ax, ay, bx, by] = [ax, ay, bx, by].map(|d| fixed(d.clamp(-most, most)));
            [ax, ay, bx, by, fixed(256.0 * b / (a + b))]
        };
        self.grid.iter().enumerate().map(knot).collect()
    }

    /// Calls `put` for each run of a row. `N` is the size of a cell in this plane: chroma has half
    /// the pixels, and half the displacement in each.
    #[inline(always)]
    fn walk<const N: usize>(&self, knots: &[Knot], y: usize, w: usize, mut put: impl FnMut(Run)) {
        let halves = (CELL / N).trailing_zeros();
        let margin = self.first.margin >> halves;
        let stride = w + 2 * margin;
        let (line, within) = (y / N * self.grid_w, (y % N) as i32);
        let n = N as i32;
        let edge = |column: usize| -> Knot {
            let (upper, lower) = (knots[line + column], knots[line + self.grid_w + column]);
            let mut edge = std::array::from_fn(|c| (upper[c] * (n - within) + lower[c] * within) * (16 / n));
            edge[..4].iter_mut().for_each(|distance| *distance >>= halves);
            edge
        };
        let y_start = ((y + margin) << STEP_BITS) as i32;
        let mut left = edge(0);
        for (cell, x) in (0..w).step_by(N).enumerate() {
            let right = edge(cell + 1);
            let step: Knot = std::array::from_fn(|c| (right[c] - left[c]) / n);
            for x in (x..(x + N).min(w)).step_by(RUN) {
                let x_start = ((x + margin) << STEP_BITS) as i32;
                let [ax, ay, bx, by, weight] = std::array::from_fn(|c| Line { start: left[c], step: step[c] });
                let place = |x: Line, y: Line| Place { x: x.from(x_start), y: y.from(y_start), stride };
                put(Run { x, first: place(ax, ay), last: place(bx, by), weight });
                left = std::array::from_fn(|c| left[c] + step[c] * RUN as i32);
            }
            left = right;
        }
    }
}

/// A picture with a mirrored margin.
struct Padded {
    /// Of luma; chroma has half of it.
    margin: usize,
    y: Vec<u8>,
    u: Vec<u8>,
    v: Vec<u8>,
}

impl Padded {
    fn new(frame: &Frame, size: Size) -> Self {
        let (w, h) = size.dims();
        // An eighth of the long side: what would come from further outside is faded out anyway.
        let margin = (w.max(h) / 8).next_multiple_of(CELL);
        let padded = |plane: &[u8], w: usize, h: usize, margin: usize| {
            let columns: Vec<usize> = mirrored(w, margin).collect();
            let mut out = Vec::with_capacity(columns.len() * (h + 2 * margin) + RUN);
            for row in mirrored(h, margin) {
                let row = &plane[row * w..][..w];
                out.extend(columns.iter().map(|&x| row[x]));
            }
            // A run may stick out of the last row.
            out.extend([0; RUN]);
            out
        };
        Self {
            margin,
            y: padded(&frame.y, w, h, margin),
            u: padded(&frame.u, w / 2, h / 2, margin / 2),
            v: padded(&frame.v, w / 2, h / 2, margin / 2),
        }
    }
}

/// The indices of `len` samples with `margin` mirrored ones on both sides; the margin may be wider
/// than what it mirrors.
fn mirrored(len: usize, margin: usize) -> impl Iterator<Item = usize> {
    let period = 2 * len;
    let start = period - margin % period;
    (start..start + len + 2 * margin).map(move |i| {
        let i = i % period;
        if i < len { i } else { period - 1 - i }
    })
}

/// One value for each pixel of a run.
type Lanes = [i16; RUN];

/// Neighbours in a row, not yet sampled.
struct Run {
    x: usize,
    first: Place,
    last: Place,
    /// The last picture's part, in 1/8192 of a 256th.
    weight: Line,
}

impl Run {
    /// Samples a plane of both pictures, blends, and stores what is inside the row.
    #[inline(always)]
    fn put(&self, first: &[u8], last: &[u8], row: &mut [u8]) {
        let (first, last) = (self.first.sample(first), self.last.sample(last));
        let rest = &mut row[self.x..];
        match rest.first_chunk_mut() {
            Some(run) => blend(&first, &last, self.weight, run),
            None => {
                let mut run = [0; RUN];
                blend(&first, &last, self.weight, &mut run);
                rest.copy_from_slice(&run[..rest.len()]);
            }
        }
    }
}

/// A value that changes evenly along a run.
#[derive(Clone, Copy)]
struct Line {
    start: i32,
    step: i32,
}

impl Line {
    fn from(self, origin: i32) -> Self {
        Self { start: self.start + origin, step: self.step }
    }

    /// In the middle of a piece of `count` pixels.
    fn middle(self, first: usize, count: usize) -> i32 {
        self.start + self.step * (2 * first + count - 1) as i32 / 2
    }
}

/// Where a run lies in the padded planes of a picture: the first pixel's position, and the steps by
/// which the next ones differ from being its neighbours in the row.
#[derive(Clone, Copy)]
struct Place {
    x: Line,
    y: Line,
    stride: usize,
}

impl Place {
    /// The samples of one plane; they have seven more bits than the plane's.
    #[inline(always)]
    fn sample(self, plane: &[u8]) -> Lanes {
        let bend = self.x.step.abs().max(self.y.step.abs());
        let holds = |count: i32| bend * (count - 1) <= 2 * SLACK;
        if holds(8) {
            self.sample_by::<8>(plane)
        } else if holds(4) {
            self.sample_by::<4>(plane)
        } else if holds(2) {
            self.sample_by::<2>(plane)
        } else {
            self.sample_by::<1>(plane)
        }
    }

    /// Bilinear, each `N` neighbours as one: what has the same fractions is computed side by side.
    #[inline(never)]
    fn sample_by<const N: usize>(self, plane: &[u8]) -> Lanes {
        let mut lanes = [0; RUN];
        for (piece, out) in lanes.as_chunks_mut::<N>().0.iter_mut().enumerate() {
            let (x, y) = (self.x.middle(piece * N, N), self.y.middle(piece * N, N));
            let fraction = |at: i32| (at >> (STEP_BITS - 5)) as i16 & 31;
            let (fx, fy) = (fraction(x), fraction(y));
            let start = (y >> STEP_BITS) as usize * self.stride + (x >> STEP_BITS) as usize + piece * N;
            let upper = &plane[start..][..N + 1];
            let lower = &plane[start + self.stride..][..N + 1];
            for i in 0..N {
                let mix = |row: &[u8]| (i16::from(row[i]) * (32 - fx) + i16::from(row[i + 1]) * fx + 4) >> 3;
                out[i] = mix(upper) * (32 - fy) + mix(lower) * fy;
            }
        }
        lanes
    }
}

/// By index, so that the compiler turns it into vector instructions.
#[inline(never)]
fn blend(first: &Lanes, last: &Lanes, weight: Line, out: &mut [u8; RUN]) {
    const INDEX: Lanes = [0, 1, 2, 3, 4, 5, 6, 7];
    // Of 32768.
    let (start, step) = ((weight.start >> 6).min(i16::MAX.into()) as i16, (weight.step >> 6) as i16);
    for i in 0..RUN {
        let part = i32::from(start + step * INDEX[i]);
        let towards = (i32::from(last[i] - first[i]) * part) >> 16;
        out[i] = (((first[i] >> 1) + towards as i16 + 32) >> 6) as u8;
    }
}
