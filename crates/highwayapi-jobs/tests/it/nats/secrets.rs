//! Who is let in, and over what.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use highwayapi_jobs::{Error, NatsOptions, NatsStore, Result, Store, Which};
use nkeys::KeyPair;
use serde_json::{Value, json};

use super::server::{Server, options};

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
    let key = KeyPair::new_user();
    let config = format!("authorization {{ users: [ {{ nkey: {} }} ] }}", key.public_key());
    let Some(server) = Server::with(&config) else { return };
    let secret = key.seed().expect("a seed");
    let file = |name: &str, text: &str| {
        let path = server.folder.path().join(name);
        fs::write(&path, text).expect("a file");
        Some(path)
    };
    let url = server.url();
    let seed = file("seed", &format!("{secret}\n"));
    open(&url, |options| options.nkey = seed).await.expect("let in");
    assert_says_nothing(&open(&url, |_| {}).await.expect_err("nobody"), &secret);
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

/// Three tokens, as an operator hands them out: its own, an account's, and a user's.
struct Tokens {
    operator: String,
    account: (String, String),
    system: (String, String),
    creds: String,
}

fn token(issuer: &KeyPair, subject: &str, nats: Value) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({ "jti": subject, "iat": 1767225600, "iss": issuer.public_key(), "name": "test", "sub": subject, "nats": nats });
    let signed = format!("{}.{}", part(json!({ "typ": "JWT", "alg": "ed25519-nkey" })), part(claims));
    let signature = issuer.sign(signed.as_bytes()).expect("a signature");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn tokens() -> Tokens {
    let (operator, account, system, user) =
        (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_account(), KeyPair::new_user());
    let limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
        "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
    });
    let of_account = |limits: &Value| json!({ "type": "account", "version": 2, "limits": limits });
    let of_user = json!({ "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1 });
    let without = json!({ "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1 });
    let user_token = token(&account, &user.public_key(), of_user);
    let seed = user.seed().expect("a seed");
    Tokens {
        operator: token(
            &operator,
            &operator.public_key(),
            json!({ "type": "operator", "version": 2, "system_account": system.public_key() }),
        ),
        account: (account.public_key(), token(&operator, &account.public_key(), of_account(&limits))),
        system: (system.public_key(), token(&operator, &system.public_key(), of_account(&without))),
        creds: format!(
            "-----BEGIN NATS USER JWT-----\n{user_token}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        ),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_of_an_operator() {
    let Tokens { operator, account, system, creds } = tokens();
    let config = format!(
        "operator: {operator}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload {{ {}: {}, {}: {} }}",
        system.0, account.0, account.1, system.0, system.1
    );
    let Some(server) = Server::with(&config) else { return };
    let path = server.folder.path().join("user.creds");
    fs::write(&path, &creds).expect("a file");
    open(&server.url(), |options| options.creds = Some(path.clone())).await.expect("let in");
    // Those of another operator.
    let other = tokens().creds;
    fs::write(&path, &other).expect("a file");
    let error = open(&server.url(), |options| options.creds = Some(path)).await.expect_err("a stranger");
    assert!(error.to_string().contains("refuses these credentials"), "{error}");
    other
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('-'))
        .for_each(|secret| assert_says_nothing(&error, secret));
}
