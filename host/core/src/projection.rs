//! What a projection says of itself, what the operator sets, and what a deployment is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::collection::Collection;
use crate::digest::Digest;
use crate::limits;
use crate::name::{ProjectionName, ReplicaSet};
use crate::named::named;

/// Which events a projection wants. An empty list means all; lists are combined with "and".
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scope {
    pub bounded_contexts: Vec<String>,
    pub aggregate_types: Vec<String>,
    pub event_types: Vec<String>,
}

impl Scope {
    /// Whether an event with these names is wanted.
    #[must_use]
    pub fn admits(&self, bounded_context: &str, aggregate_type: &str, event_type: &str) -> bool {
        let admits = |list: &[String], name: &str| list.is_empty() || list.iter().any(|entry| entry == name);
        admits(&self.bounded_contexts, bounded_context)
            && admits(&self.aggregate_types, aggregate_type)
            && admits(&self.event_types, event_type)
    }
}

named! {
    /// How the work of a projection may be divided among workers.
    #[derive(Default)]
    Partitioning, "a partitioning" {
        /// By the hash of the aggregate id.
        #[default]
        ByAggregate = "by-aggregate",
        /// One worker at a time handles everything.
        Single = "single",
    }
}

/// What a component says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    pub name: String,
    pub version: String,
    pub scope: Scope,
    pub partitioning: Partitioning,
    /// The collections of which it declares columns and indexes; [`crate::collection::check`] has the rules.
    pub collections: Vec<Collection>,
}

named! {
    /// What becomes of an event that a projection could not handle.
    #[derive(Default)]
    OnFailure, "a failure policy" {
        /// The projection is halted and reports it.
        #[default]
        Halt = "halt",
        /// The event is recorded with its reason and the projection goes on.
        DeadLetter = "dead-letter",
    }
}

/// What the operator sets for one deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Most events handled and committed together.
    pub batch: usize,
    pub on_failure: OnFailure,
    /// What the guest reads through the `config` import.
    pub config: BTreeMap<String, String>,
    /// The names of the capabilities that the guest has although not every guest has them.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub grants: BTreeSet<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            batch: limits::BATCH_EVENTS_DEFAULT,
            on_failure: OnFailure::default(),
            config: BTreeMap::new(),
            grants: BTreeSet::new(),
        }
    }
}

/// Declares the number of something in a store.
macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(i64);

        impl $name {
            /// The one with this number.
            #[must_use]
            pub const fn new(value: i64) -> Self {
                Self(value)
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

numbered! {
    /// The number of a deployment, unique in its store.
    DeploymentId
}

numbered! {
    /// The number of a read model, unique in its store. Checkpoints and documents belong to a read model;
    /// deployments that continue one another share it.
    ReadModelId
}

/// One version of one projection: a component, its settings, and the read model that it moves forward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    pub id: DeploymentId,
    pub projection: ProjectionName,
    pub replica_set: ReplicaSet,
    /// Counts the deployments of one projection from 1.
    pub number: u32,
    pub digest: Digest,
    pub descriptor: Descriptor,
    pub settings: Settings,
    pub read_model: ReadModelId,
}
