//! What became of a batch, to be looked at: one HTML page, JSON, or a table.

mod page;
mod place;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Batch, BatchId, Money, newest};
use crate::job::Job;
use crate::state::State;
use crate::store::Entry;
use crate::time;

/// A batch, and what became of each of its items.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The batch.
    #[serde(flatten)]
    pub head: Head,
    /// Its items, in their order, each by its newest job.
    pub items: Vec<Row>,
}

/// What is to be said of the batch as a whole.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Head {
    /// What its user calls it.
    pub name: String,
    /// Its name in the record.
    pub batch: BatchId,
    /// Base URL of the service.
    pub service: String,
    /// When this was written.
    #[serde(with = "time")]
    pub made_at: SystemTime,
    /// Clips that were sent.
    pub clips_sent: u64,
    /// What those cost whose price is known.
    pub spent: Money,
    /// What amounts are in.
    pub currency: Option<String>,
    /// Those among the clips whose price is unknown.
    pub unpriced_clips: u64,
    /// Whether its user ended it.
    pub cancelled: bool,
}

/// What became of one item.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Row {
    /// Its name in the batch.
    pub id: String,
    /// Its place.
    pub number: u64,
    /// How far it is.
    pub state: State,
    /// Whether it is at work this moment.
    pub at_work: bool,
    /// Its newest job.
    pub job: String,
    /// The task at the service.
    pub task_id: Option<String>,
    /// The prompt.
    pub prompt: String,
    /// The options, each default written out.
    pub options: Map<String, Value>,
    /// The seed: that which was used, where the service says it, or else that which was asked for.
    pub seed: Option<u64>,
    /// What it costs, where that is known.
    pub cost: Option<Money>,
    /// Whether it was charged: `no`, `yes`, `unknown`.
    pub charged: &'static str,
    /// How long its task ran, in seconds.
    pub seconds: Option<f64>,
    /// When it was last sent; none for what was not.
    #[serde(with = "time::optional")]
    pub submitted_at: Option<SystemTime>,
    /// Why it is in its state, in words.
    pub reason: Option<String>,
    /// The command that leads on, where there is one.
    pub command: Option<String>,
    /// The first frame: its file or URL.
    pub image: Option<PathBuf>,
    /// The last frame, likewise.
    pub last_image: Option<PathBuf>,
    /// Its clips.
    pub clips: Vec<PathBuf>,
}

impl Report {
    /// Of a batch and all its jobs, in the order in which they were added. `command` names the way out of a job's state.
    pub fn new(batch: &Batch, entries: Vec<Entry>, command: impl Fn(&Job) -> Option<String>) -> Self {
        let row = |entry: Entry| Row::new(&entry.job, entry.held, command(&entry.job));
        let head = Head {
            name: batch.name.clone(),
            batch: batch.id.clone(),
            service: batch.service.clone(),
            made_at: SystemTime::now(),
            clips_sent: batch.spent.clips,
            spent: batch.spent.money,
            currency: batch.prices.as_ref().map(|prices| prices.currency.clone()),
            unpriced_clips: batch.spent.unpriced_clips,
            cancelled: batch.cancelled,
        };
        Self { head, items: newest(entries).into_iter().map(row).collect() }
    }

    /// As one JSON object.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write_json(&self, mut out: impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut out, self)?;
        out.write_all(b"\n")
    }

    /// As a table, one line an item.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write_csv(&self, out: impl Write) -> io::Result<()> {
        let mut table = csv::Writer::from_writer(out);
        let heads = [
            "id",
            "number",
            "state",
            "charged",
            "cost",
            "currency",
            "seed",
            "seconds",
            "submitted_at",
            "job",
            "task_id",
            "image",
            "last_image",
            "clips",
            "prompt",
            "options",
            "reason",
        ];
        table.write_record(heads)?;
        let text = |value: &Option<PathBuf>| value.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        for row in &self.items {
            let submitted_at =
                row.submitted_at.map(|at| humantime::format_rfc3339_seconds(at.max(SystemTime::UNIX_EPOCH)));
            let clips: Vec<_> = row.clips.iter().map(|clip| clip.display().to_string()).collect();
            let cells = [
                row.id.clone(),
                row.number.to_string(),
                row.state.to_string(),
                row.charged.to_owned(),
                row.cost.map(|cost| cost.to_string()).unwrap_or_default(),
                self.head.currency.clone().unwrap_or_default(),
                row.seed.map(|seed| seed.to_string()).unwrap_or_default(),
                row.seconds.map(|seconds| format!("{seconds:.1}")).unwrap_or_default(),
                submitted_at.map(|at| at.to_string()).unwrap_or_default(),
                row.job.clone(),
                row.task_id.clone().unwrap_or_default(),
                text(&row.image),
                text(&row.last_image),
                clips.join(" "),
                row.prompt.clone(),
                Value::Object(row.options.clone()).to_string(),
                row.reason.clone().unwrap_or_default(),
            ];
            table.write_record(cells.map(harmless))?;
        }
        table.flush()
    }

    /// As one page that opens from the disk and asks nobody for anything. Frames and clips are named by where they are as
    /// seen from `folder`, in which the page will be, or with `embed` are in it. Reads one file at a time.
    ///
    /// # Errors
    ///
    /// When it cannot be written, or a file cannot be embedded.
    pub fn write_html(&self, out: impl Write, folder: &Path, embed: bool) -> io::Result<()> {
        page::write(self, out, folder, embed)
    }
}

impl Row {
    fn new(job: &Job, at_work: bool, command: Option<String>) -> Self {
        let (asked, item) = (job.asked.as_ref(), job.item.as_ref());
        let options = asked.and_then(|asked| serde_json::to_value(&asked.options).ok());
        let url = |picture: Option<&crate::Picture>| match picture {
            Some(crate::Picture::Named { url, .. }) => Some(PathBuf::from(url)),
            _ => None,
        };
        let pictures = job.pictures.as_ref();
        let asked_seed = asked.and_then(|asked| asked.options.seed).map(u64::from);
        Self {
            id: item.map(|item| item.id.clone()).unwrap_or_default(),
            number: item.map_or(0, |item| item.number),
            state: job.state,
            at_work,
            job: job.id.to_string(),
            task_id: job.task_id.as_ref().map(ToString::to_string),
            prompt: asked.map(|asked| asked.prompt.clone()).unwrap_or_default(),
            options: match options {
                Some(Value::Object(options)) => options,
                _ => Map::new(),
            },
            seed: job.seed_used.or(asked_seed),
            cost: job.price,
            charged: match job.charged() {
                highwayapi::Charged::No => "no",
                highwayapi::Charged::Yes => "yes",
                highwayapi::Charged::Unknown => "unknown",
            },
            seconds: job.run_ms.map(|run_ms| run_ms as f64 / 1000.0),
            submitted_at: (job.attempt > 0).then_some(job.submitted_at),
            reason: job.reason.clone(),
            command,
            image: pictures
                .and_then(|pictures| pictures.image.clone())
                .or_else(|| url(asked.map(|asked| &asked.image))),
            last_image: pictures
                .and_then(|pictures| pictures.last_image.clone())
                .or_else(|| url(asked.map(|asked| &asked.last_image))),
            clips: job.clips.iter().map(|clip| clip.file.clone()).collect(),
        }
    }
}

/// A prompt that begins like a formula is none, also for programs that would compute it.
fn harmless(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell }
}
