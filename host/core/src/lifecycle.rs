//! The life of a projection: its history of deployments, which of them serves, which is being built, and
//! what becomes of each read model.
//!
//! Pure. A store loads a [`Lifecycle`], has [`decide`] say what a command changes, and carries that out in one
//! transaction; so both databases and the store in memory obey the same law.

mod decide;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::name::{ProjectionName, ReplicaSet};
use crate::position::Position;
use crate::projection::{Deployment, Descriptor, ReadModelId, Settings};

pub use decide::{Declined, complete, decide, freeze, thaw};

/// Declares an enum whose variants have one word each, the same in stores, reports and configuration.
macro_rules! worded {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)* }

        impl $name {
            /// The word used in stores and reports.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;
            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                [$(Self::$variant,)*].into_iter().find(|known| known.as_str() == word).ok_or_else(|| UnknownWord {
                    word: word.to_owned(),
                    what: $what,
                    known: [$($word,)*].join("`, `"),
                })
            }
        }
    };
}

/// A word that names nothing of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not {what}: use `{known}`")]
pub struct UnknownWord {
    word: String,
    what: &'static str,
    known: String,
}

worded! {
    /// How new code comes to a projection.
    Mode, "a mode" {
        /// It takes over the read model where it stands, at the next batch of each partition.
        Continue = "continue",
        /// It builds a read model of its own from the start of the log, beside the old one.
        Rebuild = "rebuild",
    }
}

worded! {
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

worded! {
    /// Who decides when a read model that was built takes the place of the old one.
    Switch, "a way to switch" {
        /// It does as soon as it has caught up.
        Auto = "auto",
        /// Somebody has to say so.
        Manual = "manual",
    }
}

worded! {
    /// What became of a deployment.
    Outcome, "an outcome" {
        /// It serves.
        Live = "live",
        /// It is being built, or brought up to date, beside the one that serves.
        Building = "building",
        /// It has served until another took its place.
        Superseded = "superseded",
        /// It was given up before it served.
        Cancelled = "cancelled",
    }
}

worded! {
    /// Whether a projection is to be run.
    Activity, "an activity" {
        Running = "running",
        /// It stands still where it is until it is resumed.
        Paused = "paused",
        /// It is no longer run; deploying to it brings it back.
        Retired = "retired",
    }
}

worded! {
    /// What may be done with a read model.
    Standing, "a standing" {
        /// Workers move it forward.
        Open = "open",
        /// It stays as it is: no batch is committed to it.
        Held = "held",
        /// Nothing will ever need it again: it is to be removed.
        Condemned = "condemned",
    }
}

/// Who did something and why, for the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    pub author: String,
    pub note: Option<String>,
}

/// One line of a projection's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub deployment: Deployment,
    pub origin: Origin,
    /// The number of the deployment that a rollback returned to.
    pub returns_to: Option<u32>,
    pub outcome: Outcome,
    pub signature: Signature,
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
    /// How the deployment that is being built will take its place.
    pub switch: Switch,
    /// Whether the live read model is held so that the one being built can draw level.
    pub frozen: bool,
    /// By number.
    pub history: Vec<Entry>,
    /// Those that exist and are not condemned.
    pub read_models: Vec<ReadModelId>,
}

impl Lifecycle {
    /// The life of a projection before its first deployment.
    #[must_use]
    pub fn unborn(projection: ProjectionName) -> Self {
        Self {
            projection,
            replica_set: ReplicaSet::default(),
            activity: Activity::Running,
            switch: Switch::Auto,
            frozen: false,
            history: Vec::new(),
            read_models: Vec::new(),
        }
    }

    /// The deployment that serves.
    #[must_use]
    pub fn live(&self) -> Option<&Entry> {
        self.history.iter().find(|entry| entry.outcome == Outcome::Live)
    }

    /// The deployment that is being built beside it.
    #[must_use]
    pub fn candidate(&self) -> Option<&Entry> {
        self.history.iter().find(|entry| entry.outcome == Outcome::Building)
    }

    /// The deployment that served before the live one.
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
    /// Besides the live one and the one being built, that which served last before them is kept, so that
    /// `rollback` finds it; unless it has been condemned meanwhile, from which nothing brings it back.
    #[must_use]
    pub fn standing(&self, read_model: ReadModelId) -> Standing {
        let of = |entry: Option<&Entry>| entry.map(|entry| entry.deployment.read_model) == Some(read_model);
        if of(self.candidate()) {
            return if self.activity == Activity::Running { Standing::Open } else { Standing::Held };
        }
        if of(self.live()) {
            let open = self.activity == Activity::Running && !self.frozen;
            return if open { Standing::Open } else { Standing::Held };
        }
        if self.activity == Activity::Retired {
            return Standing::Condemned;
        }
        let live = self.live().map(|entry| entry.deployment.read_model);
        let served = self.history.iter().rev().filter(|entry| entry.outcome == Outcome::Superseded);
        let kept = served.map(|entry| entry.deployment.read_model).find(|kept| Some(*kept) != live);
        let kept = kept.filter(|kept| self.read_models.contains(kept));
        if kept == Some(read_model) { Standing::Held } else { Standing::Condemned }
    }

    /// The deployments whose read models workers are to move forward.
    pub fn at_work(&self) -> impl Iterator<Item = (&Entry, Stage)> {
        let running = self.activity == Activity::Running;
        let live = self.live().map(|entry| (entry, Stage::Live));
        let candidate = self.candidate().map(|entry| (entry, Stage::Building));
        live.into_iter().chain(candidate).filter(move |_| running)
    }
}

worded! {
    /// Whether a deployment serves or is being built.
    Stage, "a stage" {
        Live = "live",
        Building = "building",
    }
}

/// New code, or the same once more, for a projection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deploy {
    pub digest: Digest,
    pub descriptor: Descriptor,
    pub settings: Settings,
    /// The deployment whose settings these build upon: declined if another serves by now.
    pub settings_of: Option<u32>,
    pub mode: Mode,
    pub switch: Switch,
    /// `None`: where the projection is, or `main` if it is new.
    pub replica_set: Option<ReplicaSet>,
    /// Builds anew even if the same component with the same settings serves already.
    pub again: bool,
}

/// What somebody wants to become of a projection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Deploy(Box<Deploy>),
    /// Back to deployment `to`, or to the one that served before.
    Rollback {
        to: Option<u32>,
    },
    /// What is being built takes its place as soon as it has caught up.
    Switch,
    /// What is being built is given up.
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

impl Command {
    /// The deployment whose settings it builds upon, if it does so.
    #[must_use]
    pub fn settings_of(&self) -> Option<u32> {
        match self {
            Self::Deploy(deploy) => deploy.settings_of,
            _ => None,
        }
    }

    /// What is put on record: what it is called, and what tells it from others of the name.
    #[must_use]
    pub fn record(&self) -> String {
        match self {
            Self::AcceptLog { after } => format!("{} after {after}", self.as_str()),
            _ => self.as_str().to_owned(),
        }
    }

    /// What it is called.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Deploy(_) => "deploy",
            Self::Rollback { .. } => "rollback",
            Self::Switch => "switch",
            Self::Cancel => "cancel",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Retire { drop: false } => "retire",
            Self::Retire { drop: true } => "drop",
            Self::AcceptLog { .. } => "accept-log",
        }
    }
}

/// A command that was carried out, for the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ordered {
    /// What the command is called.
    pub command: String,
    /// The number of the deployment that it was about, if it was about one.
    pub deployment: Option<u32>,
    pub signature: Signature,
    /// Microseconds since 1970 by the store's clock.
    pub at: u64,
}

/// A command with what it needs to be judged and recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub command: Command,
    pub signature: Signature,
    /// The number of the latest deployment that its author knew of. If there is a later one by now, somebody
    /// came first and the command is declined. `None`: whatever there is.
    pub seen: Option<u32>,
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

/// What a command changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub replica_set: ReplicaSet,
    pub activity: Activity,
    pub switch: Switch,
    pub frozen: bool,
    /// The number of the deployment that this is about, if it is about one.
    pub about: Option<u32>,
    /// New outcomes of deployments that exist, by number.
    pub outcomes: Vec<(u32, Outcome)>,
    pub new: Option<NewDeployment>,
    /// Checkpoints that the log does not bear out go back to this position.
    pub accept_log: Option<Position>,
}

/// What a command comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one for each command")]
pub enum Verdict {
    Change(Decision),
    /// Things are as they should be already; the deployment that this is about, if it is about one.
    Unchanged(Option<u32>),
}
