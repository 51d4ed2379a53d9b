//! Who is let in, and over what.

use std::fs;

use highwayapi_jobs::{Error, NatsOptions, NatsStore, Result, Store, Which};

use super::server::{Server, options};

/// Of the user whose seed is below.
const NKEY: &str = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";
const SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";

async fn open(url: &str, change: impl FnOnce(&mut NatsOptions)) -> Result<NatsStore> {
    let mut options = options();
    change(&mut options);
    let store = NatsStore::connect(url, options).await?;
    store.jobs(Which::All).await.map(|_| store)
}

/// In no word of it.
fn assert_says_nothing(error: &Error, secret: &str) {
    let mut said = format!("{error} {error:?}");
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        said += &format!("{error} {error:?}");
        source = error.source();
    }
    assert!(error.is_store() || error.is_invalid_input(), "{said}");
    assert!(!said.contains(secret), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn users_and_passwords() {
    let config = "authorization { users: [ { user: \"me\", password: \"geheim\" } ] }";
    let Some(server) = Server::with(config) else { return };
    let url = server.url();
    let with_user = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
    open(&url, |options| options.user = with_user("me", "geheim")).await.expect("let in");
    open(&url.replace("://", "://me:geheim@"), |_| {}).await.expect("let in");
    assert_says_nothing(&open(&url, |_| {}).await.expect_err("nobody"), "geheim");
    let wrong = open(&url, |options| options.user = with_user("me", "falsch!")).await.expect_err("wrong");
    assert!(wrong.to_string().contains("refuses these credentials"), "{wrong}");
    assert_says_nothing(&wrong, "falsch!");
    let wrong = open(&url.replace("://", "://me:falsch!@"), |_| {}).await.expect_err("wrong");
    assert_says_nothing(&wrong, "falsch!");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_credentials_in_files() {
    let Some(server) = Server::with(&format!("authorization {{ users: [ {{ nkey: {NKEY} }} ] }}")) else { return };
    let file = |name: &str, text: &str| {
        let path = server.folder.path().join(name);
        fs::write(&path, text).expect("a file");
        Some(path)
    };
    let url = server.url();
    let seed = file("seed", &format!("{SEED}\n"));
    open(&url, |options| options.nkey = seed).await.expect("let in");
    assert_says_nothing(&open(&url, |_| {}).await.expect_err("nobody"), SEED);
    let wrong = file("wrong", "SUAxgeheim");
    assert_says_nothing(&open(&url, |options| options.nkey = wrong).await.expect_err("no seed"), "SUAxgeheim");
    let wrong = file("creds", "-----BEGIN NATS USER JWT-----\ngeheim\n");
    let error = open(&url, |options| options.creds = wrong).await.expect_err("no credentials");
    assert!(error.to_string().contains("creds holds no NATS credentials"), "{error}");
    assert_says_nothing(&error, "geheim");
    let gone = Some(server.folder.path().join("gone"));
    let error = open(&url, |options| options.creds = gone).await.expect_err("no file");
    assert!(error.is_invalid_input() && error.to_string().contains("HIGHWAY_NATS_CREDS"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_with_a_certificate_of_ones_own() {
    let folder = crate::support::folder();
    let mine = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    fs::write(&cert, mine.cert.pem()).expect("a file");
    fs::write(&key, mine.signing_key.serialize_pem()).expect("a file");
    let config = format!("tls {{ cert_file: \"{}\", key_file: \"{}\" }}", cert.display(), key.display());
    let Some(server) = Server::with(&config) else { return };
    let url = server.url().replace("nats://", "tls://");
    open(&url, |options| options.ca = Some(cert.clone())).await.expect("a record");
    // The server insists on it, whatever the address says.
    open(&server.url(), |options| options.ca = Some(cert.clone())).await.expect("a record");
    let error = open(&url, |_| {}).await.expect_err("nobody trusts it");
    assert!(error.is_store() && error.to_string().contains("HIGHWAY_NATS_CA"), "{error:?}");
    // And who insists on it does without rather than do it in the open.
    let Some(open_server) = Server::start() else { return };
    let url = open_server.url().replace("nats://", "tls://");
    assert!(open(&url, |options| options.ca = Some(cert)).await.expect_err("no TLS").is_store());
}
