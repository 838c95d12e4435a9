//! The section `[run]`: defaults for `kennel run`.

use std::net::SocketAddr;

use serde::Deserialize;

use crate::telemetry::LogFormat;

/// Defaults for `kennel run`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// Where /metrics, /healthz and /readyz are served.
    pub listen: Option<SocketAddr>,
    /// Lanes of execution in this process.
    pub workers: Option<usize>,
    pub replica_set: Option<String>,
    pub log_format: Option<LogFormat>,
}
