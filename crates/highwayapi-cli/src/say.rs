//! Printing that never ends the command. A pipe may be closed and a disk full, and by then a task may be paid for.

use std::fmt::Display;
use std::io::Write;

/// On standard output, where whoever no longer reads misses it.
pub(crate) fn out(text: impl Display) {
    let _ = try_out(&text);
}

/// On standard error. Where that is gone too, nobody is left to be told.
pub(crate) fn err(text: impl Display) {
    // In one piece: other programs may write there too.
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// Something that must not be lost: on standard output, or else on standard error. Returns whether it was the former.
pub(crate) fn result(text: impl Display) -> bool {
    let told = try_out(&text).is_ok();
    if !told {
        err(text);
    }
    told
}

fn try_out(text: &impl Display) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(format!("{text}\n").as_bytes())?;
    stdout.flush()
}
