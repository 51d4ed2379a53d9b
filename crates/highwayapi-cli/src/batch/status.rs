//! `highway batch status` and `highway batch cancel`.

use highwayapi_jobs::{Batch, Entry, Ledger, State, Tally, Which};
use serde_json::{Map, Value, json};

use crate::args::batch::{Cancel, Status};
use crate::exit::Failure;
use crate::hint::highway;
use crate::say;
use crate::service;
use crate::show::plain;

/// More than these are told by `report`.
const MOST: usize = 20;

pub(super) async fn status(args: Status) -> Result<(), Failure> {
    let ledger = service::ledger().await?;
    let Some(name) = &args.batch else {
        let batches = ledger.batches().await?;
        if batches.is_empty() && !args.json {
            say::err("highway: there is no batch in the record yet");
        }
        for batch in &batches {
            let tally = ledger.tally(&batch.id).await?;
            if args.json {
                say::out(value(batch, &tally));
            } else {
                say::out(format_args!("{}  {}  {}", batch.id, plain(&batch.name), line(batch, &tally)));
            }
        }
        return Ok(());
    };
    let batch = find(&ledger, name).await?;
    let tally = ledger.tally(&batch.id).await?;
    if args.json {
        say::out(value(&batch, &tally));
        return Ok(());
    }
    say::out(format_args!("batch    {}", batch.id));
    say::out(format_args!("name     {}", plain(&batch.name)));
    say::out(format_args!("service  {}", batch.service));
    say::out(format_args!("items    {}", line(&batch, &tally)));
    say::out(format_args!("spent    {}", spent(&batch)));
    let open = [State::Failed, State::Refused, State::Unknown].map(|state| tally.count(state)).iter().sum::<u64>();
    if open > 0 {
        let entries = highwayapi_jobs::newest(ledger.those(Which::Batch(&batch.id)).await?);
        troubles(&entries);
    }
    Ok(())
}

/// What asks for its user: the first of each kind, with a way out.
fn troubles(entries: &[Entry]) {
    for state in [State::Unknown, State::Failed, State::Refused] {
        let those: Vec<_> = entries.iter().map(|entry| &entry.job).filter(|job| job.state == state).collect();
        for job in those.iter().take(MOST) {
            let id = job.item.as_ref().map_or("", |item| &item.id);
            say::out(format_args!("\n{state}  {id} (job {})", job.id));
            if let Some(reason) = &job.reason {
                say::out(format_args!("  because: {}", plain(reason)));
            }
            if state == State::Unknown {
                say::out(format_args!("  to decide: {}", highway(format_args!("resolve {}", job.id))));
            }
        }
        if those.len() > MOST {
            say::out(format_args!("\nand {} more that are {state}; see `highway batch report`", those.len() - MOST));
        }
    }
}

pub(super) async fn cancel(args: Cancel) -> Result<(), Failure> {
    let ledger = service::ledger().await?;
    let mut batch = find(&ledger, &args.batch).await?;
    let dropped = ledger.cancel(&batch.id).await?;
    batch.cancelled = true;
    let tally = ledger.tally(&batch.id).await?;
    if args.json {
        say::result(value(&batch, &tally));
        return Ok(());
    }
    // Those that others hold at this moment are dropped by them.
    let unsent = dropped + tally.count(State::Planned);
    say::result(format_args!("batch {} is cancelled: {unsent} items are not sent any more", batch.id));
    let begun = tally.count(State::Submitted) + tally.count(State::Succeeded);
    if begun > 0 {
        let resume = highway(format_args!("batch resume {}", batch.id));
        say::err(format_args!("highway: {begun} are paid for and not finished: {resume}"));
    }
    Ok(())
}

/// By id, by name, or by the manifest's path.
pub(super) async fn find(ledger: &Ledger, text: &str) -> Result<Batch, Failure> {
    match ledger.find_batch(text).await {
        Err(error) if error.is_not_found() => match std::path::absolute(text) {
            Ok(path) => Ok(ledger.find_batch(&path.display().to_string()).await.map_err(|_| error)?),
            Err(_) => Err(error.into()),
        },
        found => Ok(found?),
    }
}

/// Such as `12 of 20 downloaded, 1 failed, 7 planned`.
pub(super) fn line(batch: &Batch, tally: &Tally) -> String {
    let mut parts = vec![format!("{} of {} downloaded", tally.count(State::Downloaded), tally.total())];
    let others = tally.states().filter(|&(state, _)| state != State::Downloaded);
    parts.extend(others.map(|(state, items)| format!("{items} {state}")));
    if batch.cancelled {
        parts.push("cancelled".to_owned());
    }
    parts.join(", ")
}

/// What was sent, and what it costs as far as that is known.
pub(super) fn spent(batch: &Batch) -> String {
    let spent = &batch.spent;
    let mut text = format!("{} clips", spent.clips);
    if let Some(most) = batch.caps.max_clips {
        text += &format!(" of {most} at most");
    }
    if let Some(prices) = batch.prices.as_ref().filter(|_| spent.unpriced_clips < spent.clips || spent.clips == 0) {
        text += &format!(", {} {}", spent.money, plain(&prices.currency));
        if let Some(most) = batch.caps.max_spend {
            text += &format!(" of {most} at most");
        }
    }
    match spent.unpriced_clips {
        0 => text,
        unpriced if unpriced == spent.clips => text + ", price unknown",
        unpriced => text + &format!(", and {unpriced} clips whose price is unknown"),
    }
}

pub(super) fn value(batch: &Batch, tally: &Tally) -> Value {
    let states: Map<String, Value> = tally.states().map(|(state, items)| (state.to_string(), json!(items))).collect();
    json!({
        "batch": batch.id, "name": batch.name, "service": batch.service, "items": tally.total(), "states": states,
        "spent": batch.spent, "caps": batch.caps, "currency": batch.prices.as_ref().map(|prices| &prices.currency),
        "cancelled": batch.cancelled,
    })
}
