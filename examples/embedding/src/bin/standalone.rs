//! A program that serves nothing itself: Kennel's own server gives Prometheus something to scrape.
//!
//! ```sh
//! cargo run -p embedding --bin standalone -- sqlite:shop.db target/guests/order-summary.wasm
//! ```

use embedding::{announce, arguments, end_requested};
use kennel::Orchestrator;
use kennel_server::metrics::Server;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (store, component) = arguments()?;
    let orchestrator =
        Orchestrator::builder().store(store).projection_file("order-summary", component).build().await?;
    // Port 0 takes any that is free; a real program would name one.
    let server = Server::new(([127, 0, 0, 1], 0)).start().await?;
    announce(&format!("http://{}/metrics", server.address()));
    orchestrator.run(end_requested()).await?;
    server.shutdown().await;
    Ok(())
}
