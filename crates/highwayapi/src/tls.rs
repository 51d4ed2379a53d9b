//! Telling a refused certificate from a network that fails: by the type of the cause, never by its text.

use std::error::Error as StdError;
use std::io;

/// Whether no connection came about because of TLS. Once there is one, what breaks it is the network's doing.
pub(crate) fn is_why(error: &reqwest::Error) -> bool {
    if !error.is_connect() {
        return false;
    }
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if is_tls(error) {
            return true;
        }
        // What an io::Error is made of is not its source but stands before it.
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}

#[cfg_attr(not(any(feature = "rustls", feature = "native-tls")), allow(unused_variables))]
fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    #[cfg(feature = "rustls")]
    if error.is::<rustls::Error>() {
        return true;
    }
    #[cfg(feature = "native-tls")]
    if error.is::<native_tls::Error>() {
        return true;
    }
    false
}

#[cfg(all(test, any(feature = "rustls", feature = "native-tls")))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use crate::{Charged, Client, Error, FirstLastFrame, Frame, TaskResult};

    /// Answers greetings with these in turn, and counts them.
    async fn server(answers: &'static [&'static [u8]]) -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("https://{}", listener.local_addr().expect("an address"));
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let answer = answers[count.fetch_add(1, Ordering::Relaxed) % answers.len()];
                tokio::spawn(async move {
                    let mut greeting = [0; 4096];
                    let _ = stream.read(&mut greeting).await;
                    let _ = stream.write_all(answer).await;
                    // Closed only when the answer was read; at once where there is none.
                    if !answer.is_empty() {
                        let _ = stream.read(&mut greeting).await;
                    }
                });
            }
        });
        (url, connections)
    }

    /// The alerts `handshake_failure` and `unknown_ca`, and a server that speaks no TLS.
    const REFUSALS: [&[u8]; 3] =
        [&[21, 3, 3, 0, 2, 2, 40], &[21, 3, 3, 0, 2, 2, 48], b"HTTP/1.1 400 Bad Request\r\n\r\n"];

    fn check(error: &Error, charged: Charged, sentence: &str) {
        assert!(error.is_tls() && !error.is_network(), "{error:?}");
        assert_eq!((error.is_charged(), error.to_string().as_str()), (charged, sentence));
    }

    #[tokio::test]
    async fn refused_tls_ends_everything_at_once() {
        let (url, connections) = server(&REFUSALS).await;
        let here = Client::builder("k").base_url(&url).build().expect("a client");
        // Each call makes one connection, and four calls are no multiple of three answers: every call sees every one.
        for round in 0..REFUSALS.len() {
            let tried = || connections.load(Ordering::Relaxed) - 4 * round;

            let frame = || Frame::from_url("https://example.com/a.png").expect("a URL");
            let error = here.submit(&FirstLastFrame::new(frame(), frame(), "dusk")).await.expect_err("no TLS");
            let why = format!("was not sent: the certificate or the TLS of {url} was refused.");
            check(&error, Charged::No, &format!("the submit {why} Nothing was charged."));
            assert_eq!(tried(), 1);

            let id = || "t".parse().expect("an id");
            let error = here.task(id()).wait().await.expect_err("no TLS");
            let why = why.trim_end_matches('.');
            check(&error, Charged::Unknown, &format!("the poll {why}"));
            let error = here.task(id()).accepted().wait().await.expect_err("no TLS");
            check(&error, Charged::Yes, &format!("the poll {why}"));
            assert_eq!(tried(), 3);

            let raw = json!({
                "task": { "status": "TASK_STATUS_SUCCEED" },
                "videos": [{ "video_url": format!("{url}/clip.mp4?signature=planted") }],
            });
            let raw = serde_json::from_value(raw).expect("a result");
            let result = TaskResult::new(&here, &id(), raw);
            let folder = tempfile::tempdir().expect("a folder");
            let error = result.videos()[0].download(folder.path().join("clip.mp4")).await.expect_err("no TLS");
            let why =
                format!("the certificate or the TLS of the file host {url}, or of one that it leads to, was refused.");
            let sentence = format!("{why} The video is paid for, and fetching it costs nothing more.");
            check(&error, Charged::Yes, &sentence);
            assert_eq!((error.is_download(), tried()), (true, 4));
            assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
        }
    }

    #[tokio::test]
    async fn a_connection_that_is_closed_is_no_refusal() {
        let (url, _) = server(&[b""]).await;
        let here = Client::builder("k").base_url(&url).build().expect("a client");
        let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
        let nobody = Client::builder("k").base_url(format!("https://{closed}")).build().expect("a client");
        for client in [here, nobody] {
            let error = client.task("t".parse().expect("an id")).poll().await.expect_err("no connection");
            assert!(error.is_network() && !error.is_tls(), "{error:?}");
        }
    }
}
