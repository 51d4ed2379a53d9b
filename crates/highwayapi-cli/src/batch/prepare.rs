//! From a manifest to a batch that can be planned: read, looked at, priced.

use std::fs;
use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

use highwayapi_jobs::batch::{Against, Checked, Frames, Manifest, Reading, Totals, Weight, check};
use highwayapi_jobs::{Batch, BatchId, Caps, Entry, Job, Ledger, PriceTable};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::args::batch::{Means, Source};
use crate::exit::Failure;
use crate::say;
use crate::show::plain;

/// A manifest, and all that is known of it.
pub(super) struct Prepared {
    pub(super) manifest: Manifest,
    pub(super) frames: Frames,
    pub(super) batch: Batch,
    pub(super) checked: Checked,
}

/// Reads a manifest with all its pictures, and compares it with the record.
pub(super) async fn prepare(
    source: &Source,
    means: &Means,
    ledger: &Ledger,
    service: &str,
) -> Result<Prepared, Failure> {
    let mut reading = Reading::default();
    (reading.format, reading.defaults) = (source.format, source.defaults.clone());
    let absolute = |path: &Path| {
        std::path::absolute(path).map_err(|error| Failure::bad_input(format!("{}: {error}", path.display())))
    };
    reading.output_dir = source.output_dir.as_deref().map(absolute).transpose()?;
    let name = match &source.name {
        Some(name) => name.clone(),
        None => absolute(&source.manifest)?.display().to_string(),
    };
    // What was said before holds until something else is said.
    let id = BatchId::of(service, &name);
    let there = ledger.batches().await?.into_iter().find(|batch| batch.id == id);
    let before = there.as_ref().map(|batch| batch.caps).unwrap_or_default();
    let caps = Caps::new(means.caps.max_clips.or(before.max_clips), means.caps.max_spend.or(before.max_spend));
    let prices = match &means.prices {
        Some(file) => Some(self::prices(file)?),
        None => there.and_then(|batch| batch.prices),
    };
    if caps.max_spend.is_some() && prices.is_none() {
        return Err(Failure::bad_input("--max-spend needs --prices FILE: without prices nobody knows what is spent"));
    }
    let known: Vec<Job> = ledger.list().await?.into_iter().map(|Entry { job, .. }| job).collect();
    let (file, service) = (source.manifest.clone(), service.to_owned());
    let work = move || {
        let manifest = Manifest::read(&file, &reading)?;
        let bar = Bar::new();
        let frames = Frames::read(&manifest.items, |done, of| bar.told(done, of));
        let mut batch = Batch::new(&service, &name, &manifest.base);
        (batch.caps, batch.prices) = (caps, prices);
        let against =
            Against { service: &service, batch: &batch.id, known: &known, prices: batch.prices.as_ref(), caps };
        let checked = check(&manifest, &frames, &against);
        Ok::<_, Failure>(Prepared { manifest, frames, batch, checked })
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Failure::bad_input(format!("the manifest cannot be read: {error}")))?
}

/// The user's own list of prices.
fn prices(file: &Path) -> Result<PriceTable, Failure> {
    let text = fs::read_to_string(file)
        .map_err(|error| Failure::bad_input(format!("--prices: {} cannot be read ({error})", file.display())))?;
    PriceTable::parse(&text).map_err(|error| Failure::bad_input(format!("{}: {error}", file.display())))
}

/// Thousands of pictures take their time.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        let bar = if std::io::stderr().is_terminal() { ProgressBar::no_length() } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{spinner} reading pictures: {pos} of {len}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self(bar)
    }

    fn told(&self, done: usize, of: usize) {
        self.0.set_length(of as u64);
        self.0.set_position(done as u64);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Prepared {
    fn count(&self, weight: Weight) -> usize {
        self.checked.findings.iter().filter(|finding| finding.weight == weight).count()
    }

    /// Whether it can be run: else the failure, once everything was told.
    pub(super) fn is_sound(&self) -> Result<(), Failure> {
        match self.count(Weight::Problem) {
            0 => Ok(()),
            1 => Err(Failure::bad_input(format!("1 problem in {}; nothing was sent", self.manifest.file.display()))),
            more => Err(Failure::bad_input(format!(
                "{more} problems in {}; nothing was sent",
                self.manifest.file.display()
            ))),
        }
    }

    /// Tells what was found, where `say` says it. For people without notes, which are many where a batch goes on.
    pub(super) fn tell(&self, json: bool, notes: bool, say: impl Fn(String)) {
        for finding in &self.checked.findings {
            if json {
                let weight = match finding.weight {
                    Weight::Problem => "problem",
                    Weight::Warning => "warning",
                    Weight::Note => "note",
                };
                let (file, line) = (finding.place.file.display().to_string(), finding.place.line);
                say::out(json!({
                    "event": "finding", "weight": weight, "file": file, "line": line, "item": finding.item,
                    "message": finding.text,
                }));
            } else if notes || finding.weight != Weight::Note {
                say(plain(&finding.to_string()));
            }
        }
    }

    /// How much it is, in a line or two.
    pub(super) fn tell_totals(&self, json: bool, requests_per_minute: u32) {
        let totals = &self.checked.totals;
        let time = totals.time(requests_per_minute);
        if json {
            let mut line = serde_json::to_value(totals).unwrap_or_default();
            line["event"] = json!("checked");
            line["batch"] = json!(self.batch.id);
            line["currency"] = json!(self.batch.prices.as_ref().map(|prices| &prices.currency));
            line["seconds_at_budget"] = json!(time.map(|time| time.as_secs()));
            line["problems"] = json!(self.count(Weight::Problem));
            line["warnings"] = json!(self.count(Weight::Warning));
            say::out(line);
            return;
        }
        let Totals { items, clips, seconds, items_paid_before, items_to_send, clips_to_send, .. } = totals;
        say::out(format_args!("{items} items, {clips} clips, {seconds} s of video"));
        if *items_paid_before > 0 {
            say::out(format_args!("{items_paid_before} of them were submitted before, and are not sent again"));
        }
        let cost = self.cost();
        let time = time.map(|time| format!("; about {} at {requests_per_minute} requests a minute", short(time)));
        say::out(format_args!(
            "to send: {items_to_send} items, {clips_to_send} clips; {cost}{}",
            time.filter(|_| *items_to_send > 0).unwrap_or_default()
        ));
    }

    /// What the clips to send cost, as far as it is known.
    pub(super) fn cost(&self) -> String {
        let totals = &self.checked.totals;
        let currency = self.batch.prices.as_ref().map_or("", |prices| &prices.currency);
        match (&self.batch.prices, totals.unpriced_clips) {
            _ if totals.clips_to_send == 0 => "nothing to pay".to_owned(),
            (Some(_), 0) => format!("cost: {} {currency}", totals.cost),
            (Some(_), unpriced) if unpriced < totals.clips_to_send => {
                format!("cost: {} {currency}, and {unpriced} clips whose price is unknown", totals.cost)
            }
            _ => "cost: unknown".to_owned(),
        }
    }
}

/// A time for people: in seconds up to two minutes, then without them.
pub(super) fn short(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds.div_ceil(60)),
        seconds => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}
