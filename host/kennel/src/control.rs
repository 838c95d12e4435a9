//! The operations on projections, for people and pipelines: one set, whether on a store ([`local`]) or
//! through the API of a host that runs (`remote` of the crate `kennel_cli`). The command line and the API both speak to
//! this.

pub mod collections;
pub mod diff;
pub mod error;
pub mod local;
pub mod partitions;
pub mod replica_set;
pub mod request;
pub mod status;
pub mod view;

use async_trait::async_trait;
use kennel_core::digest::Digest;
use kennel_core::lifecycle::{Mode, Promotion};
use kennel_core::limits;
use kennel_core::name::{ProjectionName, ReplicaSet};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use self::status::StatusView;
use self::view::{ChangeView, ComponentView, DiffView, OperationView, ProjectionView};
use crate::json;
use crate::settings::ProjectionConfig;

pub use error::{ControlError, ControlErrorKind};

/// What to deploy, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeployRequest {
    /// The SHA-256 of a component that the store holds, in hexadecimal.
    #[schema(value_type = String, pattern = "^[0-9a-fA-F]{64}$")]
    pub component: Digest,
    /// `continue`: the new code takes over the read model where it stands. `rebuild`: it builds one of its own
    /// beside it.
    #[serde(default = "mode_default")]
    #[schema(value_type = String, pattern = "^(continue|rebuild)$", default = "continue")]
    pub mode: Mode,
    /// Whether the candidate is promoted as soon as it has caught up, or once the operator promotes it.
    #[serde(default = "promotion_default")]
    #[schema(value_type = String, pattern = "^(auto|manual)$", default = "auto")]
    pub promotion: Promotion,
    /// The replica set of a new projection; without it, the one that the host works for. A projection that exists stays
    /// where it is.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^[a-z][a-z0-9_-]{0,47}$")]
    pub replica_set: Option<ReplicaSet>,
    /// Settings that differ from those of the deployment that serves.
    #[serde(default, deserialize_with = "json::table")]
    pub settings: ProjectionConfig,
    /// Builds anew even if the same component with the same settings serves already.
    #[serde(default)]
    pub force: bool,
    /// Who deploys, for the record. Without it a host records `api`.
    #[serde(default)]
    #[schema(max_length = 200, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
    pub actor: Option<String>,
    /// Why, for the record.
    #[serde(default)]
    #[schema(max_length = 1000, pattern = "^[^\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f]*$")]
    pub reason: Option<String>,
    /// The number of the latest deployment that the actor knows of: rejected if there is a later one by now.
    #[serde(default, deserialize_with = "json::whole")]
    #[schema(value_type = Option<u64>, maximum = 4294967295_u32)]
    pub expected_deployment: Option<u32>,
}

impl DeployRequest {
    /// To deploy a component as the defaults have it.
    #[must_use]
    pub fn of(component: Digest) -> Self {
        Self {
            component,
            mode: Mode::Continue,
            promotion: Promotion::Auto,
            replica_set: None,
            settings: ProjectionConfig::default(),
            force: false,
            actor: None,
            reason: None,
            expected_deployment: None,
        }
    }
}

const fn mode_default() -> Mode {
    Mode::Continue
}

const fn promotion_default() -> Promotion {
    Promotion::Auto
}

/// Who requests an operation, why, and which deployment the actor expects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct By {
    /// For the record. Without it a host records `api`.
    #[schema(max_length = 200, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
    pub actor: Option<String>,
    /// For the record.
    #[schema(max_length = 1000, pattern = "^[^\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f]*$")]
    pub reason: Option<String>,
    /// The number of the latest deployment that the actor knows of. The operation is rejected if there is a later
    /// one by now.
    #[serde(deserialize_with = "json::whole")]
    #[schema(value_type = Option<u64>, maximum = 4294967295_u32)]
    pub expected_deployment: Option<u32>,
}

impl By {
    /// Whether this can be put on record: databases and terminals do not take every character.
    pub fn check(&self) -> Result<(), ControlError> {
        let actor = self.actor.as_deref().unwrap_or_default();
        let reason = self.reason.as_deref().unwrap_or_default();
        let check = |what: &str, text: &str, chars_max: usize, may_have: &[char]| {
            let chars = text.chars().count();
            if chars > chars_max {
                Err(ControlError::Invalid(format!(
                    "the {what} has {chars} characters; at most {chars_max} are allowed"
                )))
            } else if text.contains(|c: char| c.is_control() && !may_have.contains(&c)) {
                Err(ControlError::Invalid(format!("the {what} has a control character: leave it out")))
            } else {
                Ok(())
            }
        };
        check("actor", actor, limits::ACTOR_CHARS_MAX, &[])?;
        check("reason", reason, limits::REASON_CHARS_MAX, &['\n', '\t'])
    }
}

/// What else can be done with a projection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Builds the read model of the deployment that serves anew.
    Rebuild {
        promotion: Promotion,
    },
    /// Back to deployment `to`, or to the one that served before.
    Rollback {
        to: Option<u32>,
    },
    Promote,
    Cancel,
    Pause,
    Resume,
    Retire {
        drop: bool,
    },
    /// Goes on with a log that was set back, after this position.
    AcceptLog {
        after: u64,
    },
}

/// The operations.
#[async_trait]
pub trait Control: Send + Sync {
    /// How everything is doing.
    async fn status(&self) -> Result<StatusView, ControlError>;

    /// All projections, by name; those that are retired as well.
    async fn projections(&self) -> Result<Vec<ProjectionView>, ControlError>;

    /// One projection with its whole history.
    async fn projection(&self, name: &ProjectionName) -> Result<ProjectionView, ControlError>;

    /// The operations on a projection that were carried out, the oldest first.
    async fn operations(&self, name: &ProjectionName) -> Result<Vec<OperationView>, ControlError>;

    /// The components that the store holds, the latest first.
    async fn components(&self) -> Result<Vec<ComponentView>, ControlError>;

    /// The bytes of a component that the store holds.
    async fn component(&self, digest: Digest) -> Result<Vec<u8>, ControlError>;

    /// Checks a component and stores it. Stored again, it is kept on, and repaired if it was damaged.
    async fn put_component(&self, bytes: Vec<u8>) -> Result<ComponentView, ControlError>;

    /// Deploys a component that the store holds.
    async fn deploy(&self, name: &ProjectionName, request: DeployRequest)
    -> Result<ChangeView, ControlError>;

    /// Does something else with a projection.
    async fn act(&self, name: &ProjectionName, action: Action, by: By) -> Result<ChangeView, ControlError>;

    /// Compares the read model that serves with the one that is being built, or with the one that served before.
    async fn diff(&self, name: &ProjectionName, samples: usize) -> Result<DiffView, ControlError>;
}
