//! Everything that can be known of a manifest before a cent is spent.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use highwayapi::Options;

use super::{BatchId, Caps, Finding, Frames, Manifest, Money, PlannedItem, PriceTable, Weight};
use crate::asked::Fingerprint;
use crate::job::Job;
use crate::state::State;
use crate::target;

/// A submit, and about so many polls as docs/polling.md has measured for usual run times.
const REQUESTS_PER_ITEM: u64 = 7;

/// What a manifest is compared with.
#[derive(Debug)]
pub struct Against<'a> {
    /// The service that it would be sent to.
    pub service: &'a str,
    /// The batch that it is or would be.
    pub batch: &'a BatchId,
    /// All jobs of the record.
    pub known: &'a [Job],
    /// What clips cost.
    pub prices: Option<&'a PriceTable>,
    /// What the batch may cost.
    pub caps: Caps,
}

/// What was found out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Checked {
    /// What is to be said, in the order of the manifest's lines.
    pub findings: Vec<Finding>,
    /// How much it is.
    pub totals: Totals,
}

/// How much a batch is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Totals {
    /// Items that can be told.
    pub items: u64,
    /// Their clips.
    pub clips: u64,
    /// Seconds of video.
    pub seconds: u64,
    /// Items that were paid for, or may have been, and would not be sent.
    pub items_paid_before: u64,
    /// Items that would be sent.
    pub items_to_send: u64,
    /// Their clips.
    pub clips_to_send: u64,
    /// What those cost whose price is known.
    pub cost: Money,
    /// Those among the clips to send whose price is unknown.
    pub unpriced_clips: u64,
}

impl Totals {
    /// About how long so many items take by the budget of requests alone: `None` where there is none.
    pub fn time(&self, requests_per_minute: u32) -> Option<Duration> {
        let requests = self.items_to_send.saturating_mul(REQUESTS_PER_ITEM);
        (requests_per_minute > 0)
            .then(|| Duration::from_secs(requests.saturating_mul(60) / u64::from(requests_per_minute)))
    }

    fn count(&mut self, options: &Options, clips: u64, is_sent: bool, prices: Option<&PriceTable>) {
        let seconds = options.duration_seconds.unwrap_or_default().value();
        self.items += 1;
        self.clips += clips;
        self.seconds += clips * u64::from(seconds);
        if !is_sent {
            self.items_paid_before += 1;
            return;
        }
        self.items_to_send += 1;
        self.clips_to_send += clips;
        match prices.and_then(|prices| prices.price(options)).and_then(|price| self.cost.checked_add(price)) {
            Some(cost) => self.cost = cost,
            None => self.unpriced_clips += clips,
        }
    }
}

/// Looks at every item of a manifest whose pictures were read. May block.
pub fn check(manifest: &Manifest, frames: &Frames, against: &Against<'_>) -> Checked {
    let mut findings = manifest.findings.clone();
    let mut totals = Totals::default();
    let record = Record::new(against);
    let mut requests: HashMap<Fingerprint, &PlannedItem> = HashMap::new();
    for item in &manifest.items {
        let mut tell = |weight, text: String| {
            findings.push(Finding::new(weight, item.place.clone(), Some(&item.id), text));
        };
        let (request, asked) = match frames.request(item) {
            Ok(known) => known,
            Err(problems) => {
                problems.into_iter().for_each(|problem| tell(Weight::Problem, problem));
                totals.count(&item.options, item.samples() as u64, true, against.prices);
                continue;
            }
        };
        request.warnings().into_iter().for_each(|warning| tell(Weight::Warning, warning));
        let fingerprint = Fingerprint::new(against.service, &asked);
        let own = record.items.get(item.id.as_str()).copied();
        if let Some(own) = own.filter(|own| own.fingerprint.as_ref() != Some(&fingerprint)) {
            let text =
                format!("id: `{}` is that of another request in the record (job {}); choose another", item.id, own.id);
            tell(Weight::Problem, text);
        }
        let paid = record.paid.get(&fingerprint).copied();
        if let Some(paid) = paid.filter(|paid| own.is_none_or(|own| own.id != paid.id)) {
            let text =
                format!("it was submitted before as job {} ({}), and would not be sent again", paid.id, paid.state);
            tell(Weight::Note, text);
        }
        if let Some(other) = requests.insert(fingerprint, item) {
            let text = format!(
                "it asks for the same as `{}` ({}), and would not be sent; another seed makes it another",
                other.id, other.place
            );
            tell(Weight::Problem, text);
        }
        let is_made = own.is_some_and(|own| own.state == State::Downloaded);
        if !is_made && let Err(error) = free(item, &manifest.base, own) {
            tell(Weight::Problem, error);
        }
        totals.count(&item.options, item.samples() as u64, paid.is_none(), against.prices);
    }
    caps(manifest, against, &totals, &mut findings);
    findings.sort_by_key(|finding| finding.place.line);
    Checked { findings, totals }
}

/// The record, by what is looked for.
struct Record<'a> {
    /// The newest job of each item of the batch.
    items: HashMap<&'a str, &'a Job>,
    /// What was or may have been paid for.
    paid: HashMap<&'a Fingerprint, &'a Job>,
}

impl<'a> Record<'a> {
    fn new(against: &Against<'a>) -> Self {
        let mut record = Self { items: HashMap::new(), paid: HashMap::new() };
        for job in against.known {
            if let Some(item) = job.item.as_ref().filter(|item| item.batch == *against.batch) {
                record.items.insert(&item.id, job);
            }
            if let Some(fingerprint) = job.fingerprint.as_ref().filter(|_| job.is_paid()) {
                record.paid.insert(fingerprint, job);
            }
        }
        record
    }
}

/// Whether nothing is in the way of an item's clips.
fn free(item: &PlannedItem, base: &Path, own: Option<&Job>) -> Result<(), String> {
    let output = base.join(&item.output);
    let folder = output.parent().unwrap_or(base);
    if !folder.exists() {
        // It is made when it is needed.
        let there = folder.ancestors().find(|folder| folder.exists());
        return match there.filter(|there| !there.is_dir()) {
            Some(there) => Err(format!("output: {} is no folder", there.display())),
            None => Ok(()),
        };
    }
    let task_id = own.and_then(|own| own.task_id.as_ref());
    target::check(&output, item.samples(), false, task_id).map(drop).map_err(|error| error.to_string())
}

fn caps(manifest: &Manifest, against: &Against<'_>, totals: &Totals, findings: &mut Vec<Finding>) {
    let place = super::Place { file: manifest.file.clone(), line: 0 };
    let mut tell = |weight, text: String| findings.push(Finding::new(weight, place.clone(), None, text));
    if against.caps.max_spend.is_some() && totals.unpriced_clips > 0 {
        let clips = totals.unpriced_clips;
        tell(
            Weight::Problem,
            format!(
                "max-spend: the price of {clips} clips is unknown, so no cap on money can be kept; add them to the prices"
            ),
        );
    }
    if let Some(most) = against.caps.max_spend.filter(|&most| totals.cost > most) {
        tell(Weight::Warning, format!("max-spend: all of it costs {}; it stops at {most}", totals.cost));
    }
    if let Some(most) = against.caps.max_clips.filter(|&most| totals.clips_to_send > most) {
        tell(Weight::Warning, format!("max-clips: it asks for {} clips; it stops at {most}", totals.clips_to_send));
    }
}
