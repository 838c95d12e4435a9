//! The projection's log. The host adds projection, deployment and event; floods are cut.
//!
//! Each function takes anything that can be displayed: `log::info("done")`, or
//! `log::warn(format_args!("{} lines", n))`, which formats straight into the line.

use std::fmt::Display;

use crate::sys;

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

/// Writes one line of the given level.
pub fn log(level: Level, message: impl Display) {
    sys::log(level, &message.to_string());
}

/// Writes a line for the developer, while looking for a fault.
pub fn debug(message: impl Display) {
    log(Level::Debug, message);
}

/// Writes a line that says what happened.
pub fn info(message: impl Display) {
    log(Level::Info, message);
}

/// Writes a line that the operator should look at some day.
pub fn warn(message: impl Display) {
    log(Level::Warn, message);
}

/// Writes a line that the operator should look at now.
pub fn error(message: impl Display) {
    log(Level::Error, message);
}
