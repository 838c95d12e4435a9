//! The store: kennel-core's ports over SQLite, PostgreSQL and memory. The one crate that knows SQL.
//!
//! | module | what lives there |
//! | --- | --- |
//! | [`url`], [`connect`](mod@connect) | store URLs, opening a store, and what can go wrong then |
//! | [`store`] | [`Store`]: the handle that implements all ports over either database |
//! | `event_source`, `read_model`, `registry`, `coordination` | the ports, one file each |
//! | `log_set_back` | logs that do not hold what checkpoints cover |
//! | `append` | which version an appended event gets: pure, shared by all three stores |
//! | `naming` | names of schemas and tables for read models: pure |
//! | `session`, `sql`, `error` | one way to speak to both databases; statements; errors sorted once |
//! | `backend/{sqlite,postgres}` | true differences only |
//! | `high_water_mark`, `gaps` | up to where a PostgreSQL log is complete, and which positions were gone past: pure |
//! | `notifications` | passing on notifications of new events |
//! | [`run_lock`] | one running process per SQLite file |
//! | [`limit`], `scratch` | for `kennel bench`: a hand-written loop to compare with, and a place to measure in |
//! | [`memory`] | the reference store: plain maps, for tests and simulation |
//!
//! Invariants: documents and checkpoints move in one transaction; every write that depends on
//! ownership is fenced by a generation; liveness is judged by the database's clock; rows of the event
//! log are never changed.

mod append;
mod backend;
pub mod connect;
mod coordination;
mod error;
mod event_source;
mod gaps;
mod high_water_mark;
pub mod limit;
mod log_set_back;
pub mod memory;
mod naming;
mod notifications;
mod positions;
mod read_model;
mod registry;
mod row;
pub mod run_lock;
mod scratch;
mod session;
mod sql;
pub mod store;
pub mod url;

pub use backend::sqlite::files::StoreLost;
pub use connect::{ConnectError, ConnectOptions, Mode, connect};
pub use run_lock::{RunLock, RunLockError};
pub use scratch::Scratch;
pub use sql::{EventTables, InvalidTableName, TableName};
pub use store::{Dialect, OpenStore, Store};
pub use url::{InvalidUrl, StoreUrl};
