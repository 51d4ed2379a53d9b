//! So many clips with a record of their own, made by a worker that is killed, and what became of each.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use highwayapi_sandbox::Sandbox;
use tokio::process::Command;
use tokio::time::timeout;

use crate::Result;
use crate::files::{There, Whole, leftovers, paths};
use crate::highway::{PATIENCE, output, plain};
use crate::kills::aim::Aim;
use crate::kills::journal::Post;
use crate::kills::life::{Ended, Life};
use crate::kills::phase::Phase;
use crate::kills::record::{self, Job};
use crate::kills::service::Service;
use crate::kills::tally::Tally;
use crate::kills::worker::{Orders, Task, name, prompt};
use crate::secrets::{KEY, found};

/// How long an answer that was sent may be on its way into the record of a process that is killed meanwhile.
const MARGIN: Duration = Duration::from_secs(1);

/// What all batches share.
pub(super) struct Ground<'a> {
    highway: &'a Path,
    worker: &'a Path,
    pub(super) sandbox: &'a Sandbox,
    room: &'a Path,
    pictures: PathBuf,
    whole: Whole,
}

impl<'a> Ground<'a> {
    /// Makes a clip when nobody kills; from here on the sandbox renders no more.
    pub(super) async fn new(
        highway: &'a Path,
        worker: &'a Path,
        sandbox: &'a Sandbox,
        room: &'a Path,
        pictures: PathBuf,
    ) -> Result<Self> {
        let orders = Orders { highway: highway.to_owned(), batch: 0, clips: 1, pictures: pictures.clone() };
        let mut command = Command::from(orders.command(Task::Generate(1)));
        plain(&mut command);
        command.current_dir(room).env("HIGHWAY_API_KEY", KEY).env("HIGHWAY_BASE_URL", sandbox.base_url());
        command.env("HIGHWAY_STATE", room.join("state-0"));
        let output = output(command).await?;
        if !output.status.success() {
            return Err(format!("without any kill: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        let whole = Whole::new(fs::read(room.join(name(1)))?);
        Ok(Self { highway, worker, sandbox, room, pictures, whole })
    }
}

/// What there was after a kill.
struct Kill {
    life: SystemTime,
    at: SystemTime,
    cut_off: Vec<Task>,
    jobs: Vec<Job>,
    /// Clips whose jobs were unknown before.
    unknown: BTreeSet<usize>,
    /// By clip, from 1.
    there: Vec<There>,
}

pub(super) struct Batch<'a> {
    orders: Orders,
    folder: PathBuf,
    state: PathBuf,
    ground: &'a Ground<'a>,
    service: &'a Service,
    kills: Vec<Kill>,
    /// The record after the last kill.
    jobs: Vec<Job>,
    corrupt: BTreeSet<PathBuf>,
    unverified: BTreeSet<PathBuf>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(number: usize, clips: usize, ground: &'a Ground<'a>, service: &'a Service) -> Result<Self> {
        let folder = ground.room.join(format!("batch-{number}"));
        fs::create_dir(&folder)?;
        let state = ground.room.join(format!("state-{number}"));
        let (highway, pictures) = (ground.highway.to_owned(), ground.pictures.clone());
        let orders = Orders { highway, batch: number, clips, pictures };
        let (corrupt, unverified) = (BTreeSet::new(), BTreeSet::new());
        Ok(Self { orders, folder, state, ground, service, kills: Vec::new(), jobs: Vec::new(), corrupt, unverified })
    }

    /// Runs the worker until it is killed, and looks at what is left. False when it was done before.
    pub(super) async fn is_killed(&mut self, aim: Aim, tally: &mut Tally) -> Result<bool> {
        let life = self.live(Some(aim), tally).await?;
        let Some(at) = life.killed else { return Ok(false) };
        tally.kills += 1;
        let unknown = self.unknown();
        let copy = self.ground.room.join(format!("copy-{}", self.orders.batch));
        record::copy(&self.state, &copy)?;
        match record::jobs(self.command(&["tasks", "--json"], &copy)).await {
            Ok(jobs) => self.remember(jobs, tally),
            Err(error) => tally.problems.push(error.to_string()),
        }
        fs::remove_dir_all(&copy)?;
        self.look()?;
        let there = (1..=self.orders.clips).map(|clip| There::of(&self.folder, clip)).collect();
        let jobs = self.jobs.clone();
        self.kills.push(Kill { life: life.begun, at, cut_off: life.cut_off, jobs, unknown, there });
        Ok(true)
    }

    async fn live(&self, aim: Option<Aim>, tally: &mut Tally) -> Result<Life> {
        let mut worker = self.surrounded(Command::new(self.ground.worker), &self.state);
        worker.args(self.orders.args());
        let life = Life::new(worker, aim, (&self.folder, &self.state), &self.service.journal).await?;
        let unknown = self.unknown();
        for ended in life.ended.iter().filter(|ended| !may_end_so(ended, &unknown)) {
            tally.problems.push(format!("batch {}: {ended:?}", self.orders.batch));
        }
        Ok(life)
    }

    /// What was once written down of a paid task stays.
    fn remember(&mut self, jobs: Vec<Job>, tally: &mut Tally) {
        for known in &self.jobs {
            let same = jobs.iter().find(|job| job.id == known.id);
            if same.is_none_or(|job| known.task_id.is_some() && job.task_id != known.task_id) {
                tally.problems.push(format!("the record forgot {known:?}: {same:?}"));
            }
        }
        self.jobs = jobs;
    }

    fn look(&mut self) -> Result<()> {
        let (corrupt, unverified) = self.ground.whole.faults(&self.folder)?;
        self.corrupt.extend(corrupt);
        self.unverified.extend(unverified);
        Ok(())
    }

    /// Clips of which nobody knows whether they were paid for.
    fn unknown(&self) -> BTreeSet<usize> {
        self.jobs.iter().filter(|job| job.state == "unknown").map(|job| job.clip).collect()
    }

    fn command(&self, args: &[&str], state: &Path) -> Command {
        let mut command = self.surrounded(Command::new(self.ground.highway), state);
        command.args(args);
        command
    }

    fn surrounded(&self, mut command: Command, state: &Path) -> Command {
        plain(&mut command);
        command.current_dir(&self.folder).env("HIGHWAY_API_KEY", KEY);
        command.env("HIGHWAY_BASE_URL", &self.service.url).env("HIGHWAY_STATE", state);
        command
    }

    /// Runs the command, which must end well.
    async fn highway(&self, args: &[&str], tally: &mut Tally) -> Result<()> {
        let output = output(self.command(args, &self.state)).await?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            tally.problems.push(format!("batch {}: {args:?} ended with {}: {words}", self.orders.batch, output.status));
        }
        Ok(())
    }

    /// Lets the worker finish, does what only the account's owner can do, and counts.
    pub(super) async fn settle(mut self, tally: &mut Tally) -> Result<()> {
        self.live(None, tally).await?;
        let idle = timeout(PATIENCE, self.service.journal.idle()).await;
        idle.map_err(|_| "a submit is under way for ever")?;
        let jobs = record::jobs(self.command(&["tasks", "--json"], &self.state)).await?;
        self.remember(jobs, tally);
        let posts = self.service.journal.posts();
        self.count_phases(&posts, tally);
        for job in self.jobs.iter().filter(|job| job.state == "unknown") {
            self.resolve(job, &posts, tally).await?;
        }
        self.highway(&["resume", "--all"], tally).await?;
        self.check(tally).await
    }

    async fn resolve(&self, job: &Job, posts: &[Post], tally: &mut Tally) -> Result<()> {
        tally.unknown += 1;
        match self.explained(job, posts) {
            Some(late) => tally.latest = tally.latest.max(late),
            None => {
                tally.unexplained += 1;
                tally.problems.push(format!("no kill explains {job:?}"));
            }
        }
        match self.accepted(job.clip).first() {
            Some(task_id) => {
                tally.unknown_accepted += 1;
                self.highway(&["resolve", &job.id, "--task", task_id], tally).await
            }
            None => self.highway(&["resolve", &job.id, "--resubmit"], tally).await,
        }
    }

    /// Whether its sender was killed before it can have written down the answer, and how long after that was sent.
    fn explained(&self, job: &Job, posts: &[Post]) -> Option<Duration> {
        let kill = self.kills.iter().find(|kill| kill.at >= job.submitted_at)?;
        if !kill.cut_off.contains(&Task::Generate(job.clip)) {
            return None;
        }
        let answered = self.post(job.clip, posts).and_then(|post| post.answered);
        let late = answered.and_then(|answered| kill.at.duration_since(answered).ok()).unwrap_or_default();
        (late <= MARGIN).then_some(late)
    }

    fn post<'p>(&self, clip: usize, posts: &'p [Post]) -> Option<&'p Post> {
        let prompt = prompt(self.orders.batch, clip);
        posts.iter().find(|post| post.prompt.as_ref() == Some(&prompt))
    }

    /// The tasks that the service took for this clip, by its own records.
    fn accepted(&self, clip: usize) -> Vec<String> {
        let prompt = prompt(self.orders.batch, clip);
        let accepted = self.ground.sandbox.accepted().into_iter().filter(|accepted| accepted.prompt == prompt);
        accepted.map(|accepted| accepted.task_id).collect()
    }

    fn count_phases(&self, posts: &[Post], tally: &mut Tally) {
        for kill in &self.kills {
            // Of those that never came whole nobody knows whose they were.
            let is_cut = |post: &&Post| post.prompt.is_none() && (kill.life..=kill.at).contains(&post.arrived);
            let mut cut = posts.iter().filter(is_cut);
            let mut begun = BTreeSet::new();
            for task in &kill.cut_off {
                let &Task::Generate(clip) = task else { continue };
                if !begun.insert(clip) {
                    continue;
                }
                let there = kill.there[clip - 1];
                match kill.jobs.iter().find(|job| job.clip == clip) {
                    _ if kill.unknown.contains(&clip) => {}
                    None => tally.hit(Phase::Opening),
                    Some(job) if job.state == "unknown" => {
                        tally.hit(Phase::sent(self.post(clip, posts).or_else(|| cut.next()), kill.at));
                    }
                    Some(job) => Phase::known(&job.state, there).into_iter().for_each(|phase| tally.hit(phase)),
                }
            }
            if kill.cut_off.iter().any(|task| matches!(task, Task::Resume | Task::ResumeBeside)) {
                tally.resumes += 1;
                let unfinished = |job: &&Job| job.state == "submitted" || job.state == "succeeded";
                for job in kill.jobs.iter().filter(unfinished).filter(|job| !begun.contains(&job.clip)) {
                    Phase::known(&job.state, kill.there[job.clip - 1]).into_iter().for_each(|phase| tally.hit(phase));
                }
            }
        }
    }

    /// What must be there when all is done.
    async fn check(&mut self, tally: &mut Tally) -> Result<()> {
        let jobs = record::jobs(self.command(&["tasks", "--json"], &self.state)).await?;
        self.remember(jobs, tally);
        self.look()?;
        let batch = self.orders.batch;
        for clip in 1..=self.orders.clips {
            tally.clips += 1;
            tally.lost += usize::from(!self.folder.join(name(clip)).exists());
            let paid = self.accepted(clip).len();
            tally.paid_twice += usize::from(paid > 1);
            let states: Vec<&str> =
                self.jobs.iter().filter(|job| job.clip == clip).map(|job| job.state.as_str()).collect();
            if paid != 1 || states != ["downloaded"] {
                tally.problems.push(format!("batch {batch}: clip {clip} was paid for {paid} times and is {states:?}"));
            }
        }
        let clips: Vec<String> = (1..=self.orders.clips).map(name).collect();
        let verify: Vec<&str> = std::iter::once("verify").chain(clips.iter().map(String::as_str)).collect();
        self.highway(&verify, tally).await?;
        tally.corrupt += self.corrupt.len();
        tally.unverified += self.unverified.len();
        let holders = self.state.join("record.holders");
        for path in leftovers(&self.folder)?.into_iter().chain(leftovers(&holders)?) {
            tally.leftovers += 1;
            tally.problems.push(format!("left over: {}", path.display()));
        }
        // The links of a task are good for an hour, and so there are few of them.
        let signatures = self.service.journal.signatures(10);
        for path in paths(&self.state)?.into_iter().chain(paths(&self.folder)?) {
            if path.extension().is_some_and(|name| name == "mp4") {
                continue;
            }
            if let Some(secret) = found(&fs::read(&path)?, &signatures) {
                tally.problems.push(format!("{secret} stands in {}", path.display()));
            }
        }
        Ok(())
    }
}

/// By itself a command ends well, or because it must not do what was asked.
fn may_end_so(ended: &Ended, unknown: &BTreeSet<usize>) -> bool {
    let busy = ended.words.contains("worked on by another process");
    match (ended.task, ended.code) {
        (_, Some(0)) => true,
        (Task::Generate(clip), Some(3)) => unknown.contains(&clip),
        // Whoever held a job before was killed.
        (Task::Resume, Some(3)) => !unknown.is_empty() && !busy,
        (Task::ResumeBeside, Some(3)) => !unknown.is_empty(),
        (Task::Generate(_) | Task::ResumeBeside, Some(4)) => busy,
        _ => false,
    }
}
