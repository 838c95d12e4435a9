//! Why a compiler died over a component, from its remains, and the message that reports it. Decides nothing else.

use std::process::ExitStatus;

use kennel_core::text::{mebibytes, seconds};

use super::protocol::Request;
use crate::compiler_service::CRASHED;

/// What a program in Rust says before it ends because there is no memory.
const OUT_OF_MEMORY: &str = "memory allocation of ";

/// What a compiler died of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Death {
    Memory,
    Time,
    /// Another process ended it, with this signal.
    Killed(i32),
    /// A bug of the compiler, with the signal that it ended by, if any.
    Crashed(Option<i32>),
}

/// What a process that was compiling died of.
pub(super) fn cause(status: Option<ExitStatus>, stderr: &str) -> Death {
    of_signal(status.and_then(signal), stderr)
}

#[cfg(unix)]
fn signal(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
fn signal(_: ExitStatus) -> Option<i32> {
    None
}

#[cfg(unix)]
fn of_signal(signal: Option<i32>, stderr: &str) -> Death {
    use rustix::process::Signal;
    match signal.and_then(Signal::from_named_raw) {
        Some(Signal::XCPU) => Death::Time,
        Some(Signal::ABORT) if stderr.contains(OUT_OF_MEMORY) => Death::Memory,
        Some(Signal::KILL | Signal::TERM | Signal::INT | Signal::HUP | Signal::QUIT) => {
            Death::Killed(signal.unwrap_or_default())
        }
        _ => Death::Crashed(signal),
    }
}

#[cfg(not(unix))]
fn of_signal(signal: Option<i32>, stderr: &str) -> Death {
    if stderr.contains(OUT_OF_MEMORY) { Death::Memory } else { Death::Crashed(signal) }
}

impl Death {
    /// A message for the developer of the component.
    pub(super) fn describe(self, request: &Request) -> String {
        const ADVICE: &str =
            "build it in release mode, and split functions that are very large or very deeply nested";
        match self {
            Self::Memory => {
                let max = mebibytes(request.compile_memory_bytes_max);
                format!("compiling it took more than {max} of memory, the most that is allowed: {ADVICE}")
            }
            Self::Time => {
                let max = seconds(request.compile_time_max);
                format!(
                    "compiling it took longer than {max}, the most that is allowed: {ADVICE}; if this host is very busy, \
                     try again later"
                )
            }
            Self::Killed(signal) => format!(
                "the process that compiled it was killed (signal {signal}), by another process or by a system that was \
                 short of memory: try again, and give this host more memory if that does not help"
            ),
            Self::Crashed(Some(signal)) => {
                let rest = CRASHED.trim_start_matches("the compiler crashed on it");
                format!("the compiler crashed on it (signal {signal}){rest}")
            }
            Self::Crashed(None) => CRASHED.to_owned(),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn signals_and_last_output_show_the_cause() {
        assert_eq!(of_signal(Some(24), ""), Death::Time);
        assert_eq!(of_signal(Some(6), "memory allocation of 2028 bytes failed\n"), Death::Memory);
        assert_eq!(of_signal(Some(6), "thread 'main' has overflowed its stack"), Death::Crashed(Some(6)));
        assert_eq!(of_signal(Some(9), "memory allocation of"), Death::Killed(9));
        assert_eq!(of_signal(Some(15), ""), Death::Killed(15));
        assert_eq!(of_signal(Some(11), ""), Death::Crashed(Some(11)));
        assert_eq!(of_signal(None, ""), Death::Crashed(None));
    }
}
