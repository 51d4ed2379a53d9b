//! What all requests share, and what can be done with all of it at once.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::engine::{Engine, general_purpose::STANDARD};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::clip::{Clip, Clips, Pair};
use crate::clock::Clock;
use crate::contract::{Contract, Order};
use crate::error::{ApiError, Error};
use crate::faults::Faults;
use crate::files::Links;
use crate::frames::Frames;
use crate::journal::Journal;
use crate::ledger::{Ledger, RequestHash, Submit};
use crate::metrics::Metrics;
use crate::pictures::{Content, Pictures, Stored};
use crate::run_time::RunTime;
use crate::seed::Seed;
use crate::state::{Document, Event, Log};
use crate::tasks::{Fate, PROMPT_KEPT, Task, Tasks, Ticket};

/// The key that is taken unless somebody sets another one: known to all, it may be shown.
pub(crate) const WELL_KNOWN_KEY: &str = "sandbox-key";

/// Most bytes of pictures that an export holds.
const MAX_EXPORTED: u64 = 64 << 20;

/// What all requests share.
pub(crate) struct Shared {
    /// In the order they were given; the first is the one that is shown.
    pub(crate) keys: Vec<String>,
    pub(crate) lenient: bool,
    pub(crate) seed: Seed,
    pub(crate) clock: Clock,
    pub(crate) queue_time: Option<RunTime>,
    pub(crate) run_time: Option<RunTime>,
    pub(crate) contract: Contract,
    pub(crate) frames: Frames,
    pub(crate) pictures: Arc<Pictures>,
    pub(crate) tasks: Tasks,
    pub(crate) clips: Arc<Clips>,
    pub(crate) links: Links,
    pub(crate) ledger: Ledger,
    pub(crate) faults: Faults,
    pub(crate) journal: Journal,
    pub(crate) metrics: Metrics,
    /// Where it listens.
    pub(crate) base_url: String,
    /// Where the sandbox is kept, if it is to outlive the process.
    pub(crate) log: Option<Mutex<Log>>,
    /// Holds all files where it is not; removed with the sandbox.
    pub(crate) dir: Option<tempfile::TempDir>,
    pub(crate) room: Semaphore,
    /// Pictures decoded at once: a small file may unfold to 150 MB.
    pub(crate) decoders: Semaphore,
}

impl Shared {
    /// Takes a submit that is in order: from here on it would be billed. Returns the task's id.
    pub(crate) fn accept(
        self: &Arc<Self>,
        key: &str,
        order: Order,
        pair: Pair,
        fate: Fate,
    ) -> Result<String, ApiError> {
        let now = self.clock.now_ms();
        let request = order.request.with_pictures(&pair.first.content, &pair.last.content);
        let make = |number| {
            let (begins, ends) = self.times(number, now, &fate);
            Task {
                number,
                task_id: self.seed.uuid("task", number),
                key: key.to_owned(),
                request: request.to_string(),
                // A prompt has no limit, and the task may wait for long.
                prompt: order.prompt.chars().take(PROMPT_KEPT).collect(),
                seed: order.seed.unwrap_or_else(|| (self.seed.draw("generation", number) >> 32) as u32),
                image: pair.first.content,
                last_image: pair.last.content,
                width: order.size.width(),
                height: order.size.height(),
                seconds: order.seconds,
                audio: order.audio,
                samples: order.samples,
                clips: fate.clips.unwrap_or(order.samples).min(order.samples),
                submitted: now,
                begins,
                ends,
                stuck: fate.stuck,
                fails: fate.fails,
                rendered: 0.0,
                pair: Some(Arc::new(pair)),
            }
        };
        let ticket = self.tasks.admit(now, make, |task| {
            let kept = self.keep(|| Event::Accepted(Box::new(task.clone())));
            kept.map_err(|e| ApiError::internal(format!("the task could not be written to disk: {e}")))?;
            self.bill(task, request);
            Ok(())
        })?;
        if self.log().is_some_and(|log| log.is_long()) {
            // What cannot be written anew stands there all the same.
            let _ = self.write_down();
        }
        let id = ticket.task_id.clone();
        if self.tasks.with(&id, Task::waits_for_clips) == Some(true) {
            drop(tokio::spawn(render(Arc::clone(self), ticket)));
        }
        Ok(id)
    }

    /// When the task of this number begins and ends, if the clock decides it: from the seed, the configuration and its own
    /// fate alone.
    fn times(&self, number: u64, now: u64, fate: &Fate) -> (Option<u64>, Option<u64>) {
        let drawn = |what: &str, fated: Option<Duration>, time: Option<RunTime>| {
            let time = fated.or_else(|| Some(time?.draw(&self.seed, what, number)))?;
            Some(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
        };
        let (queued, run) = (drawn("queue", fate.queued, self.queue_time), drawn("run", fate.run, self.run_time));
        if queued.is_none() && run.is_none() && fate.fails.is_none() && !fate.stuck {
            return (None, None);
        }
        let begins = now.saturating_add(queued.unwrap_or(0));
        (Some(begins), Some(begins.saturating_add(run.unwrap_or(0))))
    }

    fn bill(&self, task: &Task, request: RequestHash) {
        let (clips, seconds, at) = (task.samples, task.seconds, Duration::from_millis(task.submitted));
        self.ledger.submit(&Submit { key: &task.key, task_id: &task.task_id, request, clips, seconds, at });
    }

    /// A clip of a task; rendered if it is not there yet.
    pub(crate) async fn clip(&self, task_id: &str, sample: u32) -> Result<Clip, ApiError> {
        let gone = || ApiError::new(axum::http::StatusCode::NOT_FOUND, "FILE_NOT_FOUND", "the clip is no longer kept");
        let recipe = self.tasks.recipe(task_id, sample).ok_or_else(gone)?;
        if let Some(clip) = self.clips.get(&recipe.id) {
            return Ok(clip);
        }
        let (clips, pair) = (Arc::clone(&self.clips), recipe.pair.ok_or_else(gone)?);
        // On its own: whoever asked may leave, and what has begun to be written is finished.
        let made = tokio::spawn(async move { clips.make(pair, recipe.spec, || {}, |_| {}).await }).await;
        made.map_err(|_| ApiError::internal("the sandbox is stopping"))?.map_err(ApiError::internal)
    }

    /// Writes down that a key came with a result link.
    pub(crate) fn leaked(&self, key: &str, path: &str) {
        let at = self.clock.now_ms();
        let mut log = self.log();
        if let Some(log) = &mut log {
            // It is refused whether or not that can be kept.
            let _ = log.append(&Event::Leak { key: key.to_owned(), path: path.to_owned(), at });
        }
        self.ledger.key_leaked(key, path, Duration::from_millis(at));
    }

    /// Moves a stepped clock on.
    pub(crate) fn advance(&self, by: Duration) -> Result<(), Error> {
        self.clock.advance(by)?;
        let kept = self.keep(|| Event::Clock { now: self.clock.now_ms() });
        kept.map_err(|e| Error::new("the clock moved, and that could not be written to disk").caused_by(e))
    }

    /// Forgets all tasks, bills and what was asked. Numbers are counted from 1 again, and the clock begins anew.
    pub(crate) fn reset(&self) -> Result<(), Error> {
        self.clock.restart();
        self.tasks.replace(0, 0, Vec::new());
        self.ledger.reset();
        self.faults.restart();
        self.journal.reset();
        self.write_down()
    }

    /// Everything that another sandbox needs to go on from here. Reads files: not for a thread that answers.
    pub(crate) fn export(&self) -> Result<Value, Error> {
        let (mut document, pairs) = self.document();
        let mut left = MAX_EXPORTED;
        for stored in pairs.iter().flat_map(|pair| [&pair.first, &pair.last]) {
            let name = crate::hex::encode(&stored.content);
            if document.pictures.contains_key(&name) {
                continue;
            }
            let most = MAX_EXPORTED >> 20;
            left = left.checked_sub(stored.length()).ok_or_else(|| {
                Error::new(format!("the pictures have more than {most} MiB: keep the sandbox in a folder instead"))
            })?;
            document.pictures.insert(name, STANDARD.encode(stored.bytes().map_err(Error::new)?));
        }
        serde_json::to_value(&document).map_err(|e| Error::new("the sandbox cannot be exported").caused_by(e))
    }

    /// Puts an export in the place of all that is here. Keys, seed and configuration stay as they are; an error names the
    /// field that is wrong, and changes nothing.
    pub(crate) fn import(self: &Arc<Self>, export: &Value) -> Result<(), Error> {
        let document = Document::read(export)?;
        self.restore(document, Vec::new())?;
        self.write_down()
    }

    /// What a sandbox before this one has kept. Its unfinished tasks go on.
    pub(crate) fn restore(self: &Arc<Self>, document: Document, events: Vec<Event>) -> Result<(), Error> {
        let imported = self.unpack(&document.pictures)?;
        self.ledger
            .import(&document.ledger)
            .ok_or_else(|| Error::new("ledger: it is none that a sandbox has written"))?;
        let (mut now, mut accepted) = (document.now, document.accepted);
        let mut tasks: BTreeMap<String, Task> = BTreeMap::new();
        tasks.extend(document.tasks.into_iter().map(|task| (task.task_id.clone(), task)));
        for event in events {
            now = now.max(event.time());
            match event {
                Event::Accepted(task) => {
                    accepted = accepted.max(task.number);
                    let request = RequestHash::parse(&task.request);
                    self.bill(&task, request.ok_or_else(|| Error::new("request: it is no SHA-256"))?);
                    tasks.insert(task.task_id.clone(), *task);
                }
                Event::Done { task_id, begins, ends, fails } => {
                    if let Some(task) = tasks.get_mut(&task_id) {
                        (task.begins, task.ends, task.fails) = (begins, Some(ends), fails);
                    }
                }
                Event::Clock { .. } => {}
                Event::Leak { key, path, at } => self.ledger.key_leaked(&key, &path, Duration::from_millis(at)),
            }
        }
        let mut tasks: Vec<Task> = tasks.into_values().collect();
        tasks.sort_unstable_by_key(|task| task.number);
        self.attach(&mut tasks);
        self.clock.resume(Duration::from_millis(document.began), Duration::from_millis(now));
        for ticket in self.tasks.replace(self.clock.now_ms(), accepted, tasks) {
            drop(tokio::spawn(render(Arc::clone(self), ticket)));
        }
        drop(imported);
        Ok(())
    }

    /// Stores the pictures of an export. They stay as long as the result is held, or a task needs them.
    fn unpack(&self, pictures: &BTreeMap<String, String>) -> Result<Vec<Arc<Stored>>, Error> {
        let mut stored = Vec::new();
        for (name, text) in pictures {
            let wrong = |what: &str| Error::new(format!("pictures.{name}: {what}"));
            let content = crate::hex::decode(name).ok_or_else(|| wrong("the name is no SHA-256"))?;
            let bytes = STANDARD.decode(text).map_err(|_| wrong("it is no Base64"))?;
            let now = self.clock.now_ms();
            let picture = self.pictures.store("picture", &bytes, || self.tasks.let_go(now));
            let picture = picture.map_err(|e| wrong(e.message()))?;
            if picture.content != content {
                return Err(wrong("the name is not the picture's SHA-256"));
            }
            stored.push(picture);
        }
        Ok(stored)
    }

    /// Gives tasks their pictures, where they are there.
    fn attach(&self, tasks: &mut [Task]) {
        let mut pairs: HashMap<(Content, Content), Option<Arc<Pair>>> = HashMap::new();
        for task in tasks {
            let pair = pairs.entry((task.image, task.last_image)).or_insert_with(|| {
                let first = self.pictures.find_stored(&task.image)?;
                Some(Arc::new(Pair { first, last: self.pictures.find_stored(&task.last_image)? }))
            });
            task.pair = pair.clone();
        }
    }

    /// Writes all that is to outlive the process anew, if anything is.
    pub(crate) fn write_down(&self) -> Result<(), Error> {
        if self.log.is_none() {
            return Ok(());
        }
        let written = self.tasks.all(|accepted, tasks| match self.log() {
            Some(mut log) => log.rewrite(&self.document_of(accepted, tasks)),
            None => Ok(()),
        });
        written.map_err(|e| Error::new("state: it could not be written to disk").caused_by(e))
    }

    fn document(&self) -> (Document, Vec<Arc<Pair>>) {
        self.tasks.all(|accepted, tasks| {
            let pairs = tasks.iter().filter_map(|task| task.pair.clone()).collect();
            (self.document_of(accepted, tasks), pairs)
        })
    }

    fn document_of(&self, accepted: u64, tasks: Vec<Task>) -> Document {
        let began = self.clock.began().as_millis().try_into().unwrap_or(u64::MAX);
        let document = Document::new(self.seed.value(), began, self.clock.now_ms());
        Document { accepted, tasks, ledger: self.ledger.export(), ..document }
    }

    /// Nothing more is rendered; what is to outlive the process stays.
    pub(crate) fn close(&self) {
        self.clips.stop();
        match &self.dir {
            // A clip that is just being rendered keeps all this alive; the files go now all the same.
            Some(dir) => drop(std::fs::remove_dir_all(dir.path())),
            None => self.pictures.leave(),
        }
        if let Some(mut log) = self.log() {
            log.close();
        }
    }

    fn keep(&self, event: impl FnOnce() -> Event) -> std::io::Result<()> {
        self.log().map_or(Ok(()), |mut log| log.append(&event()))
    }

    fn log(&self) -> Option<MutexGuard<'_, Log>> {
        Some(self.log.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A task whose clips decide when it ends, from its admission to there.
pub(crate) async fn render(shared: Arc<Shared>, ticket: Ticket) {
    let clips = shared.tasks.with(&ticket.task_id, |task| task.clips).unwrap_or(0);
    let mut fails = None;
    for sample in 0..clips {
        let Some(recipe) = shared.tasks.recipe(&ticket.task_id, sample) else { return };
        let Some(pair) = recipe.pair else {
            fails = Some("its pictures are no longer kept".to_owned());
            break;
        };
        let begin = || shared.tasks.begin(&ticket, shared.clock.now_ms());
        let progress = {
            let (shared, ticket) = (Arc::clone(&shared), ticket.clone());
            move |part: f32| shared.tasks.progress(&ticket, (sample as f32 + part) / clips as f32)
        };
        if let Err(why) = shared.clips.make(pair, recipe.spec, begin, progress).await {
            fails = Some(why);
            break;
        }
    }
    if fails.is_some() && shared.clips.is_stopped() {
        // It did not fail: the next sandbox takes it up again.
        return;
    }
    shared.tasks.finish(&ticket, shared.clock.now_ms(), fails, |task| {
        if let Some(ends) = task.ends {
            let (task_id, begins, fails) = (task.task_id.clone(), task.begins, task.fails.clone());
            // Else it is rendered once more after a restart.
            let _ = shared.keep(|| Event::Done { task_id, begins, ends, fails });
        }
    });
}

impl Event {
    /// When it happened.
    fn time(&self) -> u64 {
        match self {
            Self::Accepted(task) => task.submitted,
            Self::Done { ends, .. } => *ends,
            Self::Clock { now } => *now,
            Self::Leak { at, .. } => *at,
        }
    }
}

/// The folder where files of this kind are.
pub(crate) fn folder(root: &std::path::Path, kind: &str) -> Result<PathBuf, Error> {
    let folder = root.join(kind);
    std::fs::create_dir_all(&folder).map_err(|e| Error::new("no folder for pictures and clips").caused_by(e))?;
    Ok(folder)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::tasks::State;
    use crate::{Builder, Sandbox};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn stepped() -> Builder {
        Sandbox::builder().seed(1).clock(Clock::stepped())
    }

    /// Submits with a fate, as if it had come in the request's extensions. Gives the id.
    fn accept(sandbox: &Sandbox, fate: Fate) -> String {
        let shared = &sandbox.shared;
        let png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGM4EaABAAMkAUEdGZ/EAAAAAElFTkSuQmCC";
        let stored = shared.pictures.store("image", &STANDARD.decode(png).unwrap(), || false).unwrap();
        let body = br#"{"image":"","last_image":"","prompt":"x","sample_count":3,"duration_seconds":4}"#;
        let order = shared.contract.check(body, false).unwrap();
        shared.accept("key", order, Pair { first: Arc::clone(&stored), last: stored }, fate).unwrap()
    }

    fn state(sandbox: &Sandbox, id: &str) -> State {
        sandbox.shared.tasks.with(id, |task| task.state(sandbox.shared.clock.now_ms())).unwrap()
    }

    #[tokio::test]
    async fn a_fate_goes_before_the_configuration() {
        let sandbox = stepped().queue_time(SECOND).run_time(SECOND).start().await.unwrap();
        let usual = accept(&sandbox, Fate::default());
        let longer = accept(&sandbox, Fate { queued: Some(3 * SECOND), ..Fate::default() });
        let bad = accept(&sandbox, Fate { fails: Some("refused".to_owned()), clips: Some(9), ..Fate::default() });
        let stuck = accept(&sandbox, Fate { run: Some(SECOND / 2), stuck: true, ..Fate::default() });
        let few = accept(&sandbox, Fate { clips: Some(1), ..Fate::default() });
        sandbox.advance(2 * SECOND).unwrap();
        let states = [&usual, &longer, &bad, &stuck, &few].map(|id| state(&sandbox, id));
        assert_eq!(states, [State::Succeeded, State::Queued, State::Failed, State::Processing, State::Succeeded]);
        let videos = |id: &str| {
            let answer = |task: &Task| task.answer(9000, Duration::ZERO, |n| n.to_string(), 1);
            sandbox.shared.tasks.with(id, answer).unwrap()["videos"].as_array().unwrap().len()
        };
        assert_eq!([&usual, &longer, &bad, &stuck, &few].map(|id| videos(id)), [3, 3, 0, 0, 1]);
        // What was asked for is billed, whatever comes of it.
        assert_eq!(sandbox.shared.ledger.totals(None).clips, 15);
    }

    #[tokio::test]
    async fn without_run_times_only_what_is_fated_goes_by_the_clock() {
        let sandbox = stepped().start().await.unwrap();
        let bad = accept(&sandbox, Fate { fails: Some("refused".to_owned()), ..Fate::default() });
        let stuck = accept(&sandbox, Fate { stuck: true, ..Fate::default() });
        assert_eq!((state(&sandbox, &bad), state(&sandbox, &stuck)), (State::Failed, State::Processing));
        let none = accept(&sandbox, Fate { clips: Some(0), ..Fate::default() });
        while state(&sandbox, &none) != State::Succeeded {
            tokio::task::yield_now().await;
        }
        assert_eq!(sandbox.rendered_clips(), 0);
    }
}
