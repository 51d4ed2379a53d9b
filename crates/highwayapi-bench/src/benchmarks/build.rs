//! B8: what a dependent pays.

use std::path::Path;

use super::at_most;
use crate::Result;
use crate::build_cost::{self, Build, BuildCost};
use crate::ground::Ground;
use crate::report::{Report, Row, Table, Unit};

const CRATES: &str = "crates that a dependent compiles";
const CPU: &str = "CPU of a cold build of a dependent";

pub(crate) fn run(ground: &Ground, report: &mut Report) -> Result<()> {
    if ground.quick {
        return Ok(());
    }
    // Each takes minutes.
    let rounds = (ground.runs / 2).clamp(1, 3);
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let costs = build_cost::measure(&workspace, &ground.folder.join("build"), rounds)?;
    let row = |cost: &BuildCost, values| Row {
        client: cost.name.to_owned(),
        version: cost.version.clone(),
        values,
        absent: None,
    };
    let builds = |value: fn(&Build) -> f64| {
        costs.iter().map(|cost| row(cost, cost.builds.iter().map(value).collect())).collect::<Vec<_>>()
    };
    let crates = costs.iter().map(|cost| row(cost, vec![cost.crates as f64])).collect();
    let note = "Default features (and async-openai's `video`), debug profile, crates fetched beforehand, all cores.";
    let table =
        |what: &str, unit, rows| Table { bench: "B8", what: what.to_owned(), unit, rows, note: note.to_owned() };
    let tables = [
        table(CRATES, Unit::Count, crates),
        table(CPU, Unit::Seconds, builds(|build| build.cpu_s)),
        table("wall time of that build", Unit::Seconds, builds(|build| build.wall_s)),
    ];
    for table in &tables[..2] {
        let others = table.rows.iter().filter(|row| row.client != "highwayapi");
        let best =
            others.filter_map(|row| Some((row.client.as_str(), row.median()?))).min_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((name, best)) = best {
            let unit = if table.what == CRATES { "" } else { " s" };
            report.goals.extend(at_most("B8", &table.what, (table.median("highwayapi"), best), unit, name));
        }
    }
    report.tables.extend(tables);
    Ok(())
}
