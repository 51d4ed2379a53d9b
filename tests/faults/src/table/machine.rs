//! Disks, folders, the record, other processes, and such that end early.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::cell::Around::{Mount, MountRecord, Shell};
use crate::cell::Cell;
use crate::cell::Group::Machine as GROUP;
use crate::cell::{Outcome, Resume};
use crate::ground::THEIRS;
use crate::script::Fault::{Meanwhile, Signal, Through};
use crate::script::Step::{Download, Poll, Submit};
use crate::script::Way::{self, SignalBefore, SignalHalfway};
use crate::secrets::KEY;

/// Where a resume goes on from.
const KEPT: &str = "clip.mp4.highway-part for resuming";

pub(super) fn cells() -> Vec<Cell> {
    [disks(), folders(), record(), others(), signals()].concat()
}

fn cell(name: &'static str, outcome: Outcome) -> Cell {
    Cell::new(GROUP, name, outcome)
}

fn disks() -> Vec<Cell> {
    vec![
        cell("the disk is full", Outcome::unfetched().files(KEPT)).around(Mount("size=64k")),
        cell("files may not grow that large", Outcome::unfetched().files(KEPT))
            .around(Shell("trap '' XFSZ; ulimit -f 400")),
        cell("the folder is read-only", Outcome::unsent(2)).around(Mount("ro,size=64k")),
        cell("standard output is full", Outcome::done()).around(Shell("exec >/dev/full")),
        cell("standard output is closed", Outcome::done()).around(Shell("exec >&-")),
    ]
}

fn folders() -> Vec<Cell> {
    let theirs = "clip.mp4 of somebody else";
    vec![
        cell("the clip's name is taken meanwhile", Outcome::unfetched().files(theirs).resume(Resume::Elsewhere))
            .once(Poll, Meanwhile(|folder| write(folder, "clip.mp4"))),
        // What tells how it was made has its name before the clip has.
        cell(
            "the clip's name is taken while it comes",
            Outcome::unfetched()
                .files("clip.mp4 of somebody else, clip.mp4.highway-part for resuming")
                .resume(Resume::Elsewhere),
        )
        .once(Download, Meanwhile(|folder| write(folder, "clip.mp4"))),
        cell(
            "the name of what tells how it was made is taken meanwhile",
            Outcome::unfetched().files("clip.json of somebody else").resume(Resume::Elsewhere),
        )
        .once(Poll, Meanwhile(|folder| write(folder, "clip.json"))),
        cell("the clip's name becomes a folder", Outcome::unfetched().files("clip.mp4/").resume(Resume::Elsewhere))
            .once(Poll, Meanwhile(|folder| fs::create_dir(folder.join("clip.mp4")).expect("a folder"))),
        cell("the folder is removed meanwhile", Outcome::unfetched().files("no folder"))
            .once(Poll, Meanwhile(|folder| fs::remove_dir_all(folder).expect("removed"))),
        cell(
            "the part file's name leads elsewhere",
            Outcome::unfetched().files("clip.mp4.highway-part (a link)").resume(Resume::Elsewhere),
        )
        .once(Poll, Meanwhile(link)),
        cell("a part file of an earlier time is there", Outcome::done())
            .once(Poll, Meanwhile(|folder| write(folder, "clip.mp4.highway-part"))),
    ]
}

fn write(folder: &Path, name: &str) {
    fs::write(folder.join(name), THEIRS).expect("written");
}

fn link(folder: &Path) {
    let elsewhere = folder.with_file_name("elsewhere");
    std::os::unix::fs::symlink(elsewhere, folder.join("clip.mp4.highway-part")).expect("a link");
}

/// The record: where it cannot be written beforehand, nothing is sent.
fn record() -> Vec<Cell> {
    let later = "\"$1\" tasks 2>&-; \
                 printf '\\0\\0\\0\\143' | dd of=\"$HIGHWAY_STATE/record.sqlite3\" bs=1 seek=60 conv=notrunc 2>&-";
    let refused = || Outcome::unsent(1).record("unreadable").resume(Resume::Refuses);
    let untold = || Outcome::owed(4).record("unknown").resume(Resume::Asks);
    vec![
        cell("the record's folder is read-only", Outcome::unsent(1)).around(MountRecord("ro,size=64k")),
        cell("a file stands where the record's folder must be", refused()).around(Shell("echo >\"$HIGHWAY_STATE\"")),
        cell("the record is damaged", refused())
            .around(Shell("mkdir \"$HIGHWAY_STATE\"; yes | head -c 9000 >\"$HIGHWAY_STATE/record.sqlite3\"")),
        cell("the record is that of a later version", refused()).around(Shell(later)),
        cell("the disk is full for the record", Outcome::unsent(1)).around(MountRecord("size=40k")),
        cell("files may not grow, so that there is no record", Outcome::unsent(1))
            .around(Shell("trap '' XFSZ; ulimit -f 16")),
        // Room for what is written before the submit, and for no more.
        cell("the disk is full for the record after the answer", untold()).around(MountRecord("size=104k")),
        cell("the disk is full for the record after the task's id", Outcome::owed(4)).around(MountRecord("size=112k")),
        cell("files may not grow after the answer", untold()).around(Shell("trap '' XFSZ; ulimit -f 136")),
    ]
}

/// Another run of the command in the middle of this one.
fn others() -> Vec<Cell> {
    vec![
        cell("the same again while it is sent", Outcome::done())
            .once(Submit, Meanwhile(|folder| other(folder, "again"))),
        cell("the same again while the task is waited for", Outcome::done())
            .once(Poll, Meanwhile(|folder| other(folder, "again"))),
        cell("the same again while the video comes", Outcome::done())
            .once(Download, Meanwhile(|folder| other(folder, "again"))),
        cell("resume --all while the video comes", Outcome::done())
            .once(Download, Meanwhile(|folder| other(folder, "resume"))),
        cell("resume --all twice at once, after a kill", Outcome::owed(0).killed())
            .once(Poll, Signal("KILL"))
            .after(Poll, Meanwhile(|folder| other(folder, "resume"))),
    ]
}

/// The command of this name, until it ends.
fn other(folder: &Path, name: &str) {
    let script = folder.with_file_name(name);
    // If it sends something after all, somebody must be there to answer it.
    let run = tokio::task::block_in_place(|| Command::new("sh").arg(script).env("HIGHWAY_API_KEY", KEY).status());
    assert!(run.is_ok(), "sh does not run");
}

fn signals() -> Vec<Cell> {
    vec![
        cell("killed before the service saw the submit", Outcome::unknown(0).killed()).once(Submit, Signal("KILL")),
        cell("killed before the answer to the submit", Outcome::unknown(1).killed())
            .once(Submit, Through(Way::Signal("KILL"))),
        cell("killed while the task is waited for", Outcome::owed(0).killed()).once(Poll, Signal("KILL")),
        cell("killed in the middle of the video", Outcome::unfetched().killed().files(KEPT))
            .once(Download, Through(SignalHalfway("KILL"))),
        cell("asked to end before the answer to the submit", Outcome::owed(4))
            .once(Submit, Through(SignalBefore("TERM"))),
        cell("asked to end while the task is waited for", Outcome::owed(4)).once(Poll, Signal("TERM")),
        cell("asked to end in the middle of the video", Outcome::unfetched().files(KEPT))
            .once(Download, Through(SignalHalfway("TERM"))),
        cell("Ctrl-C before the answer to the submit", Outcome::owed(4)).once(Submit, Through(SignalBefore("INT"))),
        cell("Ctrl-C while the task is waited for", Outcome::owed(4)).once(Poll, Signal("INT")),
        cell("Ctrl-C in the middle of the video", Outcome::unfetched().files(KEPT))
            .once(Download, Through(SignalHalfway("INT"))),
    ]
}
