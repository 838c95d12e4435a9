//! What the suites share. Tests state behaviour from outside: they run the real command on real stores.
//!
//! | module | what lives there |
//! | --- | --- |
//! | [`binary`] | runs the `kennel` command |
//! | [`components`] | the example guests, and components that are wrong on purpose |
//! | [`confined`] | a process that has only so much memory |
//! | [`database`] | SQL on the database of a store, whichever it is |
//! | [`disk`] | a small disk that can be filled |
//! | [`events`] | events as lines of JSON and as rows of the log |
//! | [`exactly_once`] | was every event handled exactly once and in order? |
//! | [`fixture`] | a store of either kind, the processes that run it, and several versions of one guest |
//! | [`http`] | plain requests |
//! | [`languages`] | the guests of all SDKs |
//! | [`load`] | events that are appended at a steady rate |
//! | [`metrics`] | a running process and what its `/metrics` says |
//! | [`programs`] | where servers are that tests start |
//! | [`prometheus`] | a throw-away Prometheus, and promtool |
//! | [`random`] | chance, from a seed |
//! | [`reader`] | an application that queries a read model all the time |
//! | [`registry`] | a throw-away registry of OCI artifacts |
//! | [`replicas`] | processes that share one database, watched with plain SQL |
//! | [`report`] | figures that a test prints |
//! | [`sim`] | whole engines in virtual time, with faults, from a seed |

pub mod binary;
pub mod components;
pub mod confined;
pub mod database;
pub mod disk;
pub mod events;
pub mod exactly_once;
pub mod fixture;
pub mod http;
pub mod languages;
pub mod load;
pub mod metrics;
pub mod programs;
pub mod prometheus;
pub mod random;
pub mod reader;
pub mod registry;
pub mod replicas;
pub mod report;
pub mod sim;
