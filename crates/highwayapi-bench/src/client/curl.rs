//! curl, which gets its body ready-made: what a program pays that only moves bytes.
//!
//! Its call is what it costs beyond `curl --version`, which loads and sets up the same.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::resource::UsageWho;

use super::{Call, Cost, KEY, Said, tasks, unsupported};
use crate::{Result, machine};

/// How the ready-made body is given to curl.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Body {
    /// `-T`: read while it is sent.
    Streamed,
    /// `-d @`: read first.
    Read,
}

/// The arguments of a submit of the ready-made `body`.
pub(crate) fn submit(base: &str, body: &Path, how: Body) -> Vec<String> {
    let body = body.display();
    let body = match how {
        Body::Streamed => ["-T".to_owned(), body.to_string()],
        Body::Read => ["--data-binary".to_owned(), format!("@{body}")],
    };
    let fixed = ["-sS", "-f", "-o", "/dev/null", "-X", "POST", "-H", "content-type: application/json", "-H"];
    let mut args: Vec<String> = fixed.into_iter().map(str::to_owned).collect();
    args.push(format!("authorization: Bearer {KEY}"));
    args.extend(body);
    args.push(format!("{base}/v3/async/veo-3.1-fast-generate-firstlastframe"));
    args
}

pub(super) fn call(base: &str, call: Call, how: Body) -> Result<Said> {
    let mut args = match call {
        Call::Submit { count: 1, .. } => {
            let body = std::env::var("BENCH_BODY").map_err(|_| "BENCH_BODY is not set")?;
            submit(base, Path::new(&body), how)
        }
        _ if how == Body::Read => return Ok(unsupported("sends nothing here")),
        Call::Poll { count } => {
            // The URL stands for so many, on one connection.
            let url = format!("{base}/v3/async/task-result?task_id=running&n=[1-{}]", count + tasks::WARM_UP);
            ["-sS", "-f", "-o", "/dev/null", &url].map(str::to_owned).to_vec()
        }
        Call::Download { file } => {
            let url = format!("{base}/files/clip.mp4");
            ["-sS", "-f", "-o", &file.display().to_string(), &url].map(str::to_owned).to_vec()
        }
        Call::Submit { .. } | Call::Tasks { .. } => return Ok(unsupported("one call at a time")),
    };
    if let Ok(certificate) = std::env::var("SSL_CERT_FILE") {
        args.extend(["--cacert".to_owned(), certificate]);
    }

    let began = Instant::now();
    let version = Command::new("curl").arg("--version").output()?;
    let (set_up_wall, set_up) = (began.elapsed(), machine::cpu(UsageWho::RUSAGE_CHILDREN)?);
    let idle_kib = machine::largest_child()?;
    let version = String::from_utf8_lossy(&version.stdout).split(' ').take(2).collect::<Vec<_>>().join(" ");

    let began = Instant::now();
    let status = Command::new("curl").args(args).stdin(Stdio::null()).status()?;
    let wall = began.elapsed().saturating_sub(set_up_wall);
    if !status.success() {
        return Err(format!("curl: {status}").into());
    }
    let cpu = machine::cpu(UsageWho::RUSAGE_CHILDREN)? - set_up;
    Ok(Said::Cost(Cost {
        version,
        idle_kib,
        peak_kib: machine::largest_child()?,
        cpu_s: cpu.saturating_sub(set_up).as_secs_f64(),
        wall_s: wall.as_secs_f64(),
        polled: None,
    }))
}
