//! What becomes of bytes: they are examined, compiled, linked and asked what they are.
//!
//! It knows no cache and no other process: the runtime works here itself, or the compiler does for it, and
//! both say the same of a component.

use std::sync::Arc;

use kennel_core::collection;
use kennel_core::grant::NeededGrant;
use kennel_core::limits::{DESCRIPTOR_VALUE_BYTES_MAX, SCOPE_VALUES_MAX};
use kennel_core::port::{CallFailure, ComponentError, Fault};
use kennel_core::projection::Descriptor;
use tokio::sync::Semaphore;
use wasmtime::component::{Component, Linker};

use crate::binary::one_line;
use crate::capability;
use crate::check::{self, Findings};
use crate::engine::{self, Allocation, Started, is_out_of_memory};
use crate::inspect::examine;
use crate::instance::{Shared, WasmInstance};
use crate::options::{RuntimeError, RuntimeOptions};
use crate::sandbox::Sandbox;
use crate::world::{self, Bound, World};

/// What preparing a component takes.
pub(crate) struct CompilerService {
    pub(crate) shared: Arc<Shared>,
    /// How its engine gives memory to instances.
    pub(crate) allocation: Allocation,
    linker: Linker<Sandbox>,
}

/// A component that was not compiled.
pub(crate) enum CompileError {
    Unsupported(ComponentError),
    /// There was no more memory to be had.
    OutOfMemory,
}

/// A component that is ready to be instantiated, and what it says of itself.
pub(crate) struct Finished {
    pub(crate) bound: Bound,
    pub(crate) descriptor: Descriptor,
    /// What it imports that a deployment has to grant.
    pub(crate) grants: Vec<NeededGrant>,
}

impl CompilerService {
    pub(crate) fn new(options: RuntimeOptions) -> Result<Self, RuntimeError> {
        Self::furnish(engine::start(&options)?, options)
    }

    /// One whose code fits into another compiler service that allocates in this way.
    pub(crate) fn like(allocation: Allocation, options: RuntimeOptions) -> Result<Self, RuntimeError> {
        Self::furnish(engine::start_with(&options, allocation)?, options)
    }

    fn furnish(started: Started, options: RuntimeOptions) -> Result<Self, RuntimeError> {
        let Started { engine, ticks, allocation } = started;
        let mut linker = Linker::new(&engine);
        let link = world::link(&mut linker).and_then(|()| capability::link(&mut linker));
        link.map_err(|error| RuntimeError::Engine(error.into()))?;
        let slots = Arc::new(Semaphore::new(options.instances_max as usize));
        Ok(Self { shared: Arc::new(Shared { engine, ticks, options, slots }), allocation, linker })
    }

    /// As [`Self::compile`], on a thread where it may take its time. It goes on to its end even if no caller
    /// waits for it any longer, and holds `permit` until then.
    pub(crate) async fn compile_aside(
        self: &Arc<Self>,
        bytes: Arc<[u8]>,
        permit: impl Send + 'static,
    ) -> Result<Component, CompileError> {
        let compiler_service = Arc::clone(self);
        let compiled = tokio::task::spawn_blocking(move || {
            let compiled = compiler_service.compile(&bytes);
            drop(permit);
            compiled
        });
        compiled.await.unwrap_or_else(|_| Err(CompileError::Unsupported(unsupported(CRASHED))))
    }

    /// Checks and compiles.
    fn compile(&self, bytes: &[u8]) -> Result<Component, CompileError> {
        let examined = examine(bytes, self.shared.options.memory_bytes_max).map_err(unsupported)?;
        let Findings { world, problems, .. } = examined.findings;
        if !problems.is_empty() {
            return Err(unsupported(check::error(world, &problems)).into());
        }
        Component::from_binary(&self.shared.engine, &examined.component).map_err(|error| {
            if is_out_of_memory(&error) {
                return CompileError::OutOfMemory;
            }
            unsupported(format!("it cannot be compiled: {}", one_line(&format!("{error:#}")))).into()
        })
    }

    /// Links a compiled component and asks it what it is.
    pub(crate) async fn finish(&self, component: &Component) -> Result<Finished, ComponentError> {
        let component_type = component.component_type();
        let imports = || component_type.imports(&self.shared.engine).map(|(name, _)| name);
        let world = World::of(imports())
            .map_err(|version| unsupported(check::error(World::NEWEST, &[world::foreign(version)])))?;
        let bound = self.linker.instantiate_pre(component).and_then(|pre| world.bind(pre));
        let bound =
            bound.map_err(|error| unsupported(check::error(world, &[one_line(&format!("{error:#}"))])))?;
        let descriptor = describe(&self.shared, &bound).await?;
        Ok(Finished { bound, descriptor, grants: capability::needed_grants(imports()) })
    }
}

/// The message for a component on which the compiler fails in a way that compilers should not.
pub(crate) const CRASHED: &str =
    "the compiler crashed on it: please report this, with the file, as a bug of this host";

pub(crate) fn unsupported(message: impl Into<String>) -> ComponentError {
    ComponentError { message: message.into(), fault: Fault::Component }
}

/// What did not run because of this host.
pub(crate) fn fail(message: impl Into<String>) -> ComponentError {
    ComponentError { message: message.into(), fault: Fault::Host }
}

impl From<ComponentError> for CompileError {
    fn from(error: ComponentError) -> Self {
        Self::Unsupported(error)
    }
}

/// Asks a fresh instance what it is.
async fn describe(shared: &Shared, bound: &Bound) -> Result<Descriptor, ComponentError> {
    let deadline = shared.options.describe_deadline;
    let mut instance = WasmInstance::new(shared, bound, None, deadline)
        .await
        .map_err(|failure| failed("it cannot be started", failure))?;
    let described = instance.describe().await;
    let descriptor = described.map_err(|failure| failed("its `describe` failed", failure))?;
    validate(&descriptor)
        .map_err(|problem| unsupported(format!("its `describe` is not valid: {problem}")))?;
    Ok(descriptor)
}

fn validate(descriptor: &Descriptor) -> Result<(), String> {
    let check_value = |what: &str, value: &str| {
        let (bytes, max) = (value.len(), DESCRIPTOR_VALUE_BYTES_MAX);
        if bytes == 0 {
            Err(format!("the {what} is empty"))
        } else if bytes > max {
            Err(format!("the {what} has {bytes} bytes; at most {max} are allowed"))
        } else if value.contains(char::is_control) {
            Err(format!("the {what} `{}` has a control character", kennel_core::limits::excerpt(value)))
        } else {
            Ok(())
        }
    };
    check_value("name", &descriptor.name)?;
    check_value("version", &descriptor.version)?;
    let scope = &descriptor.scope;
    for (what, values) in [
        ("bounded context", &scope.bounded_contexts),
        ("aggregate type", &scope.aggregate_types),
        ("event type", &scope.event_types),
    ] {
        if values.len() > SCOPE_VALUES_MAX {
            let given = values.len();
            return Err(format!("its scope has {given} {what}s; at most {SCOPE_VALUES_MAX} are allowed"));
        }
        values.iter().try_for_each(|entry| check_value(&format!("{what} in its scope"), entry))?;
    }
    collection::check(&descriptor.collections).map_err(|error| error.to_string())
}

fn failed(what: &str, failure: CallFailure) -> ComponentError {
    match failure {
        CallFailure::Guest { message, .. } => unsupported(format!("{what}: it {message}")),
        CallFailure::Host(error) => fail(format!("{what}: {error}")),
        CallFailure::Crowded => fail(format!(
            "{what}: the system denied this host the memory that it takes; try again when there is more"
        )),
    }
}
