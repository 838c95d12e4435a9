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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{Fault, FaultCause};
    use crate::ticker::Ticks;

    #[test]
    fn a_component_that_describes_itself_has_no_settings_yet() {
        let mut call = Call::new(Ticks::default());
        let error = Config::new(None).get(&mut call, "currency").unwrap_err();
        assert_eq!(error.to_string(), "config.get failed");
        let fault = call.take_fault();
        assert!(matches!(fault, Some(Fault { call: "config.get", cause: FaultCause::Invalid { .. } })));
    }
}
