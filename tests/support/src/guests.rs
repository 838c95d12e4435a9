//! Components without wasm: what they report of themselves and what their instances do is up to the test.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use kennel_core::digest::Digest;
use kennel_core::event::Event;
use kennel_core::grant::NeededGrant;
use kennel_core::port::{CallFailure, CodeSource, Component, ComponentError, GuestEnv, Instance, Runtime};
use kennel_core::projection::Descriptor;

type Instantiate = dyn Fn(Arc<dyn GuestEnv>) -> Box<dyn Instance> + Send + Sync;

/// A component that describes itself. The test fails if it is run, unless [`Self::with_instances`] says how.
#[derive(Clone)]
pub struct FakeComponent {
    digest: Digest,
    descriptor: Descriptor,
    grants: Vec<NeededGrant>,
    instantiate: Arc<Instantiate>,
}

impl FakeComponent {
    #[must_use]
    pub fn new(digest: Digest, descriptor: Descriptor) -> Self {
        let instantiate = |_| -> Box<dyn Instance> { panic!("this test runs no component") };
        Self { digest, descriptor, grants: Vec::new(), instantiate: Arc::new(instantiate) }
    }

    /// The same, which needs these grants.
    #[must_use]
    pub fn with_needed_grants(self, grants: Vec<NeededGrant>) -> Self {
        Self { grants, ..self }
    }

    /// The same, with instances that this function makes.
    #[must_use]
    pub fn with_instances(
        self,
        instantiate: impl Fn(Arc<dyn GuestEnv>) -> Box<dyn Instance> + Send + Sync + 'static,
    ) -> Self {
        Self { instantiate: Arc::new(instantiate), ..self }
    }
}

impl fmt::Debug for FakeComponent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeComponent").field("descriptor", &self.descriptor).finish_non_exhaustive()
    }
}

#[async_trait]
impl Component for FakeComponent {
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
        CodeSource::Compiled
    }

    async fn instantiate(&self, env: Arc<dyn GuestEnv>) -> Result<Box<dyn Instance>, CallFailure> {
        Ok((self.instantiate)(env))
    }
}

/// Makes components of bytes, as its function says.
#[derive(Debug)]
pub struct FakeRuntime<F>(pub F);

#[async_trait]
impl<F: Fn(&[u8]) -> FakeComponent + Send + Sync> Runtime for FakeRuntime<F> {
    async fn prepare(&self, bytes: Arc<[u8]>) -> Result<Arc<dyn Component>, ComponentError> {
        Ok(Arc::new(self.0(&bytes)))
    }
}

/// An instance that handles every event by doing nothing.
#[derive(Clone, Copy, Debug)]
pub struct Idle;

#[async_trait]
impl Instance for Idle {
    async fn handle(&mut self, _: &Event, _: u64) -> Result<(), CallFailure> {
        Ok(())
    }

    fn memory_peak(&self) -> usize {
        0
    }
}
