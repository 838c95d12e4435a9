//! The results of the operations, as they are printed with `--json` and sent over HTTP.

use kennel_core::condition::ConditionReason;
use kennel_core::lifecycle::{Activity, Entry, Lifecycle, OperationRecord, Origin, Outcome, Promotion, Role};
use kennel_core::port::{ProjectionProgress, ProjectionState, StoredComponent};
use kennel_core::position::Position;
use kennel_core::projection::Settings;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

use super::collections::CollectionView;

/// A projection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProjectionView {
    pub name: String,
    pub replica_set: String,
    /// `running`, `paused` or `retired`.
    #[schema(value_type = String)]
    pub activity: Activity,
    /// Workers of its replica set that are alive.
    pub workers: usize,
    /// The head of the log.
    pub head: u64,
    /// The number of the deployment that serves, if one does.
    pub serving: Option<u32>,
    /// How far that is.
    pub position: Option<u64>,
    /// The candidate that is being built beside it.
    pub candidate: Option<BuildView>,
    /// All deployments, by number.
    pub deployments: Vec<DeploymentView>,
}

/// A read model that is being built, or brought up to date.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BuildView {
    pub deployment: u32,
    /// Every event up to here has taken effect in it.
    pub position: u64,
    /// Positions between there and the head of the log.
    pub remaining: u64,
    /// Of the way from where it began to the head of the log: 0 to 1.
    pub done: f64,
    pub seconds_elapsed: f64,
    /// At the rate so far; unknown before it has moved.
    pub seconds_left: Option<f64>,
    /// `auto`: it is promoted once it has caught up. `manual`: once the operator promotes it.
    #[schema(value_type = String)]
    pub promotion: Promotion,
    /// `running`, `retrying` or `halted`.
    #[schema(value_type = String)]
    pub state: ProjectionState,
    /// The last event that failed.
    pub last_error: Option<String>,
    /// What else keeps it from being built or promoted.
    pub conditions: Vec<ConditionView>,
}

/// What keeps a deployment from making progress although no event failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConditionView {
    /// `ComponentNotLoaded`: a host cannot load the component. `CutoverBlocked`: the candidate cannot be promoted.
    /// `LogSetBack`: the log does not hold what was handled, and the deployment is halted.
    #[schema(value_type = String, pattern = "^(ComponentNotLoaded|CutoverBlocked|LogSetBack)$")]
    pub reason: ConditionReason,
    /// The observation, and what can be done.
    pub message: String,
    /// The host that sees it, `cutover controller`, or `store` for one that is found by comparing checkpoints with the log.
    pub source: String,
    /// Since when the source has reported this reason without a pause: RFC 3339, UTC. `null` for one that the store
    /// finds.
    pub since: Option<String>,
}

impl ConditionView {
    pub(super) fn all(progress: &ProjectionProgress) -> Vec<Self> {
        let views = progress.conditions.iter().map(|reported| Self {
            reason: reported.condition.reason,
            message: reported.condition.message.clone(),
            source: reported.source.clone(),
            since: reported.since.map(timestamp),
        });
        views.collect()
    }
}

/// One line of a projection's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeploymentView {
    pub number: u32,
    /// The SHA-256 of the component, in hexadecimal.
    pub component: String,
    /// What the component calls itself.
    pub name: String,
    pub version: String,
    /// `first`, `continue`, `rebuild` or `rollback`.
    #[schema(value_type = String)]
    pub origin: Origin,
    /// The deployment that a rollback returned to.
    pub returns_to: Option<u32>,
    /// `serving`, `candidate`, `superseded` or `cancelled`.
    #[schema(value_type = String)]
    pub outcome: Outcome,
    /// Deployments with the same number here share a read model.
    pub read_model: i64,
    pub actor: String,
    pub reason: Option<String>,
    /// RFC 3339, UTC.
    pub deployed_at: String,
    /// When it got its present outcome.
    pub decided_at: String,
    #[schema(value_type = Object)]
    pub settings: Settings,
    /// The collections of which the component declares columns and indexes.
    pub collections: Vec<CollectionView>,
}

/// An operation that was carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OperationView {
    /// `deploy`, `rebuild`, `rollback`, `promote`, `cancel`, `pause`, `resume`, `retire` or `accept-log`.
    pub operation: String,
    /// What distinguishes it from others of its kind: `after N` for `accept-log`, `with its read model` for a `retire`
    /// that removed it.
    pub detail: Option<String>,
    /// The deployment that it was about, if it was about one.
    pub deployment: Option<u32>,
    pub actor: String,
    pub reason: Option<String>,
    /// RFC 3339, UTC.
    pub at: String,
}

/// A component that a store holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ComponentView {
    /// SHA-256, in hexadecimal.
    pub digest: String,
    pub bytes: u64,
    /// RFC 3339, UTC.
    pub stored_at: String,
    pub used_by: Vec<Use>,
}

/// A deployment that uses a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Use {
    pub projection: String,
    pub deployment: u32,
}

/// The outcome of an operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChangeView {
    /// Whether anything had to be changed.
    pub changed: bool,
    /// The deployment that the operation was about, if it was about one.
    pub deployment: Option<u32>,
    /// The projection as it is now.
    pub projection: ProjectionView,
}

/// How two read models of a projection differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DiffView {
    pub projection: String,
    pub serving: Side,
    /// The one that is being built; without one, that which served before.
    pub other: Side,
    pub collections: Vec<CollectionDiff>,
    pub verdict: DiffVerdict,
}

/// What a comparison comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DiffVerdict {
    /// No document is missing, surplus or different, and one has come as far as the other had. Those in motion are
    /// not counted.
    Identical,
    /// Documents are missing, surplus or different.
    Different,
    /// One is behind the other, and what the other has written since cannot be compared yet.
    Undecided,
}

/// One of two read models that are compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Side {
    pub deployment: u32,
    /// Every event up to here has taken effect.
    pub position: u64,
}

/// How a collection differs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CollectionDiff {
    pub collection: String,
    pub serving_documents: u64,
    pub other_documents: u64,
    pub equal: u64,
    pub only_serving: u64,
    pub only_other: u64,
    pub different: u64,
    /// Not the same, but written or removed by events that only one of the two has handled yet.
    pub in_motion: u64,
    /// The first documents that are missing, surplus or different, by key.
    pub samples: Vec<Sample>,
}

/// A document that is not the same in both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Sample {
    pub key: String,
    #[schema(value_type = Value)]
    pub serving: Option<serde_json::Value>,
    #[schema(value_type = Value)]
    pub other: Option<serde_json::Value>,
}

impl ProjectionView {
    pub(super) fn new(
        lifecycle: &Lifecycle,
        progress: &[ProjectionProgress],
        head: Position,
        workers: usize,
    ) -> Self {
        let ours = |role| {
            progress.iter().find(|one| one.role == role && one.deployment.projection == lifecycle.projection)
        };
        Self {
            name: lifecycle.projection.to_string(),
            replica_set: lifecycle.replica_set.to_string(),
            activity: lifecycle.activity,
            workers,
            head: head.get(),
            serving: lifecycle.serving().map(|entry| entry.deployment.number),
            position: ours(Role::Serving).map(|serving| serving.position().get()),
            candidate: ours(Role::Candidate).map(|candidate| BuildView::new(candidate, head)),
            deployments: lifecycle.history.iter().map(DeploymentView::new).collect(),
        }
    }

    /// The deployment with this number.
    #[must_use]
    pub fn deployment(&self, number: u32) -> Option<&DeploymentView> {
        self.deployments.iter().find(|one| one.number == number)
    }

    /// The deployment that one with this number goes on from: the last that has served the same read model before it.
    #[must_use]
    pub fn continued_by(&self, number: u32) -> Option<&DeploymentView> {
        let read_model = self.deployment(number)?.read_model;
        let before =
            self.deployments.iter().filter(|one| one.number < number && one.read_model == read_model);
        before.max_by(|one, other| one.decided_at.cmp(&other.decided_at).then(one.number.cmp(&other.number)))
    }

    /// The number of the latest deployment; 0 if there is none.
    #[must_use]
    pub fn latest(&self) -> u32 {
        self.deployments.last().map_or(0, |latest| latest.number)
    }
}

impl BuildView {
    pub(crate) fn new(candidate: &ProjectionProgress, head: Position) -> Self {
        let position = candidate.position();
        let (handled, remaining) = (position.distance_from(candidate.from), head.distance_from(position));
        let elapsed = candidate.age.as_secs_f64();
        let (handled, all) = (as_f64(handled), as_f64(handled + remaining));
        let is_free = candidate.state != ProjectionState::Halted && candidate.conditions.is_empty();
        let advances = handled > 0.0 && is_free;
        Self {
            deployment: candidate.deployment.number,
            position: position.get(),
            remaining,
            done: if all > 0.0 { handled / all } else { 1.0 },
            seconds_elapsed: elapsed,
            seconds_left: advances.then(|| elapsed * (all - handled) / handled),
            promotion: candidate.promotion,
            state: candidate.state,
            conditions: ConditionView::all(candidate),
            last_error: candidate.last_failure.as_ref().map(|failure| {
                format!(
                    "position {}, event {} ({}): {}: {}",
                    failure.position,
                    failure.event_id_text(),
                    failure.event_type,
                    failure.kind,
                    failure.message
                )
            }),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "shares and estimates need no more")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

impl DeploymentView {
    fn new(entry: &Entry) -> Self {
        let deployment = &entry.deployment;
        Self {
            number: deployment.number,
            component: deployment.digest.to_string(),
            name: deployment.descriptor.name.clone(),
            version: deployment.descriptor.version.clone(),
            origin: entry.origin,
            returns_to: entry.returns_to,
            outcome: entry.outcome,
            read_model: deployment.read_model.get(),
            actor: entry.attribution.actor.clone(),
            reason: entry.attribution.reason.clone(),
            deployed_at: timestamp(entry.deployed_at),
            decided_at: timestamp(entry.decided_at),
            settings: deployment.settings.clone(),
            collections: deployment.descriptor.collections.iter().map(CollectionView::from).collect(),
        }
    }
}

impl OperationView {
    pub(super) fn new(record: OperationRecord) -> Self {
        Self {
            operation: record.operation,
            detail: record.detail,
            deployment: record.deployment,
            actor: record.attribution.actor,
            reason: record.attribution.reason,
            at: timestamp(record.at),
        }
    }
}

impl CollectionDiff {
    /// Whether a document is missing, surplus or different.
    #[must_use]
    pub const fn differs(&self) -> bool {
        self.only_serving + self.only_other + self.different > 0
    }
}

impl ComponentView {
    pub(super) fn new(stored: &StoredComponent) -> Self {
        let used_by = stored
            .used_by
            .iter()
            .map(|(projection, number)| Use { projection: projection.to_string(), deployment: *number });
        Self {
            digest: stored.digest.to_string(),
            bytes: stored.bytes,
            stored_at: timestamp(stored.stored_at),
            used_by: used_by.collect(),
        }
    }
}

/// Microseconds since 1970 as RFC 3339.
fn timestamp(micros: u64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000);
    moment.ok().and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_else(|| micros.to_string())
}
