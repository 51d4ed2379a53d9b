//! A proxy, and the cells that are tried out behind it, one after another.

use std::path::Path;
use std::sync::Arc;

use crate::cell::{Cell, Resume};
use crate::ground::Ground;
use crate::hosts::Stranger;
use crate::proxy::Proxy;
use crate::script::{Stage, Step};
use crate::seen::Seen;
use crate::trial::{Record, Trial};
use crate::{Result, words};

pub(crate) struct Lane {
    ground: Arc<Ground>,
    proxy: Proxy,
    stranger: Stranger,
}

impl Lane {
    pub(crate) async fn start(ground: Arc<Ground>) -> Result<Self> {
        let proxy = Proxy::start(&ground.base_url()).await?;
        Ok(Self { ground, proxy, stranger: Stranger::start().await? })
    }

    pub(crate) async fn try_out(&self, id: &str, cell: &Cell) -> Result<Seen> {
        let room = tempfile::tempdir_in(self.ground.room())?;
        std::fs::create_dir(room.path().join("out"))?;
        let mut trial = self.trial(id, cell, room.path());
        trial.write_others()?;
        let Some((said, played)) = trial.generate().await? else {
            return Ok(Seen::of_nothing(format!("takes longer than {} s", cell.within)));
        };
        let paid = self.ground.paid(id).len();
        if paid > played.forwarded(Step::Submit) {
            trial.wrong("paid for what was not sent");
        }
        let files = self.ground.files(&trial.folder())?;
        // It may be gone as a whole.
        std::fs::create_dir_all(trial.folder())?;
        let record = trial.record().await?;
        let told = said.told_task || said.raw.contains("accepted and paid for");
        if said.code.is_some() && matches!(&record, Record::Job(job) if !job["task_id"].is_null()) && !told {
            trial.wrong("the task's id was not told");
        }
        let resume = trial.take_up(&record, &said).await?;
        self.afterwards(&mut trial, &record, resume).await?;

        let (visits, keys) = self.stranger.take();
        if visits > 0 {
            trial.wrong("a stranger was visited");
        }
        if self.ground.leaked_keys() > 0 || keys > 0 {
            trial.wrong("the key went to another host");
        }
        trial.secrets()?;
        let other = std::fs::read_to_string(room.path().join("other")).unwrap_or_default();
        if !other.is_empty() && !other.contains("is being worked on by another process") {
            trial.wrong(format!("the other command was let in: {other}"));
        }
        let words = format!("{}{}", said.words, other);
        let mut seen = Seen {
            posts: played.count(Step::Submit),
            paid,
            code: said.code,
            charged: said.charged,
            record: record.state().to_owned(),
            files,
            resume,
            words: words::stable(&words, &trial.stage, &trial.jobs),
            problems: trial.problems,
        };
        seen.compare(&cell.outcome);
        Ok(seen)
    }

    fn trial<'a>(&'a self, id: &'a str, cell: &'a Cell, room: &'a Path) -> Trial<'a> {
        let stage = Stage {
            service: self.proxy.url(),
            file_host: self.ground.base_url(),
            stranger: self.stranger.url().to_owned(),
            self_signed: self.ground.self_signed.clone(),
            folder: room.join("out"),
            path: String::new(),
        };
        Trial {
            ground: &self.ground,
            proxy: &self.proxy,
            id,
            cell,
            room,
            stage,
            raws: Vec::new(),
            signatures: Vec::new(),
            jobs: Vec::new(),
            problems: Vec::new(),
            fetched: 0,
        }
    }

    /// Whatever the user does next, the clip is there in the end and paid for once.
    async fn afterwards(&self, trial: &mut Trial<'_>, record: &Record, resume: Resume) -> Result<()> {
        if matches!(resume, Resume::Asks) {
            let (sent, said) = trial.again().await?;
            if sent || said.code != Some(3) || said.charged.as_deref() != Some("unknown") {
                trial.wrong(format!("typed again while unknown: sent {sent}, {}", said.raw));
            }
            trial.decide(record).await?;
        }
        if matches!(resume, Resume::Refuses) {
            let (sent, said) = trial.again().await?;
            if sent || said.code == Some(0) {
                trial.wrong(format!("typed again without a record: sent {sent}, {}", said.raw));
            }
            trial.new_record()?;
        }
        let (sent, said) = trial.again().await?;
        let free = matches!(record.state(), "none" | "unreadable" | "refused");
        if sent != free {
            trial.wrong(format!("typed again: sent {sent}: {}", said.raw));
        }
        let paid = self.ground.paid(trial.id).len();
        if paid != 1 {
            trial.wrong(format!("in the end paid for {paid} times"));
        }
        if !matches!(resume, Resume::Ends) && !trial.cell.outcome.files.contains("flipped") {
            trial.is_there("in the end");
        }
        trial.verify().await
    }
}
