//! The one pseudo-random generator: the same seed gives the same numbers, on every machine and for ever.
//!
//! Good enough for jitter, for what guests take for chance, and for tests; useless for secrets.

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014). Replays depend on its
/// numbers: they never change.
#[derive(Clone, Copy, Debug, Default)]
pub struct Generator {
    state: u64,
}

impl Generator {
    /// A generator that begins with this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next number, any of them.
    pub const fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to, and not including, `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number().checked_rem(bound).unwrap_or(0)
    }

    /// A number in `0.0..1.0`.
    pub fn fraction(&mut self) -> f64 {
        const BITS: u32 = 53;
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
        let numerator = (self.number() >> (u64::BITS - BITS)) as f64;
        numerator / (1u64 << BITS) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_that_were_published() {
        let mut generator = Generator::new(1_234_567);
        let numbers = [(); 5].map(|()| generator.number());
        assert_eq!(
            numbers,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423,
                4_593_380_528_125_082_431,
                16_408_922_859_458_223_821,
            ]
        );
    }

    #[test]
    fn numbers_stay_within_their_bounds() {
        let mut generator = Generator::new(7);
        for bound in 1..1_000 {
            assert!(generator.below(bound) < bound);
            assert!((0.0..1.0).contains(&generator.fraction()));
        }
        assert_eq!(generator.below(0), 0);
    }
}
