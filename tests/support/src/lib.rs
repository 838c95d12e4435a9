//! What the tests of every crate may use: it stands on `kennel-core` alone, so that a crate under test is compiled once.
//! What needs the engine, a store or the command is in `kennel-tests`.
//!
//! | module | what lives there |
//! | --- | --- |
//! | [`conformance`] | what every store has to do, and the steps that tests of stores take |
//! | [`guests`] | components without wasm, and a runtime that makes them |
//! | [`postgres`] | a throw-away PostgreSQL cluster |
//! | [`samples`] | events, deployments and operations |

pub mod conformance;
pub mod guests;
pub mod postgres;
pub mod samples;
