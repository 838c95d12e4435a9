//! The state of one instance: what it may reach of the host, and how much of everything.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kennel_core::event::Event;
use kennel_core::failure::FailureKind;
use kennel_core::limits::{GUEST_HANDLES_MAX, HOST_CALL_BYTES_MAX};
use kennel_core::port::{GuestEnv, HostError, StoreError};
use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::capability::clock::EventClock;
use crate::capability::log::GuestLog;
use crate::capability::random::Generator;
use crate::capability::stdio;
use crate::engine::{TABLE_ELEMENT_BYTES, TABLE_ELEMENTS_MAX, is_out_of_memory};
use crate::ticker::Ticks;

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
    ticks: Ticks,
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
    Invalid { kind: FailureKind, reason: String },
    /// The host's.
    Store(StoreError),
    /// There is no memory for it now.
    Crowded,
}

impl From<HostError> for FaultCause {
    fn from(error: HostError) -> Self {
        match error {
            HostError::Invalid(error) => Self::Invalid { kind: error.kind(), reason: error.to_string() },
            HostError::Store(error) => Self::Store(error),
            HostError::Crowded => Self::Crowded,
        }
    }
}

impl Sandbox {
    pub(crate) fn new(env: Option<Arc<dyn GuestEnv>>, memory_bytes_max: usize, ticks: Ticks) -> Self {
        let log = Arc::new(Mutex::new(GuestLog::new(env.clone())));
        let mut table = ResourceTable::new();
        table.set_max_capacity(GUEST_HANDLES_MAX);
        Self {
            limits: Limits::new(memory_bytes_max, env.clone()),
            env,
            clock: EventClock::default(),
            random: Generator::default(),
            fault: None,
            wasi: stdio::context(&log),
            log,
            table,
            ticks_left: 0,
            ticks,
        }
    }

    /// Prepares for one event.
    pub(crate) fn begin(&mut self, event: &Event, seed: u64, ticks: u64) {
        self.clock = EventClock::at(event.position, event.created_at);
        self.random = Generator::new(seed);
        self.begin_call(ticks);
    }

    /// Prepares for a call that is not about an event.
    pub(crate) fn begin_call(&mut self, ticks: u64) {
        self.ticks_left = ticks;
        self.limits.denied = None;
        self.limits.crowded = false;
        self.fault = None;
        self.log().begin();
    }

    /// Ends a call: the rest of the guest's output is logged.
    pub(crate) fn end(&self) {
        self.log().end();
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, GuestLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does work of the host for the guest, the time of which counts as the guest's.
    pub(crate) fn work<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let began = self.ticks.passed();
        let done = work();
        self.count(self.ticks.passed() - began);
        done
    }

    /// The same for work in between of which the host waits for others: that does not count.
    pub(crate) async fn work_on<T>(&mut self, work: impl Future<Output = T>) -> T {
        let (mut work, ticks, mut worked) = (pin!(work), self.ticks.clone(), 0);
        let done = std::future::poll_fn(|context| {
            let began = ticks.passed();
            let polled = work.as_mut().poll(context);
            worked += ticks.passed() - began;
            polled
        });
        let done = done.await;
        self.count(worked);
        done
    }

    /// Counts ticks in which the host has worked. The last of them is seen when the guest goes on.
    fn count(&mut self, ticks: u64) {
        self.ticks_left = self.ticks_left.saturating_sub(ticks.saturating_sub(1));
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
/// runtime, until the call's ticks are used up. Ticks in which the host works for the guest are counted, too.
/// Those in which the guest waits for a database or for a thread pass unseen, so a slow database or a busy
/// machine is not held against it.
pub(crate) fn bound(store: &mut Store<Sandbox>) {
    store.limiter(|sandbox| &mut sandbox.limits);
    store.set_hostcall_fuel(HOST_CALL_BYTES_MAX);
    store.epoch_deadline_callback(|mut store| {
        let sandbox = store.data_mut();
        if sandbox.ticks_left == 0 {
            return Ok(UpdateDeadline::Interrupt);
        }
        sandbox.ticks_left -= 1;
        Ok(UpdateDeadline::Yield(1))
    });
}

/// How much memory an instance has, may have, and was denied.
pub(crate) struct Limits {
    pub(crate) memory_bytes_max: usize,
    memory_bytes: usize,
    /// Says whether this process has memory for a growth.
    env: Option<Arc<dyn GuestEnv>>,
    /// Whether it had none.
    pub(crate) crowded: bool,
    pub(crate) memory_bytes_peak: usize,
    /// What the last growth would have added, in case it fails after it was allowed.
    granted: usize,
    /// What the guest was denied in this call.
    pub(crate) denied: Option<DeniedGrowth>,
}

/// A growth that was denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeniedGrowth {
    /// All memories together would have had this many bytes.
    Memory { bytes: usize },
    /// The table would have had this many elements.
    Table { elements: usize },
}

impl Limits {
    fn new(memory_bytes_max: usize, env: Option<Arc<dyn GuestEnv>>) -> Self {
        Self {
            memory_bytes_max,
            memory_bytes: 0,
            env,
            crowded: false,
            memory_bytes_peak: 0,
            granted: 0,
            denied: None,
        }
    }

    /// Whether the instance may have so many bytes `more`. The error ends its call, because a guest that
    /// learned of the trouble of this process would do something else than in a replay.
    fn grow(&mut self, more: usize) -> wasmtime::Result<bool> {
        let total = self.memory_bytes.saturating_add(more);
        if total > self.memory_bytes_max {
            self.granted = 0;
            self.denied = Some(DeniedGrowth::Memory { bytes: total });
            return Ok(false);
        }
        if !self.env.as_ref().is_none_or(|env| env.admit_memory(total)) {
            self.granted = 0;
            self.crowded = true;
            wasmtime::bail!("this process has no memory left for it");
        }
        self.granted = more;
        self.memory_bytes = total;
        self.memory_bytes_peak = self.memory_bytes_peak.max(total);
        Ok(true)
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.grow(desired.saturating_sub(current))
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory_bytes -= std::mem::take(&mut self.granted);
        if is_out_of_memory(&error) {
            self.crowded = true;
            return Err(error);
        }
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired > TABLE_ELEMENTS_MAX {
            self.denied = Some(DeniedGrowth::Table { elements: desired });
            return Ok(false);
        }
        self.grow(desired.saturating_sub(current).saturating_mul(TABLE_ELEMENT_BYTES))
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory_grow_failed(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 64 * 1024;

    #[test]
    fn the_limit_holds_for_all_memories_together() {
        let mut limits = Limits::new(10 * PAGE, None);
        assert!(limits.memory_growing(0, 4 * PAGE, None).unwrap());
        assert!(limits.memory_growing(0, 4 * PAGE, None).unwrap());
        assert!(!limits.memory_growing(4 * PAGE, 7 * PAGE, None).unwrap());
        assert_eq!(limits.denied, Some(DeniedGrowth::Memory { bytes: 11 * PAGE }));
        assert!(limits.memory_growing(4 * PAGE, 6 * PAGE, None).unwrap());
        assert_eq!(limits.memory_bytes_peak, 10 * PAGE);
    }

    #[test]
    fn a_growth_that_fails_later_is_given_back_once() {
        let mut limits = Limits::new(10 * PAGE, None);
        assert!(limits.memory_growing(0, 8 * PAGE, None).unwrap());
        limits.memory_grow_failed(wasmtime::format_err!("no memory")).unwrap();
        limits.memory_grow_failed(wasmtime::format_err!("no memory")).unwrap();
        assert!(limits.memory_growing(0, 10 * PAGE, None).unwrap());
    }
}
