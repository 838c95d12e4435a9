//! Write a Kennel projection in Rust.
//!
//! A projection turns the events of a log into a read model: collections of JSON documents, by key.
//! Implement [`Projection`], name the type in [`export_projection!`], and build for wasm. This is a
//! whole projection:
//!
//! ```
//! use kennel_guest::prelude::*;
//!
//! #[derive(Default)]
//! struct Signups;
//!
//! impl Projection for Signups {
//!     fn descriptor(&self) -> Descriptor {
//!         Descriptor::new("signups", "1.0.0").event_types(["UserSignedUp"])
//!     }
//!
//!     fn handle(&self, event: &Event, model: &mut dyn ReadModel) -> Result<(), Failure> {
//!         let body: Value = event.json()?;
//!         let country = body["country"].as_str().unwrap_or("unknown");
//!         model.increment("countries", country, "signups", 1);
//!         Ok(())
//!     }
//! }
//!
//! export_projection!(Signups);
//! #
//! # fn main() {
//! #     kennel_guest::testing::Scenario::new(Signups)
//! #         .when(kennel_guest::testing::event("UserSignedUp").json(json!({"country": "NL"})))
//! #         .then_document("countries", "NL", json!({"signups": 1}));
//! # }
//! ```
//!
//! What lives where:
//!
//! - [`Projection`] and [`export_projection!`]: what a developer implements, and how it reaches the host;
//! - [`Event`] and [`Descriptor`]: what arrives, and what a projection asks to receive;
//! - [`Timestamp`]: when an event was written, in seconds, milliseconds and nanoseconds, and as text;
//! - [`Collection`]: columns and indexes of the documents, where they are declared;
//! - [`ReadModel`]: documents, typed (`get`, `put`, `update`, ...) and as text (`get_text`, ...);
//! - [`Failure`]: how to say no; `?` works on every error;
//! - [`log`] and [`config`]: the projection's log, and the settings the operator gave;
//! - [`testing`]: given/when/then, natively and without wasm.
//!
//! There is deliberately no clock, no randomness, no network and no state that outlives a call: a
//! replay of the log must give the same read model.

mod collection;
pub mod config;
mod descriptor;
mod event;
mod failure;
mod level;
pub mod log;
mod projection;
mod read_model;
#[doc(hidden)]
pub mod sys;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod timestamp;

pub use collection::{Collection, Column, ColumnType, Index};
pub use descriptor::{Descriptor, Partitioning};
pub use event::{Event, Payload};
pub use failure::Failure;
pub use projection::Projection;
pub use read_model::ReadModel;
pub use serde;
pub use serde_json::value::RawValue;
pub use serde_json::{self, Value, json};
pub use timestamp::{ParseTimestampError, Timestamp};

/// Everything that a projection usually needs: `use kennel_guest::prelude::*;`. To derive `Serialize` and `Deserialize`, the
/// crate `serde` has to be a dependency too.
pub mod prelude {
    pub use crate::{
        Collection, ColumnType, Descriptor, Event, Failure, Payload, Projection, RawValue, ReadModel,
        Timestamp, Value, config, export_projection, json, log,
    };
    pub use serde::{Deserialize, Serialize};
}

/// Keeps the README's projections compiling.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
