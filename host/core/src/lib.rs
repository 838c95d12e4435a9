//! Types, rules and ports of Kennel. Synchronous and free of I/O: everything here can be tested without a database, a
//! guest or a clock.
//!
//! | module | content |
//! | --- | --- |
//! | [`position`], [`event`], [`timestamp`] | the event log: positions, events and their times, what a writer appends |
//! | [`name`], [`digest`] | validated names and content digests |
//! | [`named`] | enums whose variants have one name each |
//! | [`projection`] | descriptors, settings and deployments |
//! | [`collection`] | the columns and indexes that a component declares |
//! | [`grant`] | what a guest can do only if the operator allows it |
//! | [`lifecycle`] | the history of a projection: what serves, the candidate, what may happen next |
//! | [`condition`] | what keeps a deployment from making progress although no event failed |
//! | [`partition`] | the fixed hash rule, hash ranges, partitions |
//! | [`checkpoint`] | how far each range of the hash space has been handled: claim, merge |
//! | [`witness`] | the last event that a checkpoint covers, and logs that were set back |
//! | [`change`] | what a guest asks of a read model, folded into one change per document |
//! | [`document`] | which JSON both databases take and give back |
//! | `increment` | adds to a field of a document and leaves every other byte of it alone |
//! | [`failure`], [`retry`] | why an event was not handled, and what to do then |
//! | [`random`] | the one pseudo-random generator |
//! | [`membership`], [`plan`] | workers and generations; members in, next generation out |
//! | [`limits`] | every bound, in one place |
//! | [`text`] | text of others made safe to show, amounts as people write them |
//! | [`port`] | what the engine needs of a store and of a runtime |
//!
//! Invariants: nothing here names a database, a wasm engine or an async runtime. The ports are async
//! traits because their implementations wait, but no code in this crate ever does.

pub mod change;
pub mod checkpoint;
pub mod collection;
pub mod condition;
pub mod digest;
pub mod document;
pub mod event;
pub mod failure;
pub mod grant;
mod increment;
pub mod lifecycle;
pub mod limits;
pub mod membership;
pub mod name;
pub mod named;
pub mod partition;
pub mod plan;
pub mod port;
pub mod position;
pub mod projection;
pub mod random;
pub mod retry;
pub mod text;
pub mod timestamp;
pub mod witness;
