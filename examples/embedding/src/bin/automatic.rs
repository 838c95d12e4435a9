//! A service that serves prometheus' default registry already: Kennel's metrics are there without its doing
//! anything.
//!
//! ```sh
//! cargo run -p embedding --bin automatic -- sqlite:shop.db target/guests/order-summary.wasm
//! ```

use axum::Router;
use axum::routing::get;
use embedding::{announce, arguments, end_requested};
use kennel::Orchestrator;
use prometheus::TextEncoder;
use tokio::net::TcpListener;

/// What the service had before it ran projections: its own endpoints, and its metrics.
fn service() -> Router {
    Router::new().route("/", get(|| async { "A shop.\n" })).route(
        "/metrics",
        get(|| async { TextEncoder::new().encode_to_string(&prometheus::gather()).unwrap_or_default() }),
    )
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (store, component) = arguments()?;
    let orders = prometheus::register_int_counter!("shop_orders_total", "Orders that the shop has taken.")?;
    orders.inc();
    let orchestrator =
        Orchestrator::builder().store(store).projection_file("order-summary", component).build().await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    announce(&format!("http://{}/metrics", listener.local_addr()?));
    tokio::spawn(axum::serve(listener, service()).into_future());
    orchestrator.run(end_requested()).await?;
    Ok(())
}
