//! Serves until it is ended: `cargo run -p highwayapi-sandbox --example serve [ADDRESS:PORT]`.

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
    Ok(sandbox.stopped().await?)
}
