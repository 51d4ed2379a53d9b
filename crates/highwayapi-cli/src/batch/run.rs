//! `highway batch run`, `resume` and `retry-failed`, and `highway worker`: driving the runner, and how it ended.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, Instant};

use highwayapi::Charged;
use highwayapi_jobs::batch::{BatchEvent, Ending, Frames, Outcome, PlannedItem};
use highwayapi_jobs::{Batch, BatchId, Jobs, State, Tally};
use tokio::time::{MissedTickBehavior, interval};

use crate::args::batch::{Caps, Consent, Pace, Resume, RetryFailed, Run, Worker};
use crate::batch::live::Live;
use crate::batch::prepare::{Prepared, prepare};
use crate::batch::status::{find, line, spent};
use crate::batch::{report, status};
use crate::exit::{self, Failure};
use crate::hint::{highway, in_record};
use crate::interrupt::Interrupts;
use crate::show::plain;
use crate::{say, service};

/// So often what moves on a terminal is drawn.
const DRAW: Duration = Duration::from_millis(150);

/// So often the record is asked what others did.
const LOOK: Duration = Duration::from_millis(1500);

/// So many times as long as that took it waits until the next time.
const EASE: u32 = 20;

/// So often a worker looks for a batch with something left to do.
const IDLE: Duration = Duration::from_secs(2);

/// So long it leaves alone what was begun and could not be finished.
const AGAIN: Duration = Duration::from_secs(60);

pub(super) async fn run(args: Run) -> Result<(), Failure> {
    // Before the sandbox starts: whoever stops it then leaves no clips behind.
    let interrupts = Interrupts::listen();
    #[cfg(feature = "sandbox")]
    if args.sandbox {
        let sandbox = crate::sandbox::start().await?;
        let jobs = crate::sandbox::jobs(&sandbox, args.limit.timeout, args.service.idle_timeout)?;
        return run_with(&jobs, args, &interrupts).await.map_err(Failure::in_sandbox);
    }
    if args.dry_run {
        // Needs no key.
        let url = service::base_url(&args.service)?;
        let ledger = service::ledger().await?;
        let prepared = interrupts.stoppable(prepare(&args.source, &args.means, &ledger, &url)).await;
        let prepared = prepared.ok_or_else(stopped)??;
        return dry_run(&prepared, &args, &url);
    }
    let jobs = service::jobs(&args.service, Some(args.limit.timeout)).await?;
    run_with(&jobs, args, &interrupts).await
}

async fn run_with(jobs: &Jobs, args: Run, interrupts: &Interrupts) -> Result<(), Failure> {
    let url = jobs.client().base_url().to_owned();
    let prepared = interrupts.stoppable(prepare(&args.source, &args.means, jobs, &url)).await;
    let prepared = prepared.ok_or_else(stopped)??;
    if args.dry_run {
        return dry_run(&prepared, &args, &url);
    }
    prepared.tell(args.json, false, say::err);
    prepared.is_sound()?;
    let totals = prepared.checked.totals;
    args.consent.ask(totals.clips_to_send, &prepared.cost(), interrupts).await?;
    let Prepared { manifest, frames, batch, .. } = prepared;
    jobs.plan(&batch, &manifest.items, &frames).await?;
    drop((manifest, frames));
    let done = drive(jobs, &batch, &args.pace, None, args.json, interrupts).await;
    let done = done.and_then(|outcome| ended(outcome, args.json));
    if let Some(output) = &args.report {
        let batch = jobs.find_batch(batch.id.as_str()).await?;
        report::save(&report::of(jobs, &batch).await?, "html", output, false, args.json)?;
    }
    done
}

fn dry_run(prepared: &Prepared, args: &Run, url: &str) -> Result<(), Failure> {
    prepared.tell(args.json, true, say::out);
    if !args.json {
        for item in &prepared.manifest.items {
            say::out(plan_of(item, &prepared.batch));
        }
    }
    prepared.tell_totals(args.json, service::requests_per_minute(&args.service, url));
    prepared.is_sound()
}

/// One item, as it would be sent.
fn plan_of(item: &PlannedItem, batch: &Batch) -> String {
    let (image, last_image) = (item.image.text(), item.last_image.text());
    let near = |text: &str| text.strip_prefix(&format!("{}/", batch.base.display())).unwrap_or(text).to_owned();
    let price = batch.prices.as_ref().map(|prices| match prices.price(&item.options) {
        Some(price) => format!("  {price} {}", prices.currency),
        None => "  price unknown".to_owned(),
    });
    let line = format!("{}: {} + {} -> {}", item.id, near(&image), near(&last_image), item.output.display());
    plain(&(line + &price.unwrap_or_default()))
}

impl Consent {
    /// Asks where it is much, and somebody is there to be asked.
    async fn ask(&self, clips: u64, cost: &str, interrupts: &Interrupts) -> Result<(), Failure> {
        if self.yes || clips <= self.ask_above {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            let text =
                format!("{clips} clips would be sent ({cost}), and nobody is there to be asked; nothing was sent");
            return Err(
                Failure::bad_input(text).with_hint("to send them: the same with --yes, or a larger --ask-above")
            );
        }
        eprint!("{clips} clips will be sent and paid for ({cost}). Go on? [y/N] ");
        let read = tokio::task::spawn_blocking(|| {
            let mut answer = String::new();
            let _ = std::io::stdin().lock().read_line(&mut answer);
            answer.trim().to_ascii_lowercase()
        });
        match interrupts.stoppable(read).await {
            Some(Ok(answer)) if answer == "y" || answer == "yes" => Ok(()),
            _ => Err(stopped()),
        }
    }
}

fn stopped() -> Failure {
    Failure::bad_input("stopped; nothing was sent")
}

pub(super) async fn resume(args: Resume) -> Result<(), Failure> {
    let interrupts = Interrupts::listen();
    let jobs = service::jobs(&args.service, Some(args.limit.timeout)).await?;
    let batch = find(&jobs, &args.batch).await?;
    let planned = jobs.tally(&batch.id).await?.count(State::Planned);
    go_on(&jobs, batch, planned, &args, &interrupts, async |_| Ok(())).await
}

pub(super) async fn retry_failed(args: RetryFailed) -> Result<(), Failure> {
    let (again, args) = (args.again, args.resume);
    let interrupts = Interrupts::listen();
    let jobs = service::jobs(&args.service, Some(args.limit.timeout)).await?;
    let batch = find(&jobs, &args.batch).await?;
    let tally = jobs.tally(&batch.id).await?;
    let failed = if again { tally.count(State::Failed) } else { 0 };
    let planned = tally.count(State::Planned) + tally.count(State::Refused) + failed;
    let retry = async |batch: &Batch| {
        let retried = jobs.retry_failed(&batch.id, again).await?;
        if !args.json {
            let planned = retried.refused + retried.failed;
            say::err(format_args!("highway: {planned} items are tried again"));
            if retried.failed_and_left > 0 {
                let left = retried.failed_and_left;
                say::err(format_args!(
                    "highway: {left} failed at the service and may have been billed; --again pays for them once more"
                ));
            }
        }
        Ok(())
    };
    go_on(&jobs, batch, planned, &args, &interrupts, retry).await
}

/// Asks, then changes what is to be changed, for others may be at work on it, and then runs it.
async fn go_on(
    jobs: &Jobs,
    batch: Batch,
    planned: u64,
    args: &Resume,
    interrupts: &Interrupts,
    change: impl AsyncFnOnce(&Batch) -> Result<(), Failure>,
) -> Result<(), Failure> {
    if !batch.cancelled {
        // An item may ask for more than one clip; how many is seen when it is sent, and is what the cap counts.
        args.consent.ask(planned, "as planned", interrupts).await?;
    }
    let batch = with_caps(jobs, batch, &args.caps).await?;
    change(&batch).await?;
    let outcome = drive(jobs, &batch, &args.pace, None, args.json, interrupts).await?;
    ended(outcome, args.json)
}

/// Caps that were typed replace those of before.
async fn with_caps(jobs: &Jobs, mut batch: Batch, caps: &Caps) -> Result<Batch, Failure> {
    if caps.max_clips.is_none() && caps.max_spend.is_none() {
        return Ok(batch);
    }
    batch.caps.max_clips = caps.max_clips.or(batch.caps.max_clips);
    batch.caps.max_spend = caps.max_spend.or(batch.caps.max_spend);
    jobs.plan(&batch, &[], &Frames::read(&[], |_, _| {})).await?;
    Ok(batch)
}

pub(crate) async fn work(args: Worker) -> Result<(), Failure> {
    let interrupts = Interrupts::listen();
    let jobs = service::jobs(&args.service, Some(args.limit.timeout)).await?;
    let base = args.output_dir.as_deref().map(std::path::absolute).transpose();
    let base = base.map_err(|error| Failure::bad_input(format!("output-dir: {error}")))?;
    let (mut left, mut is_away) = (HashMap::new(), false);
    loop {
        let looked = look_for_work(&jobs, &args, base.as_ref(), &interrupts, &mut left);
        match looked.await {
            Ok(()) => is_away = false,
            // It may be away for minutes; a worker is there when it comes back.
            Err(error) if error.is_store() && !args.until_done => {
                if !std::mem::replace(&mut is_away, true) {
                    say::err(format_args!("highway: {error}; trying again"));
                }
            }
            Err(error) => return Err(error.into()),
        }
        let is_over = args.until_done || interrupts.any();
        if is_over || interrupts.stoppable(tokio::time::sleep(IDLE)).await.is_none() {
            let failures: Vec<_> = left.into_values().filter_map(|left| left.failure).collect();
            let worst = exit::worst(&failures.iter().map(Failure::code).collect::<Vec<_>>());
            return failures.into_iter().find(|failure| Some(failure.code()) == worst).map_or(Ok(()), Err);
        }
    }
}

/// A batch that this worker is done with, until something about it changes.
struct Left {
    at: Instant,
    then: (highwayapi_jobs::Caps, bool, Tally),
    is_capped: bool,
    failure: Option<Failure>,
}

/// Runs each batch of which something is left to do, and that is not as it was left.
async fn look_for_work(
    jobs: &Jobs,
    args: &Worker,
    base: Option<&PathBuf>,
    interrupts: &Interrupts,
    left: &mut HashMap<BatchId, Left>,
) -> highwayapi_jobs::Result<()> {
    for batch in jobs.batches().await? {
        let now = (batch.caps, batch.cancelled, jobs.tally(&batch.id).await?);
        // What could not be gone on with waits: at a cap until something about it changes, else for a while.
        let is_begun = now.2.count(State::Planned) < open(&now.2);
        let as_left = left.get(&batch.id).filter(|left| left.then == now);
        let is_left = as_left.is_some_and(|left| left.is_capped && !is_begun || left.at.elapsed() < AGAIN);
        if batch.service != jobs.client().base_url() || is_left {
            continue;
        }
        if !is_open(&now.2) {
            // Others have brought it to its end, and say what came of it.
            left.remove(&batch.id);
            continue;
        }
        let driven = drive(jobs, &batch, &args.pace, base.cloned(), args.json, interrupts).await;
        let is_capped = driven.as_ref().is_ok_and(|outcome| matches!(outcome.ending, Ending::CapReached));
        let failure = driven.and_then(|outcome| ended(outcome, args.json)).err();
        // Whether or not the record can still be asked.
        left.insert(batch.id.clone(), Left { at: Instant::now(), then: now, is_capped, failure });
        if interrupts.any() {
            break;
        }
        let tally = jobs.tally(&batch.id).await?;
        if let Some(left) = left.get_mut(&batch.id) {
            left.then.2 = tally;
        }
    }
    Ok(())
}

/// Whether something of a batch is left to do.
fn is_open(tally: &Tally) -> bool {
    open(tally) > 0
}

fn open(tally: &Tally) -> u64 {
    [State::Planned, State::Intent, State::Submitted, State::Succeeded].iter().map(|&state| tally.count(state)).sum()
}

/// Runs a batch to its end, and tells of it all the while; [`ended`] tells what came of it.
async fn drive(
    jobs: &Jobs,
    batch: &Batch,
    pace: &Pace,
    base: Option<PathBuf>,
    json: bool,
    interrupts: &Interrupts,
) -> Result<Outcome, Failure> {
    let mut runner = jobs.run(&batch.id).in_flight(pace.in_flight.into()).submits(pace.concurrency.into());
    if let Some(base) = base {
        runner = runner.base(base);
    }
    let live = Live::new(json, batch, jobs.tally(&batch.id).await?);
    let outcome = {
        let mut running = pin!(runner.run(interrupts.pressed(1), |event: BatchEvent| live.event(&event)));
        let mut leave = pin!(leave(interrupts, &live));
        let mut look = pin!(look(jobs, batch, &live));
        let mut draw = interval(DRAW);
        draw.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                outcome = &mut running => break outcome?,
                () = &mut leave => return Err(left_at_once(batch, live.charged())),
                never = &mut look => match never {},
                _ = draw.tick() => live.draw(),
            }
        }
    };
    live.end(&outcome);
    Ok(outcome)
}

/// Beside the run, which must not wait for it.
async fn look(jobs: &Jobs, batch: &Batch, live: &Live) -> Infallible {
    let mut pause = LOOK;
    loop {
        tokio::time::sleep(pause).await;
        let begun = Instant::now();
        if let Ok(tally) = jobs.tally(&batch.id).await {
            let now = jobs.find_batch(batch.id.as_str()).await;
            live.known(now.ok().as_ref(), tally);
        }
        pause = LOOK.max(EASE * begun.elapsed());
    }
}

/// The first Ctrl-C lets answers come, the second does not.
async fn leave(interrupts: &Interrupts, live: &Live) {
    interrupts.pressed(1).await;
    live.note("stopping: nothing more is sent, and what was sent is waited for; Ctrl-C again leaves at once");
    interrupts.pressed(2).await;
}

fn left_at_once(batch: &Batch, charged: Charged) -> Failure {
    let hint = format!("to go on: {}", highway(format_args!("batch resume {}", batch.id)));
    Failure::of_batch(exit::STILL_RUNNING, "left; what was sent goes on and is paid for", Vec::new(), charged)
        .with_hint(hint)
}

/// What a run has come to, for its user and as an exit code.
fn ended(outcome: Outcome, json: bool) -> Result<(), Failure> {
    let Outcome { ending, batch, tally, left, .. } = outcome;
    let id = &batch.id;
    if !json {
        say::err(format_args!("highway: {}; {}", line(&batch, &tally), spent(&batch)));
    } else {
        let mut value = status::value(&batch, &tally);
        value["event"] = "done".into();
        say::result(value);
    }
    let unknown = tally.count(State::Unknown);
    let failed = tally.count(State::Failed) + tally.count(State::Refused);
    let open = open(&tally);
    let mut hints = Vec::new();
    let mut codes = Vec::new();
    let mut causes = Vec::new();
    let mut further = "";
    if unknown > 0 {
        codes.push(exit::CHARGE_UNKNOWN);
        causes.push(format!("of {unknown} nobody knows whether they were accepted and paid for"));
        hints.push(format!("to see which, and to decide: {}", in_record(format_args!("batch status {id}"))));
    }
    if failed > 0 {
        codes.push(exit::FAILED);
        causes.push(format!("{failed} failed or were refused"));
        hints.push(format!("to see why: {}", in_record(format_args!("batch status {id}"))));
        hints.push(format!("to try them again: {}", highway(format_args!("batch retry-failed {id}"))));
    }
    match ending {
        Ending::CapReached => {
            causes.push("what is left would pass what the batch may cost".to_owned());
            further = match (batch.caps.max_clips, batch.caps.max_spend) {
                (Some(_), Some(_)) => ", with a larger --max-clips or --max-spend",
                (Some(_), None) => ", with a larger --max-clips",
                (None, Some(_)) => ", with a larger --max-spend",
                (None, None) => "",
            };
        }
        Ending::Service(error) => {
            let failure = Failure::from(error);
            codes.push(failure.code());
            causes.push(failure.text().to_owned());
        }
        Ending::Cancelled => causes.push("the batch is cancelled".to_owned()),
        Ending::Stopped => causes.push("stopped".to_owned()),
        _ => {}
    }
    if open > 0 {
        codes.push(exit::STILL_RUNNING);
        if left > 0 {
            causes.push(format!("{left} are paid for and could not be finished now"));
        }
        hints.push(format!("to go on{further}: {}", highway(format_args!("batch resume {id}"))));
    }
    hints.dedup();
    match exit::worst(&codes) {
        None => Ok(()),
        Some(code) => {
            let done = tally.count(State::Downloaded);
            let charged = match batch.spent.clips {
                _ if unknown > 0 => Charged::Unknown,
                0 => Charged::No,
                _ => Charged::Yes,
            };
            let text = format!("{done} of {} clips are made", tally.total());
            Err(hints.into_iter().fold(Failure::of_batch(code, text, causes, charged), Failure::with_hint))
        }
    }
}
