//! B4: what a poll costs, and how few polls tell soon that a task is done.

use std::thread;

use super::{at_most, beside};
use crate::Result;
use crate::client::{Cost, Polled, Said};
use crate::ground::Ground;
use crate::player::{Asked, Kind, LIMIT_NAME, OURS, Player, Runs, rounds};
use crate::report::{Column, Goal, Report, Row, Table, Unit};
use crate::stats;

const CPU: &str = "CPU of one poll";
/// Columns of the table of tasks that are waited for.
const POLLS: usize = 0;
const LAG: usize = 1;
/// Milliseconds between two polls of one task.
const INTERVALS: [u64; 5] = [200, 400, 800, 1600, 3200];

pub(crate) fn run(ground: &Ground, report: &mut Report) -> Result<()> {
    let count = if ground.quick { 50 } else { 1000 };
    let polls = rounds(ground, &ground.players, &Asked::new("poll", vec![count.to_string()]), true);
    let per_poll = |cost: &Cost| cost.cpu_s * 1e6 / f64::from(count);
    let mut rows: Vec<Row> = polls.iter().map(|runs| Row::of(runs, &[&per_poll])).collect();
    let (of_tasks, waits) = tasks(ground)?;
    rows.push(of_tasks);
    let note = format!(
        "{count} polls one after another on one connection, and the CPU of our whole process while it waited for the tasks \
         below, submits included, divided by its polls. The limit: one write and one read."
    );
    let polls = Table::new("B4", CPU, vec![Column::new("CPU", Unit::Microseconds)], rows, note);
    let bare = polls.median(LIMIT_NAME, 0);
    let ours = (polls.median(OURS, 0), 15.0);
    let why_not = bare.map(|us| format!("a bare write and read take {us:.0} µs on this machine")).unwrap_or_default();
    let goal = at_most("B4", CPU, ours, " µs", beside(LIMIT_NAME, bare));
    report.goals.extend(goal.map(|goal| goal.or_else(why_not)));
    report.goals.extend(fewer_polls(&waits));
    report.tables.extend([polls, waits]);
    Ok(())
}

/// What a poll cost while many tasks were waited for, and how many there were.
fn tasks(ground: &Ground) -> Result<(Row, Table)> {
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

    let waited = |cost: &Cost, value: fn(&Polled) -> f64| cost.polled.as_ref().map_or(f64::NAN, value);
    let row = |runs: &Runs| {
        Row::of(
            runs,
            &[
                &|cost| waited(cost, |polled| polled.tasks.gets_per_task),
                &|cost| waited(cost, |polled| polled.tasks.lag_s * 1e3),
                &|cost| waited(cost, |polled| polled.lessons.gets_per_task),
                &|cost| waited(cost, |polled| polled.lessons.lag_s * 1e3),
            ],
        )
    };
    let columns = [
        ("polls", Unit::Count),
        ("lag", Unit::Milliseconds),
        ("first 50: polls", Unit::Count),
        ("first 50: lag", Unit::Milliseconds),
    ];
    let note = format!(
        "Run times are drawn from a log-normal distribution (median {median} s, σ 0.2) of which no client is told; the \
         tasks are begun at random moments within {median} s, after 50 others by which a client may learn. A second \
         here stands for ten of the service's, so ours has a tenth of its default `poll_interval`: 100 ms to 6 s. The \
         lag is the mean time from the end of a task to its being known. The limit is one poll and no lag."
    );
    let columns = columns.map(|(name, unit)| Column::new(name, unit)).into();
    let table = Table::new("B4", "polls for one task, of 1,000 at once", columns, all.iter().map(row).collect(), note);
    let per_get = |cost: &Cost| cost.cpu_s * 1e6 / waited(cost, |polled| polled.tasks.gets_per_task) / f64::from(count);
    let mut cpu = Row::of(&all[0], &[&per_get]);
    cpu.client = format!("{OURS}, 1,000 tasks at once");
    Ok((cpu, table))
}

/// How many polls we need of those that a fixed interval needs to be as late.
fn fewer_polls(waits: &Table) -> Option<Goal> {
    let point = |row: &Row| Some((row.median(LAG)?.ln(), row.median(POLLS)?.ln()));
    let fixed: Vec<_> = waits.rows.iter().filter(|row| row.client != OURS).filter_map(point).collect();
    let (polls, lag) = (waits.median(OURS, POLLS)?, waits.median(OURS, LAG)?);
    if fixed.len() < 2 {
        return None;
    }
    let fixed = stats::between(&fixed, lag.ln()).exp();
    let number = |value| Unit::Count.number(value);
    let beside = format!(
        "{} polls, lag {} ms; at that lag a fixed interval needs {}",
        number(polls),
        number(lag),
        number(fixed)
    );
    at_most("B4", &waits.what, (Some(polls / fixed), 0.5), " × a fixed interval", beside)
}
