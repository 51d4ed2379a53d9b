//! B5: a video of 100 MiB, also where the connection is cut.

use super::{CPU, LIMIT_OF_TLS, MEMORY, at_most, beside, costs};
use crate::Result;
use crate::client::Said;
use crate::ground::Ground;
use crate::player::{Asked, CURL, Kind, LIMIT_NAME, OURS, rounds};
use crate::report::{Column, Report, Row, Table, Unit};

pub(crate) const DOWNLOAD: &str = "download of 100 MiB";
/// What is read and written at once.
const CHUNK: f64 = 64.0;
const LIMIT: &str = "The limit: one buffer of 64 KiB, filled from the socket and written to the file. Ours is checked \
                     (SHA-256, MP4 boxes) and synced to disk before it has its name; the others are not.";

pub(crate) fn run(ground: &Ground, report: &mut Report) -> Result<()> {
    let download = || Asked::new("download", vec![ground.folder.join("clip.mp4").display().to_string()]);
    let plain = costs("B5", DOWNLOAD.to_owned(), &rounds(ground, &ground.players, &download(), true), LIMIT);
    let what = format!("{DOWNLOAD}, peak memory over idle");
    let limit = beside(LIMIT_NAME, plain.median(LIMIT_NAME, MEMORY));
    let ours = plain.median(OURS, MEMORY);
    report.goals.extend(at_most("B5", &what, (ours, 1.5), " MiB", limit));
    if let (Some(ours), Some(curl)) = (plain.median(OURS, CPU), plain.median(CURL, CPU)) {
        let (what, beside) = (format!("{DOWNLOAD}, CPU of the client"), beside(CURL, Some(curl)) + " ms");
        let times = Some(ours / curl);
        report.goals.extend(at_most("B5", &what, (times, 1.3), " × curl -o", beside));
    }
    report.tables.push(plain);
    let secure = rounds(ground, &ground.players, &download().over_tls(), true);
    report.tables.push(costs("B5", format!("{DOWNLOAD}, TLS"), &secure, LIMIT_OF_TLS));
    cuts(ground, &download(), report)
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
    let (mut columns, mut again) = (Vec::new(), Vec::new());
    for percent in [10, 50, 90] {
        let sent =
            (0..ground.runs).map(|_| Ok((whole(&format!("cut={}", size * percent / 100))? - size) as f64 / 1024.0));
        again.push(sent.collect::<Result<Vec<f64>>>()?);
        columns.push(Column::new(format!("cut at {percent} %, KiB"), Unit::Count));
    }
    let most = again.iter().flatten().copied().fold(0.0, f64::max);
    let what = "bytes sent again after a cut";
    report.goals.extend(at_most("B5", what, (Some(most), CHUNK), " KiB", ""));
    let note =
        "The limit is 0. Peers were not cut in this run; of those looked at before, none goes on where it was cut.";
    report.tables.push(Table::new("B5", what, columns, vec![Row::new(OURS, again)], note));
    Ok(())
}
