//! What needs neither root nor a NATS server of the tests of batches and hosts; `.ci/run hosts` runs all of them.

#![cfg(target_os = "linux")]

use std::time::{Duration, Instant};

use hosts_tests::{BatchKills, Highway};

/// Some seconds; every step of a run that is stuck fails by itself.
const WITHIN: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_is_killed_pays_nothing_twice_and_loses_nothing() {
    let highway = Highway::build().expect("the command");
    let plan = BatchKills { pairs: 6, kills: 3, seed: 7 };
    let begun = Instant::now();
    let killed = plan.run(&highway).await.expect("a run");
    assert!(killed.account.holds() && killed.kills == plan.kills, "seed {}\n{killed}", plan.seed);
    assert!(begun.elapsed() < WITHIN, "{:?}", begun.elapsed());
}
