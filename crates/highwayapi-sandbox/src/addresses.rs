//! Which hosts pictures may be fetched from, and which of a host's addresses may be connected to.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::error::Error;

/// A host, or a host and port, or a scheme, host and port that pictures may be fetched from.
pub(crate) struct Origin {
    scheme: Option<String>,
    host: String,
    port: Option<u16>,
}

impl Origin {
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let bad =
            || Error::new(format!("{text:?} is not an address to fetch from: use host, host:port or http://host:port"));
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
            None => (None, text),
        };
        let url = Url::parse(&format!("{}://{rest}", scheme.as_deref().unwrap_or("http"))).map_err(|_| bad())?;
        let host = url.host_str().filter(|_| matches!(url.scheme(), "http" | "https")).ok_or_else(bad)?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() || rest.contains('@') {
            return Err(bad());
        }
        // `http://host` means its port 80; a mere `host` means any port.
        let says_port = rest.rsplit(']').next().is_some_and(|end| end.contains(':'));
        let port = (says_port || scheme.is_some()).then(|| url.port_or_known_default()).flatten();
        Ok(Self { host: host.to_owned(), port, scheme })
    }

    pub(crate) fn covers(&self, url: &Url) -> bool {
        self.scheme.as_deref().is_none_or(|scheme| scheme == url.scheme())
            && url.host_str() == Some(&self.host)
            && (self.port.is_none() || self.port == url.port_or_known_default())
    }
}

/// Looks names up, and leaves out what the name's owner could abuse: a name that was allowed must not lead to this machine
/// or its network. Only `localhost`, and addresses that were allowed as such, may. The connection is made to what this
/// returns, so another answer to a second question changes nothing.
pub(crate) struct Addresses(pub(crate) Arc<[Origin]>);

impl Resolve for Addresses {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = Arc::clone(&self.0);
        Box::pin(async move {
            let name = name.as_str();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name, 0)).await?.collect();
            let may = |address: &SocketAddr| may_connect(&allowed, name, address.ip());
            let addresses: Vec<SocketAddr> = found.into_iter().filter(may).collect();
            if addresses.is_empty() {
                return Err("its name leads to an address in a private network, which was not allowed as such".into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

fn may_connect(allowed: &[Origin], name: &str, ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    let as_such = |origin: &Origin| {
        let host = origin.host.trim_start_matches('[').trim_end_matches(']');
        host.parse().is_ok_and(|allowed: IpAddr| allowed.to_canonical() == ip)
    };
    is_public(ip) || (name == "localhost" && ip.is_loopback()) || allowed.iter().any(as_such)
}

/// Whether it is an address of the internet, and not of this machine, its network, or of no host at all.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => {
            let [first, second, .., low, last] = ip.segments();
            let inner = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
            match (first, second) {
                // Addresses of IPv4 in other clothes: NAT64 and 6to4.
                (0x64, 0xff9b) => is_public_v4(inner(low, last)),
                (0x2002, _) => is_public_v4(inner(second, ip.segments()[2])),
                // Documentation, and Teredo, which hides where it leads.
                (0x2001, 0xdb8 | 0) => false,
                // All else that is handed out begins with the bits 001.
                _ => first & 0xe000 == 0x2000,
            }
        }
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let benchmark = a == 198 && (b == 18 || b == 19);
    let reserved = a == 0 || a >= 224 || (a, b, c) == (192, 0, 0);
    let local = ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_documentation();
    !(shared || benchmark || reserved || local)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_address_covers_what_it_says_and_no_more() {
        let covers = |allowed: &str, url: &str| Origin::parse(allowed).unwrap().covers(&url.parse().unwrap());
        for (allowed, url) in [
            ("example.com", "http://example.com/a.png"),
            ("EXAMPLE.com", "https://example.com:8443/a.png?x"),
            ("example.com:80", "http://example.com/"),
            ("http://example.com", "http://example.com:80/"),
            ("[::1]:9", "http://[::1]:9/"),
            ("[::1]", "http://[::1]:9/"),
        ] {
            assert!(covers(allowed, url), "{allowed} {url}");
        }
        for (allowed, url) in [
            ("example.com", "http://example.com.evil.org/"),
            ("example.com", "http://sub.example.com/"),
            ("example.com", "http://example.com@evil.org/"),
            ("example.com:80", "http://example.com:81/"),
            ("http://example.com", "https://example.com/"),
            ("http://example.com", "http://example.com:81/"),
        ] {
            assert!(!covers(allowed, url), "{allowed} {url}");
        }
        for bad in ["", "http://", "ftp://example.com", "example.com/path", "a b", "user@example.com"] {
            assert!(Origin::parse(bad).is_err(), "{bad}");
        }
    }

    /// Whoever owns an allowed name may answer with any address.
    #[test]
    fn a_name_leads_nowhere_but_to_the_internet() {
        let allowed = [Origin::parse("pictures.example").unwrap()];
        let may = |name: &str, ip: &str| may_connect(&allowed, name, ip.parse().unwrap());
        for ip in ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822", "::ffff:93.184.216.34"] {
            assert!(may("pictures.example", ip), "{ip}");
        }
        for ip in [
            "127.0.0.1",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "198.18.0.1",
            "192.0.0.8",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001::1",
        ] {
            assert!(!may("pictures.example", ip), "{ip}");
        }
        assert!(may("localhost", "127.0.0.1") && may("localhost", "::1") && !may("localhost", "10.0.0.1"));
        let allowed = [Origin::parse("http://10.0.0.1:80").unwrap(), Origin::parse("[fd00::1]").unwrap()];
        for (ip, may) in [("10.0.0.1", true), ("::ffff:10.0.0.1", true), ("fd00::1", true), ("10.0.0.2", false)] {
            assert_eq!(may_connect(&allowed, "pictures.example", ip.parse().unwrap()), may, "{ip}");
        }
    }
}
