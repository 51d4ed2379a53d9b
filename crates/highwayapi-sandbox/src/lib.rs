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

mod api;
pub mod cassette;
mod clip;
mod clock;
mod contract;
mod error;
mod files;
mod frames;
mod pictures;
#[allow(dead_code)]
mod seed;
mod tasks;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

use crate::api::Shared;
use crate::clip::Clips;
pub use crate::clock::Clock;
use crate::contract::Contract;
pub use crate::error::Error;
use crate::files::Links;
use crate::frames::Frames;
use crate::pictures::Pictures;
pub use crate::tasks::Accepted;
use crate::tasks::Tasks;

/// Bytes of pictures that waiting tasks may hold on disk, each content counted once.
const MAX_PICTURES: u64 = 4 << 30;

/// How long a stop waits for answers that are on their way.
const GRACE: Duration = Duration::from_secs(5);

/// A running sandbox; dropping it stops it and removes its clips.
///
/// It keeps 10,000 finished tasks and 2 GiB of clips (in a temporary directory) and forgets the oldest
/// beyond that. At most 10,000 tasks with 4 GiB of pictures wait at once, and further submits are answered
/// with 429. A picture that several tasks need is held once, and a clip that was asked for before is not
/// rendered again; other clips are rendered as they were asked for, one at a time for every four cores.
pub struct Sandbox {
    base_url: String,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<std::io::Result<()>>,
}

/// How a sandbox shall be, where the defaults do not fit; from [`Sandbox::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    listen: SocketAddr,
    public_url: Option<String>,
    api_key: String,
    link_ttl: Duration,
    allow_fetch: Vec<String>,
    bare_base64: bool,
    max_open_tasks: usize,
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
        Builder {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            public_url: None,
            api_key: "sandbox-key".to_owned(),
            link_ttl: Duration::from_secs(3600),
            allow_fetch: Vec::new(),
            bare_base64: false,
            max_open_tasks: tasks::MAX_OPEN,
        }
    }

    /// Where it listens, such as `http://127.0.0.1:49152`; no slash at the end.
    pub fn base_url(&self) -> String {
        self.base_url.clone()
    }

    /// The one key it takes.
    pub fn api_key(&self) -> &str {
        &self.shared.api_key
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

    /// Clips that were rendered; one that was there already is not rendered again.
    pub fn rendered_clips(&self) -> u64 {
        self.shared.clips.rendered()
    }

    /// Requests for a clip that carried an `Authorization` header: at a real file host each of them
    /// would have given the API key away.
    pub fn leaked_keys(&self) -> u64 {
        self.shared.leaked_keys.load(Ordering::Relaxed)
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
    /// seconds. Tasks that wait or run are given up.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        let _ = tokio::time::timeout(GRACE, &mut self.server).await;
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.shared.clips.stop();
        // A clip that is just being rendered keeps `shared` alive; its directory goes now all the same.
        let _ = std::fs::remove_dir_all(self.shared.dir.path());
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

impl Builder {
    /// Where to listen; port 0 takes a free one. Only who says so here is heard from other machines.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// The start of result links, where clients reach the sandbox by another address than its own.
    pub fn public_url(mut self, url: impl Into<String>) -> Self {
        self.public_url = Some(url.into());
        self
    }

    /// The only key that is taken; `sandbox-key` unless said otherwise.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = key.into();
        self
    }

    /// For how long a result link is good, in whole seconds; an hour unless said otherwise.
    pub fn link_ttl(mut self, ttl: Duration) -> Self {
        self.link_ttl = ttl;
        self
    }

    /// Lets pictures be fetched from `host`, `host:port` or an origin such as `http://host:port`.
    /// May be called several times. Without it no URL is fetched.
    pub fn allow_fetch(mut self, address: impl Into<String>) -> Self {
        self.allow_fetch.push(address.into());
        self
    }

    /// Whether a picture may come as Base64 without `data:image/…;base64,` before it. Not unless
    /// said otherwise: the service was seen to refuse it.
    pub fn accept_bare_base64(mut self, accept: bool) -> Self {
        self.bare_base64 = accept;
        self
    }

    /// How many tasks may wait or run at once, 10,000 unless said otherwise.
    pub fn max_open_tasks(mut self, most: usize) -> Self {
        self.max_open_tasks = most;
        self
    }

    /// Starts it; to be called inside a Tokio runtime.
    ///
    /// # Errors
    ///
    /// When it cannot listen there, an address of [`allow_fetch`](Self::allow_fetch) is none, or
    /// there is no temporary directory or random number to be had.
    pub async fn start(self) -> Result<Sandbox, Error> {
        let contract = Contract::load()?;
        let frames = Frames::new(&self.allow_fetch, self.bare_base64, contract.max_picture())?;
        let dir = private_dir().map_err(|e| {
            let place = std::env::temp_dir();
            Error::new(format!("no directory for the clips can be made in {}", place.display())).caused_by(e)
        })?;
        let cannot_listen = |e| Error::new(format!("cannot listen on {}", self.listen)).caused_by(e);
        let listener = TcpListener::bind(self.listen).await.map_err(cannot_listen)?;
        let base_url = format!("http://{}", reachable(listener.local_addr().map_err(cannot_listen)?));
        let link_base = self.public_url.unwrap_or_else(|| base_url.clone());
        let shared = Arc::new(Shared {
            api_key: self.api_key,
            contract,
            frames,
            pictures: Pictures::new(dir.path(), MAX_PICTURES),
            tasks: Tasks::new(self.max_open_tasks),
            clips: Arc::new(Clips::new(dir.path().to_owned())),
            links: Links::new(link_base.trim_end_matches('/').to_owned(), self.link_ttl)?,
            dir,
            leaked_keys: AtomicU64::new(0),
            room: Semaphore::new(api::ROOM),
            decoders: Semaphore::new(std::thread::available_parallelism().map_or(1, Into::into)),
        });
        // Without it small answers wait for the client's acknowledgement. That it may fail matters not.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let (stop, stopped) = oneshot::channel::<()>();
        let server = axum::serve(listener, api::router(Arc::clone(&shared)))
            .with_graceful_shutdown(async { drop(stopped.await) });
        Ok(Sandbox { base_url, shared, stop: Some(stop), server: tokio::spawn(server.into_future()) })
    }
}

/// Pictures and clips are their user's: nobody else may look in.
pub(crate) fn private_dir() -> std::io::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.prefix("highway-sandbox-").tempdir()
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
        let dir = sandbox.shared.dir.path().to_owned();
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
