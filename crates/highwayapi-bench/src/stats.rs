//! Of several runs: the middle, and how far they are apart.

/// The middle one; between the two middle ones of an even number. `None` of nothing.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    Some(if sorted.len() % 2 == 1 { upper } else { (sorted[middle - 1] + upper) / 2.0 })
}

/// The smallest and the largest.
pub(crate) fn spread(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| (low.min(value), high.max(value)))
}

/// How steep the straight line is that lies closest to these points.
pub(crate) fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let both: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    both / points.iter().map(|point| (point.0 - x).powi(2)).sum::<f64>()
}

/// What a curve through these points has at `x`, by straight lines between them; beyond them by the outermost line.
/// The points come in the order of their first numbers, at least two.
pub(crate) fn between(points: &[(f64, f64)], x: f64) -> f64 {
    let right = points.iter().position(|point| point.0 >= x).unwrap_or(points.len() - 1).max(1);
    let ((x0, y0), (x1, y1)) = (points[right - 1], points[right]);
    y0 + (y1 - y0) * (x - x0) / (x1 - x0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_odd_and_even_numbers() {
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[9.0, 1.0, 2.0, 4.0]), Some(3.0));
        assert_eq!(median(&[]), None);
        assert_eq!(spread(&[9.0, 1.0, 2.0]), (1.0, 9.0));
    }

    #[test]
    fn slopes_and_points_in_between() {
        let line = [(1.0, 10.0), (4.0, 16.0), (16.0, 40.0)];
        assert!((slope(&line) - 2.0).abs() < 1e-12);
        assert!((between(&line, 2.0) - 12.0).abs() < 1e-12);
        assert!((between(&line, 20.0) - 48.0).abs() < 1e-12);
        assert!((between(&line, 0.0) - 8.0).abs() < 1e-12);
    }
}
