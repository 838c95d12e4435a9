//! Kennel: runs event-sourcing projections as sandboxed WebAssembly components, inside another program.
//!
//! An [`Orchestrator`] opens a store, loads the components that are deployed there, and runs them until it is asked to
//! stop. [`Orchestrator::control`] has the operations on projections, while it runs and without it.
//!
//! ```
//! use kennel::{Control as _, Orchestrator};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = std::env::temp_dir().join(format!("kennel-example-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! let file = folder.join("shop.db");
//! let orchestrator = Orchestrator::builder()
//!     .store(format!("sqlite:{}", file.display()))
//!     // .projection_file("order-summary", "order_summary.wasm") deploys a component, unless it serves already.
//!     .workers(1)
//!     .build()
//!     .await?;
//!
//! let control = orchestrator.control();
//! assert!(control.projections().await?.is_empty(), "nothing is deployed to a new store");
//!
//! // Works until this future resolves: Ctrl-C in a program, at once here.
//! orchestrator.run(std::future::ready(())).await?;
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok(()) }
//! ```
//!
//! | module | what lives there |
//! | --- | --- |
//! | [`orchestrator`] | the workers of this process |
//! | [`control`] | operations on projections |
//! | [`settings`] | what the operator sets for a projection |
//! | [`activate`] | has a projection run a component that a program brings with it |
//! | [`rehearsal`] | a component on given events, without a store |
//! | [`wire`] | the only place that names concrete stores and runtimes |
//! | [`json`] | how the bodies of operations are read |
//!
//! It neither parses a command line nor serves HTTP: `kennel_server` serves its operations and metrics, and `kennel_cli`
//! is the `kennel` command.

pub mod activate;
pub mod control;
pub mod json;
pub mod orchestrator;
pub mod rehearsal;
pub mod settings;
pub mod wire;

pub use control::{Control, ControlError};
pub use kennel_engine::Metrics;
pub use orchestrator::{Orchestrator, OrchestratorError};
