//! The small local server behind recording and replaying.

use std::future::IntoFuture;
use std::net::SocketAddr;

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::error::Error;
use crate::reachable;

/// A listener and its address, before anything is served.
pub(crate) struct Place {
    listener: TcpListener,
    pub(crate) base_url: String,
}

impl Place {
    pub(crate) async fn take(address: SocketAddr) -> Result<Self, Error> {
        let failed = |e| Error::new(format!("cannot listen on {address}")).caused_by(e);
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let base_url = format!("http://{}", reachable(listener.local_addr().map_err(failed)?));
        Ok(Self { listener, base_url })
    }

    pub(crate) fn serve(self, routes: Router) -> Server {
        let (stop, stopped) = oneshot::channel::<()>();
        // As the sandbox itself does.
        let listener = self.listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let server = axum::serve(listener, routes).with_graceful_shutdown(async { drop(stopped.await) });
        Server { base_url: self.base_url, _stop: stop, task: tokio::spawn(server.into_future()) }
    }
}

/// Serves until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) base_url: String,
    _stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// Returns only if it ceases by itself.
    pub(crate) async fn stopped(&mut self) -> Result<(), Error> {
        match (&mut self.task).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) => Err(Error::new("it can serve no longer").caused_by(e)),
            Err(e) => Err(Error::new("it ceased to serve").caused_by(e)),
        }
    }
}
