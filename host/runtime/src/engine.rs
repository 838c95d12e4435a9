//! How wasmtime is configured: pooled instances, copy-on-write memory, epochs, and results that do not
//! depend on the machine.

use std::num::NonZeroUsize;

use kennel_core::limits;
use serde::{Deserialize, Serialize};
use wasmtime::{
    Collector, Config, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, Strategy,
};

use crate::memory;
use crate::options::{RuntimeError, RuntimeOptions};
use crate::ticker::{self, Ticks};

/// Core modules in one component; Python brings about 40.
const CORE_INSTANCES_PER_COMPONENT_MAX: u32 = 100;
const MEMORIES_PER_COMPONENT_MAX: u32 = 4;
/// A heap for garbage-collected objects takes the place of one more memory.
const GC_HEAPS_PER_INSTANCE: u32 = 1;
const TABLES_PER_COMPONENT_MAX: u32 = 32;
/// What an element of a table takes.
pub(crate) const TABLE_ELEMENT_BYTES: usize = 16;
pub(crate) const TABLE_ELEMENTS_MAX: usize = limits::GUEST_TABLE_ELEMENTS_MAX;
/// Bookkeeping of one instance, apart from its memory.
const INSTANCE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Room on a fiber's stack for the host functions that a guest calls.
const HOST_STACK_BYTES: usize = 1024 * 1024;
/// Frames kept of a trap's backtrace: enough to distinguish endless recursion from a deep but finite one.
pub(crate) const BACKTRACE_FRAMES_MAX: usize = 64;
/// The most that a heap for garbage-collected objects begins with.
const GC_HEAP_INITIAL_BYTES_MAX: usize = 1024 * 1024;
/// The page of a linear memory.
const WASM_PAGE_BYTES: usize = 64 * 1024;

/// How instances come by their memory. Code that was compiled for one way does not fit the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Allocation {
    Pooled,
    OnDemand,
}

/// An engine whose ticker runs.
pub(crate) struct Started {
    pub(crate) engine: Engine,
    pub(crate) ticks: Ticks,
    pub(crate) allocation: Allocation,
}

/// The engine, with its ticker running, and the best way of allocation that this machine allows.
pub(crate) fn start(options: &RuntimeOptions) -> Result<Started, RuntimeError> {
    if memory::is_rationed_by_mappings() {
        // A pool keeps mapped what its instances have used, which counts under such a limit although it takes no
        // memory.
        tracing::info!(
            "a limit of data or addresses is set for this process: instances get memory one by one"
        );
        return start_with(options, Allocation::OnDemand);
    }
    match Engine::new(&pooled(options)) {
        Ok(engine) => ticking(engine, Allocation::Pooled),
        Err(error) => {
            // The pool reserves terabytes of addresses and no memory. Where addresses are rationed
            // (ulimit -v, some containers), instances are allocated one by one: slower, not different.
            tracing::warn!(error = format!("{error:#}"), "no pool of instances: allocating them one by one");
            start_with(options, Allocation::OnDemand)
        }
    }
}

/// The engine, with its ticker running, and this way of allocation.
pub(crate) fn start_with(options: &RuntimeOptions, allocation: Allocation) -> Result<Started, RuntimeError> {
    let config = match allocation {
        Allocation::Pooled => pooled(options),
        Allocation::OnDemand => on_demand(options),
    };
    ticking(Engine::new(&config).map_err(|error| RuntimeError::Engine(error.into()))?, allocation)
}

/// Whether the system had no memory for it. Most of the compiler ends its process then; only some of it reports it.
pub(crate) fn is_out_of_memory(error: &wasmtime::Error) -> bool {
    let by_system = |cause: &(dyn std::error::Error + 'static)| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|cause| cause.kind() == std::io::ErrorKind::OutOfMemory)
    };
    error.is::<wasmtime::OutOfMemory>() || error.chain().any(by_system) || is_short_of_maps(error)
}

/// The same, of a mapping.
#[cfg(unix)]
fn is_short_of_maps(error: &wasmtime::Error) -> bool {
    let none = rustix::io::Errno::NOMEM;
    error.chain().any(|cause| cause.downcast_ref::<rustix::io::Errno>() == Some(&none))
}

#[cfg(not(unix))]
fn is_short_of_maps(_: &wasmtime::Error) -> bool {
    false
}

fn ticking(engine: Engine, allocation: Allocation) -> Result<Started, RuntimeError> {
    let ticks = ticker::start(engine.weak()).map_err(RuntimeError::Ticker)?;
    Ok(Started { engine, ticks, allocation })
}

fn pooled(options: &RuntimeOptions) -> Config {
    let instances = options.instances_max;
    let mut pool = PoolingAllocationConfig::new();
    // A permit for one instance must be enough to get everything that the instance needs, so every
    // total is the number of instances times the most that one of them may have.
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(CORE_INSTANCES_PER_COMPONENT_MAX))
        .total_memories(instances.saturating_mul(MEMORIES_PER_COMPONENT_MAX + GC_HEAPS_PER_INSTANCE))
        .total_gc_heaps(instances.saturating_mul(GC_HEAPS_PER_INSTANCE))
        .total_tables(instances.saturating_mul(TABLES_PER_COMPONENT_MAX))
        .total_stacks(instances)
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT_MAX)
        .max_memories_per_component(MEMORIES_PER_COMPONENT_MAX)
        .max_memories_per_module(MEMORIES_PER_COMPONENT_MAX)
        .max_tables_per_component(TABLES_PER_COMPONENT_MAX)
        .max_tables_per_module(TABLES_PER_COMPONENT_MAX)
        .max_component_instance_size(INSTANCE_BYTES_MAX)
        .max_core_instance_size(INSTANCE_BYTES_MAX)
        .table_elements(TABLE_ELEMENTS_MAX)
        .max_memory_size(options.memory_bytes_max.next_multiple_of(WASM_PAGE_BYTES));
    let mut config = common(options);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

fn on_demand(options: &RuntimeOptions) -> Config {
    let mut config = common(options);
    config
        .allocation_strategy(InstanceAllocationStrategy::OnDemand)
        .memory_reservation(options.memory_bytes_max as u64)
        .memory_reservation_for_growth(0)
        .memory_guard_size(WASM_PAGE_BYTES as u64);
    config
}

fn common(options: &RuntimeOptions) -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        .consume_fuel(false)
        .memory_init_cow(true)
        // No call of a component's function runs beside another, which makes every call cheaper.
        .concurrency_support(false)
        .max_wasm_stack(limits::GUEST_STACK_BYTES_MAX)
        .async_stack_size(limits::GUEST_STACK_BYTES_MAX + HOST_STACK_BYTES)
        .wasm_backtrace_max_frames(NonZeroUsize::new(BACKTRACE_FRAMES_MAX))
        // The same event must give the same document on every machine.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        // `binary/features.rs` names all that are on. Objects that refer to one another in a circle are collected as
        // well: an instance lives for a thousand events.
        .wasm_function_references(true)
        .wasm_gc(true)
        .wasm_exceptions(true)
        .collector(Collector::Copying)
        .gc_heap_initial_size(gc_heap_initial_bytes(options.memory_bytes_max));
    config
}

/// What a heap for garbage-collected objects begins with, once a guest makes the first: it counts as the guest's memory
/// and doubles whenever it is full. So it begins with a size whose doublings end just below the limit, with a sixteenth
/// of that left for linear memories: from anywhere else up to half of the memory could never be used.
fn gc_heap_initial_bytes(memory_bytes_max: usize) -> u64 {
    let most = memory_bytes_max - memory_bytes_max / 16;
    let doublings = (most / GC_HEAP_INITIAL_BYTES_MAX).checked_ilog2().map_or(0, |log2| log2 + 1);
    let pages = (most >> doublings) / WASM_PAGE_BYTES;
    (pages * WASM_PAGE_BYTES) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heap_that_doubles_comes_near_the_limit() {
        const MIB: usize = 1024 * 1024;
        for memory_bytes_max in [MIB, 16 * MIB, 100 * MIB, 128 * MIB, 1000 * MIB] {
            let mut heap = usize::try_from(gc_heap_initial_bytes(memory_bytes_max)).unwrap();
            assert!((MIB / 4..=MIB).contains(&heap), "{heap} of {memory_bytes_max}");
            while heap * 2 <= memory_bytes_max {
                heap *= 2;
            }
            assert!(heap > memory_bytes_max / 4 * 3, "{heap} of {memory_bytes_max}");
        }
    }
}
