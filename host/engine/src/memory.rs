//! The memory that the batches of one process share, so that all of them together stay below a bound.
//!
//! Every batch has a little for sure: enough for most. What it takes beyond that comes out of the rest that all share.
//! Where there is none, the batch neither waits nor fails: it is cut short before the event that would have needed it,
//! gives back everything, and waits for as much as any batch may ever take. So no batch waits while holding memory that
//! others wait for, a batch that has begun can go on to the end, and those that need little do not notice those that
//! need much.
//!
//! It counts bytes, and knows neither guests nor documents.

use std::fmt::Display;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use kennel_core::limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics::MemoryMetrics;

/// Shared memory is counted in units of this many bytes.
const UNIT: usize = 1024 * 1024;
/// A batch takes so many at once, so that it need not ask often.
const STEP_UNITS: usize = 8;
/// What a batch needs beside what it has for sure, to have as much as any may take.
const WHOLE_UNITS: usize = (limits::BATCH_MEMORY_BYTES_MAX - limits::BATCH_MEMORY_BYTES_SURE).div_ceil(UNIT);
/// A wait that lasts longer than this is logged.
const WAIT_LOGGED: Duration = Duration::from_secs(1);

/// The memory of one process.
#[derive(Debug)]
pub struct Memory {
    bytes: usize,
    /// One permit for each batch that may be under way.
    batches: Arc<Semaphore>,
    shared: Arc<Semaphore>,
    metrics: OnceLock<MemoryMetrics>,
}

/// How much a batch begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Portion {
    /// What every batch has for sure.
    Sure,
    /// As much as a batch may ever take.
    Whole,
}

/// What one batch has of it, until it is dropped.
#[derive(Debug)]
pub struct Share {
    memory: Arc<Memory>,
    portion: Portion,
    bytes: usize,
    more: Option<OwnedSemaphorePermit>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Memory {
    /// So many bytes for all batches together, at least [`limits::WORK_MEMORY_BYTES_MIN`].
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let bytes = bytes.max(limits::WORK_MEMORY_BYTES_MIN);
        let sure = limits::BATCH_MEMORY_BYTES_SURE;
        let batches = (bytes - limits::BATCH_MEMORY_BYTES_MAX) / sure;
        let batches = batches.clamp(limits::BATCHES_MIN, limits::GUEST_INSTANCES_MAX as usize);
        let shared = ((bytes - batches * sure) / UNIT).min(Semaphore::MAX_PERMITS);
        Self {
            bytes,
            batches: Arc::new(Semaphore::new(batches)),
            shared: Arc::new(Semaphore::new(shared)),
            metrics: OnceLock::new(),
        }
    }

    /// How many bytes there are.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Reports to these metrics from now on.
    pub(crate) fn measure(&self, metrics: MemoryMetrics) {
        metrics.limit(self.bytes);
        // An engine that shares the memory of another shares its metrics as well.
        let _ = self.metrics.set(metrics);
    }

    fn metrics(&self) -> MemoryMetrics {
        self.metrics.get().cloned().unwrap_or_default()
    }

    /// A share as soon as there is one. The one that has waited longest comes first; `who` is named in the log if it
    /// takes long.
    pub async fn share(self: &Arc<Self>, portion: Portion, who: &(impl Display + Sync + ?Sized)) -> Share {
        let mut taking = std::pin::pin!(self.take(portion));
        let at_once = tokio::select! {
            biased;
            share = &mut taking => Some(share),
            () = std::future::ready(()) => None,
        };
        if let Some(share) = at_once {
            return share;
        }
        let _waiting = self.metrics().waiting();
        tokio::select! {
            biased;
            share = &mut taking => return share,
            () = tokio::time::sleep(WAIT_LOGGED) => {}
        }
        let memory_mib = self.bytes / UNIT;
        tracing::warn!(
            %who,
            memory_mib,
            "waits for memory: batches of other projections have what this process has for them all; \
             `memory_mib` in the section [run] of kennel.toml gives more"
        );
        let share = taking.await;
        tracing::info!(%who, "has the memory that it waited for");
        share
    }

    async fn take(self: &Arc<Self>, portion: Portion) -> Share {
        // In this order: batches that have this permit and no more never wait, so a permit becomes free.
        let more = match portion {
            Portion::Sure => None,
            Portion::Whole => Arc::clone(&self.shared).acquire_many_owned(units(WHOLE_UNITS)).await.ok(),
        };
        let permit = Arc::clone(&self.batches).acquire_owned().await.ok();
        let bytes = match portion {
            Portion::Sure => limits::BATCH_MEMORY_BYTES_SURE,
            Portion::Whole => limits::BATCH_MEMORY_BYTES_MAX,
        };
        self.metrics().reserved(bytes, true);
        Share { memory: Arc::clone(self), portion, bytes, more, permit }
    }
}

impl Share {
    /// How many bytes it has now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What it began with.
    #[must_use]
    pub fn portion(&self) -> Portion {
        self.portion
    }

    /// Whether it has so many bytes, or there were enough left for all to make it so.
    #[must_use]
    pub fn cover(&mut self, bytes: usize) -> bool {
        // A batch that has the whole is bounded by what any batch may take.
        if bytes <= self.bytes || self.portion == Portion::Whole {
            return true;
        }
        let wanted = (bytes - self.bytes).div_ceil(UNIT).next_multiple_of(STEP_UNITS);
        let Ok(more) = Arc::clone(&self.memory.shared).try_acquire_many_owned(units(wanted)) else {
            return false;
        };
        match &mut self.more {
            Some(permit) => permit.merge(more),
            None => self.more = Some(more),
        }
        self.bytes += wanted * UNIT;
        self.memory.metrics().reserved(wanted * UNIT, true);
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.memory.metrics().reserved(self.bytes, false);
        self.more = None;
        self.permit = None;
    }
}

fn units(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SURE: usize = limits::BATCH_MEMORY_BYTES_SURE;

    fn least() -> Arc<Memory> {
        Arc::new(Memory::new(0))
    }

    #[tokio::test]
    async fn shared_memory_of_one_batch_is_missing_for_the_others_until_it_ends() {
        let memory = least();
        let mut large = memory.share(Portion::Sure, "large").await;
        let mut other = memory.share(Portion::Sure, "other").await;
        assert!(large.cover(SURE) && large.cover(limits::BATCH_MEMORY_BYTES_MAX));
        assert!(other.cover(SURE), "sure memory is not touched");
        assert!(!other.cover(SURE + 64 * UNIT));
        drop(large);
        assert!(other.cover(SURE + 64 * UNIT));
    }

    #[tokio::test(start_paused = true)]
    async fn one_at_a_time_has_the_whole_and_small_ones_go_on() {
        let memory = least();
        let mut whole = memory.share(Portion::Whole, "whole").await;
        assert!(whole.cover(limits::BATCH_MEMORY_BYTES_MAX));
        let mut next = std::pin::pin!(memory.share(Portion::Whole, "next"));
        let waits = tokio::time::timeout(Duration::from_secs(60), &mut next);
        assert!(waits.await.is_err());
        for _ in 0..100 {
            let mut small = memory.share(Portion::Sure, "small").await;
            assert!(small.cover(SURE));
            assert!(!small.cover(SURE + 64 * UNIT), "waiting batches come first");
        }
        drop(whole);
        assert_eq!(next.await.portion(), Portion::Whole);
    }

    /// A batch that waits for the whole holds nothing, so that all get to the end.
    #[tokio::test(start_paused = true)]
    async fn no_call_waits_for_ever() {
        let memory = least();
        let work = |number: usize| {
            let memory = Arc::clone(&memory);
            async move {
                let mut share = memory.share(Portion::Sure, "one of many").await;
                tokio::time::sleep(Duration::from_millis(10)).await;
                if share.cover(SURE + number * 10 * UNIT) {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    return;
                }
                drop(share);
                let _share = memory.share(Portion::Whole, "one of many").await;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let all: Vec<_> = (0..50).map(|number| tokio::spawn(work(number % 27))).collect();
        for one in all {
            tokio::time::timeout(Duration::from_secs(60), one).await.unwrap().unwrap();
        }
        assert_eq!(memory.shared.available_permits(), (memory.bytes() - limits::BATCHES_MIN * SURE) / UNIT);
        assert_eq!(memory.batches.available_permits(), limits::BATCHES_MIN);
    }
}
