//! Guests that misbehave: each ends its own call, and the report says why.

use std::sync::Arc;
use std::time::Duration;

use insta::assert_snapshot;

use crate::support::{
    Recorder, describe, event, guest, guest_core, outcome, prepare, runtime, runtime_with, start, wrap,
};

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn a_panic_is_reported_with_the_guests_message() {
    let body = "(call $log (i32.const 3) (i32.const 1051) (i32.const 14)) unreachable";
    assert_snapshot!(outcome(&runtime(), guest(body)).await);
}

#[tokio::test]
async fn a_trap_without_a_message_names_itself_and_the_function() {
    let body = "(drop (i32.div_u (i32.const 1) (i32.const 0)))";
    assert_snapshot!(outcome(&runtime(), guest(body)).await);
}

#[tokio::test]
async fn an_endless_loop_ends_at_the_deadline_and_others_run_meanwhile() {
    let runtime = runtime_with(|options| options.call_deadline = Duration::from_millis(300));
    let (mut looping, _env) = start(&runtime, guest("(loop $again (br $again))")).await;
    let (mut healthy, _env) = start(&runtime, guest("")).await;
    // The test has one thread: if the loop held it, the healthy guest would not run.
    let stuck = event(1);
    let mut stuck = looping.handle(&stuck, 1);
    let mut runs = 0;
    let failure = loop {
        tokio::select! {
            biased;
            result = &mut stuck => break result.unwrap_err(),
            () = tokio::task::yield_now() => {
                healthy.handle(&event(2), 1).await.map_err(describe).unwrap();
                runs += 1;
            }
        }
    };
    assert_snapshot!(describe(failure));
    assert!(runs >= 10, "the healthy guest had {runs} runs in 300 ms");
}

#[tokio::test]
async fn a_loop_of_host_calls_ends_at_the_deadline_too() {
    let runtime = runtime_with(|options| options.call_deadline = Duration::from_millis(100));
    let body = "(loop $again
        (call $get (i32.const 1031) (i32.const 10) (i32.const 1041) (i32.const 3) (i32.const 300))
        (br $again))";
    assert_snapshot!(outcome(&runtime, guest(body)).await);
}

#[tokio::test]
async fn unbounded_memory_growth_is_denied() {
    let runtime = runtime_with(|options| options.memory_bytes_max = 16 * MIB);
    let body =
        "(loop $again (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable";
    assert_snapshot!(outcome(&runtime, guest(body)).await);
}

#[tokio::test]
async fn a_guest_survives_a_denied_growth() {
    let runtime = runtime_with(|options| options.memory_bytes_max = 16 * MIB);
    let body = "(drop (memory.grow (i32.const 10000)))";
    assert_eq!(outcome(&runtime, guest(body)).await, "ok");
    // Returns `retry("")`: the denied growth explains what the guest did not.
    let body = format!("{body} (i32.store8 (i32.const 256) (i32.const 1))");
    assert_snapshot!(outcome(&runtime, guest(&body)).await);
}

#[tokio::test]
async fn recursion_without_end_runs_out_of_stack() {
    assert_snapshot!(outcome(&runtime(), guest("(drop (call $handle (local.get $event)))")).await);
}

#[tokio::test]
async fn recursion_is_distinguished_from_a_wild_pointer() {
    // As compiled Rust does it: a stack pointer that begins at 4096 and falls below 0.
    let extra = "(global $sp (mut i32) (i32.const 4096))
        (func $recurse
            (global.set $sp (i32.sub (global.get $sp) (i32.const 32)))
            (i32.store (global.get $sp) (i32.const 1))
            (call $recurse))";
    assert_snapshot!("recursion", outcome(&runtime(), wrap(&guest_core("(call $recurse)", extra))).await);
    assert_snapshot!(
        "wild_pointer",
        outcome(&runtime(), guest("(i32.store (i32.const -8) (i32.const 1))")).await
    );
}

#[tokio::test]
async fn an_invalid_call_is_the_guests_failure_and_a_broken_store_is_not() {
    let put = "(call $put (i32.const 1031) (i32.const 10) (i32.const 1041) (i32.const 3) (i32.const 1051) (i32.const 8))";
    assert_snapshot!("invalid_call", outcome(&runtime(), guest(put)).await);

    let runtime = runtime();
    let component = prepare(&runtime, guest(put)).await.unwrap();
    let env = Arc::new(Recorder { broken: true, ..Recorder::default() });
    let mut instance = component.instantiate(env).await.map_err(describe).unwrap();
    let failure = instance.handle(&event(1), 1).await.unwrap_err();
    assert_eq!(describe(failure), "host: the store is gone");
}

#[tokio::test]
async fn returned_failures_keep_the_instance() {
    let fail = |case: u8| {
        format!(
            "(i32.store8 (i32.const 256) (i32.const 1)) (i32.store8 (i32.const 260) (i32.const {case}))
             (i32.store (i32.const 264) (i32.const 1051)) (i32.store (i32.const 268) (i32.const 14))"
        )
    };
    let runtime = runtime();
    for (case, kind) in [(0, "retry"), (1, "reject")] {
        let (mut instance, _env) = start(&runtime, guest(&fail(case))).await;
        for position in 1..3 {
            let failure = instance.handle(&event(position), 1).await.unwrap_err();
            assert_eq!(describe(failure), format!("{kind}: panicked: boom"));
        }
    }
}

#[tokio::test]
async fn a_flood_of_lines_is_cut() {
    let body = "(local.set $i (i32.const 1000))
        (loop $again
            (call $log (i32.const 0) (i32.const 1051) (i32.const 8))
            (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))";
    let runtime = runtime();
    let (mut instance, env) = start(&runtime, guest(body)).await;
    instance.handle(&event(1), 1).await.map_err(describe).unwrap();
    assert_eq!(env.lines().len(), 21);
    assert_eq!(env.lines()[20], "Warn 980 more lines were dropped: at most 20 are kept for one event");
    instance.handle(&event(2), 1).await.map_err(describe).unwrap();
    assert_eq!(env.lines().len(), 42, "every event has its own allowance");
}
