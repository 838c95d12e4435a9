//! The section `[run]`: defaults for `kennel run`.

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use kennel_core::name::ReplicaSet;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::telemetry::LogFormat;

/// Defaults for `kennel run`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// Where /metrics, /healthz and /readyz are served.
    #[serde(deserialize_with = "listen")]
    pub listen: Option<SocketAddr>,
    /// Lanes of execution in this process.
    pub workers: Option<NonZeroUsize>,
    pub replica_set: Option<ReplicaSet>,
    pub log_format: Option<LogFormat>,
}

/// Reads an address to listen on.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "use an IP address and a port, such as 127.0.0.1:9090 or [::1]:9090".to_owned())
}

fn listen<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    address(&text).map(Some).map_err(D::Error::custom)
}
