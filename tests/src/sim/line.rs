//! The line between one process and the store: every call takes its time, hangs while the
//! process is suspended, and may be lost on its way there or back. It knows nothing of what it carries.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kennel_core::port::StoreError;

use super::suspension::{On, Suspension};
use super::world::World;

/// How long a slow call takes each way at most.
pub(super) const SLOW: Duration = Duration::from_secs(3);
/// How late a request may arrive whose sender has abandoned it.
const STRAY: Duration = Duration::from_secs(4);

#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) world: Arc<World>,
    pub(super) process: u32,
    pub(super) suspension: Arc<Suspension>,
}

/// How far a call has come. Dropped halfway, it says so in the history: that is a crash, or a caller that
/// no longer waits.
struct Call<'a> {
    line: &'a Line,
    what: String,
    at: &'static str,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if !self.at.is_empty() {
            self.line.note(&format!("{} [dropped {}]", self.what, self.at));
        }
    }
}

impl Line {
    pub(super) fn note(&self, what: &str) {
        self.world.note(&format!("p{}", self.process), what);
    }

    /// A call that may be lost as a whole or in its answer. `reported` describes the answer.
    pub(super) async fn ask<T>(
        &self,
        on: On,
        what: String,
        call: impl Future<Output = Result<T, StoreError>>,
        reported: impl FnOnce(&T) -> String,
    ) -> Result<T, StoreError> {
        let mut trace = Call { line: self, what, at: "on its way" };
        self.travel(on).await;
        if self.world.fault(self.world.weather.lost_request) {
            trace.at = "";
            self.world.count("lost requests");
            self.note(&format!("{} [lost]", trace.what));
            return Err(gone(&trace.what));
        }
        let answer = call.await;
        trace.at = "on its way back";
        self.note(&format!("{} -> {}", trace.what, describe(&answer, reported)));
        self.travel(on).await;
        trace.at = "";
        if self.world.fault(self.world.weather.lost_answer) {
            self.world.count("lost answers");
            self.note(&format!("{} [answer lost]", trace.what));
            return Err(gone(&trace.what));
        }
        answer
    }

    /// A call that changes something: besides, it may arrive after its sender has abandoned it.
    pub(super) async fn report<T: Send + 'static>(
        &self,
        on: On,
        what: String,
        call: impl Future<Output = Result<T, StoreError>> + Send + 'static,
        reported: impl FnOnce(&T) -> String + Send + 'static,
    ) -> Result<T, StoreError> {
        if !self.world.fault(self.world.weather.late) {
            return self.ask(on, what, call, reported).await;
        }
        self.world.count("late writes");
        let (line, late) = (self.clone(), what.clone());
        self.world.straying.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            let delay = line.world.up_to(STRAY);
            tokio::time::sleep(delay).await;
            let answer = call.await;
            line.note(&format!("{late} [late] -> {}", describe(&answer, reported)));
            line.world.straying.fetch_sub(1, Ordering::SeqCst);
        });
        self.travel(on).await;
        self.note(&format!("{what} [abandoned]"));
        Err(gone(&what))
    }

    async fn travel(&self, on: On) {
        if self.world.is_calm() {
            // Never no time at all: a caller that goes round in circles must not stop the clock.
            tokio::time::sleep(Duration::from_millis(1)).await;
            return;
        }
        let slow = self.world.fault(self.world.weather.slow);
        let delay = if slow { SLOW } else { self.world.weather.travel };
        let delay = self.world.up_to(delay);
        if delay.is_zero() {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(delay).await;
        }
        if self.suspension.applies_to(on) {
            self.world.count("calls suspended");
            self.suspension.pass(on).await;
        }
    }
}

fn describe<T>(answer: &Result<T, StoreError>, reported: impl FnOnce(&T) -> String) -> String {
    answer.as_ref().map_or_else(|error| format!("{error}"), reported)
}

fn gone(what: &str) -> StoreError {
    let doing = what.split(' ').next().unwrap_or_default().to_owned();
    StoreError::Unavailable { doing, source: "the simulated line broke".into() }
}
