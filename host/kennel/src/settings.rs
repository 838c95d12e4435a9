//! What the operator sets when a projection is deployed, in a request or in a section `[projections.NAME]`.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use kennel_core::limits;
use kennel_core::projection::{OnFailure, Settings};

use crate::json;

/// What the operator sets for one projection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProjectionConfig {
    /// Most events handled and committed together.
    #[serde(deserialize_with = "batch")]
    #[schema(minimum = 1, maximum = 10000)]
    pub batch: Option<usize>,
    /// `halt` or `dead-letter`.
    #[schema(value_type = Option<String>, pattern = "^(halt|dead-letter)$")]
    pub on_failure: Option<OnFailure>,
    /// What the guest reads through the `config` import. In a request, `null` removes a key.
    pub config: BTreeMap<String, Option<String>>,
    /// The names of the capabilities that the guest has although not every guest has them, in place of those that were
    /// granted before.
    pub grants: Option<BTreeSet<String>>,
}

impl ProjectionConfig {
    /// This section, overridden key by key by what the command line gives.
    #[must_use]
    pub fn with(&self, given: Self) -> Self {
        let mut config = self.config.clone();
        config.extend(given.config);
        Self {
            batch: given.batch.or(self.batch),
            on_failure: given.on_failure.or(self.on_failure),
            config,
            grants: given.grants.or_else(|| self.grants.clone()),
        }
    }

    /// The settings of a deployment: the given ones, overridden by those of this section.
    #[must_use]
    pub fn over(&self, settings: Settings) -> Settings {
        let mut config = settings.config;
        for (key, value) in &self.config {
            match value {
                Some(value) => config.insert(key.clone(), value.clone()),
                None => config.remove(key),
            };
        }
        Settings {
            batch: self.batch.unwrap_or(settings.batch),
            on_failure: self.on_failure.unwrap_or(settings.on_failure),
            config,
            grants: self.grants.clone().unwrap_or(settings.grants),
        }
    }
}

/// Checks the size of a batch.
pub fn batch_size(events: usize) -> Result<usize, String> {
    if (1..=limits::BATCH_EVENTS_MAX).contains(&events) {
        Ok(events)
    } else {
        Err(format!("a batch has 1 to {} events, not {events}", limits::BATCH_EVENTS_MAX))
    }
}

fn batch<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    let given: Option<usize> = json::whole(deserializer)?;
    given.map(batch_size).transpose().map_err(D::Error::custom)
}
