//! What the tests of every crate may use: it stands on `kennel-core` alone, so that a crate under test is compiled once.
//! What needs the engine, a store or the command is in `kennel-tests`.
//!
//! | module | what lives there |
//! | --- | --- |
//! | [`conformance`] | what every store has to do, and events, deployments and batches to try it with |
//! | [`guests`] | components without wasm, and a runtime that makes them |
//! | [`postgres`] | a throw-away PostgreSQL cluster |

pub mod conformance;
pub mod guests;
pub mod postgres;
