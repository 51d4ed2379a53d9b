use std::path::Path;
use std::time::{Duration, Instant};

use fault_tests::Highway;
use fault_tests::kills::{Plan, run};

/// Half a minute where others build meanwhile; every step of a run that is stuck fails by itself.
const WITHIN: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_worker_pays_nothing_twice_and_loses_nothing() {
    let highway = Highway::build().expect("the command");
    let plan = Plan { kills: 25, clips: 10, ..Plan::default() };
    let begun = Instant::now();
    let tally = run(&plan, &highway, Path::new(env!("CARGO_BIN_EXE_kills"))).await.expect("a run");
    assert!(tally.holds() && tally.kills == plan.kills, "seed {}\n{tally}", plan.seed);
    assert!(begun.elapsed() < WITHIN, "{:?}", begun.elapsed());
}
