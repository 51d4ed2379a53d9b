use std::fs;

use fault_tests::{Highway, run, workspace};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_holds_and_the_page_says_so() {
    let highway = Highway::build().expect("the command");
    let report = run(&highway, "").await.expect("the table");
    let problems = report.problems();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(report.len() >= 180, "only {} rows", report.len());

    let page = fs::read_to_string(workspace().join("docs/faults.md")).expect("docs/faults.md");
    let again = "to print it anew: cargo run -p fault-tests --bin faults > docs/faults.md";
    for line in report.lines() {
        assert!(page.contains(&line), "docs/faults.md does not say: {line}\n{again}");
    }
    if report.left_out().is_empty() {
        assert!(page == report.markdown(), "docs/faults.md has other words\n{again}");
    }
}
