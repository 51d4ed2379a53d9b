use std::path::Path;
use std::time::Duration;

use fault_tests::Highway;
use fault_tests::kills::{Plan, run};
use tokio::time::timeout;

/// Half a minute where others build meanwhile; what is stuck is stuck for longer.
const WITHIN: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_worker_pays_nothing_twice_and_loses_nothing() {
    let highway = Highway::build().expect("the command");
    let plan = Plan { kills: 25, clips: 10, ..Plan::default() };
    let done = timeout(WITHIN, run(&plan, &highway, Path::new(env!("CARGO_BIN_EXE_kills")))).await;
    let tally = done.expect("in time").expect("a run");
    assert!(tally.holds() && tally.kills == plan.kills, "seed {}\n{tally}", plan.seed);
}
