//! The store: kennel-core's ports over SQLite, PostgreSQL and memory. The one crate that knows SQL.
//!
//! | module | what lives there |
//! | --- | --- |
//! | [`url`], [`opening`], [`connect`](mod@connect) | store URLs; options, and what can go wrong; opening a store |
//! | [`store`] | [`Store`], the handle, and the ports over either database, written once: `event_source`, `read_model`, `registry`, `coordination`, `log_set_back` |
//! | `backend` | what truly differs: the traits that the shared store is written over, and `sqlite` and `postgres`, which implement them |
//! | `session`, `row`, `error` | one way to speak to both databases; rows to core types; errors sorted once |
//! | `sql` | statements, those of one database alone in the folder of its name |
//! | `append` | which version an appended event gets: pure, shared by all three stores |
//! | `naming` | names of schemas and tables for read models: pure |
//! | `high_water_mark`, `gaps` | up to where a PostgreSQL log is complete, and which positions were gone past: pure |
//! | `notifications` | passing on notifications of new events |
//! | [`run_lock`] | one running process per SQLite file |
//! | [`limit`], `scratch` | for `kennel bench`: a hand-written loop to compare with, and a place to measure in |
//! | [`memory`] | the reference store: plain maps, for tests and simulation |
//!
//! Modules import each other downwards only, from `connect` over `store` to `backend`, and from there to all that these
//! share. Which database it is, is decided once, in `connect`; below it, the code of each database is compiled for it.
//!
//! Invariants: documents and checkpoints move in one transaction; every write that depends on
//! ownership is fenced by a generation; liveness is judged by the database's clock; rows of the event
//! log are never changed.

mod append;
mod backend;
pub mod connect;
mod error;
mod gaps;
mod high_water_mark;
pub mod limit;
pub mod memory;
mod naming;
mod notifications;
pub mod opening;
mod row;
pub mod run_lock;
mod scratch;
mod session;
mod sql;
pub mod store;
pub mod url;

pub use backend::Dialect;
pub use connect::connect;
pub use opening::{ConnectError, ConnectOptions, Mode, StoreLost};
pub use run_lock::{RunLock, RunLockError};
pub use scratch::Scratch;
pub use sql::{EventTables, InvalidTableName, TableName};
pub use store::{OpenStore, Store};
pub use url::{InvalidUrl, StoreUrl};
