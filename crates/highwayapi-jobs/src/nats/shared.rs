//! What all handles and holds of one connection share, and the thread that it lives on.

use std::collections::HashMap;
use std::io;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use async_nats::jetstream::stream::{Config, RetentionPolicy};
use async_nats::{ConnectErrorKind, Event};
use tokio::runtime::{Builder, Handle as Runtime};
use tokio::sync::{mpsc as tokio_mpsc, oneshot};

use super::bucket::{Bucket, Link, Put};
use super::frames::Frames;
use super::lock;
use super::options::{Address, NatsOptions};
use super::pulse::{Back, Pulse};
use super::queue::Queue;
use super::row::{Found, Leave, Row, Seat};
use super::tallies::Tallies;
use super::turns::Turns;
use crate::error::{Error, Result};
use crate::job::{Job, JobId};
use crate::store::Hold;

/// How long the end of a program waits until its last words are written.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// So often the end of a hold is tried to be written down; after that it comes about when this process ends.
const RELEASES: u32 = 100;

pub(super) struct Shared {
    pub(super) link: Link,
    pub(super) runtime: Runtime,
    pub(super) jobs: Bucket,
    /// By fingerprint: the jobs that may have been paid for.
    pub(super) same: Bucket,
    pub(super) batches: Bucket,
    pub(super) queue: Arc<Queue>,
    pub(super) turns: Turns,
    pub(super) frames: Frames,
    pub(super) pulse: Arc<Pulse>,
    pub(super) tallies: Tallies,
    /// The holds of this process, by their tokens.
    holds: Mutex<HashMap<String, Weak<Grip>>>,
    /// Tells the thread that nobody needs it any more.
    _alive: tokio_mpsc::Sender<()>,
}

/// What keeps the thread: each handle has it and each hold, and no call that is under way.
pub(super) struct Handle {
    /// Dropped first: then the thread ends, when no call is under way.
    pub(super) shared: Arc<Shared>,
    _last_words: LastWords,
}

/// Waits, when it is dropped, until what was let go of is written down, or others would have to wait for the lease.
struct LastWords {
    thread: thread::ThreadId,
    ended: Mutex<mpsc::Receiver<()>>,
}

/// What keeps a job held: its [`Hold`] has it, and so has every write of that hold that is under way. A hold that is
/// dropped with a write behind it ends after that write, or the write would be refused.
pub(super) struct Grip {
    pub(super) handle: Arc<Handle>,
    pub(super) id: JobId,
    pub(super) key: String,
    pub(super) token: String,
    /// One write at a time.
    pub(super) seat: tokio::sync::Mutex<Seat>,
}

impl Handle {
    /// Connects on a thread of its own: what keeps jobs held must not depend on a runtime that its user stops or blocks.
    pub(super) async fn begin(address: Address, options: NatsOptions) -> Result<Self> {
        let (answer, opened) = oneshot::channel();
        let (end, ended) = mpsc::channel();
        let live = move || {
            let runtime = match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => {
                    let error = Error::store("no thread can be started for the record").with_source(error);
                    return drop(answer.send(Err(error)));
                }
            };
            runtime.block_on(async move {
                let (alive, mut unneeded) = tokio_mpsc::channel(1);
                let shared = match Shared::open(&address, &options, alive).await {
                    Ok(shared) => Arc::new(shared),
                    Err(error) => return drop(answer.send(Err(error))),
                };
                let pulse = Arc::clone(&shared.pulse);
                tokio::spawn(beat(Arc::clone(&pulse), Arc::downgrade(&shared.queue)));
                drop(answer.send(Ok(shared)));
                // Until nobody has it any more, and nothing of it is under way.
                let _ = unneeded.recv().await;
                let _ = tokio::time::timeout(LAST_WORDS, pulse.end()).await;
            });
            drop(end);
        };
        let failed = || Error::store("no thread can be started for the record");
        let thread = thread::Builder::new().name("highway-nats".to_owned()).spawn(live);
        let thread = thread.map_err(|error| failed().with_source(error))?.thread().id();
        let shared = opened.await.map_err(|error| failed().with_source(error))??;
        Ok(Self { shared, _last_words: LastWords { thread, ended: Mutex::new(ended) } })
    }

    /// A hold that is still to be written down.
    pub(super) fn new_hold(self: &Arc<Self>, id: &JobId, key: String) -> (Hold, Arc<Grip>) {
        let shared = &self.shared;
        let token = shared.pulse.token();
        let (handle, seat) = (Arc::clone(self), tokio::sync::Mutex::default());
        let grip = Arc::new(Grip { handle, id: id.clone(), key, token: token.clone(), seat });
        lock(&shared.holds).insert(token.clone(), Arc::downgrade(&grip));
        let kept = Arc::clone(&grip);
        (Hold::new(id.clone(), token, move || drop(kept)), grip)
    }
}

impl Drop for LastWords {
    fn drop(&mut self) {
        if thread::current().id() != self.thread {
            let _ = lock(&self.ended).recv_timeout(LAST_WORDS);
        }
    }
}

impl Drop for Grip {
    /// Within this process at once, and for others as soon as it is written.
    fn drop(&mut self) {
        let shared = Arc::clone(&self.handle.shared);
        lock(&shared.holds).remove(&self.token);
        let seat = std::mem::take(self.seat.get_mut());
        if let Leave::Job(job) = &seat.leave {
            shared.queue.free(job);
        }
        let (key, token) = (std::mem::take(&mut self.key), std::mem::take(&mut self.token));
        let runtime = shared.runtime.clone();
        runtime.spawn(async move {
            for _ in 0..RELEASES {
                match shared.release(&key, &token, &seat).await {
                    Err(error) if error.is_store() => {
                        tracing::debug!(%error, "the end of a hold is not written down yet");
                        tokio::time::sleep(shared.pulse.lease / 3).await;
                    }
                    _ => return,
                }
            }
        });
    }
}

impl Shared {
    async fn open(address: &Address, options: &NatsOptions, alive: tokio_mpsc::Sender<()>) -> Result<Self> {
        let back = Back::default();
        let seen = Arc::clone(&back);
        let event = move |event| {
            let seen = Arc::clone(&seen);
            async move {
                let mut seen = lock(&seen);
                match event {
                    Event::Disconnected => *seen = Some(Instant::now()),
                    Event::Connected if seen.is_some() => *seen = Some(Instant::now()),
                    _ => {}
                }
            }
        };
        let connect = options
            .connect_options(address)?
            .name("highway")
            .connection_timeout(options.patience)
            .request_timeout(Some(options.patience))
            .reconnect_delay_callback(|tries| Duration::from_millis((50 << tries.min(5)).min(1000)))
            .event_callback(event);
        let client = connect.connect(address.servers.clone()).await.map_err(|error| not_connected(address, error))?;
        let link = Link::new(client, address.shown.clone(), options.patience);
        let (prefix, replicas) = (&address.prefix, options.replicas);
        let bucket = async |name, max_age| link.bucket(&format!("{prefix}-{name}"), replicas, max_age).await;
        let (jobs, same, batches, living) = tokio::try_join!(
            bucket("jobs", Duration::ZERO),
            bucket("same", Duration::ZERO),
            bucket("batches", Duration::ZERO),
            bucket("alive", options.lease),
        )?;
        let queue = Config {
            name: format!("{prefix}-queue"),
            subjects: vec![format!("{prefix}.queue.*.*")],
            retention: RetentionPolicy::WorkQueue,
            num_replicas: replicas,
            ..Config::default()
        };
        let (queue, turns, frames, pulse) = tokio::try_join!(
            link.stream(queue),
            Turns::begin(&link, prefix, replicas, options.requests_per_minute),
            Frames::begin(&link, prefix, replicas),
            Pulse::begin(living, back),
        )?;
        let queue = Arc::new(Queue::new(link.clone(), queue, prefix.clone(), pulse.lease));
        let (runtime, pulse) = (Runtime::current(), Arc::new(pulse));
        let (tallies, holds) = (Tallies::default(), Mutex::default());
        Ok(Self { link, runtime, jobs, same, batches, queue, turns, frames, pulse, tallies, holds, _alive: alive })
    }

    /// That of a hold that has not ended.
    pub(super) fn grip(&self, hold: &Hold) -> Option<Arc<Grip>> {
        let grip = lock(&self.holds).get(hold.token()).cloned()?;
        grip.upgrade().filter(|grip| grip.id == *hold.id())
    }

    pub(super) async fn is_held(&self, token: &str) -> Result<bool> {
        if self.pulse.is_own(token) {
            return Ok(lock(&self.holds).get(token).is_some_and(|grip| grip.strong_count() > 0));
        }
        self.pulse.is_alive(token).await
    }

    pub(super) fn not_held(&self) -> Error {
        Error::not_held(format!("the job is no longer held in the record {}", self.link.place))
    }

    /// Writes the row of a job that is held, if it still is.
    pub(super) async fn write(&self, grip: &Grip, seat: &mut Seat, row: Row) -> Result<()> {
        let row = Row { holder: Some(grip.token.clone()), added: seat.added, ..row };
        seat.touched = true;
        seat.revision = self.replace(&grip.key, &grip.token, seat.revision, Some(row.text()?)).await?;
        seat.added = seat.added.or(Some(seat.revision));
        Ok(())
    }

    /// Forgets the job of a hold.
    pub(super) async fn erase(&self, grip: &Grip, seat: &mut Seat) -> Result<()> {
        self.replace(&grip.key, &grip.token, seat.revision, None).await?;
        seat.touched = false;
        Ok(())
    }

    /// Replaces what stands at a key as long as it is this hold's.
    async fn replace(&self, key: &str, token: &str, mut revision: u64, value: Option<Vec<u8>>) -> Result<u64> {
        // A write of this hold whose answer was lost may have come about later.
        for _ in 0..4 {
            match self.jobs.put(key, value.clone(), revision).await? {
                Put::Done(revision) => return Ok(revision),
                Put::Changed(slot) => match self.row(&slot)? {
                    Some(row) if row.holder.as_deref() == Some(token) => revision = slot.revision,
                    _ => break,
                },
            }
        }
        Err(self.not_held())
    }

    /// The end of a hold.
    async fn release(&self, key: &str, token: &str, seat: &Seat) -> Result<()> {
        if !seat.touched {
            self.queue.after_release(token, None).await;
            return Ok(());
        }
        let (added, job, revision) = match &seat.leave {
            Leave::Nothing => (None, None, seat.revision),
            Leave::Job(job) => (seat.added, Some(Job::clone(job)), seat.revision),
            Leave::AsItIs => match self.found(self.jobs.get(key).await?).await? {
                Some(Found { revision, added, holder, job, .. }) if holder.as_deref() == Some(token) => {
                    (Some(added), Some(job), revision)
                }
                _ => return Ok(()),
            },
        };
        let row = job.as_ref().map(|job| Row { added, job: Some(job.clone()), ..Row::default() });
        let value = row.map(|row| row.text()).transpose()?;
        if let Some(job) = &job {
            self.queue.before_release(token, job).await?;
        }
        let released = self.replace(key, token, revision, value).await.map(drop);
        self.queue.after_release(token, job.as_ref()).await;
        released
    }
}

/// Keeps this process, and what it claimed, from being taken for dead.
async fn beat(pulse: Arc<Pulse>, queue: Weak<Queue>) {
    loop {
        tokio::time::sleep(pulse.lease / 3).await;
        if let Err(error) = pulse.beat().await {
            tracing::warn!(%error, "the record does not hear from this process");
        }
        let Some(queue) = queue.upgrade() else { return };
        queue.refresh().await;
    }
}

fn not_connected(address: &Address, error: async_nats::ConnectError) -> Error {
    let place = &address.shown;
    // A certificate that is not trusted comes as this.
    let is_tls = std::error::Error::source(&error)
        .and_then(|source| source.downcast_ref::<io::Error>())
        .is_some_and(|error| error.kind() == io::ErrorKind::InvalidData);
    let text = match error.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => format!(
            "the server of {place} refuses these credentials; HIGHWAY_NATS_CREDS, HIGHWAY_NATS_NKEY, or \
             HIGHWAY_NATS_USER and HIGHWAY_NATS_PASSWORD name others"
        ),
        kind if is_tls || kind == ConnectErrorKind::Tls => {
            format!("no TLS with the server of {place}; HIGHWAY_NATS_CA names a certificate that it must be signed by")
        }
        _ => format!("the record {place} cannot be reached; is nats-server running there?"),
    };
    Error::store(text).with_source(error)
}
