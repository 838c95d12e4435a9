//! The state of one instance: what it may reach of the host, and how much of everything.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kennel_core::event::Event;
use kennel_core::port::{GuestEnv, HostError, StoreError};
use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::capability::clock::EventClock;
use crate::capability::log::GuestLog;
use crate::capability::random::Generator;
use crate::capability::stdio;
use crate::engine::TABLE_ELEMENTS_MAX;

/// The data of a store.
pub(crate) struct Sandbox {
    /// What the guest sees of the host; none while it describes itself.
    pub(crate) env: Option<Arc<dyn GuestEnv>>,
    pub(crate) limits: Limits,
    pub(crate) clock: EventClock,
    pub(crate) random: Generator,
    /// Why a host call failed, until the trap that it causes has arrived.
    pub(crate) fault: Option<Fault>,
    log: Arc<Mutex<GuestLog>>,
    pub(crate) table: ResourceTable,
    wasi: WasiCtx,
    ticks_left: u64,
}

/// A host call that did not succeed, and which.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) call: &'static str,
    pub(crate) cause: FaultCause,
}

#[derive(Debug)]
pub(crate) enum FaultCause {
    /// The guest's doing.
    Refused(String),
    /// The host's.
    Store(StoreError),
}

impl From<HostError> for FaultCause {
    fn from(error: HostError) -> Self {
        match error {
            HostError::Refused(refused) => Self::Refused(refused.to_string()),
            HostError::Store(error) => Self::Store(error),
        }
    }
}

impl Sandbox {
    pub(crate) fn new(env: Option<Arc<dyn GuestEnv>>, memory_bytes_max: usize) -> Self {
        let log = Arc::new(Mutex::new(GuestLog::new(env.clone())));
        Self {
            env,
            limits: Limits::new(memory_bytes_max),
            clock: EventClock::default(),
            random: Generator::default(),
            fault: None,
            wasi: stdio::context(&log),
            log,
            table: ResourceTable::new(),
            ticks_left: 0,
        }
    }

    /// Sets the stage for one event.
    pub(crate) fn begin(&mut self, event: &Event, seed: u64, ticks: u64) {
        self.clock = EventClock::at(event.position, event.created_at);
        self.random = Generator::new(seed);
        self.begin_call(ticks);
    }

    /// Sets the stage for a call that is not about an event.
    pub(crate) fn begin_call(&mut self, ticks: u64) {
        self.ticks_left = ticks;
        self.limits.refused = None;
        self.fault = None;
        self.log().begin();
    }

    /// Ends a call: what is left of the guest's output is logged.
    pub(crate) fn end(&self) {
        self.log().end();
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, GuestLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers why a host call failed; the error is the trap that ends the guest's call.
    pub(crate) fn fail(&mut self, call: &'static str, cause: impl Into<FaultCause>) -> wasmtime::Error {
        self.fault = Some(Fault { call, cause: cause.into() });
        wasmtime::format_err!("{call} failed")
    }
}

impl WasiView for Sandbox {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// Bounds a store. On every tick that finds the guest running it hands the thread back to the async
/// runtime, until the call's ticks are used up. Ticks in which the guest waits for the host or for its
/// turn pass unseen, so a slow database or a busy machine is not held against it.
pub(crate) fn bound(store: &mut Store<Sandbox>) {
    store.limiter(|sandbox| &mut sandbox.limits);
    store.epoch_deadline_callback(|mut store| {
        let sandbox = store.data_mut();
        if sandbox.ticks_left == 0 {
            return Ok(UpdateDeadline::Interrupt);
        }
        sandbox.ticks_left -= 1;
        Ok(UpdateDeadline::Yield(1))
    });
}

/// How much memory an instance has, may have, and was refused.
#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) memory_bytes_max: usize,
    memory_bytes: usize,
    pub(crate) memory_bytes_peak: usize,
    /// What the last growth would have added, in case it fails after it was allowed.
    granted: usize,
    /// What the guest was refused in this call.
    pub(crate) refused: Option<RefusedGrowth>,
}

/// A growth that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusedGrowth {
    /// All memories together would have had this many bytes.
    Memory { bytes: usize },
    /// The table would have had this many elements.
    Table { elements: usize },
}

impl Limits {
    fn new(memory_bytes_max: usize) -> Self {
        Self { memory_bytes_max, memory_bytes: 0, memory_bytes_peak: 0, granted: 0, refused: None }
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        let total = self.memory_bytes.saturating_add(more);
        if total > self.memory_bytes_max {
            self.granted = 0;
            self.refused = Some(RefusedGrowth::Memory { bytes: total });
            return Ok(false);
        }
        self.granted = more;
        self.memory_bytes = total;
        self.memory_bytes_peak = self.memory_bytes_peak.max(total);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory_bytes -= std::mem::take(&mut self.granted);
        Ok(())
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired > TABLE_ELEMENTS_MAX {
            self.refused = Some(RefusedGrowth::Table { elements: desired });
            return Ok(false);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 64 * 1024;

    #[test]
    fn the_limit_holds_for_all_memories_together() {
        let mut limits = Limits::new(10 * PAGE);
        assert!(limits.memory_growing(0, 4 * PAGE, None).unwrap());
        assert!(limits.memory_growing(0, 4 * PAGE, None).unwrap());
        assert!(!limits.memory_growing(4 * PAGE, 7 * PAGE, None).unwrap());
        assert_eq!(limits.refused, Some(RefusedGrowth::Memory { bytes: 11 * PAGE }));
        assert!(limits.memory_growing(4 * PAGE, 6 * PAGE, None).unwrap());
        assert_eq!(limits.memory_bytes_peak, 10 * PAGE);
    }

    #[test]
    fn a_growth_that_fails_later_is_given_back_once() {
        let mut limits = Limits::new(10 * PAGE);
        assert!(limits.memory_growing(0, 8 * PAGE, None).unwrap());
        limits.memory_grow_failed(wasmtime::format_err!("no memory")).unwrap();
        limits.memory_grow_failed(wasmtime::format_err!("no memory")).unwrap();
        assert!(limits.memory_growing(0, 10 * PAGE, None).unwrap());
    }
}
