//! The log: to standard error, so that standard output stays free for data.
//!
//! Fields may quote guests, events and files. As text each entry is one line, in which whatever is unsafe to show is
//! escaped; as JSON they are exact, with JSON's escapes for the same.

use std::fmt::Debug;
use std::io::{self, Write};

use kennel_core::text::{escaped, safe_json};
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for log collectors.
    Json,
}

/// Starts the log. `KENNEL_LOG` selects the entries, in the syntax of tracing's filters; `level` is
/// the default.
pub fn start(level: &str, format: LogFormat) {
    let given = std::env::var("KENNEL_LOG").unwrap_or_default();
    let (filter, rejected) = match EnvFilter::try_new(&given) {
        Ok(filter) if !given.is_empty() => (filter, None),
        Ok(_) => (EnvFilter::new(level), None),
        Err(error) => (EnvFilter::new(level), Some(error)),
    };
    // An entry that cannot be written is lost. By default the error would be printed to the same place, which panics.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    // An error means that the program which embeds us has its own log already.
    let _ = match format {
        LogFormat::Text => builder
            .with_target(false)
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .fmt_fields(debug_fn(field).delimited(" "))
            .try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_writer(|| Json(io::stderr())).try_init(),
    };
    if let Some(error) = rejected {
        tracing::warn!(%error, "KENNEL_LOG is not a filter and is ignored; use a level, or TARGET=LEVEL");
    }
}

/// Writes a field of an entry.
fn field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    let value = format!("{value:?}");
    let value = escaped(&value);
    match (field.name().trim_start_matches("r#"), writer.has_ansi_escapes()) {
        ("message", _) => write!(writer, "{value}"),
        // The name slanted, the sign faint.
        (name, true) => write!(writer, "\u{1b}[3m{name}\u{1b}[0m\u{1b}[2m=\u{1b}[0m{value}"),
        (name, false) => write!(writer, "{name}={value}"),
    }
}

/// Entries on their way to a stream, each whole.
struct Json<W>(W);

impl<W: Write> Write for Json<W> {
    fn write(&mut self, entry: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(entry) {
            Ok(text) => self.0.write_all(safe_json(text).as_bytes())?,
            Err(_) => self.0.write_all(entry)?,
        }
        Ok(entry.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no thread panics").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Written {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().expect("no thread panics").clone()).expect("text")
        }
    }

    const FOREIGN: &str = "a\n2026 ERROR b\u{1b}[2J\u{9b}c\u{202e}d\u{2028}";

    fn log() {
        tracing::warn!(reason = %FOREIGN, quoted = FOREIGN, "said {FOREIGN}");
    }

    #[test]
    fn an_entry_of_text_is_one_line_that_does_nothing() {
        let written = Written::default();
        let writer = written.clone();
        let text = tracing_subscriber::fmt()
            .without_time()
            .with_target(false)
            .with_ansi(false)
            .fmt_fields(debug_fn(field).delimited(" "))
            .with_writer(move || writer.clone());
        tracing::subscriber::with_default(text.finish(), log);
        let shown = "a\\n2026 ERROR b\\u{1b}[2J\\u{9b}c\\u{202e}d\\u{2028}";
        assert_eq!(written.text(), format!(" WARN said {shown} reason={shown} quoted=\"{shown}\"\n"));
    }

    #[test]
    fn an_entry_of_json_is_exact() {
        let written = Written::default();
        let writer = written.clone();
        let json = tracing_subscriber::fmt().json().flatten_event(true);
        let json = json.with_writer(move || Json(writer.clone()));
        tracing::subscriber::with_default(json.finish(), log);
        let text = written.text();
        assert!(!text.trim_end().chars().any(kennel_core::text::is_unsafe), "{text:?}");
        let entry: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(entry["reason"], FOREIGN);
        assert_eq!(entry["message"], format!("said {FOREIGN}"));
    }
}
