//! B6: from the start of a program to its first byte at the service, and what it holds while it waits.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::at_most;
use crate::client::{Body, KEY, Said, curl_submit};
use crate::ground::Ground;
use crate::player::{CURL, Player, environment};
use crate::report::{Report, Row, Table, Unit};
use crate::{Result, machine};

pub(crate) const COLD: &str = "start of a program to its first byte at the service";
const IDLE: &str = "memory of a program that waits";
const FRESH: &str = "highway submit, first";
const WARM: &str = "highway submit, later";
const WAITING: &str = "highway wait, most";

pub(crate) fn run(ground: &Ground, report: &mut Report) -> Result<()> {
    let mut rows = vec![row(FRESH), row(WARM), row("curl -T")];
    rows.extend(ground.players.iter().filter(|player| player.name != CURL).map(|player| row(&player.name)));
    let mut idle: Vec<Row> = Vec::new();
    for round in 0..=ground.runs {
        for row in &mut rows {
            if row.absent.is_some() {
                continue;
            }
            match start(ground, &row.client, round) {
                Ok((_, said)) if round == 0 => idle.extend(said.and_then(|said| waits(&row.client, said))),
                Ok((took, said)) => {
                    row.values.push(took);
                    if let Some(Said::Cost(cost)) = said {
                        row.version = cost.version;
                    }
                }
                Err(error) => row.absent = Some(error.to_string()),
            }
        }
    }
    let note = "Two pictures of 10 kB. Both ends read the same clock. The command keeps a durable record of what it \
                pays for: the intent is synced to disk before the first byte, the first time in a record that is \
                still to be made.";
    let table = Table { bench: "B6", what: COLD.to_owned(), unit: Unit::Milliseconds, rows, note: note.to_owned() };
    let beside = format!("curl {} ms", Unit::Milliseconds.number(table.median("curl -T").unwrap_or(f64::NAN)));
    report.goals.extend(at_most("B6", FRESH, (table.median(FRESH), 10.0), " ms", beside.clone()));
    report.goals.extend(at_most("B6", WARM, (table.median(WARM), 10.0), " ms", beside.clone()));
    if let (Some(warm), Some(curl)) = (table.median(WARM), table.median("curl -T")) {
        report.goals.extend(at_most("B6", WARM, (Some(warm / curl), 2.0), " × curl", beside));
    }
    report.tables.push(table);

    let waiting = (0..ground.runs).map(|run| waiting(ground, run)).collect::<Result<Vec<_>>>()?;
    let own = |client: &str, value: fn(&(f64, f64)) -> f64| Row {
        values: waiting.iter().map(value).collect(),
        ..row(client)
    };
    idle.splice(0..0, [own("highway wait, now", |mib| mib.0), own(WAITING, |mib| mib.1)]);
    let note =
        "Of ours all of the process while it polls; of the others what they hold when imports and client are ready.";
    let table = Table { bench: "B6", what: IDLE.to_owned(), unit: Unit::MiB, rows: idle, note: note.to_owned() };
    report.goals.extend(at_most("B6", IDLE, (table.median(WAITING), 10.0), " MiB", ""));
    report.tables.push(table);
    Ok(())
}

fn row(client: &str) -> Row {
    Row { client: client.to_owned(), version: String::new(), values: Vec::new(), absent: None }
}

fn waits(client: &str, said: Said) -> Option<Row> {
    let Said::Cost(cost) = said else { return None };
    Some(Row { version: cost.version, values: vec![cost.idle_kib as f64 / 1024.0], ..row(client) })
}

/// Milliseconds to the first byte, and what the client said of itself.
fn start(ground: &Ground, client: &str, round: usize) -> Result<(f64, Option<Said>)> {
    let (first, last) = (&ground.small.first, &ground.small.last);
    let state = |name: &str| ground.folder.join("state").join(name);
    let mut command = match client {
        FRESH => submit(ground, &emptied(&state("fresh"))?, round),
        WARM if round == 0 => submit(ground, &emptied(&state("warm"))?, round),
        WARM => submit(ground, &state("warm"), round),
        "curl -T" => {
            let mut command = Command::new("curl");
            command.args(curl_submit(&ground.stub.base, &ground.small.body, Body::Streamed));
            command
        }
        _ => {
            let player = ground.players.iter().find(|player| player.name == client).ok_or("a client is missing")?;
            if let Some(why) = lacks(player) {
                return Err(why.into());
            }
            let mut command = player.command(ground, false)?;
            command.env("BENCH_BODY", &ground.small.body).arg("start").arg(first).arg(last);
            command
        }
    };
    environment(&mut command, ground, false);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    ground.stub.reset("")?;
    machine::pin(machine::CLIENTS)?;
    let began = machine::now();
    let child = command.spawn();
    machine::unpin()?;
    let (began, output) = (began?, child?.wait_with_output()?);
    let last_line = |bytes: &[u8]| String::from_utf8_lossy(bytes).lines().last().unwrap_or_default().to_owned();
    let said = serde_json::from_str(&last_line(&output.stdout)).ok();
    if let Some(Said::Unsupported { unsupported }) = said {
        return Err(unsupported.into());
    }
    if !output.status.success() {
        return Err(format!("failed: {}: {}", output.status, last_line(&output.stderr)).into());
    }
    let first_byte = ground.stub.counts()?.first_byte.ok_or("nothing came")?;
    Ok((first_byte.saturating_sub(began) as f64 / 1e6, said))
}

/// curl has its own way here; the others are asked for `start`, or for a submit where that is all they list.
fn lacks(player: &Player) -> Option<String> {
    if player.name.starts_with("curl") { Some("as curl -T".to_owned()) } else { player.lacks("start") }
}

/// `highway submit` with a request of its own, for the same is not sent twice.
fn submit(ground: &Ground, state: &Path, round: usize) -> Command {
    let mut command = highway(ground, state);
    command.arg("submit").args([&ground.small.first, &ground.small.last]).args(["-p", &format!("dusk falls, {round}")]);
    command
}

fn highway(ground: &Ground, state: &Path) -> Command {
    let mut command = Command::new(&ground.highway);
    command.env("HIGHWAY_STATE", state).env("HIGHWAY_API_KEY", KEY).env("HIGHWAY_BASE_URL", &ground.stub.base);
    command
}

/// The folder, with nothing in it.
fn emptied(folder: &Path) -> Result<std::path::PathBuf> {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder)?;
    Ok(folder.to_owned())
}

/// MiB that the command holds, and has held at most, once it has polled a task twice.
fn waiting(ground: &Ground, run: usize) -> Result<(f64, f64)> {
    ground.stub.reset("")?;
    let state = emptied(&ground.folder.join("state").join(format!("waiting-{run}")))?;
    let mut command = highway(ground, &state);
    environment(&mut command, ground, false);
    let mut child = command.args(["wait", "running"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let pid = child.id().to_string();
    let held = || -> Result<(f64, f64)> {
        let began = Instant::now();
        while ground.stub.counts()?.gets < 2 {
            if began.elapsed() > Duration::from_secs(30) {
                return Err("the command does not poll".into());
            }
            thread::sleep(Duration::from_millis(100));
        }
        thread::sleep(Duration::from_millis(300));
        let mib = |name| Result::Ok(machine::status_kib(&pid, name)? as f64 / 1024.0);
        Ok((mib("VmRSS")?, mib("VmHWM")?))
    };
    let held = held();
    child.kill()?;
    child.wait()?;
    held
}
