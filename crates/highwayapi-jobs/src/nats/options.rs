//! Which server, whose part of it, and with which credentials.

use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::{ConnectOptions, ServerAddr};

use crate::error::{Error, Result};

/// How to connect to NATS, and what a record is like that is not there yet.
///
/// None of the secrets is shown by `Debug`, in an error or in a log.
#[derive(Clone)]
#[non_exhaustive]
pub struct NatsOptions {
    /// A `.creds` file: a token and the key that goes with it. Default: none.
    pub creds: Option<PathBuf>,
    /// A file with the seed of an NKEY. Default: none.
    pub nkey: Option<PathBuf>,
    /// User and password. Default: none.
    pub user: Option<(String, String)>,
    /// A PEM file with the certificates that the server's must be signed by. Default: those that the system trusts.
    pub ca: Option<PathBuf>,
    /// On how many servers of a cluster each write is kept, from 1 to 5. For a new record only. Default: 1.
    pub replicas: usize,
    /// How long a process may be silent before its jobs are free for others, from a second. For a new record only; all
    /// who use a record go by its own. Default: 30 s.
    pub lease: Duration,
    /// How many requests all who use this record send in a minute, to each service. Default: what the record says, and
    /// 50 for a new one.
    pub requests_per_minute: Option<u32>,
    /// How long a call waits for a server that does not answer. Default: 10 s.
    pub patience: Duration,
}

impl Default for NatsOptions {
    fn default() -> Self {
        Self {
            creds: None,
            nkey: None,
            user: None,
            ca: None,
            replicas: 1,
            lease: Duration::from_secs(30),
            requests_per_minute: None,
            patience: Duration::from_secs(10),
        }
    }
}

impl NatsOptions {
    /// What the environment says: `HIGHWAY_NATS_CREDS`, `HIGHWAY_NATS_NKEY` and `HIGHWAY_NATS_CA` name files,
    /// `HIGHWAY_NATS_USER` and `HIGHWAY_NATS_PASSWORD` are taken as they are, `HIGHWAY_NATS_REPLICAS` is a number.
    ///
    /// # Errors
    ///
    /// When there is a user without password or the other way round, or replicas that are no number from 1 to 5.
    pub fn from_env() -> Result<Self> {
        let text = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let file = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let user = match (text("HIGHWAY_NATS_USER"), text("HIGHWAY_NATS_PASSWORD")) {
            (Some(user), Some(password)) => Some((user, password)),
            (None, None) => None,
            (Some(_), None) => return Err(Error::input("HIGHWAY_NATS_USER is set without HIGHWAY_NATS_PASSWORD")),
            (None, Some(_)) => return Err(Error::input("HIGHWAY_NATS_PASSWORD is set without HIGHWAY_NATS_USER")),
        };
        let replicas = match text("HIGHWAY_NATS_REPLICAS") {
            None => 1,
            Some(text) => text.parse().ok().filter(|count| (1..=5).contains(count)).ok_or_else(|| {
                let text = text.escape_debug();
                Error::input(format!("HIGHWAY_NATS_REPLICAS is `{text}`; expected a number from 1 to 5"))
            })?,
        };
        let (creds, nkey, ca) = (file("HIGHWAY_NATS_CREDS"), file("HIGHWAY_NATS_NKEY"), file("HIGHWAY_NATS_CA"));
        Ok(Self { creds, nkey, user, ca, replicas, ..Self::default() })
    }

    pub(super) fn check(&self) -> Result<()> {
        if !(1..=5).contains(&self.replicas) {
            return Err(Error::input(format!("replicas is {}; expected a number from 1 to 5", self.replicas)));
        }
        if self.lease < Duration::from_secs(1) {
            return Err(Error::input(format!("lease is {:?}; expected a second or more", self.lease)));
        }
        if self.requests_per_minute == Some(0) {
            return Err(Error::input("requests_per_minute is 0; expected 1 or more"));
        }
        Ok(())
    }

    /// With what the client needs of it. May block.
    pub(super) fn connect_options(&self, address: &Address) -> Result<ConnectOptions> {
        let mut options = ConnectOptions::new();
        if let Some(path) = &self.creds {
            options = options.credentials(&read(path, "HIGHWAY_NATS_CREDS")?).map_err(|_| {
                // What is wrong with it is not told further: it may quote it.
                Error::input(format!("{} holds no NATS credentials", path.display()))
            })?;
        }
        if let Some(path) = &self.nkey {
            options = options.nkey(read(path, "HIGHWAY_NATS_NKEY")?.trim().to_owned());
        }
        if let Some((user, password)) = self.user.as_ref().or(address.user.as_ref()) {
            options = options.user_and_password(user.clone(), password.clone());
        }
        if let Some(path) = &self.ca {
            read(path, "HIGHWAY_NATS_CA")?;
            options = options.add_root_certificates(path.clone());
        }
        Ok(options.require_tls(address.tls))
    }
}

/// What a secret file holds; it is small.
fn read(path: &Path, name: &str) -> Result<String> {
    fs::read_to_string(path)
        .map_err(|error| Error::input(format!("{} ({name}) cannot be read", path.display())).with_source(error))
}

impl fmt::Debug for NatsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsOptions")
            .field("creds", &self.creds)
            .field("nkey", &self.nkey)
            .field("user", &self.user.as_ref().map(|(user, _)| user))
            .field("ca", &self.ca)
            .field("replicas", &self.replicas)
            .field("lease", &self.lease)
            .field("requests_per_minute", &self.requests_per_minute)
            .field("patience", &self.patience)
            .finish()
    }
}

/// `nats://host:4222/prefix`, taken apart.
pub(super) struct Address {
    pub(super) servers: Vec<ServerAddr>,
    /// What the names of everything of this record begin with.
    pub(super) prefix: String,
    pub(super) tls: bool,
    user: Option<(String, String)>,
    /// For people; without a password.
    pub(super) shown: String,
}

impl Address {
    pub(super) fn parse(url: &str) -> Result<Self> {
        let no = |why: &str| Error::input(format!("the address of the record {why}; expected nats://host:4222/prefix"));
        let (tls, rest) = match url.split_once("://") {
            Some(("nats", rest)) => (false, rest),
            Some(("tls", rest)) => (true, rest),
            _ => return Err(no("begins neither with nats:// nor with tls://")),
        };
        let (hosts, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = if prefix.is_empty() { "highway" } else { prefix };
        if prefix.len() > 32 || !prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
            return Err(no("ends in something else than up to 32 letters, digits, - and _"));
        }
        // A password may hold an @, a host may not.
        let (user, hosts) = match hosts.rsplit_once('@') {
            Some((user, hosts)) => {
                let (user, password) = user.split_once(':').ok_or_else(|| no("has a user without password"))?;
                (Some((user.to_owned(), password.to_owned())), hosts)
            }
            None => (None, hosts),
        };
        let scheme = if tls { "tls" } else { "nats" };
        let server = |host: &str| {
            let host = host.trim();
            let server = format!("{scheme}://{host}").parse().ok();
            server.filter(|_| !host.is_empty()).ok_or_else(|| no("has a host that is none"))
        };
        let servers = hosts.split(',').map(server).collect::<Result<Vec<ServerAddr>>>()?;
        let shown = format!("{scheme}://{hosts}/{prefix}");
        Ok(Self { servers, prefix: prefix.to_owned(), tls, user, shown })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let address = Address::parse("nats://a:4222,b/mine").expect("an address");
        assert_eq!((address.servers.len(), &*address.prefix, address.tls), (2, "mine", false));
        let address = Address::parse("tls://me:p@ss:word@[::1]:4222").expect("an address");
        assert_eq!((&*address.prefix, address.tls, &*address.shown), ("highway", true, "tls://[::1]:4222/highway"));
        assert_eq!(address.user, Some(("me".to_owned(), "p@ss:word".to_owned())));
        for wrong in ["http://a", "a:4222", "nats://", "nats://a/b/c", "nats://a/b.c", "nats://me@a", "nats://a,/b"] {
            let error = Address::parse(wrong).err().unwrap_or_else(|| panic!("{wrong}"));
            assert!(error.is_invalid_input(), "{wrong}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let options = NatsOptions { user: Some(("me".to_owned(), "geheim".to_owned())), ..NatsOptions::default() };
        assert!(!format!("{options:?}").contains("geheim"));
        let Err(error) = Address::parse("nats://me:geheim@a/b.c") else { panic!("an address") };
        assert!(!format!("{error:?} {error}").contains("geheim"));
    }
}
