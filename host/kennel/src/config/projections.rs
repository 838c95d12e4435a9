//! The sections `[projections.NAME]`: what the operator sets when the projection is deployed.

use std::collections::BTreeMap;

use serde::Deserialize;

use kennel_core::limits;
use kennel_core::projection::{OnFailure, Settings};

/// What the operator sets for one projection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProjectionConfig {
    /// Most events handled and committed together.
    pub batch: Option<usize>,
    pub on_failure: Option<OnFailure>,
    /// What the guest reads through the `config` import.
    pub config: BTreeMap<String, String>,
}

impl ProjectionConfig {
    /// The settings of a deployment: this section, overridden by what the command line gives.
    pub fn settings(&self, given: &Self) -> Result<Settings, String> {
        let defaults = Settings::default();
        let batch = given.batch.or(self.batch).unwrap_or(defaults.batch);
        if !(1..=limits::BATCH_EVENTS_MAX).contains(&batch) {
            return Err(format!("a batch has 1 to {} events, not {batch}", limits::BATCH_EVENTS_MAX));
        }
        let mut config = self.config.clone();
        config.extend(given.config.clone());
        Ok(Settings { batch, on_failure: given.on_failure.or(self.on_failure).unwrap_or_default(), config })
    }
}
