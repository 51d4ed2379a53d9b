//! B3: many submits at once in one process.

use super::{at_most, beside, peak};
use crate::Result;
use crate::ground::Ground;
use crate::player::{Asked, Kind, NAIVE, OURS, Player, Runs, rounds};
use crate::report::{Column, Report, Row, Table, Unit};
use crate::stats;

/// A client that would need more is not asked.
const MOST_MIB: f64 = 4096.0;
/// More at once are not asked of peers: each takes a second and 200 MiB.
const MOST_OF_PEERS: usize = 16;

pub(crate) fn run(ground: &Ground, report: &mut Report) -> Result<()> {
    let counts: &[usize] = if ground.quick { &[1, 4] } else { &[1, 4, 16, 64, 256] };
    let plain = measure(ground, counts, false);
    let slope = |name| plain.median(name, counts.len());
    let peaks =
        counts.iter().enumerate().filter_map(|(column, &count)| Some((count as f64, plain.median(OURS, column)?)));
    let peaks: Vec<(f64, f64)> = peaks.collect();
    let steepest = peaks.windows(2).map(stats::slope).reduce(f64::max);
    let beside = [beside(NAIVE, slope(NAIVE)), beside("steepest step of ours", steepest)].join("; ");
    let what = "memory that one more submit at once takes";
    report.goals.extend(at_most("B3", what, (slope(OURS), 0.4), " MiB", beside));
    report.tables.push(plain);
    report.tables.push(measure(ground, counts, true));
    Ok(())
}

/// What one client came to at each count that it was asked for.
type Points = Vec<(usize, Runs)>;

/// A column for each count, and how steep the memory grows.
fn measure(ground: &Ground, counts: &[usize], tls: bool) -> Table {
    let asked = |player: &&Player| match player.kind {
        Kind::Ours | Kind::Naive => true,
        // One way to use each is enough, and the best; Node's peers do the same in the same way.
        Kind::Python => !tls && (player.best_practice || !player.name.contains(", ")),
        Kind::Node | Kind::Limit | Kind::Curl => false,
    };
    let players = ground.players.iter().filter(asked).filter(|player| player.knows("submit"));
    let mut all: Vec<(&Player, Points)> = players.map(|player| (player, Vec::new())).collect();
    for &count in counts {
        let able: Vec<_> = all.iter_mut().filter(|(player, points)| able(player, points, count)).collect();
        let submits = Asked { tls, ..Asked::submit(count, &ground.pictures) };
        // The first count warms up for the others.
        let measured = rounds(ground, able.iter().map(|(player, _)| *player), &submits, count == 1);
        for ((_, points), runs) in able.into_iter().zip(measured) {
            points.push((count, runs));
        }
    }
    let mut note = format!(
        "Medians in MiB; how far runs are apart is in benchmarks.json. The slope is the straight line closest to the \
         peaks of a run. The limit: one buffer of 48 KiB and one of 64 KiB a submit. Not asked (–): peers for more than \
         {MOST_OF_PEERS}, and nobody for what would take more than {MOST_MIB} MiB."
    );
    for (player, points) in &all {
        if let Some((count, Err(why))) = points.last().map(|(count, runs)| (count, &runs.costs))
            && points.len() > 1
        {
            note += &format!(" {} at {count}: {why}.", player.name);
        }
    }
    let mut columns: Vec<Column> = counts.iter().map(|count| Column::new(count.to_string(), Unit::Count)).collect();
    columns.push(Column::new("one more", Unit::Count));
    let rows = all.iter().map(|(_, points)| row(points, counts, ground.runs)).collect();
    let what = format!("submits of 2 × 20 MB at once, peak memory over idle{}", if tls { ", TLS" } else { "" });
    Table { spread: false, ..Table::new("B3", what, columns, rows, note) }
}

fn able(player: &Player, points: &Points, count: usize) -> bool {
    let Some((before, runs)) = points.last() else { return true };
    let needed = Row::of(runs, &[&peak]).median(0).unwrap_or(0.0) / *before as f64 * count as f64;
    runs.costs.is_ok() && needed <= MOST_MIB && (player.kind != Kind::Python || count <= MOST_OF_PEERS)
}

/// The peaks at each count, and one slope of every run. Absent is who failed at the first count.
fn row(points: &Points, counts: &[usize], runs: usize) -> Row {
    let Some((_, first)) = points.first() else { return Row::new("", Vec::new()) };
    let mut row = Row::of(first, &[]);
    for count in counts {
        let here = points.iter().find(|(asked, _)| asked == count);
        let costs = here.and_then(|(_, runs)| runs.costs.as_ref().ok());
        row.values.push(costs.map(|costs| costs.iter().map(peak).collect()).unwrap_or_default());
    }
    let point = |run: usize| {
        let peaks = counts.iter().zip(&row.values);
        peaks.filter_map(|(&count, peaks)| Some((count as f64, *peaks.get(run)?))).collect::<Vec<_>>()
    };
    let lines = (0..runs).map(point).filter(|line| line.len() > 1);
    let slopes = lines.map(|line| stats::slope(&line)).collect();
    row.values.push(slopes);
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Cost;

    #[test]
    fn a_row_has_each_count_that_was_asked_and_the_slope_of_every_run() {
        let player = Player::own(std::path::Path::new("bench")).remove(0);
        let cost = |mib| {
            let version = "1".to_owned();
            Cost { version, idle_kib: 0, peak_kib: mib << 10, cpu_s: 0.0, wall_s: 0.0, polled: None }
        };
        let runs =
            |costs: &[u64]| Runs { player: player.clone(), costs: Ok(costs.iter().copied().map(cost).collect()) };
        let points =
            vec![(1, runs(&[2, 4])), (4, runs(&[8, 4])), (16, Runs { costs: Err("no".to_owned()), ..runs(&[]) })];
        let row = row(&points, &[1, 4, 16, 64], 2);
        let expected = vec![vec![2.0, 4.0], vec![8.0, 4.0], Vec::new(), Vec::new(), vec![2.0, 0.0]];
        assert_eq!((row.values, row.absent), (expected, None));
        assert!(able(&player, &points[..2].iter().map(|(count, _)| (*count, runs(&[8]))).collect(), 16));
        assert!(!able(&player, &vec![(4, runs(&[2000]))], 16), "would take too much");
        assert!(!able(&player, &points, 64), "failed before");
    }
}
