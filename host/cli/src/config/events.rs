//! The section `[events]`: which tables hold the event log, for stores whose log other programs write.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use kennel::wire::{EventTables, TableName};

/// Names of the event log's tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventsConfig {
    /// The events themselves: TABLE or, on PostgreSQL, SCHEMA.TABLE.
    #[serde(deserialize_with = "name")]
    pub table: Option<TableName>,
    /// The latest version of each aggregate, which `kennel append` reads and moves.
    #[serde(deserialize_with = "name")]
    pub heads_table: Option<TableName>,
}

impl EventsConfig {
    /// The tables of this section, overridden by what the command line gives.
    #[must_use]
    pub fn tables(&self, given: &Self) -> EventTables {
        let default = EventTables::default();
        let choose = |given: &Option<TableName>, configured: &Option<TableName>, default| {
            given.clone().or_else(|| configured.clone()).unwrap_or(default)
        };
        EventTables {
            events: choose(&given.table, &self.table, default.events),
            aggregate_heads: choose(&given.heads_table, &self.heads_table, default.aggregate_heads),
        }
    }
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<TableName>, D::Error> {
    String::deserialize(deserializer)?.parse().map(Some).map_err(D::Error::custom)
}
