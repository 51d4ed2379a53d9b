use std::fmt::Write;

use super::requests::line;
use super::*;

/// What the vendor's page does not speak of.
fn unknown() -> Vec<(&'static str, Value)> {
    let many: serde_json::Map<_, _> = (0..9).map(|n| (format!("x{n}"), n.into())).collect();
    vec![
        ("bare Base64", json!({ "image": PNG })),
        ("another name of the kind", json!({ "image": png().replace("image/png", "image/jpg") })),
        ("another kind than it says", json!({ "image": png().replace("image/png", "image/jpeg") })),
        ("a sibling's spelling of no people", json!({ "person_generation": "dont_allow" })),
        ("a sibling's name of a field", json!({ "last_frame_image": png() })),
        ("a field that is misspelt, and a wrong value", json!({ "sample_cuont": 2, "duration_seconds": 5 })),
        ("many fields", Value::Object(many)),
    ]
}

#[tokio::test]
async fn what_the_page_does_not_allow_is_refused() {
    let sandbox = Sandbox::start().await.unwrap();
    let mut table = String::new();
    for (what, fields) in unknown() {
        writeln!(table, "{what}: {}", line(post(&sandbox, &small(fields)).await).await).unwrap();
    }
    insta::assert_snapshot!(table);
    assert_eq!(sandbox.submits(), 0);
}

#[tokio::test]
async fn what_is_unknown_passes_where_it_is_let() {
    let sandbox = Sandbox::builder().lenient(true).start().await.unwrap();
    for (what, mut fields) in unknown() {
        // Known and wrong stays wrong.
        let known = fields.as_object_mut().unwrap().remove("duration_seconds");
        assert_eq!(post(&sandbox, &small(fields)).await.status(), 200, "{what}");
        if let Some(wrong) = known {
            let response = post(&sandbox, &small(json!({ "duration_seconds": wrong }))).await;
            assert_eq!(response.status(), 400);
        }
    }
    for (what, fields) in [
        ("text that is no picture", json!({ "image": STANDARD.encode("hello") })),
        ("what is no Base64", json!({ "image": "first.png" })),
        ("another word", json!({ "person_generation": "nobody" })),
        ("a form without Base64", json!({ "image": "data:image/png,abc" })),
    ] {
        assert_eq!(post(&sandbox, &small(fields)).await.status(), 400, "{what}");
    }
}
