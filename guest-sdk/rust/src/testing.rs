//! Test a projection natively, without wasm and without a host.
//!
//! ```
//! use kennel_guest::prelude::*;
//! use kennel_guest::testing::{Scenario, event};
//!
//! #[derive(Default)]
//! struct Stock;
//!
//! impl Projection for Stock {
//!     fn descriptor(&self) -> Descriptor {
//!         Descriptor::new("stock", "1.0.0").event_types(["GoodsReceived", "GoodsSold"])
//!     }
//!
//!     fn handle(&self, event: &Event, model: &mut dyn ReadModel) -> Result<(), Failure> {
//!         let pieces: i64 = event.json()?;
//!         let pieces = if event.event_type == "GoodsSold" { -pieces } else { pieces };
//!         model.increment("stock", &event.aggregate_id, "pieces", pieces);
//!         Ok(())
//!     }
//! }
//!
//! Scenario::new(Stock)
//!     .given(event("GoodsReceived").of("apple").json(10))
//!     .when(event("GoodsSold").of("apple").json(3))
//!     .then_document("stock", "apple", json!({"pieces": 7}))
//!     .when(event("GoodsSold").of("apple").json("three"))
//!     .then_rejects("expected i64")
//!     .then_document("stock", "apple", json!({"pieces": 7}));
//! ```
//!
//! What the host does is done here too: events out of scope do not arrive, the changes of a failed event
//! are undone, and a call that breaks a bound ends the handler. What only wasm has is not here: limits
//! of time and memory.

mod event_builder;
mod memory;
mod scenario;

pub use event_builder::{EventBuilder, event};
pub use memory::MemoryReadModel;
pub use scenario::Scenario;
