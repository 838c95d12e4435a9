//! The source of randomness: one seed, given from outside, so that a run can be repeated.

use std::sync::atomic::{AtomicU64, Ordering};

use kennel_core::membership::WorkerId;

/// A small generator (SplitMix64). Good enough for jitter and identities, useless for secrets.
#[derive(Debug)]
pub struct Entropy {
    state: AtomicU64,
}

impl Entropy {
    /// A generator that gives the same numbers for the same seed.
    #[must_use]
    pub const fn from_seed(seed: u64) -> Self {
        Self { state: AtomicU64::new(seed) }
    }

    fn next(&self) -> u64 {
        let mut z = self
            .state
            .fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)
            .wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0.0..1.0`.
    pub fn fraction(&self) -> f64 {
        const BITS: u32 = 53;
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
        let numerator = (self.next() >> (64 - BITS)) as f64;
        numerator / (1u64 << BITS) as f64
    }

    /// The identity of a new worker.
    pub fn worker_id(&self) -> WorkerId {
        let bytes = (u128::from(self.next()) << 64) | u128::from(self.next());
        WorkerId(uuid::Builder::from_random_bytes(bytes.to_be_bytes()).into_uuid())
    }
}
