//! A group of its own, too large for the repository: documents up to their bound, payloads far beyond them, and as many
//! rows as one scan returns.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use kennel_core::limits::{DOCUMENT_BYTES_MAX, READ_KEYS_MAX};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) const NAME: &str = "large";

const MIB: usize = 1 << 20;

/// The files so far.
#[derive(Default)]
struct Files {
    events: String,
    /// As text: a map of serde_json sorts its fields, and their order counts.
    documents: BTreeMap<&'static str, BTreeMap<String, String>>,
    failures: Vec<Value>,
    count: u64,
}

/// Writes the files of the group.
pub(crate) fn write(folder: &Path) {
    let mut files = Files::default();
    documents(&mut files);
    payloads(&mut files);
    rows(&mut files);
    let object = |fields: Vec<String>| format!("{{{}}}", fields.join(",\n"));
    let collections = files.documents.iter().map(|(name, documents)| {
        let documents = documents.iter().map(|(key, text)| format!("{}: {text}", json!(key)));
        format!("{}: {}", json!(name), object(documents.collect()))
    });
    let documents = object(collections.collect());
    let expected = format!("{{\"documents\": {documents}, \"failures\": {}}}\n", json!(files.failures));
    fs::write(folder.join(format!("{NAME}.events.jsonl")), files.events).expect("a file for the test");
    fs::write(folder.join(format!("{NAME}.expected.json")), expected).expect("a file for the test");
}

impl Files {
    /// An event; its payload is `body`, which has the name of the field that holds it. Returns its id.
    fn event(&mut self, event_type: &str, body: (&str, Value)) -> String {
        self.count += 1;
        let id = Uuid::from_u64_pair(0x6b65_6e6e_656c_0002, self.count).to_string();
        let mut line = json!({
            "bounded_context": "Conformance", "aggregate_type": "Case", "aggregate_id": format!("large-{}", self.count),
            "event_id": id, "event_type": event_type, "created_at": "2026-03-01T09:30:00Z",
        });
        line[body.0] = body.1;
        writeln!(self.events, "{line}").expect("a string can be written to");
        id
    }

    fn play(&mut self, event_type: &str, payload: Value) {
        self.event(event_type, ("payload", payload));
    }

    fn put(&mut self, key: &str, document: Value, padding: usize) {
        let padding = "p".repeat(padding);
        let body = json!({"collection": "large", "key": key, "document": document, "padding": padding});
        self.play("Put", body);
        self.expect("large", key, &document);
    }

    fn expect(&mut self, collection: &'static str, key: &str, document: &impl ToString) {
        self.documents.entry(collection).or_default().insert(key.to_owned(), document.to_string());
    }
}

fn documents(files: &mut Files) {
    let largest = "x".repeat(DOCUMENT_BYTES_MAX - 2);
    files.put("largest", json!(largest), 0);
    files.play("Copy", json!({"collection": "large", "key": "largest", "to": "copy of largest"}));
    files.expect("large", "copy of largest", &json!(largest));
    for event_type in ["Put", "PutText"] {
        // With its quotes it is a byte too long.
        let text = "x".repeat(DOCUMENT_BYTES_MAX - 1);
        let body = match event_type {
            "Put" => json!({"collection": "large", "key": "beyond", "document": text}),
            _ => json!({"collection": "large", "key": "beyond", "text": json!(text).to_string()}),
        };
        files.play(event_type, body);
        files.failures.push(json!({"position": files.count, "kind": "invalid-call"}));
    }
    let numbers: Vec<u64> = (0..50_000).map(|number| number * 7 + (1 << 53) * (number % 2)).collect();
    files.put("numbers", json!(numbers), 0);
    let fields: serde_json::Map<String, Value> = (0..5_000)
        .map(|number| (format!("field {number:05}"), json!({"n": number, "text": "\u{1f436}"})))
        .collect();
    files.put("fields", json!(fields), 0);
    files.play("Copy", json!({"collection": "large", "key": "fields", "to": "copy of fields"}));
    files.expect("large", "copy of fields", &json!(fields));
}

fn payloads(files: &mut Files) {
    files.put("behind 8 MiB", json!({"small": true}), 8 * MIB);
    // More than a page of events may carry: it comes by itself.
    for kib in [1024, 17 * 1024] {
        let bytes = "AAECA/79/P8A".repeat(kib * 1024 / 9);
        files.event("Parcel", ("payload_base64", json!(bytes)));
    }
    files.play("Parcel", json!("\u{e9}".repeat(8 * MIB)));
    files.expect("others", "Parcel", &json!({"count": 3}));
    // 252 KiB of all bytes: as numbers they fit a document.
    let all = "AAECA/79/P8A".repeat(28 * 1024);
    let bytes: Vec<u8> = [0, 1, 2, 3, 254, 253, 252, 255, 0].repeat(28 * 1024);
    arrived(files, ("payload_base64", json!(all)), json!({"binary": bytes}));
    let text = json!("\"\\\u{2028}\u{1f436}".repeat(60_000));
    arrived(files, ("payload", text.clone()), json!({"json": text.to_string()}));
}

fn arrived(files: &mut Files, body: (&str, Value), payload: Value) {
    let id = files.event("Arrived", body);
    let position = files.count;
    let document = format!(
        r#"{{"position":{position},"bounded_context":"Conformance","aggregate_type":"Case","aggregate_id":"large-{position}",
        "aggregate_version":1,"event_id":"{id}","event_type":"Arrived","event_version":1,"payload":{payload},
        "metadata":null,"trace_id":null,"correlation_id":null,"causation_id":null,
        "created_at":{{"seconds":1772357400,"nanoseconds":0,"rfc3339":"2026-03-01T09:30:00Z"}}}}"#
    );
    files.expect("arrivals", &id, &document);
}

fn rows(files: &mut Files) {
    let key = |number: usize| format!("row-{number:04}");
    let rows = READ_KEYS_MAX + 1;
    let step =
        |number: usize| json!({"type": "Put", "collection": "rows", "key": key(number), "document": number});
    let steps: Vec<Value> = (0..rows).map(step).collect();
    files.play("Steps", json!({"steps": steps}));
    (0..rows).for_each(|number| files.expect("rows", &key(number), &number));
    for (into, limit) in [("1000", 1000), ("1001", 1001), ("all", u32::MAX)] {
        files.play("Scan", json!({"collection": "rows", "prefix": "row-", "limit": limit, "into": into}));
    }
    let found: Vec<usize> = (0..READ_KEYS_MAX).collect();
    let keys: Vec<String> = found.iter().map(|number| key(*number)).collect();
    let scanned = format!(r#"{{"keys":{},"documents":{}}}"#, json!(keys), json!(found));
    ["1000", "1001", "all"].iter().for_each(|into| files.expect("scans", into, &scanned));
    files.play("Collect", json!({"collection": "rows", "keys": keys, "into": "rows"}));
    files.expect("collected", "rows", &json!(found));
}
