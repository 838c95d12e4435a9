//! Calls that go well: the examples of the repository are for the whole suite; here the ports are held
//! to what they say.

use std::fs;
use std::path::Path;

use kennel_core::digest::Digest;
use kennel_core::projection::Partitioning;

use crate::support::{self, event, guest, guest_core, prepare, runtime, runtime_with, start};

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
    assert_eq!(instance.memory_peak(), 2 * 64 * 1024);
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

#[tokio::test]
async fn compiled_code_is_kept_and_a_damaged_entry_built_anew() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    let bytes = guest("");
    let load = || async {
        let runtime = runtime_with(|options| options.cache_dir = Some(cache.clone()));
        prepare(&runtime, bytes.clone()).await.unwrap();
    };
    load().await;
    let entry = only_file(&cache);
    let first = fs::read(&entry).unwrap();
    load().await;
    assert_eq!(fs::read(&entry).unwrap(), first, "a sound entry is not written again");
    for damaged in [&b""[..], b"nonsense", &first[..first.len() - 1], &flipped(&first)] {
        fs::write(&entry, damaged).unwrap();
        load().await;
        assert_eq!(only_file(&cache), entry);
        let anew = fs::read(&entry).unwrap();
        assert_ne!(anew, damaged, "a damaged entry is replaced");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_cache_that_everybody_may_write_to_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let runtime = runtime_with(|options| options.cache_dir = Some(dir.path().to_owned()));
    prepare(&runtime, guest("")).await.unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

fn only_file(dir: &Path) -> std::path::PathBuf {
    let files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

fn flipped(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bytes
}
