//! The Highway API's first/last frame endpoint served locally, with real MP4s.
//!
//! Two pictures and a prompt become a task, the task becomes a clip, and the clip's link is signed
//! and expires, all on this machine: no network, no account, no bill. Requests are checked against
//! the contract's own `openapi.yaml`.
//!
//! ```no_run
//! # async fn example() -> Result<(), highwayapi_sandbox::Error> {
//! use highwayapi_sandbox::Sandbox;
//!
//! let sandbox = Sandbox::start().await?;
//! println!("{} takes the key {}", sandbox.base_url(), sandbox.api_key());
//! // … point a client at it …
//! assert_eq!(sandbox.submits(), 0, "nothing would have been billed");
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod addresses;
mod admin;
mod api;
mod builder;
pub mod cassette;
mod clip;
mod clock;
mod contract;
mod error;
mod faults;
mod files;
mod frames;
mod hex;
mod hosts;
mod journal;
mod ledger;
mod metrics;
mod operation;
mod patience;
mod pictures;
mod run_time;
mod seed;
mod server;
mod shared;
mod state;
mod tasks;
mod wire;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::middleware::from_fn_with_state;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

pub use crate::builder::Builder;
use crate::clip::Clips;
pub use crate::clock::Clock;
use crate::contract::Contract;
pub use crate::error::Error;
use crate::faults::Faults;
pub use crate::faults::Script;
use crate::files::Links;
use crate::frames::Frames;
use crate::hosts::Hosts;
use crate::journal::Journal;
pub use crate::ledger::Assertions;
use crate::ledger::Ledger;
use crate::metrics::Metrics;
use crate::pictures::Pictures;
pub use crate::run_time::RunTime;
use crate::seed::Seed;
use crate::shared::{Shared, WELL_KNOWN_KEY};
use crate::state::Log;
pub use crate::tasks::Accepted;
use crate::tasks::Tasks;

/// Bytes of pictures that tasks may hold on disk, each content counted once.
const MAX_PICTURES: u64 = 4 << 30;

/// How long a stop waits for answers that are on their way.
const GRACE: Duration = Duration::from_secs(5);

/// A running sandbox; dropping it stops it and, unless it is kept in a folder, removes its files.
///
/// # Limits
///
/// - In memory: at most 10,000 tasks wait or run at once (further submits are answered with 429), and 10,000 finished ones
///   are remembered; each takes one to five kilobytes. 128 MiB of request bodies are read at once, and two scenes of up to
///   18 MB are kept for rendering.
/// - On disk: 4 GiB of pictures, each content once, and 2 GiB of clips. Where there is no more room for pictures, the oldest
///   finished tasks let go of theirs; where all tasks are waiting, further submits are answered with 429. The oldest clips are
///   removed, and rendered once more when they are asked for as long as their pictures are there. In a folder of its own
///   (see [`Builder::state`]) a log comes to that, of at most some 64 MiB beyond what is remembered.
/// - A clip that was asked for before is not rendered again; other clips are rendered as they were asked for, one at a time
///   for every four cores.
pub struct Sandbox {
    base_url: String,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<std::io::Result<()>>,
}

impl Sandbox {
    /// Starts a sandbox on a free port of the loopback address.
    ///
    /// # Errors
    ///
    /// When there is no port, no temporary directory or no random number to be had.
    pub async fn start() -> Result<Self, Error> {
        Self::builder().start().await
    }

    /// A sandbox that differs from the default.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Where it listens, such as `http://127.0.0.1:49152`; no slash at the end.
    pub fn base_url(&self) -> String {
        self.base_url.clone()
    }

    /// The key it takes, or the first of those.
    pub fn api_key(&self) -> &str {
        self.shared.keys.first().map(String::as_str).unwrap_or_default()
    }

    /// What all that is drawn follows from: with the same seed, clock and requests everything happens once more.
    pub fn seed(&self) -> u64 {
        self.shared.seed.value()
    }

    /// Moves a stepped clock on.
    ///
    /// # Errors
    ///
    /// When the clock moves by itself, or would come further than a hundred years from its beginning.
    pub fn advance(&self, by: Duration) -> Result<(), Error> {
        self.shared.advance(by)
    }

    /// Everything that another sandbox needs to go on from here: tasks, bills, counters, the clock, and pictures of up to
    /// 64 MiB. Holds no key and no link.
    ///
    /// # Errors
    ///
    /// When there are more pictures, or one cannot be read.
    pub fn export(&self) -> Result<Value, Error> {
        self.shared.export()
    }

    /// Puts what another sandbox has [exported](Self::export) in the place of all that is here; to be called inside a Tokio
    /// runtime. The seed stays this sandbox's own, and with it the key of its links.
    ///
    /// # Errors
    ///
    /// When it is no export; the message names the field that is wrong, and nothing was changed.
    pub fn import(&self, export: &Value) -> Result<(), Error> {
        self.shared.import(export)
    }

    /// Forgets all tasks, bills and lines of the journal, counts from the beginning, and begins the clock anew.
    ///
    /// # Errors
    ///
    /// When that could not be written to disk.
    pub fn reset(&self) -> Result<(), Error> {
        self.shared.reset()
    }

    /// Submits that were accepted: what the service would have billed.
    pub fn submits(&self) -> u64 {
        self.shared.tasks.admitted()
    }

    /// The submits behind that number, oldest first: the account's own record, which tells what became of a submit whose
    /// answer was lost. Of the oldest finished tasks only the number is kept, once there are more than 10,000.
    pub fn accepted(&self) -> Vec<Accepted> {
        self.shared.tasks.accepted()
    }

    /// Holds the ledger against what is expected of it.
    ///
    /// # Errors
    ///
    /// When something does not hold; the message names everything that does not, with its figures.
    pub fn assert_ledger(&self, assertions: &Assertions) -> Result<(), Error> {
        let checked = self.shared.ledger.check(assertions);
        if checked.held() { Ok(()) } else { Err(Error::new(format!("the ledger: {}", checked.complaint()))) }
    }

    /// Clips that were rendered; one that was there already is not rendered again.
    pub fn rendered_clips(&self) -> u64 {
        self.shared.clips.rendered()
    }

    /// Requests for a clip that carried the API key: at a real file host each of them would have given it away.
    pub fn leaked_keys(&self) -> u64 {
        self.shared.ledger.totals(None).leaked
    }

    /// Returns only if the sandbox ceases to serve by itself.
    ///
    /// # Errors
    ///
    /// When it ceased because of an error.
    pub async fn stopped(&mut self) -> Result<(), Error> {
        match (&mut self.server).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) => Err(Error::new("the sandbox can serve no longer").caused_by(e)),
            Err(e) => Err(Error::new("the sandbox ceased to serve").caused_by(e)),
        }
    }

    /// Takes no more requests, and returns when those on their way are answered, or after five
    /// seconds. Tasks that wait or run are given up, or go on in the next sandbox in the same folder.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        let _ = tokio::time::timeout(GRACE, &mut self.server).await;
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.shared.close();
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

impl Builder {
    /// Starts it; to be called inside a Tokio runtime.
    ///
    /// # Errors
    ///
    /// When something that was asked for cannot be, which the message names; it cannot listen there; the folder of
    /// [`state`](Self::state) is in use or holds something else; or there is no temporary directory to be had.
    pub async fn start(self) -> Result<Sandbox, Error> {
        self.check()?;
        let hosts = Arc::new(Hosts::new(self.listen.ip(), self.public_url.as_deref(), &self.allow_host)?);
        let contract = Contract::load()?;
        let frames = Frames::new(&self.allow_fetch, self.lenient, contract.max_picture())?;
        let kept = self.state.as_deref().map(Log::open).transpose()?;
        let (log, before) = kept.map_or((None, None), |(log, before)| (Some(log), before));
        let dir = if log.is_none() { Some(temporary_dir()?) } else { None };
        let root = dir.as_ref().map(tempfile::TempDir::path).or(self.state.as_deref()).unwrap_or(Path::new(""));
        // Clips are rendered again when they are asked for.
        let _ = std::fs::remove_dir_all(root.join("clips"));
        let (pictures, clips) = (shared::folder(root, "pictures")?, shared::folder(root, "clips")?);
        let seed = match (self.seed, before.as_ref().map(|(document, _)| document.seed)) {
            (Some(wanted), Some(found)) if wanted != found => {
                return Err(Error::new(format!("seed: {wanted} came, and the folder's sandbox has {found}")));
            }
            (Some(seed), _) | (None, Some(seed)) => Seed::new(seed),
            (None, None) => Seed::random()?,
        };
        let cannot_listen = |e| Error::new(format!("cannot listen on {}", self.listen)).caused_by(e);
        let listener = TcpListener::bind(self.listen).await.map_err(cannot_listen)?;
        let base_url = format!("http://{}", reachable(listener.local_addr().map_err(cannot_listen)?));
        let link_base = self.public_url.unwrap_or_else(|| base_url.clone());
        let clock = self.clock.unwrap_or_else(Clock::real);
        let shared = Arc::new(Shared {
            keys: if self.api_keys.is_empty() { vec![WELL_KNOWN_KEY.to_owned()] } else { self.api_keys },
            lenient: self.lenient,
            seed,
            faults: Faults::new(self.faults, seed, clock.clone()),
            clock,
            queue_time: self.queue_time,
            run_time: self.run_time,
            contract,
            frames,
            pictures: Pictures::new(&pictures, MAX_PICTURES),
            tasks: Tasks::new(self.max_open_tasks),
            clips: Arc::new(Clips::new(clips)),
            links: Links::new(link_base.trim_end_matches('/').to_owned(), self.link_ttl, &seed)?,
            ledger: Ledger::default(),
            journal: Journal::default(),
            metrics: Metrics::default(),
            base_url: base_url.clone(),
            log: log.map(Into::into),
            dir,
            room: Semaphore::new(api::ROOM),
            decoders: Semaphore::new(std::thread::available_parallelism().map_or(1, Into::into)),
        });
        if let Some((document, events)) = before {
            shared.restore(document, events)?;
            shared.pictures.sweep();
        }
        shared.write_down()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let api = api::router(Arc::clone(&shared))
            .layer(from_fn_with_state(Arc::clone(&shared), faults::layer))
            .layer(from_fn_with_state(hosts, hosts::layer))
            .layer(from_fn_with_state(Arc::clone(&shared), journal::observe));
        let open = Arc::clone(&shared.metrics.connections);
        let server = tokio::spawn(server::serve(listener, api, self.client_patience, open, stopped));
        Ok(Sandbox { base_url, shared, stop: Some(stop), server })
    }
}

/// Pictures and clips are their user's: nobody else may look in.
pub(crate) fn temporary_dir() -> Result<tempfile::TempDir, Error> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.prefix("highway-sandbox-").tempdir().map_err(|e| {
        let place = std::env::temp_dir();
        Error::new(format!("no directory for the clips can be made in {}", place.display())).caused_by(e)
    })
}

/// Every address is no address to connect to; loopback is one of them.
pub(crate) fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    address
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_left_on_disk() {
        let sandbox = Sandbox::start().await.unwrap();
        let dir = sandbox.shared.dir.as_ref().unwrap().path().to_owned();
        std::fs::write(dir.join("clip.mp4"), "").unwrap();
        // As a clip that is being rendered does.
        let shared = Arc::clone(&sandbox.shared);
        drop(sandbox);
        assert!(!dir.exists());
        drop(shared);
    }

    #[test]
    fn links_name_an_address_that_can_be_reached() {
        for (bound, wanted) in
            [("0.0.0.0:80", "127.0.0.1:80"), ("[::]:80", "[::1]:80"), ("192.0.2.1:80", "192.0.2.1:80")]
        {
            assert_eq!(reachable(bound.parse().unwrap()).to_string(), wanted);
        }
    }
}
