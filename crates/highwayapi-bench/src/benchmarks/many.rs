//! B3: many submits at once in one process.

use super::at_most;
use crate::Result;
use crate::ground::Ground;
use crate::player::{Asked, Kind, LIMIT_NAME, NAIVE, OURS, Player, Runs, rounds};
use crate::report::{Report, Row, Table, Unit};
use crate::stats;

const SLOPE: &str = "memory that one more submit at once takes";
/// A client that would need more is not asked.
const MOST_MIB: f64 = 4096.0;
/// More at once are not asked of peers: each takes a second and 200 MiB.
const MOST_OF_PEERS: usize = 16;

pub(crate) fn run(ground: &Ground, report: &mut Report) -> Result<()> {
    let counts: &[usize] = if ground.quick { &[1, 4] } else { &[1, 4, 16, 64, 256] };
    let plain = measure(ground, counts, false, report);
    let number = |mib: Option<f64>| mib.map_or("–".to_owned(), |mib| Unit::MiB.number(mib));
    let peaks = counts.iter().filter_map(|&count| {
        let table = report.table("B3", &at_once(count, ""))?;
        Some((count as f64, table.median(OURS)?))
    });
    let peaks: Vec<(f64, f64)> = peaks.collect();
    let steps = peaks.windows(2).map(stats::slope).reduce(f64::max);
    let beside = format!("{NAIVE} {}; steepest step of ours {}", number(plain.median(NAIVE)), number(steps));
    report.goals.extend(at_most("B3", SLOPE, (plain.median(OURS), 0.4), " MiB", beside));
    report.tables.push(plain);
    let secure = measure(ground, counts, true, report);
    report.tables.push(secure);
    Ok(())
}

/// A table for each count goes into the report; what comes back is how steep the memory grows.
fn measure(ground: &Ground, counts: &[usize], tls: bool, report: &mut Report) -> Table {
    let how = if tls { ", TLS" } else { "" };
    let asked = |player: &&Player| match player.kind {
        Kind::Ours | Kind::Naive => true,
        // One way to use each is enough; Node's peers do the same in the same way.
        Kind::Python => !tls && !player.name.contains(','),
        Kind::Node => false,
        Kind::Limit | Kind::Curl => false,
    };
    let players: Vec<&Player> = ground.players.iter().filter(asked).collect();
    let mut slopes: Vec<(Player, Vec<(usize, Runs)>)> =
        players.iter().map(|&player| (player.clone(), Vec::new())).collect();
    for &count in counts {
        let able = slopes.iter().map(|(player, points)| match points.last() {
            Some((_, runs)) if runs.costs.is_err() => Err("see above".to_owned()),
            Some(_) if player.kind == Kind::Python && count > MOST_OF_PEERS => {
                Err(format!("peers are asked for {MOST_OF_PEERS} at most"))
            }
            Some((before, runs)) => {
                let needed = Row::of(runs, peak).median().unwrap_or(0.0) / *before as f64 * count as f64;
                if needed > MOST_MIB { Err(format!("would take {needed:.0} MiB")) } else { Ok(()) }
            }
            None => Ok(()),
        });
        let able: Vec<_> = able.collect();
        let asked = slopes.iter().zip(&able).filter(|(_, able)| able.is_ok()).map(|((player, _), _)| player);
        let submits = Asked { tls, ..Asked::submit(count, &ground.pictures) };
        // The first count warms up for the others.
        let mut measured = rounds(ground, asked, &submits, count == 1).into_iter();
        let mut rows = Vec::new();
        for ((player, points), able) in slopes.iter_mut().zip(able) {
            match able {
                Err(why) => rows.push(Row::of(&Runs { player: player.clone(), costs: Err(why) }, peak)),
                Ok(()) => {
                    let Some(runs) = measured.next() else { continue };
                    rows.push(Row::of(&runs, peak));
                    points.push((count, runs));
                }
            }
        }
        let what = at_once(count, how);
        report.tables.push(Table { bench: "B3", what, unit: Unit::MiB, rows, note: String::new() });
    }
    let rows = slopes.iter().map(|(player, points)| slope(player, points, ground.runs)).collect();
    let note = format!("The straight line closest to the peaks of every run. {LIMIT_NAME}: its buffers, see B1.");
    Table { bench: "B3", what: format!("{SLOPE}{how}"), unit: Unit::MiB, rows, note }
}

fn at_once(count: usize, how: &str) -> String {
    format!("{count} submits at once, peak memory over idle{how}")
}

fn peak(cost: &crate::client::Cost) -> f64 {
    cost.peak_kib.saturating_sub(cost.idle_kib) as f64 / 1024.0
}

/// One slope of every run.
fn slope(player: &Player, points: &[(usize, Runs)], runs: usize) -> Row {
    let point =
        |run: usize, (count, runs): &(usize, Runs)| Some((*count as f64, peak(runs.costs.as_ref().ok()?.get(run)?)));
    let line = |run| -> Vec<_> { points.iter().filter_map(|counted| point(run, counted)).collect() };
    let lines = (0..runs).map(line).filter(|line| line.len() > 1);
    let values: Vec<f64> = lines.map(|line| stats::slope(&line)).collect();
    let mut row = Row::of(&Runs { player: player.clone(), costs: Ok(Vec::new()) }, peak);
    row.absent = values.is_empty().then(|| "fewer than two counts".to_owned());
    let costs = points.iter().filter_map(|(_, runs)| runs.costs.as_ref().ok()?.first());
    row.version = costs.map(|cost| cost.version.clone()).next().unwrap_or_default();
    Row { values, ..row }
}
