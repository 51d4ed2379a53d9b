//! The record in one SQLite file.

mod calls;
mod process;

use std::collections::HashMap;
use std::fmt;
use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, Row, Transaction, TransactionBehavior};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::job::JobId;
use crate::store::{Hold, Pending};
use process::Process;

/// The steps from an empty file to what this version reads; a file's `user_version` counts those it has behind it. None
/// is ever changed: what is to be different is a further step.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE jobs (
        id TEXT PRIMARY KEY NOT NULL,
        -- The process and the hold that works on it.
        holder TEXT,
        -- As JSON; what is searched for is read out of it.
        job TEXT NOT NULL,
        state TEXT AS (job ->> '$.state'),
        fingerprint TEXT AS (job ->> '$.fingerprint')
    ) STRICT;
    CREATE INDEX jobs_by_fingerprint ON jobs (fingerprint);
",
    "
    ALTER TABLE jobs ADD COLUMN task_id TEXT AS (job ->> '$.task_id');
    ALTER TABLE jobs ADD COLUMN output TEXT AS (job ->> '$.output');
    ALTER TABLE jobs ADD COLUMN run_ms INTEGER AS (job ->> '$.run_ms');
    ALTER TABLE jobs ADD COLUMN batch TEXT AS (job ->> '$.item.batch');
    ALTER TABLE jobs ADD COLUMN item TEXT AS (job ->> '$.item.id');
    ALTER TABLE jobs ADD COLUMN number INTEGER AS (job ->> '$.item.number');
    CREATE INDEX jobs_by_task ON jobs (task_id);
    CREATE INDEX jobs_by_output ON jobs (output);
    CREATE INDEX jobs_by_batch ON jobs (batch, state, number);
    CREATE TABLE batches (id TEXT PRIMARY KEY NOT NULL, batch TEXT NOT NULL) STRICT;
",
];

/// How long a process waits for others to finish their writing.
const PATIENCE: Duration = Duration::from_secs(30);

/// Jobs in one SQLite file, safe for several processes at once.
///
/// File and folder are for their user alone. Each process that uses it keeps a locked file in `record.holders` beside
/// it; the system lets go of the lock when the process is gone, however it went, and so its jobs are free.
#[derive(Clone)]
pub struct SqliteStore(Arc<Shared>);

struct Shared {
    place: String,
    connection: Mutex<Connection>,
    process: Process,
    /// The holds of this process, by their tokens.
    holds: Mutex<HashMap<String, Weak<Grip>>>,
}

/// What keeps a job held: its [`Hold`] has it, and so has every write of that hold that is under way. A hold that is
/// dropped with a write behind it ends after that write, or the write would be refused.
struct Grip {
    shared: Arc<Shared>,
    id: JobId,
    token: String,
}

impl SqliteStore {
    /// The record in [`crate::state_folder`].
    ///
    /// # Errors
    ///
    /// As [`SqliteStore::open`].
    pub fn open_default() -> Result<Self> {
        Self::open(crate::place::state_folder()?)
    }

    /// The record in a folder, which is made if it is not there. May block.
    ///
    /// # Errors
    ///
    /// When it cannot be made, read or written, is no record, or was written by a later version.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let path = folder.join("record.sqlite3");
        let place = path.display().to_string();
        let cannot = |error: io::Error| {
            Error::store(format!("the record {place} cannot be opened; HIGHWAY_STATE can name another folder"))
                .with_source(error)
        };
        make_private(folder, &path).map_err(cannot)?;
        let process = Process::begin(folder.join("record.holders")).map_err(cannot)?;
        Self::new(place.clone(), || Connection::open(&path), process)
    }

    /// A record that ends with the program: for tests, and for what is not worth keeping.
    ///
    /// # Errors
    ///
    /// When there is no memory for it.
    pub fn in_memory() -> Result<Self> {
        Self::new("in memory".to_owned(), Connection::open_in_memory, Process::alone())
    }

    fn new(place: String, open: impl Fn() -> rusqlite::Result<Connection>, process: Process) -> Result<Self> {
        let connection = prepare(open).map_err(|error| failed(&place, error))?;
        let shared = Shared { place, connection: Mutex::new(connection), process, holds: Mutex::new(HashMap::new()) };
        let version = shared.write(|transaction| migrate(transaction, MIGRATIONS))?;
        if version as usize > MIGRATIONS.len() {
            let text = format!("the record {} was written by a later version of this program", shared.place);
            return Err(Error::store(text));
        }
        Ok(Self(Arc::new(shared)))
    }

    fn call<'a, T: Send + 'static>(
        &'a self,
        call: impl FnOnce(&Arc<Shared>) -> Result<T> + Send + 'static,
    ) -> Pending<'a, T> {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || call(&shared)).await;
            done.unwrap_or_else(|error| Err(Error::store("the record could not be used").with_source(error)))
        })
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("place", &self.0.place).finish_non_exhaustive()
    }
}

impl Shared {
    /// One transaction, begun as a writer: a reader that turns into one may find that another was quicker.
    fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        let mut connection = lock(&self.connection);
        let done = (|| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        })();
        done.map_err(|error| failed(&self.place, error))
    }

    /// A job or a batch as it is written.
    fn text(&self, what: &impl Serialize, name: impl fmt::Display) -> Result<String> {
        serde_json::to_string(what).map_err(|error| {
            Error::store(format!("{name} cannot be written down; is a file's name no Unicode?")).with_source(error)
        })
    }

    fn new_hold(self: &Arc<Self>, id: &JobId) -> Hold {
        let token = self.process.token();
        let grip = Arc::new(Grip { shared: Arc::clone(self), id: id.clone(), token: token.clone() });
        lock(&self.holds).insert(token.clone(), Arc::downgrade(&grip));
        Hold::new(id.clone(), token, move || drop(grip))
    }

    /// That of a hold that has not ended.
    fn grip(&self, hold: &Hold) -> Option<Arc<Grip>> {
        let grip = lock(&self.holds).get(hold.token()).cloned()?;
        grip.upgrade().filter(|grip| grip.id == *hold.id())
    }

    fn is_held(&self, token: &str) -> bool {
        if self.process.is_own(token) {
            lock(&self.holds).get(token).is_some_and(|grip| grip.strong_count() > 0)
        } else {
            self.process.is_alive(token)
        }
    }

    fn not_held(&self) -> Error {
        Error::not_held(format!("the job is no longer held in the record {}", self.place))
    }
}

impl Drop for Grip {
    /// Within this process at once, and for others as soon as it is written.
    fn drop(&mut self) {
        lock(&self.shared.holds).remove(&self.token);
        let (shared, id, token) = (Arc::clone(&self.shared), self.id.clone(), std::mem::take(&mut self.token));
        let write = move || {
            let release = "UPDATE jobs SET holder = NULL WHERE id = ? AND holder = ?";
            // What cannot be written now comes about when this process ends.
            let _ = shared.write(|transaction| transaction.execute(release, [id.as_str(), &token]));
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(write)),
            Err(_) => write(),
        }
    }
}

/// What stands in a row as JSON, in its first column.
fn read<T: DeserializeOwned>(row: &Row<'_>) -> rusqlite::Result<T> {
    let text: String = row.get(0)?;
    serde_json::from_str(&text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error)))
}

/// A connection that keeps what it is told, also without power.
fn prepare(open: impl Fn() -> rusqlite::Result<Connection>) -> rusqlite::Result<Connection> {
    let connection = open()?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "fullfsync", true)?;
    // Several processes that do this first at the same moment do not wait for each other.
    for pause in [10, 20, 40, 80, 160, 320, 640] {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                thread::sleep(Duration::from_millis(pause));
            }
            done => return done.map(|()| connection),
        }
    }
    connection.pragma_update(None, "journal_mode", "WAL").map(|()| connection)
}

/// Takes the file from whatever version it has to this one, and tells the version that it has then.
fn migrate(transaction: &Transaction<'_>, steps: &[&str]) -> rusqlite::Result<u32> {
    let mut version: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for step in steps.iter().skip(version as usize) {
        transaction.execute_batch(step)?;
        version += 1;
        transaction.pragma_update(None, "user_version", version)?;
    }
    Ok(version)
}

fn failed(place: &str, error: rusqlite::Error) -> Error {
    let text = match (&error, error.sqlite_error_code()) {
        (_, Some(ErrorCode::DiskFull)) => format!("the disk is full: the record {place} cannot be written"),
        (_, Some(ErrorCode::SystemIoFailure)) => {
            format!("the record {place} cannot be read or written; the disk may be full")
        }
        (_, Some(ErrorCode::ReadOnly)) => format!("the record {place} cannot be written"),
        (_, Some(ErrorCode::DatabaseBusy)) => format!("the record {place} is being written by others all the time"),
        // What stands for a job may be none in a file that is whole to SQLite.
        (_, Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
        | (rusqlite::Error::FromSqlConversionFailure(..), _) => format!("the record {place} is damaged, or is none"),
        _ => format!("the record {place} cannot be used"),
    };
    Error::store(text).with_source(error)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// SQLite gives the files beside it the mode of the first.
fn make_private(folder: &Path, file: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        builder.mode(0o700);
        options.mode(0o600);
    }
    builder.create(folder)?;
    let file = options.open(file)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // One that was copied here may be open to all.
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        }
    }
    drop(file);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Job;
    use crate::state::State;
    use crate::store::{Added, Store, Which};

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder")
    }

    async fn add(store: &SqliteStore, reason: String) -> Result<Added> {
        let mut job = Job::new("https://example.com");
        (job.state, job.reason) = (State::Submitted, Some(reason));
        store.add(&job, false).await
    }

    /// The answer to a submit may be on its way to disk when somebody drops the whole submit.
    #[tokio::test]
    async fn a_write_that_was_begun_comes_before_the_end_of_its_hold() {
        let store = SqliteStore::in_memory().expect("a record");
        let mut job = Job::new("https://example.com");
        let Ok(Added::New(hold)) = store.add(&job, false).await else { panic!("a new job") };
        job.state = State::Submitted;
        let token = hold.token().to_owned();
        {
            let busy = lock(&store.0.connection);
            let mut save = store.save(&hold, &job);
            let polled = save.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
            assert!(polled.is_pending());
            drop(save);
            drop(hold);
            assert!(store.0.is_held(&token));
            drop(busy);
        }
        while store.0.is_held(&token) {
            thread::yield_now();
        }
        assert_eq!(store.jobs(Which::All).await.expect("jobs")[0].job.state, State::Submitted);
    }

    #[tokio::test]
    async fn an_older_file_is_taken_to_this_version_with_all_that_is_in_it() {
        let folder = folder();
        let store = SqliteStore::open(folder.path()).expect("a record");
        drop(add(&store, "mine".to_owned()).await.expect("a record"));
        let version = |steps: &[&str]| store.0.write(|transaction| migrate(transaction, steps)).expect("a version");
        assert_eq!(version(MIGRATIONS) as usize, MIGRATIONS.len());
        let more = [MIGRATIONS, &["ALTER TABLE jobs ADD COLUMN note TEXT", "UPDATE jobs SET note = id"]].concat();
        for _ in 0..2 {
            assert_eq!(version(&more) as usize, MIGRATIONS.len() + 2);
        }
        let jobs = store.jobs(Which::All).await.expect("jobs");
        let note: String =
            store.0.write(|file| file.query_row("SELECT note FROM jobs", [], |row| row.get(0))).expect("a note");
        assert_eq!(
            (jobs.len(), jobs[0].job.reason.as_deref(), note.as_str()),
            (1, Some("mine"), jobs[0].job.id.as_str())
        );
        drop(SqliteStore::open(folder.path()).expect_err("it is of a later version now"));
    }

    #[test]
    fn a_step_that_fails_leaves_the_file_as_it_was() {
        let store = SqliteStore::in_memory().expect("a record");
        let more = [MIGRATIONS, &["CREATE TABLE more (id TEXT); CREATE TABLE jobs (id TEXT)"]].concat();
        store.0.write(|transaction| migrate(transaction, &more)).expect_err("there is one already");
        let version = store.0.write(|transaction| migrate(transaction, MIGRATIONS)).expect("a version");
        assert_eq!(version as usize, MIGRATIONS.len());
        store.0.write(|file| file.execute_batch("CREATE TABLE more (id TEXT)")).expect("none there yet");
    }

    #[tokio::test]
    async fn a_full_disk_is_called_so_and_loses_nothing() {
        let folder = folder();
        let store = SqliteStore::open(folder.path()).expect("a record");
        drop(add(&store, "mine".to_owned()).await.expect("a record"));
        // As if the file could grow no more.
        lock(&store.0.connection).pragma_update(None, "max_page_count", 8).expect("a limit");
        let error = add(&store, "x".repeat(100_000)).await.expect_err("full");
        let place = folder.path().join("record.sqlite3");
        assert_eq!(error.to_string(), format!("the disk is full: the record {} cannot be written", place.display()));
        lock(&store.0.connection).pragma_update(None, "max_page_count", 1_000_000).expect("no limit");
        drop(add(&store, "x".repeat(100_000)).await.expect("room again"));
        assert_eq!(store.jobs(Which::All).await.expect("jobs").len(), 2);
    }

    #[tokio::test]
    async fn a_file_that_may_only_be_read_is_called_so() {
        let store = SqliteStore::in_memory().expect("a record");
        lock(&store.0.connection).pragma_update(None, "query_only", true).expect("read-only");
        let error = add(&store, String::new()).await.expect_err("read-only");
        assert_eq!(error.to_string(), "the record in memory cannot be written");
    }
}
