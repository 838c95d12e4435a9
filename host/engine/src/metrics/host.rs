//! Faults of the host itself, by the part of it that had them.

use prometheus::IntCounterVec;

use super::Register;

/// The parts of a process that can fail by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostPart {
    /// What runs one projection on one partition.
    Runner,
    /// What watches the end of the log.
    Horizon,
    /// What watches the deployments and loads components.
    Catalog,
    /// What registers the workers and agrees on generations.
    Coordinator,
    /// What puts read models in place and removes others.
    Steward,
    /// What starts and stops runners.
    Supervisor,
    /// What tells of the connections to the store.
    Connections,
    /// What answers a request.
    Http,
}

impl HostPart {
    /// Every part, so that the series exist from the start.
    pub const ALL: [Self; 8] = [
        Self::Runner,
        Self::Horizon,
        Self::Catalog,
        Self::Coordinator,
        Self::Steward,
        Self::Supervisor,
        Self::Connections,
        Self::Http,
    ];

    /// The word used in metrics, in the status and in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Runner => "runner",
            Self::Horizon => "horizon",
            Self::Catalog => "catalog",
            Self::Coordinator => "coordination",
            Self::Steward => "steward",
            Self::Supervisor => "supervisor",
            Self::Connections => "connections",
            Self::Http => "http",
        }
    }
}

pub(super) fn faults(register: &Register<'_>) -> Result<IntCounterVec, prometheus::Error> {
    register.counter(
        "kennel_host_faults_total",
        "Panics of parts of this process, each a bug of Kennel; the part begins again after a pause.",
        &["replica_set", "part"],
    )
}
