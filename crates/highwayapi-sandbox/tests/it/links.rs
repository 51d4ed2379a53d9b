use std::fmt::Write;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::*;

async fn get(url: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = reqwest::Client::new().get(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

#[tokio::test]
async fn only_a_link_as_it_was_given_works() {
    let sandbox = Sandbox::start().await.unwrap();
    let url = clip(&sandbox).await;
    let (path, query) = url.split_once('?').unwrap();
    let (expires, signature) = query.split_once('&').unwrap();
    let other = if signature.ends_with('A') { "B" } else { "A" };
    assert_eq!(get(&url, &[]).await.status(), 200);
    assert_eq!(get(&format!("{path}?{signature}&{expires}"), &[]).await.status(), 403, "the order is part of it");
    for tampered in [
        path.to_owned(),
        format!("{path}?{expires}"),
        format!("{path}?{expires}&signature="),
        format!("{path}?{expires}0&{signature}"),
        format!("{path}?{expires}&{}{other}", &signature[..signature.len() - 1]),
        format!("{path}?{expires}&{}", &signature[..signature.len() - 4]),
        format!("{path}?expires=-1&{signature}"),
        url.replace(".mp4", ".mov"),
        url.replace("/files/", "/files/..%2f"),
        format!("{}/files/nothing.mp4?{query}", sandbox.base_url()),
    ] {
        let response = get(&tampered, &[]).await;
        assert_eq!(response.status(), 403, "{tampered}");
        assert_eq!(json_of(response).await["reason"], "INVALID_LINK");
    }
    // Another sandbox signs with another key.
    let elsewhere = Sandbox::start().await.unwrap();
    let response = get(&url.replace(&sandbox.base_url(), &elsewhere.base_url()), &[]).await;
    assert_eq!(response.status(), 403);
}

#[tokio::test]
async fn a_link_expires() {
    let sandbox = Sandbox::builder().link_ttl(Duration::from_secs(1)).start().await.unwrap();
    let url = clip(&sandbox).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let response = get(&url, &[]).await;
    assert_eq!(response.status(), 403);
    assert_eq!(json_of(response).await["reason"], "LINK_EXPIRED");
}

#[tokio::test]
async fn an_api_key_at_the_file_host_is_a_leak() {
    let sandbox = Sandbox::builder().api_key("one-key").api_key("other-key").api_key("odd=key").start().await.unwrap();
    let url = clip(&sandbox).await;
    assert_eq!(sandbox.leaked_keys(), 0);
    let mut table = String::new();
    for (more, headers) in [
        ("", &[("authorization", "Bearer sandbox")][..]),
        ("", &[("x-api-key", "other-key")]),
        ("", &[("x-api-key", "odd=key")]),
        ("", &[("cookie", "a=b; session=one-key")]),
        ("&key=one-key", &[]),
        ("&token=other%2Dkey", &[]),
        ("&one-key", &[]),
    ] {
        let response = get(&format!("{url}{more}"), headers).await;
        assert_eq!(response.status(), 400);
        writeln!(table, "{more}{headers:?}: {}", json_of(response).await["message"].as_str().unwrap()).unwrap();
    }
    insta::assert_snapshot!(table);
    assert_eq!(sandbox.leaked_keys(), 7);
    // A key's beginning is no key, and the file is there for whoever has the link.
    assert_eq!(get(&url, &[("x-note", "one-ke")]).await.status(), 200);
    assert_eq!(sandbox.leaked_keys(), 7);
}

#[tokio::test]
async fn ranges_and_etags() {
    let sandbox = Sandbox::builder().public_url("http://clips.example/base/").start().await.unwrap();
    let url = clip(&sandbox).await;
    let url = url.replace("http://clips.example/base", &sandbox.base_url());
    let whole = get(&url, &[]).await;
    let headers = whole.headers().clone();
    assert_eq!(headers["content-type"], "video/mp4");
    assert_eq!(headers["accept-ranges"], "bytes");
    let etag = headers["etag"].to_str().unwrap();
    let digest = headers["repr-digest"].to_str().unwrap();
    let whole = whole.bytes().await.unwrap();
    assert_eq!(digest, format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(&whole))));
    let length = whole.len();
    assert_eq!(headers["content-length"], length.to_string());

    let head = reqwest::Client::new().head(&url).send().await.unwrap();
    assert_eq!(head.status(), 200);
    assert_eq!(head.headers()["content-length"], length.to_string());
    assert_eq!(head.headers()["etag"], etag);
    assert!(head.bytes().await.unwrap().is_empty());

    for (range, first, last) in [
        ("bytes=0-0", 0, 0),
        ("bytes=100-199", 100, 199),
        ("bytes=1000-", 1000, length - 1),
        ("bytes=-7", length - 7, length - 1),
        ("bytes=5-99999999", 5, length - 1),
    ] {
        for more in [None, Some(("if-range", etag))] {
            let headers: Vec<_> = [("range", range)].into_iter().chain(more).collect();
            let part = get(&url, &headers).await;
            assert_eq!(part.status(), 206, "{range}");
            assert_eq!(part.headers()["content-range"], format!("bytes {first}-{last}/{length}"));
            assert_eq!(part.headers()["content-length"], (last - first + 1).to_string());
            assert_eq!(part.headers()["etag"], etag);
            assert_eq!(part.headers()["repr-digest"], digest);
            assert_eq!(part.bytes().await.unwrap(), whole[first..=last]);
        }
    }
    for headers in [
        &[("range", "bytes=0-1,4-5")][..],
        &[("range", "bytes=9-2")],
        &[("range", "pages=1-2")],
        &[("range", "bytes=0-1"), ("if-range", "\"another\"")],
        &[("range", "bytes=0-1"), ("if-range", "Sun, 22 Nov 2026 06:00:00 GMT")],
    ] {
        let response = get(&url, headers).await;
        assert_eq!(response.status(), 200, "{headers:?}");
        assert_eq!(response.bytes().await.unwrap(), whole);
    }
    let beyond = get(&url, &[("range", &format!("bytes={length}-"))]).await;
    assert_eq!(beyond.status(), 416);
    assert_eq!(beyond.headers()["content-range"], format!("bytes */{length}"));
}
