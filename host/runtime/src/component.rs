//! A component that is ready to run.

use std::sync::Arc;

use async_trait::async_trait;
use kennel_core::digest::Digest;
use kennel_core::grant::NeededGrant;
use kennel_core::port::{CallFailure, CodeSource, Component, GuestEnv, Instance};
use kennel_core::projection::Descriptor;

use crate::instance::{Shared, WasmInstance};
use crate::world::Bound;

pub(crate) struct WasmComponent {
    pub(crate) digest: Digest,
    pub(crate) descriptor: Descriptor,
    pub(crate) grants: Vec<NeededGrant>,
    pub(crate) origin: CodeSource,
    pub(crate) bound: Bound,
    pub(crate) shared: Arc<Shared>,
}

#[async_trait]
impl Component for WasmComponent {
    fn digest(&self) -> Digest {
        self.digest
    }

    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn needed_grants(&self) -> &[NeededGrant] {
        &self.grants
    }

    fn origin(&self) -> CodeSource {
        self.origin
    }

    async fn instantiate(&self, env: Arc<dyn GuestEnv>) -> Result<Box<dyn Instance>, CallFailure> {
        let deadline = self.shared.options.call_deadline;
        let instance = WasmInstance::new(&self.shared, &self.bound, Some(env), deadline).await?;
        Ok(Box::new(instance))
    }
}
