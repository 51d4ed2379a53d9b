//! B4: what a poll costs, and how few polls tell soon that a task is done.

use std::thread;

use super::at_most;
use crate::Result;
use crate::client::{Cost, Said, Waited};
use crate::ground::Ground;
use crate::player::{Asked, Kind, LIMIT_NAME, OURS, Player, Runs, rounds};
use crate::report::{Report, Row, Table, Unit};
use crate::stats;

const CPU: &str = "CPU of one poll";
const GETS: &str = "polls for one task, of 1,000 at once";
const LAG: &str = "time from the end of a task to its being known";
/// Milliseconds between two polls of one task.
const INTERVALS: [u64; 5] = [200, 400, 800, 1600, 3200];

pub(crate) fn run(ground: &Ground, report: &mut Report) -> Result<()> {
    let count = if ground.quick { 50 } else { 1000 };
    let polls = rounds(ground, &ground.players, &Asked::new("poll", vec![count.to_string()]), true);
    let per_poll = |cost: &Cost| cost.cpu_s * 1e6 / f64::from(count);
    let rows = polls.iter().map(|runs| Row::of(runs, per_poll)).collect();
    let note = format!("{count} polls one after another on one connection. The limit: one write and one read.");
    let table = Table { bench: "B4", what: CPU.to_owned(), unit: Unit::Microseconds, rows, note };
    let beside =
        format!("{LIMIT_NAME} {}", table.median(LIMIT_NAME).map_or("–".to_owned(), |us| Unit::Count.number(us)));
    report.goals.extend(at_most("B4", CPU, (table.median(OURS), 15.0), " µs", beside));
    report.tables.push(table);
    tasks(ground, report)
}

fn tasks(ground: &Ground, report: &mut Report) -> Result<()> {
    let find = |kind| ground.players.iter().find(|player| player.kind == kind).ok_or("a client is missing");
    let (ours, naive) = (find(Kind::Ours)?, find(Kind::Naive)?);
    let fixed = INTERVALS.map(|interval| {
        let name = format!("naive client, every {:.1} s", interval as f64 / 1e3);
        (Player { name, ..naive.clone() }, interval)
    });
    let pollers: Vec<(Player, u64)> = [(ours.clone(), 0)].into_iter().chain(fixed).collect();
    let mut all: Vec<Runs> =
        pollers.iter().map(|(player, _)| Runs { player: player.clone(), costs: Ok(Vec::new()) }).collect();
    let (count, median) = if ground.quick { (50, 0.3) } else { (1000, 6.0) };
    for _ in 0..ground.runs {
        ground.stub.reset(&format!("median={median}&sigma=0.2"))?;
        // All at once: each has tasks of its own, and none of them needs a whole core.
        let said: Vec<Result<Said>> = thread::scope(|scope| {
            let wait = |(player, interval): &(Player, u64)| {
                let args = vec![count.to_string(), format!("{}", median * 1e3), interval.to_string()];
                let player = player.clone();
                scope.spawn(move || player.call(ground, &Asked::new("tasks", args)))
            };
            let waiting: Vec<_> = pollers.iter().map(wait).collect();
            waiting.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err("panicked".into()))).collect()
        });
        for (runs, said) in all.iter_mut().zip(said) {
            match (said, &mut runs.costs) {
                (Ok(Said::Cost(cost)), Ok(costs)) => costs.push(cost),
                (Ok(Said::Unsupported { unsupported }), _) => runs.costs = Err(unsupported),
                (Err(error), _) => runs.costs = Err(format!("failed: {error}")),
                (Ok(Said::Cost(_)), Err(_)) => {}
            }
        }
    }
    ground.stub.reset("")?;

    let waited = |lessons: bool, value: fn(&Waited) -> f64| {
        let of = move |cost: &Cost| match &cost.polled {
            Some(polled) if lessons => value(&polled.lessons),
            Some(polled) => value(&polled.tasks),
            None => f64::NAN,
        };
        all.iter().map(|runs| Row::of(runs, of)).collect::<Vec<Row>>()
    };
    let gets: fn(&Waited) -> f64 = |waited| waited.gets_per_task;
    let lag: fn(&Waited) -> f64 = |waited| waited.lag_s * 1e3;
    let note = format!(
        "Run times are drawn from a log-normal distribution (median {median} s, σ 0.2) of which no client is told; the \
         tasks are begun at random moments within {median} s, after 50 others by which a client may learn. A second \
         here stands for about ten of the service's. The limit is one poll and no lag."
    );
    let table = |what: String, unit, rows, note: &str| Table { bench: "B4", what, unit, rows, note: note.to_owned() };
    let (gets_table, lag_table) = (
        table(GETS.to_owned(), Unit::Count, waited(false, gets), &note),
        table(LAG.to_owned(), Unit::Milliseconds, waited(false, lag), ""),
    );

    let curve = |row: &Row| Some((lag_table.median(&row.client)?.ln(), row.median()?.ln()));
    let curve: Vec<_> = gets_table.rows.iter().filter(|row| row.client != OURS).filter_map(curve).collect();
    if let (Some(gets), Some(lag)) = (gets_table.median(OURS), lag_table.median(OURS))
        && curve.len() > 1
    {
        let fixed = stats::between(&curve, lag.ln()).exp();
        let number = |value| Unit::Count.number(value);
        let beside = format!(
            "{} polls, lag {} ms; at that lag a fixed interval needs {}",
            number(gets),
            number(lag),
            number(fixed)
        );
        report.goals.extend(at_most("B4", GETS, (Some(gets / fixed), 0.5), " × a fixed interval", beside));
    }
    report.tables.push(gets_table);
    report.tables.push(lag_table);
    report.tables.push(table(format!("{GETS}: the first 50"), Unit::Count, waited(true, gets), ""));
    report.tables.push(table(format!("{LAG}: the first 50"), Unit::Milliseconds, waited(true, lag), ""));
    Ok(())
}
