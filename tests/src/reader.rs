//! An application that queries a read model all the time and insists on an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::binary::now;
use crate::database::Database;

/// The pause between two queries.
const EVERY: Duration = Duration::from_millis(10);

/// A reader at work. It stops when dropped.
#[derive(Debug)]
pub struct Reader<T> {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Seen<T>>>,
}

/// What a reader has seen.
#[derive(Clone, Debug)]
pub struct Seen<T> {
    pub queries: u64,
    pub slowest: Duration,
    /// The answers one after another, those left out that are as the one before.
    pub answers: Vec<T>,
}

impl<T: PartialEq + Send + 'static> Reader<T> {
    /// Asks again and again. What the answer must be, the question says by itself, and panics otherwise.
    #[must_use]
    pub fn start(mut database: Database, mut ask: impl FnMut(&mut Database) -> T + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut seen = Seen { queries: 0, slowest: Duration::ZERO, answers: Vec::new() };
            loop {
                // Looked at before the query, so that the last one sees everything before the end.
                let last = stopped.load(Ordering::SeqCst);
                let began = now();
                let answer = ask(&mut database);
                seen.queries += 1;
                seen.slowest = seen.slowest.max(began.elapsed());
                if seen.answers.last() != Some(&answer) {
                    seen.answers.push(answer);
                }
                if last {
                    return seen;
                }
                pause(EVERY);
            }
        });
        Self { stop, thread: Some(thread) }
    }

    /// Stops, and returns what was seen.
    ///
    /// # Panics
    ///
    /// When a query failed, or was not answered as it must be.
    #[must_use]
    pub fn end(mut self) -> Seen<T> {
        self.stop.store(true, Ordering::SeqCst);
        let thread = self.thread.take().expect("it was not ended before");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl<T> Drop for Reader<T> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // It has said itself what went wrong, if anything did.
            let _ = thread.join();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "an application that asks runs in real time")]
fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
