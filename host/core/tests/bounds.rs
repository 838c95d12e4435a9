//! What a write set holds in memory is bounded for each event, however often the event changes the same documents; and
//! what an increment leaves of a document, against a model that knows only pieces of text.

use std::collections::BTreeMap;

use kennel_core::change::{ChangeError, Lookup, Stored, WriteSet, add};
use kennel_core::failure::FailureKind;
use kennel_core::limits;
use kennel_core::position::Position;
use proptest::prelude::*;

const MIB: usize = 1024 * 1024;

fn begun() -> WriteSet {
    let mut set = WriteSet::default();
    set.begin(Position::new(1));
    set
}

fn large() -> String {
    format!("{{\"n\":1,\"text\":\"{}\"}}", "x".repeat(MIB - 100))
}

#[test]
fn repeated_changes_take_no_more_memory_than_one() {
    let mut set = begun();
    set.put("c", "stored", large()).unwrap();
    set.keep();
    set.begin(Position::new(2));
    for _ in 0..10 {
        set.put("c", "stored", large()).unwrap();
        set.increment("c", "stored", "n", 1).unwrap();
        set.delete("c", "stored").unwrap();
        set.put("c", "new", large()).unwrap();
        set.increment("c", "fields", "n", 1).unwrap();
    }
    assert!(set.held() < 3 * MIB, "{} bytes", set.held());
    set.undo();
    set.begin(Position::new(3));
    assert!(matches!(set.lookup("c", "stored"), Ok(Lookup::Known(Some(_)))));
    assert!(set.bytes() < MIB + 1024, "{} bytes", set.bytes());
}

#[test]
fn an_event_that_makes_the_host_keep_too_much_fails_and_costs_nothing() {
    let name = |number: usize| format!("{number:01024}");
    type Bad = fn(&mut WriteSet, &str) -> Result<(), ChangeError>;
    let ways: [Bad; 5] = [
        |set, name| set.put("c", name, large()),
        |set, name| set.put("c", name, "1".to_owned()),
        |set, name| set.delete("c", name),
        |set, name| set.increment("c", name, "n", 1),
        |set, name| set.increment("c", "one", name, 1),
    ];
    for way in ways {
        let mut set = begun();
        set.put("c", "kept", "1".to_owned()).unwrap();
        set.keep();
        let before = set.bytes();
        set.begin(Position::new(2));
        let rejected = (0..1_000_000).find_map(|number| way(&mut set, &name(number)).err()).unwrap();
        assert_eq!((&rejected, rejected.kind()), (&ChangeError::TooMuch, FailureKind::MemoryLimit));
        assert!(set.held() <= limits::EVENT_CHANGE_BYTES_MAX + 2 * MIB, "{} bytes", set.held());
        set.undo();
        assert_eq!(set.bytes(), before);
    }
}

#[test]
fn amounts_of_an_event_that_fails_are_taken_back_one_by_one() {
    let mut set = begun();
    set.increment("c", "k", "a", 1).unwrap();
    set.increment("c", "k", "b", 2).unwrap();
    set.keep();
    let kept = set.bytes();
    // Only amounts change, or the document is replaced in between.
    for replaced in [false, true] {
        set.begin(Position::new(2));
        set.increment("c", "k", "b", 40).unwrap();
        set.increment("c", "k", "c", 7).unwrap();
        if replaced {
            set.put("c", "k", "{}".to_owned()).unwrap();
            set.increment("c", "k", "a", 5).unwrap();
        }
        set.undo();
        assert_eq!(set.bytes(), kept);
    }
    set.remember("c", "k", Some(Stored { document: "{\"a\":1}".into(), revision: Position::new(1) }));
    assert_eq!(set.lookup("c", "k"), Ok(Lookup::Known(Some("{\"a\":2,\"b\":2}".into()))));
}

#[test]
fn documents_that_an_event_reads_count_until_the_batch_ends() {
    let mut set = begun();
    assert_eq!(set.left_to_read(), limits::EVENT_READ_BYTES_MAX);
    for number in 0..64 {
        let stored = Stored { document: large().into(), revision: Position::new(1) };
        set.remember("c", &number.to_string(), Some(stored));
    }
    set.remember("c", "more", Some(Stored { document: large().into(), revision: Position::new(1) }));
    assert_eq!(set.left_to_read(), 0);
    set.keep();
    set.begin(Position::new(2));
    assert_eq!(set.left_to_read(), limits::EVENT_READ_BYTES_MAX);
    assert!(set.held() > 60 * MIB);
}

#[test]
fn a_sum_does_not_make_a_document_too_large() {
    let amounts = |field: &str| BTreeMap::from([(field.to_owned(), 1)]);
    let full = format!("{{\"n\":9,\"text\":\"{}\"}}", "x".repeat(MIB - 17));
    assert_eq!(full.len(), MIB);
    assert!(matches!(add("c", "k", Some(&full), &amounts("n")), Err(ChangeError::TooLarge { .. })));
    // One that the database has given more space than it had may still count, and gets no more fields.
    let wide = full.replace(',', ", ");
    assert!(add("c", "k", Some(&wide), &amounts("n")).is_ok());
    assert!(matches!(add("c", "k", Some(&wide), &amounts("m")), Err(ChangeError::TooLarge { .. })));
}

/// Members of an object as text: a name in JSON, and a value.
fn members() -> impl Strategy<Value = Vec<(String, String)>> {
    let names = ["\"n\"", "\"\\u006e\"", "\"m\"", "\"\"", "\"a\\\"b\"", "\"{n}\"", "\"\u{1f436}\""];
    let values = [
        "0",
        "-7",
        "null",
        "1.0",
        "12345678901234567890123",
        "0.1234567890123456789",
        "1e400",
        "\"n\"",
        "\"}\\\\\"",
        "[ {\"n\" : 1}, [] ]",
        "{ }",
        "true",
        "{\"n\":{\"n\":[[[1]]]}}",
    ];
    let name = prop::sample::select(names.to_vec()).prop_map(str::to_owned);
    let value = prop::sample::select(values.to_vec()).prop_map(str::to_owned);
    prop::collection::vec((name, value), 0..6)
}

fn object(members: &[(String, String)], space: &str) -> String {
    let members: Vec<String> =
        members.iter().map(|(name, value)| format!("{space}{name}{space}:{space}{value}")).collect();
    format!("{space}{{{}{space}}}{space}", members.join(&format!("{space},")))
}

proptest! {
    #[test]
    fn an_increment_leaves_every_other_byte(members in members(), by in -9..9_i64, space in prop::sample::select(vec!["", " ", "\t\r\n "])) {
        let before = object(&members, space);
        let added = add("c", "k", Some(&before), &BTreeMap::from([("n".to_owned(), by)]));
        let last = members.iter().rposition(|(name, _)| name == "\"n\"" || name == "\"\\u006e\"");
        let value = last.map_or(Some(0), |index| match members[index].1.as_str() {
            "0" | "null" => Some(0),
            "-7" => Some(-7),
            "1.0" => Some(1),
            _ => None,
        });
        let Some(value) = value else {
            let rejected = matches!(added, Err(ChangeError::Increment { .. }));
            prop_assert!(rejected, "{}", before);
            return Ok(());
        };
        let sum = (value + by).to_string();
        let mut after = members.clone();
        let expected = match last {
            Some(index) => {
                after[index].1 = sum;
                object(&after, space)
            }
            None => {
                // Behind the last value, or behind the brace.
                let more = format!("{}\"n\":{sum}", if members.is_empty() { "" } else { "," });
                let end = before.len() - 2 * space.len() - 1;
                format!("{}{more}{}", &before[..end], &before[end..])
            }
        };
        prop_assert_eq!(added.unwrap(), expected);
    }
}
