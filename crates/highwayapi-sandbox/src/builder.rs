//! How a sandbox shall be.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::clock::Clock;
use crate::error::Error;
use crate::faults::Script;
use crate::run_time::RunTime;
use crate::server::PATIENCE;
use crate::tasks::MAX_OPEN;

/// How a sandbox shall be, where the defaults do not fit; from [`Sandbox::builder`](crate::Sandbox::builder).
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    pub(crate) listen: SocketAddr,
    pub(crate) public_url: Option<String>,
    pub(crate) api_keys: Vec<String>,
    pub(crate) link_ttl: Duration,
    pub(crate) allow_fetch: Vec<String>,
    pub(crate) lenient: bool,
    pub(crate) max_open_tasks: usize,
    pub(crate) seed: Option<u64>,
    pub(crate) clock: Option<Clock>,
    pub(crate) queue_time: Option<RunTime>,
    pub(crate) run_time: Option<RunTime>,
    pub(crate) state: Option<PathBuf>,
    pub(crate) faults: Script,
    pub(crate) allow_host: Vec<String>,
    pub(crate) client_patience: Duration,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            public_url: None,
            api_keys: Vec::new(),
            link_ttl: Duration::from_secs(3600),
            allow_fetch: Vec::new(),
            lenient: false,
            max_open_tasks: MAX_OPEN,
            seed: None,
            clock: None,
            queue_time: None,
            run_time: None,
            state: None,
            faults: Script::default(),
            allow_host: Vec::new(),
            client_patience: PATIENCE,
        }
    }

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

    /// A key that is taken; `sandbox-key` unless said otherwise. May be called several times: each key is an account with
    /// bills of its own.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_keys.push(key.into());
        self
    }

    /// For how long a result link is good, in whole seconds of the sandbox's clock; an hour unless said otherwise.
    pub fn link_ttl(mut self, ttl: Duration) -> Self {
        self.link_ttl = ttl;
        self
    }

    /// Lets pictures be fetched from `host`, `host:port` or an origin such as `http://host:port`.
    /// May be called several times. Without it no URL is fetched. A name must lead to an address of the internet: of private
    /// networks and of this machine only `localhost` and addresses that are given here as such are connected to.
    pub fn allow_fetch(mut self, address: impl Into<String>) -> Self {
        self.allow_fetch.push(address.into());
        self
    }

    /// Lets pass what the contract does not speak of: fields it does not list, bare Base64, a data URI that names another
    /// kind of picture, and `dont_allow` for no people. Not unless said otherwise.
    pub fn lenient(mut self, lenient: bool) -> Self {
        self.lenient = lenient;
        self
    }

    /// How many tasks may wait or run at once, 10,000 unless said otherwise.
    pub fn max_open_tasks(mut self, most: usize) -> Self {
        self.max_open_tasks = most;
        self
    }

    /// What all that is drawn follows from: ids, run times, seeds that a submit does not give, the key of the links. A random
    /// one unless said otherwise, or that of the folder of [`state`](Self::state).
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The time that it lives in; [`Clock::real`] unless said otherwise.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// How long a task waits before it runs. Not at all unless said otherwise.
    pub fn queue_time(mut self, time: impl Into<RunTime>) -> Self {
        self.queue_time = Some(time.into());
        self
    }

    /// How long a task runs. Unless said otherwise, and unless there is a [`queue_time`](Self::queue_time), as long as its
    /// clips take to be rendered; where it is said, the clock alone decides, and a clip is rendered when its link is followed
    /// for the first time.
    pub fn run_time(mut self, time: impl Into<RunTime>) -> Self {
        self.run_time = Some(time.into());
        self
    }

    /// Keeps everything in this folder, so that the next sandbox goes on from there, however this one ends: a task whose
    /// submit was answered is not lost. (It survives the process, but not the loss of power.) One sandbox at a time uses it.
    pub fn state(mut self, folder: impl Into<PathBuf>) -> Self {
        self.state = Some(folder.into());
        self
    }

    /// What shall go wrong; nothing unless said otherwise.
    pub fn faults(mut self, script: Script) -> Self {
        self.faults = script;
        self
    }

    /// Lets clients call the sandbox by this name in the `Host` header. May be called several times. Known without it are
    /// the names and addresses of loopback, the address it listens on, and the host of [`public_url`](Self::public_url).
    pub fn allow_host(mut self, name: impl Into<String>) -> Self {
        self.allow_host.push(name.into());
        self
    }

    /// How long a client may keep the sandbox waiting before it is cut off, 30 seconds unless said otherwise: for a
    /// request's head, and for bytes of a body or an answer, where each KiB that moves wins a second of it back.
    pub fn client_patience(mut self, limit: Duration) -> Self {
        self.client_patience = limit;
        self
    }

    /// What can be told before anything is touched.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let is_bad = |key: &&String| key.is_empty() || key.contains(|c: char| c.is_whitespace() || c.is_control());
        if let Some(key) = self.api_keys.iter().find(is_bad) {
            return Err(Error::new(format!(
                "api_key: {key:?} came, and a key has one character or more, and no spaces"
            )));
        }
        if self.link_ttl < Duration::from_secs(1) {
            let ttl = humantime::format_duration(self.link_ttl);
            return Err(Error::new(format!("link_ttl: {ttl} came, and it must be a second or more")));
        }
        Ok(())
    }
}
