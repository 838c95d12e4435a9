//! A failed call as a message: whose fault it was, which limit was hit, what the guest logged last and where
//! it was. It does not decide what becomes of the event.

use std::time::Duration;

use kennel_core::failure::FailureKind;
use kennel_core::limits;
use kennel_core::port::CallFailure;
use kennel_core::text::{mebibytes, seconds};
use wasmtime::{FrameInfo, ThrownException, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::call::{Fault, FaultCause};
use crate::engine::{BACKTRACE_FRAMES_MAX, TABLE_ELEMENTS_MAX, is_out_of_memory};
use crate::sandbox::{DeniedGrowth, Sandbox};

/// Functions that a report names.
const FRAMES_SHOWN: usize = 10;

/// What a call ended with, described for the developer who has to repair it. `deadline` is what the call was allowed.
pub(crate) fn explain(error: &wasmtime::Error, sandbox: &mut Sandbox, deadline: Duration) -> CallFailure {
    let frames = error.downcast_ref::<WasmBacktrace>().map_or(&[][..], WasmBacktrace::frames);
    let functions = names_of(frames);
    let (said, stderr) = sandbox.capabilities.log.last_output();
    let mut invalid = false;
    let (kind, what) = match sandbox.call.take_fault() {
        Some(Fault { cause: FaultCause::Store(error), .. }) => return CallFailure::Host(error),
        Some(Fault { cause: FaultCause::Crowded, .. }) => return CallFailure::Crowded,
        Some(Fault { call, cause: FaultCause::Invalid { kind, reason } }) => {
            invalid = true;
            (kind, format!("called {call}, which failed: {reason}"))
        }
        None if sandbox.limits.crowded || is_out_of_memory(error) => return CallFailure::Crowded,
        None => classify(error, sandbox, &functions, deadline),
    };
    let aborted = error.downcast_ref::<Trap>() == Some(&Trap::UnreachableCodeReached);
    let first = match said {
        // What a panic says is what happened; that it ends in `unreachable` is how panics end.
        Some(said) if kind == FailureKind::Trap && aborted => format!("trapped: {said}"),
        // An invalid call is explained already, and what was said before it had another occasion.
        Some(said) if !invalid => format!("{what}; its last error line: {said}"),
        _ => what,
    };
    CallFailure::Guest { kind, message: report(&first, &stderr, &functions) }
}

/// What a guest returned, with a reason that is never empty.
pub(crate) fn returned(kind: FailureKind, reason: &str, sandbox: &Sandbox) -> CallFailure {
    let reason = if reason.trim().is_empty() { "the guest gave no reason" } else { reason };
    let mut message = limits::cut(reason, limits::ERROR_BYTES_MAX / 2).to_owned();
    // A guest that catches its own failed allocation often reports no reason.
    if let Some(denied) = sandbox.limits.denied {
        message.push_str(&format!("; it had {}", growth(denied, sandbox.limits.memory_bytes_max)));
    }
    CallFailure::Guest { kind, message }
}

fn classify(
    error: &wasmtime::Error,
    sandbox: &Sandbox,
    functions: &[String],
    deadline: Duration,
) -> (FailureKind, String) {
    let stack_max = mebibytes(limits::GUEST_STACK_BYTES_MAX as u64);
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return (FailureKind::Trap, format!("ended itself with exit status {}", exit.0));
    }
    let trap = error.downcast_ref::<Trap>().copied();
    match (trap, sandbox.limits.denied) {
        (Some(Trap::Interrupt), _) => {
            (FailureKind::TimeLimit, format!("ran longer than {}", seconds(deadline)))
        }
        (Some(Trap::StackOverflow), _) => (
            FailureKind::StackLimit,
            format!("ran out of stack, of which it has {stack_max}: endless recursion?"),
        ),
        // The heap of objects is collected when it may not grow, and the guest goes on: what it throws later has another
        // reason.
        (None, _) if error.is::<ThrownException>() => {
            (FailureKind::Trap, "left an exception uncaught".to_owned())
        }
        // A failed allocation ends in whatever the language does then, mostly an abort.
        (_, Some(denied)) => (FailureKind::MemoryLimit, growth(denied, sandbox.limits.memory_bytes_max)),
        (Some(Trap::MemoryOutOfBounds), _) if is_endless_recursion(functions) => {
            (FailureKind::StackLimit, "ran out of stack: endless recursion".to_owned())
        }
        (Some(Trap::AllocationTooLarge), _) => {
            let max = mebibytes(sandbox.limits.memory_bytes_max as u64);
            (FailureKind::MemoryLimit, format!("asked for an object that no memory of {max} can hold"))
        }
        (Some(trap), _) => (FailureKind::Trap, format!("trapped: {}", describe(trap))),
        (None, _) => (FailureKind::Trap, format!("was stopped: {}", error.root_cause())),
    }
}

fn growth(denied: DeniedGrowth, memory_bytes_max: usize) -> String {
    match denied {
        DeniedGrowth::Memory { bytes } => {
            let (asked, max) = (mebibytes(bytes as u64), mebibytes(memory_bytes_max as u64));
            format!("asked for {asked} of memory, and at most {max} are allowed")
        }
        DeniedGrowth::Table { elements } => {
            format!("asked for a table of {elements} elements, and at most {TABLE_ELEMENTS_MAX} are allowed")
        }
    }
}

/// Rust and others keep their stack at the bottom of linear memory, so that running out of it is an
/// access below address 0: the trap of a wild pointer. The backtrace distinguishes the two: that
/// of endless recursion is as long as wasmtime records, and the same few functions alternate in it.
fn is_endless_recursion(functions: &[String]) -> bool {
    let mut distinct: Vec<&String> = functions.iter().collect();
    distinct.sort_unstable();
    distinct.dedup();
    functions.len() >= BACKTRACE_FRAMES_MAX && distinct.len() <= functions.len() / 2
}

fn describe(trap: Trap) -> String {
    let text = trap.to_string();
    match trap {
        Trap::UnreachableCodeReached => "it aborted (`unreachable`, as after a panic)".to_owned(),
        _ => text.strip_prefix("wasm trap: ").unwrap_or(&text).to_owned(),
    }
}

/// The functions on the guest's stack. Those without a name, mostly glue of the component, are left out
/// unless there are no others.
fn names_of(frames: &[FrameInfo]) -> Vec<String> {
    let named = frames.iter().filter_map(FrameInfo::func_name);
    let named: Vec<String> = named.map(|name| format!("{:#}", rustc_demangle::demangle(name))).collect();
    if named.is_empty() {
        frames.iter().map(|frame| format!("function {}", frame.func_index())).collect()
    } else {
        named
    }
}

/// Puts the parts together within [`limits::ERROR_BYTES_MAX`], so that none crowds out the others.
fn report(first: &str, stderr: &str, functions: &[String]) -> String {
    let mut report = limits::cut(first, limits::ERROR_BYTES_MAX / 2).to_owned();
    let stderr = tail(stderr, limits::ERROR_BYTES_MAX / 4);
    if !stderr.is_empty() {
        report.push_str("\nstandard error: ");
        report.push_str(stderr);
    }
    let trace = backtrace(functions);
    if !trace.is_empty() {
        report.push_str("\nbacktrace, innermost first: ");
        report.push_str(&trace);
    }
    limits::cut(&report, limits::ERROR_BYTES_MAX).to_owned()
}

/// The end of `text`, in at most `bytes_max` bytes.
fn tail(text: &str, bytes_max: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(bytes_max))..]
}

/// The functions that a person would look at: without the machinery that turns a panic into a trap, and
/// with repetitions counted.
fn backtrace(functions: &[String]) -> String {
    let machinery = [
        "std::panicking::",
        "core::panicking::",
        "core::option::",
        "core::result::",
        "core::slice::index::",
        "std::sys::",
        "std::process::abort",
        "std::alloc::",
        "alloc::alloc::",
        "alloc::raw_vec::",
        "__rust",
        "rust_",
    ];
    let inner = functions.iter().take_while(|name| machinery.iter().any(|prefix| name.starts_with(prefix)));
    let skipped = inner.count();
    let shown = if skipped == functions.len() { functions } else { &functions[skipped..] };
    let mut runs: Vec<(&str, usize)> = Vec::new();
    for name in shown {
        match runs.last_mut() {
            Some((last, times)) if last == name => *times += 1,
            _ => runs.push((name, 1)),
        }
    }
    let more = if runs.len() > FRAMES_SHOWN { ", …" } else { "" };
    let names = runs.iter().take(FRAMES_SHOWN).map(|(name, times)| {
        let name = limits::cut(name, 120);
        match *times {
            1 => name.to_owned(),
            // No more are recorded.
            BACKTRACE_FRAMES_MAX.. => format!("{name} ({times} times or more)"),
            _ => format!("{name} ({times} times)"),
        }
    });
    names.collect::<Vec<_>>().join(", ") + more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backtrace_skips_the_machinery_and_counts_repetitions() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let panic = names(&["std::panicking::panic_fmt", "guest::explode", "guest::walk", "guest::walk"]);
        assert_eq!(backtrace(&panic), "guest::explode, guest::walk (2 times)");
        let unwrap = names(&["core::panicking::panic_fmt", "core::result::unwrap_failed", "guest::read"]);
        assert_eq!(backtrace(&unwrap), "guest::read");
        let hoard = names(&["std::alloc::rust_oom", "alloc::raw_vec::handle_error", "guest::hoard"]);
        assert_eq!(backtrace(&hoard), "guest::hoard");
        assert_eq!(backtrace(&names(&["rust_panic"])), "rust_panic");
    }

    #[test]
    fn recursion_is_recognized_by_a_long_and_monotonous_backtrace() {
        let deep: Vec<String> = (0..BACKTRACE_FRAMES_MAX).map(|frame| format!("f{}", frame % 3)).collect();
        assert!(is_endless_recursion(&deep));
        assert!(!is_endless_recursion(&deep[1..]));
        let varied: Vec<String> = (0..BACKTRACE_FRAMES_MAX).map(|frame| format!("f{frame}")).collect();
        assert!(!is_endless_recursion(&varied));
    }

    #[test]
    fn a_report_keeps_every_part_and_its_bound() {
        let long = "x".repeat(10_000);
        let text = report(&long, &long, &vec![long.clone(); 3]);
        assert!(text.len() <= limits::ERROR_BYTES_MAX);
        assert!(text.contains("standard error") && text.contains("(3 times)"));
    }
}
