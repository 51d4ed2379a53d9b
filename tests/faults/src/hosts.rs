//! Hosts that are none of the service's: one that must never see the key, one whose certificate nobody trusts.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::Result;
use crate::http::{Answer, Head};

/// Answers everything with a video that is none, and notes who comes.
pub(crate) struct Stranger {
    url: String,
    visits: Arc<AtomicUsize>,
    keys: Arc<AtomicUsize>,
}

impl Stranger {
    pub(crate) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (visits, keys) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let (visited, keyed) = (Arc::clone(&visits), Arc::clone(&keys));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                visited.fetch_add(1, Ordering::Relaxed);
                let mut stream = BufReader::new(stream);
                if let Ok(Some(head)) = Head::read(&mut stream).await {
                    keyed.fetch_add(head.header("authorization").is_some().into(), Ordering::Relaxed);
                }
                let answer = Answer::new("200 OK").header("content-type", "text/html").body("<html>hello</html>");
                let _ = stream.write_all(&[answer.head(), answer.body].concat()).await;
            }
        });
        Ok(Self { url, visits, keys })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Visits since the last time, and how many came with a key.
    pub(crate) fn take(&self) -> (usize, usize) {
        (self.visits.swap(0, Ordering::Relaxed), self.keys.swap(0, Ordering::Relaxed))
    }
}

/// Listens with a certificate of its own making; the address.
pub(crate) async fn self_signed() -> Result<String> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("https://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            // That it fails is what it is for.
            tokio::spawn(async move { drop(acceptor.accept(stream).await) });
        }
    });
    Ok(url)
}
