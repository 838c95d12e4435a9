//! The projection's log. The host adds projection, deployment and event; floods are cut.
//!
//! Each function takes anything that can be displayed: `log::info("done")`, or
//! `log::warn(format_args!("{} lines", n))`, which formats straight into the line.

use std::fmt::Display;

pub use crate::level::Level;
use crate::sys;

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
