//! Events as lines of JSON, with fields named like the columns of the event log.

mod misfit;

use std::io::{BufRead, BufReader, Read};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use serde_json::value::RawValue;
use uuid::Uuid;

use kennel_core::document::check_payload;
use kennel_core::event::NewEvent;
use kennel_core::limits;
use kennel_core::timestamp::Timestamp;

/// What the events are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// To be appended to a log.
    Append,
    /// To be handled in a test: payloads may be bytes that are no JSON.
    Test,
}

/// An event for a test, with the position that its line gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    pub event: NewEvent,
    pub position: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    bounded_context: String,
    aggregate_type: String,
    aggregate_id: String,
    #[serde(default)]
    aggregate_version: Option<u64>,
    event_id: String,
    event_type: String,
    #[serde(default)]
    event_version: Option<u32>,
    /// `null` is a payload.
    #[serde(borrow, default, deserialize_with = "present")]
    payload: Option<&'a RawValue>,
    #[serde(default)]
    payload_base64: Option<String>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
    #[serde(default)]
    trace_id: Option<String>,
    #[serde(default)]
    correlation_id: Option<String>,
    #[serde(default)]
    causation_id: Option<String>,
    #[serde(default)]
    created_at: Option<String>,
    /// Accepted so that an export of a log can be appended to another, which gives out positions anew.
    #[serde(default)]
    global_position: Option<u64>,
}

fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Reads one event. The error is a message without the line's number.
pub fn parse(text: &str) -> Result<NewEvent, String> {
    Ok(read(text, Purpose::Append)?.event)
}

/// Reads one event for a test. The error is a message without the line's number.
pub fn parse_sample(text: &str) -> Result<Sample, String> {
    read(text, Purpose::Test)
}

/// Longest line that is read: the most that an event may have, and as much again for characters written as escapes.
const LINE_BYTES_MAX: usize = 2 * limits::EVENT_BYTES_MAX;

/// What `parse` makes of the lines of an input, by line number; `None` for an empty line. Ends with the first line that
/// is wrong.
pub fn lines<T>(
    input: impl Read,
    parse: impl Fn(&str) -> Result<T, String>,
) -> impl Iterator<Item = (u64, Result<Option<T>, String>)> {
    let mut input = BufReader::with_capacity(1 << 20, input);
    let mut failed = false;
    (1..).map_while(move |number| {
        if failed {
            return None;
        }
        let line = match next_line(&mut input) {
            Ok(line) => line?,
            Err(reason) => {
                failed = true;
                return Some((number, Err(reason)));
            }
        };
        // Some editors begin a file with a byte order mark, which is no part of its text.
        let line = if number == 1 { line.trim_start_matches('\u{feff}') } else { &line };
        let parsed = if line.trim().is_empty() { Ok(None) } else { parse(line).map(Some) };
        failed = parsed.is_err();
        Some((number, parsed))
    })
}

/// The next line without its end, or none at the end of the input.
fn next_line(input: &mut impl BufRead) -> Result<Option<String>, String> {
    let mut line = Vec::new();
    let read = input.take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut line);
    if read.map_err(|error| error.to_string())? == 0 {
        return Ok(None);
    }
    if line.len() > LINE_BYTES_MAX {
        return Err(format!("the line is longer than {LINE_BYTES_MAX} bytes"));
    }
    let line = String::from_utf8(line).map_err(|_| "the line is not UTF-8 text".to_owned())?;
    Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
}

fn read(text: &str, purpose: Purpose) -> Result<Sample, String> {
    let line: Line<'_> = serde_json::from_str(text).map_err(|error| explain(text, purpose, &error))?;
    for (field, value) in [
        ("bounded_context", &line.bounded_context),
        ("aggregate_type", &line.aggregate_type),
        ("aggregate_id", &line.aggregate_id),
        ("event_type", &line.event_type),
    ] {
        if value.is_empty() {
            return Err(format!("`{field}` is empty"));
        }
    }
    if line.aggregate_version == Some(0) {
        return Err("`aggregate_version` counts from 1".to_owned());
    }
    let event_id = Uuid::parse_str(&line.event_id)
        .map_err(|_| format!("`event_id` is not a UUID: `{}`", limits::excerpt(&line.event_id)))?;
    let created_at = line.created_at.as_deref().map(time).transpose()?;
    let payload = match (line.payload, line.payload_base64, purpose) {
        (Some(payload), None, _) => {
            check_payload(payload.get()).map_err(|unfit| format!("event {event_id}: `payload` {unfit}"))?;
            payload.get().as_bytes().to_vec()
        }
        (None, Some(text), Purpose::Test) => BASE64
            .decode(text)
            .map_err(|error| format!("event {event_id}: `payload_base64` is not base64: {error}"))?,
        (Some(_), Some(_), Purpose::Test) => {
            return Err("it has both `payload` and `payload_base64`: leave one of them out".to_owned());
        }
        _ => return Err(misfit::find(text, purpose).unwrap_or_else(|| "missing: `payload`".to_owned())),
    };
    let event = NewEvent {
        bounded_context: line.bounded_context,
        aggregate_type: line.aggregate_type,
        aggregate_id: line.aggregate_id,
        aggregate_version: line.aggregate_version,
        event_id,
        event_type: line.event_type,
        event_version: line.event_version.unwrap_or(1),
        payload,
        metadata: line.metadata.map(|metadata| metadata.get().to_owned()).filter(|text| text != "null"),
        trace_id: line.trace_id,
        correlation_id: line.correlation_id,
        causation_id: line.causation_id,
        created_at,
    };
    event.check().map_err(|reason| format!("event {event_id}: {reason}"))?;
    Ok(Sample { event, position: line.global_position })
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| {
        format!(
            "`created_at` is not a time like 2026-01-31T12:00:00Z (RFC 3339): `{}`",
            limits::excerpt(text)
        )
    })
}

/// The error in terms of the log's fields: serde names Rust's types and no field.
fn explain(text: &str, purpose: Purpose, error: &serde_json::Error) -> String {
    let message = error.to_string();
    let what = message.rsplit_once(" at line ").map_or(message.as_str(), |(what, _)| what);
    let column = error.column();
    match error.classify() {
        Category::Eof => {
            format!("the JSON ends too early, at column {column}: an event has to stand on one line")
        }
        Category::Data => misfit::find(text, purpose).unwrap_or_else(|| format!("{what} (column {column})")),
        Category::Syntax | Category::Io => format!("not valid JSON: {what} at column {column}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An event with these fields instead of, or beside, the usual ones.
    fn event(changes: serde_json::Value) -> String {
        let mut event = serde_json::json!({
            "bounded_context": "Sales", "aggregate_type": "Order", "aggregate_id": "order-1",
            "event_id": "00000000-0000-0000-0000-000000000001", "event_type": "OrderPlaced", "payload": {},
        });
        let fields = event.as_object_mut().unwrap();
        for (field, value) in changes.as_object().unwrap() {
            fields.insert(field.clone(), value.clone());
        }
        event.to_string()
    }

    #[test]
    fn every_field_is_read_and_the_payload_is_kept_byte_for_byte() {
        let parsed = parse(
            r#"{"bounded_context":"Sales","aggregate_type":"Order","aggregate_id":"ö","aggregate_version":3,
            "event_id":"6B1E3F00-0000-0000-0000-00000000000A","event_type":"OrderPlaced","event_version":2,
            "payload":{ "b" : 1.50, "a" : [ ] },"metadata":{"k":1},"trace_id":"t","correlation_id":"c",
            "causation_id":"u","created_at":"2026-01-31T13:00:00.000000001+01:00","global_position":7}"#,
        )
        .unwrap();
        assert_eq!(parsed.payload, br#"{ "b" : 1.50, "a" : [ ] }"#);
        assert_eq!((parsed.aggregate_version, parsed.event_version), (Some(3), 2));
        assert_eq!(parsed.event_id.to_string(), "6b1e3f00-0000-0000-0000-00000000000a");
        assert_eq!(parsed.metadata.as_deref(), Some(r#"{"k":1}"#));
        assert_eq!(parsed.created_at, Timestamp::new(1_769_860_800, 1));
        assert_eq!(parsed.trace_id.as_deref(), Some("t"));
    }

    #[test]
    fn what_may_be_left_out_may_also_be_null() {
        let optional = serde_json::json!({
            "aggregate_version": null, "event_version": null, "metadata": null, "trace_id": null,
            "correlation_id": null, "causation_id": null, "created_at": null, "global_position": null,
        });
        assert_eq!(parse(&event(optional)), parse(&event(serde_json::json!({}))));
        assert_eq!(parse(&event(serde_json::json!({"payload": null}))).unwrap().payload, b"null");
        assert!(parse(&event(serde_json::json!({"event_id": null}))).unwrap_err().contains("`event_id`"));
    }

    #[test]
    fn values_that_only_look_odd_are_taken() {
        let path = serde_json::json!({"metadata": {"path": r"C:\u0000"}});
        assert_eq!(parse(&event(path)).unwrap().metadata.as_deref(), Some(r#"{"path":"C:\\u0000"}"#));
        let payload = event(serde_json::json!({"payload": {"nul": "\0"}}));
        assert_eq!(parse(&payload).unwrap().payload, br#"{"nul":"\u0000"}"#);
        for (text, seconds) in [
            ("1969-12-31T23:59:59Z", -1),
            ("0001-01-01T00:00:00Z", -62_135_596_800),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
            ("+294276-12-31T23:59:59Z", 9_224_318_015_999),
        ] {
            let parsed = parse(&event(serde_json::json!({"created_at": text}))).unwrap();
            assert_eq!(parsed.created_at, Timestamp::new(seconds, 0), "{text}");
        }
    }

    #[test]
    fn an_error_names_the_field_and_what_it_takes() {
        let changed = |field: &str, value: serde_json::Value| event(serde_json::json!({ field: value }));
        for (text, expected) in [
            (
                r#"{"bounded_context":"#.to_owned(),
                "the JSON ends too early, at column 19: an event has to stand on one line",
            ),
            ("hello".to_owned(), "not valid JSON: expected value at column 1"),
            ("[1]".to_owned(), "an event is a JSON object, not an array"),
            ("\"x\"".to_owned(), "an event is a JSON object, not a string"),
            (
                r#"{"bounded_context":"S","event_type":"T"}"#.to_owned(),
                "missing: `aggregate_type`, `aggregate_id`, `event_id`, `payload`",
            ),
            (changed("aggregateid", "x".into()), "unknown field `aggregateid`; did you mean `aggregate_id`?"),
            (
                changed("zzz", 1.into()),
                "unknown field `zzz`; `kennel append --help` lists the fields; fields of your own belong in `payload` or `metadata`",
            ),
            (
                changed("aggregate_version", "x".into()),
                "`aggregate_version` takes a whole number, not a string",
            ),
            (changed("aggregate_version", (-1).into()), "`aggregate_version` takes a whole number, not -1"),
            (changed("aggregate_version", 0.into()), "`aggregate_version` counts from 1"),
            (
                changed("event_version", 5_000_000_000_u64.into()),
                "`event_version` takes a whole number up to 4294967295, not 5000000000",
            ),
            (changed("event_type", "".into()), "`event_type` is empty"),
            (changed("trace_id", 3.into()), "`trace_id` takes text, not 3"),
            (changed("event_id", "7".into()), "`event_id` is not a UUID: `7`"),
            (
                changed("created_at", "yesterday".into()),
                "`created_at` is not a time like 2026-01-31T12:00:00Z (RFC 3339): `yesterday`",
            ),
            (
                changed("created_at", "+294277-01-01T00:00:00Z".into()),
                "event 00000000-0000-0000-0000-000000000001: created_at +294277-01-01T00:00:00Z is no time that databases hold: they begin at -4713-11-24T00:00:00Z and end at +294276-12-31T23:59:59.999999999Z",
            ),
            (
                event(serde_json::json!({})).replacen("{}", r#""\ud800""#, 1),
                r"event 00000000-0000-0000-0000-000000000001: `payload` contains half of a surrogate pair (`\ud800`), which is no character",
            ),
            (
                event(serde_json::json!({})).replacen("{}", "1e400000", 1),
                "event 00000000-0000-0000-0000-000000000001: `payload` contains the number `1e400000`; databases hold up to 131,072 digits before and 16,383 behind the decimal point",
            ),
            (
                changed("metadata", serde_json::json!({"a": "\0"})),
                r"event 00000000-0000-0000-0000-000000000001: metadata contains the character NUL (\u0000), which databases cannot hold in JSON",
            ),
            (
                changed("trace_id", "x".repeat(9000).into()),
                "event 00000000-0000-0000-0000-000000000001: trace_id has 9000 bytes; at most 2560 are allowed",
            ),
            (
                event(serde_json::json!({})).replacen('{', r#"{"trace_id":"a","trace_id":"b","#, 1),
                "duplicate field `trace_id` (column 26)",
            ),
        ] {
            assert_eq!(parse(&text).unwrap_err(), expected, "{text}");
        }
    }

    #[test]
    fn events_of_tests_may_have_positions_and_payloads_that_are_no_json() {
        let binary = |changes: serde_json::Value| {
            let mut event: serde_json::Value = serde_json::from_str(&event(changes)).unwrap();
            event.as_object_mut().unwrap().remove("payload");
            event.to_string()
        };
        let bytes = binary(serde_json::json!({"payload_base64": "/wA=", "global_position": 7}));
        let Sample { event: parsed, position } = parse_sample(&bytes).unwrap();
        assert_eq!((parsed.payload, position), (vec![255, 0], Some(7)));
        let none =
            parse_sample(&event(serde_json::json!({"global_position": null, "payload": null}))).unwrap();
        assert_eq!((none.event.payload, none.position), (b"null".to_vec(), None));
        for (text, expected) in [
            (binary(serde_json::json!({})), "missing: `payload`"),
            (
                event(serde_json::json!({"payload_base64": ""})),
                "it has both `payload` and `payload_base64`: leave one of them out",
            ),
            (
                binary(serde_json::json!({"payload_base64": "/wA"})),
                "event 00000000-0000-0000-0000-000000000001: `payload_base64` is not base64: Invalid padding",
            ),
            (binary(serde_json::json!({"payload_base64": 1})), "`payload_base64` takes text, not 1"),
            (
                event(serde_json::json!({"zzz": 1})),
                "unknown field `zzz`; `kennel test --help` lists the fields; fields of your own belong in `payload` or `metadata`",
            ),
        ] {
            assert_eq!(parse_sample(&text).unwrap_err(), expected, "{text}");
        }
        let unknown = "unknown field `payload_base64`; did you mean `payload`?";
        assert_eq!(parse(&bytes).unwrap_err(), unknown);
        assert_eq!(parse(&event(serde_json::json!({"payload_base64": "/wA="}))).unwrap_err(), unknown);
    }
}
