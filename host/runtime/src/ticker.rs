//! The thread that advances an engine's epoch, by which guest time is measured.
//!
//! It also counts the ticks, for the time that the host itself, or wasmtime, works on behalf of a guest.
//!
//! It reads no clock and keeps no engine alive: when the last user of the engine is gone, the next tick
//! finds no engine and the thread ends.

use std::io;
use std::pin::pin;
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

    /// So many pass.
    pub(crate) fn pass(&self, ticks: u64) {
        self.0.fetch_add(ticks, Ordering::Relaxed);
    }
}

/// Ticks that pass while a call is at work and its guest looks at no epoch: wasmtime frees objects for it then, and
/// lets others run in between.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unseen(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// How often the guest has looked.
    looked: AtomicU64,
    /// Ticks since then.
    unseen: AtomicU64,
}

impl Unseen {
    /// The guest looks at the epoch: the ticks that it has not seen since it did so last.
    pub(crate) fn take(&self) -> u64 {
        self.0.looked.fetch_add(1, Ordering::Relaxed);
        self.0.unseen.swap(0, Ordering::Relaxed)
    }

    /// The ticks of this step are counted elsewhere.
    pub(crate) fn counted(&self) {
        self.0.looked.fetch_add(1, Ordering::Relaxed);
    }

    /// Does a call, and counts what passes in each of its steps in which the guest does not look.
    pub(crate) async fn count<T>(&self, ticks: &Ticks, call: impl Future<Output = T>) -> T {
        let mut call = pin!(call);
        let looked = || self.0.looked.load(Ordering::Relaxed);
        std::future::poll_fn(|context| {
            let (began, before) = (ticks.passed(), looked());
            let polled = call.as_mut().poll(context);
            if looked() == before {
                self.0.unseen.fetch_add(ticks.passed() - began, Ordering::Relaxed);
            }
            polled
        })
        .await
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
                ticks.pass(1);
                engine.increment_epoch();
            }
            None => return,
        }
    }
}
