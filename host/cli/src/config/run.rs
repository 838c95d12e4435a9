//! The section `[run]`: defaults for `kennel run`.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use kennel_core::limits;
use kennel_core::name::ReplicaSet;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::exit::ExitKind;
use crate::telemetry::LogFormat;

const MIB: usize = 1024 * 1024;

/// Defaults for `kennel run`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// Where /metrics, /healthz, /readyz and /v1 are served.
    #[serde(deserialize_with = "listen")]
    pub listen: Option<SocketAddr>,
    /// Workers in this process; by default one for each core.
    pub workers: Option<NonZeroUsize>,
    pub replica_set: Option<ReplicaSet>,
    pub log_format: Option<LogFormat>,
    /// How often a worker says that it is alive, in seconds.
    pub heartbeat_seconds: Option<NonZeroU32>,
    /// Seconds without a heartbeat after which a worker is taken for dead.
    pub stale_after_seconds: Option<NonZeroU32>,
    /// How much of its time a worker gives to building a read model beside the one that serves, in percent.
    #[serde(deserialize_with = "percent")]
    pub rebuild_percent: Option<u8>,
    /// Most connections of this process to a PostgreSQL server.
    #[serde(deserialize_with = "budget")]
    pub connections: Option<u32>,
    /// Memory that all batches of this process may take together, guests and documents, in MiB.
    #[serde(deserialize_with = "mebibytes")]
    pub memory_mib: Option<usize>,
}

impl RunConfig {
    /// The replica set that is meant: the one that was given, else the configured one, else `main`.
    #[must_use]
    pub fn replica_set(&self, given: Option<&ReplicaSet>) -> ReplicaSet {
        given.or(self.replica_set.as_ref()).cloned().unwrap_or_default()
    }

    /// How often a worker says that it is alive.
    #[must_use]
    pub fn heartbeat_interval(&self) -> Duration {
        seconds(self.heartbeat_seconds).unwrap_or(limits::HEARTBEAT_INTERVAL)
    }

    /// How much of its time a worker gives to building a read model: a share of 1.
    #[must_use]
    pub fn rebuild_share(&self) -> f64 {
        self.rebuild_percent.map_or(limits::REBUILD_SHARE, |percent| f64::from(percent) / 100.0)
    }

    /// Memory for all batches of this process together, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> Option<usize> {
        self.memory_mib.map(|mebibytes| mebibytes.saturating_mul(MIB))
    }

    /// The age of its last heartbeat at which a worker is taken for dead. All processes of a replica set
    /// should agree on it, since any of them may be the one that judges.
    pub fn stale_after(&self) -> anyhow::Result<Duration> {
        let (heartbeat, stale) = (self.heartbeat_interval(), seconds(self.stale_after_seconds));
        let stale = stale.unwrap_or(limits::STALE_AFTER);
        if stale < heartbeat * 2 {
            return Err(ExitKind::Config.error(format!(
                "a worker would be taken for dead after {} s without a heartbeat, and sends one every {} s: \
                 make `stale_after_seconds` at least twice `heartbeat_seconds`",
                stale.as_secs(),
                heartbeat.as_secs()
            )));
        }
        Ok(stale)
    }
}

fn seconds(given: Option<NonZeroU32>) -> Option<Duration> {
    given.map(|seconds| Duration::from_secs(u64::from(seconds.get())))
}

/// Reads an address to listen on.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "use an IP address and a port, such as 127.0.0.1:9090 or [::1]:9090".to_owned())
}

fn listen<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    address(&text).map(Some).map_err(D::Error::custom)
}

/// Most connections of a process that runs projections.
pub(crate) fn connections(given: i64) -> Result<u32, String> {
    let (min, max) = (limits::CONNECTIONS_MIN, limits::CONNECTIONS_MAX);
    u32::try_from(given).ok().filter(|given| (min..=max).contains(given)).ok_or_else(|| {
        format!(
            "a process that runs projections needs {min} to {max} connections, not {given}: on one it shows that it is alive, \
             on one it hears of new events, and the others do its work"
        )
    })
}

fn budget<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    connections(i64::deserialize(deserializer)?).map(Some).map_err(D::Error::custom)
}

fn mebibytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    const MIN: usize = limits::WORK_MEMORY_BYTES_MIN.div_ceil(MIB);
    let given = i64::deserialize(deserializer)?;
    match usize::try_from(given) {
        Ok(mebibytes) if mebibytes >= MIN => Ok(Some(mebibytes)),
        _ => Err(D::Error::custom(format!("batches need {MIN} MiB of memory at least, not {given}"))),
    }
}

fn percent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    match i64::deserialize(deserializer)? {
        percent @ 1..=100 => Ok(u8::try_from(percent).ok()),
        other => Err(D::Error::custom(format!("a share is 1 to 100 percent, not {other}"))),
    }
}
