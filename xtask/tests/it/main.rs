//! What derives from the contract, and what is refused in it.

use std::fs;

use xtask::{Mode, contract, generate, root, shape};

mod lowering;

/// `openapi.yaml` with one edit, which must find its place exactly once.
fn edited(from: &str, to: &str) -> String {
    let text = contract_text();
    assert_eq!(text.matches(from).count(), 1, "{from:?} should stand in openapi.yaml once");
    text.replace(from, to)
}

fn contract_text() -> String {
    fs::read_to_string(root().join("openapi.yaml")).expect("openapi.yaml")
}

fn generated(contract: &str) -> String {
    generate::client(&contract::parse(contract).expect("a contract")).expect("a client")
}

fn refusal(text: &str) -> String {
    contract::parse(text).err().expect("a refusal").to_string()
}

fn committed() -> String {
    fs::read_to_string(root().join("crates/highwayapi-raw/src/generated.rs")).expect("the generated file")
}

#[test]
fn shape() {
    insta::assert_snapshot!(shape::listing(&committed()).expect("a listing"));
}

#[test]
fn keys_that_tools_drop_are_refused_by_their_path() {
    let typo = edited("      minimum: 1\n", "      minmum: 1\n");
    assert_eq!(
        refusal(&typo),
        "not OpenAPI 3.0, and silently dropped by tools: /components/schemas/SampleCount/minmum"
    );
    let newer = edited("enum: [allow_adult, disallow]", "const: allow_adult");
    assert!(refusal(&newer).ends_with(": /components/schemas/PersonGeneration/const"), "{}", refusal(&newer));
    let deep = edited("name: task_id\n", "name: task_id\n          requird: true\n");
    assert!(refusal(&deep).ends_with("/get/parameters/0/requird"), "{}", refusal(&deep));
}

#[test]
fn what_is_no_openapi_at_all_is_refused() {
    assert!(refusal("openapi: 3.0.3").contains("info"));
    assert!(contract::parse("a: [").is_err());
}

#[test]
fn what_is_committed_is_the_contracts() {
    xtask::regen(Mode::Check).expect("derived files that agree with openapi.yaml");
}

#[test]
fn every_edit_of_a_value_makes_the_committed_file_stale() {
    for (from, to) in [
        ("enum: [720p, 1080p]", "enum: [720p, 1081p]"),
        ("default: 720p", "default: 1080p"),
        ("minimum: 1\n", "minimum: 0\n"),
        ("maximum: 4\n", "maximum: 3\n"),
        ("maximum: 4294967295", "maximum: 4294967294"),
        ("default: 8", "default: 6"),
        ("default: true", "default: false"),
        ("default: false", "default: true"),
        ("Makes an audio track.", "Makes a sound track."),
        ("required: [status]", "required: [status, reason]"),
        ("message: not enough balance", "message: no balance"),
        ("FEATURE_NOT_ALLOWED", "FEATURE_FORBIDDEN"),
    ] {
        // Not with what is committed: that may differ for other reasons.
        assert!(
            generated(&edited(from, to)) != generated(&contract_text()),
            "{from:?} became {to:?} and nobody noticed"
        );
    }
}

#[test]
fn a_new_value_becomes_a_variant() {
    for (from, to, variant) in [
        ("enum: [720p, 1080p]", "enum: [720p, 1080p, 2160p]", "#[serde(rename = \"2160p\")]\n        X2160p,"),
        ("enum: [4, 6, 8]", "enum: [4, 6, 8, 12]", "X12 = 12u8,"),
        ("maximum: 4\n", "maximum: 5\n", "X5 = 5u8,"),
    ] {
        assert!(!committed().contains(variant), "{variant} is there already");
        assert!(generated(&edited(from, to)).contains(variant), "{to:?} should give {variant}");
    }
}
