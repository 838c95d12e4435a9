//! A program that measures nothing: no metric is registered, and no work is done for any.
//!
//! ```sh
//! cargo run -p embedding --bin disabled -- sqlite:shop.db target/guests/order-summary.wasm
//! ```

use embedding::{announce, arguments, end_requested};
use kennel::Orchestrator;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (store, component) = arguments()?;
    let orchestrator = Orchestrator::builder()
        .store(store)
        .projection_file("order-summary", component)
        .metrics_enabled(false)
        .build()
        .await?;
    announce(&format!("{} metrics registered", prometheus::gather().len()));
    orchestrator.run(end_requested()).await?;
    Ok(())
}
