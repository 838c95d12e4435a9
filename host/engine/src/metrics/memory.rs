//! The metrics of the memory that batches share: how much there is, how much is taken, and how many batches wait for
//! it.

use prometheus::{IntCounter, IntGauge};

use super::Register;

#[derive(Clone, Debug)]
pub(super) struct Vectors {
    limit: IntGauge,
    reserved: IntGauge,
    waiting: IntGauge,
    waits: IntCounter,
}

impl Vectors {
    pub(super) fn register(register: &Register<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            limit: register.single_gauge(
                "kennel_batch_memory_limit_bytes",
                "Memory that the batches of this process may take together.",
            )?,
            reserved: register.single_gauge(
                "kennel_batch_memory_reserved_bytes",
                "Memory that batches under way have set aside for their guests and documents.",
            )?,
            waiting: register.single_gauge(
                "kennel_batches_waiting_for_memory",
                "Batches that wait because others have taken the memory that all may take together.",
            )?,
            waits: register
                .single_counter("kennel_batch_memory_waits_total", "Batches that had to wait for memory.")?,
        })
    }
}

/// The handles, or nothing where nothing is measured.
#[derive(Clone, Debug, Default)]
pub struct MemoryMetrics(Option<Vectors>);

/// A wait; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Waiting(Option<IntGauge>);

impl MemoryMetrics {
    pub(super) fn new(vectors: Option<Vectors>) -> Self {
        Self(vectors)
    }

    pub(crate) fn limit(&self, bytes: usize) {
        if let Some(vectors) = &self.0 {
            vectors.limit.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
    }

    /// So many bytes were set aside, or are free again.
    pub(crate) fn reserved(&self, bytes: usize, more: bool) {
        if let Some(vectors) = &self.0 {
            let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
            vectors.reserved.add(if more { bytes } else { -bytes });
        }
    }

    /// A batch begins to wait.
    pub(crate) fn waiting(&self) -> Waiting {
        if let Some(vectors) = &self.0 {
            vectors.waits.inc();
            vectors.waiting.inc();
        }
        Waiting(self.0.as_ref().map(|vectors| vectors.waiting.clone()))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(waiting) = &self.0 {
            waiting.dec();
        }
    }
}
