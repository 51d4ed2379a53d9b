//! What can be typed after `highway sandbox`.

use std::net::SocketAddr;

#[derive(clap::Args, Debug)]
pub(crate) struct Serve {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:4310")]
    pub(crate) listen: SocketAddr,
    /// What result links begin with, where clients reach the sandbox by another address than its own
    #[arg(long, value_name = "URL")]
    pub(crate) public_url: Option<String>,
    /// Lets the sandbox fetch frames from this host, or host:port; may be given more than once
    #[arg(long, value_name = "HOST")]
    pub(crate) allow_fetch: Vec<String>,
    #[command(flatten)]
    pub(crate) clockwork: Clockwork,
    #[command(flatten)]
    pub(crate) faults: FaultFlags,
    #[command(flatten)]
    pub(crate) recording: Recording,
    /// Prints one JSON object with the address and the key instead of a text
    #[arg(long)]
    pub(crate) json: bool,
}

/// How the sandbox runs: its seed, its time, what it keeps and how strict it is.
#[derive(clap::Args, Debug)]
pub(crate) struct Clockwork {}

/// What shall go wrong.
#[derive(clap::Args, Debug)]
pub(crate) struct FaultFlags {}

/// What is recorded from the real service, or replayed in its place.
#[derive(clap::Args, Debug)]
pub(crate) struct Recording {}
