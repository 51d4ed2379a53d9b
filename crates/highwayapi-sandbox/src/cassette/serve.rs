//! The small local server behind recording and replaying.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::error::Error;
use crate::hosts::{self, Hosts};
use crate::reachable;
use crate::server::{self, PATIENCE};

/// A listener and its address, before anything is served.
pub(crate) struct Place {
    listener: TcpListener,
    hosts: Arc<Hosts>,
    pub(crate) base_url: String,
}

impl Place {
    /// `allow_host` are names by which it may be called, too.
    pub(crate) async fn take(address: SocketAddr, allow_host: &[String]) -> Result<Self, Error> {
        let hosts = Arc::new(Hosts::new(address.ip(), None, allow_host)?);
        let failed = |e| Error::new(format!("cannot listen on {address}")).caused_by(e);
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let base_url = format!("http://{}", reachable(listener.local_addr().map_err(failed)?));
        Ok(Self { listener, hosts, base_url })
    }

    pub(crate) fn serve(self, routes: Router) -> Server {
        let (stop, stopped) = oneshot::channel::<()>();
        let routes = routes.layer(from_fn_with_state(self.hosts, hosts::layer));
        let server = server::serve(self.listener, routes, PATIENCE, Arc::default(), stopped);
        Server { base_url: self.base_url, _stop: stop, task: tokio::spawn(server) }
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
