//! Everything that is awkward or as large as can be, through a guest, on both databases: it is handled, or
//! rejected with a message that says what was wrong with what.

use std::fmt::Write as _;

use kennel_core::event::NewEvent;
use kennel_core::limits;
use kennel_core::port::Wanted;
use kennel_store::{ConnectOptions, connect};
use kennel_test_support::postgres::Cluster;
use kennel_tests::binary::Kennel;
use kennel_tests::components::guest;
use kennel_tests::events::line;
use kennel_tests::exactly_once::{ExactlyOnce, documents, exactly_once};
use serde_json::{Value, json};
use uuid::Uuid;

const MIB: usize = 1024 * 1024;

/// Runs a test on both databases.
fn on_both(test: impl Fn(&Fixture)) {
    let kennel = Kennel::default();
    let url = format!("sqlite:{}", kennel.folder().join("kennel.db").display());
    test(&Fixture { kennel, url });
    let cluster = Cluster::start();
    let url = cluster.create_database();
    let fixture = Fixture { kennel: Kennel::on(&url), url };
    fixture.kennel.ok(&["migrate"]);
    test(&fixture);
}

struct Fixture {
    kennel: Kennel,
    url: String,
}

impl Fixture {
    fn deploy(&self, name: &str) {
        let file = guest(name);
        self.kennel.ok(&[
            "deploy",
            name,
            file.to_str().expect("a UTF-8 path"),
            "--on-failure",
            "dead-letter",
        ]);
    }

    fn append(&self, lines: &str) {
        let file = self.kennel.write("events.jsonl", lines);
        self.kennel.ok(&["append", "--from", file.to_str().expect("a UTF-8 path")]);
    }

    fn run(&self) {
        self.kennel.ok(&["run", "--until-caught-up"]);
    }

    /// Opens the store itself, for what no command does.
    fn store<T>(&self, work: impl AsyncFnOnce(kennel_store::Store) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let url = self.url.parse().expect("a valid URL");
        runtime.block_on(async {
            let store = connect(&url, &ConnectOptions::default()).await.expect("the store opens");
            let done = work(store.clone()).await;
            store.close().await;
            done
        })
    }
}

fn put(number: u64, payload: &Value) -> String {
    let event_type = if payload.get("bytes").is_some() { "PutBytes" } else { "Put" };
    line(number, "Tests", ("Sheet", &format!("sheet-{number}")), event_type, payload) + "\n"
}

#[test]
fn documents_and_names_are_stored_up_to_their_bounds_and_invalid_beyond() {
    on_both(|fixture| {
        let dog = "\u{1f436}";
        let key_max = dog.repeat(limits::KEY_BYTES_MAX / dog.len());
        let collection_max = dog.repeat(limits::COLLECTION_BYTES_MAX / dog.len());
        let stored = [
            json!({"collection": "sizes", "key": "max", "bytes": MIB}),
            json!({"collection": "keys", "key": key_max, "document": dog}),
            json!({"collection": "keys", "key": " \u{1}\"'\\%_;--", "document": {dog: [null, 1.5, "\n"]}}),
            json!({"collection": collection_max, "key": "k", "document": "long"}),
        ];
        let key = "is not a valid document key: use 1 to 1,024 bytes of text without NUL";
        let name = "is not a valid collection name: use 1 to 200 bytes of text without NUL";
        let rejected = [
            (
                json!({"collection": "sizes", "key": "beyond", "bytes": MIB + 1}),
                "sizes/beyond has 1048577 bytes",
            ),
            (json!({"collection": "keys", "key": format!("{key_max}x"), "document": 1}), key),
            (json!({"collection": "keys", "key": "", "document": 1}), key),
            (json!({"collection": "keys", "key": "a\0b", "document": 1}), key),
            (json!({"collection": format!("{collection_max}x"), "key": "k", "document": 1}), name),
            (json!({"collection": "", "key": "k", "document": 1}), name),
            (json!({"collection": "a\0b", "key": "k", "document": 1}), name),
        ];
        // JSON text may hold a NUL, as an escape. `jsonb` cannot, so it is invalid on both.
        let nul = json!({"collection": "nul", "key": "in text", "document": {"text": "a\0b"}});
        let mut lines = String::new();
        let payloads = stored.iter().chain(rejected.iter().map(|(payload, _)| payload)).chain([&nul]);
        for (number, payload) in (1..).zip(payloads) {
            lines += &put(number, payload);
        }
        fixture.deploy("scribe");
        fixture.append(&lines);
        fixture.run();

        let found = |collection: &str| documents(&fixture.kennel, "scribe", collection);
        let sizes = found("sizes");
        assert_eq!(sizes.len(), 1);
        assert_eq!(sizes[0]["document"].as_str().map(str::len), Some(MIB - 2));
        let mut keys = [
            json!({"key": key_max, "document": dog}),
            json!({"key": " \u{1}\"'\\%_;--", "document": {dog: [null, 1.5, "\n"]}}),
        ];
        keys.sort_by_key(|row| row["key"].to_string().as_bytes()[1]);
        assert_eq!(found("keys"), keys);
        assert_eq!(found(&collection_max), [json!({"key": "k", "document": "long"})]);

        let mut expected: Vec<&str> = rejected.iter().map(|(_, message)| *message).collect();
        expected.push("document nul/in text contains the character NUL");
        let status = fixture.kennel.status("scribe");
        let letters = status["dead_letters"].as_array().expect("a list of dead letters");
        assert_eq!(letters.len(), expected.len(), "{letters:#?}");
        for (letter, expected) in letters.iter().zip(expected) {
            assert_eq!(letter["kind"], "invalid-call", "{letter:#}");
            assert!(
                letter["message"].as_str().is_some_and(|message| message.contains(expected)),
                "{expected}: {letter:#}"
            );
        }
    });
}

#[test]
fn payloads_arrive_as_they_are_whatever_they_are() {
    on_both(|fixture| {
        let large = format!("\"{}\"", "p".repeat(8 * MIB)).into_bytes();
        // More than a page of events may carry: it comes by itself.
        let huge = vec![b'p'; limits::BATCH_EVENT_BYTES_MAX + 1];
        let payloads: [(&str, Vec<u8>); 9] = [
            ("binary", Vec::new()),
            ("binary", vec![0xff, 0xfe, 0]),
            ("binary", b"plain text".to_vec()),
            ("binary", b"a\0b".to_vec()),
            ("json", br#"{"a":"\u0000"}"#.to_vec()),
            ("json", "\"\u{1f436}\"".into()),
            ("json", b" null ".to_vec()),
            ("json", large),
            ("binary", huge),
        ];
        let events: Vec<NewEvent> = (1..)
            .zip(&payloads)
            .map(|(number, (_, payload))| NewEvent {
                bounded_context: "Tests".to_owned(),
                aggregate_type: "Parcel".to_owned(),
                aggregate_id: format!("\u{1f436} '{number}'"),
                aggregate_version: None,
                event_id: Uuid::from_u128(number),
                event_type: "Sent".to_owned(),
                event_version: 1,
                payload: payload.clone(),
                metadata: None,
                trace_id: None,
                correlation_id: None,
                causation_id: None,
                created_at: None,
            })
            .collect();
        fixture.deploy("scribe");
        fixture.store(async |store| {
            for event in events.chunks(1) {
                store.append(event).await.expect("the event is appended");
            }
        });
        fixture.run();
        assert_eq!(fixture.kennel.status("scribe")["dead_letters"], json!([]));
        let arrived = documents(&fixture.kennel, "scribe", "arrived");
        assert_eq!(arrived.len(), payloads.len());
        for (index, ((kind, payload), row)) in payloads.iter().zip(&arrived).enumerate() {
            let expected = json!({
                "kind": kind, "bytes": payload.len(), "beginning": &payload[..payload.len().min(64)],
                "aggregate_id": format!("\u{1f436} '{}'", index + 1), "version": 1, "metadata_bytes": 0,
                "created_at": row["document"]["created_at"],
            });
            assert_eq!(row["document"], expected);
        }
    });
}

#[test]
fn an_aggregate_of_ten_thousand_events_keeps_its_order() {
    on_both(|fixture| {
        let mut lines = String::new();
        for number in 1..=10_000 {
            writeln!(lines, "{}", line(number, "Tests", ("Life", "one"), "Lived", &json!({"day": number})))
                .expect("a string can be written to");
        }
        fixture.deploy("audit-log");
        fixture.append(&lines);
        fixture.kennel.ok(&["run", "--until-caught-up", "--workers", "3"]);
        let expected = ExactlyOnce { events: 10_000, aggregates: 1, not_once: 0, out_of_order: 0 };
        assert_eq!(exactly_once(&fixture.kennel, "audit-log"), expected);
        let aggregate = &documents(&fixture.kennel, "audit-log", "aggregates")[0]["document"];
        assert_eq!(aggregate["version"], 10_000);
    });
}

/// Ten thousand names that differ in case, in odd characters, or only far behind.
fn awkward_names() -> Vec<String> {
    let long = "n".repeat(limits::COLLECTION_BYTES_MAX - 10);
    let of = |number: usize| match number % 10 {
        0 => format!("orders_{number}"),
        1 => format!("Orders_{}", number - 1),
        2 => format!("ORDERS_{}", number - 2),
        3 => format!("\u{1f436} \u{fc}\u{301} {number}"),
        4 => format!("{long}{number}"),
        5 => format!("a'b\"c;--{number}"),
        6 => format!(".{number}."),
        7 => format!("{number}"),
        8 => format!("select {number} "),
        _ => format!("../%s\\\t\n{number}"),
    };
    (0..10_000).map(of).collect()
}

#[test]
fn ten_thousand_collections_with_awkward_names_stay_apart() {
    on_both(|fixture| {
        let names = awkward_names();
        let mut lines = String::new();
        for (number, name) in (1..).zip(&names) {
            lines += &put(number, &json!({"collection": name, "key": "k", "document": number}));
        }
        fixture.deploy("scribe");
        fixture.append(&lines);
        let began = kennel_tests::binary::now();
        // As many at once as any batch can make.
        fixture.kennel.ok(&["run", "--until-caught-up", "--batch", "10000"]);
        report(&format!("{} collections", names.len()), began.elapsed());
        fixture.store(async |store| {
            let scribe = store.find(&"scribe".parse().expect("a name")).await.expect("the store answers");
            let scribe = scribe.expect("scribe is deployed").read_model;
            assert_eq!(store.collections(scribe).await.expect("the store answers").len(), names.len());
            let wanted = |name: &String| Wanted { collection: name.clone(), keys: vec!["k".to_owned()] };
            let wanted: Vec<Wanted> = names.iter().map(wanted).collect();
            let found = store.fetch(scribe, &wanted).await.expect("the store answers");
            for (number, (name, found)) in (1..).zip(names.iter().zip(found)) {
                let document = found[0].as_ref().map(|stored| stored.document.to_string());
                assert_eq!(document, Some(format!("{number}")), "{name:?}");
            }
        });
    });
}

#[expect(clippy::print_stderr, reason = "how long this takes is of interest when it passes, too")]
fn report(what: &str, took: std::time::Duration) {
    eprintln!("{what}: {took:?}");
}
