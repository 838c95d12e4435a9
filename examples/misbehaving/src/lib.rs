//! Does, on command, what a projection must not do. The command is the event's type; any other event
//! is counted in the collection `good`, key = event type. The setting `misdeeds` names the commands that are obeyed,
//! with commas between them; without it, all are.
//!
//! It is there to test hosts and alerts: each misdeed must end that one call and harm nothing else. What it does in its
//! own memory is here, what it makes the host do in `host`.

mod host;

use std::hint::black_box;

use kennel_guest::prelude::*;

/// The projection.
#[derive(Debug, Default)]
pub struct Misbehaving;

/// Larger than any document may be.
const HUGE_BYTES: usize = 1024 * 1024 + 1;
/// More lines than any log will take.
const FLOOD_LINES: u32 = 100_000;

impl Projection for Misbehaving {
    fn descriptor(&self) -> Descriptor {
        Descriptor::new("misbehaving", env!("CARGO_PKG_VERSION"))
    }

    fn handle(&self, event: &Event, model: &mut dyn ReadModel) -> Result<(), Failure> {
        let command = event.event_type.as_str();
        let obeyed =
            config::get("misdeeds").is_none_or(|misdeeds| misdeeds.split(',').any(|one| one == command));
        if !obeyed {
            model.increment("good", command, "count", 1);
            return Ok(());
        }
        // A change made before each misdeed: it must be gone afterwards.
        model.put("attempts", &event.event_id, &event.event_type)?;
        match command {
            "Panic" => panic!("this event asked for a panic"),
            "Trap" => trap(),
            "LoopForever" => loop {
                black_box(());
            },
            "AllocateForever" => allocate_forever(),
            "RecurseForever" => {
                black_box(recurse_forever(1));
            }
            "Retry" => return Err(Failure::retry("this event asked to be tried again")),
            "Reject" => return Err(Failure::reject("this event asked to be rejected")),
            // The typed functions cannot write this, so it goes through the plain one.
            "InvalidDocument" => model.put_text("documents", &event.event_id, "{\"unfinished\": "),
            "HugeDocument" => model.put("documents", &event.event_id, &"x".repeat(HUGE_BYTES))?,
            "FloodLog" => {
                (1..=FLOOD_LINES).for_each(|line| log::info(format_args!("line {line} of the flood")))
            }
            other if host::burden(other, event, model)? => {}
            good => model.increment("good", good, "count", 1),
        }
        model.delete("attempts", &event.event_id);
        Ok(())
    }
}

export_projection!(Misbehaving);

/// Executes wasm's `unreachable` without a panic, so that no message goes ahead of it.
fn trap() -> ! {
    #[cfg(target_family = "wasm")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_family = "wasm"))]
    panic!("only wasm can trap");
}

fn allocate_forever() -> ! {
    let mut hoard = Vec::new();
    loop {
        // The pages are written to, so that they count.
        hoard.push(black_box(vec![1_u8; 1 << 20]));
    }
}

#[expect(unconditional_recursion, reason = "that is the misdeed")]
fn recurse_forever(depth: u64) -> u64 {
    // What comes after the call keeps it from becoming a loop.
    black_box(recurse_forever(black_box(depth + 1))) + depth
}

#[cfg(test)]
mod tests {
    use kennel_guest::log::Level;
    use kennel_guest::testing::{Scenario, event};

    use super::*;

    // Loops, hoards and deep recursion would take this process with them: only a host can survive them.

    #[test]
    fn good_events_are_counted() {
        Scenario::new(Misbehaving)
            .given(event("OrderPaid"))
            .given(event("panic"))
            .when(event("OrderPaid"))
            .then_collection("good", json!({"OrderPaid": {"count": 2}, "panic": {"count": 1}}))
            .then_collection("attempts", json!({}));
    }

    #[test]
    fn misdeeds_fail_and_leave_nothing() {
        Scenario::new(Misbehaving)
            .when(event("Panic"))
            .then_panics("this event asked for a panic")
            .when(event("Retry"))
            .then_retries("tried again")
            .when(event("Reject"))
            .then_rejects("rejected")
            .when(event("InvalidDocument"))
            .then_panics("is not JSON")
            .when(event("HugeDocument"))
            .then_panics("more than 1048576")
            .then_collection("documents", json!({}))
            .then_collection("attempts", json!({}));
    }

    #[test]
    fn only_the_misdeeds_that_are_set_are_committed() {
        Scenario::new(Misbehaving)
            .with_setting("misdeeds", "Reject,Trap")
            .given(event("Panic"))
            .then_collection("good", json!({"Panic": {"count": 1}}))
            .when(event("Reject"))
            .then_rejects("rejected");
    }

    #[test]
    fn heavy_but_allowed_events_are_handled() {
        Scenario::new(Misbehaving)
            .when(event("Heavy"))
            .then_handled()
            .when(event("LargeOwn").of("a"))
            .then_handled()
            .when(event("ReadLargeOwn").of("a"))
            .then_handled()
            .then_collection("attempts", json!({}));
    }

    #[test]
    fn a_flood_is_logged() {
        Scenario::new(Misbehaving)
            .when(event("FloodLog"))
            .then_handled()
            .then_logs(Level::Info, "line 100000 of the flood");
    }
}
