//! What would have been billed, per key: the account's own record, which a test can hold its client against.

mod assertions;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

pub use self::assertions::Assertions;
pub(crate) use self::assertions::Checked;
use crate::hex;
use crate::pictures::Content;

/// Submits that are kept one by one, and requests of a key that are recognised when they come again. The totals count on
/// beyond that.
const MAX_KEPT: usize = 100_000;

/// Leaks that are kept one by one.
const MAX_LEAKS: usize = 100;

/// Duplicates that are listed for a key, and task ids for each of them.
const MAX_LISTED: usize = 100;

/// A key as it may be shown: its first four characters and a piece of its hash.
pub(crate) fn key_name(key: &str) -> String {
    let start: String = key.chars().take(4).collect();
    format!("{start}…{}", &hex::encode(&Sha256::digest(key))[..8])
}

/// What makes two submits the same request: every field with its default, pictures by their content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RequestHash([u8; 32]);

impl RequestHash {
    /// Of the fields of a body, its pictures aside; defaults have to be filled in.
    pub(crate) fn of_fields(fields: &Map<String, Value>) -> Self {
        let others: BTreeMap<_, _> =
            fields.iter().filter(|(name, _)| !matches!(&name[..], "image" | "last_image")).collect();
        Self(Sha256::digest(json!(others).to_string()).into())
    }

    /// Of the whole request.
    pub(crate) fn with_pictures(self, first: &Content, last: &Content) -> Self {
        Self(Sha256::new_with_prefix(self.0).chain_update(first).chain_update(last).finalize().into())
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        hex::decode(text).map(Self)
    }
}

impl fmt::Display for RequestHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

/// A submit that was accepted, and so would have been billed, whatever becomes of its task.
pub(crate) struct Submit<'a> {
    /// Its name, not the key itself.
    pub(crate) key: &'a str,
    pub(crate) task_id: &'a str,
    pub(crate) request: RequestHash,
    /// As many as were asked for.
    pub(crate) clips: u32,
    /// Of one clip.
    pub(crate) seconds: u32,
    /// Virtual time since the sandbox began.
    pub(crate) at: Duration,
}

/// The accounts of all keys; it knows them by their names only.
#[derive(Default)]
pub(crate) struct Ledger {
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    accounts: BTreeMap<String, Account>,
    /// Oldest first.
    entries: VecDeque<Entry>,
    /// Of all entries that there were.
    submits: u64,
    leaked: u64,
    leaks: VecDeque<Leak>,
}

/// What one key would have to pay for.
#[derive(Clone, Debug, Default, PartialEq)]
struct Account {
    submits: u64,
    clips: u64,
    /// Of all clips together.
    seconds: u64,
    /// Submits of a request that had been billed before.
    repeated: u64,
    /// Submits whose request is not remembered, because there were too many before.
    unremembered: u64,
    times: HashMap<RequestHash, u32>,
}

struct Entry {
    number: u64,
    key: String,
    task_id: String,
    request: RequestHash,
    clips: u32,
    seconds: u32,
    at: Duration,
}

/// Credentials that came with a result link.
struct Leak {
    key: String,
    path: String,
    at: Duration,
}

/// The sums of all keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) submits: u64,
    pub(crate) clips: u64,
    pub(crate) seconds: u64,
    pub(crate) repeated: u64,
    pub(crate) unremembered: u64,
    pub(crate) leaked: u64,
}

impl Ledger {
    /// Writes down a submit.
    pub(crate) fn submit(&self, submit: &Submit<'_>) {
        self.books().enter(Entry {
            number: 0,
            key: submit.key.to_owned(),
            task_id: submit.task_id.to_owned(),
            request: submit.request,
            clips: submit.clips,
            seconds: submit.seconds,
            at: submit.at,
        });
    }

    /// Writes down that the key of this name was sent to the file host, where it has no business.
    pub(crate) fn key_leaked(&self, key: &str, path: &str, at: Duration) {
        let mut books = self.books();
        books.leaked += 1;
        if books.leaks.len() == MAX_LEAKS {
            books.leaks.pop_front();
        }
        let path = path.chars().take(200).collect();
        books.leaks.push_back(Leak { key: key.to_owned(), path, at });
    }

    /// Of one key, by its name, or of all.
    pub(crate) fn totals(&self, key: Option<&str>) -> Totals {
        self.books().totals(key)
    }

    /// Which of the assertions hold.
    pub(crate) fn check(&self, assertions: &Assertions) -> Checked {
        let books = self.books();
        assertions.check(books.totals(assertions.key()))
    }

    pub(crate) fn reset(&self) {
        *self.books() = Books::default();
    }

    /// The accounts as they are shown.
    pub(crate) fn to_json(&self) -> Value {
        let books = self.books();
        let totals = books.totals(None);
        let tasks = books.repeated_tasks();
        let mut keys = Vec::new();
        for (name, account) in &books.accounts {
            let mut times: Vec<_> = account.times.iter().filter(|(_, times)| **times > 1).collect();
            times.sort_unstable();
            let duplicate = |(request, times): (&RequestHash, &u32)| {
                let tasks = tasks.get(&(name, *request));
                json!({ "request": request.to_string(), "times": times, "task_ids": tasks.into_iter().flatten().collect::<Vec<_>>() })
            };
            let mut shown = account.to_json(name);
            shown["duplicates"] = times.into_iter().take(MAX_LISTED).map(duplicate).collect();
            keys.push(shown);
        }
        json!({
            "submits": totals.submits,
            "clips": totals.clips,
            "seconds": totals.seconds,
            "repeated": totals.repeated,
            "unremembered": totals.unremembered,
            "leaked": totals.leaked,
            "keys": keys,
            "leaks": books.leaks.iter().map(Leak::to_json).collect::<Vec<_>>(),
        })
    }

    /// The submits whose number is below `before`, the newest first.
    pub(crate) fn newest(&self, before: u64, limit: usize) -> Vec<Value> {
        let books = self.books();
        let earlier = books.entries.iter().rev().skip_while(|entry| entry.number >= before);
        earlier.take(limit).map(Entry::to_json).collect()
    }

    /// Everything, so that [`import`](Self::import) gives the same ledger.
    pub(crate) fn export(&self) -> Value {
        let books = self.books();
        let accounts = books.accounts.iter().map(|(name, account)| account.to_json(name));
        json!({
            "accounts": accounts.collect::<Vec<_>>(),
            "entries": books.entries.iter().map(Entry::to_json).collect::<Vec<_>>(),
            "leaked": books.leaked,
            "leaks": books.leaks.iter().map(Leak::to_json).collect::<Vec<_>>(),
        })
    }

    /// Takes the place of what was there; None, and nothing changed, if it is no export.
    pub(crate) fn import(&self, export: &Value) -> Option<()> {
        let mut books = Books::default();
        let entries = export["entries"].as_array()?.iter().map(Entry::from_json).collect::<Option<Vec<_>>>()?;
        books.submits = entries.first().map_or(0, |oldest| oldest.number.saturating_sub(1));
        entries.into_iter().for_each(|entry| books.enter(entry));
        // What was forgotten is in the sums all the same, and can be recognised no more.
        for account in export["accounts"].as_array()? {
            let number = |name: &str| account[name].as_u64();
            let known = books.accounts.entry(account["key"].as_str()?.to_owned()).or_default();
            let forgotten = number("submits")?.saturating_sub(known.submits);
            known.submits = number("submits")?;
            known.clips = number("clips")?;
            known.seconds = number("seconds")?;
            known.repeated = number("repeated")?;
            known.unremembered = number("unremembered")?.max(forgotten);
        }
        books.leaked = export["leaked"].as_u64()?;
        books.leaks = export["leaks"].as_array()?.iter().map(Leak::from_json).collect::<Option<_>>()?;
        *self.books() = books;
        Some(())
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    fn enter(&mut self, mut entry: Entry) {
        self.submits += 1;
        entry.number = self.submits;
        if !self.accounts.contains_key(&entry.key) {
            self.accounts.insert(entry.key.clone(), Account::default());
        }
        if let Some(account) = self.accounts.get_mut(&entry.key) {
            account.enter(&entry);
        }
        if self.entries.len() == MAX_KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    fn totals(&self, key: Option<&str>) -> Totals {
        let mut totals = Totals::default();
        for account in self.accounts.iter().filter(|(name, _)| key.is_none_or(|key| key == *name)).map(|(_, one)| one) {
            totals.submits += account.submits;
            totals.clips += account.clips;
            totals.seconds += account.seconds;
            totals.repeated += account.repeated;
            totals.unremembered += account.unremembered;
        }
        let leaks = self.leaks.iter().filter(|leak| key == Some(&leak.key));
        totals.leaked = if key.is_none() { self.leaked } else { leaks.count() as u64 };
        totals
    }

    /// The tasks of every request that was billed more than once.
    fn repeated_tasks(&self) -> HashMap<(&String, RequestHash), Vec<&str>> {
        let mut tasks: HashMap<_, Vec<&str>> = HashMap::new();
        if self.accounts.values().all(|account| account.repeated == 0) {
            return tasks;
        }
        let again = |entry: &&Entry| {
            let account = self.accounts.get(&entry.key);
            account.and_then(|account| account.times.get(&entry.request)).is_some_and(|times| *times > 1)
        };
        for entry in self.entries.iter().filter(again) {
            let listed = tasks.entry((&entry.key, entry.request)).or_default();
            if listed.len() < MAX_LISTED {
                listed.push(&entry.task_id);
            }
        }
        tasks
    }
}

impl Account {
    fn to_json(&self, name: &str) -> Value {
        json!({
            "key": name,
            "submits": self.submits,
            "clips": self.clips,
            "seconds": self.seconds,
            "repeated": self.repeated,
            "unremembered": self.unremembered,
        })
    }

    fn enter(&mut self, entry: &Entry) {
        self.submits += 1;
        self.clips += u64::from(entry.clips);
        self.seconds += u64::from(entry.clips) * u64::from(entry.seconds);
        if let Some(times) = self.times.get_mut(&entry.request) {
            *times += 1;
            self.repeated += 1;
        } else if self.times.len() < MAX_KEPT {
            self.times.insert(entry.request, 1);
        } else {
            self.unremembered += 1;
        }
    }
}

impl Entry {
    fn to_json(&self) -> Value {
        json!({
            "number": self.number,
            "at_ms": millis(self.at),
            "key": self.key,
            "task_id": self.task_id,
            "request": self.request.to_string(),
            "clips": self.clips,
            "seconds": self.seconds,
        })
    }

    fn from_json(value: &Value) -> Option<Self> {
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        let number = |name: &str| value[name].as_u64();
        Some(Self {
            number: number("number")?,
            key: text("key")?,
            task_id: text("task_id")?,
            request: RequestHash::parse(value["request"].as_str()?)?,
            clips: number("clips")?.try_into().ok()?,
            seconds: number("seconds")?.try_into().ok()?,
            at: Duration::from_millis(number("at_ms")?),
        })
    }
}

impl Leak {
    fn to_json(&self) -> Value {
        json!({ "at_ms": millis(self.at), "key": self.key, "path": self.path })
    }

    fn from_json(value: &Value) -> Option<Self> {
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        Some(Self { key: text("key")?, path: text("path")?, at: Duration::from_millis(value["at_ms"].as_u64()?) })
    }
}

fn millis(at: Duration) -> u64 {
    at.as_millis().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn request(n: u64) -> RequestHash {
        RequestHash(Sha256::digest(n.to_be_bytes()).into())
    }

    fn submit(ledger: &Ledger, key: &str, n: u64) {
        let task_id = &format!("task {n}");
        let at = Duration::from_millis(n);
        ledger.submit(&Submit {
            key: &key_name(key),
            task_id,
            request: request(n % 100_000),
            clips: 2,
            seconds: 8,
            at,
        });
    }

    #[test]
    fn the_same_request_is_the_same_whatever_its_order_and_the_form_of_its_pictures() {
        let hash = |text: &str| {
            let fields: Map<String, Value> = serde_json::from_str(text).unwrap();
            RequestHash::of_fields(&fields).with_pictures(&[1; 32], &[2; 32])
        };
        let one = hash(r#"{"image":"https://a/","prompt":"dusk","seed":1}"#);
        assert_eq!(one, hash(r#"{"seed":1,"prompt":"dusk","last_image":"data:"}"#));
        assert_ne!(one, hash(r#"{"prompt":"dusk","seed":2}"#));
        let swapped = RequestHash::of_fields(&Map::new()).with_pictures(&[2; 32], &[1; 32]);
        assert_ne!(RequestHash::of_fields(&Map::new()).with_pictures(&[1; 32], &[2; 32]), swapped);
        assert_eq!(RequestHash::parse(&one.to_string()), Some(one));
        assert_eq!((RequestHash::parse("00"), RequestHash::parse(&"é".repeat(32))), (None, None));
    }

    #[test]
    fn accounts_are_per_key_and_name_no_key() {
        let ledger = Ledger::default();
        for (key, n) in [("sandbox-key", 1), ("sandbox-key", 2), ("sandbox-key", 1), ("other-key", 1)] {
            submit(&ledger, key, n);
        }
        ledger.key_leaked(&key_name("other-key"), "/files/a.mp4", Duration::from_secs(1));
        let shown = ledger.to_json();
        assert!(!shown.to_string().contains("-key"), "{shown}");
        let other = &shown["keys"][0];
        assert_eq!(
            (&other["submits"], &other["duplicates"]),
            (&json!(1), &json!([])),
            "the other account's is no repeat"
        );
        let account = &shown["keys"][1];
        assert_eq!(account["key"], key_name("sandbox-key"));
        assert_eq!((&account["submits"], &account["clips"], &account["seconds"]), (&json!(3), &json!(6), &json!(48)));
        let duplicate = json!({ "request": request(1).to_string(), "times": 2, "task_ids": ["task 1", "task 1"] });
        assert_eq!(account["duplicates"], json!([duplicate]));
        assert_eq!((&shown["submits"], &shown["leaked"]), (&json!(4), &json!(1)));
        let leaked = |key: &str| ledger.totals(Some(&key_name(key))).leaked;
        assert_eq!((leaked("other-key"), leaked("sandbox-key")), (1, 0));
        assert_eq!(ledger.newest(4, 2)[0]["number"], 3);
    }

    #[test]
    fn the_sums_are_exact_beyond_what_is_kept_and_survive_a_restart() {
        let ledger = Ledger::default();
        (0..100_005).for_each(|n| submit(&ledger, "k", n));
        let totals = ledger.totals(None);
        assert_eq!((totals.submits, totals.clips, totals.seconds, totals.repeated), (100_005, 200_010, 1_600_080, 5));
        assert_eq!(ledger.books().entries.len(), MAX_KEPT);
        let full = RequestHash::of_fields(&Map::new());
        let key = &key_name("k");
        let submit = Submit { key, task_id: "t", request: full, clips: 1, seconds: 4, at: Duration::ZERO };
        ledger.submit(&submit);
        ledger.submit(&submit);
        assert_eq!((ledger.totals(None).repeated, ledger.totals(None).unremembered), (5, 2));

        let later = Ledger::default();
        later.import(&ledger.export()).unwrap();
        let sums = |totals: Totals| (totals.submits, totals.clips, totals.seconds, totals.repeated);
        assert_eq!(sums(later.totals(None)), sums(ledger.totals(None)));
        assert!(later.totals(None).unremembered >= 2, "what is not known is never taken for known");
        assert_eq!(later.newest(u64::MAX, 1)[0]["number"], ledger.newest(u64::MAX, 1)[0]["number"]);
        assert_eq!(later.import(&json!({})), None);
        assert_eq!(later.totals(None).submits, 100_007);
    }
}
