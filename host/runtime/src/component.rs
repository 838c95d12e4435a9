//! A component that is ready to run.

use std::sync::Arc;

use async_trait::async_trait;
use kennel_core::digest::Digest;
use kennel_core::port::{CallFailure, CodeSource, Component, GuestEnv, Instance};
use kennel_core::projection::Descriptor;
use tokio::sync::Semaphore;
use wasmtime::Engine;

use crate::instance::WasmInstance;
use crate::options::RuntimeOptions;
use crate::sandbox::Sandbox;
use crate::ticker::Ticks;
use crate::world::v0_1;

/// What every component of one runtime shares.
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    /// Those of the engine.
    pub(crate) ticks: Ticks,
    pub(crate) options: RuntimeOptions,
    /// The slots of the pool. The pool itself would fail where this waits.
    pub(crate) slots: Arc<Semaphore>,
}

pub(crate) struct WasmComponent {
    pub(crate) digest: Digest,
    pub(crate) descriptor: Descriptor,
    pub(crate) origin: CodeSource,
    pub(crate) pre: v0_1::ProjectionPre<Sandbox>,
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

    fn origin(&self) -> CodeSource {
        self.origin
    }

    async fn instantiate(&self, env: Arc<dyn GuestEnv>) -> Result<Box<dyn Instance>, CallFailure> {
        let deadline = self.shared.options.call_deadline;
        let instance = WasmInstance::new(&self.shared, &self.pre, Some(env), deadline).await?;
        Ok(Box::new(instance))
    }
}
