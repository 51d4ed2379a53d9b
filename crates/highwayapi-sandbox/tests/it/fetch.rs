use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;

use super::*;

/// A host of pictures; its address.
async fn pictures() -> String {
    let png = STANDARD.decode(PNG).unwrap();
    let routes = Router::new()
        .route("/a.png", get(async || png))
        .route("/moved", get(async || (StatusCode::FOUND, [(header::LOCATION, "/a.png")])))
        .route("/page", get(async || "<html>"))
        .route("/large", get(async || vec![0u8; (20 << 20) + 1]));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, routes).into_future());
    address
}

async fn refusal(sandbox: &Sandbox, url: &str) -> (String, String) {
    let response = post(sandbox, &small(json!({ "last_image": url }))).await;
    assert_eq!(response.status(), 400);
    let error = json_of(response).await;
    (error["reason"].as_str().unwrap().to_owned(), error["message"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_picture_is_fetched_from_where_it_is_allowed() {
    let host = pictures().await;
    let sandbox = Sandbox::builder().allow_fetch(&host).start().await.unwrap();
    let id = submit(&sandbox, &small(json!({ "image": format!("{host}/a.png?signature=secret") }))).await;
    finished(&sandbox, &id).await;

    for (path, reason, message) in [
        ("/moved", "INVALID_REQUEST_BODY", "answered 302 Found: redirects are not followed"),
        ("/missing", "INVALID_REQUEST_BODY", "answered 404 Not Found"),
        ("/page", "INVALID_IMAGE_FORMAT", "the picture is neither a JPEG nor a PNG file, judged by its first bytes"),
        ("/large", "IMAGE_FILE_EXCEEDS_MAX_SIZE", "the picture has more than 20971520 bytes, the most that is allowed"),
    ] {
        let (came, text) = refusal(&sandbox, &format!("{host}{path}?signature=secret")).await;
        assert_eq!(came, reason, "{text}");
        assert!(text.starts_with("last_image: ") && text.ends_with(message), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
    assert_eq!(sandbox.submits(), 1);
}

#[tokio::test]
async fn nothing_is_fetched_from_elsewhere() {
    let host = pictures().await;
    let url = format!("{host}/a.png?signature=secret");
    for sandbox in [
        Sandbox::start().await.unwrap(),
        Sandbox::builder().allow_fetch("example.com").allow_fetch("127.0.0.1:1").start().await.unwrap(),
    ] {
        let (reason, message) = refusal(&sandbox, &url).await;
        assert_eq!(reason, "INVALID_REQUEST_BODY");
        let wanted = format!(
            "last_image: {host} is not fetched: this sandbox fetches pictures only from the addresses it was allowed; \
             start it with --allow-fetch {host} (in Rust: Builder::allow_fetch), or send a data URI"
        );
        assert_eq!(message, wanted);
    }
    let error = Sandbox::builder().allow_fetch("ftp://example.com").start().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "\"ftp://example.com\" is not an address to fetch from: use host, host:port or http://host:port"
    );
}

#[tokio::test]
async fn a_name_is_looked_up() {
    let host = pictures().await.replace("127.0.0.1", "localhost");
    let sandbox = Sandbox::builder().allow_fetch("localhost").start().await.unwrap();
    submit(&sandbox, &small(json!({ "image": format!("{host}/a.png") }))).await;
}

#[tokio::test]
async fn a_host_that_is_not_there_is_said_to_be() {
    // Bound and dropped: nobody listens.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let sandbox = Sandbox::builder().allow_fetch("127.0.0.1").start().await.unwrap();
    let (_, message) = refusal(&sandbox, &format!("http://{free}/a.png")).await;
    assert!(message.starts_with(&format!("last_image: nothing came from http://{free}: ")), "{message}");
}
