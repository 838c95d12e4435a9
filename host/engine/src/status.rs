//! The parts of this process that are blocked, and why: the source of `/readyz`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kennel_core::lifecycle::Role;
use kennel_core::membership::WorkerId;
use kennel_core::name::ProjectionName;

use crate::metrics::HostPart;

/// A part of this process that can be blocked. As text it is what `/readyz` shows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The files of the store.
    Store,
    /// Keeps the workers registered.
    Coordination,
    /// Watches the end of the log.
    HighWaterMark,
    /// Watches the connections to the store.
    Connections,
    /// Watches the active deployments.
    Catalog,
    /// The start of a projection, whose component is being loaded.
    Start(ProjectionName),
    /// A projection whose component cannot be loaded.
    Projection(ProjectionName),
    /// The work of a deployment on the partition that begins at this point of the hash space.
    Runner { role: Role, projection: ProjectionName, from: u64 },
    /// A part that panics.
    Fault(FaultyPart),
}

/// A part of the host that can panic by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultyPart {
    /// One that each process has once.
    Host(HostPart),
    /// The runners of a worker for a projection.
    Runner { projection: ProjectionName, worker: WorkerId },
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store => f.write_str("store"),
            Self::Coordination => f.write_str("coordination"),
            Self::HighWaterMark => f.write_str("high_water_mark"),
            Self::Connections => f.write_str("connections"),
            Self::Catalog => f.write_str("catalog"),
            Self::Start(projection) => write!(f, "start of {projection}"),
            Self::Projection(projection) => write!(f, "projection {projection}"),
            Self::Runner { role: Role::Serving, projection, from } => {
                write!(f, "projection {projection} from {from:08x}")
            }
            Self::Runner { role: Role::Candidate, projection, from } => {
                write!(f, "rebuild of {projection} from {from:08x}")
            }
            Self::Fault(part) => write!(f, "{part} (fault)"),
        }
    }
}

impl FaultyPart {
    /// What counts its faults.
    #[must_use]
    pub const fn host_part(&self) -> HostPart {
        match self {
            Self::Host(part) => *part,
            Self::Runner { .. } => HostPart::Runner,
        }
    }
}

impl fmt::Display for FaultyPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(part) => f.write_str(part.as_str()),
            Self::Runner { projection, worker } => write!(f, "projection {projection} on worker {worker}"),
        }
    }
}

/// The parts that are blocked. Each part of the engine owns its own entry.
#[derive(Debug, Default)]
pub struct Status {
    blocked: Mutex<BTreeMap<Part, String>>,
}

impl Status {
    /// A process that has not begun: it is not ready before it has agreed on a generation.
    #[must_use]
    pub fn starting() -> Self {
        let status = Self::default();
        status.block(Part::Coordination, "the workers have not joined a generation yet");
        status
    }

    /// Records that `part` is blocked, and why.
    pub fn block(&self, part: Part, reason: impl Into<String>) {
        self.lock().insert(part, reason.into());
    }

    /// Records that nothing blocks `part`.
    pub fn clear(&self, part: &Part) {
        self.lock().remove(part);
    }

    /// Everything that is blocked: part and reason.
    #[must_use]
    pub fn blocked(&self) -> BTreeMap<Part, String> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Part, String>> {
        self.blocked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use kennel_core::partition::HashRange;

    use super::*;

    #[test]
    fn each_part_has_one_name_of_its_own() {
        let ledger: ProjectionName = "ledger".parse().unwrap();
        let worker = crate::Entropy::from_seed(1).worker_id();
        let from = HashRange::of_partition(1, 2).start();
        let runner = |role| Part::Runner { role, projection: ledger.clone(), from };
        let parts = [
            (Part::Store, "store".to_owned()),
            (Part::Coordination, "coordination".to_owned()),
            (Part::HighWaterMark, "high_water_mark".to_owned()),
            (Part::Connections, "connections".to_owned()),
            (Part::Catalog, "catalog".to_owned()),
            (Part::Start(ledger.clone()), "start of ledger".to_owned()),
            (Part::Projection(ledger.clone()), "projection ledger".to_owned()),
            (runner(Role::Serving), "projection ledger from 80000000".to_owned()),
            (runner(Role::Candidate), "rebuild of ledger from 80000000".to_owned()),
            (Part::Fault(FaultyPart::Host(HostPart::Catalog)), "catalog (fault)".to_owned()),
            (
                Part::Fault(FaultyPart::Runner { projection: ledger.clone(), worker }),
                format!("projection ledger on worker {worker} (fault)"),
            ),
        ];
        for (part, name) in parts {
            assert_eq!(part.to_string(), name);
        }
    }

    #[test]
    fn a_part_is_blocked_until_it_is_cleared_itself() {
        let status = Status::starting();
        status.block(Part::Catalog, "one");
        status.block(Part::Catalog, "two");
        status.clear(&Part::Coordination);
        assert_eq!(status.blocked(), BTreeMap::from([(Part::Catalog, "two".to_owned())]));
        status.clear(&Part::Catalog);
        assert!(status.blocked().is_empty());
    }
}
