//! The page of a run: `docs/many-hosts.md` keeps a long one.

use std::fmt::{self, Write};

use crate::batch_kills::{BatchKills, KilledBatch};
use crate::memory::{Measured, Memory};
use crate::picture;
use crate::throughput::{Throughput, Workers};
use crate::troubles::{Survived, Troubles};

const INTRO: &str = "\
# Batches that are killed, and many hosts

What `highway batch` and `highway worker` promise, tried out: the real command against the real sandbox, and a real NATS
server. What was paid for is what the sandbox's own ledger says. A job is _unknown_ where its sender was killed, paused or cut
off, or the sandbox lost the answer on purpose, between the first byte of the submit and the record of its answer; such jobs are
listed, and the harness decides about each as its owner would, from the account's own records, with `highway resolve`. Any other
unknown job is unexplained. To run all of it, as root on Linux, with Debian's iproute2, nftables, faketime and nats-server, which
takes two cores three quarters of an hour (with the name of a part, only that):

    cargo build --release -p highwayapi-cli -p hosts-tests
    target/release/hosts --highway target/release/highway --picture docs/many-machines-throughput.svg > docs/many-hosts.md
";

const KILLS: &str = "
## One machine: a batch that is killed

Pairs of real photographs, no two alike, with `highway batch run`. The service loses answers, answers 502 after it has accepted,
is busy, cuts connections and videos, and lets links expire. The command is killed with `SIGKILL` at random moments all over the
batch, and goes on with `highway batch resume`. After every kill the record must open, and every file under a clip's name must
verify; in the end `highway verify` looks at every clip.
";

const TROUBLES: &str = "
## Many machines: everything that can happen

Each worker runs on a host with an address of its own (a network namespace on a bridge), as do NATS and the sandbox. All of the
following happens at random moments, to each worker in an order of its own, and several things at once. The first worker's clock
is two hours ahead, the second's 45 minutes behind. \"Paused\" is for longer than the lease of 30 s, so that others take the work
over before the worker wakes; \"cut off\" is for 5 to 45 s, without a word: packets are dropped. The service takes a second and a
half to answer a submit that it has accepted, so that much happens in between.
";

const THROUGHPUT: &str = "
## Throughput against the number of workers

Tasks run for 10 s, and each worker has four at once; all workers share one budget of requests. The line is near linear until
that budget is used up; then each worker gets its share of it.

![Clips a minute against the number of workers: near linear until the budget of requests](many-machines-throughput.svg)
";

const MEMORY: &str = "
## Memory of a batch

`highway batch run --in-flight 256` with real photographs, each with metadata of its own that makes it large. Promised are less
than 64 MiB.
";

/// What was run, and what came of it.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// One machine.
    pub batch_kills: Option<(BatchKills, KilledBatch)>,
    /// Many.
    pub troubles: Option<(Troubles, Survived)>,
    /// How fast.
    pub throughput: Option<(Throughput, Vec<Workers>)>,
    /// How much memory.
    pub memory: Option<(Memory, Measured)>,
}

impl Page {
    /// Whether nothing is wrong with what was run.
    pub fn holds(&self) -> bool {
        let accounts = [
            self.batch_kills.as_ref().map(|(_, killed)| &killed.account),
            self.troubles.as_ref().map(|(_, survived)| &survived.account),
            self.memory.as_ref().map(|(_, measured)| &measured.account),
        ];
        accounts.into_iter().flatten().all(|account| account.holds())
    }

    /// The picture of throughput, if that was measured.
    pub fn picture(&self) -> Option<String> {
        self.throughput.as_ref().map(|(plan, measured)| picture::svg(plan, measured))
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(INTRO)?;
        if let Some((plan, killed)) = &self.batch_kills {
            writeln!(f, "{KILLS}\n{} pairs, {} kills, seed {}:\n\n{killed}", plan.pairs, plan.kills, plan.seed)?;
        }
        if let Some((plan, survived)) = &self.troubles {
            let Troubles { clips, workers, in_flight, seed, .. } = plan;
            write!(
                f,
                "{TROUBLES}\n{clips} clips, {workers} workers, {in_flight} jobs each at once, seed {seed}:\n\n{survived}"
            )?;
        }
        if let Some((plan, measured)) = &self.throughput {
            write!(f, "{THROUGHPUT}\n{}", table(plan, measured))?;
        }
        if let Some((_, measured)) = &self.memory {
            write!(f, "{MEMORY}\n{measured}")?;
        }
        Ok(())
    }
}

fn table(plan: &Throughput, measured: &[Workers]) -> String {
    let mut table = format!(
        "| workers | clips a minute | of that of one, each | requests a minute, of {} | submits of each a minute | fewest / most |\n\
         | ---: | ---: | ---: | ---: | --- | ---: |\n",
        plan.budget
    );
    let alone = measured.first().map_or(1.0, |one| one.clips_a_minute() / plan.counts[0] as f64);
    for (count, workers) in plan.counts.iter().zip(measured) {
        let clips = workers.clips_a_minute();
        let submits: Vec<_> = workers.submits.iter().map(|submits| format!("{submits:.0}")).collect();
        let (share, fairness) = (clips / *count as f64 / alone, workers.fairness());
        let (requests, submits) = (workers.requests, submits.join(" "));
        let _ = writeln!(table, "| {count} | {clips:.0} | {share:.2} | {requests:.0} | {submits} | {fairness:.2} |");
    }
    table
}
