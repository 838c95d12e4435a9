//! The conformance guest of the Rust SDK: does what the events of `guest-sdk/conformance` say, whose README has the
//! table of their types.
//!
//! Documents that the events bring along are `RawValue`s, which keep every digit and the order of keys: `Value` sorts
//! keys and rounds long decimals.

mod arrival;
mod misdeed;

use kennel_guest::prelude::*;
use kennel_guest::{RawValue, serde_json};
use serde::{Deserialize, Serialize};

/// The projection.
#[derive(Debug, Default)]
pub struct Conformance;

/// Any JSON, digit by digit.
type Document = Box<RawValue>;

#[derive(Deserialize)]
struct Put {
    collection: String,
    key: String,
    document: Document,
}

#[derive(Deserialize)]
struct PutText {
    collection: String,
    key: String,
    text: String,
}

#[derive(Deserialize)]
struct Copy {
    collection: String,
    key: String,
    to: String,
}

#[derive(Deserialize)]
struct Collect {
    collection: String,
    keys: Vec<String>,
    into: String,
}

#[derive(Deserialize)]
struct Scan {
    collection: String,
    after: Option<String>,
    prefix: String,
    limit: u32,
    into: String,
}

/// A document of the collection `scans`.
#[derive(Serialize)]
struct Scanned {
    keys: Vec<String>,
    documents: Vec<Document>,
}

#[derive(Deserialize)]
struct Delete {
    collection: String,
    key: String,
}

#[derive(Deserialize)]
struct Increment {
    collection: String,
    key: String,
    field: String,
    by: i64,
}

#[derive(Deserialize)]
struct Count {
    key: String,
    by: i64,
}

/// A document of the collection `counts`.
#[derive(Default, Serialize, Deserialize)]
struct Counted {
    count: i64,
    last: String,
}

#[derive(Deserialize)]
struct Setting {
    key: String,
    into: String,
}

#[derive(Deserialize)]
struct Log {
    level: Level,
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

#[derive(Deserialize)]
struct Message {
    message: String,
}

#[derive(Serialize, Deserialize)]
struct Typed {
    count: i64,
    name: String,
    tags: Vec<String>,
}

#[derive(Deserialize)]
struct Chance {
    into: String,
}

#[derive(Deserialize)]
struct Steps {
    steps: Vec<Document>,
}

#[derive(Deserialize)]
struct Step {
    r#type: String,
}

impl Projection for Conformance {
    fn descriptor(&self) -> Descriptor {
        Descriptor::new("conformance", env!("CARGO_PKG_VERSION"))
    }

    fn handle(&self, event: &Event, model: &mut dyn ReadModel) -> Result<(), Failure> {
        let documents = ["Put", "PutText", "Copy", "Collect", "Scan", "Delete", "Increment", "Count"];
        match event.event_type.as_str() {
            "Arrived" => arrival::record(event, model),
            "Setting" => setting(&event.json()?, model),
            "Chance" => chance(event, model),
            "Print" => {
                // There is no standard output on this target.
                log::info(event.json::<Message>()?.message);
                Ok(())
            }
            "Loop" | "Allocate" | "Recurse" => misdeed::commit(event, model),
            "Steps" => {
                let Steps { steps } = event.json()?;
                steps.iter().try_for_each(|step| {
                    let Step { r#type } = decode(step)?;
                    act(&r#type, step, event, model)
                })
            }
            "Log" | "Reject" | "Retry" | "Throw" | "Typed" => {
                act(&event.event_type, event.json()?, event, model)
            }
            known if documents.contains(&known) => act(known, event.json()?, event, model),
            other => {
                model.increment("others", other, "count", 1);
                Ok(())
            }
        }
    }
}

export_projection!(Conformance);

/// Does what an event, or one step of it, says.
fn act(
    event_type: &str,
    payload: &RawValue,
    event: &Event,
    model: &mut dyn ReadModel,
) -> Result<(), Failure> {
    match event_type {
        "Put" => {
            let Put { collection, key, document } = decode(payload)?;
            model.put(&collection, &key, &document)
        }
        "PutText" => {
            let PutText { collection, key, text } = decode(payload)?;
            model.put_text(&collection, &key, &text);
            Ok(())
        }
        "Copy" => copy(&decode(payload)?, model),
        "Collect" => {
            let Collect { collection, keys, into } = decode(payload)?;
            let documents = model.get_many::<Document>(&collection, &keys)?;
            model.put("collected", &into, &documents)
        }
        "Scan" => scan(&decode(payload)?, model),
        "Delete" => {
            let Delete { collection, key } = decode(payload)?;
            model.delete(&collection, &key);
            Ok(())
        }
        "Increment" => {
            let Increment { collection, key, field, by } = decode(payload)?;
            model.increment(&collection, &key, &field, by);
            Ok(())
        }
        "Count" => count(&decode(payload)?, event, model),
        "Typed" => model.put("typed", &event.aggregate_id, &decode::<Typed>(payload)?),
        "Log" => {
            write_to_log(&decode(payload)?);
            Ok(())
        }
        "Reject" | "Retry" | "Throw" => {
            model.put("attempts", &event.event_id, &true)?;
            let Message { message } = decode(payload)?;
            match event_type {
                "Reject" => Err(Failure::reject(message)),
                "Retry" => Err(Failure::retry(message)),
                _ => panic!("{message}"),
            }
        }
        other => Err(Failure::reject(format!("{other} is no step"))),
    }
}

fn decode<'payload, T: Deserialize<'payload>>(payload: &'payload RawValue) -> Result<T, Failure> {
    Ok(serde_json::from_str(payload.get())?)
}

fn copy(asked: &Copy, model: &mut dyn ReadModel) -> Result<(), Failure> {
    match model.get::<Document>(&asked.collection, &asked.key)? {
        Some(document) => model.put(&asked.collection, &asked.to, &document),
        None => Err(Failure::reject("there is no document")),
    }
}

fn scan(asked: &Scan, model: &mut dyn ReadModel) -> Result<(), Failure> {
    let found =
        model.scan::<Document>(&asked.collection, asked.after.as_deref(), &asked.prefix, asked.limit)?;
    let (keys, documents) = found.into_iter().unzip();
    model.put("scans", &asked.into, &Scanned { keys, documents })
}

fn count(asked: &Count, event: &Event, model: &mut dyn ReadModel) -> Result<(), Failure> {
    model.upsert("counts", &asked.key, |counted: &mut Counted| {
        counted.count = counted.count.checked_add(asked.by).ok_or_else(|| {
            Failure::reject(format!("{} and {} are more than can be counted", counted.count, asked.by))
        })?;
        counted.last.clone_from(&event.event_id);
        Ok(())
    })?
}

fn setting(asked: &Setting, model: &mut dyn ReadModel) -> Result<(), Failure> {
    model.put("settings", &asked.into, &json!({"value": config::get(&asked.key)}))
}

/// There is neither a clock nor chance: a projection in Rust uses the event's time.
fn chance(event: &Event, model: &mut dyn ReadModel) -> Result<(), Failure> {
    let Chance { into } = event.json()?;
    let now = event.created_at.to_rfc3339();
    model.put("chance", &into, &json!({"now": now, "random": ""}))
}

fn write_to_log(line: &Log) {
    match line.level {
        Level::Debug => log::debug(&line.message),
        Level::Info => log::info(&line.message),
        Level::Warn => log::warn(&line.message),
        Level::Error => log::error(&line.message),
    }
}
