//! B5: a video of 100 MiB, also where the connection is cut.

use super::{at_most, price_of_tls};
use crate::Result;
use crate::client::{Cost, Said};
use crate::ground::Ground;
use crate::player::{Asked, CURL, Kind, LIMIT_NAME, OURS, Runs, rounds};
use crate::report::{Report, Row, Table, Unit};

pub(crate) const MEMORY: &str = "download of 100 MiB, peak memory over idle";
const CPU: &str = "download of 100 MiB, CPU of the client";
/// What is read and written at once.
const CHUNK: f64 = 64.0;

pub(crate) fn run(ground: &Ground, report: &mut Report) -> Result<()> {
    let download = || Asked::new("download", vec![ground.folder.join("clip.mp4").display().to_string()]);
    let plain = tables(&rounds(ground, &ground.players, &download(), true), "");
    let (memory, cpu) = (&plain[0], &plain[1]);
    let limit = memory.median(LIMIT_NAME).map_or("–".to_owned(), |mib| Unit::MiB.number(mib));
    report.goals.extend(at_most("B5", MEMORY, (memory.median(OURS), 1.5), " MiB", format!("{LIMIT_NAME} {limit}")));
    if let (Some(ours), Some(curl)) = (cpu.median(OURS), cpu.median(CURL)) {
        let beside = format!("curl {} ms", Unit::Milliseconds.number(curl));
        report.goals.extend(at_most("B5", CPU, (Some(ours / curl), 1.3), " × curl -o", beside));
    }
    let secure = tables(&rounds(ground, &ground.players, &download().over_tls(), true), ", TLS");
    let price = price_of_tls(cpu, &secure[1]);
    report.tables.extend(plain.into_iter().chain(secure));
    report.tables.push(price);
    cuts(ground, &download(), report)?;
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
    let note = "Ours is checked (SHA-256, MP4 boxes) and synced to disk before it has its name; the others are not.";
    [
        table("B5", MEMORY, Unit::MiB, "The limit: one buffer of 64 KiB.", |cost| {
            cost.peak_kib.saturating_sub(cost.idle_kib) as f64 / 1024.0
        }),
        table("B5", CPU, Unit::Milliseconds, note, |cost| cost.cpu_s * 1e3),
        table("B5", "the same download, wall time", Unit::Milliseconds, "", |cost| cost.wall_s * 1e3),
    ]
}

/// What comes twice when the connection breaks off once.
fn cuts(ground: &Ground, download: &Asked, report: &mut Report) -> Result<()> {
    let whole = |cut: &str| -> Result<u64> {
        ground.stub.reset(cut)?;
        let ours = ground.players.iter().find(|player| player.kind == Kind::Ours).ok_or("we are missing")?;
        match ours.call(ground, download)? {
            Said::Cost(_) => Ok(ground.stub.counts()?.bytes_out),
            Said::Unsupported { unsupported } => Err(unsupported.into()),
        }
    };
    let size = whole("")?;
    let mut rows = Vec::new();
    for percent in [10, 50, 90] {
        let again =
            (0..ground.runs).map(|_| Ok((whole(&format!("cut={}", size * percent / 100))? - size) as f64 / 1024.0));
        let client = format!("{OURS}, cut at {percent} %");
        rows.push(Row { client, version: String::new(), values: again.collect::<Result<_>>()?, absent: None });
    }
    let most = rows.iter().flat_map(|row| &row.values).copied().fold(0.0, f64::max);
    let what = "bytes sent again after a cut";
    report.goals.extend(at_most("B5", what, (Some(most), CHUNK), " KiB", "peers: all of it"));
    let note = "In KiB. No peer goes on where it was cut; each fails, and fetches all of it again when asked again.";
    report.tables.push(Table { bench: "B5", what: what.to_owned(), unit: Unit::Count, rows, note: note.to_owned() });
    Ok(())
}
