//! The procedure of the first live run, tried on a sandbox.

use std::time::Duration;

use highwayapi_sandbox::cassette::Cassette;
use highwayapi_sandbox::cassette::drift::drift;
use highwayapi_sandbox::cassette::probe::{Go, Probe, Watcher};

use super::*;

#[derive(Default)]
struct Script {
    told: Vec<String>,
    asked: Vec<String>,
    /// Says no to questions that contain this.
    no: Option<&'static str>,
    /// Says yes to no others.
    only: Option<&'static [&'static str]>,
    /// Stops at the question of this number.
    stop: Option<usize>,
}

impl Watcher for Script {
    fn tell(&mut self, line: &str) {
        self.told.push(line.to_owned());
    }

    fn may(&mut self, question: &str) -> Go {
        self.asked.push(question.to_owned());
        match (self.stop, self.no) {
            (_, _) if self.only.is_some_and(|only| !only.iter().any(|only| question.contains(only))) => Go::No,
            (Some(stop), _) if self.asked.len() >= stop => Go::Stop,
            (_, Some(no)) if question.contains(no) => Go::No,
            _ => Go::Yes,
        }
    }

    fn text(&mut self, question: &str) -> Option<String> {
        question.contains("Did anything cost").then(|| "0.40 less\n".to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_procedure_runs_and_its_report_answers_the_questions() {
    let sandbox = Sandbox::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cassette = folder.path().join("live");
    let mut script = Script::default();
    let probe =
        Probe::new(sandbox.base_url(), sandbox.api_key(), &cassette).max_paid(2).poll_every(Duration::from_millis(50));
    let outcome = probe.run(&mut script).await.unwrap();
    let told = script.told.join("\n");
    // A picture of one pixel is taken by surprise; the plain clip is the second.
    assert_eq!((outcome.paid, outcome.unknown, sandbox.submits()), (2, 0, 2), "{told}");
    let asked: Vec<&str> = script.asked.iter().filter_map(|question| question.split(']').next()).collect();
    assert_eq!(asked[..2], ["[paid 0 of at most 2", "[paid 1 of at most 2"], "{:?}", script.asked);
    assert!(told.contains("nothing more is sent that could be paid for"), "{told}");
    assert!(told.contains("  submit-wrong-key "), "{told}");
    assert_eq!(sandbox.leaked_keys(), 0);

    let report = drift(&Cassette::read(&cassette).unwrap()).await.unwrap();
    assert_eq!(report.findings, [], "{report}");
    let open: Vec<&str> =
        report.questions.iter().filter(|question| question.answers.is_empty()).map(|question| question.name).collect();
    assert_eq!(open, ["retry-after", "bare-base64", "moderation", "idempotency"], "{report}");
    let text = std::fs::read_to_string(&cassette).unwrap();
    assert!(text.contains("after: 0.40 less") && !text.contains(sandbox.api_key()));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_paid_for_that_was_not_allowed() {
    let sandbox = Sandbox::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let all = |name: &str| Probe::new(sandbox.base_url(), sandbox.api_key(), folder.path().join(name)).max_paid(9);
    let mut stops = Script { stop: Some(1), ..Script::default() };
    all("a").run(&mut stops).await.unwrap();
    assert_eq!((stops.asked.len(), sandbox.submits()), (1, 0), "stopped at the first question");
    let mut refuses = Script { no: Some("Send"), ..Script::default() };
    all("b").run(&mut refuses).await.unwrap();
    assert_eq!(sandbox.submits(), 0);
    let mut none = Script::default();
    all("c").max_paid(0).run(&mut none).await.unwrap();
    assert_eq!(sandbox.submits(), 0);
}

/// What an idempotency key is worth is told by the very same submit, sent twice.
#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_submit_is_sent_again_with_its_key() {
    let sandbox = Sandbox::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cassette = folder.path().join("c");
    let mut script = Script { only: Some(&["plain: ", "idempotency: "]), ..Script::default() };
    let probe = Probe::new(sandbox.base_url(), sandbox.api_key(), &cassette).poll_every(Duration::from_millis(50));
    let outcome = probe.run(&mut script).await.unwrap();
    assert_eq!((outcome.paid, sandbox.submits()), (2, 2), "{:?}", script.told);
    let report = drift(&Cassette::read(&cassette).unwrap()).await.unwrap();
    let told = report.questions.iter().find(|question| question.name == "idempotency").unwrap();
    assert!(told.answers[0].starts_with("sent twice: another task, or none (#"), "{:?}", told.answers);
}
