//! What came of a run, and its page.

use std::fmt;
use std::time::Duration;

use crate::kills::Plan;
use crate::kills::phase::Phase;

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// How often a worker was killed.
    pub kills: usize,
    /// Kills that hit `resume --all`, alone or beside others.
    pub resumes: usize,
    /// Clips that were asked for.
    pub clips: usize,
    /// Clips that the service was paid for more than once.
    pub paid_twice: usize,
    /// Clips that were paid for and are not there.
    pub lost: usize,
    /// Files under a clip's name that are not what the sandbox made, at any time.
    pub corrupt: usize,
    /// Files under a clip's name that do not verify against what stands beside them, at any time.
    pub unverified: usize,
    /// Files that are neither a clip nor its sidecar, in the end.
    pub leftovers: usize,
    /// Submits of which the record says that nobody knows what became of them.
    pub unknown: usize,
    /// Those of them that the service had accepted.
    pub unknown_accepted: usize,
    /// Those that no kill explains.
    pub unexplained: usize,
    /// Of those whose answer had been sent, the longest that it had been when the kill came.
    pub latest: Duration,
    /// What else is wrong.
    pub problems: Vec<String>,
    pub(super) phases: [usize; Phase::ALL.len()],
    pub(super) seconds: u64,
}

impl Tally {
    /// Whether nothing is wrong.
    pub fn holds(&self) -> bool {
        let faults = [self.paid_twice, self.lost, self.corrupt, self.unverified, self.leftovers, self.unexplained];
        faults == [0; 6] && self.problems.is_empty()
    }

    pub(super) fn hit(&mut self, phase: Phase) {
        self.phases[phase as usize] += 1;
    }

    pub(super) fn add(&mut self, other: Self) {
        let sums = [
            (&mut self.kills, other.kills),
            (&mut self.resumes, other.resumes),
            (&mut self.clips, other.clips),
            (&mut self.paid_twice, other.paid_twice),
            (&mut self.lost, other.lost),
            (&mut self.corrupt, other.corrupt),
            (&mut self.unverified, other.unverified),
            (&mut self.leftovers, other.leftovers),
            (&mut self.unknown, other.unknown),
            (&mut self.unknown_accepted, other.unknown_accepted),
            (&mut self.unexplained, other.unexplained),
        ];
        sums.into_iter().chain(self.phases.iter_mut().zip(other.phases)).for_each(|(sum, more)| *sum += more);
        self.latest = self.latest.max(other.latest);
        self.problems.extend(other.problems);
    }
}

const INTRO: &str = "\
# Killed at any moment

A worker makes clips with `highway`, four at a time, against the sandbox behind a slow line. It is killed with `SIGKILL`,
with all that it started, at random moments; those that pass in a millisecond are waited for. Then it is started again,
runs `highway resume --all`, which is killed like everything else, and asks for every clip that is not there: that none is
paid twice is the record's business alone. So that processes meet, one clip is asked for twice at once, and what is
unfinished is taken up again and again while others are at it.

After every kill each file under a final name must verify against its sidecar and be byte for byte what the sandbox made,
and the record must open and have forgotten nothing. In the end, by the sandbox's own books, every clip must be there and
paid for once. A job is _unknown_ when its sender was killed between writing the intent and writing the answer; the owner
then looks into the books and decides with `highway resolve`. Any other unknown job is unexplained: one whose sender was
not killed, or was killed more than a second after the last byte of its answer. To run it, in the profile for development,
where whatever computes is optimised too:
";

const OUTRO: &str = "
It turns red when the command is broken: seen with a sidecar written after the name (does not verify, left over), an intent
that is not written (paid twice), jobs taken over from processes that live (unexplained), a task's id written down too late
or never (unexplained, lost), unknown jobs sent again by `resume` or by the same request (paid twice), and with what was
left beside a name that was just given (left over).
";

impl Plan {
    /// The page of a run.
    pub fn page(&self, tally: &Tally) -> String {
        let Self { kills, clips, seed } = self;
        let command = "cargo run -p fault-tests --bin kills --";
        format!("{INTRO}\n    {command} --kills {kills} --clips {clips} --seed {seed}\n\n{tally}{OUTRO}")
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| | |\n| --- | ---: |")?;
        for (name, count) in [
            ("kills", self.kills),
            ("seconds that it took", self.seconds as usize),
            ("clips asked for", self.clips),
            ("**paid twice**", self.paid_twice),
            ("**paid for and lost**", self.lost),
            ("**under a final name and not what the sandbox made**", self.corrupt),
            ("**under a final name and not verified by a sidecar**", self.unverified),
            ("**files left over when all is done**", self.leftovers),
            ("unknown", self.unknown),
            ("of these accepted by the service: `resolve --task`", self.unknown_accepted),
            ("of these not accepted: `resolve --resubmit`", self.unknown - self.unknown_accepted),
            ("**unknown for no such reason**", self.unexplained),
            ("milliseconds from an answer to a kill that left it unknown, at most", self.latest.as_millis() as usize),
        ] {
            writeln!(f, "| {name} | {count} |")?;
        }
        writeln!(f, "\nWhat the jobs were at that a kill hit, four at a time or more:\n\n| | |\n| --- | ---: |")?;
        for (phase, count) in Phase::ALL.iter().zip(self.phases) {
            writeln!(f, "| {} | {count} |", phase.text())?;
        }
        writeln!(f, "| kills that hit `highway resume --all` | {} |", self.resumes)?;
        self.problems.iter().try_for_each(|problem| writeln!(f, "\n{problem}"))
    }
}
