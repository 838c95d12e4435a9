//! The log: to standard error, so that standard output stays free for data.

use tracing_subscriber::EnvFilter;

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

/// Starts the log. `KENNEL_LOG` selects what is logged, in the syntax of tracing's filters; `level` is
/// the default.
pub fn start(level: &str, format: LogFormat) {
    let given = std::env::var("KENNEL_LOG").unwrap_or_default();
    let (filter, refused) = match EnvFilter::try_new(&given) {
        Ok(filter) if !given.is_empty() => (filter, None),
        Ok(_) => (EnvFilter::new(level), None),
        Err(error) => (EnvFilter::new(level), Some(error)),
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // An error means that the program which embeds us has its own log already.
    let _ = match format {
        LogFormat::Text => builder
            .with_target(false)
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if let Some(error) = refused {
        tracing::warn!(%error, "KENNEL_LOG is not a filter and is ignored; use a level, or TARGET=LEVEL");
    }
}
