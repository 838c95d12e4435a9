//! How commands print: data to standard output, everything else to standard error.
//!
//! The only place that writes to the standard streams.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use anyhow::Context as _;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kennel_core::text::{escaped, indented, safe_json};
use serde::Serialize;

/// Prints a line of data, or one with others below it. Documents and messages of guests may hold what has a terminal do
/// things, or what passes for another line: here it only shows.
pub(super) fn line(text: impl AsRef<str>) -> anyhow::Result<()> {
    lines(&format!("{}\n", indented(text.as_ref())))
}

/// Prints lines of data that are safe to show.
pub(super) fn lines(text: &str) -> anyhow::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        // A reader that has gone away (`| head`) ends the command quietly.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        result => result.context("cannot write to standard output"),
    }
}

/// Prints JSON: exactly what it says, with escapes for control sequences of terminals.
pub(super) fn raw_json(text: &str) -> anyhow::Result<()> {
    lines(&safe_json(text))
}

/// As many digits of a digest as distinguish it from others. A host may have sent anything.
pub(super) fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

/// Prints a value as JSON, indented.
pub(super) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    raw_json(&format!("{}\n", serde_json::to_string_pretty(value)?))
}

/// Prints a value as JSON on a line of its own.
pub(super) fn json_line(value: &impl Serialize) -> anyhow::Result<()> {
    raw_json(&format!("{}\n", serde_json::to_string(value)?))
}

/// Prints a table without rules.
pub(super) fn table(header: &[&str], rows: Vec<Vec<String>>) -> anyhow::Result<()> {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header);
    table.add_rows(rows.iter().map(|row| row.iter().map(|cell| escaped(cell))));
    let text = table.to_string();
    text.lines().try_for_each(|row| line(row.trim_end()))
}

/// A time of RFC 3339 to the second, without its zone.
pub(super) fn seconds_of(timestamp: &str) -> String {
    timestamp.chars().take("2026-01-01T00:00:00".len()).collect()
}

/// Prints a message for the person at the terminal that is not data.
pub(super) fn note(text: impl AsRef<str>) {
    // Nothing sensible is left to do when even standard error is gone.
    let _ = writeln!(io::stderr().lock(), "{}", indented(text.as_ref()));
}

/// Prints an error with its causes.
pub(super) fn error(error: &anyhow::Error) {
    note(format!("error: {}", chain(error)));
}

/// An error and its causes in one line. Some libraries repeat the cause in their own message, so a cause
/// that has just been said is left out.
pub(super) fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// A progress bar on standard error, invisible where that is not a terminal.
pub(super) fn progress(label: &str, length: Option<u64>) -> ProgressBar {
    let target =
        if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(length, target);
    bar.set_style(style(length.is_some()));
    bar.set_prefix(escaped(label).into_owned());
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// A progress bar for bytes, whose number is not known yet.
pub(super) fn transfer(label: &str) -> ProgressBar {
    let bar = progress(label, Some(0));
    let template = "{prefix:16} {bar:30} {bytes:>11}/{total_bytes} {bytes_per_sec:>14}";
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// How progress bars look.
pub(super) fn style(bounded: bool) -> ProgressStyle {
    let template = if bounded {
        "{prefix:16} {bar:30} {human_pos:>9}/{human_len} {per_sec:>14} {msg}"
    } else {
        "{prefix:16} {spinner} {human_pos:>9} {per_sec:>14} {msg}"
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A number with commas between the thousands.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let error =
            anyhow::anyhow!("timed out").context("connecting: timed out").context("the store is away");
        assert_eq!(chain(&error), "the store is away: connecting: timed out");
    }

    #[test]
    fn thousands_are_set_apart() {
        let shown = [0, 999, 1_000, 1_234_567].map(thousands);
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
    }
}
