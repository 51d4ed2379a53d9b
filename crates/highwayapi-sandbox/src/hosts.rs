//! By which names the sandbox may be called: a page of another host must not reach it by a name that leads here.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::api::drain;
use crate::error::{ApiError, Error};

/// What is read of a request that is refused, so that its answer is seen.
const MAX_REFUSED: usize = 1 << 20;

/// Longest piece of a name that came which a message repeats.
const SHOWN: usize = 80;

pub(crate) struct Hosts {
    listen: IpAddr,
    names: Vec<String>,
}

impl Hosts {
    /// Names and addresses, with or without a port, which does not matter.
    pub(crate) fn new(listen: IpAddr, public_url: Option<&str>, names: &[String]) -> Result<Self, Error> {
        let is_none =
            |name: &str| Error::new(format!("allow_host: {name:?} came, and it must be a name or an address"));
        let names = names.iter().map(|name| host(name).ok_or_else(|| is_none(name)));
        Ok(Self { listen, names: names.chain(public_url.map(host_of)).collect::<Result<_, _>>()? })
    }

    fn check(&self, request: &Request) -> Result<(), ApiError> {
        let mut values = request.headers().get_all(header::HOST).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(ApiError::invalid("exactly one Host header is needed"));
        };
        let came = value.to_str().unwrap_or_default();
        let named = request.uri().authority().map_or(came, Authority::as_str);
        for name in [came, named] {
            if !host(name).is_some_and(|host| self.knows(&host)) {
                let name: String = name.chars().take(SHOWN).collect();
                return Err(ApiError::new(
                    StatusCode::MISDIRECTED_REQUEST,
                    "HOST_NOT_ALLOWED",
                    format!(
                        "Host: {name:?} came, and the sandbox answers to localhost, to the address it listens on and to \
                         names that are allowed (--allow-host)"
                    ),
                ));
            }
        }
        Ok(())
    }

    fn knows(&self, host: &str) -> bool {
        if self.names.iter().any(|name| name == host) {
            return true;
        }
        match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            // Where it listens on every address, any may be its own; and an address leads nowhere else than a name may.
            Ok(address) => address.is_loopback() || address == self.listen || self.listen.is_unspecified(),
            Err(_) => host == "localhost" || host.ends_with(".localhost"),
        }
    }
}

/// The host of the start of links.
fn host_of(url: &str) -> Result<String, Error> {
    let of = |url: &Uri| host(url.authority()?.as_str());
    let uri = url.parse::<Uri>().ok().filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
    uri.filter(|uri| uri.query().is_none()).as_ref().and_then(of).ok_or_else(|| {
        Error::new(format!(
            "public_url: {url:?} came, and it must be the start of links, such as https://clips.example"
        ))
    })
}

/// Without port and final dot, in small letters.
fn host(text: &str) -> Option<String> {
    let authority: Authority = text.parse().ok()?;
    let is_plain = !text.contains('@') && !authority.host().is_empty();
    is_plain.then(|| authority.host().trim_end_matches('.').to_ascii_lowercase())
}

pub(crate) async fn layer(State(hosts): State<Arc<Hosts>>, request: Request, next: Next) -> Response {
    match hosts.check(&request) {
        Ok(()) => next.run(request).await,
        Err(error) => {
            if !request.headers().contains_key(header::EXPECT) {
                drain(request.into_body(), MAX_REFUSED).await;
            }
            error.into_response()
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn knows(hosts: &Hosts, name: &str) -> bool {
        let request = Request::builder().header("host", name).body(axum::body::Body::empty()).unwrap();
        hosts.check(&request).is_ok()
    }

    #[test]
    fn loopback_and_what_is_allowed_are_known() {
        let allowed = ["Sandbox.test:80".to_owned()];
        let hosts = Hosts::new("192.0.2.1".parse().unwrap(), Some("https://clips.example/base"), &allowed).unwrap();
        for good in [
            "127.0.0.1:4310",
            "127.8.8.8",
            "[::1]:4310",
            "localhost",
            "LOCALHOST:1",
            "localhost.:1",
            "a.localhost",
            "192.0.2.1:9",
            "clips.example",
            "sandbox.test:4310",
        ] {
            assert!(knows(&hosts, good), "{good}");
        }
        for bad in [
            "evil.example",
            "evil.example:4310",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evil-localhost",
            "localhost@evil.example",
            "evil.example@localhost",
            "192.0.2.2",
            "10.0.0.1",
            "[2001:db8::1]",
            "",
            ":80",
            "a b",
        ] {
            assert!(!knows(&hosts, bad), "{bad}");
        }
        let open = Hosts::new("0.0.0.0".parse().unwrap(), None, &[]).unwrap();
        assert!(knows(&open, "10.0.0.1:4310") && !knows(&open, "evil.example"));
    }

    #[test]
    fn what_is_no_name_is_told() {
        let refused = |public_url: Option<&str>, names: &[String]| {
            Hosts::new("127.0.0.1".parse().unwrap(), public_url, names).err().unwrap().to_string()
        };
        for bad in ["", "a b", "a@b", "http://a"] {
            assert!(refused(None, &[bad.to_owned()]).starts_with("allow_host: "), "{bad}");
        }
        for bad in ["", "clips.example", "/clips", "ftp://clips.example", "http://", "https://clips.example/?a=b"] {
            assert!(refused(Some(bad), &[]).starts_with("public_url: "), "{bad}");
        }
    }

    #[test]
    fn one_host_is_needed_and_the_target_counts_too() {
        let hosts = Hosts::new("127.0.0.1".parse().unwrap(), None, &[]).unwrap();
        let request = |uri: &str, names: &[&str]| {
            let builder = names.iter().fold(Request::builder().uri(uri), |builder, name| builder.header("host", *name));
            hosts.check(&builder.body(axum::body::Body::empty()).unwrap())
        };
        assert!(request("/", &["localhost"]).is_ok());
        assert!(request("/", &[]).is_err());
        assert!(request("/", &["localhost", "evil.example"]).is_err());
        assert!(request("http://evil.example/", &["localhost"]).is_err());
        assert!(request("http://localhost/", &["localhost"]).is_ok());
    }
}
