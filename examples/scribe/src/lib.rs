//! Writes what its events dictate, and notes how every other event arrived.
//!
//! It is there to test hosts and stores at their limits: the event says which collection, which key and
//! what kind of document, so that anything can be asked of a read model without a guest of its own.
//!
//! - `Put` `{collection, key, document}` writes that document;
//! - `PutText` `{collection, key, text}` writes this text, whatever it is;
//! - `PutBytes` `{collection, key, bytes}` writes a document of exactly so many bytes;
//! - `Say` `{text}` logs that text, and rejects its event with it;
//! - any other event is noted in the collection `arrived`, key = event id.

use std::borrow::Cow;

use kennel_guest::prelude::*;
use serde::{Deserialize, Serialize};

/// The projection.
#[derive(Debug, Default)]
pub struct Scribe;

#[derive(Deserialize)]
struct Put<'event> {
    #[serde(borrow)]
    collection: Cow<'event, str>,
    #[serde(borrow)]
    key: Cow<'event, str>,
    document: Value,
}

#[derive(Deserialize)]
struct PutText<'event> {
    #[serde(borrow)]
    collection: Cow<'event, str>,
    #[serde(borrow)]
    key: Cow<'event, str>,
    #[serde(borrow)]
    text: Cow<'event, str>,
}

#[derive(Deserialize)]
struct PutBytes<'event> {
    #[serde(borrow)]
    collection: Cow<'event, str>,
    #[serde(borrow)]
    key: Cow<'event, str>,
    bytes: usize,
}

#[derive(Deserialize)]
struct Say<'event> {
    #[serde(borrow)]
    text: Cow<'event, str>,
}

/// A document of the collection `arrived`.
#[derive(Debug, Serialize)]
struct Arrival<'event> {
    /// `json` or `binary`.
    kind: &'static str,
    bytes: usize,
    /// The first bytes of the payload, as numbers: it may be anything.
    beginning: &'event [u8],
    aggregate_id: &'event str,
    version: u64,
    metadata_bytes: usize,
    /// Seconds and nanoseconds since 1970.
    created_at: (i64, u32),
}

/// Bytes of a payload that are noted.
const BEGINNING_BYTES_MAX: usize = 64;

impl Projection for Scribe {
    fn descriptor(&self) -> Descriptor {
        Descriptor::new("scribe", env!("CARGO_PKG_VERSION"))
    }

    fn handle(&self, event: &Event, model: &mut dyn ReadModel) -> Result<(), Failure> {
        match event.event_type.as_str() {
            "Put" => {
                let put: Put = event.json()?;
                model.put(&put.collection, &put.key, &put.document)
            }
            "PutText" => {
                let put: PutText = event.json()?;
                model.put_text(&put.collection, &put.key, &put.text);
                Ok(())
            }
            "PutBytes" => {
                let put: PutBytes = event.json()?;
                // The quotes of a JSON string are two of the bytes.
                let Some(length) = put.bytes.checked_sub(2) else {
                    return Err(Failure::reject("a JSON string has at least 2 bytes"));
                };
                model.put_text(&put.collection, &put.key, &format!("\"{}\"", "x".repeat(length)));
                Ok(())
            }
            "Say" => {
                let say: Say = event.json()?;
                log::warn(&say.text);
                Err(Failure::reject(say.text))
            }
            _ => model.put("arrived", &event.event_id, &Arrival::of(event)),
        }
    }
}

export_projection!(Scribe);

impl<'event> Arrival<'event> {
    fn of(event: &'event Event) -> Self {
        let bytes = event.bytes();
        Self {
            kind: match event.payload {
                Payload::Json(_) => "json",
                Payload::Binary(_) => "binary",
            },
            bytes: bytes.len(),
            beginning: &bytes[..bytes.len().min(BEGINNING_BYTES_MAX)],
            aggregate_id: &event.aggregate_id,
            version: event.aggregate_version,
            metadata_bytes: event.metadata.as_deref().unwrap_or_default().len(),
            created_at: (event.created_at.seconds, event.created_at.nanoseconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use kennel_guest::testing::{Scenario, event};

    use super::*;

    #[test]
    fn dictated_documents_are_written() {
        Scenario::new(Scribe)
            .when(event("Put").json(json!({"collection": "c", "key": "\u{1f436}", "document": [1, null]})))
            .then_document("c", "\u{1f436}", json!([1, null]))
            .when(event("PutBytes").json(json!({"collection": "c", "key": "k", "bytes": 5})))
            .then_document("c", "k", json!("xxx"))
            .when(event("PutText").json(json!({"collection": "c", "key": "k", "text": "[1, 2]"})))
            .then_document("c", "k", json!([1, 2]));
    }

    #[test]
    fn the_text_to_say_is_the_reason_of_the_rejection() {
        Scenario::new(Scribe)
            .when(event("Say").json(json!({"text": "one\ntwo\u{1b}"})))
            .then_rejects("one\ntwo\u{1b}");
    }

    #[test]
    fn what_breaks_a_bound_fails() {
        let put = |key: &str, bytes: usize| {
            event("PutBytes").json(json!({"collection": "c", "key": key, "bytes": bytes}))
        };
        Scenario::new(Scribe)
            .given(put("k", 1024 * 1024))
            .when(put("k", 1024 * 1024 + 1))
            .then_panics("more than 1048576")
            .given(put(&"k".repeat(1024), 2))
            .when(put(&"k".repeat(1025), 2))
            .then_panics("key")
            .when(put("a\0b", 2))
            .then_panics("key")
            .when(put("k", 1))
            .then_rejects("at least 2 bytes");
    }

    #[test]
    fn every_other_event_is_noted() {
        Scenario::new(Scribe)
            .given(event("Sent").id("e-1").json(json!({})).metadata(json!({"a": 1})))
            .given(event("Sent").id("e-2").binary([0xff, 0]))
            .when(event("Sent").id("e-3").binary([]).created_at(Timestamp { seconds: -1, nanoseconds: 5 }))
            .then_collection("arrived", json!({
                "e-1": {"kind": "json", "bytes": 2, "beginning": [123, 125], "aggregate_id": "1", "version": 1,
                    "metadata_bytes": 7, "created_at": [1_767_225_600, 0]},
                "e-2": {"kind": "binary", "bytes": 2, "beginning": [255, 0], "aggregate_id": "1", "version": 2,
                    "metadata_bytes": 0, "created_at": [1_767_225_601, 0]},
                "e-3": {"kind": "binary", "bytes": 0, "beginning": [], "aggregate_id": "1", "version": 3,
                    "metadata_bytes": 0, "created_at": [-1, 5]},
            }));
    }
}
