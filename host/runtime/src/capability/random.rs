//! Random bytes that a replay gets again: the generator starts anew with each event, from a seed that
//! the engine derives from projection and position.

use std::sync::Arc;

use kennel_core::event::Event;
use kennel_core::limits;
use kennel_core::port::GuestEnv;
use kennel_core::random::Generator;
use wasmtime::bail;
use wasmtime::component::{HasSelf, Linker};
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};

use super::{Capability, Holder};

const RANDOM_BYTES_MAX: u64 = limits::GUEST_RANDOM_BYTES_MAX as u64;

/// The numbers of one event. They are not for secrets, and a projection has none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Random {
    generator: Generator,
}

impl Capability for Random {
    const INTERFACES: &'static [&'static str] =
        &["wasi:random/insecure", "wasi:random/insecure-seed", "wasi:random/random"];

    fn new(_: Option<&Arc<dyn GuestEnv>>) -> Self {
        Self::default()
    }

    fn begin(&mut self, _: &Event, seed: u64) {
        *self = Self::seeded(seed);
    }

    fn link<T: Holder>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        random::add_to_linker::<T, HasSelf<Self>>(linker, |data| &mut data.capabilities().random)?;
        insecure::add_to_linker::<T, HasSelf<Self>>(linker, |data| &mut data.capabilities().random)?;
        insecure_seed::add_to_linker::<T, HasSelf<Self>>(linker, |data| &mut data.capabilities().random)
    }
}

impl Random {
    fn seeded(seed: u64) -> Self {
        Self { generator: Generator::new(seed) }
    }

    fn bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        if len > RANDOM_BYTES_MAX {
            bail!("{len} random bytes in one call; at most {RANDOM_BYTES_MAX} are allowed");
        }
        let len = usize::try_from(len)?;
        let mut bytes = Vec::with_capacity(len.next_multiple_of(8));
        while bytes.len() < len {
            bytes.extend_from_slice(&self.generator.number().to_le_bytes());
        }
        bytes.truncate(len);
        Ok(bytes)
    }
}

impl random::Host for Random {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.bytes(len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.generator.number())
    }
}

impl insecure::Host for Random {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.bytes(len)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.generator.number())
    }
}

impl insecure_seed::Host for Random {
    /// The seed of hash tables. A guest asks once and keeps it as long as the instance lives, so it must
    /// not depend on which event came first: the order of a table's entries may reach a document.
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((0x6b65_6e6e_656c_2d68, 0x6173_682d_7365_6564))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let bytes = |seed| Random::seeded(seed).bytes(13).unwrap();
        assert_eq!(bytes(1), bytes(1));
        assert_ne!(bytes(1), bytes(2));
        assert_eq!(bytes(1).len(), 13);
        // The published test vector of the generator: replays depend on it.
        let published = 6_457_827_717_110_365_317_u64.to_le_bytes();
        assert_eq!(Random::seeded(1_234_567).bytes(8).unwrap(), published);
        assert!(Random::seeded(0).bytes(RANDOM_BYTES_MAX + 1).is_err());
    }
}
