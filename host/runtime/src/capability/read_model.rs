//! The read model of the deployment, as the guest reaches it. What is allowed is decided behind
//! [`GuestEnv`]; here a refusal becomes the end of the guest's call.

use std::sync::Arc;

use kennel_core::port::GuestEnv;

use crate::sandbox::{FaultCause, Sandbox};

impl FaultCause {
    /// A component describes itself before it has a read model or settings.
    pub(crate) fn not_while_describing() -> Self {
        Self::Refused("it is not available to `describe`, only to `handle`".to_owned())
    }
}

impl Sandbox {
    pub(crate) async fn get(&mut self, collection: &str, key: &str) -> wasmtime::Result<Option<String>> {
        const CALL: &str = "read-model.get";
        let found = self.model(CALL)?.get(collection, key).await;
        let found = found.map_err(|error| self.fail(CALL, error))?;
        Ok(found.as_deref().map(str::to_owned))
    }

    pub(crate) async fn get_many(
        &mut self,
        collection: &str,
        keys: &[String],
    ) -> wasmtime::Result<Vec<Option<String>>> {
        const CALL: &str = "read-model.get-many";
        let found = self.model(CALL)?.get_many(collection, keys).await;
        let found = found.map_err(|error| self.fail(CALL, error))?;
        Ok(found.into_iter().map(|document| document.as_deref().map(str::to_owned)).collect())
    }

    pub(crate) async fn scan(
        &mut self,
        collection: &str,
        after: Option<&str>,
        prefix: &str,
        limit: u32,
    ) -> wasmtime::Result<Vec<(String, String)>> {
        const CALL: &str = "read-model.scan";
        let found = self.model(CALL)?.scan(collection, after, prefix, limit).await;
        let found = found.map_err(|error| self.fail(CALL, error))?;
        Ok(found.into_iter().map(|(key, document)| (key, (*document).to_owned())).collect())
    }

    pub(crate) fn put(&mut self, collection: &str, key: &str, document: String) -> wasmtime::Result<()> {
        const CALL: &str = "read-model.put";
        self.model(CALL)?.put(collection, key, document).map_err(|error| self.fail(CALL, error))
    }

    pub(crate) fn delete(&mut self, collection: &str, key: &str) -> wasmtime::Result<()> {
        const CALL: &str = "read-model.delete";
        self.model(CALL)?.delete(collection, key).map_err(|error| self.fail(CALL, error))
    }

    pub(crate) fn increment(
        &mut self,
        collection: &str,
        key: &str,
        field: &str,
        by: i64,
    ) -> wasmtime::Result<()> {
        const CALL: &str = "read-model.increment";
        self.model(CALL)?.increment(collection, key, field, by).map_err(|error| self.fail(CALL, error))
    }

    fn model(&mut self, call: &'static str) -> wasmtime::Result<Arc<dyn GuestEnv>> {
        match &self.env {
            Some(env) => Ok(Arc::clone(env)),
            None => Err(self.fail(call, FaultCause::not_while_describing())),
        }
    }
}
