//! The thread that advances an engine's epoch, by which guest time is measured.
//!
//! It reads no clock and keeps no engine alive: when the last user of the engine is gone, the next tick
//! finds nobody and the thread ends.

use std::io;
use std::thread;

use wasmtime::EngineWeak;

use crate::options::TICK;

/// Starts to tick for `engine`.
pub(crate) fn start(engine: EngineWeak) -> io::Result<()> {
    thread::Builder::new().name("kennel-ticker".to_owned()).spawn(move || tick(&engine))?;
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a thread of its own that does nothing but wait for the next tick"
)]
fn tick(engine: &EngineWeak) {
    loop {
        thread::sleep(TICK);
        match engine.upgrade() {
            Some(engine) => engine.increment_epoch(),
            None => return,
        }
    }
}
