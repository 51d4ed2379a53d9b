//! Accepts connections and speaks HTTP on them, with bounds for clients that are slow or many.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Method, header};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::patience::{PatientBody, PatientStream};
use crate::wire::{Delivery, deliver};

/// Connections at once; more wait until one ends.
const MAX_CONNECTIONS: usize = 1024;

/// From here on a connection ends with its answer, so that idle ones keep nobody out.
const CROWDED: usize = MAX_CONNECTIONS / 4 * 3;

/// Bytes of a request's head.
const MAX_HEAD: usize = 64 << 10;

/// Pause where the system has no connection to give, such as for want of files.
const BREATH: Duration = Duration::from_millis(50);

/// How long a client may keep it waiting, unless something else is said.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Serves until `stop`, and returns when the answers on their way have left. `patience` is for how long a client may keep
/// it waiting, `open` tells how many connections there are.
pub(crate) async fn serve(
    listener: TcpListener,
    api: Router,
    patience: Duration,
    open: Arc<AtomicUsize>,
    mut stop: oneshot::Receiver<()>,
) -> io::Result<()> {
    let (closing, closed) = watch::channel(());
    let mut connections = JoinSet::new();
    loop {
        open.store(connections.len(), Ordering::Relaxed);
        tokio::select! {
            _ = &mut stop => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    let crowded = connections.len() > CROWDED;
                    connections.spawn(connection(stream, api.clone(), patience, crowded, closed.clone()));
                }
                Err(_) => sleep(BREATH).await,
            },
        }
    }
    drop((listener, closing));
    while connections.join_next().await.is_some() {}
    Ok(())
}

async fn connection(
    stream: TcpStream,
    api: Router,
    patience: Duration,
    crowded: bool,
    mut closing: watch::Receiver<()>,
) {
    // Without it small answers wait for the client's acknowledgement. That it may fail matters not.
    let _ = stream.set_nodelay(true);
    let (staged, mut stage) = mpsc::channel(1);
    let api = TowerToHyperService::new(api);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let bare = request.method() == Method::HEAD;
        let answer = api.call(request.map(|body| Body::new(PatientBody::new(body, patience))));
        let staged = staged.clone();
        async move {
            let mut response = answer.await?;
            if let Some(delivery) = response.extensions_mut().remove::<Delivery>() {
                // From here on the connection is no longer HTTP's: this future is never woken again.
                let _ = staged.send((response, delivery, bare)).await;
                return pending::<Result<Response, Infallible>>().await;
            }
            if crowded {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response)
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(patience).max_header_size(MAX_HEAD);
    let mut http = builder.serve_connection(TokioIo::new(PatientStream::new(stream, patience)), service);
    let mut is_closing = false;
    let (response, delivery, bare) = loop {
        tokio::select! {
            _ = &mut http => return,
            Some(performance) = stage.recv() => break performance,
            _ = closing.changed(), if !is_closing => {
                is_closing = true;
                std::pin::Pin::new(&mut http).graceful_shutdown();
            }
        }
    };
    let stream = http.into_parts().io.into_inner();
    // Whatever breaks here breaks because somebody went away.
    tokio::select! {
        _ = deliver(stream, response, delivery, bare) => {}
        _ = closing.changed() => {}
    }
}
