//! The operations that a host takes over HTTP, besides deploying: the client writes the same types that the host reads.

use kennel_core::lifecycle::Promotion;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::{Action, By};
use crate::json;

/// Declares the body of an operation: what it needs, and who requests it and why.
macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => { $(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
            /// For the record. Without it a host records `api`.
            #[schema(max_length = 200, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
            pub actor: Option<String>,
            /// For the record.
            #[schema(max_length = 1000, pattern = "^[^\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f]*$")]
            pub reason: Option<String>,
            /// The number of the latest deployment that the actor knows of. The operation is rejected if there is a
            /// later one by now.
            #[serde(deserialize_with = "json::whole")]
            #[schema(value_type = Option<u64>, maximum = 4294967295_u32)]
            pub expected_deployment: Option<u32>,
        }

        impl $name {
            fn attributed(by: By) -> Self {
                let By { actor, reason, expected_deployment } = by;
                Self { actor, reason, expected_deployment, ..Self::default() }
            }

            /// Who requests it.
            #[must_use]
            pub fn by(&self) -> By {
                By { actor: self.actor.clone(), reason: self.reason.clone(), expected_deployment: self.expected_deployment }
            }
        }
    )* };
}

operations! {
    /// To build a read model anew.
    RebuildRequest {
        /// How the candidate is promoted: `auto` if it is left out.
        #[schema(value_type = Option<String>, pattern = "^(auto|manual)$")]
        promotion: Option<Promotion>,
    }
    /// To return to an earlier deployment.
    RollbackRequest {
        /// Its number. The one that served before if it is left out.
        #[serde(deserialize_with = "json::whole")]
        #[schema(value_type = Option<u64>, maximum = 4294967295_u32)]
        to: Option<u32>,
    }
    /// To take a projection out of service.
    RetireRequest {
        /// Removes its read model as well.
        drop_read_model: bool,
    }
}

impl RebuildRequest {
    /// The action.
    #[must_use]
    pub fn action(&self) -> Action {
        Action::Rebuild { promotion: self.promotion.unwrap_or(Promotion::Auto) }
    }
}

impl RollbackRequest {
    /// The action.
    #[must_use]
    pub fn action(&self) -> Action {
        Action::Rollback { to: self.to }
    }
}

/// To go on with a log that was set back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptLogRequest {
    /// The position of the last event that was there before, 0 if there is none: what the log holds after it is handled.
    #[serde(deserialize_with = "position")]
    #[schema(maximum = 9223372036854775807_u64)]
    pub after: u64,
    /// For the record. Without it a host records `api`.
    #[serde(default)]
    #[schema(max_length = 200, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
    pub actor: Option<String>,
    /// For the record.
    #[serde(default)]
    #[schema(max_length = 1000, pattern = "^[^\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f]*$")]
    pub reason: Option<String>,
    /// The number of the latest deployment that the actor knows of. The operation is rejected if there is a later
    /// one by now.
    #[serde(default, deserialize_with = "json::whole")]
    #[schema(value_type = Option<u64>, maximum = 4294967295_u32)]
    pub expected_deployment: Option<u32>,
}

/// A position, which has to be given.
fn position<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let given: Option<u64> = json::whole(deserializer)?;
    let given = given.filter(|given| i64::try_from(*given).is_ok());
    given.ok_or_else(|| D::Error::custom("`after` is the position of an event, or 0"))
}

impl AcceptLogRequest {
    /// The action.
    #[must_use]
    pub fn action(&self) -> Action {
        Action::AcceptLog { after: self.after }
    }

    /// Who requests it.
    #[must_use]
    pub fn by(&self) -> By {
        By {
            actor: self.actor.clone(),
            reason: self.reason.clone(),
            expected_deployment: self.expected_deployment,
        }
    }
}

impl RetireRequest {
    /// The action.
    #[must_use]
    pub fn action(&self) -> Action {
        Action::Retire { drop: self.drop_read_model }
    }
}

impl Action {
    /// The last part of the path at which a host takes this operation, and the request as JSON.
    pub fn request(self, by: By) -> Result<(&'static str, Vec<u8>), serde_json::Error> {
        let (path, body) = match self {
            Self::Rebuild { promotion } => {
                let request = RebuildRequest { promotion: Some(promotion), ..RebuildRequest::attributed(by) };
                ("rebuild", serde_json::to_vec(&request))
            }
            Self::Rollback { to } => {
                ("rollback", serde_json::to_vec(&RollbackRequest { to, ..RollbackRequest::attributed(by) }))
            }
            Self::Retire { drop } => {
                let request = RetireRequest { drop_read_model: drop, ..RetireRequest::attributed(by) };
                ("retire", serde_json::to_vec(&request))
            }
            Self::AcceptLog { after } => {
                let By { actor, reason, expected_deployment } = by;
                (
                    "accept-log",
                    serde_json::to_vec(&AcceptLogRequest { after, actor, reason, expected_deployment }),
                )
            }
            Self::Promote => ("promote", serde_json::to_vec(&by)),
            Self::Cancel => ("cancel", serde_json::to_vec(&by)),
            Self::Pause => ("pause", serde_json::to_vec(&by)),
            Self::Resume => ("resume", serde_json::to_vec(&by)),
        };
        Ok((path, body?))
    }
}
