//! One cell, tried out: the command, what the record says then, the taking up again, the user's decision, and the same
//! typed once more.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use crate::Result;
use crate::cell::{Address, Around, Cell, Resume};
use crate::ground::Ground;
use crate::proxy::{Played, Proxy};
use crate::said::Said;
use crate::script::{Script, Stage, Step};
use crate::secrets;

/// What may come over the wire without being of use: one chunk.
const CHUNK: usize = 64 << 10;

/// Seconds for what is done after the fault.
const WITHIN: u64 = 40;

pub(crate) struct Trial<'a> {
    pub(crate) ground: &'a Ground,
    pub(crate) proxy: &'a Proxy,
    pub(crate) id: &'a str,
    pub(crate) cell: &'a Cell,
    pub(crate) room: &'a Path,
    pub(crate) stage: Stage,
    /// All that was printed in any run.
    pub(crate) raws: Vec<String>,
    pub(crate) signatures: Vec<String>,
    /// Ids of all jobs that the record ever named.
    pub(crate) jobs: Vec<String>,
    pub(crate) problems: Vec<String>,
    /// Bytes of the video that came over the wire so far.
    pub(crate) fetched: usize,
}

/// What the record says.
pub(crate) enum Record {
    Unreadable,
    None,
    Job(Value),
}

impl Record {
    pub(crate) fn state(&self) -> &str {
        match self {
            Self::Unreadable => "unreadable",
            Self::None => "none",
            Self::Job(job) => job["state"].as_str().unwrap_or_default(),
        }
    }
}

impl Trial<'_> {
    pub(crate) fn folder(&self) -> PathBuf {
        self.room.join("out")
    }

    pub(crate) fn wrong(&mut self, what: impl Into<String>) {
        self.problems.push(what.into());
    }

    /// The fault itself. `None` when it takes too long.
    pub(crate) async fn generate(&mut self) -> Result<Option<(Said, Played)>> {
        let address = match self.cell.address {
            Address::Proxy => self.stage.service.clone(),
            Address::PlainText => self.stage.service.replace("http://", "https://"),
            Address::SelfSigned => self.stage.self_signed.clone(),
        };
        let args = self.args();
        let mut command = self.ground.command(self.cell.around, self.room, &args);
        command.env("HIGHWAY_BASE_URL", address);
        let Some((output, played)) = self.play(command, self.cell.script.clone(), self.cell.within).await? else {
            return Ok(None);
        };
        self.ground.unmounted(self.cell.around, self.room)?;
        let said = Said::text(&output);
        if said.is_silent_about_cost() {
            self.wrong(format!("exit {:?} and charged {:?}", said.code, said.charged));
        }
        Ok(Some((said, played)))
    }

    /// For faults that are another run of the command: it says how, in a script without the key.
    pub(crate) fn write_others(&self) -> Result<()> {
        let quoted = |args: &[String]| args.iter().map(|arg| format!(" '{arg}'")).collect::<String>();
        let resume = ["resume", "--all"].map(str::to_owned);
        for (name, args) in [("again", &self.args()[..]), ("resume", &resume)] {
            let (out, state) = (self.folder(), self.room.join("state"));
            let set = format!("cd '{}'; export HIGHWAY_STATE='{}'", out.display(), state.display());
            let set = format!("{set} HIGHWAY_BASE_URL='{}'", self.stage.service);
            let command = format!("'{}'{}", self.ground.highway().display(), quoted(args));
            let script = format!("{set}\n(echo '(the other command)'; {command}) >../other 2>&1\n");
            std::fs::write(self.room.join(name), script)?;
        }
        Ok(())
    }

    /// As a user would who has lost it.
    pub(crate) fn new_record(&self) -> Result<()> {
        let state = self.room.join("state");
        if state.is_dir() {
            std::fs::remove_dir_all(state)?
        } else {
            std::fs::remove_file(state)?
        }
        Ok(())
    }

    fn args(&self) -> Vec<String> {
        let pictures = if self.cell.large { "large" } else { "small" };
        self.ground.generate(self.id, pictures, &self.cell.args)
    }

    /// The last job in the record: there is never more than one, unless the first was certainly not charged.
    pub(crate) async fn record(&mut self) -> Result<Record> {
        let (code, listed) = match self.run(&["tasks", "--json"], Script::default()).await? {
            Some((output, _)) => (output.status.code(), String::from_utf8(output.stdout)?),
            None => return Err("the record cannot be listed in time".into()),
        };
        if code != Some(0) {
            return Ok(Record::Unreadable);
        }
        let jobs: Vec<Value> = listed.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        self.jobs.extend(jobs.iter().filter_map(|job| job["id"].as_str().map(str::to_owned)));
        self.jobs.dedup();
        Ok(jobs.into_iter().next_back().map_or(Record::None, Record::Job))
    }

    /// `highway resume --all`.
    pub(crate) async fn take_up(&mut self, record: &Record, said: &Said) -> Result<Resume> {
        let part = self.part();
        let lasts = !self.cell.after.is_empty();
        let limit: &[&str] = if lasts { &["--timeout", "3s"] } else { &[] };
        let args = [&["resume", "--all", "--json"], limit].concat();
        let Some((output, played)) = self.run(&args, self.cell.after.clone()).await? else {
            self.wrong("resume takes too long");
            return Ok(Resume::Ends);
        };
        let resumed = Said::json(&output);
        self.agrees(&resumed, said, record);
        if played.count(Step::Submit) > 0 {
            self.wrong("resume sends a submit");
        }
        let goes_on = matches!(record.state(), "submitted" | "succeeded");
        match (resumed.code, record) {
            (_, Record::Unreadable) => Ok(Resume::Refuses),
            (Some(0), _) if goes_on => {
                self.goes_on(part, &played);
                self.is_there("after resume");
                Ok(Resume::Finishes)
            }
            (Some(0), Record::Job(job)) if job["state"] == "failed" => Ok(Resume::Ends),
            (Some(0), _) => {
                self.goes_on(None, &played);
                Ok(Resume::Nothing)
            }
            (Some(3), _) => Ok(Resume::Asks),
            (_, Record::Job(job)) if !lasts => {
                let id = job["id"].as_str().unwrap_or_default().to_owned();
                let moved = self.run(&["resume", &id, "-o", "mine.mp4"], Script::default()).await?;
                let code = moved.and_then(|(output, _)| output.status.code());
                if code == Some(0) && self.is_there("after resume -o") {
                    Ok(Resume::Elsewhere)
                } else {
                    Ok(Resume::Ends)
                }
            }
            _ => Ok(Resume::Ends),
        }
    }

    /// With `--json` the same is said as without, where the same goes wrong again.
    fn agrees(&mut self, resumed: &Said, said: &Said, record: &Record) {
        if resumed.is_silent_about_cost() {
            self.wrong(format!("resume: exit {:?} and charged {:?}", resumed.code, resumed.charged));
        }
        let fails = resumed.code != Some(0) && said.code.is_some_and(|code| code != 0);
        // Once the id was told and the record lost it, each speaks of what it knows.
        let unrecorded = record.state() == "unknown" && said.charged.as_deref() == Some("yes");
        if fails && !unrecorded && (resumed.code, &resumed.charged) != (said.code, &said.charged) {
            let (code, charged) = (resumed.code, &resumed.charged);
            self.wrong(format!("resume --json: exit {code:?} and charged {charged:?}: {}", resumed.words));
        }
    }

    /// The length of a part that is kept for resuming, and whether that is all that was announced.
    fn part(&self) -> Option<(u64, bool)> {
        let part = self.folder().join("clip.mp4.highway-part");
        let note: Value =
            serde_json::from_slice(&std::fs::read(part.with_extension("highway-part.json")).ok()?).ok()?;
        let length = part.metadata().ok()?.len();
        Some((length, note["length"].as_u64() == Some(length)))
    }

    /// What was kept is not fetched again.
    fn goes_on(&mut self, part: Option<(u64, bool)>, played: &Played) {
        let mut fetches = played.journal.iter().filter(|entry| entry.step == Step::Download);
        let first = fetches.next().map(|entry| entry.range);
        let expected = match part {
            Some((_, true)) => None,
            Some((length, false)) => Some(Some(length)),
            None => Some(None),
        };
        if part.is_some() && first != expected {
            self.wrong(format!("kept was {part:?}, and resume begins with {first:?}"));
        }
        let clip = self.ground.clips.first().map_or(0, Vec::len);
        if self.cell.sparing && self.fetched > clip + CHUNK {
            self.wrong(format!("{} bytes came for a video of {clip}", self.fetched));
        }
    }

    /// In an unknown job's owner's place: names the task where there is one, has it sent again where there is none.
    pub(crate) async fn decide(&mut self, record: &Record) -> Result<()> {
        let Record::Job(job) = record else { return Ok(()) };
        let job = job["id"].as_str().unwrap_or_default();
        let decision = match self.ground.paid(self.id).pop() {
            Some(task) => vec!["--task".to_owned(), task],
            None => vec!["--resubmit".to_owned()],
        };
        let decision: Vec<&str> = decision.iter().map(String::as_str).collect();
        for args in [[&["resolve", job], &decision[..]].concat(), vec!["resume", "--all"]] {
            let run = self.run(&args, Script::default()).await?;
            let code = run.as_ref().and_then(|(output, _)| output.status.code());
            if code != Some(0) {
                let raw = run.map(|(output, _)| Said::text(&output).raw).unwrap_or_default();
                self.wrong(format!("{}: exit {code:?}: {raw}", args[0]));
            }
        }
        self.is_there("after resolve");
        Ok(())
    }

    /// The very same request once more. Returns whether it was sent.
    pub(crate) async fn again(&mut self) -> Result<(bool, Said)> {
        let args = self.args();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        match self.run(&args, self.cell.after.clone()).await? {
            Some((output, played)) => {
                let said = Said::text(&output);
                if said.is_silent_about_cost() {
                    self.wrong(format!("again: exit {:?} and charged {:?}", said.code, said.charged));
                }
                Ok((played.count(Step::Submit) > 0, said))
            }
            None => Err("the same again takes too long".into()),
        }
    }

    /// All clips are as they were fetched.
    pub(crate) async fn verify(&mut self) -> Result<()> {
        let folder = self.folder();
        let mut clips = Vec::new();
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry?.path();
            let is_clip = path.extension().is_some_and(|extension| extension == "mp4") && path.is_file();
            if is_clip && std::fs::read(&path)? != crate::ground::THEIRS.as_bytes() {
                clips.push(path.display().to_string());
            }
        }
        if clips.is_empty() {
            return Ok(());
        }
        let args: Vec<&str> = std::iter::once("verify").chain(clips.iter().map(String::as_str)).collect();
        let verified = self.run(&args, Script::default()).await?;
        if verified.is_none_or(|(output, _)| !output.status.success()) {
            self.wrong("a clip cannot be verified");
        }
        Ok(())
    }

    /// Whether a clip is there; every one must be what the sandbox made.
    pub(crate) fn is_there(&mut self, when: &str) -> bool {
        let files = self.ground.files(&self.folder()).unwrap_or_default();
        let there = files.contains("whole") && !files.contains("NOT WHOLE");
        if !there {
            self.wrong(format!("{when}: {files}"));
        }
        there
    }

    /// The command as it stands, without anything around it.
    async fn run(&mut self, args: &[&str], script: Script) -> Result<Option<(Output, Played)>> {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        let mut command = self.ground.command(Around::Nothing, self.room, &args);
        command.env("HIGHWAY_BASE_URL", &self.stage.service);
        self.play(command, script, WITHIN).await
    }

    async fn play(&mut self, mut command: Command, script: Script, within: u64) -> Result<Option<(Output, Played)>> {
        self.proxy.begin(script, self.stage.clone()).await;
        let process = command.spawn()?;
        self.proxy.process(process.id());
        let output = timeout(Duration::from_secs(within), process.wait_with_output()).await.ok().transpose()?;
        let played = self.proxy.end().await;
        self.signatures.extend(played.signatures.iter().cloned());
        for entry in played.journal.iter().filter(|entry| entry.step == Step::Download) {
            self.fetched += entry.sent;
            if entry.range.is_some() && !entry.if_range {
                self.wrong("a range was asked for whatever the video is by now");
            }
        }
        let Some(output) = output else { return Ok(None) };
        self.raws.push(Said::text(&output).raw);
        Ok(Some((output, played)))
    }

    /// What must not be seen, wherever it is.
    pub(crate) fn secrets(&mut self) -> Result<()> {
        let mut found = Vec::new();
        for raw in &self.raws {
            let secret = secrets::found(raw.as_bytes(), &self.signatures);
            found.extend(secret.map(|secret| format!("{secret} stands in what is printed")));
        }
        for file in walk(self.room)? {
            let bytes = std::fs::read(&file)?;
            if !self.ground.is_whole(&bytes) {
                let secret = secrets::found(&bytes, &self.signatures);
                found.extend(secret.map(|secret| format!("{secret} stands in {}", file.display())));
            }
        }
        self.problems.extend(found);
        Ok(())
    }
}

/// Every file below a folder, links not followed.
fn walk(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()? {
            kind if kind.is_dir() => files.extend(walk(&entry.path())?),
            kind if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
    Ok(files)
}

impl Played {
    pub(crate) fn forwarded(&self, step: Step) -> usize {
        self.journal.iter().filter(|entry| entry.step == step && entry.forwarded).count()
    }

    pub(crate) fn count(&self, step: Step) -> usize {
        self.journal.iter().filter(|entry| entry.step == step).count()
    }
}
