//! Clocks that do not distinguish a replay from the first run: the wall clock shows when the event was
//! written, the monotonic clock counts how often it was asked. No guest sleeps: one that waits finds that
//! the time has come.
//!
//! WASI's wall clock counts from 1970 on and cannot show what was before: it shows the beginning of 1970 then. The
//! event's own `created-at` is always exact.

use std::sync::Arc;

use kennel_core::event::Event;
use kennel_core::port::GuestEnv;
use kennel_core::position::Position;
use kennel_core::timestamp::Timestamp;
use wasmtime::component::{HasData, HasSelf, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use super::{Capabilities, Capability, Holder};

/// The monotonic time that belongs to one event. A power of two above four seconds: no call may take
/// that long, so the clock never runs into the next event's time, and never goes backwards while
/// positions rise, whichever events share an instance.
const EVENT_NANOS_LOG2: u32 = 32;

/// The bits of a position that count. Guests take the clock for a signed number: beyond these it begins anew instead
/// of becoming negative, once in two thousand million positions.
const POSITION_MASK: u64 = (1 << (63 - EVENT_NANOS_LOG2)) - 1;

/// What the clocks show.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    wall: Timestamp,
    position: u64,
    elapsed_nanos: u64,
}

impl Capability for Clock {
    const INTERFACES: &'static [&'static str] = &["wasi:clocks/monotonic-clock", "wasi:clocks/wall-clock"];

    fn new(_: Option<&Arc<dyn GuestEnv>>) -> Self {
        Self::default()
    }

    fn begin(&mut self, event: &Event, _: u64) {
        *self = Self::at(event.position, event.created_at);
    }

    fn link<T: Holder>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        wall_clock::add_to_linker::<T, HasSelf<Self>>(linker, |data| &mut data.capabilities().clock)?;
        monotonic_clock::add_to_linker::<T, Monotonic<'static>>(linker, |data| {
            let Capabilities { clock, table, .. } = data.capabilities();
            Monotonic { clock, table }
        })
    }
}

impl Clock {
    fn at(position: Position, created_at: Timestamp) -> Self {
        Self { wall: created_at, position: position.get(), elapsed_nanos: 0 }
    }

    /// What the wall clock shows: the event's time, or the beginning of 1970 if that is later.
    fn wall(self) -> wall_clock::Datetime {
        let shown = self.wall.max(Timestamp::default());
        let seconds = u64::try_from(shown.seconds()).unwrap_or_default();
        wall_clock::Datetime { seconds, nanoseconds: shown.nanoseconds() }
    }

    fn monotonic_nanos(self) -> u64 {
        ((self.position & POSITION_MASK) << EVENT_NANOS_LOG2) | self.elapsed_nanos
    }

    fn pass(&mut self, nanos: u64) {
        self.elapsed_nanos = self.elapsed_nanos.saturating_add(nanos).min((1 << EVENT_NANOS_LOG2) - 1);
    }
}

impl wall_clock::Host for Clock {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(Self::wall(*self))
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(wall_clock::Datetime { seconds: 0, nanoseconds: 1 })
    }
}

/// The monotonic clock, with the table for what it makes.
struct Monotonic<'a> {
    clock: &'a mut Clock,
    table: &'a mut ResourceTable,
}

impl HasData for Monotonic<'static> {
    type Data<'a> = Monotonic<'a>;
}

impl monotonic_clock::Host for Monotonic<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.clock.pass(1);
        Ok(self.clock.monotonic_nanos())
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.subscribe_duration(when.saturating_sub(self.clock.monotonic_nanos()))
    }

    fn subscribe_duration(&mut self, nanos: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.clock.pass(nanos);
        let arrived = self.table.push(Arrived)?;
        subscribe(self.table, arrived)
    }
}

/// A point in time that has come.
struct Arrived;

#[async_trait::async_trait]
impl Pollable for Arrived {
    async fn ready(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_rises_within_an_event_and_from_event_to_event() {
        let mut first = Clock::at(Position::new(7), Timestamp::default());
        let start = first.monotonic_nanos();
        first.pass(1);
        assert!(first.monotonic_nanos() > start);
        first.pass(u64::MAX);
        assert!(
            first.monotonic_nanos() < Clock::at(Position::new(8), Timestamp::default()).monotonic_nanos()
        );
    }

    #[test]
    fn the_monotonic_clock_is_never_negative() {
        for position in [1, (1 << 31) - 1, 1 << 31, u64::from(u32::MAX), (1 << 63) - 1] {
            let mut clock = Clock::at(Position::new(position), Timestamp::default());
            let start = clock.monotonic_nanos();
            clock.pass(u64::MAX);
            assert!(i64::try_from(clock.monotonic_nanos()).is_ok(), "{position}");
            assert!(clock.monotonic_nanos() > start, "{position}");
        }
    }

    #[test]
    fn the_wall_clock_shows_the_event_s_time_from_1970_on() {
        for (seconds, nanoseconds, expected) in [
            (1_700_000_000, 5, (1_700_000_000, 5)),
            (9_224_318_015_999, 999_999_999, (9_224_318_015_999, 999_999_999)),
            (-1, 999_999_999, (0, 0)),
            (i64::MIN, 0, (0, 0)),
        ] {
            let time = Timestamp::new(seconds, nanoseconds).unwrap();
            let shown = Clock::at(Position::new(1), time).wall();
            assert_eq!((shown.seconds, shown.nanoseconds), expected);
        }
    }
}
