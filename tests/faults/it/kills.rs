use std::path::Path;

use fault_tests::Highway;
use fault_tests::kills::{Plan, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_worker_pays_nothing_twice_and_loses_nothing() {
    let highway = Highway::build().expect("the command");
    let plan = Plan { kills: 25, clips: 40, ..Plan::default() };
    let tally = run(&plan, &highway, Path::new(env!("CARGO_BIN_EXE_kills"))).await.expect("a run");
    assert!(tally.holds() && tally.kills == plan.kills, "seed {}\n{tally}", plan.seed);
}
