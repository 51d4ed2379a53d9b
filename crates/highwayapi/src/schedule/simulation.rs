//! The schedule in a time of its own: a thousand tasks against a service that does as it is told. What is simulated is the
//! code that runs, not a copy. It draws `docs/polling.svg` and the table in `docs/polling.md`; how, is said there.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt::Write;
use std::ops::RangeInclusive;
use std::time::Duration;

use fastrand::Rng;

use super::budget::{Line, Turn, Wish};
use super::history::{History, Kind};
use super::price;
use crate::{DurationSeconds, Options};

/// From there on it is counted: the poller has had the chance to learn.
const LEARNT: usize = 50;

/// How long tasks run: by their number of how many.
type RunTimes = fn(&mut Rng, usize, usize) -> f64;

/// A name, the run times, and whether their kinds are told.
struct Case {
    name: &'static str,
    run_time: RunTimes,
    kinds: bool,
}

const fn case(name: &'static str, run_time: RunTimes) -> Case {
    Case { name, run_time, kinds: false }
}

/// Where half the requests are possible, see [`limit`].
const CASES: &[Case] = &[
    case("log-normal, σ 0.10", |rng, _, _| log_normal(rng, 73.0, 0.10)),
    case("log-normal, σ 0.20", |rng, _, _| log_normal(rng, 73.0, 0.20)),
    case("log-normal, σ 0.25", |rng, _, _| log_normal(rng, 73.0, 0.25)),
    case("normal, 73 ± 10 s", |rng, _, _| (73.0 + 10.0 * normal(rng)).max(5.0)),
    case("even, 60 to 120 s", |rng, _, _| 60.0 + 60.0 * rng.f64()),
    Case {
        name: "two kinds, 60 and 150 s, σ 0.20",
        run_time: |rng, at, _| log_normal(rng, [60.0, 150.0][at % 2], 0.20),
        kinds: true,
    },
    case("60 or 150 s, σ 0.10, kinds not told", |rng, _, _| {
        let median = [60.0, 150.0][rng.usize(..2)];
        log_normal(rng, median, 0.10)
    }),
    case("twice as slow half-way, σ 0.20", |rng, at, of| {
        log_normal(rng, if at < of / 2 { 73.0 } else { 146.0 }, 0.20)
    }),
    case("twice as fast half-way, σ 0.20", |rng, at, of| log_normal(rng, if at < of / 2 { 73.0 } else { 36.5 }, 0.20)),
];

/// Where nobody can do with half.
const WIDE: &[Case] = &[
    case("log-normal, σ 0.30", |rng, _, _| log_normal(rng, 73.0, 0.30)),
    case("log-normal, σ 0.35", |rng, _, _| log_normal(rng, 73.0, 0.35)),
    case("exponential", |rng, _, _| -73.0 * (1.0 - rng.f64()).ln()),
];

fn normal(rng: &mut Rng) -> f64 {
    (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()
}

fn log_normal(rng: &mut Rng, median: f64, sigma: f64) -> f64 {
    median * (sigma * normal(rng)).exp()
}

/// How tasks come, and what the service says.
#[derive(Clone)]
struct World {
    tasks: usize,
    /// So many are submitted at once, and another one whenever one is done; or one every so many seconds.
    come: Come,
    pauses: RangeInclusive<Duration>,
    budget: Option<u32>,
    /// The first request after this time is refused, with the wish to be left alone for so long.
    refusal: Option<(Duration, Duration)>,
}

#[derive(Clone, Copy)]
enum Come {
    Together(usize),
    Every(f64),
}

impl World {
    fn new(come: Come) -> Self {
        let tasks = if let Come::Together(at_once) = come { 4 * at_once } else { 1000 };
        Self { tasks, come, pauses: pauses(1.0), budget: None, refusal: None }
    }
}

fn pauses(shortest: f64) -> RangeInclusive<Duration> {
    Duration::from_secs_f64(shortest)..=Duration::from_secs(60)
}

#[derive(Default)]
struct Outcome {
    /// Polls per task, and seconds from being done until that was seen, of those that were seen after [`LEARNT`] others.
    gets: f64,
    lag: f64,
    /// How long those ran.
    ran: Vec<f64>,
    finished: usize,
    /// When each request was sent, submits too.
    sent: Vec<Duration>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// Somebody may have the turn now.
    Line,
    Submit(usize),
    Poll(usize),
}

struct Simulation<'a> {
    case: &'a Case,
    world: &'a World,
    rng: Rng,
    history: History,
    line: Line<Event>,
    events: BinaryHeap<Reverse<(Duration, Event)>>,
    run_times: Vec<f64>,
    submitted: Vec<Duration>,
    /// The age at which each was last seen running.
    running: Vec<f64>,
    next: usize,
    refused: bool,
    outcome: Outcome,
}

fn simulate(case: &Case, world: &World) -> Outcome {
    let mut rng = Rng::with_seed(7);
    let tasks = world.tasks;
    let simulation = Simulation {
        run_times: (0..tasks).map(|at| (case.run_time)(&mut rng, at, tasks)).collect(),
        case,
        world,
        rng,
        history: History::new(),
        line: Line::new(world.budget),
        events: BinaryHeap::new(),
        submitted: vec![Duration::ZERO; tasks],
        running: vec![0.0; tasks],
        next: 0,
        refused: false,
        outcome: Outcome::default(),
    };
    simulation.run()
}

impl Simulation<'_> {
    fn run(mut self) -> Outcome {
        match self.world.come {
            Come::Together(at_once) => (0..at_once).for_each(|_| self.submit_another(Duration::ZERO)),
            Come::Every(seconds) => {
                (0..self.world.tasks).for_each(|at| self.submit_another(Duration::from_secs_f64(at as f64 * seconds)));
            }
        }
        while let Some(Reverse((now, event))) = self.events.pop() {
            let wish = match event {
                Event::Line => None,
                Event::Submit(_) => Some(Wish::Submit(now)),
                Event::Poll(_) => Some(Wish::Poll(now)),
            };
            if let Some(wish) = wish
                && self.line.enter(wish, now, || event).is_none()
            {
                self.send(event, now);
            }
            while let Some((place, &first)) = self.line.first(now) {
                match self.line.turn(place, now) {
                    Turn::Go => self.send(first, now),
                    Turn::At(at) => {
                        self.events.push(Reverse((at, Event::Line)));
                        break;
                    }
                    Turn::Later(_) => unreachable!("it is the first"),
                }
            }
        }
        let counted = self.outcome.ran.len() as f64;
        self.outcome.gets /= counted;
        self.outcome.lag /= counted;
        self.outcome
    }

    fn submit_another(&mut self, at: Duration) {
        if self.next < self.world.tasks {
            self.events.push(Reverse((at, Event::Submit(self.next))));
            self.next += 1;
        }
    }

    fn kind(&self, task: usize) -> Option<Kind> {
        let length = [DurationSeconds::Four, DurationSeconds::Eight][task % 2];
        self.case.kinds.then(|| Kind::of(&Options { duration_seconds: Some(length), ..Options::default() }))
    }

    fn send(&mut self, event: Event, now: Duration) {
        self.outcome.sent.push(now);
        if let Some((_, wish)) = self.world.refusal.filter(|&(from, _)| now >= from && !self.refused) {
            self.refused = true;
            self.line.close(now + wish, self.rng.f64());
            self.events.push(Reverse((now + wish, event)));
            return;
        }
        match event {
            Event::Submit(task) => {
                self.submitted[task] = now;
                self.ask_later(task, 0.0, now);
            }
            Event::Poll(task) => self.poll(task, now),
            Event::Line => {}
        }
    }

    fn poll(&mut self, task: usize, now: Duration) {
        let age = (now - self.submitted[task]).as_secs_f64();
        let (run_time, from) = (self.run_times[task], self.running[task]);
        let (done, counted) = (age >= run_time, self.outcome.finished >= LEARNT);
        self.outcome.gets += f64::from(u8::from(counted));
        self.history.observe(self.kind(task), from, age, done);
        self.running[task] = age;
        if !done {
            return self.ask_later(task, age, now);
        }
        self.outcome.finished += 1;
        if counted {
            self.outcome.lag += age - run_time;
            self.outcome.ran.push(run_time);
        }
        if let Come::Together(_) = self.world.come {
            self.submit_another(now);
        }
    }

    fn ask_later(&mut self, task: usize, age: f64, now: Duration) {
        let outlook = self.history.outlook(self.kind(task));
        let pause = outlook.pause(age, price(&self.world.pauses), &self.world.pauses, self.rng.f64());
        self.events.push(Reverse((now + pause, Event::Poll(task))));
    }
}

/// Polls per task and mean lag of a poller that asks evenly.
fn fixed(run_times: &[f64], interval: f64) -> (f64, f64) {
    let gets = run_times.iter().map(|run_time| (run_time / interval).ceil()).sum::<f64>();
    means(run_times, gets, gets * interval)
}

/// The same of one whose pauses grow from a second.
fn backoff(run_times: &[f64], growth: f64) -> (f64, f64) {
    let (mut gets, mut ages) = (0.0, 0.0);
    for &run_time in run_times {
        let (mut age, mut pause) = (0.0, 1.0);
        while age < run_time {
            (age, pause, gets) = (age + pause, pause * growth, gets + 1.0);
        }
        ages += age;
    }
    means(run_times, gets, ages)
}

fn means(run_times: &[f64], gets: f64, ages: f64) -> (f64, f64) {
    let count = run_times.len() as f64;
    (gets / count, (ages - run_times.iter().sum::<f64>()) / count)
}

/// Polls per task of the fixed interval that has this mean lag.
fn fixed_at_lag(run_times: &[f64], lag: f64) -> f64 {
    let (mut low, mut high) = (0.01, 1000.0);
    for _ in 0..40 {
        let middle = (low + high) / 2.0;
        if fixed(run_times, middle).1 < lag { low = middle } else { high = middle }
    }
    fixed(run_times, low).0
}

/// Polls per task and mean lag of the best that is possible, by somebody who knows the distribution: the least of
/// `price` for each poll and one for each second of lag, computed backwards over all ages.
fn limit(run_times: &RunTimes, price: f64) -> (f64, f64) {
    const TICK: f64 = 0.5;
    const TICKS: usize = 1200;
    let mut rng = Rng::with_seed(1);
    let (count, mut done) = (50_000, vec![0.0; TICKS + 1]);
    for _ in 0..count {
        done[((run_times(&mut rng, 0, 2) / TICK) as usize).min(TICKS)] += 1.0 / f64::from(count);
    }
    let mut left = vec![0.0; TICKS + 1];
    (0..TICKS).rev().for_each(|at| left[at] = left[at + 1] + done[at]);
    // Cost, polls and lag from each age on, of those that are left then.
    let mut from = vec![(0.0, 0.0, 0.0); TICKS + 1];
    for at in (0..TICKS).rev().filter(|&at| left[at] > 0.0) {
        let (mut best, mut ended, mut lag) = ((f64::MAX, 0.0, 0.0), 0.0, 0.0);
        for next in at + 1..=TICKS {
            lag += (ended + done[next - 1] / 2.0) * TICK;
            ended += done[next - 1];
            let cost = price * left[at] + lag + from[next].0;
            if cost < best.0 {
                best = (cost, left[at] + from[next].1, lag + from[next].2);
            }
            if lag > best.0 {
                break;
            }
        }
        from[at] = best;
    }
    (from[0].1, from[0].2)
}

/// Polls as a share of those of the best fixed interval at the same lag.
fn share(outcome: &Outcome) -> f64 {
    outcome.gets / fixed_at_lag(&outcome.ran, outcome.lag)
}

/// A thousand in flight from the first moment, and one every 1.2 s, as a budget of 50 submits a minute allows.
const COMINGS: [Come; 2] = [Come::Together(1000), Come::Every(1.2)];

#[test]
fn half_the_polls_of_the_best_fixed_interval_at_the_same_lag() {
    for case in CASES {
        for come in COMINGS {
            let outcome = simulate(case, &World::new(come));
            assert_eq!(outcome.finished, World::new(come).tasks);
            let share = share(&outcome);
            assert!(share <= 0.5, "{}: {:.2} polls, lag {:.2} s: {share:.3}", case.name, outcome.gets, outcome.lag);
        }
    }
}

/// Where run times scatter so widely that half is beyond whoever knows their distribution, it comes close to them.
#[test]
fn where_half_is_impossible_it_is_close_to_what_is_possible() {
    for case in WIDE {
        let (gets, lag) = limit(&case.run_time, 0.5);
        let mut rng = Rng::with_seed(3);
        let run_times: Vec<_> = (0..4000).map(|at| (case.run_time)(&mut rng, at, 8000)).collect();
        let possible = gets / fixed_at_lag(&run_times, lag);
        for come in COMINGS {
            let share = share(&simulate(case, &World::new(come)));
            assert!(possible > 0.48 && share <= 1.13 * possible, "{}: {share:.3} of {possible:.3}", case.name);
        }
    }
}

/// The most requests that were sent in any time of this length.
fn most_within(sent: &[Duration], time: Duration) -> usize {
    let mut first = 0;
    let within = sent.iter().enumerate().map(|(at, &now)| {
        while sent[first] + time <= now {
            first += 1;
        }
        at + 1 - first
    });
    within.max().unwrap_or_default()
}

#[test]
fn no_minute_has_more_requests_than_the_budget() {
    for budget in [50, 600] {
        for come in [Come::Together(250), Come::Every(1.2)] {
            let world = World { budget: Some(budget), tasks: 1000, ..World::new(come) };
            let outcome = simulate(&CASES[1], &world);
            assert_eq!(outcome.finished, world.tasks);
            let most = most_within(&outcome.sent, Duration::from_secs(60));
            assert!(most <= budget as usize, "{most} of {budget}");
            // What there is is used.
            assert!(most >= budget as usize - 1 || matches!(world.come, Come::Every(_)), "{most} of {budget}");
        }
    }
}

/// Twenty minutes of submits alone: whoever only let them go first would see no clip before the last of them was sent.
#[test]
fn a_batch_beyond_the_budget_is_seen_done_while_it_is_submitted() {
    let world = World { budget: Some(50), tasks: 1000, ..World::new(Come::Together(1000)) };
    let outcome = simulate(&CASES[1], &world);
    assert!(outcome.gets < 1.1 && outcome.lag < 90.0, "{} polls, lag {} s", outcome.gets, outcome.lag);
    // Two requests for a task, 50 a minute: nothing can be quicker by more than a few per cent.
    assert!(outcome.sent.last().is_some_and(|&last| last < Duration::from_secs(2600)));
}

#[test]
fn a_wish_to_be_left_alone_is_for_all_and_nobody_rushes_back() {
    let (from, wish) = (Duration::from_secs(100), Duration::from_secs(30));
    for budget in [None, Some(600)] {
        let world = World { budget, tasks: 1000, refusal: Some((from, wish)), ..World::new(Come::Together(1000)) };
        let outcome = simulate(&CASES[1], &world);
        assert_eq!(outcome.finished, world.tasks);
        let refused = outcome.sent.iter().position(|&sent| sent >= from).expect("a refusal");
        let end = outcome.sent[refused] + wish;
        let (later, after) = (outcome.sent[refused + 1], &outcome.sent[refused + 1..]);
        assert!(later >= end, "{later:?}");
        // A sixtieth of the budget, or as many as go without one.
        let share = budget.map_or(51, |budget| budget as usize / 60 + 1);
        let soon = after.iter().take_while(|&&sent| sent < end + Duration::from_secs(10)).copied().collect::<Vec<_>>();
        let most = most_within(&soon, Duration::from_secs(1));
        assert!(most <= share && soon.len() > share, "{most} in a second, {} in ten", soon.len());
    }
}

/// The table and the picture of the documentation. With HIGHWAY_REDRAW set they are written.
#[test]
fn the_documentation_shows_what_the_code_does() {
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");
    let (picture, text) = (format!("{docs}/polling.svg"), format!("{docs}/polling.md"));
    let (begin, end) = ("<!-- simulated -->\n", "<!-- end -->");
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let old = read(&text);
    let (before, rest) = old.split_once(begin).expect("a place for the table");
    let (_, after) = rest.split_once(end).expect("an end of the table");
    let new = format!("{before}{begin}{}{end}{after}", table());
    let drawing = drawing();
    if std::env::var_os("HIGHWAY_REDRAW").is_some() {
        std::fs::write(&text, &new).expect("the text");
        std::fs::write(&picture, &drawing).expect("the picture");
    }
    let same = alike(&read(&text), &new) && alike(&read(&picture), &drawing);
    assert!(same, "docs/polling.* is of other code: HIGHWAY_REDRAW=1");
}

/// The same words, and nearly the same numbers: logarithms differ in their last bit from one machine to the next.
fn alike(one: &str, other: &str) -> bool {
    let is_number = |letter: char| letter.is_ascii_digit() || letter == '.';
    let words = |text: &str| text.split(is_number).filter(|word| !word.is_empty()).collect::<String>();
    let numbers = |text: &str| -> Vec<f64> {
        text.split(|letter| !is_number(letter)).filter_map(|number| number.trim_matches('.').parse().ok()).collect()
    };
    let (ours, theirs) = (numbers(one), numbers(other));
    let close = |(one, other): (&f64, &f64)| (one - other).abs() <= 0.05 + one.abs() * 0.05;
    words(one) == words(other) && ours.len() == theirs.len() && ours.iter().zip(&theirs).all(close)
}

fn table() -> String {
    let mut table = "\n| run times | polls | lag | of fixed | at best |\n| --- | --: | --: | --: | --: |\n".to_owned();
    for case in CASES.iter().chain(WIDE) {
        let outcome = simulate(case, &World::new(Come::Every(1.2)));
        let shifting = case.kinds || case.name.contains("half-way");
        let best = if shifting {
            "".to_owned()
        } else {
            let (gets, lag) = limit(&case.run_time, 0.5);
            format!("{:.2}", gets / fixed_at_lag(&outcome.ran, lag))
        };
        let (gets, lag, share) = (outcome.gets, outcome.lag, share(&outcome));
        writeln!(table, "| {} | {gets:.1} | {lag:.1} s | {share:.2} | {best} |", case.name).expect("memory");
    }
    table.push('\n');
    table
}

/// A name, a colour, and points of polls per task and mean lag.
type Curve<'a> = (&'a str, &'a str, Vec<(f64, f64)>);

fn drawing() -> String {
    let case = &CASES[1];
    let eager = |shortest: f64| simulate(case, &World { pauses: pauses(shortest), ..World::new(Come::Every(1.2)) });
    let run_times = eager(1.0).ran;
    let curves: [Curve<'_>; 4] = [
        ("exponential backoff", "#999", [1.05, 1.08, 1.12, 1.2, 1.3].map(|by| backoff(&run_times, by)).to_vec()),
        ("fixed interval", "#c33", [1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0].map(|by| fixed(&run_times, by)).to_vec()),
        (
            "this client",
            "#06c",
            [0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0].map(eager).map(|ours| (ours.gets, ours.lag)).to_vec(),
        ),
        (
            "the best possible",
            "#2a2",
            [0.05, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0].map(|by| limit(&case.run_time, by)).to_vec(),
        ),
    ];
    // Logarithmic: 0.5 to 12 s from left to right, 1 to 60 polls upwards.
    let x = |lag: f64| 70.0 + 560.0 * (lag / 0.5).ln() / 24f64.ln();
    let y = |gets: f64| 340.0 - 300.0 * gets.ln() / 60f64.ln();
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 680 400\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"680\" height=\"400\" fill=\"#fff\"/>\n",
    );
    for lag in [0.5, 1.0, 2.0, 4.0, 8.0] {
        let at = x(lag);
        writeln!(svg, "<path d=\"M{at:.0} 40V340\" stroke=\"#ddd\"/><text x=\"{at:.0}\" y=\"358\" text-anchor=\"middle\">{lag} s</text>").expect("memory");
    }
    for gets in [1.0, 2.0, 5.0, 10.0, 20.0, 50.0] {
        let at = y(gets);
        writeln!(
            svg,
            "<path d=\"M70 {at:.0}H630\" stroke=\"#ddd\"/><text x=\"62\" y=\"{:.0}\" text-anchor=\"end\">{gets}</text>",
            at + 4.0
        )
        .expect("memory");
    }
    svg.push_str(
        "<text x=\"350\" y=\"384\" text-anchor=\"middle\">mean lag between done and seen</text>\n\
         <text x=\"70\" y=\"24\">polls per task; run times log-normal around 73 s, σ 0.20</text>\n",
    );
    for (at, (name, colour, points)) in curves.iter().enumerate() {
        let inside = points.iter().filter(|(gets, lag)| (0.5..=12.0).contains(lag) && *gets <= 60.0);
        let points: Vec<_> = inside.map(|&(gets, lag)| format!("{:.0} {:.0}", x(lag), y(gets))).collect();
        let line = points.join("L");
        writeln!(svg, "<path d=\"M{line}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2.5\"/>").expect("memory");
        let legend = 260 + 20 * at;
        writeln!(svg, "<path d=\"M90 {legend}h30\" stroke=\"{colour}\" stroke-width=\"2.5\"/><text x=\"128\" y=\"{}\">{name}</text>", legend + 4).expect("memory");
    }
    svg.push_str("</svg>\n");
    svg
}
