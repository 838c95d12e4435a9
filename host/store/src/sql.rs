//! The statements that both databases share, read from `sql/*.sql`, with the few parts that differ
//! filled in once when a store is opened. Statements of one database alone are in `sql/DIALECT/`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

/// Which tables hold the event log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventTables {
    pub events: TableName,
    pub aggregate_heads: TableName,
}

impl Default for EventTables {
    fn default() -> Self {
        Self {
            events: TableName { schema: None, name: "events".to_owned() },
            aggregate_heads: TableName { schema: None, name: "aggregate_heads".to_owned() },
        }
    }
}

/// The name of a table, with or without its schema: `events` or `sales.events`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName {
    schema: Option<String>,
    name: String,
}

impl TableName {
    /// The same table, in this schema.
    pub(crate) fn in_schema(&self, schema: &str) -> Self {
        Self { schema: Some(schema.to_owned()), name: self.name.clone() }
    }

    pub(crate) fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }

    /// The name without its schema.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The name as SQL, quoted.
    pub(crate) fn quoted(&self) -> String {
        self.schema.iter().chain([&self.name]).map(|part| quoted(part)).collect::<Vec<_>>().join(".")
    }
}

/// Text that cannot name an event table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a table name: use TABLE or SCHEMA.TABLE, of letters, digits, `_` and `-`")]
pub struct InvalidTableName(String);

impl FromStr for TableName {
    type Err = InvalidTableName;

    fn from_str(text: &str) -> Result<Self, InvalidTableName> {
        let is_part = |part: &str| {
            !part.is_empty()
                && part.len() <= 63
                && part.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
        };
        let (schema, name) = text.split_once('.').map_or((None, text), |(schema, name)| (Some(schema), name));
        if schema.is_none_or(is_part) && is_part(name) {
            Ok(Self { schema: schema.map(str::to_owned), name: name.to_owned() })
        } else {
            Err(InvalidTableName(kennel_core::limits::excerpt(text)))
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => f.pad(&format!("{schema}.{}", self.name)),
            None => f.pad(&self.name),
        }
    }
}

/// `name` as a quoted SQL identifier.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `SCHEMA.TABLE` as quoted SQL identifiers.
pub(crate) fn quoted_path(name: &str) -> String {
    name.split('.').map(quoted).collect::<Vec<_>>().join(".")
}

/// `text` as a string in SQL.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// What shared statements leave open, because each database says it in its own way.
#[derive(Debug)]
pub(crate) struct Fragments {
    /// The beginning of the names of Kennel's own tables.
    pub(crate) prefix: &'static str,
    /// The id of an event as text.
    pub(crate) event_id: &'static str,
    /// Whole microseconds since 1970 by the database's clock, so that hosts whose clocks differ agree on who is alive.
    pub(crate) now: &'static str,
    pub(crate) for_update: &'static str,
    pub(crate) for_no_key_update: &'static str,
    pub(crate) for_share: &'static str,
    /// Whether the process of a worker has the connection that shows that it is alive.
    pub(crate) connected: &'static str,
    /// The rows of a list in JSON, the first parameter.
    pub(crate) listed: &'static str,
    /// The tables and the sequence of the event log.
    pub(crate) events_members: &'static str,
}

/// Fills in what differs between the databases.
#[derive(Clone, Debug)]
pub(crate) struct TableNames {
    fragments: &'static Fragments,
    tables: EventTables,
}

impl TableNames {
    pub(crate) fn new(fragments: &'static Fragments, tables: &EventTables) -> Self {
        Self { fragments, tables: tables.clone() }
    }

    /// The tables of the event log: on PostgreSQL with their schema, if they exist.
    pub(crate) const fn tables(&self) -> &EventTables {
        &self.tables
    }

    /// The statement that `template` stands for.
    pub(crate) fn fill(&self, template: &str) -> SqlStr {
        let Fragments { prefix, event_id, now, .. } = *self.fragments;
        // What lies between a position and the end of the log is read from the index alone: one row.
        let last = |column: &str, none: &str, upto: &str| {
            format!(
                "coalesce((SELECT {column} FROM {{events}} WHERE global_position <= {upto} \
                 ORDER BY global_position DESC LIMIT 1), {none})"
            )
        };
        let mut text = template.replace(
            "{covered}",
            "CAST(CASE WHEN {last_position:c.position} = c.witness_position AND {last_id:c.position} = c.witness_id \
             THEN 1 ELSE 0 END AS BIGINT)",
        );
        for upto in ["c.position", "$1", "$3", "$4"] {
            text = text
                .replace(&format!("{{last_position:{upto}}}"), &last("global_position", "0", upto))
                .replace(&format!("{{last_id:{upto}}}"), &last(event_id, "''", upto));
        }
        let events = self.tables.events.quoted();
        let text = text
            .replace("{k}", prefix)
            .replace("{now}", now)
            .replace("{for_update}", self.fragments.for_update)
            .replace("{for_no_key_update}", self.fragments.for_no_key_update)
            .replace("{for_share}", self.fragments.for_share)
            .replace("{connected}", self.fragments.connected.trim())
            .replace("{listed}", self.fragments.listed)
            .replace("{events_members}", self.fragments.events_members.trim())
            .replace("{events_name}", &literal(&events))
            .replace("{events}", &events)
            .replace("{heads}", &self.tables.aggregate_heads.quoted());
        statement(text)
    }
}

/// Text made of statements in this crate and of names that were checked or quoted: never of what a guest
/// or a writer of events said, which is always bound as a parameter.
pub(crate) fn statement(text: String) -> SqlStr {
    AssertSqlSafe(Arc::<str>::from(text)).into_sql_str()
}

/// Declares a set of statements, each read from a file of its name.
macro_rules! statements {
    ($(#[$doc:meta])* $set:ident in $folder:literal: $($name:ident)*) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $set { $(pub(crate) $name: sqlx::SqlStr,)* }

        impl $set {
            pub(crate) fn new(names: &crate::sql::TableNames) -> Self {
                Self { $($name: names.fill(include_str!(concat!($folder, stringify!($name), ".sql"))),)* }
            }

            /// Every statement with its name, so that a test can have the database check them all.
            #[cfg(test)]
            pub(crate) fn all(&self) -> Vec<(&'static str, &sqlx::SqlStr)> {
                vec![$((stringify!($name), &self.$name),)*]
            }
        }
    };
}
pub(crate) use statements;

statements! {
    /// The statements that both databases share.
    Shared in "sql/":
    component_put component_repair component_keep component_get components components_unused component_remove
    registry_advance registry_lock registry_revision
    projections projection_insert projection_update projection_find namespace_taken
    read_models read_model_insert read_model_set_status read_model_lock read_model_namespace
    read_models_deleting read_model_deleting_lock read_models_kept
    published published_find published_named published_insert published_update published_all published_late
    deployment_insert deployment_decide deployments_active deployment_find deployment_history deployment_report
    condition_put condition_remove conditions conditions_expire
    operations operation_insert
    events_next events_last events_below
    progress
    checkpoints_at_work checkpoints_of checkpoints_lock checkpoints_remove
    checkpoint_insert checkpoint_delete checkpoints_overlapping checkpoint_move checkpoint_movable
    collections collection_find collection_insert collection_tables collection_remove
    dead_letter_insert dead_letters dead_letters_remove
    replica_set_ensure replica_set_lock replica_set_lock_shared replica_set_advance
    generation_insert generation_prune generation_history
    worker_join worker_heartbeat worker_leave workers workers_forget view worker_remove_stale
}
