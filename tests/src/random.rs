//! Chance for tests that run real processes: a seed repeats its decisions, though not what the processes
//! make of them.

use kennel_core::random::Generator;

/// Draws numbers from a seed.
#[derive(Debug)]
pub struct Random(Generator);

impl Random {
    /// Begins with the seed that the environment variable `KENNEL_TEST_SEED` gives, or else with one of its
    /// own, and says on standard error how to repeat it.
    #[must_use]
    pub fn from_environment() -> Self {
        Self::of(Self::seed())
    }

    /// Begins with this seed.
    #[must_use]
    pub const fn of(seed: u64) -> Self {
        Self(Generator::new(seed))
    }

    /// The seed that [`Self::from_environment`] begins with.
    #[must_use]
    #[expect(clippy::print_stderr, reason = "the reader of a failed test needs its seed")]
    pub fn seed() -> u64 {
        let given = std::env::var("KENNEL_TEST_SEED").ok().and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(|| u64::from(std::process::id()));
        eprintln!("to repeat these decisions: KENNEL_TEST_SEED={seed}");
        seed
    }

    /// How often a test whose seeds matter is to run: what `KENNEL_TEST_RUNS` says, or else so often.
    #[must_use]
    pub fn runs(usual: u64) -> u64 {
        std::env::var("KENNEL_TEST_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
    }

    /// A number from 0 up to, and not including, `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0.below(bound)
    }

    /// One of these.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        let index = self.below(choices.len() as u64);
        choices[usize::try_from(index).expect("an index")]
    }
}
