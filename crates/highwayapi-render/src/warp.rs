//! In-between frames: both pictures bent towards each other along the flow and blended.
//!
//! Displacements stand on a grid and are interpolated in integers; each picture has a mirrored
//! margin as wide as the largest displacement, so that the inner loop needs no clamping.

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
        let (w, h) = self.size.dims();

        for (y, row) in out.y.chunks_exact_mut(w).enumerate() {
            self.walk::<CELL>(&knots, y, w, |x, at| {
                let a = sample(&self.first.y, self.first.stride, at[0], at[1]);
                let b = sample(&self.last.y, self.last.stride, at[2], at[3]);
                row[x] = blend(a, b, at[4]);
            });
        }
        let chroma = out.u.chunks_exact_mut(w / 2).zip(out.v.chunks_exact_mut(w / 2));
        for (y, (u_row, v_row)) in chroma.enumerate().take(h / 2) {
            self.walk::<{ CELL / 2 }>(&knots, y, w / 2, |x, at| {
                let a = sample_pair(&self.first.uv, self.first.stride, at[0], at[1]);
                let b = sample_pair(&self.last.uv, self.last.stride, at[2], at[3]);
                u_row[x] = blend(a.0, b.0, at[4]);
                v_row[x] = blend(a.1, b.1, at[4]);
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

    /// Calls `put` for each pixel of a row with the positions to sample, in 1/8192 pixel of the
    /// padded planes. `N` is the size of a cell in this plane: chroma has half the pixels, and
    /// half the displacement in each.
    #[inline(always)]
    fn walk<const N: usize>(&self, knots: &[Knot], y: usize, w: usize, mut put: impl FnMut(usize, Knot)) {
        let halves = (CELL / N).trailing_zeros();
        let margin = self.first.margin >> halves;
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
            let x_start = ((x + margin) << STEP_BITS) as i32;
            let mut at = [left[0] + x_start, left[1] + y_start, left[2] + x_start, left[3] + y_start, left[4]];
            let mut step: Knot = std::array::from_fn(|c| (right[c] - left[c]) / n);
            step[0] += 1 << STEP_BITS;
            step[2] += 1 << STEP_BITS;
            for x in x..(x + N).min(w) {
                put(x, at);
                at = std::array::from_fn(|c| at[c] + step[c]);
            }
            left = right;
        }
    }
}

/// A picture with a mirrored margin; chroma as U, V pairs.
struct Padded {
    margin: usize,
    /// Luma samples in a row; for chroma, with half as many pairs, the same number of bytes.
    stride: usize,
    y: Vec<u8>,
    uv: Vec<u8>,
}

impl Padded {
    fn new(frame: &Frame, size: Size) -> Self {
        let (w, h) = size.dims();
        // An eighth of the long side: what would come from further outside is faded out anyway.
        let margin = (w.max(h) / 8).next_multiple_of(CELL);
        let stride = w + 2 * margin;
        let mut y = Vec::with_capacity(stride * (h + 2 * margin));
        for row in mirrored(h, margin) {
            y.extend(mirrored(w, margin).map(|x| frame.y[row * w + x]));
        }
        let mut uv = Vec::with_capacity(stride * (h / 2 + margin));
        for row in mirrored(h / 2, margin / 2) {
            uv.extend(mirrored(w / 2, margin / 2).flat_map(|x| [frame.u[row * w / 2 + x], frame.v[row * w / 2 + x]]));
        }
        Self { margin, stride, y, uv }
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

/// Bilinear with 1/32 pixel; the result has ten more bits than a sample.
#[inline(always)]
fn sample(plane: &[u8], stride: usize, x: i32, y: i32) -> u32 {
    let start = (y >> STEP_BITS) as usize * stride + (x >> STEP_BITS) as usize;
    let near = &plane[start..start + stride + 2];
    let (fx, fy) = fractions(x, y);
    let mix = |l: u8, r: u8| u32::from(l) * (32 - fx) + u32::from(r) * fx;
    mix(near[0], near[1]) * (32 - fy) + mix(near[stride], near[stride + 1]) * fy
}

/// As [`sample`], of two interleaved planes.
#[inline(always)]
fn sample_pair(plane: &[u8], stride: usize, x: i32, y: i32) -> (u32, u32) {
    let start = (y >> STEP_BITS) as usize * stride + 2 * (x >> STEP_BITS) as usize;
    let near = &plane[start..start + stride + 4];
    let (fx, fy) = fractions(x, y);
    let mix = |l: u8, r: u8| u32::from(l) * (32 - fx) + u32::from(r) * fx;
    let one = |c: usize| mix(near[c], near[c + 2]) * (32 - fy) + mix(near[stride + c], near[stride + c + 2]) * fy;
    (one(0), one(1))
}

#[inline(always)]
fn fractions(x: i32, y: i32) -> (u32, u32) {
    let of = |at: i32| (at >> (STEP_BITS - 5)) as u32 & 31;
    (of(x), of(y))
}

#[inline(always)]
fn blend(a: u32, b: u32, weight: i32) -> u8 {
    let weight = (weight >> STEP_BITS) as u32;
    ((a * (256 - weight) + b * weight + (1 << 17)) >> 18) as u8
}
