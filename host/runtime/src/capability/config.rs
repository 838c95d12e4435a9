//! Settings that the operator gave the deployment.

use std::sync::Arc;

use kennel_core::port::GuestEnv;

use super::Capability;
use crate::call::Call;

/// Where the settings are.
pub(crate) struct Config {
    env: Option<Arc<dyn GuestEnv>>,
}

impl Capability for Config {
    const INTERFACES: &'static [&'static str] = &["kennel:projection/config"];

    fn new(env: Option<&Arc<dyn GuestEnv>>) -> Self {
        Self { env: env.cloned() }
    }
}

impl Config {
    pub(crate) fn get(&self, call: &mut Call, key: &str) -> wasmtime::Result<Option<String>> {
        Ok(call.env("config.get", self.env.as_ref())?.config(key))
    }
}
