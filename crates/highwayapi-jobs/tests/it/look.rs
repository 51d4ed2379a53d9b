//! What is said of a batch before it is sent and after: checks and reports.

use highwayapi_jobs::batch::{Against, Frames, Manifest, Report, check};
use highwayapi_jobs::{Batch, Caps, Job, PriceTable, State};

use crate::support::batches::Work;

/// What is told of these items, compared with what is in the record.
async fn told(work: &Work, prompts: &[&str], batch: &Batch) -> String {
    let manifest = manifest(work, prompts);
    let frames = Frames::read(&manifest.items, |_, _| {});
    let known: Vec<Job> = work.jobs().list().await.expect("jobs").into_iter().map(|entry| entry.job).collect();
    let checked = check(
        &manifest,
        &frames,
        &Against {
            service: &batch.service,
            batch: &batch.id,
            known: &known,
            prices: batch.prices.as_ref(),
            caps: batch.caps,
        },
    );
    let findings = checked.findings.iter().map(|finding| format!("{finding}\n")).collect::<String>();
    let folder = format!("{}/", work.folder.path().display());
    let totals = checked.totals;
    format!("{findings}{} to send, {} not", totals.items_to_send, totals.items_paid_before).replace(&folder, "")
}

fn manifest(work: &Work, prompts: &[&str]) -> Manifest {
    work.manifest(&prompts.iter().map(|&prompt| (prompt, prompt)).collect::<Vec<_>>())
}

#[tokio::test]
async fn what_was_paid_for_is_known_wherever_it_was_submitted() {
    let work = Work::new().await;
    assert_eq!(told(&work, &["one"], &work.batch()).await, "1 to send, 0 not");
    work.plan(&["one"]).await.expect("planned");
    work.run().await;
    // Its own clip is in nobody's way.
    assert_eq!(told(&work, &["one", "two"], &work.batch()).await, "1 to send, 1 not");
    let other = Batch::new(&work.batch().service, "another", work.folder.path());
    let said = told(&work, &["one"], &other).await;
    assert!(said.contains("clips.jsonl:1: note: it was submitted before as job "), "{said}");
    assert!(said.contains("clips/one.mp4 exists already"), "{said}");
}

#[tokio::test]
async fn a_cap_on_money_without_a_price_is_a_problem() {
    let work = Work::new().await;
    let mut batch = work.batch();
    batch.caps = Caps::new(Some(1), Some("1".parse().expect("an amount")));
    let said = told(&work, &["one", "two"], &batch).await;
    assert!(said.contains("clips.jsonl: max-spend: the price of 2 clips is unknown"), "{said}");
    assert!(said.contains("clips.jsonl: warning: max-clips: it asks for 2 clips; it stops at 1"), "{said}");
    batch.prices = Some(PriceTable::parse(r#"{"currency": "USD", "prices": [{"per_clip": 0.75}]}"#).expect("prices"));
    let said = told(&work, &["one", "two"], &batch).await;
    assert!(said.contains("clips.jsonl: warning: max-spend: all of it costs 1.50; it stops at 1.00"), "{said}");
}

/// A prompt stays words, in a page and in a table.
#[tokio::test]
async fn a_report_runs_nothing_that_a_prompt_says() {
    let work = Work::new().await;
    let mut manifest = manifest(&work, &["one"]);
    manifest.items[0].prompt = "=1+1</script><script>alert(1)</script>".to_owned();
    let frames = Frames::read(&manifest.items, |_, _| {});
    let mut batch = work.batch();
    batch.name = "<b>mine".to_owned();
    work.jobs().plan(&batch, &manifest.items, &frames).await.expect("planned");
    let command = |job: &Job| (job.state == State::Planned).then(|| "highway batch resume".to_owned());
    let report = Report::new(&batch, work.jobs().list().await.expect("jobs"), command);

    let mut page = Vec::new();
    report.write_html(&mut page, work.folder.path(), false).expect("a page");
    let page = String::from_utf8(page).expect("text");
    assert!(!page.contains("<script>alert") && page.contains("\\u003cscript>alert(1)"), "{page}");
    assert!(page.contains("<title>&lt;b&gt;mine</title>") && page.contains(r#""url":"a.png""#));
    assert!(!page.contains("{{"), "every mark is filled");

    let mut embedded = Vec::new();
    report.write_html(&mut embedded, work.folder.path(), true).expect("a page");
    let embedded = String::from_utf8(embedded).expect("text");
    assert!(embedded.contains(r#"id="media-1">data:image/png;base64,iVBOR"#) && embedded.contains(r#""media":0"#));

    let mut table = Vec::new();
    report.write_csv(&mut table).expect("a table");
    let table = String::from_utf8(table).expect("text");
    assert!(table.starts_with("id,number,state,charged,cost,") && table.contains("'=1+1</script>"), "{table}");

    let mut json = Vec::new();
    report.write_json(&mut json).expect("JSON");
    let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    assert_eq!((&json["items"][0]["state"], &json["items"][0]["charged"]), (&"planned".into(), &"no".into()));
}
