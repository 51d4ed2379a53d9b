//! The real service, and the hosts its result links lead to.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, Method, header};
use reqwest::{Response, Url};

use crate::error::Error;

const CONNECT_TIME: Duration = Duration::from_secs(20);

/// A submit may be answered late; one that is given up is unknown.
const IDLE_TIME: Duration = Duration::from_secs(300);

/// What belongs to a connection and not to what is said on it; and what would have answers packed, so that they could not
/// be read.
const OF_THE_CONNECTION: &[HeaderName] = &[
    header::CONNECTION,
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::EXPECT,
    header::PROXY_AUTHORIZATION,
    header::PROXY_AUTHENTICATE,
    header::ACCEPT_ENCODING,
];

/// All that a file host is told of the client: never a key, never a cookie.
const FOR_FILE_HOSTS: &[HeaderName] = &[
    header::ACCEPT,
    header::RANGE,
    header::IF_RANGE,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::USER_AGENT,
];

pub(crate) struct Upstream {
    base_url: String,
    origin: String,
    http: reqwest::Client,
}

impl Upstream {
    /// # Errors
    ///
    /// When a key would travel there unprotected.
    pub(crate) fn new(url: &str) -> Result<Self, Error> {
        let bad = |why: &str| Error::new(format!("upstream: {url:?} {why}"));
        let parsed = Url::parse(url).map_err(|e| bad("cannot be read").caused_by(e))?;
        let host = parsed.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        match parsed.scheme() {
            "https" if cfg!(feature = "tls") => {}
            "https" => return Err(bad("needs TLS, and this was built without its feature `tls`")),
            "http" if here => {}
            "http" => return Err(bad("would get the API key unprotected: it must be https, or on this machine")),
            _ => return Err(bad("must begin with https://")),
        }
        if !parsed.username().is_empty() || parsed.password().is_some() || parsed.query().is_some() {
            return Err(bad("must have neither user nor password nor query"));
        }
        // Nothing is sent twice, and no redirect is followed: each is an answer of its own.
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(0)
            .http1_only()
            .connect_timeout(CONNECT_TIME)
            .read_timeout(IDLE_TIME);
        let http = if here { http.no_proxy() } else { http };
        let http = http.build().map_err(|e| Error::new("the client for the service cannot be made").caused_by(e))?;
        let base_url = url.trim_end_matches('/').to_owned();
        Ok(Self { base_url, origin: parsed.origin().ascii_serialization(), http })
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// Sends a request once.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path_and_query: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> reqwest::Result<Response> {
        let kept: HeaderMap = passed_on(headers).map(|(name, value)| (name.clone(), value.clone())).collect();
        let request = self.http.request(method, format!("{}{path_and_query}", self.base_url)).headers(kept);
        let request = if body.is_empty() { request } else { request.body(body) };
        request.send().await
    }

    /// Asks a file host, without credentials.
    pub(crate) async fn file(&self, method: Method, link: Url, headers: &HeaderMap) -> reqwest::Result<Response> {
        let told = headers.iter().filter(|(name, _)| FOR_FILE_HOSTS.contains(name));
        let told: HeaderMap = told.map(|(name, value)| (name.clone(), value.clone())).collect();
        self.http.request(method, link).headers(told).send().await
    }
}

/// Without what belongs to the connection.
pub(crate) fn passed_on(headers: &HeaderMap) -> impl Iterator<Item = (&HeaderName, &axum::http::HeaderValue)> {
    headers.iter().filter(|(name, _)| !OF_THE_CONNECTION.contains(name) && *name != "keep-alive")
}

/// The innermost cause, without the address: its query may be a signature.
pub(crate) fn why(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    let what = if error.is_timeout() { "it took too long" } else { "" };
    match (what.is_empty(), error.is_connect()) {
        (false, _) => what.to_owned(),
        (true, true) => format!("no connection: {cause}"),
        (true, false) => cause.to_string(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_key_travels_protected_or_stays_on_this_machine() {
        for good in ["http://127.0.0.1:4310", "http://localhost:1/", "http://[::1]:1", "http://127.0.0.2/base"] {
            assert!(Upstream::new(good).is_ok(), "{good}");
        }
        for bad in
            ["http://api.example", "http://192.168.0.1", "ftp://127.0.0.1", "api.example", "http://u:p@127.0.0.1", ""]
        {
            assert!(Upstream::new(bad).is_err(), "{bad}");
        }
        assert_eq!(Upstream::new("https://api.example").is_ok(), cfg!(feature = "tls"));
    }
}
