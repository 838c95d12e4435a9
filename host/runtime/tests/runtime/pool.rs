//! The pool: instances wait for a slot and release it.

use std::sync::Arc;
use std::time::Duration;

use kennel_core::port::CallFailure;

use crate::objects::with_objects;
use crate::support::{Recorder, describe, event, guest, prepare, runtime};

#[tokio::test]
async fn ten_thousand_instances_come_and_go() {
    let runtime = runtime();
    let healthy = prepare(&runtime, guest("")).await.unwrap();
    let trapping = prepare(&runtime, guest("unreachable")).await.unwrap();
    let env = Arc::new(Recorder::default());
    for number in 0..10_000 {
        let component = if number % 3 == 0 { &trapping } else { &healthy };
        let mut instance = component.instantiate(env.clone()).await.map_err(describe).unwrap();
        let result = instance.handle(&event(1), 1).await;
        assert_eq!(result.is_err(), number % 3 == 0);
    }
}

#[tokio::test]
async fn a_full_pool_makes_callers_wait() {
    let runtime = runtime();
    let component = prepare(&runtime, guest("")).await.unwrap();
    let env = Arc::new(Recorder::default());
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(component.instantiate(env.clone()).await.map_err(describe).unwrap());
    }
    let fifth = component.instantiate(env.clone());
    tokio::pin!(fifth);
    let early = tokio::time::timeout(Duration::from_millis(50), &mut fifth).await;
    assert!(early.is_err(), "there are four slots");
    held.pop();
    fifth.await.map_err(describe).unwrap();
}

#[tokio::test]
async fn a_cancelled_call_releases_its_slot() {
    let runtime = runtime();
    let component = prepare(&runtime, guest("(loop $again (br $again))")).await.unwrap();
    let env = Arc::new(Recorder::default());
    for _ in 0..20 {
        let mut instance = component.instantiate(env.clone()).await.map_err(describe).unwrap();
        let call = event(1);
        let call = instance.handle(&call, 1);
        let cancelled: Result<Result<(), CallFailure>, _> =
            tokio::time::timeout(Duration::from_millis(15), call).await;
        assert!(cancelled.is_err());
    }
}

/// Python guests are made of about 40 core modules.
#[tokio::test]
async fn a_component_of_many_core_modules_fits() {
    let mut bytes = guest("");
    let with_memory = wat::parse_str("(module (memory 0))").unwrap();
    let without = wat::parse_str("(module (func (export \"f\")))").unwrap();
    // Sections may follow in any order: 1 is a core module, 2 instances of it (by index, no arguments).
    // The guest itself has three modules.
    for (module, index, times) in [(with_memory, 3, 1), (without, 4, 80)] {
        bytes.push(1);
        bytes.push(u8::try_from(module.len()).unwrap());
        bytes.extend(module);
        for _ in 0..times {
            bytes.extend([2, 4, 1, 0, index, 0]);
        }
    }
    let runtime = runtime();
    let component = prepare(&runtime, bytes).await.unwrap();
    let env = Arc::new(Recorder::default());
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut instance = component.instantiate(env.clone()).await.map_err(describe).unwrap();
        instance.handle(&event(1), 1).await.map_err(describe).unwrap();
        held.push(instance);
    }
}

/// Runs in a process of its own, which the next test starts with few addresses.
#[tokio::test]
#[ignore = "a part of the_runtime_works_where_addresses_are_short"]
async fn with_few_addresses() {
    let runtime = runtime();
    for guest in [guest(""), with_objects("(call $keep (array.new_default $bytes (i32.const 4194304)))")] {
        let component = prepare(&runtime, guest).await.unwrap();
        let mut instance =
            component.instantiate(Arc::new(Recorder::default())).await.map_err(describe).unwrap();
        instance.handle(&event(1), 1).await.map_err(describe).unwrap();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_runtime_works_where_addresses_are_short() {
    let program = std::env::current_exe().unwrap();
    let output = std::process::Command::new("sh")
        .arg("-c")
        .arg(r#"ulimit -v 4000000 && exec "$0" --exact pool::with_few_addresses --ignored"#)
        .arg(program)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
