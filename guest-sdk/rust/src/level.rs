//! How much a line of the log matters.

/// How much a line of the log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For the developer, while looking for a fault.
    Debug,
    /// What happened.
    Info,
    /// What the operator should look at some day.
    Warn,
    /// What the operator should look at now.
    Error,
}
