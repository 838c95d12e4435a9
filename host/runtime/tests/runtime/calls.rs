//! Calls that go well: the examples of the repository are for the whole suite; here the ports are held
//! to what they say.

use kennel_core::digest::Digest;
use kennel_core::projection::Partitioning;

use crate::support::{self, event, guest, guest_core, prepare, runtime, start};

#[tokio::test]
async fn a_component_describes_itself_and_handles_events() {
    let runtime = runtime();
    let bytes = guest(
        "(call $put (i32.const 1031) (i32.const 10) (i32.const 1041) (i32.const 3) (i32.const 1044) (i32.const 7))",
    );
    let digest = Digest::of(&bytes);
    let component = prepare(&runtime, bytes).await.unwrap();
    assert_eq!(component.digest(), digest);
    assert_eq!(component.descriptor().name, "tiny");
    assert_eq!(component.descriptor().version, "1.0");
    assert_eq!(component.descriptor().partitioning, Partitioning::ByAggregate);
    let env = std::sync::Arc::new(support::Recorder::default());
    let mut instance = component.instantiate(env.clone()).await.map_err(support::describe).unwrap();
    for position in 1..=100 {
        instance.handle(&event(position), position).await.map_err(support::describe).unwrap();
    }
    let documents = env.documents.lock().unwrap();
    let document = documents.get(&("collection".to_owned(), "key".to_owned())).unwrap();
    assert_eq!(&**document, r#"{"a":1}"#);
    // Two pages, and what the tables of the component take.
    assert_eq!(instance.memory_peak() / (64 * 1024), 2);
}

#[tokio::test]
async fn a_core_module_runs_like_the_component_it_becomes_under_its_own_digest() {
    let runtime = runtime();
    let module = guest_core("", "");
    let digest = Digest::of(&module);
    let component = prepare(&runtime, module).await.unwrap();
    assert_eq!(component.digest(), digest);
}

#[tokio::test]
async fn the_event_arrives_whole() {
    // Copies the payload's text out of the event and logs it. Offsets: position 0, bounded-context 8,
    // aggregate-type 16, aggregate-id 24, aggregate-version 32, event-id 40, event-type 48,
    // event-version 56, payload 60 (case), 64 (pointer), 68 (length).
    let log = |pointer: u32| {
        format!(
            "(call $log (i32.const 1) (i32.load offset={pointer} (local.get $event)) (i32.load offset={} (local.get $event)))",
            pointer + 4
        )
    };
    let body = [8, 16, 24, 40, 48, 64].map(log).join("\n");
    let runtime = runtime();
    let (mut instance, env) = start(&runtime, guest(&body)).await;
    instance.handle(&event(7), 1).await.map_err(support::describe).unwrap();
    assert_eq!(
        env.lines(),
        [
            "Info Sales",
            "Info Order",
            "Info order-1",
            "Info 00000000-0000-0000-0000-000000000007",
            "Info OrderPlaced",
            r#"Info {"customer":"c-1","total_cents":1200}"#,
        ]
    );
}
