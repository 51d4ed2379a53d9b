//! Pictures for those who share no disk: in the server's object store under their SHA-256.

use std::collections::{HashSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use async_nats::jetstream::object_store::{InfoErrorKind, ObjectInfo, ObjectStore};
use async_nats::jetstream::stream::{Config, DiscardPolicy};
use futures_util::StreamExt;
use tokio::io::AsyncReadExt;

use super::bucket::Link;
use super::lock;
use crate::asked::hash;
use crate::error::{Error, Result};

/// How long a picture may wait for its job to be planned. Clocks of two machines are closer together than half of it.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// So many copies are kept by a process: more than it sends at once, and fewer than fill a disk.
const COPIES: usize = 1024;

pub(super) struct Frames {
    link: Link,
    store: ObjectStore,
    /// Where this process keeps what it fetched.
    copies: tempfile::TempDir,
    recent: Mutex<Recent>,
}

/// The names of the copies, those first that were used least recently.
struct Recent {
    names: VecDeque<String>,
    most: usize,
}

impl Frames {
    pub(super) async fn begin(link: &Link, prefix: &str, replicas: usize) -> Result<Self> {
        let name = format!("{prefix}-frames");
        let config = Config {
            name: format!("OBJ_{name}"),
            subjects: vec![format!("$O.{name}.C.>"), format!("$O.{name}.M.>")],
            discard: DiscardPolicy::New,
            allow_rollup: true,
            num_replicas: replicas,
            ..Config::default()
        };
        link.stream(config).await?;
        let opened = link.context.get_object_store(&name).await;
        let store = opened.map_err(|error| link.away(error).into_error())?;
        let copies = tempfile::Builder::new().prefix("highway-frames-").tempdir();
        let copies = copies.map_err(|error| Error::store("there is no room for pictures here").with_source(error))?;
        let recent = Mutex::new(Recent { names: VecDeque::new(), most: COPIES });
        Ok(Self { link: link.clone(), store, copies, recent })
    }

    pub(super) async fn keep(&self, sha256: &str, file: &Path) -> Result<()> {
        check(sha256)?;
        match self.store.info(sha256).await {
            // One that may soon be forgotten is kept anew.
            Ok(info) if !info.deleted && is_younger(&info, DAY / 2) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == InfoErrorKind::NotFound => {}
            Err(error) => return Err(self.link.away(error).into_error()),
        }
        let cannot =
            |error: std::io::Error| Error::input(format!("{} cannot be read", file.display())).with_source(error);
        let mut open = tokio::fs::File::open(file).await.map_err(cannot)?;
        self.store.put(sha256, &mut open).await.map_err(|error| {
            let text = format!("{} could not be put into the record {}", file.display(), self.link.place);
            Error::store(text).with_source(error)
        })?;
        Ok(())
    }

    pub(super) async fn forget_all_but(&self, needed: &HashSet<String>) -> Result<()> {
        let mut all = self.store.list().await.map_err(|error| self.link.away(error).into_error())?;
        let mut unneeded = Vec::new();
        while let Some(info) = all.next().await {
            let info = info.map_err(|error| self.link.away(error).into_error())?;
            if !needed.contains(&info.name) && !is_younger(&info, DAY) {
                unneeded.push(info.name);
            }
        }
        for name in unneeded {
            self.store.delete(&name).await.map_err(|error| self.link.away(error).into_error())?;
        }
        Ok(())
    }

    /// The original where it is there and has not changed, or else a copy of what was kept.
    pub(super) async fn get(&self, sha256: &str, original: &Path) -> Result<PathBuf> {
        check(sha256)?;
        let copy = self.copies.path().join(sha256);
        // The original first: of what is on this machine no copy is needed.
        if is(original, sha256).await {
            return Ok(original.to_owned());
        }
        if let Some(old) = lock(&self.recent).used(sha256) {
            let _ = fs::remove_file(self.copies.path().join(old));
        }
        if is(&copy, sha256).await {
            return Ok(copy);
        }
        let gone = |why: String| {
            let text =
                format!("the picture {} is neither here nor in the record {}", original.display(), self.link.place);
            Error::input(text).with_source(why)
        };
        let mut object = self.store.get(sha256).await.map_err(|error| gone(error.to_string()))?;
        // Under another name until it is whole.
        let part = self.copies.path().join(format!("{sha256}-{:016x}", fastrand::u64(..)));
        let cannot = |error: std::io::Error| Error::store("a picture could not be kept here").with_source(error);
        let mut file = tokio::fs::File::create(&part).await.map_err(cannot)?;
        let mut buffer = vec![0; 128 * 1024];
        loop {
            match object.read(&mut buffer).await.map_err(|error| gone(error.to_string()))? {
                0 => break,
                read => tokio::io::AsyncWriteExt::write_all(&mut file, &buffer[..read]).await.map_err(cannot)?,
            }
        }
        tokio::io::AsyncWriteExt::flush(&mut file).await.map_err(cannot)?;
        if !is(&part, sha256).await {
            let _ = fs::remove_file(&part);
            return Err(gone("what was kept of it has another SHA-256".to_owned()));
        }
        fs::rename(&part, &copy).map_err(cannot)?;
        Ok(copy)
    }
}

impl Recent {
    /// Notes that this is used; gives the one that is to go for it.
    fn used(&mut self, name: &str) -> Option<String> {
        self.names.retain(|other| other != name);
        self.names.push_back(name.to_owned());
        if self.names.len() > self.most { self.names.pop_front() } else { None }
    }
}

fn is_younger(info: &ObjectInfo, age: Duration) -> bool {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let modified = info.modified.map_or(0, |modified| u64::try_from(modified.unix_timestamp()).unwrap_or_default());
    now.saturating_sub(modified) < age.as_secs()
}

/// It becomes a file's name.
fn check(sha256: &str) -> Result<()> {
    if sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(());
    }
    Err(Error::input(format!("`{}` is no SHA-256 in hexadecimal", sha256.escape_debug())))
}

/// Whether a file is there and has this SHA-256.
async fn is(file: &Path, sha256: &str) -> bool {
    let (file, wanted) = (file.to_owned(), sha256.to_owned());
    let look = move || fs::File::open(file).and_then(hash).is_ok_and(|(found, _)| found == wanted);
    tokio::task::spawn_blocking(look).await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_copy_goes() {
        let mut recent = Recent { names: VecDeque::new(), most: 2 };
        assert_eq!(["a", "b", "a"].map(|name| recent.used(name)), [None, None, None]);
        assert_eq!(recent.used("c"), Some("b".to_owned()));
    }
}
