//! Damaged files: whatever happens to the bytes, they are rejected with a message or run as well as any
//! other.

use std::sync::LazyLock;
use std::time::Duration;

use kennel_runtime::WasmRuntime;
use proptest::prelude::*;
use tokio::runtime::Runtime as Tokio;

use crate::support::{dummy_core, guest, guest_core, prepare, runtime_with};

static COMPONENT: LazyLock<Vec<u8>> = LazyLock::new(|| guest(""));
static CORE: LazyLock<Vec<u8>> = LazyLock::new(|| guest_core("", ""));
static HOST: LazyLock<(Tokio, WasmRuntime)> = LazyLock::new(|| {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let runtime = runtime_with(|options| options.describe_deadline = Duration::from_millis(50));
    (tokio, runtime)
});

fn check(bytes: Vec<u8>) {
    let inspection = kennel_runtime::inspect(&bytes);
    let (tokio, runtime) = &*HOST;
    match tokio.block_on(prepare(runtime, bytes)) {
        Ok(_) => assert!(inspection.runnable),
        Err(message) => {
            assert!(!message.trim().is_empty());
            assert!(!message.contains("crashed"), "{message}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn flipped_bits(core: bool, flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8u32), 1..4)) {
        let mut bytes = if core { CORE.clone() } else { COMPONENT.clone() };
        for (offset, bit) in flips {
            let offset = offset.index(bytes.len());
            bytes[offset] ^= 1 << bit;
        }
        check(bytes);
    }

    #[test]
    fn cut_short(core: bool, length: prop::sample::Index) {
        let bytes = if core { &CORE } else { &COMPONENT };
        check(bytes[..length.index(bytes.len())].to_vec());
    }

    #[test]
    fn arbitrary_bytes_behind_a_good_header(kind: bool, tail in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = if kind { b"\0asm\x0d\0\x01\0".to_vec() } else { b"\0asm\x01\0\0\0".to_vec() };
        bytes.extend(tail);
        check(bytes);
    }
}

#[test]
fn a_damaged_world_section_is_reported() {
    let whole = dummy_core(crate::support::WIT);
    let section = b"component-type";
    let at = whole.windows(section.len()).position(|window| window == section).unwrap() + section.len();
    for offset in at..whole.len() {
        let mut bytes = whole.clone();
        bytes[offset] ^= 0x41;
        let inspection = kennel_runtime::inspect(&bytes);
        assert_eq!(inspection.runnable, inspection.problems.is_empty());
    }
}
