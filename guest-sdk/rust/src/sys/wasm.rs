//! The conversion between the types of the generated bindings and this crate's.
//!
//! Strings and payloads are moved, never copied.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{self, PanicHookInfo};

use super::bindings;
use super::bindings::kennel::projection as host;
use crate::level::Level;
use crate::{
    Collection, ColumnType, Descriptor, Event, Failure, Partitioning, Payload, Projection, ReadModel,
    Timestamp,
};

/// The read model that the host offers.
struct HostReadModel;

impl ReadModel for HostReadModel {
    fn get_text(&mut self, collection: &str, key: &str) -> Option<String> {
        host::read_model::get(collection, key)
    }

    fn get_many_text(&mut self, collection: &str, keys: &[String]) -> Vec<Option<String>> {
        host::read_model::get_many(collection, keys)
    }

    fn put_text(&mut self, collection: &str, key: &str, document: &str) {
        host::read_model::put(collection, key, document);
    }

    fn delete(&mut self, collection: &str, key: &str) {
        host::read_model::delete(collection, key);
    }

    fn scan_text(
        &mut self,
        collection: &str,
        after: Option<&str>,
        prefix: &str,
        limit: u32,
    ) -> Vec<(String, String)> {
        host::read_model::scan(collection, after, prefix, limit)
    }

    fn increment(&mut self, collection: &str, key: &str, field: &str, by: i64) {
        host::read_model::increment(collection, key, field, by);
    }
}

/// Answers the export `describe`.
pub fn describe(projection: &impl Projection) -> bindings::Descriptor {
    let Descriptor {
        name,
        version,
        bounded_contexts,
        aggregate_types,
        event_types,
        partitioning,
        collections,
    } = projection.descriptor();
    bindings::Descriptor {
        name,
        version,
        scope: host::types::Scope { bounded_contexts, aggregate_types, event_types },
        partitioning: match partitioning {
            Partitioning::ByAggregate => host::types::Partitioning::ByAggregate,
            Partitioning::Single => host::types::Partitioning::Single,
        },
        collections: collections.into_iter().map(collection).collect(),
    }
}

fn collection(declared: Collection) -> host::types::Collection {
    let columns = declared.columns.into_iter().map(|column| host::types::Column {
        name: column.name,
        path: column.path,
        data_type: match column.data_type {
            ColumnType::Text => host::types::ColumnType::Text,
            ColumnType::Integer => host::types::ColumnType::Integer,
            ColumnType::Decimal => host::types::ColumnType::Decimal,
            ColumnType::Boolean => host::types::ColumnType::Boolean,
            ColumnType::Timestamp => host::types::ColumnType::Timestamp,
            ColumnType::Json => host::types::ColumnType::Json,
        },
    });
    let indexes = declared.indexes.into_iter();
    let indexes = indexes.map(|index| host::types::Index { columns: index.columns, unique: index.unique });
    host::types::Collection { name: declared.name, columns: columns.collect(), indexes: indexes.collect() }
}

/// Answers the export `handle`.
///
/// # Errors
///
/// What the projection says.
pub fn handle(projection: &impl Projection, event: bindings::Event) -> Result<(), bindings::Failure> {
    let event = Event {
        position: event.position,
        bounded_context: event.bounded_context,
        aggregate_type: event.aggregate_type,
        aggregate_id: event.aggregate_id,
        aggregate_version: event.aggregate_version,
        event_id: event.event_id,
        event_type: event.event_type,
        event_version: event.event_version,
        payload: match event.payload {
            host::types::Payload::Json(text) => Payload::Json(text),
            host::types::Payload::Binary(bytes) => Payload::Binary(bytes),
        },
        metadata: event.metadata,
        trace_id: event.trace_id,
        correlation_id: event.correlation_id,
        causation_id: event.causation_id,
        created_at: Timestamp {
            seconds: event.created_at.seconds,
            nanoseconds: event.created_at.nanoseconds,
        },
    };
    let handle = || projection.handle(&event, &mut HostReadModel);
    let answer = if cfg!(panic = "unwind") { caught(handle) } else { handle() };
    answer.map_err(|failure| match failure {
        Failure::Retry(reason) => bindings::Failure::Retry(reason),
        Failure::Reject(reason) => bindings::Failure::Reject(reason),
    })
}

/// The handler's answer, a panic included. It takes a standard library that unwinds, which Rust has none of for wasm: it is
/// built from its source (`-Zbuild-std`). Otherwise a panic ends in a trap.
fn caught(handle: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    // What the handler has left half done is undone by the host.
    let answer = panic::catch_unwind(panic::AssertUnwindSafe(handle));
    answer.unwrap_or_else(|_| Err(Failure::Reject(LAST_PANIC.take())))
}

thread_local! {
    /// What the hook has made of the last panic, if it is to be caught.
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

pub(crate) fn log(level: Level, message: &str) {
    let level = match level {
        Level::Debug => host::log::Level::Debug,
        Level::Info => host::log::Level::Info,
        Level::Warn => host::log::Level::Warn,
        Level::Error => host::log::Level::Error,
    };
    host::log::log(level, message);
}

pub(crate) fn setting(key: &str) -> Option<String> {
    host::config::get(key)
}

/// A panic ends in a trap, and a trap carries no message. The hook sends it ahead, by the log.
pub fn carry_panics_to_the_log() {
    panic::set_hook(Box::new(|panic: &PanicHookInfo<'_>| {
        let message = message_of(panic.payload());
        let line = match panic.location() {
            Some(location) => format!("panicked at {location}: {message}"),
            None => format!("panicked: {message}"),
        };
        log(Level::Error, &line);
        if cfg!(panic = "unwind") {
            LAST_PANIC.set(line);
        }
    }));
}

fn message_of(payload: &dyn Any) -> &str {
    if let Some(text) = payload.downcast_ref::<&str>() {
        text
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        "(a value that is not text)"
    }
}
