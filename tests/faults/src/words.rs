//! What the user reads, without what differs from run to run.

use crate::script::Stage;

/// Folders, addresses, ids, times and counts of bytes by their names. `jobs` are the ids of jobs.
pub(crate) fn stable(words: &str, stage: &Stage, jobs: &[String]) -> String {
    let mut text = words.replace(&format!("{}/", stage.folder.display()), "");
    text = text.replace(&stage.folder.display().to_string(), "FOLDER");
    text = text.replace(&stage.folder.with_file_name("state").display().to_string(), "STATE");
    for job in jobs {
        text = text.replace(job.as_str(), "JOB");
    }
    let https = stage.service.replace("http://", "https://");
    for (address, name) in [
        (&stage.service, "http://SERVICE"),
        (&https, "https://SERVICE"),
        (&stage.file_host, "http://FILES"),
        (&stage.stranger, "http://STRANGER"),
        (&stage.self_signed, "https://SELF-SIGNED"),
    ] {
        text = text.replace(address.as_str(), name);
    }
    // Which row has which status says its name; so there is one text for all of them.
    let own = ", and not in the service's own words";
    text = text.lines().map(|line| between(line, "answered with ", own, "STATUS")).collect::<Vec<_>>().join("\n");
    text = text.lines().map(|line| between(line, "line 1 column ", "", "N")).collect::<Vec<_>>().join("\n");
    // Until a date, from now.
    text = text.lines().map(|line| between(line, "left alone for ", " s.", "N")).collect::<Vec<_>>().join("\n");
    // Chance decides whether a reset is noticed at the next write or the next read.
    for (other, usual) in [
        ("error writing a body to connection", "connection error"),
        ("Broken pipe (os error 32)", "Connection reset by peer (os error 104)"),
    ] {
        text = text.replace(other, usual);
    }
    let lines = text.lines().map(|line| counts(&times(&ids(line))));
    lines.collect::<Vec<_>>().join("\n")
}

/// Another text in place of what stands between these two; to the end where the second is empty.
fn between(line: &str, before: &str, after: &str, other: &str) -> String {
    let found = line.find(before).map(|at| at + before.len());
    let end =
        |from: usize| if after.is_empty() { Some(line.len()) } else { line[from..].find(after).map(|at| from + at) };
    match found.and_then(|from| Some((from, end(from)?))) {
        Some((from, to)) => [&line[..from], other, &line[to..]].concat(),
        None => line.to_owned(),
    }
}

/// `TIME` for every `2026-01-02T03:04:05Z`.
fn times(line: &str) -> String {
    let is_time = |word: &str| word.len() == 20 && word.ends_with('Z') && word.as_bytes()[10] == b'T';
    line.split(' ').map(|word| if is_time(word) { "TIME" } else { word }).collect::<Vec<_>>().join(" ")
}

/// `TASK` for every id of a task.
fn ids(line: &str) -> String {
    let is_id = |text: &str| {
        let dashes = [8, 13, 18, 23];
        text.len() == 36
            && text.bytes().enumerate().all(|(at, byte)| match byte {
                b'-' => dashes.contains(&at),
                byte => !dashes.contains(&at) && byte.is_ascii_hexdigit(),
            })
    };
    let mut text = String::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        if rest.get(..36).is_some_and(is_id) {
            text.push_str("TASK");
            rest = &rest[36..];
        } else {
            text.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    text
}

/// `N` for counts of bytes: `12 of 34 bytes`. How much came before something broke is for the system to say.
fn counts(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let is_number = |word: Option<&&str>| word.is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
    let of_bytes = |at: usize| {
        let unit = |at: usize| words.get(at).is_some_and(|word| word.starts_with("byte"));
        unit(at + 1) || words.get(at + 1) == Some(&"of") && is_number(words.get(at + 2)) && unit(at + 3)
    };
    let counted = |at: usize| is_number(words.get(at)) && of_bytes(at);
    let words: Vec<&str> = (0..words.len()).map(|at| if counted(at) { "N" } else { words[at] }).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_has_names() {
        assert_eq!(ids("task 7b8e1d1c-52ab-4f7c-9c3e-0a6c5f6f2d11: é"), "task TASK: é");
        assert_eq!(between("answered with 502 Bad, and so", "answered with ", ", and", "S"), "answered with S, and so");
        assert_eq!(between("line 1 column 25", "line 1 column ", "", "N"), "line 1 column N");
        assert_eq!(between("nothing of it", "line 1 column ", "", "N"), "nothing of it");
        assert_eq!(times("paid for on 2026-11-22T10:04:05Z (job"), "paid for on TIME (job");
        assert_eq!(counts("broke off: 12 of 340 bytes came"), "broke off: N of N bytes came");
        assert_eq!(counts("answered with 429 Too Many"), "answered with 429 Too Many");
    }
}
