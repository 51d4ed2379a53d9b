//! B8: what a dependent pays.

use std::path::Path;

use super::at_most;
use crate::Result;
use crate::build_cost::{self, Build, BuildCost};
use crate::ground::Ground;
use crate::player::OURS;
use crate::report::{Column, Report, Row, Table, Unit};

pub(crate) fn run(ground: &Ground, report: &mut Report) -> Result<()> {
    if ground.quick {
        return Ok(());
    }
    // Each takes minutes.
    let rounds = (ground.runs / 2).clamp(1, 3);
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let costs = build_cost::measure(&workspace, &ground.folder.join("build"), rounds)?;
    let row = |cost: &BuildCost| {
        let builds = |value: fn(&Build) -> f64| cost.builds.iter().map(value).collect();
        let values = vec![vec![cost.crates as f64], builds(|build| build.cpu_s), builds(|build| build.wall_s)];
        Row { version: cost.version.clone(), ..Row::new(cost.name, values) }
    };
    let columns = [("crates", Unit::Count), ("CPU", Unit::Seconds), ("wall", Unit::Seconds)];
    let columns = columns.map(|(name, unit)| Column::new(name, unit)).into();
    let versions: Vec<String> = costs.iter().map(|cost| format!("{} {}", cost.name, cost.version)).collect();
    let note = format!(
        "{}. Default features (and async-openai's `video`), debug profile, crates fetched beforehand, all cores. The limit: \
         no dependency, so one crate.",
        versions.join(", ")
    );
    let table = Table::new("B8", "a cold build of a dependent", columns, costs.iter().map(row).collect(), note);
    let goals = [("crates that a dependent compiles", ""), ("CPU of a cold build of a dependent", " s")];
    for (column, (what, unit)) in goals.into_iter().enumerate() {
        let others = table.rows.iter().filter(|row| row.client != OURS);
        let best = others.filter_map(|row| Some((row.client.as_str(), row.median(column)?)));
        if let Some((name, best)) = best.min_by(|a, b| a.1.total_cmp(&b.1)) {
            report.goals.extend(at_most("B8", what, (table.median(OURS, column), best), unit, name));
        }
    }
    report.tables.push(table);
    Ok(())
}
