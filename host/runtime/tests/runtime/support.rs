//! Small guests built on the spot, and a host side that writes down what they do.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use kennel_core::change::ChangeError;
use kennel_core::event::{Event, Payload};
use kennel_core::port::{
    CallFailure, Component, GuestEnv, HostError, Instance, LogLevel, Runtime, StoreError,
};
use kennel_core::position::Position;
use kennel_runtime::{RuntimeOptions, WasmRuntime};
use uuid::Uuid;
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve, WorldId};

pub(crate) const WIT: &str = include_str!("../../../../wit/world.wit");

/// A runtime with a small pool and the limits of production.
pub(crate) fn runtime() -> WasmRuntime {
    runtime_with(|_| {})
}

pub(crate) fn runtime_with(change: impl FnOnce(&mut RuntimeOptions)) -> WasmRuntime {
    let mut options = RuntimeOptions { instances_max: 4, ..RuntimeOptions::default() };
    change(&mut options);
    WasmRuntime::new(options).unwrap()
}

pub(crate) async fn prepare(runtime: &WasmRuntime, bytes: Vec<u8>) -> Result<Arc<dyn Component>, String> {
    runtime.prepare(bytes.into()).await.map_err(|error| error.message)
}

/// A world and its package, from WIT text.
pub(crate) fn world(wit: &str) -> (Resolve, WorldId) {
    let mut resolve = Resolve::default();
    let package = resolve.push_source("test.wit", wit).unwrap();
    let world = resolve.select_world(&[package], None).unwrap();
    (resolve, world)
}

/// A core module that fits a world and does nothing sensible.
pub(crate) fn dummy_core(wit: &str) -> Vec<u8> {
    let (resolve, world) = world(wit);
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    module
}

/// The same, as a component.
pub(crate) fn dummy(wit: &str) -> Vec<u8> {
    wrap(&dummy_core(wit))
}

/// The same, with functions that are async where the world's are.
pub(crate) fn dummy_async(wit: &str) -> Vec<u8> {
    let (resolve, world) = world(wit);
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::AsyncCallback));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    wrap(&module)
}

pub(crate) fn wrap(module: &[u8]) -> Vec<u8> {
    ComponentEncoder::default().validate(true).module(module).unwrap().encode().unwrap()
}

/// A core module of the real world whose `handle` runs `body`, in which `$event` points to the event.
/// `extra` is put beside it. To return an error, write the result at 256.
pub(crate) fn guest_core(body: &str, extra: &str) -> Vec<u8> {
    guest_core_of(WIT, "", body, extra)
}

/// The same for a world with more `imports`.
pub(crate) fn guest_core_of(wit: &str, imports: &str, body: &str, extra: &str) -> Vec<u8> {
    let (resolve, world) = world(wit);
    let mut module = plain_core(imports, body, extra);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    module
}

/// The same without a word about its world.
pub(crate) fn plain_core(imports: &str, body: &str, extra: &str) -> Vec<u8> {
    let wat = format!(
        r#"(module
            {imports}
            (import "kennel:projection/log@0.1.0" "log" (func $log (param i32 i32 i32)))
            (import "kennel:projection/read-model@0.1.0" "put" (func $put (param i32 i32 i32 i32 i32 i32)))
            (import "kennel:projection/read-model@0.1.0" "get" (func $get (param i32 i32 i32 i32 i32)))
            (memory (export "memory") 2)
            (global $heap (mut i32) (i32.const 8192))
            (data (i32.const 1024) "tiny1.0collectionkey{{\"a\":1}}panicked: boom")
            ;; The descriptor: name, version, three empty lists, partitioning, no collections.
            (data (i32.const 512) "\00\04\00\00\04\00\00\00\04\04\00\00\03\00\00\00")
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (local $at i32) (local $pages i32)
                (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
                (global.set $heap (i32.add (local.get $at) (local.get 3)))
                (local.set $pages (i32.shr_u (i32.add (global.get $heap) (i32.const 65535)) (i32.const 16)))
                (if (i32.gt_u (local.get $pages) (memory.size))
                    (then (drop (memory.grow (i32.sub (local.get $pages) (memory.size))))))
                (local.get $at))
            (func (export "describe") (result i32) (i32.const 512))
            (func $handle (export "handle") (param $event i32) (result i32)
                (local $i i32)
                {body}
                (global.set $heap (i32.const 8192))
                (i32.const 256))
            {extra})"#
    );
    wat::parse_str(wat).unwrap()
}

/// The same, as a component.
pub(crate) fn guest(body: &str) -> Vec<u8> {
    wrap(&guest_core(body, ""))
}

pub(crate) fn event(position: u64) -> Event {
    Event {
        position: Position::new(position),
        bounded_context: "Sales".to_owned(),
        aggregate_type: "Order".to_owned(),
        aggregate_id: "order-1".to_owned(),
        aggregate_version: position,
        event_id: Uuid::from_u128(u128::from(position)),
        event_type: "OrderPlaced".to_owned(),
        event_version: 1,
        payload: Payload::Json(r#"{"customer":"c-1","total_cents":1200}"#.to_owned()),
        metadata: None,
        trace_id: None,
        correlation_id: Some("corr".to_owned()),
        causation_id: None,
        created_at: kennel_core::timestamp::Timestamp::from_nanoseconds(1_700_000_000_123_456_789),
    }
}

/// A host side that keeps documents and log lines in memory.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) documents: Mutex<BTreeMap<(String, String), Arc<str>>>,
    pub(crate) lines: Mutex<Vec<(LogLevel, String)>>,
    /// The store is gone.
    pub(crate) broken: bool,
    /// The most memory that there is for an instance, in bytes; none: as much as it likes.
    pub(crate) admits: Option<usize>,
}

impl Recorder {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().iter().map(|(level, line)| format!("{level:?} {line}")).collect()
    }

    fn check(&self) -> Result<(), HostError> {
        match self.broken {
            true => Err(StoreError::Invalid { message: "the store is gone".to_owned() }.into()),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl GuestEnv for Recorder {
    async fn get(&self, collection: &str, key: &str) -> Result<Option<Arc<str>>, HostError> {
        self.check()?;
        Ok(self.documents.lock().unwrap().get(&(collection.to_owned(), key.to_owned())).cloned())
    }

    async fn get_many(&self, collection: &str, keys: &[String]) -> Result<Vec<Option<Arc<str>>>, HostError> {
        let documents = self.documents.lock().unwrap();
        Ok(keys.iter().map(|key| documents.get(&(collection.to_owned(), key.clone())).cloned()).collect())
    }

    async fn scan(
        &self,
        collection: &str,
        _: Option<&str>,
        prefix: &str,
        limit: u32,
    ) -> Result<Vec<(String, Arc<str>)>, HostError> {
        let documents = self.documents.lock().unwrap();
        let found = documents.iter().filter(|((c, key), _)| c == collection && key.starts_with(prefix));
        Ok(found.take(limit as usize).map(|((_, key), document)| (key.clone(), document.clone())).collect())
    }

    fn put(&self, collection: &str, key: &str, document: String) -> Result<(), HostError> {
        self.check()?;
        if !kennel_core::event::is_json(&document) {
            let (collection, key) = (collection.to_owned(), key.to_owned());
            return Err(ChangeError::NotJson { collection, key, reason: "expected value".to_owned() }.into());
        }
        self.documents.lock().unwrap().insert((collection.to_owned(), key.to_owned()), document.into());
        Ok(())
    }

    fn delete(&self, collection: &str, key: &str) -> Result<(), HostError> {
        self.documents.lock().unwrap().remove(&(collection.to_owned(), key.to_owned()));
        Ok(())
    }

    fn increment(&self, collection: &str, key: &str, field: &str, by: i64) -> Result<(), HostError> {
        let mut documents = self.documents.lock().unwrap();
        let at = (collection.to_owned(), key.to_owned());
        let amounts = BTreeMap::from([(field.to_owned(), by)]);
        let sum = kennel_core::change::add(collection, key, documents.get(&at).map(|d| &**d), &amounts)?;
        documents.insert(at, sum.into());
        Ok(())
    }

    fn config(&self, key: &str) -> Option<String> {
        (key == "known").then(|| "value".to_owned())
    }

    fn admit_memory(&self, bytes: usize) -> bool {
        self.admits.is_none_or(|most| bytes <= most)
    }

    fn log(&self, level: LogLevel, message: &str) {
        self.lines.lock().unwrap().push((level, message.to_owned()));
    }
}

/// One instance of a guest, ready to be called.
pub(crate) async fn start(runtime: &WasmRuntime, bytes: Vec<u8>) -> (Box<dyn Instance>, Arc<Recorder>) {
    let component = prepare(runtime, bytes).await.unwrap();
    let env = Arc::new(Recorder::default());
    let instance = component.instantiate(env.clone()).await.map_err(describe).unwrap();
    (instance, env)
}

pub(crate) fn describe(failure: CallFailure) -> String {
    match failure {
        CallFailure::Guest { kind, message } => format!("{kind}: {message}"),
        CallFailure::Host(error) => format!("host: {error}"),
        CallFailure::Crowded => "crowded".to_owned(),
    }
}

/// What one call of a fresh instance ends with.
pub(crate) async fn outcome(runtime: &WasmRuntime, bytes: Vec<u8>) -> String {
    let (mut instance, _env) = start(runtime, bytes).await;
    match instance.handle(&event(1), 1).await {
        Ok(()) => "ok".to_owned(),
        Err(failure) => describe(failure),
    }
}
