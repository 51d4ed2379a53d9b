//! Serves until it is interrupted: `cargo run -p highwayapi-sandbox --example serve [ADDRESS:PORT]`.

use std::net::SocketAddr;

use highwayapi_sandbox::Sandbox;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = Sandbox::builder();
    if let Some(address) = std::env::args().nth(1) {
        builder = builder.listen(address.parse::<SocketAddr>()?);
    }
    let mut sandbox = builder.start().await?;
    println!("{}", sandbox.base_url());
    tokio::select! {
        ended = sandbox.stopped() => ended?,
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    // Removes the clips.
    sandbox.stop().await;
    // A clip that is still being rendered is not waited for.
    std::process::exit(0)
}
