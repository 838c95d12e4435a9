//! What the suites share. Tests state behaviour from outside: they run the real command on real stores.
//!
//! | module | what lives there |
//! | --- | --- |
//! | [`audit`] | was every event handled exactly once and in order? |
//! | [`binary`] | runs the `kennel` command |
//! | [`components`] | the example guests, and components that are wrong on purpose |
//! | [`events`] | events as lines of JSON |
//! | [`metrics`] | a running process and what its `/metrics` says |
//! | [`postgres`] | a throw-away PostgreSQL cluster |
//! | [`prometheus`] | a throw-away Prometheus, and promtool |
//! | [`random`] | chance, from a seed |
//! | [`replicas`] | processes that share one database, watched with plain SQL |
//! | [`sim`] | whole engines in virtual time, with faults, from a seed |

pub mod audit;
pub mod binary;
pub mod components;
pub mod events;
pub mod metrics;
pub mod postgres;
pub mod prometheus;
pub mod random;
pub mod replicas;
pub mod sim;
