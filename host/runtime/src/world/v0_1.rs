//! `kennel:projection@0.1.0`: the bindings, and the conversion between their types and core's.
//!
//! Events are lent: a payload is copied once, into the guest's memory.

use kennel_core::collection::{self, ColumnType};
use kennel_core::event;
use kennel_core::failure::FailureKind;
use kennel_core::port::LogLevel;
use kennel_core::projection;
use wasmtime::Store;
use wasmtime::component::{HasSelf, Linker};

use self::kennel::projection::{config, log, read_model, types};
use crate::sandbox::Sandbox;

pub(super) const VERSION: &str = "0.1.0";

/// The contract, as it is published.
pub(super) const WIT: &str = include_str!("../../../../wit/world.wit");

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "projection",
    imports: {
        "kennel:projection/read-model.get": async | trappable,
        "kennel:projection/read-model.get-many": async | trappable,
        "kennel:projection/read-model.scan": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    ownership: Borrowing { duplicate_if_necessary: true },
});

pub(super) fn link(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    Projection::add_to_linker::<Sandbox, HasSelf<Sandbox>>(linker, |sandbox| sandbox)
}

pub(super) async fn describe(
    exports: &Projection,
    store: &mut Store<Sandbox>,
) -> wasmtime::Result<projection::Descriptor> {
    exports.call_describe(store).await.map(descriptor)
}

pub(super) async fn handle(
    exports: &Projection,
    store: &mut Store<Sandbox>,
    event: &event::Event,
) -> wasmtime::Result<Result<(), (FailureKind, String)>> {
    let mut event_id: EventIdText = [0; 36];
    let handled = exports.call_handle(store, self::event(event, &mut event_id)).await?;
    Ok(handled.map_err(failure))
}

/// Room for an event id as text.
type EventIdText = [u8; 36];

/// The event as the guest's world has it; `event_id` is where its id becomes text.
fn event<'a>(event: &'a event::Event, event_id: &'a mut EventIdText) -> Event<'a> {
    Event {
        position: event.position.get(),
        bounded_context: &event.bounded_context,
        aggregate_type: &event.aggregate_type,
        aggregate_id: &event.aggregate_id,
        aggregate_version: event.aggregate_version,
        event_id: event.event_id.as_hyphenated().encode_lower(event_id),
        event_type: &event.event_type,
        event_version: event.event_version,
        payload: match &event.payload {
            event::Payload::Json(text) => types::Payload::Json(text),
            event::Payload::Binary(bytes) => types::Payload::Binary(bytes),
        },
        metadata: event.metadata.as_deref(),
        trace_id: event.trace_id.as_deref(),
        correlation_id: event.correlation_id.as_deref(),
        causation_id: event.causation_id.as_deref(),
        created_at: types::Timestamp {
            seconds: event.created_at.seconds(),
            nanoseconds: event.created_at.nanoseconds(),
        },
    }
}

fn descriptor(descriptor: Descriptor) -> projection::Descriptor {
    let types::Scope { bounded_contexts, aggregate_types, event_types } = descriptor.scope;
    projection::Descriptor {
        name: descriptor.name,
        version: descriptor.version,
        scope: projection::Scope { bounded_contexts, aggregate_types, event_types },
        partitioning: match descriptor.partitioning {
            types::Partitioning::ByAggregate => projection::Partitioning::ByAggregate,
            types::Partitioning::Single => projection::Partitioning::Single,
        },
        collections: descriptor.collections.into_iter().map(collection).collect(),
    }
}

fn collection(declared: types::Collection) -> collection::Collection {
    let columns = declared.columns.into_iter().map(|column| collection::Column {
        name: column.name,
        path: column.path,
        data_type: match column.data_type {
            types::ColumnType::Text => ColumnType::Text,
            types::ColumnType::Integer => ColumnType::Integer,
            types::ColumnType::Decimal => ColumnType::Decimal,
            types::ColumnType::Boolean => ColumnType::Boolean,
            types::ColumnType::Timestamp => ColumnType::Timestamp,
            types::ColumnType::Json => ColumnType::Json,
        },
    });
    let indexes = declared.indexes.into_iter();
    let indexes = indexes.map(|index| collection::Index { columns: index.columns, unique: index.unique });
    collection::Collection { name: declared.name, columns: columns.collect(), indexes: indexes.collect() }
}

fn failure(failure: Failure) -> (FailureKind, String) {
    match failure {
        Failure::Retry(reason) => (FailureKind::Retry, reason),
        Failure::Reject(reason) => (FailureKind::Reject, reason),
    }
}

impl types::Host for Sandbox {}

impl read_model::Host for Sandbox {
    async fn get(&mut self, collection: String, key: String) -> wasmtime::Result<Option<String>> {
        self.capabilities.read_model.get(&mut self.call, &collection, &key).await
    }

    async fn get_many(
        &mut self,
        collection: String,
        keys: Vec<String>,
    ) -> wasmtime::Result<Vec<Option<String>>> {
        self.capabilities.read_model.get_many(&mut self.call, &collection, &keys).await
    }

    fn put(&mut self, collection: String, key: String, document: String) -> wasmtime::Result<()> {
        self.capabilities.read_model.put(&mut self.call, &collection, &key, document)
    }

    fn delete(&mut self, collection: String, key: String) -> wasmtime::Result<()> {
        self.capabilities.read_model.delete(&mut self.call, &collection, &key)
    }

    async fn scan(
        &mut self,
        collection: String,
        after: Option<String>,
        prefix: String,
        limit: u32,
    ) -> wasmtime::Result<Vec<(String, String)>> {
        self.capabilities.read_model.scan(&mut self.call, &collection, after.as_deref(), &prefix, limit).await
    }

    fn increment(&mut self, collection: String, key: String, field: String, by: i64) -> wasmtime::Result<()> {
        self.capabilities.read_model.increment(&mut self.call, &collection, &key, &field, by)
    }
}

impl log::Host for Sandbox {
    fn log(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Debug => LogLevel::Debug,
            log::Level::Info => LogLevel::Info,
            log::Level::Warn => LogLevel::Warn,
            log::Level::Error => LogLevel::Error,
        };
        self.capabilities.log.line(level, &message);
        Ok(())
    }
}

impl config::Host for Sandbox {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        self.capabilities.config.get(&mut self.call, &key)
    }
}
