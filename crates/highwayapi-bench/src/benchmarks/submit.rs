//! B1 and B2: one submit of two pictures of 20 MB.

use super::{CPU, LIMIT_OF_TLS, MEMORY, at_most, beside, costs};
use crate::Result;
use crate::client::Said;
use crate::ground::Ground;
use crate::player::{Asked, CURL, Kind, LIMIT_NAME, NAIVE, OURS, rounds};
use crate::report::{Column, Report, Table, Unit};

pub(crate) const SUBMIT: &str = "one submit of 2 × 20 MB";
const SENT: usize = 3;
const LIMIT: &str = "The limit: 40 MB read by a buffer of 48 KiB, encoded into another, and those 53.3 MB written to the \
                     socket. Sent are MB (10^6 bytes) of all bodies, counted by the stub in one call: some upload the \
                     pictures as they are, and what openai offers takes one picture only.";

pub(crate) fn run(ground: &Ground, report: &mut Report) -> Result<()> {
    let submit = Asked::submit(1, &ground.pictures);
    let plain = rounds(ground, &ground.players, &submit, true);
    let mut table = costs("B1, B2", SUBMIT.to_owned(), &plain, LIMIT);
    count_sent(ground, &submit, &mut table)?;
    let names = [LIMIT_NAME, NAIVE].map(|name| beside(name, table.median(name, MEMORY))).join(", ");
    let (memory, cpu) = (format!("{SUBMIT}, peak memory over idle"), format!("{SUBMIT}, CPU of the client"));
    let ours = table.median(OURS, MEMORY);
    report.goals.extend(at_most("B1", &memory, (ours, 1.5), " MiB", names));

    let times = |other: f64| table.median(OURS, CPU).map(|ours| ours / other);
    if let Some(curl) = table.median(CURL, CPU) {
        let beside = beside(CURL, Some(curl)) + " ms";
        report.goals.extend(at_most("B2", &cpu, (times(curl), 1.5), " × curl -T", beside));
    }
    // Others send less, such as one picture, or pictures that are not Base64.
    let same = |name: &str| table.median(name, SENT) >= table.median(OURS, SENT).map(|ours| ours * 0.99);
    let pythons = plain.iter().filter(|runs| runs.player.kind == Kind::Python);
    let pythons = pythons.filter(|runs| !runs.player.best_practice && same(&runs.player.name));
    let medians = pythons.filter_map(|runs| Some((runs.player.name.as_str(), table.median(&runs.player.name, CPU)?)));
    if let Some((name, python)) = medians.min_by(|a, b| a.1.total_cmp(&b.1)) {
        let beside = beside(name, Some(python)) + " ms";
        let unit = " × the best Python SDK";
        report.goals.extend(at_most("B2", &cpu, (times(python), 0.1), unit, beside));
    }
    report.tables.push(table);
    let secure = rounds(ground, &ground.players, &submit.over_tls(), true);
    report.tables.push(costs("B1, B2", format!("{SUBMIT}, TLS"), &secure, LIMIT_OF_TLS));
    Ok(())
}

/// Another column: how much each client sends, for not all of them do the same.
fn count_sent(ground: &Ground, submit: &Asked, table: &mut Table) -> Result<()> {
    table.columns.push(Column::new("sent, MB", Unit::Count));
    for row in &mut table.rows {
        let player = ground.players.iter().find(|player| player.name == row.client).ok_or("a client is missing")?;
        if row.absent.is_some() {
            continue;
        }
        ground.stub.reset("")?;
        let said = player.call(ground, submit);
        let sent = ground.stub.counts()?.bytes_in as f64 / 1e6;
        row.values.push(if matches!(said, Ok(Said::Cost(_))) { vec![sent] } else { Vec::new() });
    }
    Ok(())
}
