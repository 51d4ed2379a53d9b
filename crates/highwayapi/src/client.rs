//! The client and how it is set up.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use highwayapi_raw as raw;
use highwayapi_raw::hooks::{ApiKey, Hooks};
use reqwest::Url;
use reqwest::redirect::Policy;

use crate::error::Kind as ErrorKind;
use crate::redact::clean;
use crate::retry::{LONGEST_WISH, left_alone};
use crate::schedule::{Kind, Schedule, SharedBudget, Wish};
use crate::{Charged, Error, Options, Result, Task, TaskId};

const BASE_URL: &str = "https://api.highwayapi.ai";
/// What the vendor's documentation says of Veo 3.1, "about".
const REQUESTS_PER_MINUTE: u32 = 50;

/// The way to the service. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Client(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) base_url: String,
    /// The key as text, only to be blotted out of what the service says.
    pub(crate) key: String,
    pub(crate) hooks: Hooks,
    /// For polls: the same for all.
    pub(crate) raw: raw::Client,
    /// To the service: with the key, following nothing.
    pub(crate) api: reqwest::Client,
    /// To file hosts: knows no key. Not there before the first video is fetched: it reads all the certificates that the
    /// system trusts.
    files: OnceLock<reqwest::Client>,
    direct: bool,
    pub(crate) idle_timeout: Duration,
    pub(crate) wait_timeout: Duration,
    pub(crate) schedule: Schedule,
    pub(crate) submit_attempts: u32,
    shared_budget: Option<Arc<dyn SharedBudget>>,
}

impl Client {
    /// A client with the key from `HIGHWAY_API_KEY` and, where it is set, the base URL from `HIGHWAY_BASE_URL`.
    ///
    /// # Errors
    ///
    /// When the key is not set, or as [`ClientBuilder::build`].
    pub fn from_env() -> Result<Self> {
        ClientBuilder::from_env()?.build()
    }

    /// A client with this key.
    ///
    /// # Errors
    ///
    /// As [`ClientBuilder::build`].
    pub fn new(api_key: impl Into<String>) -> Result<Self> {
        Self::builder(api_key).build()
    }

    /// A client with this key and settings of your own.
    pub fn builder(api_key: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            key: api_key.into(),
            base_url: BASE_URL.to_owned(),
            idle_timeout: Duration::from_secs(120),
            wait_timeout: Duration::from_secs(30 * 60),
            poll_interval: Duration::from_secs(1)..=Duration::from_secs(60),
            requests_per_minute: Ok(None),
            submit_attempts: 4,
            shared_budget: None,
        }
    }

    /// A task that was submitted before, here or anywhere else with this account.
    pub fn task(&self, id: TaskId) -> Task {
        Task::known(self.clone(), id)
    }

    /// Where requests go.
    pub fn base_url(&self) -> &str {
        &self.0.base_url
    }

    /// Tells how long a task with these options ran, as from a record of earlier ones: then the next are asked after when
    /// they are likely to be done. The latest weigh most. What this client sees itself it learns by itself.
    pub fn learn(&self, options: &Options, run_time: Duration) {
        self.0.schedule.observe(Some(Kind::of(options)), Duration::ZERO..=run_time, false);
        self.0.schedule.observe(Some(Kind::of(options)), run_time..=run_time, true);
    }

    /// Waits until a request may be sent: in the client's own line, then in the one that it shares with others. What the
    /// service asked for is waited for no longer than `patience`.
    pub(crate) async fn turn(&self, wish: Wish, patience: Duration, what: &str, charged: Charged) -> Result<()> {
        self.0.schedule.turn(wish, patience).await.map_err(|asked| {
            let text = format!("{what} was not sent: the service is busy. {}", left_alone(asked));
            let error = Error::new(ErrorKind::Refused, charged, text);
            error.with_status(429).with_retry_after(Some(asked))
        })?;
        let Some(shared) = &self.0.shared_budget else { return Ok(()) };
        shared.turn().await.map_err(|error| {
            let text = format!("{what} was not sent: the budget of requests that others share cannot be asked");
            Error::new(ErrorKind::Network, charged, text).with_source(error)
        })
    }

    /// What a 429 or 503 asks for, it asks of all that this client does.
    pub(crate) fn heed(&self, error: &Error) {
        if let (Some(429 | 503), Some(asked)) = (error.status(), error.retry_after()) {
            let asked = asked.min(LONGEST_WISH);
            self.0.schedule.leave_alone(asked);
            if let Some(shared) = &self.0.shared_budget {
                shared.leave_alone(asked);
            }
        }
    }

    /// The client for file hosts.
    pub(crate) fn files(&self) -> reqwest::Result<&reqwest::Client> {
        if let Some(files) = self.0.files.get() {
            return Ok(files);
        }
        let files = http(self.0.direct).redirect(Policy::limited(5)).read_timeout(self.0.idle_timeout).build()?;
        Ok(self.0.files.get_or_init(|| files))
    }

    pub(crate) fn raw(&self, hooks: Hooks) -> raw::Client {
        raw::Client::new_with_client(&self.0.base_url, self.0.api.clone(), hooks)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base_url", &self.0.base_url).finish_non_exhaustive()
    }
}

/// Settings of a [`Client`].
pub struct ClientBuilder {
    key: String,
    base_url: String,
    idle_timeout: Duration,
    wait_timeout: Duration,
    poll_interval: RangeInclusive<Duration>,
    /// As it was said; 0 is no limit.
    requests_per_minute: Result<Option<u32>>,
    submit_attempts: u32,
    shared_budget: Option<Arc<dyn SharedBudget>>,
}

impl ClientBuilder {
    /// Key, base URL and [`ClientBuilder::requests_per_minute`] from `HIGHWAY_API_KEY`, `HIGHWAY_BASE_URL` and
    /// `HIGHWAY_REQUESTS_PER_MINUTE`.
    ///
    /// # Errors
    ///
    /// When the key is not set. What is set for the requests and is no number fails [`ClientBuilder::build`], unless
    /// something else is said before.
    pub fn from_env() -> Result<Self> {
        let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let key = set("HIGHWAY_API_KEY").ok_or_else(|| {
            Error::config(
                "no API key: set HIGHWAY_API_KEY; without one there is the sandbox (`highway generate --sandbox`)",
            )
        })?;
        let mut builder = Client::builder(key);
        if let Some(base_url) = set("HIGHWAY_BASE_URL") {
            builder = builder.base_url(base_url);
        }
        if let Some(requests) = set("HIGHWAY_REQUESTS_PER_MINUTE") {
            builder.requests_per_minute = requests.trim().parse().map(Some).map_err(|_| {
                let (came, most) = (clean(&requests, ""), u32::MAX);
                Error::config(format!(
                    "HIGHWAY_REQUESTS_PER_MINUTE is `{came}`; expected a whole number from 0, which is no limit, to {most}"
                ))
            });
        }
        Ok(builder)
    }

    /// Where requests go. Default: `https://api.highwayapi.ai`.
    pub fn base_url(mut self, base_url: impl Into<String>) -> Self {
        self.base_url = base_url.into();
        self
    }

    /// How long nothing may move, while a request is sent or answered or a video fetched, before it is given up.
    /// Default: 2 min. There is no limit on how long an upload takes as long as it gets on: 192 KiB within that time.
    pub fn idle_timeout(mut self, idle_timeout: Duration) -> Self {
        self.idle_timeout = idle_timeout;
        self
    }

    /// How long [`Task::wait`] and [`Task::events`] wait. It ends the waiting, never the task. Default: 30 min.
    pub fn wait_timeout(mut self, wait_timeout: Duration) -> Self {
        self.wait_timeout = wait_timeout;
        self
    }

    /// The shortest and the longest pause between two polls of a task. Default: 1 s to 60 s. At least 10 ms and at most an
    /// hour. In these bounds a task is asked after rarely while it cannot be done, often when it is likely, and ever more
    /// rarely after that; how long tasks run is learnt while they do, by length and resolution. A request is taken to be
    /// worth half the shortest pause of lag. Both the same: polls come evenly.
    pub fn poll_interval(mut self, poll_interval: RangeInclusive<Duration>) -> Self {
        self.poll_interval = poll_interval;
        self
    }

    /// How many requests, polls and submits together, all clones of the client send in a minute at most; what is beyond
    /// that waits, submits first (they take turns with polls that have been due for a minute). 0: no limit. Default: 50,
    /// for so many are allowed for Veo 3.1 as far as the vendor's documentation says; no limit for a service on this
    /// machine, such as the sandbox. Several programs on one account must share its budget.
    ///
    /// Where an answer of 429 or 503 asks to be left alone for some time (`Retry-After`), nothing at all is sent to the service
    /// until then.
    pub fn requests_per_minute(mut self, requests_per_minute: u32) -> Self {
        self.requests_per_minute = Ok(Some(requests_per_minute));
        self
    }

    /// How often a submit is tried where the service cannot have accepted it (no connection, 429, 503
    /// `SERVICE_NOT_AVAILABLE`). Anything else is never tried again. Default: 4; 1 tries once.
    pub fn submit_attempts(mut self, submit_attempts: u32) -> Self {
        self.submit_attempts = submit_attempts.max(1);
        self
    }

    /// Asks this, too, before each request to the service, once it is its turn in the client's own line. Default: none.
    pub fn shared_budget(mut self, shared_budget: Arc<dyn SharedBudget>) -> Self {
        self.shared_budget = Some(shared_budget);
        self
    }

    /// The client.
    ///
    /// # Errors
    ///
    /// When the key is empty or cannot stand in a header, the base URL is not a plain `http` or `https` URL, or TLS
    /// cannot be set up.
    pub fn build(self) -> Result<Client> {
        let key = self.key.trim().to_owned();
        if key.is_empty() {
            return Err(Error::config("the API key is empty"));
        }
        let hooks = ApiKey::new(&key)
            .map_err(|_| Error::config("the API key has characters that cannot stand in an HTTP header"))?;
        let url = base_url(&self.base_url)?;
        // A proxy of the environment has no business between us and a sandbox on this machine.
        let direct = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        // Repeating a request is decided in one place only, and that is not the HTTP library.
        let api = http(direct).redirect(Policy::none()).retry(reqwest::retry::never());
        // Not even a proxy is spoken to over TLS then, and reading what the system trusts takes longer than all the rest.
        #[cfg(any(feature = "rustls", feature = "native-tls"))]
        let api = if direct && url.scheme() == "http" { api.tls_certs_only([]) } else { api };
        let tls = |error: reqwest::Error| Error::config("TLS cannot be set up").with_source(error.without_url());
        let api = api.build().map_err(tls)?;
        let (base_url, hooks) = (url.as_str().trim_end_matches('/').to_owned(), Hooks::new(hooks));
        let limit = self.requests_per_minute?.unwrap_or(if direct { 0 } else { REQUESTS_PER_MINUTE });
        Ok(Client(Arc::new(Inner {
            raw: raw::Client::new_with_client(&base_url, api.clone(), hooks.clone()),
            base_url,
            key,
            hooks,
            api,
            files: OnceLock::new(),
            direct,
            idle_timeout: self.idle_timeout,
            wait_timeout: self.wait_timeout,
            schedule: Schedule::new(polite(self.poll_interval), Some(limit).filter(|&limit| limit > 0)),
            submit_attempts: self.submit_attempts,
            shared_budget: self.shared_budget,
        })))
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").finish_non_exhaustive()
    }
}

/// What both clients have in common.
fn http(direct: bool) -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder().http1_only().connect_timeout(Duration::from_secs(10)).referer(false);
    if direct { builder.no_proxy() } else { builder }
}

/// Neither without a pause nor for ever.
fn polite(interval: RangeInclusive<Duration>) -> RangeInclusive<Duration> {
    let clamp = |pause: Duration| pause.clamp(Duration::from_millis(10), Duration::from_secs(3600));
    let start = clamp(*interval.start());
    start..=clamp(*interval.end()).max(start)
}

fn base_url(text: &str) -> Result<Url> {
    let expected = "expected something like https://api.highwayapi.ai";
    let url = Url::parse(text).map_err(|error| {
        let came = clean(text, "");
        Error::config(format!("the base URL `{came}` is no URL ({error}); {expected}"))
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Error::config(format!("the base URL has the scheme `{}`; {expected}", url.scheme())));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::config("the base URL carries a user name or password; the API key stands elsewhere"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Error::config(format!("the base URL has a query or fragment; {expected}")));
    }
    if url.scheme() == "https" && !cfg!(any(feature = "rustls", feature = "native-tls")) {
        return Err(Error::config("https needs the feature `rustls` or `native-tls` of the crate highwayapi"));
    }
    Ok(url)
}
