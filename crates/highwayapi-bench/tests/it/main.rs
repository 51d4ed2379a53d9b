//! The harness from end to end, with little of everything and without peers. What it measures is not looked at.
#![cfg(target_os = "linux")]

use std::process::Command;

#[test]
fn it_measures_submits_and_downloads_of_those_who_can() {
    // What it leaves behind goes beside the program.
    let run = Command::new(env!("CARGO_BIN_EXE_highwayapi-bench"))
        .args(["run", "--quick", "--only", "B1,B5"])
        .output()
        .expect("the harness");
    let (said, troubles) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{troubles}");
    for client in ["limit: a bare loop", "highwayapi", "naive generated client"] {
        let rows = said.lines().filter(|line| line.starts_with(&format!("| {client} |")));
        let failed: Vec<&str> = rows.filter(|row| row.contains("failed")).collect();
        assert!(failed.is_empty(), "{failed:?}");
    }
    for what in ["| B1 |", "### B1, B2: one submit", "| highwayapi, several threads |", "### B5: bytes sent again"] {
        assert!(said.contains(what), "no {what} in {said}");
    }
    // What was cut went on where it was.
    assert!(said.contains("\n| highwayapi | 0.000 | 0.000 | 0.000 |\n"), "{said}");
    for table in said.split("### ").filter(|table| table.contains(", TLS\n")) {
        assert!(!table.contains("| limit: a bare loop |"), "the bare loop speaks no TLS: {table}");
    }
}
