//! The thread that advances an engine's epoch, by which guest time is measured.
//!
//! It also counts the ticks, for the time that the host itself works on behalf of a guest.
//!
//! It reads no clock and keeps no engine alive: when the last user of the engine is gone, the next tick
//! finds no engine and the thread ends.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use wasmtime::EngineWeak;

use crate::options::TICK;

/// How many ticks there have been since an engine began to tick.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ticks(Arc<AtomicU64>);

impl Ticks {
    pub(crate) fn passed(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Starts to tick for `engine`.
pub(crate) fn start(engine: EngineWeak) -> io::Result<Ticks> {
    let ticks = Ticks::default();
    let counted = ticks.clone();
    thread::Builder::new().name("kennel-ticker".to_owned()).spawn(move || tick(&engine, &counted))?;
    Ok(ticks)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a thread of its own that does nothing but wait for the next tick"
)]
fn tick(engine: &EngineWeak, ticks: &Ticks) {
    loop {
        thread::sleep(TICK);
        match engine.upgrade() {
            Some(engine) => {
                ticks.0.fetch_add(1, Ordering::Relaxed);
                engine.increment_epoch();
            }
            None => return,
        }
    }
}
