//! The connections of this process to its store, for operators who look for what it waits for.

use std::time::Duration;

/// How much of its connections a process uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionUsage {
    /// Most that it may have for its work.
    pub max: usize,
    /// Those that it has.
    pub open: usize,
    pub in_use: usize,
    /// Statements that wait for one.
    pub waiting: usize,
    /// How long the one that waits longest has waited.
    pub longest_wait: Duration,
    /// How often one was waited for, since the process began.
    pub waits: u64,
    /// How often the server denied one, since the process began.
    pub denied: u64,
    /// The message of the server, while it gives no more.
    pub denial: Option<String>,
}
