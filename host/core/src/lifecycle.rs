//! The lifecycle of a projection: its history of deployments, which of them serves, which is the candidate, and what
//! becomes of each read model.
//!
//! Pure. A store loads a [`Lifecycle`], has [`decide`] say what an operation changes, and carries that out in one
//! transaction; so both databases and the store in memory follow the same rules.

mod decide;

use crate::digest::Digest;
use crate::name::{ProjectionName, ReplicaSet};
use crate::named::named;
use crate::position::Position;
use crate::projection::{Deployment, Descriptor, ReadModelId, Settings};

pub use decide::{Rejected, abort_cutover, begin_cutover, complete_cutover, decide};

named! {
    /// How new code comes to a projection.
    Mode, "a mode" {
        /// It takes over the read model where it stands, at the next batch of each partition.
        Continue = "continue",
        /// It builds a read model of its own from the start of the log, beside the serving one.
        Rebuild = "rebuild",
    }
}

named! {
    /// How a deployment came about.
    Origin, "an origin" {
        /// The first of its projection.
        First = "first",
        /// New code for the read model of the one before.
        Continue = "continue",
        /// A read model built anew.
        Rebuild = "rebuild",
        /// An earlier deployment's code, and its read model if that was another.
        Rollback = "rollback",
    }
}

named! {
    /// How a candidate is promoted.
    Promotion, "a way to promote" {
        /// The host cuts over to it as soon as it has caught up.
        Auto = "auto",
        /// An operator has to promote it.
        Manual = "manual",
    }
}

named! {
    /// What became of a deployment.
    Outcome, "an outcome" {
        /// It serves.
        Serving = "serving",
        /// It is being built, or brought up to date, beside the serving deployment.
        Candidate = "candidate",
        /// It has served until another replaced it.
        Superseded = "superseded",
        /// It was cancelled before it served.
        Cancelled = "cancelled",
    }
}

named! {
    /// Whether a projection is to be run.
    Activity, "an activity" {
        Running = "running",
        /// It stays where it is until it is resumed.
        Paused = "paused",
        /// It is no longer run; deploying to it brings it back.
        Retired = "retired",
    }
}

named! {
    /// What may be done with a read model.
    ReadModelStatus, "a status of read models" {
        /// Workers move it forward.
        Active = "active",
        /// It stays as it is: no batch is committed to it.
        Fenced = "fenced",
        /// Nothing will ever need it again: it is to be removed.
        Deleting = "deleting",
    }
}

/// The actor and the reason of an operation, for the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribution {
    pub actor: String,
    pub reason: Option<String>,
}

/// One line of a projection's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub deployment: Deployment,
    pub origin: Origin,
    /// The number of the deployment that a rollback returned to.
    pub returns_to: Option<u32>,
    pub outcome: Outcome,
    pub attribution: Attribution,
    /// Where its read model stood when it came about: what it has handled since counts from here.
    pub from: Position,
    /// Microseconds since 1970 by the store's clock.
    pub deployed_at: u64,
    /// When it got its present outcome, in microseconds since 1970.
    pub decided_at: u64,
}

/// Everything that decides what may happen to a projection next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lifecycle {
    pub projection: ProjectionName,
    pub replica_set: ReplicaSet,
    pub activity: Activity,
    /// How the candidate is promoted.
    pub promotion: Promotion,
    /// Whether the serving read model is fenced so that the candidate can catch up.
    pub fenced: bool,
    /// By number.
    pub history: Vec<Entry>,
    /// Those that exist and are not being deleted.
    pub read_models: Vec<ReadModelId>,
}

impl Lifecycle {
    /// The lifecycle of a projection before its first deployment.
    #[must_use]
    pub fn new(projection: ProjectionName) -> Self {
        Self {
            projection,
            replica_set: ReplicaSet::default(),
            activity: Activity::Running,
            promotion: Promotion::Auto,
            fenced: false,
            history: Vec::new(),
            read_models: Vec::new(),
        }
    }

    /// The deployment that serves.
    #[must_use]
    pub fn serving(&self) -> Option<&Entry> {
        self.history.iter().find(|entry| entry.outcome == Outcome::Serving)
    }

    /// The deployment that is being built beside the serving one.
    #[must_use]
    pub fn candidate(&self) -> Option<&Entry> {
        self.history.iter().find(|entry| entry.outcome == Outcome::Candidate)
    }

    /// The deployment that served before the serving one.
    #[must_use]
    pub fn previous(&self) -> Option<&Entry> {
        self.history.iter().rev().find(|entry| entry.outcome == Outcome::Superseded)
    }

    /// The deployment with this number.
    #[must_use]
    pub fn numbered(&self, number: u32) -> Option<&Entry> {
        self.history.iter().find(|entry| entry.deployment.number == number)
    }

    /// The number of the latest deployment; 0 before the first.
    #[must_use]
    pub fn latest(&self) -> u32 {
        self.history.last().map_or(0, |entry| entry.deployment.number)
    }

    /// What may be done with a read model of this projection.
    ///
    /// Besides those of the serving deployment and of the candidate, the one that served last before them is kept, so
    /// that `rollback` finds it; unless it is being deleted meanwhile, from which nothing brings it back.
    #[must_use]
    pub fn read_model_status(&self, read_model: ReadModelId) -> ReadModelStatus {
        let of = |entry: Option<&Entry>| entry.map(|entry| entry.deployment.read_model) == Some(read_model);
        if of(self.candidate()) {
            return if self.activity == Activity::Running {
                ReadModelStatus::Active
            } else {
                ReadModelStatus::Fenced
            };
        }
        if of(self.serving()) {
            let active = self.activity == Activity::Running && !self.fenced;
            return if active { ReadModelStatus::Active } else { ReadModelStatus::Fenced };
        }
        if self.activity == Activity::Retired {
            return ReadModelStatus::Deleting;
        }
        let serving = self.serving().map(|entry| entry.deployment.read_model);
        let served = self.history.iter().rev().filter(|entry| entry.outcome == Outcome::Superseded);
        let kept = served.map(|entry| entry.deployment.read_model).find(|kept| Some(*kept) != serving);
        let kept = kept.filter(|kept| self.read_models.contains(kept));
        if kept == Some(read_model) { ReadModelStatus::Fenced } else { ReadModelStatus::Deleting }
    }

    /// The deployments whose read models workers are to move forward.
    pub fn at_work(&self) -> impl Iterator<Item = (&Entry, Role)> {
        let running = self.activity == Activity::Running;
        let serving = self.serving().map(|entry| (entry, Role::Serving));
        let candidate = self.candidate().map(|entry| (entry, Role::Candidate));
        serving.into_iter().chain(candidate).filter(move |_| running)
    }
}

named! {
    /// Whether a deployment serves or is the candidate.
    Role, "a role" {
        Serving = "serving",
        Candidate = "candidate",
    }
}

/// New code, or the same once more, for a projection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deploy {
    pub digest: Digest,
    pub descriptor: Descriptor,
    pub settings: Settings,
    /// The deployment whose settings these build upon: rejected if another serves by now.
    pub settings_from: Option<u32>,
    pub mode: Mode,
    pub promotion: Promotion,
    /// `None`: the one that the projection is in, or `main` if it is new.
    pub replica_set: Option<ReplicaSet>,
    /// Builds anew even if the same component with the same settings serves already.
    pub force: bool,
}

named! {
    /// The kinds of operations: their names on record, in paths of the API and on the command line.
    OperationKind, "an operation" {
        Deploy = "deploy",
        Rebuild = "rebuild",
        Rollback = "rollback",
        Promote = "promote",
        Cancel = "cancel",
        Pause = "pause",
        Resume = "resume",
        Retire = "retire",
        AcceptLog = "accept-log",
    }
}

/// An operation on a projection, as a store carries it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    Deploy(Box<Deploy>),
    /// Builds the read model of the deployment that serves anew: deploys the same code once more.
    Rebuild(Box<Deploy>),
    /// Back to deployment `to`, or to the one that served before.
    Rollback {
        to: Option<u32>,
    },
    /// The candidate serves as soon as it has caught up.
    Promote,
    /// The candidate is cancelled.
    Cancel,
    Pause,
    Resume,
    /// No longer run. With `drop`, its read model goes as well.
    Retire {
        drop: bool,
    },
    /// The log was set back: what was handled beyond stays, and what the log holds after this position is handled.
    AcceptLog {
        after: Position,
    },
}

impl Operation {
    /// The deployment whose settings it builds upon, if it does so.
    #[must_use]
    pub fn settings_from(&self) -> Option<u32> {
        match self {
            Self::Deploy(deploy) | Self::Rebuild(deploy) => deploy.settings_from,
            _ => None,
        }
    }

    /// What distinguishes it from others of its kind, for the record.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::AcceptLog { after } => Some(format!("after {after}")),
            Self::Retire { drop: true } => Some("with its read model".to_owned()),
            _ => None,
        }
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> OperationKind {
        match self {
            Self::Deploy(_) => OperationKind::Deploy,
            Self::Rebuild(_) => OperationKind::Rebuild,
            Self::Rollback { .. } => OperationKind::Rollback,
            Self::Promote => OperationKind::Promote,
            Self::Cancel => OperationKind::Cancel,
            Self::Pause => OperationKind::Pause,
            Self::Resume => OperationKind::Resume,
            Self::Retire { .. } => OperationKind::Retire,
            Self::AcceptLog { .. } => OperationKind::AcceptLog,
        }
    }
}

/// An operation that was carried out, for the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationRecord {
    /// The name of its kind: an [`OperationKind`], or one that only a later version knows.
    pub operation: String,
    /// What distinguishes it from others of its kind, such as `after 8500`.
    pub detail: Option<String>,
    /// The number of the deployment that it was about, if it was about one.
    pub deployment: Option<u32>,
    pub attribution: Attribution,
    /// Microseconds since 1970 by the store's clock.
    pub at: u64,
}

/// An operation with what it needs to be decided and recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationRequest {
    pub operation: Operation,
    pub attribution: Attribution,
    /// The number of the latest deployment that the actor expects. If there is a later one by now, another actor came
    /// first and the operation is rejected. `None`: any.
    pub expected_deployment: Option<u32>,
}

/// A deployment that a decision adds to the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDeployment {
    pub number: u32,
    pub digest: Digest,
    pub descriptor: Descriptor,
    pub settings: Settings,
    /// `None`: a new one, empty and at the start of the log.
    pub read_model: Option<ReadModelId>,
    pub origin: Origin,
    /// The number of the deployment that a rollback returns to.
    pub returns_to: Option<u32>,
    pub outcome: Outcome,
}

/// What an operation changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub replica_set: ReplicaSet,
    pub activity: Activity,
    pub promotion: Promotion,
    pub fenced: bool,
    /// The number of the deployment that this is about, if it is about one.
    pub about: Option<u32>,
    /// New outcomes of deployments that exist, by number.
    pub outcomes: Vec<(u32, Outcome)>,
    pub new: Option<NewDeployment>,
    /// Checkpoints that the log does not bear out go back to this position.
    pub accept_log: Option<Position>,
}

/// What an operation comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one for each operation")]
pub enum Verdict {
    Change(Decision),
    /// Things are as they should be already; the deployment that this is about, if it is about one.
    Unchanged(Option<u32>),
}
