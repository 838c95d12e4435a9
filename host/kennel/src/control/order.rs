//! The orders that a host takes over HTTP, besides deploying: what is sent is what is read there.

use kennel_core::lifecycle::Switch;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::{Action, By};
use crate::json;

/// Declares the body of an order: what it needs, and who gives it and why.
macro_rules! orders {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => { $(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
            /// For the record. A host records where the order came from if nothing is said.
            #[schema(max_length = 200, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
            pub author: Option<String>,
            /// For the record.
            #[schema(max_length = 1000, pattern = "^[^\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f]*$")]
            pub note: Option<String>,
            /// The number of the latest deployment that the author knows of. The order is declined if there is a
            /// later one by now.
            #[serde(deserialize_with = "json::whole")]
            #[schema(value_type = Option<u64>, maximum = 4294967295_u32)]
            pub seen: Option<u32>,
        }

        impl $name {
            fn signed(by: By) -> Self {
                let By { author, note, seen } = by;
                Self { author, note, seen, ..Self::default() }
            }

            /// Who gives it.
            #[must_use]
            pub fn by(&self) -> By {
                By { author: self.author.clone(), note: self.note.clone(), seen: self.seen }
            }
        }
    )* };
}

orders! {
    /// To build a read model anew.
    RebuildOrder {
        /// Whether it takes the place of the one that serves by itself: `auto` if nothing is said.
        #[schema(value_type = Option<String>, pattern = "^(auto|manual)$")]
        switch: Option<Switch>,
    }
    /// To return to an earlier deployment.
    RollbackOrder {
        /// Its number. The one that served before if nothing is said.
        #[serde(deserialize_with = "json::whole")]
        #[schema(value_type = Option<u64>, maximum = 4294967295_u32)]
        to: Option<u32>,
    }
    /// To take a projection out of service.
    RetireOrder {
        /// Removes its read model as well.
        drop_read_model: bool,
    }
}

impl RebuildOrder {
    /// What is to be done.
    #[must_use]
    pub fn action(&self) -> Action {
        Action::Rebuild { switch: self.switch.unwrap_or(Switch::Auto) }
    }
}

impl RollbackOrder {
    /// What is to be done.
    #[must_use]
    pub fn action(&self) -> Action {
        Action::Rollback { to: self.to }
    }
}

/// To go on with a log that was set back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptLogOrder {
    /// The position of the last event that was there before, 0 if there is none: what the log holds after it is handled.
    #[serde(deserialize_with = "position")]
    #[schema(maximum = 9223372036854775807_u64)]
    pub after: u64,
    /// For the record. A host records where the order came from if nothing is said.
    #[serde(default)]
    #[schema(max_length = 200, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
    pub author: Option<String>,
    /// For the record.
    #[serde(default)]
    #[schema(max_length = 1000, pattern = "^[^\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f]*$")]
    pub note: Option<String>,
    /// The number of the latest deployment that the author knows of. The order is declined if there is a later one by
    /// now.
    #[serde(default, deserialize_with = "json::whole")]
    #[schema(value_type = Option<u64>, maximum = 4294967295_u32)]
    pub seen: Option<u32>,
}

/// A position, which has to be given.
fn position<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let given: Option<u64> = json::whole(deserializer)?;
    let given = given.filter(|given| i64::try_from(*given).is_ok());
    given.ok_or_else(|| D::Error::custom("`after` is the position of an event, or 0"))
}

impl AcceptLogOrder {
    /// What is to be done.
    #[must_use]
    pub fn action(&self) -> Action {
        Action::AcceptLog { after: self.after }
    }

    /// Who gives it.
    #[must_use]
    pub fn by(&self) -> By {
        By { author: self.author.clone(), note: self.note.clone(), seen: self.seen }
    }
}

impl RetireOrder {
    /// What is to be done.
    #[must_use]
    pub fn action(&self) -> Action {
        Action::Retire { drop: self.drop_read_model }
    }
}

impl Action {
    /// The last part of the path at which a host takes this order, and the order as JSON.
    pub(super) fn order(self, by: By) -> Result<(&'static str, Vec<u8>), serde_json::Error> {
        let (path, body) = match self {
            Self::Rebuild { switch } => {
                let order = RebuildOrder { switch: Some(switch), ..RebuildOrder::signed(by) };
                ("rebuild", serde_json::to_vec(&order))
            }
            Self::Rollback { to } => {
                ("rollback", serde_json::to_vec(&RollbackOrder { to, ..RollbackOrder::signed(by) }))
            }
            Self::Retire { drop } => {
                let order = RetireOrder { drop_read_model: drop, ..RetireOrder::signed(by) };
                ("retire", serde_json::to_vec(&order))
            }
            Self::AcceptLog { after } => {
                let By { author, note, seen } = by;
                ("accept-log", serde_json::to_vec(&AcceptLogOrder { after, author, note, seen }))
            }
            Self::Switch => ("switch", serde_json::to_vec(&by)),
            Self::Cancel => ("cancel", serde_json::to_vec(&by)),
            Self::Pause => ("pause", serde_json::to_vec(&by)),
            Self::Resume => ("resume", serde_json::to_vec(&by)),
        };
        Ok((path, body?))
    }
}
