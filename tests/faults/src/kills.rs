//! A worker that makes clips is killed, with all that it started and at any moment, again and again. In the end every clip
//! must be there, whole, and paid for once.

mod batch;
mod worker;

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use fastrand::Rng;
use highwayapi_sandbox::Sandbox;

pub use worker::work;

use crate::highway::Highway;
use crate::kills::batch::Batch;
use crate::proxy::Proxy;
use crate::script::{Fault, Script, Stage, Step, Way, When};
use crate::secrets::KEY;
use crate::{Result, secrets};

/// How it shall be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How often the worker is killed, in all.
    pub kills: usize,
    /// Clips to make before the worker starts anew with others.
    pub clips: usize,
    /// What decides the moments.
    pub seed: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self { kills: 25, clips: 40, seed: 7 }
    }
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// How often the worker was killed.
    pub kills: usize,
    /// Clips that were asked for.
    pub clips: usize,
    /// Clips that the service was paid for more than once.
    pub paid_twice: usize,
    /// Clips that were paid for and are not there.
    pub lost: usize,
    /// Files under a clip's name that are not whole, at any time.
    pub not_whole: usize,
    /// Submits of which nobody could tell what became of them, for a kill came between begin and answer.
    pub unknown: usize,
    /// Those of them that the service had accepted: found in its records, and fetched.
    pub unknown_accepted: usize,
    /// Unknown ones that no kill explains.
    pub unexplained: usize,
    /// What else is wrong.
    pub problems: Vec<String>,
}

impl Tally {
    /// Whether nothing is wrong.
    pub fn holds(&self) -> bool {
        self.paid_twice + self.lost + self.not_whole + self.unexplained == 0 && self.problems.is_empty()
    }
}

const INTRO: &str = "\
# Killed at any moment

A worker makes clips with `highway`, four at a time, against the sandbox. It is killed with `SIGKILL`, with all that it
started, at random moments; then it is started again, takes up what was begun, and goes on. In the end every clip must be
there, byte for byte what the sandbox made, and paid for once by the sandbox's own records. To run it:
";

impl Plan {
    /// The page of a run.
    pub fn page(&self, tally: &Tally) -> String {
        let Self { kills, clips, seed } = self;
        let command = "cargo run -p fault-tests --bin kills --";
        format!("{INTRO}\n    {command} --kills {kills} --clips {clips} --seed {seed}\n\n{tally}")
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| | |\n| --- | --- |")?;
        for (name, count) in [
            ("kills", self.kills),
            ("clips asked for", self.clips),
            ("paid twice", self.paid_twice),
            ("paid for and lost", self.lost),
            ("under their final name and not whole", self.not_whole),
            ("unknown, for a kill came between begin and answer", self.unknown),
            ("of these accepted by the service: adopted and fetched", self.unknown_accepted),
            ("of these not accepted: submitted anew", self.unknown - self.unknown_accepted),
            ("unknown for no such reason", self.unexplained),
        ] {
            writeln!(f, "| {name} | {count} |")?;
        }
        self.problems.iter().try_for_each(|problem| writeln!(f, "\n{problem}"))
    }
}

/// Kills the worker so often. `worker` is a program that calls [`work`].
///
/// # Errors
///
/// When there is nothing to try it out with.
pub async fn run(plan: &Plan, highway: &Highway, worker: &Path) -> Result<Tally> {
    let room = tempfile::tempdir()?;
    let sandbox = Sandbox::builder().api_key(KEY).start().await?;
    secrets::pictures(&room.path().join("pictures"), 0)?;
    let proxy = Proxy::start(&sandbox.base_url()).await?;
    proxy.begin(slow(), Stage::default()).await;
    let service = Service { sandbox: &sandbox, url: proxy.url() };
    let whole = whole(room.path(), highway, worker, &service).await?;
    let mut rng = Rng::with_seed(plan.seed);
    let mut tally = Tally::default();
    let started = Instant::now();
    for number in 1.. {
        let mut batch = Batch::new(number, plan.clips, room.path(), highway, worker, &service, &whole)?;
        while tally.kills < plan.kills {
            if batch.finishes_within(moment(&mut rng)).await? {
                break;
            }
            tally.kills += 1;
            tally.not_whole += batch.not_whole()?;
            if tally.kills.is_multiple_of(50) {
                eprintln!("{} kills, {} s", tally.kills, started.elapsed().as_secs());
            }
        }
        batch.settle(&mut tally).await?;
        if tally.kills >= plan.kills {
            break;
        }
    }
    // The first one was made before anything was killed.
    let (paid, asked) = (sandbox.submits(), tally.clips as u64 + 1);
    if paid != asked {
        tally.problems.push(format!("{paid} clips were paid for, and {asked} asked for"));
    }
    Ok(tally)
}

/// The sandbox, and where it is reached.
struct Service<'a> {
    sandbox: &'a Sandbox,
    url: String,
}

/// As slow as a service may be: on loopback hardly a kill would come between sending and answer, or into a video.
fn slow() -> Script {
    let pause = Duration::from_millis(20);
    let script = Script::default().and(Step::Submit, When::Always, Fault::Through(Way::Late(10 * pause)));
    script.and(Step::Download, When::Always, Fault::Through(Way::Drip(10, pause)))
}

/// What a clip is when nobody kills; from here on the sandbox renders no more.
async fn whole(room: &Path, highway: &Highway, worker: &Path, service: &Service<'_>) -> Result<Vec<u8>> {
    let mut batch = Batch::new(0, 1, room, highway, worker, service, &[])?;
    if !batch.finishes_within(batch::PATIENCE).await? {
        return Err("a clip is not done in time without any kill".into());
    }
    Ok(std::fs::read(batch.clip(1))?)
}

/// When a submit is under way, when a video is, or any time.
fn moment(rng: &mut Rng) -> Duration {
    let range = match rng.u8(..3) {
        0 => 10..400,
        1 => 900..1400,
        _ => 10..1200,
    };
    Duration::from_millis(rng.u64(range))
}
