//! The read model of the deployment, as the guest reaches it. [`GuestEnv`] decides which
//! calls are valid; here its error ends the guest's call.

use std::sync::Arc;

use kennel_core::port::{GuestEnv, HostError};

use super::Capability;
use crate::call::Call;

/// Where the read model is.
pub(crate) struct ReadModel {
    env: Option<Arc<dyn GuestEnv>>,
}

impl Capability for ReadModel {
    const INTERFACES: &'static [&'static str] = &["kennel:projection/read-model"];

    fn new(env: Option<&Arc<dyn GuestEnv>>) -> Self {
        Self { env: env.cloned() }
    }
}

impl ReadModel {
    pub(crate) async fn get(
        &self,
        call: &mut Call,
        collection: &str,
        key: &str,
    ) -> wasmtime::Result<Option<String>> {
        const CALL: &str = "read-model.get";
        let model = call.env(CALL, self.env.as_ref())?;
        let found = call.work_on(model.get(collection, key)).await;
        let found = found.map_err(|error| call.fail(CALL, error))?;
        Ok(found.as_deref().map(str::to_owned))
    }

    pub(crate) async fn get_many(
        &self,
        call: &mut Call,
        collection: &str,
        keys: &[String],
    ) -> wasmtime::Result<Vec<Option<String>>> {
        const CALL: &str = "read-model.get-many";
        let model = call.env(CALL, self.env.as_ref())?;
        let copied = async {
            let found = model.get_many(collection, keys).await?;
            Ok(found.into_iter().map(|document| document.as_deref().map(str::to_owned)).collect())
        };
        call.work_on(copied).await.map_err(|error: HostError| call.fail(CALL, error))
    }

    pub(crate) async fn scan(
        &self,
        call: &mut Call,
        collection: &str,
        after: Option<&str>,
        prefix: &str,
        limit: u32,
    ) -> wasmtime::Result<Vec<(String, String)>> {
        const CALL: &str = "read-model.scan";
        let model = call.env(CALL, self.env.as_ref())?;
        let copied = async {
            let found = model.scan(collection, after, prefix, limit).await?;
            Ok(found.into_iter().map(|(key, document)| (key, (*document).to_owned())).collect())
        };
        call.work_on(copied).await.map_err(|error: HostError| call.fail(CALL, error))
    }

    pub(crate) fn put(
        &self,
        call: &mut Call,
        collection: &str,
        key: &str,
        document: String,
    ) -> wasmtime::Result<()> {
        const CALL: &str = "read-model.put";
        let model = call.env(CALL, self.env.as_ref())?;
        call.work(|| model.put(collection, key, document)).map_err(|error| call.fail(CALL, error))
    }

    pub(crate) fn delete(&self, call: &mut Call, collection: &str, key: &str) -> wasmtime::Result<()> {
        const CALL: &str = "read-model.delete";
        let model = call.env(CALL, self.env.as_ref())?;
        call.work(|| model.delete(collection, key)).map_err(|error| call.fail(CALL, error))
    }

    pub(crate) fn increment(
        &self,
        call: &mut Call,
        collection: &str,
        key: &str,
        field: &str,
        by: i64,
    ) -> wasmtime::Result<()> {
        const CALL: &str = "read-model.increment";
        let model = call.env(CALL, self.env.as_ref())?;
        call.work(|| model.increment(collection, key, field, by)).map_err(|error| call.fail(CALL, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{Fault, FaultCause};
    use crate::ticker::Ticks;

    #[test]
    fn a_component_that_describes_itself_has_no_read_model_yet() {
        let mut call = Call::new(Ticks::default());
        let error = ReadModel::new(None).delete(&mut call, "orders", "1").unwrap_err();
        assert_eq!(error.to_string(), "read-model.delete failed");
        let Some(Fault { call: "read-model.delete", cause: FaultCause::Invalid { reason, .. } }) =
            call.take_fault()
        else {
            panic!("the call is invalid");
        };
        assert_eq!(reason, "it is not available to `describe`, only to `handle`");
    }
}
