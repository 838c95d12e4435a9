//! The source of randomness: one seed, given from outside, so that a run can be repeated.

use std::sync::{Mutex, PoisonError};

use kennel_core::membership::WorkerId;
use kennel_core::random::Generator;

/// A generator that the parts of an engine share. Good enough for jitter and identities, useless for secrets.
#[derive(Debug)]
pub struct Entropy(Mutex<Generator>);

impl Entropy {
    /// A generator that gives the same numbers for the same seed.
    #[must_use]
    pub const fn from_seed(seed: u64) -> Self {
        Self(Mutex::new(Generator::new(seed)))
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut Generator) -> T) -> T {
        draw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A number in `0.0..1.0`.
    pub fn fraction(&self) -> f64 {
        self.draw(Generator::fraction)
    }

    /// The identity of a new worker.
    pub fn worker_id(&self) -> WorkerId {
        let bytes =
            self.draw(|generator| (u128::from(generator.number()) << 64) | u128::from(generator.number()));
        WorkerId(uuid::Builder::from_random_bytes(bytes.to_be_bytes()).into_uuid())
    }
}
