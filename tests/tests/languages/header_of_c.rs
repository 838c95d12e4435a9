//! C++ and Zig use the SDK of C as it is: their example comes to the documents of Rust's.

use kennel_tests::binary::Kennel;
use kennel_tests::events::orders;
use kennel_tests::languages::{examples_with_the_sdk_of_c, languages};

const ORDERS: u64 = 500;

#[test]
fn the_sdk_of_c_serves_cpp_and_zig() {
    let _alone = crate::alone();
    let kennel = Kennel::default();
    let events = kennel.write("events.jsonl", orders(ORDERS));
    let expected = kennel.folder().join("expected.json");
    let [events, expected] = [&events, &expected].map(|file| file.to_str().expect("a UTF-8 path"));
    let files = ["--events", events, "--expect", expected];
    let test = |component: &str, further: &[&str]| {
        kennel.ok(&[&["test", component], &files[..], further].concat());
    };
    test(languages()[0].order_summary(), &["--update"]);
    for example in examples_with_the_sdk_of_c() {
        test(&example, &[]);
    }
}
