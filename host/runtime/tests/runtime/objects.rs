//! Guests with garbage-collected objects and with exceptions: both work, within the memory that an instance may have.

use std::sync::Arc;
use std::time::Duration;

use insta::assert_snapshot;
use kennel_core::port::Component;
use kennel_runtime::WasmRuntime;

use crate::support::{
    Recorder, describe, event, guest, guest_core, outcome, prepare, runtime, runtime_with, start, wrap,
};

const MIB: usize = 1024 * 1024;

/// Types that the guests below use, and a list that keeps all that is put into it.
const OBJECTS: &str = "
    (type $bytes (array (mut i8)))
    (rec (type $node (struct (field $next (mut (ref null $node))) (field $content (ref null $bytes)))))
    (global $list (mut (ref null $node)) (ref.null $node))
    (func $keep (param $content (ref null $bytes))
        (global.set $list (struct.new $node (global.get $list) (local.get $content))))
    (tag $failed (param i32))
    (func $fail (throw $failed (i32.const 7)))";

/// A guest whose `handle` runs `body`.
pub(crate) fn with_objects(body: &str) -> Vec<u8> {
    wrap(&guest_core(body, OBJECTS))
}

/// Runs `body` so many times.
fn repeated(times: usize, body: &str) -> String {
    format!(
        "(local.set $i (i32.const {times}))
        (loop $again
            {body}
            (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))"
    )
}

fn small() -> WasmRuntime {
    runtime_with(|options| options.memory_bytes_max = 16 * MIB)
}

/// Throws an exception and catches it.
pub(crate) const CATCH: &str = "(block $caught (result i32)
        (try_table (catch $failed $caught) (call $fail))
        unreachable)
    drop";

#[tokio::test]
async fn objects_are_made_and_collected() {
    // Sixteen times the memory, in arrays that are not needed any more.
    let arrays = repeated(4096, "(drop (array.new_default $bytes (i32.const 65536)))");
    assert_eq!(outcome(&small(), with_objects(&arrays)).await, "ok");
    // Objects that refer to themselves are collected as well.
    let circles = repeated(
        4096,
        "(global.set $list (struct.new $node (ref.null $node) (array.new_default $bytes (i32.const 65536))))
        (struct.set $node $next (global.get $list) (global.get $list))",
    );
    assert_eq!(outcome(&small(), with_objects(&circles)).await, "ok");
}

#[tokio::test]
async fn a_guest_may_keep_objects_of_nearly_half_its_memory() {
    let keep =
        |bytes: usize| repeated(bytes / 1024, "(call $keep (array.new_default $bytes (i32.const 1000)))");
    assert_eq!(outcome(&runtime(), with_objects(&keep(56 * MIB))).await, "ok");
    assert!(outcome(&runtime(), with_objects(&keep(70 * MIB))).await.starts_with("memory-limit: "));
}

#[tokio::test]
async fn objects_without_end_are_denied_as_memory_is() {
    let arrays = "(loop $again (call $keep (array.new_default $bytes (i32.const 1000))) (br $again))";
    assert_snapshot!("many", outcome(&small(), with_objects(arrays)).await);
    let structs = "(loop $again (call $keep (ref.null $bytes)) (br $again))";
    assert_snapshot!("small", outcome(&small(), with_objects(structs)).await);
    let large = "(call $keep (array.new_default $bytes (i32.const 33554432)))";
    assert_snapshot!("large", outcome(&small(), with_objects(large)).await);
    let huge = "(call $keep (array.new_default $bytes (i32.const -1)))";
    assert_snapshot!("huge", outcome(&small(), with_objects(huge)).await);
}

#[tokio::test]
async fn objects_and_linear_memory_share_one_limit() {
    let array = "(call $keep (array.new_default $bytes (i32.const 4194304)))";
    assert_eq!(outcome(&small(), with_objects(array)).await, "ok");
    let grow = "(if (i32.eq (memory.grow (i32.const 200)) (i32.const -1)) (then unreachable))";
    assert_eq!(outcome(&small(), with_objects(grow)).await, "ok");
    assert_snapshot!(outcome(&small(), with_objects(&format!("{grow} {array}"))).await);
}

#[tokio::test]
async fn a_process_without_memory_for_objects_is_crowded() {
    let arrays = repeated(100, "(call $keep (array.new_default $bytes (i32.const 65536)))");
    let component = prepare(&runtime(), with_objects(&arrays)).await.unwrap();
    let env = Arc::new(Recorder { admits: Some(4 * MIB), ..Recorder::default() });
    let mut instance = component.instantiate(env).await.map_err(describe).unwrap();
    assert_eq!(instance.handle(&event(1), 1).await.map_err(describe), Err("crowded".to_owned()));
}

#[tokio::test]
async fn exceptions_are_thrown_and_caught() {
    assert_eq!(outcome(&runtime(), with_objects(CATCH)).await, "ok");
    assert_eq!(outcome(&small(), with_objects(&repeated(100_000, CATCH))).await, "ok");
}

#[tokio::test]
async fn an_exception_that_is_not_caught_ends_the_call() {
    assert_snapshot!("uncaught", outcome(&runtime(), with_objects("(call $fail)")).await);
    let said = "(call $log (i32.const 3) (i32.const 1051) (i32.const 14)) (call $fail)";
    assert_snapshot!("uncaught_with_a_message", outcome(&runtime(), with_objects(said)).await);
}

/// Every instance of the pool may have objects at the same time.
#[tokio::test]
async fn there_is_room_for_the_objects_of_every_instance() {
    let runtime = runtime();
    let component: Arc<dyn Component> =
        prepare(&runtime, with_objects("(call $keep (array.new_default $bytes (i32.const 1000)))"))
            .await
            .unwrap();
    let env = Arc::new(Recorder::default());
    for _ in 0..3 {
        let mut held = Vec::new();
        for _ in 0..4 {
            let mut instance = component.instantiate(env.clone()).await.map_err(describe).unwrap();
            instance.handle(&event(1), 1).await.map_err(describe).unwrap();
            held.push(instance);
        }
    }
}

/// Processors give not-a-numbers of different signs: documents must not.
#[tokio::test]
async fn a_not_a_number_has_the_same_bits_on_every_machine() {
    let body = "(local.set $i (i32.reinterpret_f32
            (f32.div (f32.load (i32.const 4096)) (f32.load (i32.const 4096)))))
        (if (i32.ne (local.get $i) (i32.const 0x7fc00000)) (then unreachable))";
    assert_eq!(outcome(&runtime(), guest(body)).await, "ok");
}

/// The processor time of this thread.
#[cfg(target_os = "linux")]
fn worked() -> Duration {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(statistics.split(' ').next().unwrap().parse().unwrap())
}

/// A guest whose objects leave next to no room has the host look for some all the time: that is the guest's time.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn looking_for_objects_to_free_counts_as_the_guest_s_time() {
    let runtime = runtime_with(|options| options.call_deadline = Duration::from_secs(1));
    let keep = repeated(56 * 1024, "(call $keep (array.new_default $bytes (i32.const 1000)))");
    let thrash =
        format!("{keep} (loop $forever (drop (array.new_default $bytes (i32.const 1000))) (br $forever))");
    let (mut instance, _env) = start(&runtime, with_objects(&thrash)).await;
    let before = worked();
    let failure = instance.handle(&event(1), 1).await.map_err(describe).unwrap_err();
    let worked = worked() - before;
    assert!(failure.starts_with("time-limit: ran longer than 1 s"), "{failure}");
    // Seven seconds if only the time were counted in which code of the guest runs.
    assert!(worked < Duration::from_millis(2500), "{worked:?}");
}
