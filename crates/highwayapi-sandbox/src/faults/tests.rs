use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::operation::Operation;

fn faults(toml: &str) -> Faults {
    Faults::new(Script::from_toml(toml).unwrap(), Seed::new(7), Clock::stepped())
}

fn call(operation: Operation) -> Call<'static> {
    Call { operation, task_number: None, task_id: None, at: Duration::ZERO }
}

/// The names of what so many calls meet.
fn met(faults: &Faults, call: Call<'_>, times: usize) -> Vec<String> {
    (0..times).map(|_| faults.decide(&call).map_or("-".to_owned(), |hit| hit.name)).collect()
}

#[test]
fn the_first_rule_that_fits_wins_and_all_count() {
    let faults = faults(
        r#"
        [[fault]]
        on = "submit"
        nth = 2
        effect = "silence"
        [[fault]]
        nth = "2-3"
        effect = "reset"
        [[fault]]
        on = "submit"
        nth = "every 2"
        effect = "lost_answer"
        [[fault]]
        nth = "5-"
        times = 1
        effect = "reset"
        "#,
    );
    let met = met(&faults, call(Operation::Submit), 7);
    assert_eq!(met, ["-", "silence", "reset", "lost_answer", "reset-2", "lost_answer", "-"]);
    let counts: Vec<_> = faults.counters().iter().map(|counter| (counter.fits, counter.hits)).collect();
    assert_eq!(counts, [(7, 1), (7, 1), (7, 2), (7, 1)]);
    assert_eq!(faults.decide(&call(Operation::Admin)), None);
}

#[test]
fn a_task_is_told_by_number_or_id_and_counts_by_itself() {
    let faults = faults(
        r#"
        fault = [
            { on = "poll", task = 2, nth = 2, effect = "nulls" },
            { on = "poll", task = "abc", effect = "silence" },
        ]
        "#,
    );
    let poll = |number, id| Call { task_number: Some(number), task_id: Some(id), ..call(Operation::Poll) };
    assert_eq!(met(&faults, poll(1, "x"), 3), ["-", "-", "-"]);
    assert_eq!(met(&faults, poll(2, "y"), 3), ["-", "nulls", "-"]);
    assert_eq!(met(&faults, poll(3, "abc"), 1), ["silence"]);
}

#[test]
fn a_window_is_on_the_sandboxs_clock() {
    let faults = faults("fault = [{ from = \"10s\", until = \"1m\", effect = \"reset\" }]");
    let at = |seconds| Call { at: Duration::from_secs(seconds), ..call(Operation::File) };
    let hits: Vec<bool> = [9, 10, 59, 60].map(|seconds| faults.decide(&at(seconds)).is_some()).to_vec();
    assert_eq!(hits, [false, true, true, false]);
}

#[test]
fn rules_are_added_before_the_others_switched_and_removed() {
    let faults = faults("name = \"x\"\nfault = [{ effect = \"reset\" }]");
    let rule = |text: &str| Rule::from_json(text).unwrap();
    assert_eq!(faults.add(rule(r#"{ "effect": "reset", "times": 1 }"#)).unwrap(), "reset-2");
    assert_eq!(faults.add(rule(r#"{ "effect": "silence", "name": "quiet", "off": true }"#)).unwrap(), "quiet");
    assert_eq!(met(&faults, call(Operation::Poll), 2), ["reset-2", "reset"]);
    faults.switch("quiet", true).unwrap();
    assert_eq!(met(&faults, call(Operation::Poll), 1), ["quiet"]);
    let names: Vec<_> = faults.get().rules.iter().map(|rule| rule.name.clone().unwrap()).collect();
    assert_eq!(names, ["quiet", "reset-2", "reset"]);
    assert_eq!(faults.get().name(), "x");
    faults.remove("quiet").unwrap();
    let told = |error: Result<(), Error>| error.unwrap_err().to_string();
    insta::assert_snapshot!(told(faults.remove("quiet")), @r#"the faults cannot be used: no rule is called "quiet"; there are: reset-2, reset"#);
    insta::assert_snapshot!(told(faults.add(rule(r#"{ "effect": "reset", "name": "reset" }"#)).map(drop)), @r#"the faults cannot be used: name: "reset" is another rule's already"#);
    insta::assert_snapshot!(told(faults.load("sunday")), @r#"the faults cannot be used: scenario: "sunday" came, and there are bad-friday, lost-answers, rate-limited, slow-queue, moderation, flaky-downloads, expiring-links, half-broken-proxy, odd-answers, drip"#);
    faults.load("drip").unwrap();
    assert!(faults.counters().iter().all(|counter| counter.fits == 0));
}

#[test]
fn a_script_that_is_none_is_told_where_and_why() {
    let toml = |text: &str| Script::from_toml(text).unwrap_err().to_string();
    let json = |text: &str| Script::from_json(text).unwrap_err().to_string();
    let all = [
        toml("nme = 1"),
        toml("fault = 3"),
        toml("[[fault]]\neffect = \"reset\"\n[[fault]]\non = \"download\"\neffect = \"reset\""),
        toml("[[fault]]\non = \"file\"\neffect = \"no_videos\""),
        toml("[[fault]]\neffect = \"explode\"").split(", expected").next().unwrap().to_owned(),
        toml("[[fault]]\nnth = 0\neffect = \"reset\""),
        toml("[[fault]]\nnth = \"5-2\"\neffect = \"reset\""),
        toml("[[fault]]\nchance = 1.5\neffect = \"reset\""),
        toml("[[fault]]\nfrom = 10\neffect = \"reset\""),
        toml("[[fault]]\nfrom = \"2m\"\nuntil = \"90s\"\neffect = \"reset\""),
        toml("[[fault]]\ntask = 1\neffect = \"expired_link\""),
        toml("[[fault]]\ntimes = 0\neffect = \"reset\""),
        toml("[[fault]]\nname = \"a/b\"\neffect = \"reset\""),
        toml("[[fault]]\neffect = \"status\""),
        toml("[[fault]]\neffect = \"status\"\nwith = { status = 502, body = \"pdf\" }"),
        toml("[[fault]]\neffect = \"status\"\nwith = { status = 42 }"),
        toml("[[fault]]\neffect = \"reset\"\nwith = { by = \"hand\" }"),
        toml("[[fault]]\neffect = \"rate_limited\"\nwith = { retry_after = \"later\" }"),
        toml("[[fault]]\nname = \"a\"\neffect = \"reset\"\n[[fault]]\nname = \"a\"\neffect = \"reset\""),
        toml("[limits]\nrequests_per_minute = 0"),
        toml("[limits]\nretry_after = \"yes\""),
        toml("[[fault"),
        json(r#"{ "fault": [{ "effect": "reset", "nth": "x" }] }"#),
        json("{} x"),
    ];
    insta::assert_snapshot!(all.join("\n"), @r#"
the faults cannot be used: line 1: nme: unknown field `nme`, expected one of `name`, `description`, `advice`, `limits`, `fault`
the faults cannot be used: line 1: fault: invalid type: integer `3`, expected a sequence
the faults cannot be used: line 4: fault 2: on: unknown variant `download`, expected one of `submit`, `poll`, `file`
the faults cannot be used: line 1: fault 1: on: file came, and `no_videos` is for poll
the faults cannot be used: line 1: fault 1: effect: unknown variant `explode`
the faults cannot be used: line 2: fault 1: nth: invalid value: integer `0`, expected a number from 1, or "2-5", "4-" or "every 3"
the faults cannot be used: line 2: fault 1: nth: invalid value: string "5-2", expected a number from 1, or "2-5", "4-" or "every 3"
the faults cannot be used: line 1: fault 1: chance: 1.5 came, and it must be a number from 0 to 1
the faults cannot be used: line 2: fault 1: from: invalid value: integer `10`, expected a time such as "500ms", "90s", "5m" or "1h 30m", at most a year
the faults cannot be used: line 1: fault 1: until: 1m 30s came, and it must be later than `from`, which is 2m
the faults cannot be used: line 1: fault 1: task: a link names a clip, not a task: only submits and polls can be told by it
the faults cannot be used: line 1: fault 1: times: 0 came, and it must be 1 or more; `off = true` switches a rule off
the faults cannot be used: line 1: fault 1: name: it must have 1 to 100 letters, digits, - and _
the faults cannot be used: line 1: fault 1: with: missing field `status`
the faults cannot be used: line 1: fault 1: with: body: unknown variant `pdf`, expected one of `service`, `html`, `text`, `empty`
the faults cannot be used: line 1: fault 1: with: status: 42 came, and it must be from 200 to 599
the faults cannot be used: line 1: fault 1: with: by: unknown field `by`, expected `at`
the faults cannot be used: line 1: fault 1: with: retry_after: invalid value: string "later", expected a number of seconds, or "none", "date", "past", "far" or "nonsense"
the faults cannot be used: fault 2: name: "a" is another rule's already
the faults cannot be used: limits: requests_per_minute: 0 came, and it must be 1 or more
the faults cannot be used: line 2: limits: retry_after: unknown variant `yes`, expected one of `none`, `seconds`, `date`, `nonsense`
the faults cannot be used: line 1: unclosed array table, expected `]]`
the faults cannot be used: fault 1: nth: invalid value: string "x", expected a number from 1, or "2-5", "4-" or "every 3" at line 1 column 43
the faults cannot be used: trailing characters at line 1 column 4
"#);
}

#[test]
fn scenarios_are_described_and_written_as_they_are_read() {
    assert_eq!(Script::scenarios().len(), scenario::NAMES.len());
    for (script, name) in Script::scenarios().iter().zip(scenario::NAMES) {
        assert_eq!(script.name(), *name);
        assert!(!script.description().is_empty() && !script.advice().is_empty(), "{name}");
        let written = serde_json::to_string(script).unwrap();
        assert_eq!(Script::from_json(&written).unwrap(), *script, "{written}");
    }
}

proptest! {
    /// What is drawn depends on seed, rule and count alone, so that the same requests meet the same faults.
    #[test]
    fn the_same_seed_gives_the_same_faults(seed: u64, order in prop::collection::vec(0..3_u8, 1..200)) {
        let run = || {
            let script = Script::scenario("bad-friday").unwrap();
            let faults = Faults::new(script, Seed::new(seed), Clock::stepped());
            let of = |n: &u8| [Operation::Submit, Operation::Poll, Operation::File][usize::from(*n)];
            order.iter().map(|n| faults.decide(&call(of(n)))).collect::<Vec<_>>()
        };
        prop_assert_eq!(run(), run());
    }

    /// A rule's hits follow from the requests that fit it, whatever came between them.
    #[test]
    fn other_requests_change_nothing(others in prop::collection::vec(0..5_usize, 50)) {
        let rules = "fault = [{ on = \"poll\", chance = 0.3, effect = \"reset\" }, { on = \"file\", effect = \"silence\" }]";
        let (alone, mixed) = (faults(rules), faults(rules));
        for others in others {
            met(&mixed, call(Operation::File), others);
            prop_assert_eq!(alone.decide(&call(Operation::Poll)), mixed.decide(&call(Operation::Poll)));
        }
    }

    /// About as many as the chance says.
    #[test]
    fn chances_are_about_right(seed: u64) {
        let script = Script::from_toml("fault = [{ chance = 0.2, effect = \"reset\" }]").unwrap();
        let faults = Faults::new(script, Seed::new(seed), Clock::stepped());
        let hits = met(&faults, call(Operation::Submit), 2000).iter().filter(|name| *name != "-").count();
        prop_assert!((300..500).contains(&hits), "{}", hits);
    }

    #[test]
    fn nonsense_is_refused_without_a_panic(text in ".{0,200}") {
        let _ = Script::from_toml(&text);
        let _ = Script::from_json(&text);
        let _ = Rule::from_json(&text);
    }
}

/// The page is what the code says. `UPDATE_DOCS=1` rewrites it.
#[test]
fn the_page_lists_every_effect_and_scenario() {
    use std::fmt::Write;

    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/sandbox-faults.md");
    let page = std::fs::read_to_string(path).unwrap();
    let mut effects = String::from("| effect | for | what happens | `with` |\n| --- | --- | --- | --- |\n");
    for about in effect::ABOUT {
        writeln!(effects, "| `{}` | {} | {} | {} |", about.name, about.on.join(", "), about.says, about.with).unwrap();
    }
    let mut scenarios = String::from("| scenario | what happens | what a client should do |\n| --- | --- | --- |\n");
    for script in Script::scenarios() {
        writeln!(scenarios, "| `{}` | {} | {} |", script.name(), script.description(), script.advice()).unwrap();
    }
    let mut wanted = page.clone();
    for (mark, table) in [("effects", effects), ("scenarios", scenarios)] {
        let (before, rest) = wanted.split_once(&format!("<!-- {mark} -->\n")).unwrap();
        let (_, after) = rest.split_once(&format!("<!-- /{mark} -->")).unwrap();
        wanted = format!("{before}<!-- {mark} -->\n\n{table}\n<!-- /{mark} -->{after}");
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, wanted).unwrap();
    } else {
        assert!(page == wanted, "docs/sandbox-faults.md is not what the code says; UPDATE_DOCS=1 rewrites it");
    }
}

/// The script of the page works as it is written.
#[test]
fn the_pages_script_is_one() {
    let page = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/sandbox-faults.md"));
    let script = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(Script::from_toml(script).unwrap().rules.len(), 2);
}
