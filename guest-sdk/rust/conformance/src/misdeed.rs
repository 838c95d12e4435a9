//! What a guest must not do: the host has to end it.

use std::hint::black_box;

use kennel_guest::prelude::*;

/// Runs, grows or recurses without end, once something is put that has to be undone.
pub(crate) fn commit(event: &Event, model: &mut dyn ReadModel) -> Result<(), Failure> {
    model.put("attempts", &event.event_id, &true)?;
    match event.event_type.as_str() {
        "Loop" => loop {
            black_box(());
        },
        "Allocate" => {
            let mut hoard = Vec::new();
            loop {
                // The pages are written to, so that they count.
                hoard.push(black_box(vec![1_u8; 1 << 20]));
            }
        }
        _ => {
            black_box(recurse(1));
            Ok(())
        }
    }
}

#[expect(unconditional_recursion, reason = "that is the misdeed")]
fn recurse(depth: u64) -> u64 {
    // What comes after the call keeps it from becoming a loop.
    black_box(recurse(black_box(depth + 1))) + depth
}
