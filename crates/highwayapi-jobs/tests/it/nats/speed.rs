//! How many jobs a server carries: for `docs/many-machines.md`.

use std::time::Instant;

use highwayapi_jobs::{Begun, Claim, State, Store};

use super::server::Server;
use crate::support::{at, batch, planned};

const JOBS: u64 = 1000;

/// Plans a thousand jobs and lets so many workers take each through all that is written down of it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures: cargo test -p highwayapi-jobs --test it speed -- --ignored --nocapture"]
async fn speed() {
    for sync in ["", ", sync_interval: always"] {
        for workers in [1, 4] {
            let Some(server) = Server::with(&format!("jetstream {{ store_dir: \"FOLDER/store\"{sync} }}")) else {
                return;
            };
            let (store, mine) = (server.store().await, batch("mine"));
            let job = |at: u64| {
                let mut job = planned(&mine, &format!("{at:0>8}"), at, Some(&format!("print {at}")));
                job.reason = Some("as long as a prompt and two pictures are in a record".repeat(20));
                job
            };
            let begun = Instant::now();
            store.plan(&mine, &(0..JOBS).map(job).collect::<Vec<_>>()).await.expect("a record");
            let planned = JOBS as f64 / begun.elapsed().as_secs_f64();
            let begun = Instant::now();
            let carry = |store: highwayapi_jobs::NatsStore| async move {
                while let Some((hold, job)) = store.claim(&batch("mine").id, Claim::Any).await.expect("a record") {
                    let begun = store.begin(&hold, &at(State::Intent, &job), false).await.expect("a record");
                    assert!(matches!(begun, Begun::Yes));
                    for state in [State::Submitted, State::Succeeded, State::Succeeded, State::Downloaded] {
                        store.save(&hold, &at(state, &job)).await.expect("a record");
                    }
                }
            };
            let carries: Vec<_> = (0..workers).map(|_| tokio::spawn(carry(server.open()))).collect();
            for carry in carries {
                carry.await.expect("no panic");
            }
            let carried = JOBS as f64 / begun.elapsed().as_secs_f64();
            println!("{workers} workers{sync}: {planned:.0} planned, {carried:.0} carried through a second");
            assert_eq!(store.tally(&mine.id).await.expect("a record").count(State::Downloaded), JOBS);
        }
    }
}
