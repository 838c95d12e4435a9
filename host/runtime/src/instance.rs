//! One guest instance: typed calls, each bounded and each failure explained.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kennel_core::event::Event;
use kennel_core::failure::FailureKind;
use kennel_core::port::{CallFailure, GuestEnv, Instance};
use kennel_core::projection::Descriptor;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::{Engine, Store};

use crate::options::{RuntimeOptions, TICK};
use crate::sandbox::{self, Sandbox};
use crate::ticker::Ticks;
use crate::trap;
use crate::world::{Bound, Exports};

/// What all instances of one runtime share.
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    /// Those of the engine.
    pub(crate) ticks: Ticks,
    pub(crate) options: RuntimeOptions,
    /// The slots of the pool. The pool itself would fail where this waits.
    pub(crate) slots: Arc<Semaphore>,
}

pub(crate) struct WasmInstance {
    store: Store<Sandbox>,
    exports: Exports,
    deadline: Duration,
    ticks: Ticks,
    // Last, so that the slot in the pool is free before a waiting caller is notified.
    _permit: OwnedSemaphorePermit,
}

impl WasmInstance {
    /// Waits for a slot in the pool and fills it. `deadline` bounds each call, and the guest's own
    /// initialization too.
    pub(crate) async fn new(
        shared: &Shared,
        bound: &Bound,
        env: Option<Arc<dyn GuestEnv>>,
        deadline: Duration,
    ) -> Result<Self, CallFailure> {
        let permit = shared.slots.clone().acquire_owned().await.map_err(|_| CallFailure::Guest {
            kind: FailureKind::Trap,
            message: "the runtime is shutting down".to_owned(),
        })?;
        let sandbox = Sandbox::new(env, shared.options.memory_bytes_max, shared.ticks.clone());
        let mut store = Store::new(&shared.engine, sandbox);
        sandbox::bound(&mut store);
        store.data_mut().begin_call(ticks(deadline));
        store.set_epoch_deadline(1);
        let unseen = store.data().call.unseen();
        let exports = unseen.count(&shared.ticks, bound.instantiate(&mut store)).await;
        store.data_mut().end();
        match exports {
            Ok(exports) => {
                let ticks = shared.ticks.clone();
                Ok(Self { store, exports, deadline, ticks, _permit: permit })
            }
            Err(error) => Err(trap::explain(&error, store.data_mut(), deadline)),
        }
    }

    /// Asks the component what it is.
    pub(crate) async fn describe(&mut self) -> Result<Descriptor, CallFailure> {
        self.store.data_mut().begin_call(ticks(self.deadline));
        self.store.set_epoch_deadline(1);
        let unseen = self.store.data().call.unseen();
        let result = unseen.count(&self.ticks, self.exports.describe(&mut self.store)).await;
        self.store.data_mut().end();
        result.map_err(|error| trap::explain(&error, self.store.data_mut(), self.deadline))
    }
}

#[async_trait]
impl Instance for WasmInstance {
    async fn handle(&mut self, event: &Event, seed: u64) -> Result<(), CallFailure> {
        self.store.data_mut().begin(event, seed, ticks(self.deadline));
        self.store.set_epoch_deadline(1);
        let unseen = self.store.data().call.unseen();
        let result = unseen.count(&self.ticks, self.exports.handle(&mut self.store, event)).await;
        self.store.data_mut().end();
        match result {
            Ok(Ok(())) => Ok(()),
            Ok(Err((kind, reason))) => Err(trap::returned(kind, &reason, self.store.data())),
            Err(error) => Err(trap::explain(&error, self.store.data_mut(), self.deadline)),
        }
    }

    fn memory_peak(&self) -> usize {
        self.store.data().limits.memory_bytes_peak
    }
}

/// How many ticks may find a call running. One more than fit, because the first may come at once.
fn ticks(deadline: Duration) -> u64 {
    let ticks = deadline.as_nanos().div_ceil(TICK.as_nanos()) + 1;
    u64::try_from(ticks).unwrap_or(u64::MAX)
}
