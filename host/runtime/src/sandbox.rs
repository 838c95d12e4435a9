//! The data of one instance's store: its capabilities as one part, the call that it is in, and how much memory it has.
//! It does not know which capabilities there are.

use std::sync::Arc;

use kennel_core::event::Event;
use kennel_core::limits::HOST_CALL_BYTES_MAX;
use kennel_core::port::GuestEnv;
use wasmtime::{ResourceLimiter, Store, UpdateDeadline};

use crate::call::Call;
use crate::capability::{Capabilities, Holder};
use crate::engine::{TABLE_ELEMENT_BYTES, TABLE_ELEMENTS_MAX, is_out_of_memory};
use crate::ticker::Ticks;

/// The data of a store.
pub(crate) struct Sandbox {
    pub(crate) capabilities: Capabilities,
    pub(crate) call: Call,
    pub(crate) limits: Limits,
}

impl Sandbox {
    /// For a new instance. There is no `env` while a component describes itself.
    pub(crate) fn new(env: Option<Arc<dyn GuestEnv>>, memory_bytes_max: usize, ticks: Ticks) -> Self {
        Self {
            capabilities: Capabilities::new(env.as_ref()),
            call: Call::new(ticks),
            limits: Limits::new(memory_bytes_max, env),
        }
    }

    /// Prepares for one event.
    pub(crate) fn begin(&mut self, event: &Event, seed: u64, ticks: u64) {
        self.capabilities.begin(event, seed);
        self.begin_call(ticks);
    }

    /// Prepares for a call that is not about an event.
    pub(crate) fn begin_call(&mut self, ticks: u64) {
        self.call.begin(ticks);
        self.limits.denied = None;
        self.limits.crowded = false;
        self.capabilities.begin_call();
    }

    /// Ends a call.
    pub(crate) fn end(&mut self) {
        self.capabilities.end();
    }
}

impl Holder for Sandbox {
    fn capabilities(&mut self) -> &mut Capabilities {
        &mut self.capabilities
    }
}

/// Bounds a store. On every tick that finds the guest running it hands the thread back to the async runtime, until
/// the call's ticks are used up. Ticks in which the host works for the guest, or wasmtime frees its objects, are
/// counted, too. Those in which the guest waits for a database or for a thread pass unseen, so a slow database or a
/// busy machine is not held against it.
pub(crate) fn bound(store: &mut Store<Sandbox>) {
    store.limiter(|sandbox| &mut sandbox.limits);
    store.set_hostcall_fuel(HOST_CALL_BYTES_MAX);
    store.epoch_deadline_callback(|mut store| {
        let goes_on = store.data_mut().call.tick();
        Ok(if goes_on { UpdateDeadline::Yield(1) } else { UpdateDeadline::Interrupt })
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
    /// learned of the trouble of this process would do something else than in a replay. A heap of objects is collected
    /// instead, of which the guest learns nothing.
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
