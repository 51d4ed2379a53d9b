//! B1 and B2: one submit of two pictures of 20 MB.

use super::{at_most, price_of_tls};
use crate::Result;
use crate::client::{Cost, Said};
use crate::ground::Ground;
use crate::player::{Asked, CURL, Kind, LIMIT_NAME, NAIVE, OURS, Runs, rounds};
use crate::report::{Report, Row, Table, Unit};

pub(crate) const MEMORY: &str = "one submit of 2 × 20 MB, peak memory over idle";
pub(crate) const CPU: &str = "one submit of 2 × 20 MB, CPU of the client";

pub(crate) fn run(ground: &Ground, report: &mut Report) -> Result<()> {
    let submit = Asked::submit(1, &ground.pictures);
    let plain = rounds(ground, &ground.players, &submit, true);
    let tables = tables(&plain, "");
    let (memory, cpu) = (&tables[0], &tables[1]);
    let beside =
        |name: &str| format!("{name} {}", memory.median(name).map_or("–".to_owned(), |mib| Unit::MiB.number(mib)));
    let beside = [LIMIT_NAME, NAIVE].map(beside).join(", ");
    report.goals.extend(at_most("B1", MEMORY, (memory.median(OURS), 1.5), " MiB", beside));

    let times = |other: f64| cpu.median(OURS).map(|ours| ours / other);
    if let Some(curl) = cpu.median(CURL) {
        let beside = format!("curl {} ms", Unit::Milliseconds.number(curl));
        report.goals.extend(at_most("B2", CPU, (times(curl), 1.5), " × curl -T", beside));
    }
    let wire = wire(ground, &submit)?;
    // Others send less, such as one picture, or pictures that are not Base64.
    let same = |name: &str| wire.median(name) >= wire.median(OURS).map(|ours| ours * 0.99);
    let pythons = plain.iter().filter(|runs| runs.player.kind == Kind::Python);
    let pythons = pythons.filter(|runs| !runs.player.best_practice && same(&runs.player.name));
    let medians = pythons.filter_map(|runs| Some((runs.player.name.as_str(), cpu.median(&runs.player.name)?)));
    if let Some((name, python)) = medians.min_by(|a, b| a.1.total_cmp(&b.1)) {
        let beside = format!("{name} {} ms", Unit::Milliseconds.number(python));
        report.goals.extend(at_most("B2", CPU, (times(python), 0.1), " × the best Python SDK", beside));
    }
    let secure = self::tables(&rounds(ground, &ground.players, &submit.over_tls(), true), ", TLS");
    let price = price_of_tls(cpu, &secure[1]);
    report.tables.extend(tables.into_iter().chain([wire]).chain(secure));
    report.tables.push(price);
    Ok(())
}

fn tables(runs: &[Runs], how: &str) -> [Table; 3] {
    let table = |bench, what: &str, unit, note: &str, value: fn(&Cost) -> f64| Table {
        bench,
        what: format!("{what}{how}"),
        unit,
        rows: runs.iter().map(|runs| Row::of(runs, value)).collect(),
        note: note.to_owned(),
    };
    [
        table("B1", MEMORY, Unit::MiB, "The limit: one buffer of 48 KiB and one for its Base64.", |cost| {
            cost.peak_kib.saturating_sub(cost.idle_kib) as f64 / 1024.0
        }),
        table(
            "B2",
            CPU,
            Unit::Milliseconds,
            "The limit: 40 MB read, 53.3 MB encoded, and those written to the socket.",
            |cost| cost.cpu_s * 1e3,
        ),
        table("B2", "the same submit, wall time", Unit::Milliseconds, "", |cost| cost.wall_s * 1e3),
    ]
}

/// How much each client sends: not all of them do the same.
fn wire(ground: &Ground, submit: &Asked) -> Result<Table> {
    let mut rows = Vec::new();
    for player in &ground.players {
        ground.stub.reset("")?;
        let said = match player.lacks("submit") {
            None => player.call(ground, submit),
            Some(why) => Err(why.into()),
        };
        let bytes = ground.stub.counts()?.bytes_in as f64 / 1e6;
        let (version, values, absent) = match said {
            Ok(Said::Cost(cost)) => (cost.version, vec![bytes], None),
            Ok(Said::Unsupported { unsupported }) => (String::new(), Vec::new(), Some(unsupported)),
            Err(error) => (String::new(), Vec::new(), Some(error.to_string())),
        };
        rows.push(Row { client: player.name.clone(), version, values, absent });
    }
    let note = "In MB (10^6 bytes), counted by the stub in one call. Not all do the same: some upload the pictures as \
                they are, and what openai offers takes one picture only.";
    let what = "the same submit, bytes of its bodies on the wire".to_owned();
    Ok(Table { bench: "B2", what, unit: Unit::Count, rows, note: note.to_owned() })
}
