//! All chance of a simulated run: one seed in, the same throws out.

use kennel_core::random::Generator;

/// What chance decides.
#[derive(Debug)]
pub(super) struct Dice(Generator);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        // Neighbouring seeds begin with neighbouring states: the first throw separates them.
        Self(Generator::new(Generator::new(seed).number()))
    }

    pub(super) fn throw(&mut self) -> u64 {
        self.0.number()
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.throw() % (high - low + 1)
    }

    /// `true` so many times out of a thousand.
    pub(super) fn chance(&mut self, permille: u64) -> bool {
        self.throw() % 1000 < permille
    }

    /// One of several.
    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        let index = usize::try_from(self.throw() % of.len() as u64).unwrap_or(0);
        of[index]
    }
}
