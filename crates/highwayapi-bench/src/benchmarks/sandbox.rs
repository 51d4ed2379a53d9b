//! B7: the sandbox, from its start to a clip and under many submits.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::at_most;
use crate::Result;
use crate::ground::Ground;
use crate::load;
use crate::player::environment;
use crate::report::{Report, Row, Table, Unit};

const CLIP: &str = "highway generate --sandbox, 8 s at 720p";
const READY: &str = "highway sandbox, start to first answer";
const RATE: u32 = 500;

pub(crate) fn run(ground: &Ground, report: &mut Report) -> Result<()> {
    let runs = |value: &dyn Fn() -> Result<f64>| (0..ground.runs).map(|_| value()).collect::<Result<Vec<f64>>>();
    let clips = runs(&|| clip(ground))?;
    let clips = table(
        CLIP,
        Unit::Seconds,
        &[("highway", clips)],
        "The repository's example frames, on all cores; the limit is the encoder.",
    );
    report.goals.extend(at_most("B7", CLIP, (clips.median("highway"), 2.0), " s", ""));
    report.tables.push(clips);

    let ready = runs(&|| Ok(Sandbox::start(ground)?.ready.as_secs_f64() * 1e3))?;
    let ready = table(READY, Unit::Milliseconds, &[("highway", ready)], "");
    report.goals.extend(at_most("B7", READY, (ready.median("highway"), 30.0), " ms", ""));
    report.tables.push(ready);

    let time = Duration::from_secs(if ground.quick { 1 } else { 10 });
    let mut loads = Vec::new();
    for _ in 0..ground.runs {
        let sandbox = Sandbox::start(ground)?;
        loads.push(load::run(&sandbox.base_url, &sandbox.api_key, RATE, time)?);
    }
    let of = |name, value: fn(&load::Load) -> f64| (name, loads.iter().map(value).collect());
    let rows = [
        of("answered a second", |load| load.answered_per_s),
        of("errors", |load| load.errors as f64),
        of("errors that are 429: 1,000 tasks wait", |load| load.busy as f64),
        of("half are answered within, ms", |load| load.p50_ms),
        of("99 % are answered within, ms", |load| load.p99_ms),
    ];
    let what = format!("{RATE} small submits a second for {} s", time.as_secs());
    let note = "Each begins at its appointed time, whether or not others are answered, on at most 64 connections; the \
                same two pictures of 64 × 64, prompt and seed. Sender and sandbox share the machine.";
    let table = table(&what, Unit::Count, &rows, note);
    report.goals.extend(at_most(
        "B7",
        &what,
        (table.rows[1].values.iter().copied().reduce(f64::max), 0.0),
        " errors",
        "",
    ));
    report.tables.push(table);
    Ok(())
}

fn table(what: &str, unit: Unit, rows: &[(&str, Vec<f64>)], note: &str) -> Table {
    let row = |(client, values): &(&str, Vec<f64>)| Row {
        client: (*client).to_owned(),
        version: String::new(),
        values: values.clone(),
        absent: None,
    };
    Table { bench: "B7", what: what.to_owned(), unit, rows: rows.iter().map(row).collect(), note: note.to_owned() }
}

/// Seconds from a command to its clip.
fn clip(ground: &Ground) -> Result<f64> {
    let frames = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/frames");
    let output = ground.folder.join("sandbox.mp4");
    let began = Instant::now();
    let made = Command::new(&ground.highway)
        .args(["generate", "--sandbox", "--overwrite"])
        .args([frames.join("first.jpg"), frames.join("last.jpg")])
        .args(["-p", "dusk falls over the meadow", "-o"])
        .arg(&output)
        .env("HIGHWAY_STATE", state(ground)?)
        .stdin(Stdio::null())
        .output()?;
    let took = began.elapsed().as_secs_f64();
    if !made.status.success() {
        return Err(format!("highway generate --sandbox: {}", String::from_utf8_lossy(&made.stderr)).into());
    }
    fs::remove_file(&output)?;
    let _ = fs::remove_file(output.with_extension("json"));
    Ok(took)
}

fn state(ground: &Ground) -> Result<PathBuf> {
    let state = ground.folder.join("state").join("sandbox");
    fs::create_dir_all(&state)?;
    Ok(state)
}

/// `highway sandbox`; ends when it is dropped.
struct Sandbox {
    child: Child,
    base_url: String,
    api_key: String,
    /// From its start to its first answer.
    ready: Duration,
}

impl Sandbox {
    fn start(ground: &Ground) -> Result<Self> {
        let mut command = Command::new(&ground.highway);
        command.args(["sandbox", "--listen", "127.0.0.1:0", "--json"]).stdin(Stdio::null()).stdout(Stdio::piped());
        environment(&mut command, ground, false);
        let began = Instant::now();
        let mut child = command.env("HIGHWAY_STATE", state(ground)?).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("the sandbox has no output")?).read_line(&mut line)?;
        let said: serde_json::Value = serde_json::from_str(&line)?;
        let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
        let mut sandbox = Self { child, base_url: text("base_url"), api_key: text("api_key"), ready: Duration::ZERO };
        let address = sandbox.base_url.strip_prefix("http://").ok_or("the sandbox says no address")?;
        let mut stream = TcpStream::connect(address)?;
        let key = &sandbox.api_key;
        let head = format!(
            "GET /v3/async/task-result?task_id=none HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        let _ = stream.read(&mut [0; 1024])?;
        sandbox.ready = began.elapsed();
        Ok(sandbox)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
