//! The read model of the deployment, as the guest reaches it. [`GuestEnv`] decides which
//! calls are valid; here its error ends the guest's call.

use std::sync::Arc;

use kennel_core::failure::FailureKind;
use kennel_core::port::{GuestEnv, HostError};

use crate::sandbox::{FaultCause, Sandbox};

impl FaultCause {
    /// A component describes itself before it has a read model or settings.
    pub(crate) fn not_while_describing() -> Self {
        let reason = "it is not available to `describe`, only to `handle`".to_owned();
        Self::Invalid { kind: FailureKind::InvalidCall, reason }
    }
}

impl Sandbox {
    pub(crate) async fn get(&mut self, collection: &str, key: &str) -> wasmtime::Result<Option<String>> {
        const CALL: &str = "read-model.get";
        let model = self.model(CALL)?;
        let found = self.work_on(model.get(collection, key)).await;
        let found = found.map_err(|error| self.fail(CALL, error))?;
        Ok(found.as_deref().map(str::to_owned))
    }

    pub(crate) async fn get_many(
        &mut self,
        collection: &str,
        keys: &[String],
    ) -> wasmtime::Result<Vec<Option<String>>> {
        const CALL: &str = "read-model.get-many";
        let model = self.model(CALL)?;
        let copied = async {
            let found = model.get_many(collection, keys).await?;
            Ok(found.into_iter().map(|document| document.as_deref().map(str::to_owned)).collect())
        };
        self.work_on(copied).await.map_err(|error: HostError| self.fail(CALL, error))
    }

    pub(crate) async fn scan(
        &mut self,
        collection: &str,
        after: Option<&str>,
        prefix: &str,
        limit: u32,
    ) -> wasmtime::Result<Vec<(String, String)>> {
        const CALL: &str = "read-model.scan";
        let model = self.model(CALL)?;
        let copied = async {
            let found = model.scan(collection, after, prefix, limit).await?;
            Ok(found.into_iter().map(|(key, document)| (key, (*document).to_owned())).collect())
        };
        self.work_on(copied).await.map_err(|error: HostError| self.fail(CALL, error))
    }

    pub(crate) fn put(&mut self, collection: &str, key: &str, document: String) -> wasmtime::Result<()> {
        const CALL: &str = "read-model.put";
        let model = self.model(CALL)?;
        self.work(|| model.put(collection, key, document)).map_err(|error| self.fail(CALL, error))
    }

    pub(crate) fn delete(&mut self, collection: &str, key: &str) -> wasmtime::Result<()> {
        const CALL: &str = "read-model.delete";
        let model = self.model(CALL)?;
        self.work(|| model.delete(collection, key)).map_err(|error| self.fail(CALL, error))
    }

    pub(crate) fn increment(
        &mut self,
        collection: &str,
        key: &str,
        field: &str,
        by: i64,
    ) -> wasmtime::Result<()> {
        const CALL: &str = "read-model.increment";
        let model = self.model(CALL)?;
        self.work(|| model.increment(collection, key, field, by)).map_err(|error| self.fail(CALL, error))
    }

    fn model(&mut self, call: &'static str) -> wasmtime::Result<Arc<dyn GuestEnv>> {
        match &self.env {
            Some(env) => Ok(Arc::clone(env)),
            None => Err(self.fail(call, FaultCause::not_while_describing())),
        }
    }
}
