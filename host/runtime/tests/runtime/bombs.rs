//! Components that are small, sound, and ruinous to compile.

use std::fmt::Write as _;

use crate::support::{guest_core, wrap};

/// Jumps that may go to each of many nested blocks and bring a thousand values along: each target of each jump has a
/// list of its own in the compiler. Takes gigabytes within seconds.
pub(crate) fn of_memory() -> Vec<u8> {
    let (values, blocks, jumps) = (1000, 100, 200);
    let many = format!("(func $many (result{}) {})", " i32".repeat(values), "i32.const 1 ".repeat(values));
    let targets = (1..=blocks).fold(String::new(), |mut targets, block| {
        write!(targets, "{block} ").unwrap();
        targets
    });
    let jump = format!("local.get 0 if call $many local.get 0 br_table {targets} end ");
    let bomb = format!(
        "(func $bomb (param i32) {} {} call $many {} {})",
        format!("block (result{}) ", " i32".repeat(values)).repeat(blocks),
        jump.repeat(jumps),
        "end ".repeat(blocks),
        "drop ".repeat(values),
    );
    wrap(&guest_core("", &(many + &bomb)))
}

/// Thousands of nested loops that do next to nothing: the compiler takes more than quadratic time over their depth.
/// Takes minutes, and little memory.
pub(crate) fn of_time() -> Vec<u8> {
    let loops = 6000;
    let bomb = format!(
        "(func $bomb (param i32) (local i32) {} local.get 1 local.set 0 {})",
        "loop ".repeat(loops),
        "i32.const 1 br_if 0 end ".repeat(loops),
    );
    wrap(&guest_core("", &bomb))
}
