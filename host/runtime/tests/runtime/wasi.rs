//! The WASI stand-ins: what a guest finds there is the same in every replay.

use std::sync::Arc;

use insta::assert_snapshot;

use crate::support::{
    Recorder, WIT, describe, event, guest_core_of, outcome, plain_core, prepare, runtime, start, wrap,
};

/// The parts of WASI that the guests below use, in a version between the first and the host's own.
const WASI: &str = "
package wasi:clocks@0.2.3 {
  interface wall-clock { record datetime { seconds: u64, nanoseconds: u32 } now: func() -> datetime; }
  interface monotonic-clock {
    use wasi:io/poll@0.2.3.{pollable};
    now: func() -> u64;
    subscribe-duration: func(when: u64) -> pollable;
  }
}
package wasi:random@0.2.3 {
  interface random { get-random-u64: func() -> u64; }
  interface insecure-seed { insecure-seed: func() -> tuple<u64, u64>; }
}
package wasi:io@0.2.3 {
  interface error { resource error; }
  interface poll { resource pollable { block: func(); } }
  interface streams {
    use error.{error};
    variant stream-error { last-operation-failed(error), closed }
    resource output-stream { blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>; }
  }
}
package wasi:cli@0.2.3 {
  interface exit { exit: func(status: result); }
  interface stderr { use wasi:io/streams@0.2.3.{output-stream}; get-stderr: func() -> output-stream; }
}
";

const IMPORTS: &str = r#"
(import "wasi:clocks/wall-clock@0.2.3" "now" (func $wall (param i32)))
(import "wasi:clocks/monotonic-clock@0.2.3" "now" (func $monotonic (result i64)))
(import "wasi:clocks/monotonic-clock@0.2.3" "subscribe-duration" (func $sleep (param i64) (result i32)))
(import "wasi:io/poll@0.2.3" "[method]pollable.block" (func $block (param i32)))
(import "wasi:random/random@0.2.3" "get-random-u64" (func $random (result i64)))
(import "wasi:random/insecure-seed@0.2.3" "insecure-seed" (func $seed (param i32)))
(import "wasi:cli/exit@0.2.3" "exit" (func $exit (param i32)))
(import "wasi:cli/stderr@0.2.3" "get-stderr" (func $stderr (result i32)))
(import "wasi:io/streams@0.2.3" "[method]output-stream.blocking-write-and-flush"
    (func $write (param i32 i32 i32 i32)))
"#;

/// Logs a number in hexadecimal.
const SHOW: &str = r#"
(func $show (param $n i64)
    (local $at i32) (local $digit i32)
    (local.set $at (i32.const 2064))
    (loop $again
        (local.set $at (i32.sub (local.get $at) (i32.const 1)))
        (local.set $digit (i32.and (i32.wrap_i64 (local.get $n)) (i32.const 15)))
        (i32.store8 (local.get $at)
            (i32.add (local.get $digit)
                (select (i32.const 48) (i32.const 87) (i32.lt_u (local.get $digit) (i32.const 10)))))
        (local.set $n (i64.shr_u (local.get $n) (i64.const 4)))
        (br_if $again (i32.gt_u (local.get $at) (i32.const 2048))))
    (call $log (i32.const 1) (i32.const 2048) (i32.const 16)))
(data (i32.const 3000) "Traceback:\n  boom\n")
"#;

fn guest(body: &str) -> Vec<u8> {
    let imports = "
  import wasi:clocks/wall-clock@0.2.3;
  import wasi:clocks/monotonic-clock@0.2.3;
  import wasi:random/random@0.2.3;
  import wasi:random/insecure-seed@0.2.3;
  import wasi:cli/exit@0.2.3;
  import wasi:cli/stderr@0.2.3;
  import log;";
    let wit = WIT.replacen("  import log;", imports, 1) + WASI;
    wrap(&guest_core_of(&wit, IMPORTS, body, SHOW))
}

#[tokio::test]
async fn the_wall_clock_shows_when_the_event_was_written() {
    let body = "(call $wall (i32.const 400))
        (call $show (i64.load (i32.const 400)))
        (call $show (i64.load32_u (i32.const 408)))";
    let runtime = runtime();
    let (mut instance, env) = start(&runtime, guest(body)).await;
    instance.handle(&event(1), 1).await.map_err(describe).unwrap();
    let shown = env.lines();
    assert_eq!(shown, [format!("Info {:016x}", 1_700_000_000u64), format!("Info {:016x}", 123_456_789u64)]);
}

#[tokio::test]
async fn time_and_chance_depend_on_the_event_alone() {
    let body = "(call $show (call $monotonic))
        (call $show (call $random))
        (call $show (call $random))
        (call $seed (i32.const 400))
        (call $show (i64.load (i32.const 400)))";
    let runtime = runtime();
    let component = prepare(&runtime, guest(body)).await.unwrap();
    // One instance for all, one for each, and one for the last event only.
    let mut runs = Vec::new();
    let cuts: [&[&[u64]]; 3] = [&[&[1, 2, 3]], &[&[1], &[2], &[3]], &[&[3]]];
    for batches in cuts {
        let env = Arc::new(Recorder::default());
        for batch in batches {
            let mut instance = component.instantiate(env.clone()).await.map_err(describe).unwrap();
            for &position in *batch {
                instance.handle(&event(position), position * 31).await.map_err(describe).unwrap();
            }
        }
        runs.push(env.lines());
    }
    assert_eq!(runs[0], runs[1]);
    assert_eq!(runs[0][8..], runs[2]);
    assert_ne!(runs[0][1], runs[0][2], "the generator moves on");
    assert_ne!(runs[0][1], runs[0][5], "each event has its own seed");
    assert!(runs[0][0] < runs[0][4] && runs[0][4] < runs[0][8], "monotonic time rises");
}

#[tokio::test]
async fn a_sleep_ends_at_once() {
    let body = "(call $block (call $sleep (i64.const 3000000000))) (call $show (call $monotonic))";
    let runtime = runtime();
    let (mut instance, env) = start(&runtime, guest(body)).await;
    let started = tokio::time::Instant::now();
    instance.handle(&event(0), 1).await.map_err(describe).unwrap();
    assert!(started.elapsed().as_secs() < 1);
    assert_eq!(env.lines(), [format!("Info {:016x}", 3_000_000_001u64)]);
}

#[tokio::test]
async fn standard_error_is_logged_and_reported() {
    let body = "(call $write (call $stderr) (i32.const 3000) (i32.const 18) (i32.const 400)) unreachable";
    let runtime = runtime();
    let (mut instance, env) = start(&runtime, guest(body)).await;
    let failure = instance.handle(&event(1), 1).await.unwrap_err();
    assert_snapshot!(describe(failure));
    assert_eq!(env.lines(), ["Warn Traceback:", "Warn   boom"]);
}

#[tokio::test]
async fn a_guest_that_exits_ends_its_call() {
    assert_snapshot!(outcome(&runtime(), guest("(call $exit (i32.const 1))")).await);
}

/// A core module as the tools of C and Go leave it: it imports WASI preview 1, and names no world.
fn preview1(body: &str) -> Vec<u8> {
    let imports = r#"
(import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
(import "wasi_snapshot_preview1" "random_get" (func $fill (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))"#;
    plain_core(imports, body, SHOW)
}

#[tokio::test]
async fn core_modules_of_preview_1_get_an_adapter_and_their_world() {
    let body = "(drop (call $clock (i32.const 0) (i64.const 1) (i32.const 400)))
        (call $show (i64.load (i32.const 400)))
        (drop (call $fill (i32.const 408) (i32.const 8)))
        (call $show (i64.load (i32.const 408)))
        (i32.store (i32.const 416) (i32.const 3000))
        (i32.store (i32.const 420) (i32.const 18))
        (drop (call $fd_write (i32.const 2) (i32.const 416) (i32.const 1) (i32.const 424)))";
    let runtime = runtime();
    let mut runs = Vec::new();
    for _ in 0..2 {
        let (mut instance, env) = start(&runtime, preview1(body)).await;
        instance.handle(&event(1), 1).await.map_err(describe).unwrap();
        runs.push(env.lines());
    }
    assert_eq!(runs[0], runs[1], "a replay sees the same");
    assert_eq!(runs[0][0], format!("Info {:016x}", 1_700_000_000_123_456_789u64));
    assert_eq!(runs[0][2..], ["Warn Traceback:", "Warn   boom"]);
    assert_snapshot!(outcome(&runtime, preview1("(call $exit (i32.const 3))")).await);
}

#[test]
fn inspect_lists_the_interfaces() {
    let inspection = kennel_runtime::inspect(&guest(""));
    assert!(inspection.runnable, "{:?}", inspection.problems);
    assert!(inspection.wasi.contains(&"wasi:clocks/wall-clock@0.2.3".to_owned()), "{:?}", inspection.wasi);
}
