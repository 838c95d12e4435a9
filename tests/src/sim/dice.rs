//! All chance of a simulated run: one seed in, the same throws out.

/// A small generator (SplitMix64).
#[derive(Debug)]
pub(super) struct Dice {
    state: u64,
}

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Self { state: seed };
        // Neighbouring seeds begin with neighbouring states: the first throw separates them.
        dice.state = dice.throw();
        dice
    }

    pub(super) fn throw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
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
