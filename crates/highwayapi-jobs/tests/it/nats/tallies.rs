//! A look at a batch, over and over, by whoever runs it or waits for it.

use futures_util::StreamExt;
use highwayapi_jobs::{Claim, State, Store, Tally, Which};

use super::server::Server;
use crate::support::{at, batch, planned};

const JOBS: u64 = 300;

#[tokio::test(flavor = "multi_thread")]
async fn a_second_look_reads_only_what_is_new() {
    let Some(server) = Server::start() else { return };
    let (one, other, mine) = (server.store().await, server.store().await, batch("mine"));
    let job = |at: u64| planned(&mine, &format!("{at:0>8}"), at, Some(&format!("print {at}")));
    one.plan(&mine, &(0..JOBS).map(job).collect::<Vec<_>>()).await.expect("a record");

    // Whoever reads keys asks the server for a consumer first.
    let url = server.url();
    let client = async_nats::connect(url.trim_end_matches("/test")).await.expect("a connection");
    let mut asked = client.subscribe("$JS.API.CONSUMER.>").await.expect("a subscription");
    client.flush().await.expect("a connection");
    let mut reads = async || {
        // Behind all that was asked so far.
        client.publish("$JS.API.CONSUMER.end", "".into()).await.expect("sent");
        let mut starts = Vec::new();
        while let Some(message) = asked.next().await.filter(|message| !message.subject.ends_with(".end")) {
            if message.subject.starts_with("$JS.API.CONSUMER.CREATE.KV_test-jobs") {
                let request: serde_json::Value = serde_json::from_slice(&message.payload).expect("JSON");
                starts.push(request["config"]["opt_start_seq"].as_u64().unwrap_or_default());
            }
        }
        starts
    };
    let look = async || {
        let tally = other.tally(&mine.id).await.expect("a record");
        let all = other.jobs(Which::Batch(&mine.id)).await.expect("a record");
        (tally, Tally::of(all))
    };
    assert_eq!(other.tally(&mine.id).await.expect("a record").count(State::Planned), JOBS);
    assert_eq!(reads().await, [0]);
    other.tally(&mine.id).await.expect("a record");
    assert_eq!(reads().await, [0; 0], "nothing was written");

    let (hold, first) = one.claim(&mine.id, Claim::Any).await.expect("a record").expect("a job");
    one.begin(&hold, &at(State::Intent, &first), false).await.expect("a record");
    let (second_hold, second) = one.claim(&mine.id, Claim::Any).await.expect("a record").expect("a job");
    one.save(&second_hold, &at(State::Refused, &second)).await.expect("a record");
    reads().await;
    let tally = other.tally(&mine.id).await.expect("a record");
    assert_eq!((tally.count(State::Intent), tally.count(State::Refused), tally.total()), (1, 1, JOBS));
    let starts = reads().await;
    assert!(starts.len() == 1 && starts[0] > JOBS, "{starts:?}");

    // A further job for an item takes the place of the one before.
    let mut retry = planned(&mine, "retry000", second.item.as_ref().expect("an item").number, Some("print anew"));
    retry.item = second.item.clone();
    one.plan(&mine, &[retry]).await.expect("a record");
    one.save(&hold, &at(State::Submitted, &at(State::Intent, &first))).await.expect("a record");
    let (tally, whole) = look().await;
    assert_eq!(tally, whole);
    assert_eq!((tally.count(State::Refused), tally.count(State::Submitted)), (0, 1));
}
