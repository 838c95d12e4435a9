//! Says which field of a line is wrong, and how. Only asked when a line is JSON but not an event, so it may
//! take its time: it reads the line again.

use serde_json::Value;

use super::Purpose;
use crate::nearest::nearest;

/// What a field takes.
#[derive(Clone, Copy)]
enum Takes {
    Text,
    Whole(u64),
    Json,
}

/// Name, what it takes, and whether it may be left out, in the order of the log's columns.
const FIELDS: [(&str, Takes, bool); 15] = [
    ("bounded_context", Takes::Text, false),
    ("aggregate_type", Takes::Text, false),
    ("aggregate_id", Takes::Text, false),
    ("aggregate_version", Takes::Whole(u64::MAX), true),
    ("event_id", Takes::Text, false),
    ("event_type", Takes::Text, false),
    ("event_version", Takes::Whole(u32::MAX as u64), true),
    ("payload", Takes::Json, false),
    (BINARY, Takes::Text, true),
    ("metadata", Takes::Json, true),
    ("trace_id", Takes::Text, true),
    ("correlation_id", Takes::Text, true),
    ("causation_id", Takes::Text, true),
    ("created_at", Takes::Text, true),
    ("global_position", Takes::Whole(u64::MAX), true),
];

/// Bytes that are no JSON, in tests alone.
const BINARY: &str = "payload_base64";

/// The first thing that is wrong; `None` if it is nothing that this file knows of.
pub(super) fn find(text: &str, purpose: Purpose) -> Option<String> {
    let object = match serde_json::from_str(text).ok()? {
        Value::Object(object) => object,
        other => return Some(format!("an event is a JSON object, not {}", shown(&other))),
    };
    let in_test = purpose == Purpose::Test;
    let known: Vec<&str> =
        FIELDS.map(|(name, ..)| name).into_iter().filter(|name| in_test || *name != BINARY).collect();
    let command = if in_test { "test" } else { "append" };
    if let Some(stranger) = object.keys().find(|key| !known.contains(&key.as_str())) {
        let hint = nearest(stranger, &known).map_or_else(
            || {
                format!(
                    "`kennel {command} --help` lists the fields; fields of your own belong in `payload` or `metadata`"
                )
            },
            |near| format!("did you mean `{near}`?"),
        );
        return Some(format!("unknown field `{}`; {hint}", kennel_core::limits::excerpt(stranger)));
    }
    let missing: Vec<String> = FIELDS
        .iter()
        .filter(|(name, _, optional)| !optional && !object.contains_key(*name))
        .filter(|(name, ..)| !(in_test && *name == "payload" && object.contains_key(BINARY)))
        .map(|(name, ..)| format!("`{name}`"))
        .collect();
    if !missing.is_empty() {
        return Some(format!("missing: {}", missing.join(", ")));
    }
    FIELDS.iter().find_map(|(name, takes, optional)| {
        let value = object.get(*name)?;
        if fits(*takes, value) || (*optional && value.is_null()) {
            return None;
        }
        let takes = match takes {
            Takes::Text => "text".to_owned(),
            Takes::Whole(max) if value.as_u64() > Some(*max) => format!("a whole number up to {max}"),
            Takes::Whole(_) => "a whole number".to_owned(),
            Takes::Json => "any JSON".to_owned(),
        };
        Some(format!("`{name}` takes {takes}, not {}", shown(value)))
    })
}

fn fits(takes: Takes, value: &Value) -> bool {
    match takes {
        Takes::Text => value.is_string(),
        Takes::Whole(max) => value.as_u64().is_some_and(|number| number <= max),
        Takes::Json => true,
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
