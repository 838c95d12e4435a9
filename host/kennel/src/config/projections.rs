//! The sections `[projections.NAME]`: what the operator sets when the projection is deployed.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use kennel_core::limits;
use kennel_core::projection::{OnFailure, Settings};

/// What the operator sets for one projection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProjectionConfig {
    /// Most events handled and committed together.
    #[serde(deserialize_with = "batch")]
    pub batch: Option<usize>,
    pub on_failure: Option<OnFailure>,
    /// What the guest reads through the `config` import.
    pub config: BTreeMap<String, String>,
}

impl ProjectionConfig {
    /// The settings of a deployment: this section, overridden by what the command line gives.
    #[must_use]
    pub fn settings(&self, given: &Self) -> Settings {
        let mut config = self.config.clone();
        config.extend(given.config.clone());
        Settings {
            batch: given.batch.or(self.batch).unwrap_or(Settings::default().batch),
            on_failure: given.on_failure.or(self.on_failure).unwrap_or_default(),
            config,
        }
    }
}

/// Checks the size of a batch.
pub(crate) fn batch_size(events: usize) -> Result<usize, String> {
    if (1..=limits::BATCH_EVENTS_MAX).contains(&events) {
        Ok(events)
    } else {
        Err(format!("a batch has 1 to {} events, not {events}", limits::BATCH_EVENTS_MAX))
    }
}

fn batch<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    batch_size(usize::deserialize(deserializer)?).map(Some).map_err(D::Error::custom)
}
