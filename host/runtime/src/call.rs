//! The call that a guest is in: the time that it has left, and why one of its calls of the host failed. It does not
//! know what the host does in such a call.

use std::pin::pin;
use std::sync::Arc;

use kennel_core::failure::FailureKind;
use kennel_core::port::{GuestEnv, HostError, StoreError};

use crate::ticker::{Ticks, Unseen};

/// The state of one call after the other.
#[derive(Debug)]
pub(crate) struct Call {
    ticks_left: u64,
    ticks: Ticks,
    /// Those that wasmtime takes to free objects.
    unseen: Unseen,
    /// Until the trap that it causes has arrived.
    fault: Option<Fault>,
}

/// A host call that did not succeed, and which.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) call: &'static str,
    pub(crate) cause: FaultCause,
}

#[derive(Debug)]
pub(crate) enum FaultCause {
    /// The guest's doing.
    Invalid { kind: FailureKind, reason: String },
    /// The host's.
    Store(StoreError),
    /// There is no memory for it now.
    Crowded,
}

impl From<HostError> for FaultCause {
    fn from(error: HostError) -> Self {
        match error {
            HostError::Invalid(error) => Self::Invalid { kind: error.kind(), reason: error.to_string() },
            HostError::Store(error) => Self::Store(error),
            HostError::Crowded => Self::Crowded,
        }
    }
}

impl Call {
    /// Before the first call. `ticks` are those of the engine.
    pub(crate) fn new(ticks: Ticks) -> Self {
        Self { ticks_left: 0, ticks, unseen: Unseen::default(), fault: None }
    }

    /// A call begins that may run for so many ticks.
    pub(crate) fn begin(&mut self, ticks: u64) {
        self.ticks_left = ticks;
        self.unseen.take();
        self.fault = None;
    }

    /// A tick found the guest running. `false` if it has had its time.
    pub(crate) fn tick(&mut self) -> bool {
        if self.ticks_left == 0 {
            return false;
        }
        self.ticks_left = self.ticks_left.saturating_sub(1 + self.unseen.take());
        true
    }

    /// Counts the ticks of the call in which the guest looks at no epoch.
    pub(crate) fn unseen(&self) -> Unseen {
        self.unseen.clone()
    }

    /// Does work of the host for the guest, the time of which counts as the guest's.
    pub(crate) fn work<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let began = self.ticks.passed();
        let done = work();
        self.count(self.ticks.passed() - began);
        done
    }

    /// The same for work in between of which the host waits for others: that does not count.
    pub(crate) async fn work_on<T>(&mut self, work: impl Future<Output = T>) -> T {
        let (mut work, mut worked) = (pin!(work), 0);
        let done = std::future::poll_fn(|context| {
            let began = self.ticks.passed();
            let polled = work.as_mut().poll(context);
            worked += self.ticks.passed() - began;
            if polled.is_pending() {
                self.unseen.counted();
            }
            polled
        });
        let done = done.await;
        self.count(worked);
        done
    }

    /// Counts ticks in which the host has worked. The last of them is seen when the guest goes on.
    fn count(&mut self, ticks: u64) {
        self.ticks_left = self.ticks_left.saturating_sub(ticks.saturating_sub(1));
    }

    /// The host, for the host call named `call`. There is none while a component describes itself, which is before it
    /// has a read model or settings.
    pub(crate) fn env<'a>(
        &mut self,
        call: &'static str,
        env: Option<&'a Arc<dyn GuestEnv>>,
    ) -> wasmtime::Result<&'a dyn GuestEnv> {
        env.map(|env| &**env).ok_or_else(|| {
            let reason = "it is not available to `describe`, only to `handle`".to_owned();
            self.fail(call, FaultCause::Invalid { kind: FailureKind::InvalidCall, reason })
        })
    }

    /// Remembers why a host call failed; the error is the trap that ends the guest's call.
    pub(crate) fn fail(&mut self, call: &'static str, cause: impl Into<FaultCause>) -> wasmtime::Error {
        self.fault = Some(Fault { call, cause: cause.into() });
        wasmtime::format_err!("{call} failed")
    }

    /// Why a host call failed in this call, if one did.
    pub(crate) fn take_fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::*;

    #[test]
    fn a_call_has_as_many_ticks_as_it_was_given_and_forgets_the_last_fault() {
        let mut call = Call::new(Ticks::default());
        assert!(!call.tick(), "before the first call there is no time");
        call.begin(2);
        assert!(call.tick() && call.tick() && !call.tick() && !call.tick());
        call.fail("log.log", FaultCause::Crowded);
        call.begin(1);
        assert!(call.take_fault().is_none() && call.tick());
    }

    #[tokio::test]
    async fn work_of_the_host_counts_once_also_when_it_has_to_wait() {
        let ticks = Ticks::default();
        let mut call = Call::new(ticks.clone());
        call.begin(10);
        let unseen = call.unseen();
        let mut waited = false;
        let work = std::future::poll_fn(|context| {
            ticks.pass(3);
            context.waker().wake_by_ref();
            if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }
        });
        let goes_on = async {
            call.work_on(work).await;
            call.tick()
        };
        assert!(unseen.count(&ticks, goes_on).await);
        // Of ten it has used six: the guest has seen the last of them when it went on.
        let left = std::iter::from_fn(|| call.tick().then_some(())).count();
        assert_eq!(left, 4);
    }
}
