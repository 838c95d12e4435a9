//! Settings that the operator gave the deployment.

use crate::sandbox::{FaultCause, Sandbox};

impl Sandbox {
    pub(crate) fn setting(&mut self, key: &str) -> wasmtime::Result<Option<String>> {
        match &self.env {
            Some(env) => Ok(env.config(key)),
            None => Err(self.fail("config.get", FaultCause::not_while_describing())),
        }
    }
}
