//! The record for people: `highway tasks`, `highway show`, `highway verify`.

use std::path::Path;
use std::time::{Duration, SystemTime};

use console::{Term, measure_text_width, pad_str, truncate_str};
use highwayapi::Charged;
use highwayapi_jobs::{Entry, Sidecar, State, verify};
use serde_json::{Value, json};

use crate::args::{Prune, Show, Tasks, TasksCommand, Verify};
use crate::exit::{Failure, whole};
use crate::{say, service};

pub(crate) async fn tasks(args: Tasks) -> Result<(), Failure> {
    if let Some(TasksCommand::Prune(prune)) = args.command {
        return self::prune(prune).await;
    }
    let entries = service::ledger().await?.list().await?;
    if args.json {
        entries.iter().for_each(|entry| print(entry, true));
        return Ok(());
    }
    if entries.is_empty() {
        say::err("highway: nothing was submitted from here yet");
        return Ok(());
    }
    table(&entries);
    let unknown = entries.iter().filter(|entry| entry.job.state == State::Unknown && !entry.held).count();
    let unfinished = entries.iter().filter(|entry| entry.job.state.is_unfinished() && !entry.held).count();
    if unknown > 0 {
        say::err(format_args!("highway: {unknown} may have been paid for, and nobody knows: highway resolve ID"));
    }
    if unfinished > 0 {
        say::err(format_args!("highway: {unfinished} not finished: highway resume --all"));
    }
    Ok(())
}

fn table(entries: &[Entry]) {
    let now = SystemTime::now();
    let rows: Vec<[String; 5]> = entries
        .iter()
        .map(|Entry { job, held, .. }| {
            let state = if *held { format!("{}*", job.state) } else { job.state.to_string() };
            let asked = job.asked.as_ref().map_or("(adopted)", |asked| &asked.prompt);
            let clip = job.clips.first().map(|clip| &clip.file).or(job.output.as_ref());
            let clip = clip.map_or_else(|| "-".to_owned(), |clip| plain(&near(clip)));
            [job.id.to_string(), state, age(now, job.created_at), clip, plain(asked)]
        })
        .collect();
    let heads = ["JOB", "STATE", "AGE", "CLIP", "PROMPT"].map(str::to_owned);
    let all: Vec<&[String; 5]> = std::iter::once(&heads).chain(&rows).collect();
    let width = |column: usize| all.iter().map(|row| measure_text_width(&row[column])).max().unwrap_or_default();
    // The name of a clip may be long; the prompt takes what is left.
    let widths = [width(0), width(1), width(2), width(3).min(40)];
    let screen = Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
    for row in &all {
        let mut line = String::new();
        for (text, width) in row.iter().zip(widths) {
            let text = if screen.is_some() { truncate_str(text, width, "…") } else { text.into() };
            line.push_str(&pad_str(&text, width, console::Alignment::Left, None));
            line.push_str("  ");
        }
        line.push_str(&row[4]);
        say::out(screen.map_or_else(|| line.as_str().into(), |columns| truncate_str(&line, columns, "…")).trim_end());
    }
    if entries.iter().any(|entry| entry.held) {
        say::out("* at work this moment");
    }
}

async fn prune(args: Prune) -> Result<(), Failure> {
    let pruned = service::ledger().await?.prune(args.older_than).await?;
    for job in &pruned {
        say::out(&job.id);
    }
    let older = humantime::format_duration(args.older_than);
    say::err(match pruned.len() {
        0 => format!("highway: no job is over and unchanged for {older}"),
        count => format!("highway: {count} removed from the record; their clips stay"),
    });
    Ok(())
}

pub(crate) async fn show(args: Show) -> Result<(), Failure> {
    print(&service::ledger().await?.find(&args.id).await?, args.json);
    Ok(())
}

/// All that the record says of a job.
pub(crate) fn print(entry: &Entry, json: bool) {
    if json {
        say::out(value(entry));
        return;
    }
    let job = &entry.job;
    let line = |name: &str, text: &dyn std::fmt::Display| say::out(format_args!("{name:<17}  {text}"));
    let time = |time: SystemTime| humantime::format_rfc3339_seconds(time.max(SystemTime::UNIX_EPOCH)).to_string();
    line("job", &job.id);
    line("state", &if entry.held { format!("{}, at work this moment", job.state) } else { job.state.to_string() });
    if let Some(reason) = &job.reason {
        line("because", &plain(reason));
    }
    line("charged", &charged(job.charged()));
    if let Some(task_id) = &job.task_id {
        line("task", task_id);
    }
    line("service", &job.service);
    line("submitted", &time(job.submitted_at));
    if job.attempt > 1 {
        line("attempts", &job.attempt);
    }
    line("changed", &time(job.changed_at));
    if let Some(asked) = &job.asked {
        line("prompt", &plain(&asked.prompt));
        let options = serde_json::to_value(&asked.options).unwrap_or_default();
        for (name, value) in options.as_object().into_iter().flatten() {
            let text = value.as_str().map_or_else(|| value.to_string(), plain);
            line(&name.replace('_', " ").chars().take(30).collect::<String>(), &text);
        }
    }
    let pictures = job.pictures.as_ref();
    let files = [
        ("image", pictures.and_then(|pictures| pictures.image.as_ref())),
        ("last image", pictures.and_then(|pictures| pictures.last_image.as_ref())),
    ];
    for (name, file) in files {
        if let Some(file) = file {
            line(name, &plain(&near(file)));
        }
    }
    if job.clips.is_empty()
        && let Some(output) = &job.output
    {
        line("goes to", &plain(&near(output)));
    }
    for clip in &job.clips {
        line("clip", &format_args!("{} ({} bytes, SHA-256 {})", plain(&near(&clip.file)), clip.size, clip.sha256));
    }
}

/// The record's own words, and what they mean.
fn value(entry: &Entry) -> Value {
    let mut value = serde_json::to_value(&entry.job).unwrap_or_default();
    value["charged"] = json!(charged(entry.job.charged()));
    value["at_work"] = json!(entry.held);
    value
}

/// As text: `no`, `yes`, `unknown`.
pub(crate) fn charged(charged: Charged) -> &'static str {
    match charged {
        Charged::No => "no",
        Charged::Yes => "yes",
        Charged::Unknown => "unknown",
    }
}

/// As short as it can be found from here.
pub(crate) fn near(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}

/// On one line, and nothing that a terminal would obey.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

fn age(now: SystemTime, then: SystemTime) -> String {
    let age = now.duration_since(then).unwrap_or(Duration::ZERO).as_secs();
    match age {
        0..120 => format!("{age} s"),
        120..7200 => format!("{} min", age / 60),
        7200..172_800 => format!("{} h", age / 3600),
        _ => format!("{} d", age / 86_400),
    }
}

pub(crate) async fn check(args: Verify) -> Result<(), Failure> {
    let (mut problems, mut made) = (Vec::new(), Vec::new());
    for clip in args.clips {
        let path = clip.clone();
        let verified = tokio::task::spawn_blocking(move || verify(&path)).await;
        let verified = verified.map_err(|error| Failure::bad_input(format!("{}: {error}", clip.display())))?;
        match (verified, args.json) {
            (Ok(sidecar), true) => {
                say::out(
                    json!({ "event": "verified", "file": clip, "sha256": sidecar.sha256, "task_id": sidecar.task_id }),
                );
            }
            (Ok(sidecar), false) => {
                say::out(format_args!("{}: as it was fetched (task {})", clip.display(), sidecar.task_id));
            }
            (Err(error), _) => {
                if args.json {
                    say::out(json!({ "event": "changed", "file": clip, "message": whole(&error) }));
                }
                problems.push(whole(&error));
                made.extend(Sidecar::of(&clip).map(|sidecar| (clip, sidecar.task_id)));
            }
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Failure::not_as_fetched(problems, &made)) }
}
