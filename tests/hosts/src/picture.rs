//! The picture of throughput against the number of workers.

use crate::throughput::{Throughput, Workers};

const LEFT: f64 = 70.0;
const RIGHT: f64 = 640.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 340.0;

/// Clips a minute of so many workers, beside what they would make if each made as many as one alone.
pub(crate) fn svg(plan: &Throughput, measured: &[Workers]) -> String {
    let most = plan.counts.last().copied().unwrap_or(1) as f64;
    let alone = measured.first().map_or(0.0, |one| one.clips_a_minute() / plan.counts[0] as f64);
    let step = step(alone * most);
    let highest = (alone * most / step).ceil().max(1.0) * step;
    let x = |workers: f64| LEFT + (RIGHT - LEFT) * workers / most;
    let y = |clips: f64| BOTTOM - (BOTTOM - TOP) * clips / highest;
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 680 400\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"680\" height=\"400\" fill=\"#fff\"/>\n\
         <text x=\"70\" y=\"24\">clips a minute</text>\n\
         <text x=\"355\" y=\"384\" text-anchor=\"middle\">workers, each on a host of its own</text>\n",
    );
    let mut line = |text: String| {
        svg.push_str(&text);
        svg.push('\n');
    };
    let mut clips = 0.0;
    while clips <= highest {
        let (at, beside) = (y(clips), y(clips) + 4.0);
        line(format!(
            "<path d=\"M{LEFT} {at:.0}H{RIGHT}\" stroke=\"#ddd\"/><text x=\"62\" y=\"{beside:.0}\" text-anchor=\"end\">{clips:.0}</text>"
        ));
        clips += step;
    }
    for &count in &plan.counts {
        let at = x(count as f64);
        line(format!("<text x=\"{at:.0}\" y=\"358\" text-anchor=\"middle\">{count}</text>"));
    }
    line(format!("<path d=\"M{:.0} {:.0}L{:.0} {:.0}\" {GREY}/>", x(0.0), y(0.0), x(most), y(alone * most)));
    if let Some(limit) = limit(plan, measured).filter(|limit| *limit <= highest) {
        line(format!("<path d=\"M{LEFT} {at:.0}H{RIGHT}\" {RED}/>", at = y(limit)));
    }
    let points: Vec<_> = plan
        .counts
        .iter()
        .zip(measured)
        .map(|(&count, workers)| (x(count as f64), y(workers.clips_a_minute())))
        .collect();
    let path: Vec<_> = points.iter().map(|(x, y)| format!("{x:.0} {y:.0}")).collect();
    line(format!("<path d=\"M{}\" {BLUE}/>", path.join("L")));
    for (x, y) in &points {
        line(format!("<circle cx=\"{x:.0}\" cy=\"{y:.0}\" r=\"4\" fill=\"#06c\"/>"));
    }
    let budget = format!("what {} requests a minute are enough for", plan.budget);
    for (at, (stroke, name)) in
        [(BLUE, "measured"), (GREY, "as many each as one alone"), (RED, &*budget)].into_iter().enumerate()
    {
        let at = 64 + 20 * at;
        line(format!("<path d=\"M90 {at}h30\" {stroke}/><text x=\"128\" y=\"{}\">{name}</text>", at + 4));
    }
    svg.push_str("</svg>\n");
    svg
}

const BLUE: &str = "fill=\"none\" stroke=\"#06c\" stroke-width=\"2.5\"";
const GREY: &str = "fill=\"none\" stroke=\"#999\" stroke-width=\"2.5\" stroke-dasharray=\"6 4\"";
const RED: &str = "fill=\"none\" stroke=\"#c33\" stroke-width=\"2.5\" stroke-dasharray=\"6 4\"";

/// Clips a minute that the budget allows, with as many requests a clip as the most workers needed.
pub(crate) fn limit(plan: &Throughput, measured: &[Workers]) -> Option<f64> {
    let most = measured.last()?;
    let each = most.requests / most.clips_a_minute();
    each.is_normal().then(|| f64::from(plan.budget) / each)
}

/// Between two lines, such that there are some.
fn step(most: f64) -> f64 {
    [1.0, 2.0, 5.0, 10.0, 20.0, 50.0].into_iter().find(|step| most / step <= 8.0).unwrap_or(100.0)
}
