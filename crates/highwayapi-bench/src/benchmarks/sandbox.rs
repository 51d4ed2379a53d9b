//! B7: the sandbox, from its start to a clip and under many submits.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::at_most;
use crate::ground::Ground;
use crate::player::environment;
use crate::report::{Column, Report, Row, Table, Unit};
use crate::{Result, load, stats};

const CLIP: &str = "highway generate --sandbox, 8 s at 720p";
const READY: &str = "highway sandbox, start to first answer";
const RATE: u32 = 500;

pub(crate) fn run(ground: &Ground, report: &mut Report) -> Result<()> {
    let runs = |value: &dyn Fn() -> Result<f64>| (0..ground.runs).map(|_| value()).collect::<Result<Vec<f64>>>();
    let clips = runs(&|| clip(ground))?;
    report.goals.extend(at_most("B7", CLIP, (stats::median(&clips), 2.0), " s", ""));
    let ready = runs(&|| Ok(Sandbox::start(ground)?.ready.as_secs_f64() * 1e3))?;
    report.goals.extend(at_most("B7", READY, (stats::median(&ready), 30.0), " ms", ""));

    let time = Duration::from_secs(if ground.quick { 1 } else { 10 });
    let mut loads = Vec::new();
    for _ in 0..ground.runs {
        let sandbox = Sandbox::start(ground)?;
        loads.push(load::run(&sandbox.base_url, &sandbox.api_key, RATE, time)?);
    }
    let load = format!("{RATE} small submits a second for {} s", time.as_secs());
    let most = loads.iter().map(|load| load.errors as f64).reduce(f64::max);
    report.goals.extend(at_most("B7", &load, (most, 0.0), " errors", ""));
    let of = |what: &str, value: fn(&load::Load) -> f64| {
        Row::new(&format!("{load}: {what}"), vec![loads.iter().map(value).collect()])
    };
    let rows = vec![
        Row::new(&format!("{CLIP}, s"), vec![clips]),
        Row::new(&format!("{READY}, ms"), vec![ready]),
        of("answered a second", |load| load.answered_per_s),
        of("errors", |load| load.errors as f64),
        of("errors that are 429, as 10,000 tasks wait", |load| load.busy as f64),
        of("half are answered within, ms", |load| load.p50_ms),
        of("99 % are answered within, ms", |load| load.p99_ms),
    ];
    let note = "The clip is made of the repository's example frames, on all cores; its limit is the encoder. Each submit \
                begins at its appointed time, whether or not others are answered, on at most 64 connections, with the \
                same two pictures of 64 × 64, prompt and seed; sender and sandbox share the machine.";
    report.tables.push(Table::new("B7", "the sandbox", vec![Column::new("value", Unit::Count)], rows, note));
    Ok(())
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
