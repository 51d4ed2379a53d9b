//! Trying out the whole table, and what is printed of it.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

use crate::cell::{Around, Cell, Group};
use crate::ground::Ground;
use crate::highway::Highway;
use crate::lane::Lane;
use crate::seen::Seen;
use crate::{Result, table};

/// Cells at once.
const LANES: usize = 16;

const INTRO: &str = "\
# When something goes wrong

Whatever happens, at most one submit is paid for, what is paid for is not lost, and the command says what it cost. Each row
was tried out: the real command `highway generate` against the sandbox, with a proxy in between that refuses, loses, cuts,
delays and forges, and with disks, records and other programs that do their worst. What must come of a row stands in
`tests/faults/src/table`; a test fails when it does not, or when this page is not what was printed. To try it, in about a
minute:

    cargo run -p fault-tests --bin faults

- **POSTs** were sent, **paid** were accepted by the service.
- **exit**, **charged**: what the command says. Every failure has a line `charged: …`. _unknown_ means: the service may have
  accepted the submit, nobody here can tell, and nothing was sent again.
- **within** so many seconds the command had ended, on a machine that does much else: sixteen rows run at once.
- **record**: the state of the job in `highway tasks` afterwards.
- **in the folder** afterwards: _whole_ is byte for byte what the sandbox made; _for resuming_ means that the next download
  goes on where this one stopped. Nothing that is not whole ever has a clip's name, except where no length, no digest and
  no box of the MP4 tells.
- **taken up again**: what `highway resume --all` comes to once the fault is over. _Asks the user_ is exit code 3.

What every row was tried for as well:

- Where the user is asked, the user answers: `highway resolve JOB --task TASK` where the service had accepted it, `--resubmit`
  where not. In both cases the clip is there in the end, and paid for once.
- The same command again, while a job is unknown and at the end of every row, sends nothing, unless the first was certainly
  not charged: then it submits anew, and the clip is there.
- `resume` never submits, and what was kept for resuming is not fetched again.
- Every clip is what `highway verify` expects, and where `resume --json` fails in the same way, it tells the same exit code
  and charge.
- Nowhere in what was printed or written, the record included, stands the key, a link's signature or anything of a picture;
  no other host than the service ever saw the key.

Faults that last while the task is waited for are tried with `--timeout 3s`, silence with `--idle-timeout 2s`.
";

/// The table as it was seen.
pub struct Report {
    rows: Vec<Row>,
    /// Names of cells that cannot be tried out here.
    left_out: Vec<&'static str>,
}

struct Row {
    id: String,
    cell: Cell,
    seen: Seen,
}

/// Tries out every cell whose id or name contains `only`.
///
/// # Errors
///
/// When there is nothing to try it out with.
pub async fn run(highway: &Highway, only: &str) -> Result<Report> {
    let mut left_out = Vec::new();
    let mut cells = VecDeque::new();
    let mounts = can_mount().await;
    for group in Group::ALL {
        let members = table::cells().into_iter().filter(|cell| cell.group == group);
        for (number, cell) in members.enumerate() {
            let id = format!("{}{}", group.letter(), number + 1);
            if !mounts && matches!(cell.around, Around::Mount(_) | Around::MountRecord(_)) {
                left_out.push(cell.name);
            } else if id == only || cell.name.contains(only) {
                cells.push_back((id, cell));
            }
        }
    }
    let order: Vec<String> = cells.iter().map(|(id, _)| id.clone()).collect();
    // What may take longest begins first.
    cells.make_contiguous().sort_by_key(|(_, cell)| Reverse(cell.within));
    let lanes = LANES.min(cells.len());
    let cells = Arc::new(Mutex::new(cells));
    let ground = Arc::new(Ground::new(highway.clone()).await?);
    let lanes: Vec<_> = (0..lanes).map(|_| tokio::spawn(work(Arc::clone(&cells), Arc::clone(&ground)))).collect();
    let mut rows = Vec::new();
    for lane in lanes {
        rows.extend(lane.await??);
    }
    rows.sort_by_key(|row| order.iter().position(|id| *id == row.id));
    Ok(Report { rows, left_out })
}

/// Takes one cell after another until there is none.
async fn work(cells: Arc<Mutex<VecDeque<(String, Cell)>>>, ground: Arc<Ground>) -> Result<Vec<Row>> {
    let next = || cells.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let lane = Lane::start(ground).await?;
    let mut rows = Vec::new();
    while let Some((id, cell)) = next() {
        let seen = lane.try_out(&id, &cell).await.unwrap_or_else(|error| Seen::of_nothing(error.to_string()));
        rows.push(Row { id, cell, seen });
    }
    Ok(rows)
}

/// Whether users may have file systems of their own here.
async fn can_mount() -> bool {
    let folder = std::env::temp_dir();
    let mount = ["-rm", "mount", "-t", "tmpfs", "tmpfs"];
    let tried = tokio::process::Command::new("unshare").args(mount).arg(folder).output().await;
    tried.is_ok_and(|output| output.status.success())
}

impl Report {
    /// How many cells were tried out.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Cells that cannot be tried out on this machine.
    pub fn left_out(&self) -> &[&'static str] {
        &self.left_out
    }

    /// What does not hold, a line each.
    pub fn problems(&self) -> Vec<String> {
        let problems = |row: &Row| {
            let name = format!("{} {} {}", row.id, row.cell.name, row.cell.lasts);
            let words = row.seen.words.replace('\n', "\n    ");
            row.seen.problems.iter().map(move |problem| format!("{name}: {problem}\n    {words}")).collect::<Vec<_>>()
        };
        self.rows.iter().flat_map(problems).collect()
    }

    /// The page.
    pub fn markdown(&self) -> String {
        let mut page = INTRO.to_owned();
        for group in Group::ALL {
            let rows: Vec<&Row> = self.rows.iter().filter(|row| row.cell.group == group).collect();
            if rows.is_empty() {
                continue;
            }
            let head =
                "| | fault | | POSTs | paid | exit | charged | within | record | in the folder | taken up again |";
            let line = "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |";
            let _ = write!(page, "\n## {}\n\n{head}\n{line}\n", group.title());
            for row in &rows {
                let _ = writeln!(page, "{}", row.line());
            }
            let _ =
                write!(page, "\nWhat the user reads, beside the line `task TASK`:\n\n```text\n{}\n```\n", words(&rows));
        }
        page
    }

    /// Its rows: a machine that must leave some out still sees whether the others are as they were.
    pub fn lines(&self) -> Vec<String> {
        self.rows.iter().map(Row::line).collect()
    }
}

impl Row {
    fn line(&self) -> String {
        let Self { id, cell, seen } = self;
        let exit = match seen.code {
            None => "killed",
            Some(0) => "0 done",
            Some(1) => "1 failed",
            Some(2) => "2 bad input",
            Some(3) => "3 charge unknown",
            Some(4) => "4 still running",
            Some(5) => "5 account",
            Some(6) => "6 not fetched",
            Some(_) => "?",
        };
        let charged = seen.charged.as_deref().unwrap_or_default();
        format!(
            "| {id} | {} | {} | {} | {} | {exit} | {charged} | {} | {} | {} | {} |",
            cell.name,
            cell.lasts,
            seen.posts,
            seen.paid,
            cell.within,
            seen.record,
            seen.files,
            seen.resume.text()
        )
    }
}

/// The same words once, under the ids of all rows that have them.
fn words(rows: &[&Row]) -> String {
    let mut groups: Vec<(Vec<&str>, &str)> = Vec::new();
    for row in rows.iter().filter(|row| !row.seen.words.is_empty()) {
        match groups.iter_mut().find(|(_, words)| *words == row.seen.words) {
            Some((ids, _)) => ids.push(&row.id),
            None => groups.push((vec![&row.id], &row.seen.words)),
        }
    }
    let groups = groups.iter().map(|(ids, words)| format!("{}\n{words}", ids.join(" ")));
    groups.collect::<Vec<_>>().join("\n\n")
}
