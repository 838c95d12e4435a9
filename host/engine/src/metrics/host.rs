//! Faults of the host itself, by the part of it that had them.

use prometheus::IntCounterVec;

use super::Register;

/// The parts of a process that can fail by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostPart {
    /// Runs one projection on one partition.
    Runner,
    /// Watches the end of the log.
    HighWaterMark,
    /// Watches the deployments and loads components.
    Catalog,
    /// Registers the workers and agrees on generations.
    Coordinator,
    /// Cuts over to candidates and removes read models.
    CutoverController,
    /// Starts and stops runners.
    Supervisor,
    /// Reports the connections to the store.
    Connections,
    /// Answers a request.
    Http,
}

impl HostPart {
    /// Every part, so that the series exist from the start.
    pub const ALL: [Self; 8] = [
        Self::Runner,
        Self::HighWaterMark,
        Self::Catalog,
        Self::Coordinator,
        Self::CutoverController,
        Self::Supervisor,
        Self::Connections,
        Self::Http,
    ];

    /// The name used in metrics, in the status and in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Runner => "runner",
            Self::HighWaterMark => "high_water_mark",
            Self::Catalog => "catalog",
            Self::Coordinator => "coordination",
            Self::CutoverController => "cutover",
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
