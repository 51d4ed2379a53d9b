//! Dense motion between two pictures: symmetric multi-scale Horn–Schunck.
//!
//! Plain float arithmetic in a fixed order and square roots only, all exact by IEEE 754: the same
//! flow on every machine.

/// The pictures are compared at about this many pixels on the long side.
const LONG_SIDE: usize = 320;
/// How much smoothness weighs against brightness, for luma of standard deviation [`CONTRAST`].
const ALPHA: f32 = 1000.0;
const WARPS: usize = 4;
const SWEEPS: usize = 30;
/// Both pictures are brought to mean 0 and this deviation, so that dusk does not count as motion.
const CONTRAST: f32 = 50.0;
/// Above this mean gradient the pictures do not show one scene, and following the flow melts them.
/// Measured: related pairs 0.09 to 0.33, unrelated ones 0.54 to 1.04.
const MAX_ROUGHNESS: f32 = 0.43;
/// The whole frame's movement is searched where the short side is below this.
const COARSE_SIDE: usize = 32;
/// The search covers these zooms, both ways, and shifts up to this part of each side.
const ZOOMS: [f32; 9] = [1.0, 0.9, 0.8, 0.7, 0.6, 1.111, 1.25, 1.429, 1.667];
const MAX_SHIFT: f32 = 0.3;

/// A raster of floats, row by row.
#[derive(Clone)]
struct Raster {
    w: usize,
    h: usize,
    at: Vec<f32>,
}

/// For each pixel of the middle frame how far its content moves from the first to the last.
pub(crate) struct Flow {
    u: Raster,
    v: Raster,
    /// Frame pixels to a pixel of the flow.
    scale: usize,
    whole: Camera,
}

impl Flow {
    /// From two luma planes of `w` × `h` pixels.
    pub(crate) fn between(first: &[u8], last: &[u8], w: usize, h: usize) -> Self {
        let scale = w.max(h).div_ceil(LONG_SIDE);
        let mut pyramid = vec![(Raster::of_luma(first, w, h, scale), Raster::of_luma(last, w, h, scale))];
        while let Some((a, b)) = pyramid.last().filter(|(a, _)| a.w.min(a.h) >= COARSE_SIDE) {
            let halved = (a.halved(), b.halved());
            pyramid.push(halved);
        }
        // Horn–Schunck finds its way only from near by: a pan or a zoom is found as a whole first.
        let (coarse_a, coarse_b) = &pyramid[pyramid.len() - 1];
        let whole = Camera::between(coarse_a, coarse_b);
        let (mut u, mut v) = whole.flow(coarse_a.w, coarse_a.h);
        for (level, (a, b)) in pyramid.iter().rev().enumerate() {
            if level > 0 {
                (u, v) = (u.doubled(a.w, a.h), v.doubled(a.w, a.h));
            }
            for _ in 0..WARPS {
                refine(a, b, &mut u, &mut v);
            }
        }
        Self { u, v, scale, whole }
    }

    /// Mean size of the flow's gradient, the camera's zoom taken out: small when the pictures show
    /// one scene.
    pub(crate) fn roughness(&self) -> f32 {
        let (w, h) = (self.u.w, self.u.h);
        let zoom = self.whole.gradient();
        let mut sum = 0.0;
        for y in 1..h {
            for x in 1..w {
                let i = y * w + x;
                let [ux, uy, vx, vy] =
                    [(&self.u, 1), (&self.u, w), (&self.v, 1), (&self.v, w)].map(|(f, d)| f.at[i] - f.at[i - d]);
                let (ux, vy) = (ux - zoom, vy - zoom);
                sum += (ux * ux + uy * uy + vx * vx + vy * vy).sqrt();
            }
        }
        sum / (w * h) as f32
    }

    /// Whether following this flow looks like a movement.
    pub(crate) fn is_usable(&self) -> bool {
        self.roughness() <= MAX_ROUGHNESS
    }

    /// The flow at a pixel of the frame, in pixels of the frame.
    pub(crate) fn at(&self, x: f32, y: f32) -> (f32, f32) {
        let scale = self.scale as f32;
        let (x, y) = ((x + 0.5) / scale - 0.5, (y + 0.5) / scale - 0.5);
        (self.u.sample(x, y) * scale, self.v.sample(x, y) * scale)
    }
}

/// One movement for all of the frame: what is at `p` from the centre in the first picture is at
/// `zoom * p + shift` in the last.
#[derive(Clone, Copy)]
struct Camera {
    zoom: f32,
    shift: (f32, f32),
}

impl Camera {
    /// The best of a fixed set of movements; standing still is the first of them.
    fn between(a: &Raster, b: &Raster) -> Self {
        let reach = |side: usize| (side as f32 * MAX_SHIFT) as i32;
        let (most_x, most_y) = (reach(a.w), reach(a.h));
        let mut best = Self { zoom: 1.0, shift: (0.0, 0.0) };
        // Anything but rest has to be clearly better: a flat sky fits every movement.
        let mut least = 0.8 * best.mismatch(a, b).unwrap_or(f32::MAX);
        for zoom in ZOOMS {
            for dy in -most_y..=most_y {
                for dx in -most_x..=most_x {
                    let camera = Self { zoom, shift: (dx as f32, dy as f32) };
                    if let Some(mismatch) = camera.mismatch(a, b).filter(|&m| m < least) {
                        (best, least) = (camera, mismatch);
                    }
                }
            }
        }
        best
    }

    /// Mean absolute difference under this movement, if enough of both pictures overlaps.
    fn mismatch(&self, a: &Raster, b: &Raster) -> Option<f32> {
        let (mut sum, mut hits, mut all) = (0.0, 0, 0);
        for y in (0..a.h).step_by(2) {
            for x in (0..a.w).step_by(2) {
                let (u, v) = self.at(x as f32 - (a.w - 1) as f32 / 2.0, y as f32 - (a.h - 1) as f32 / 2.0);
                let (ax, ay, bx, by) = (x as f32 - u / 2.0, y as f32 - v / 2.0, x as f32 + u / 2.0, y as f32 + v / 2.0);
                all += 1;
                if a.reaches(ax, ay) && b.reaches(bx, by) {
                    hits += 1;
                    sum += (a.sample(ax, ay) - b.sample(bx, by)).abs();
                }
            }
        }
        (hits * 2 >= all && hits > 0).then(|| sum / hits as f32)
    }

    /// The flow at a place of the middle frame, from its centre: what is there came from `p` and
    /// goes to `zoom * p + shift`, and it is half-way.
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        let g = self.gradient();
        let part = 2.0 / (1.0 + self.zoom);
        (g * x + part * self.shift.0, g * y + part * self.shift.1)
    }

    fn gradient(&self) -> f32 {
        2.0 * (self.zoom - 1.0) / (1.0 + self.zoom)
    }

    fn flow(&self, w: usize, h: usize) -> (Raster, Raster) {
        let (mut u, mut v) = (Raster::zero(w, h), Raster::zero(w, h));
        for i in 0..w * h {
            let (x, y) = ((i % w) as f32 - (w - 1) as f32 / 2.0, (i / w) as f32 - (h - 1) as f32 / 2.0);
            (u.at[i], v.at[i]) = self.at(x, y);
        }
        (u, v)
    }
}

/// Warps both pictures half-way, then solves for what the current flow misses.
fn refine(a: &Raster, b: &Raster, u: &mut Raster, v: &mut Raster) {
    let (w, h) = (a.w, a.h);
    let warped = |picture: &Raster, part: f32| {
        let mut out = Raster::zero(w, h);
        for y in 0..h {
            for x in 0..w {
                let i = y * w + x;
                out.at[i] = picture.sample(x as f32 + part * u.at[i], y as f32 + part * v.at[i]);
            }
        }
        out
    };
    let (warped_a, warped_b) = (warped(a, -0.5), warped(b, 0.5));

    // Per pixel: ix, iy, the part of `it` that does not change in the sweeps, 1 / (alpha + ix² + iy²).
    let mut terms = Vec::with_capacity(w * h);
    for y in 0..h {
        let (up, down) = (y.saturating_sub(1) * w, (y + 1).min(h - 1) * w);
        for x in 0..w {
            let (left, right, row) = (x.saturating_sub(1), (x + 1).min(w - 1), y * w);
            let i = row + x;
            let (du, dv) = (u.at[i] / 2.0, v.at[i] / 2.0);
            if !a.reaches(x as f32 - du, y as f32 - dv) || !b.reaches(x as f32 + du, y as f32 + dv) {
                // Nothing to compare: the neighbours decide.
                terms.push([0.0; 4]);
                continue;
            }
            let ix = 0.25
                * (warped_a.at[row + right] - warped_a.at[row + left] + warped_b.at[row + right]
                    - warped_b.at[row + left]);
            let iy = 0.25 * (warped_a.at[down + x] - warped_a.at[up + x] + warped_b.at[down + x] - warped_b.at[up + x]);
            let it = warped_b.at[i] - warped_a.at[i] - ix * u.at[i] - iy * v.at[i];
            terms.push([ix, iy, it, 1.0 / (ALPHA + ix * ix + iy * iy)]);
        }
    }
    let (mut next_u, mut next_v) = (u.clone(), v.clone());
    for _ in 0..SWEEPS {
        for y in 0..h {
            let row = y * w..(y + 1) * w;
            sweep_row(&terms[row.clone()], u, v, y, &mut next_u.at[row.clone()], &mut next_v.at[row]);
        }
        std::mem::swap(u, &mut next_u);
        std::mem::swap(v, &mut next_v);
    }
}

/// One row of a Jacobi sweep.
fn sweep_row(terms: &[[f32; 4]], u: &Raster, v: &Raster, y: usize, next_u: &mut [f32], next_v: &mut [f32]) {
    let w = terms.len();
    let ([u_up, u_row, u_down], [v_up, v_row, v_down]) = (u.rows_around(y), v.rows_around(y));
    let mut solve = |x: usize, left: usize, right: usize| {
        let mean_u = 0.25 * (u_row[left] + u_row[right] + u_up[x] + u_down[x]);
        let mean_v = 0.25 * (v_row[left] + v_row[right] + v_up[x] + v_down[x]);
        let [ix, iy, it, share] = terms[x];
        let k = (ix * mean_u + iy * mean_v + it) * share;
        next_u[x] = mean_u - ix * k;
        next_v[x] = mean_v - iy * k;
    };
    solve(0, 0, 1.min(w - 1));
    for x in 1..w.saturating_sub(1) {
        solve(x, x - 1, x + 1);
    }
    solve(w - 1, w.saturating_sub(2), w - 1);
}

impl Raster {
    fn zero(w: usize, h: usize) -> Self {
        Self { w, h, at: vec![0.0; w * h] }
    }

    /// Shrinks a luma plane by box averages and evens out its brightness and contrast.
    fn of_luma(luma: &[u8], full_w: usize, full_h: usize, scale: usize) -> Self {
        let mut out = Self::zero(full_w / scale, full_h / scale);
        for (y, row) in out.at.chunks_exact_mut(out.w).enumerate() {
            for (x, value) in row.iter_mut().enumerate() {
                let rows = (y * scale..(y + 1) * scale).map(|sy| &luma[sy * full_w + x * scale..][..scale]);
                let sum: u32 = rows.flatten().map(|&p| u32::from(p)).sum();
                *value = sum as f32 / (scale * scale) as f32;
            }
        }
        let count = out.at.len() as f32;
        let mean = out.at.iter().sum::<f32>() / count;
        let deviation = (out.at.iter().map(|p| (p - mean) * (p - mean)).sum::<f32>() / count).sqrt();
        // A nearly flat picture must not be blown up to pure sensor noise.
        let gain = CONTRAST / deviation.max(10.0);
        out.at.iter_mut().for_each(|p| *p = (*p - mean) * gain);
        out
    }

    fn halved(&self) -> Self {
        let mut out = Self::zero(self.w / 2, self.h / 2);
        for y in 0..out.h {
            for x in 0..out.w {
                let i = 2 * y * self.w + 2 * x;
                out.at[y * out.w + x] =
                    0.25 * (self.at[i] + self.at[i + 1] + self.at[i + self.w] + self.at[i + self.w + 1]);
            }
        }
        out
    }

    /// A flow for the next finer level: twice the pixels, so twice the distances.
    fn doubled(&self, w: usize, h: usize) -> Self {
        let mut out = Self::zero(w, h);
        for y in 0..h {
            for x in 0..w {
                out.at[y * w + x] = 2.0 * self.sample(x as f32 / 2.0 - 0.25, y as f32 / 2.0 - 0.25);
            }
        }
        out
    }

    /// Bilinear; beyond the border the border goes on.
    fn sample(&self, x: f32, y: f32) -> f32 {
        let x = x.clamp(0.0, (self.w - 1) as f32);
        let y = y.clamp(0.0, (self.h - 1) as f32);
        let (x0, y0) = (x as usize, y as usize);
        let (fx, fy) = (x - x0 as f32, y - y0 as f32);
        let (x1, y1) = ((x0 + 1).min(self.w - 1), (y0 + 1).min(self.h - 1));
        let row = |y: usize| self.at[y * self.w + x0] * (1.0 - fx) + self.at[y * self.w + x1] * fx;
        row(y0) * (1.0 - fy) + row(y1) * fy
    }

    fn reaches(&self, x: f32, y: f32) -> bool {
        x >= 0.0 && y >= 0.0 && x <= (self.w - 1) as f32 && y <= (self.h - 1) as f32
    }

    fn rows_around(&self, y: usize) -> [&[f32]; 3] {
        [y.saturating_sub(1), y, (y + 1).min(self.h - 1)].map(|row| &self.at[row * self.w..(row + 1) * self.w])
    }
}
