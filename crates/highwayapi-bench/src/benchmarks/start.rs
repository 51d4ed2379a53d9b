//! B6: from the start of a program to its first byte at the service, and what it holds while it waits.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{at_most, beside};
use crate::client::{Body, KEY, Said, curl_submit};
use crate::ground::Ground;
use crate::player::{Kind, environment};
use crate::report::{Column, Report, Row, Table, Unit};
use crate::{Result, machine};

pub(crate) const START: &str = "start of a program to its first byte at the service, and its memory when it waits";
const FIRST_BYTE: usize = 0;
const IDLE: usize = 1;
const CURL_T: &str = "curl -T";
const FRESH: &str = "highway submit, first";
const WARM: &str = "highway submit, later";
const WAITING: &str = "highway wait, most";

pub(crate) fn run(ground: &Ground, report: &mut Report) -> Result<()> {
    let row = |client: &str| Row::new(client, vec![Vec::new(); 2]);
    let mut rows = vec![row(FRESH), row(WARM), row(CURL_T)];
    // curl has its own way here.
    let others = ground.players.iter().filter(|player| player.kind != Kind::Curl && player.knows("start"));
    rows.extend(others.map(|player| row(&player.name)));
    for round in 0..=ground.runs {
        for row in &mut rows {
            if row.absent.is_some() {
                continue;
            }
            match start(ground, &row.client, round) {
                Ok((took, said)) => {
                    if let Some(Said::Cost(cost)) = said {
                        row.version = cost.version;
                        row.values[IDLE].push(cost.idle_kib as f64 / 1024.0);
                    }
                    if round > 0 {
                        row.values[FIRST_BYTE].push(took);
                    }
                }
                Err(error) => row.absent = Some(error.to_string()),
            }
        }
    }
    let waiting = (0..ground.runs).map(|run| waiting(ground, run)).collect::<Result<Vec<_>>>()?;
    let own =
        |client, value: fn(&(f64, f64)) -> f64| Row::new(client, vec![Vec::new(), waiting.iter().map(value).collect()]);
    rows.extend([own("highway wait, now", |mib| mib.0), own(WAITING, |mib| mib.1)]);

    let columns = vec![Column::new("first byte", Unit::Milliseconds), Column::new("idle", Unit::MiB)];
    let note = "First byte: a submit of two pictures of 10 kB; both ends read the same clock. The command keeps a durable \
                record of what it pays for: the intent is synced to disk before the first byte, the first time in a \
                record that is still to be made. Idle: of the command all of the process while it polls; of the others \
                what they hold when imports and client are ready. The limit: a process, a connection and one write.";
    let table = Table::new("B6", START, columns, rows, note);
    let curl = table.median(CURL_T, FIRST_BYTE);
    let beside = beside("curl", curl) + " ms";
    let ours = |name| (table.median(name, FIRST_BYTE), 10.0);
    report.goals.extend(at_most("B6", FRESH, ours(FRESH), " ms", beside.clone()));
    report.goals.extend(at_most("B6", WARM, ours(WARM), " ms", beside.clone()));
    if let (Some(warm), Some(curl)) = (ours(WARM).0, curl) {
        let times = (Some(warm / curl), 2.0);
        report.goals.extend(at_most("B6", WARM, times, " × curl", beside));
    }
    let most = (table.median(WAITING, IDLE), 10.0);
    report.goals.extend(at_most("B6", "memory of a program that waits", most, " MiB", ""));
    report.tables.push(table);
    Ok(())
}

/// Milliseconds to the first byte, and what the client said of itself.
fn start(ground: &Ground, client: &str, round: usize) -> Result<(f64, Option<Said>)> {
    let (first, last) = (&ground.small.first, &ground.small.last);
    let state = |name: &str| ground.folder.join("state").join(name);
    let mut command = match client {
        FRESH => submit(ground, &emptied(&state("fresh"))?, round),
        WARM if round == 0 => submit(ground, &emptied(&state("warm"))?, round),
        WARM => submit(ground, &state("warm"), round),
        CURL_T => {
            let mut command = Command::new("curl");
            command.args(curl_submit(&ground.stub.base, &ground.small.body, Body::Streamed));
            command
        }
        _ => {
            let player = ground.players.iter().find(|player| player.name == client).ok_or("a client is missing")?;
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
