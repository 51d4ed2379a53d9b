//! Disks, folders, and processes that end early.

use std::fs;
use std::path::Path;

use crate::cell::Around::{Mount, Shell};
use crate::cell::Cell;
use crate::cell::Group::Machine as GROUP;
use crate::cell::{Outcome, Resume};
use crate::lane::THEIRS;
use crate::script::Fault::{Meanwhile, Signal, Through};
use crate::script::Step::{Download, Poll, Submit};
use crate::script::Way::{self, SignalBefore, SignalHalfway};

pub(super) fn cells() -> Vec<Cell> {
    [disks(), folders(), signals()].concat()
}

fn cell(name: &'static str, outcome: Outcome) -> Cell {
    Cell::new(GROUP, name, outcome)
}

fn disks() -> Vec<Cell> {
    vec![
        cell("the disk is full", Outcome::owed(6)).around(Mount("size=64k")),
        cell("files may not grow that large", Outcome::owed(6)).around(Shell("trap '' XFSZ; ulimit -f 60")),
        cell("the folder is read-only", Outcome::free(2).posts(0)).around(Mount("ro,size=64k")),
        cell("standard output is full", Outcome::done()).around(Shell("exec >/dev/full")),
        cell("standard output is closed", Outcome::done()).around(Shell("exec >&-")),
    ]
}

fn folders() -> Vec<Cell> {
    let theirs = "clip.mp4 of somebody else";
    vec![
        cell("the clip's name is taken meanwhile", Outcome::owed(6).files(theirs))
            .once(Poll, Meanwhile(|folder| write(folder, "clip.mp4"))),
        cell("the clip's name is taken while it comes", Outcome::owed(6).files(theirs))
            .once(Download, Meanwhile(|folder| write(folder, "clip.mp4"))),
        // Its record replaces what is there; a clip never does.
        cell("the record's name is taken meanwhile", Outcome::done())
            .once(Poll, Meanwhile(|folder| write(folder, "clip.json"))),
        cell("the clip's name becomes a folder", Outcome::owed(6).files("clip.mp4/"))
            .once(Poll, Meanwhile(|folder| fs::create_dir(folder.join("clip.mp4")).expect("a folder"))),
        cell("the folder is removed meanwhile", Outcome::owed(6).files("no folder"))
            .once(Poll, Meanwhile(|folder| fs::remove_dir_all(folder).expect("removed"))),
        cell(
            "the part file's name leads elsewhere",
            Outcome::owed(6).files("clip.mp4.highway-part (a link)").resume(Resume::Ends),
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

fn signals() -> Vec<Cell> {
    let killed = |outcome: Outcome| outcome.killed();
    vec![
        cell("killed before the service saw the submit", killed(Outcome::unknown(0))).once(Submit, Signal("KILL")),
        cell("killed before the answer to the submit", killed(Outcome::unknown(1)))
            .once(Submit, Through(Way::Signal("KILL"))),
        cell("killed while the task is waited for", killed(Outcome::owed(0))).once(Poll, Signal("KILL")),
        cell("killed in the middle of the video", killed(Outcome::owed(0)).files("clip.mp4.highway-part"))
            .once(Download, Through(SignalHalfway("KILL"))),
        cell("asked to end while the task is waited for", Outcome::owed(4)).once(Poll, Signal("TERM")),
        cell("asked to end in the middle of the video", Outcome::owed(6))
            .once(Download, Through(SignalHalfway("TERM"))),
        cell("Ctrl-C before the answer to the submit", Outcome::owed(4)).once(Submit, Through(SignalBefore("INT"))),
        cell("Ctrl-C while the task is waited for", Outcome::owed(4)).once(Poll, Signal("INT")),
    ]
}
