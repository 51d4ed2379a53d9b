//! What goes over the wire: method, path, headers and body, exactly.

use highwayapi::{FirstLastFrame, Frame};
use serde_json::{Value, json};
use wiremock::{Request, ResponseTemplate};

use crate::support::sequence::Sequence;
use crate::support::{KEY, client, clip, png, service, succeeded, with_every_option};

fn accepted() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({ "task_id": "t" }))
}

/// The one request that a submit of this makes.
async fn sent(request: &FirstLastFrame) -> Request {
    let server = service(accepted()).await;
    let task = client(&server.uri()).submit(request).await.expect("a task");
    assert_eq!(task.id().as_str(), "t");
    let mut requests = server.received_requests().await.expect("requests");
    assert_eq!(requests.len(), 1);
    requests.remove(0)
}

/// The request as a reviewer wants to see it.
fn shown(request: &Request) -> String {
    let mut headers: Vec<_> = request
        .headers
        .iter()
        .filter(|(name, _)| *name != "host")
        .map(|(name, value)| format!("{name}: {}", value.to_str().expect("text").replace(KEY, "(the key)")))
        .collect();
    headers.sort();
    let body = match request.body.is_empty() {
        true => String::new(),
        false => {
            let mut body: Value = request.body_json().expect("JSON");
            for field in ["image", "last_image"] {
                body[field] = json!(shortened(body[field].as_str().expect(field)));
            }
            format!("\n{body:#}")
        }
    };
    let url = &request.url[url::Position::BeforePath..];
    format!("{} {url}\n{}\n{body}", request.method, headers.join("\n"))
}

fn shortened(text: &str) -> String {
    match text.get(..40).filter(|_| text.len() > 60) {
        Some(start) => format!("{start}… ({} letters)", text.len()),
        None => text.to_owned(),
    }
}

#[tokio::test]
async fn smallest() {
    insta::assert_snapshot!(shown(&sent(&clip()).await));
}

#[tokio::test]
async fn fullest() {
    let image = Frame::from_bytes(png(100_000)).expect("a picture");
    let last_image = Frame::from_bytes(png(50_000)).expect("a picture").bare_base64();
    let request = with_every_option(FirstLastFrame::new(image, last_image, "\"dusk\" falls\nover the 🏯"));
    insta::assert_snapshot!(shown(&sent(&request).await));
}

#[tokio::test]
async fn pictures_arrive_as_they_are() {
    use base64::engine::{Engine, general_purpose::STANDARD};
    let picture = png(200_001);
    let frame = Frame::from_bytes(picture.clone()).expect("a picture");
    let request = FirstLastFrame::new(frame.clone(), Frame::literal("exactly this"), "dusk");
    let body: Value = sent(&request).await.body_json().expect("JSON");
    let base64 = body["image"].as_str().and_then(|uri| uri.strip_prefix("data:image/png;base64,")).expect("a data URI");
    assert!(STANDARD.decode(base64).expect("Base64") == picture);
    assert_eq!(body["last_image"], "exactly this");
    // The same frame again: it is read anew.
    let again: Value = sent(&request).await.body_json().expect("JSON");
    assert!(again == body);
}

#[tokio::test]
async fn poll() {
    let server = service(ResponseTemplate::new(200).set_body_json(succeeded(&[]))).await;
    client(&server.uri()).task("a/b?c=d&e".parse().expect("an id")).poll().await.expect("an answer");
    let requests = server.received_requests().await.expect("requests");
    assert_eq!(requests.len(), 1);
    insta::assert_snapshot!(shown(&requests[0]));
}

#[tokio::test]
async fn a_submit_that_was_refused_for_now_is_sent_again_the_same() {
    let busy = ResponseTemplate::new(429);
    let server = service(Sequence::new([busy, accepted()])).await;
    let frame = Frame::from_bytes(png(70_000)).expect("a picture");
    let request = FirstLastFrame::new(frame.clone(), frame, "dusk");
    client(&server.uri()).submit(&request).await.expect("a task");
    let requests = server.received_requests().await.expect("requests");
    assert_eq!(requests.len(), 2);
    assert!(requests[0].body == requests[1].body);
}

#[tokio::test]
async fn an_empty_prompt_is_not_sent() {
    let server = service(accepted()).await;
    let request = FirstLastFrame::new(Frame::literal("a"), Frame::literal("b"), " ");
    let error = client(&server.uri()).submit(&request).await.expect_err("a refusal");
    assert_eq!(error.field(), Some("prompt"));
    assert!(server.received_requests().await.expect("requests").is_empty());
}
