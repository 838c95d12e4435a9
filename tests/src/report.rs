//! Figures that a test prints, also where the output of tests that pass is hidden.

use std::fmt::Display;
use std::io::Write as _;

/// Prints a line.
///
/// # Panics
///
/// If standard output takes nothing.
pub fn line(text: impl Display) {
    // Past the capture of the test harness, which sees what the macros print and no more.
    writeln!(std::io::stdout().lock(), "{text}").expect("standard output takes a line");
}
