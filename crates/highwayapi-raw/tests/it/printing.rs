//! Neither the key nor a picture can be printed.

use highwayapi_raw::Client;
use highwayapi_raw::body::Upload;
use highwayapi_raw::hooks::{ApiKey, Hooks};
use progenitor_client::{ClientHooks, OperationInfo};

use crate::source::Picture;

const KEY: &str = "sk-planted-0123456789";

fn hooks() -> Hooks {
    let picture = Picture::whole(b"planted".to_vec());
    Hooks::new(ApiKey::new(KEY).expect("a key")).upload(Upload::new().picture("image", picture))
}

#[test]
fn debug_shows_sizes_only() {
    assert_eq!(format!("{:?}", ApiKey::new(KEY).expect("a key")), "ApiKey(hidden)");
    assert_eq!(format!("{:?}", hooks()), r#"Hooks { key: ApiKey(hidden), upload: Some({"image": 7}) }"#);
    let client = Client::new_with_client("http://localhost", reqwest::Client::new(), hooks());
    let printed = format!("{client:#?}");
    assert!(!printed.contains(KEY) && !printed.contains("planted"), "{printed}");
}

#[test]
fn a_key_that_cannot_stand_in_a_header_is_refused_unseen() {
    let error = ApiKey::new("sk-planted\n").expect_err("a refusal");
    assert!(!format!("{error} {error:?}").contains("planted"));
}

#[tokio::test]
async fn the_key_is_marked_sensitive() {
    let client = Client::new_with_client("http://localhost", reqwest::Client::new(), hooks());
    let mut request = reqwest::Client::new().get("http://localhost").build().expect("a request");
    let info = OperationInfo { operation_id: "get_task_result" };
    client.pre::<()>(&mut request, &info).await.expect("hooks");
    let authorization = &request.headers()["authorization"];
    assert_eq!(authorization.to_str().expect("text"), format!("Bearer {KEY}"));
    assert!(authorization.is_sensitive());
    assert!(!format!("{request:?}").contains(KEY));
}
