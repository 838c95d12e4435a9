//! The operations on projections: one shape for the library, for HTTP and for the command line. A store carries out what
//! [`kennel_core::lifecycle::Operation`] has, in which the component of a deployment has been prepared.

use kennel_core::digest::Digest;
use kennel_core::lifecycle::{Mode, OperationKind, Promotion};
use kennel_core::limits;
use kennel_core::name::ReplicaSet;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::ControlError;
use crate::json;
use crate::settings::ProjectionConfig;

/// The actor of an operation, the reason, and the deployment that the actor expects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requester {
    /// For the record. `None`: the one that the [`super::Control`] is for.
    pub actor: Option<String>,
    /// For the record.
    pub reason: Option<String>,
    /// The number of the latest deployment that the actor knows of: rejected if there is a later one by now.
    pub expected_deployment: Option<u32>,
}

/// Declares the operations, each with its fields, and with the body in which a host takes it: these fields, actor, reason
/// and expected deployment.
macro_rules! operations {
    ($(
        $(#[$doc:meta])*
        $name:ident in $body:ident $({ $($(#[$field_meta:meta])* $field:ident: $type:ty,)* })?
    )*) => {
        /// An operation on a projection. The bodies below describe the fields.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Operation { $($(#[$doc])* $name $({ $($field: $type,)* })?,)* }

        impl Operation {
            /// Its kind.
            #[must_use]
            pub const fn kind(&self) -> OperationKind {
                match self { $(Self::$name { .. } => OperationKind::$name,)* }
            }

            /// The body in which a host takes it, as JSON.
            pub fn into_body(self, requester: Requester) -> serde_json::Result<Vec<u8>> {
                let Requester { actor, reason, expected_deployment } = requester;
                match self { $(
                    Self::$name $({ $($field,)* })? => {
                        serde_json::to_vec(&$body { $($($field,)*)? actor, reason, expected_deployment })
                    }
                )* }
            }
        }

        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
            #[serde(deny_unknown_fields)]
            pub struct $body {
                $($($(#[$field_meta])* pub $field: $type,)*)?
                /// For the record. Without it a host records `api`.
                #[serde(default)]
                #[schema(max_length = 200, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
                pub actor: Option<String>,
                /// For the record.
                #[serde(default)]
                #[schema(max_length = 1000, pattern = "^[^\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f]*$")]
                pub reason: Option<String>,
                /// The number of the latest deployment that the actor knows of. The operation is rejected if there is
                /// a later one by now.
                #[serde(default, deserialize_with = "json::whole")]
                #[schema(value_type = Option<u64>, maximum = 4294967295_u32)]
                pub expected_deployment: Option<u32>,
            }

            impl From<$body> for (Operation, Requester) {
                fn from(body: $body) -> Self {
                    let $body { $($($field,)*)? actor, reason, expected_deployment } = body;
                    let operation = Operation::$name $({ $($field,)* })?;
                    (operation, Requester { actor, reason, expected_deployment })
                }
            }
        )*
    };
}

operations! {
    /// Deploys a component that the store holds.
    Deploy in DeployRequest {
        /// The SHA-256 of a component that the store holds, in hexadecimal.
        #[schema(value_type = String, pattern = "^[0-9a-fA-F]{64}$")]
        component: Digest,
        /// `continue`: the new code takes over the read model where it stands. `rebuild`: it builds one of its own
        /// beside it.
        #[serde(default = "mode_default")]
        #[schema(value_type = String, pattern = "^(continue|rebuild)$", default = "continue")]
        mode: Mode,
        /// Whether the candidate is promoted as soon as it has caught up, or once the operator promotes it.
        #[serde(default = "promotion_default")]
        #[schema(value_type = String, pattern = "^(auto|manual)$", default = "auto")]
        promotion: Promotion,
        /// The replica set of a new projection; without it, the one that the host works for. A projection that exists
        /// stays where it is.
        #[serde(default)]
        #[schema(value_type = Option<String>, pattern = "^[a-z][a-z0-9_-]{0,47}$")]
        replica_set: Option<ReplicaSet>,
        /// Settings that differ from those of the deployment that serves.
        #[serde(default, deserialize_with = "json::table")]
        settings: ProjectionConfig,
        /// Builds anew even if the same component with the same settings serves already.
        #[serde(default)]
        force: bool,
    }
    /// Builds the read model of the deployment that serves anew.
    Rebuild in RebuildRequest {
        /// Whether the candidate is promoted as soon as it has caught up, or once the operator promotes it.
        #[serde(default = "promotion_default")]
        #[schema(value_type = String, pattern = "^(auto|manual)$", default = "auto")]
        promotion: Promotion,
    }
    /// Returns to an earlier deployment.
    Rollback in RollbackRequest {
        /// Its number. The one that served before if it is left out.
        #[serde(default, deserialize_with = "json::whole")]
        #[schema(value_type = Option<u64>, maximum = 4294967295_u32)]
        to: Option<u32>,
    }
    /// Promotes the candidate: it serves as soon as it has caught up.
    Promote in PromoteRequest
    /// Cancels the candidate.
    Cancel in CancelRequest
    /// Pauses a projection until it is resumed.
    Pause in PauseRequest
    /// Resumes a paused projection.
    Resume in ResumeRequest
    /// Takes a projection out of service.
    Retire in RetireRequest {
        /// Removes its read model as well.
        #[serde(default)]
        drop_read_model: bool,
    }
    /// Goes on with a log that was set back.
    AcceptLog in AcceptLogRequest {
        /// The position of the last event that was there before, 0 if there is none: what the log holds after it is
        /// handled.
        #[serde(deserialize_with = "position")]
        #[schema(maximum = 9223372036854775807_u64)]
        after: u64,
    }
}

const fn mode_default() -> Mode {
    Mode::Continue
}

const fn promotion_default() -> Promotion {
    Promotion::Auto
}

/// A position, which has to be given.
fn position<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let given: Option<u64> = json::whole(deserializer)?;
    let given = given.filter(|given| i64::try_from(*given).is_ok());
    given.ok_or_else(|| D::Error::custom("`after` is the position of an event, or 0"))
}

impl Operation {
    /// Deploys a component as the defaults have it.
    #[must_use]
    pub fn deploy(component: Digest) -> Self {
        Self::Deploy {
            component,
            mode: mode_default(),
            promotion: promotion_default(),
            replica_set: None,
            settings: ProjectionConfig::default(),
            force: false,
        }
    }
}

/// The last part of the path at which a host takes operations of this kind. `POST` adds a deployment to those that there
/// are; any other operation has a path of its own.
#[must_use]
pub const fn path(kind: OperationKind) -> &'static str {
    match kind {
        OperationKind::Deploy => "deployments",
        other => other.as_str(),
    }
}

impl Requester {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_reads_what_a_client_has_written() {
        let requester =
            Requester { actor: Some("ada".to_owned()), reason: None, expected_deployment: Some(3) };
        let deploy = Operation::deploy(Digest::of(b"code"));
        let body = deploy.clone().into_body(requester.clone()).unwrap();
        let read: DeployRequest = serde_json::from_slice(&body).unwrap();
        assert_eq!(<(Operation, Requester)>::from(read), (deploy, requester.clone()));
        let body = Operation::Pause.into_body(requester.clone()).unwrap();
        let read: PauseRequest = serde_json::from_slice(&body).unwrap();
        assert_eq!(<(Operation, Requester)>::from(read), (Operation::Pause, requester));
        let read: RollbackRequest = serde_json::from_str(r#"{"to": 2.0}"#).unwrap();
        let rollback = Operation::Rollback { to: Some(2) };
        assert_eq!(<(Operation, Requester)>::from(read), (rollback, Requester::default()));
    }

    #[test]
    fn a_body_has_the_fields_of_its_operation_and_no_others() {
        for body in [r#"{"to": 2}"#, r#"{"pause": true}"#] {
            assert!(serde_json::from_str::<PauseRequest>(body).is_err(), "{body}");
        }
        for body in ["{}", r#"{"after": -1}"#, r#"{"after": 9223372036854775808}"#] {
            assert!(serde_json::from_str::<AcceptLogRequest>(body).is_err(), "{body}");
        }
    }
}
