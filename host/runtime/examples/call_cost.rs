//! What one handler call costs:
//! `cargo run --release -p kennel-runtime --example call_cost -- [FILE.wasm [EVENT-TYPE [PAYLOAD]]]`.
//! Without a file it measures a guest that does nothing: the price of the crossing alone.
//!
//! The host side keeps documents in a map, so that only the guest and the crossing are measured.
#![expect(clippy::print_stdout, reason = "a measurement is printed")]

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use kennel_core::event::{Event, Payload};
use kennel_core::port::{CallFailure, GuestEnv, HostError, LogLevel, Runtime};
use kennel_core::position::Position;
use kennel_runtime::{RuntimeOptions, WasmRuntime};
use tokio::time::Instant;
use uuid::Uuid;

const CALLS: u64 = 200_000;
const INSTANCES: u32 = 5_000;

#[derive(Default)]
struct Documents(Mutex<HashMap<(String, String), Arc<str>>>);

impl Documents {
    fn with<T>(&self, act: impl FnOnce(&mut HashMap<(String, String), Arc<str>>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl GuestEnv for Documents {
    async fn get(&self, collection: &str, key: &str) -> Result<Option<Arc<str>>, HostError> {
        Ok(self.with(|documents| documents.get(&(collection.to_owned(), key.to_owned())).cloned()))
    }

    async fn get_many(&self, collection: &str, keys: &[String]) -> Result<Vec<Option<Arc<str>>>, HostError> {
        let find =
            |key: &String| self.with(|found| found.get(&(collection.to_owned(), key.clone())).cloned());
        Ok(keys.iter().map(find).collect())
    }

    async fn scan(
        &self,
        _: &str,
        _: Option<&str>,
        _: &str,
        _: u32,
    ) -> Result<Vec<(String, Arc<str>)>, HostError> {
        Ok(Vec::new())
    }

    fn put(&self, collection: &str, key: &str, document: String) -> Result<(), HostError> {
        self.with(|documents| documents.insert((collection.to_owned(), key.to_owned()), document.into()));
        Ok(())
    }

    fn delete(&self, collection: &str, key: &str) -> Result<(), HostError> {
        self.with(|documents| documents.remove(&(collection.to_owned(), key.to_owned())));
        Ok(())
    }

    fn increment(&self, _: &str, _: &str, _: &str, _: i64) -> Result<(), HostError> {
        Ok(())
    }

    fn config(&self, _: &str) -> Option<String> {
        None
    }

    fn log(&self, _: LogLevel, _: &str) {}
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let bytes = match std::env::args().nth(1) {
        Some(file) => std::fs::read(file)?,
        None => trivial()?,
    };
    let event_type = std::env::args().nth(2).unwrap_or_else(|| "OrderPlaced".to_owned());
    let payload = std::env::args().nth(3).unwrap_or_else(|| "{}".to_owned());
    let runtime = WasmRuntime::new(RuntimeOptions::default())?;
    let started = Instant::now();
    let component = runtime.prepare(bytes.into()).await?;
    println!("prepare      {:?}", started.elapsed());

    let env: Arc<Documents> = Arc::default();
    let started = Instant::now();
    for _ in 0..INSTANCES {
        drop(component.instantiate(env.clone()).await.map_err(describe)?);
    }
    println!("instantiate  {:?}", started.elapsed() / INSTANCES);

    let mut instance = component.instantiate(env.clone()).await.map_err(describe)?;
    let mut event = event(event_type, payload);
    let started = Instant::now();
    for position in 1..=CALLS {
        event.position = Position::new(position);
        instance.handle(&event, position).await.map_err(describe)?;
    }
    let each = started.elapsed().as_nanos() / u128::from(CALLS);
    println!("handle       {each} ns a call, memory peak {} KiB", instance.memory_peak() / 1024);
    Ok(())
}

/// A guest whose `handle` returns at once; its memory for arguments is used anew in every call.
fn trivial() -> Result<Vec<u8>, Box<dyn Error>> {
    let mut module = wat::parse_str(
        r#"(module
            (memory (export "memory") 2)
            (global $heap (mut i32) (i32.const 4096))
            (data (i32.const 1024) "trivial1.0")
            (data (i32.const 512) "\00\04\00\00\07\00\00\00\07\04\00\00\03\00\00\00")
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (global.set $heap (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
                (global.get $heap)
                (global.set $heap (i32.add (global.get $heap) (local.get 3))))
            (func (export "describe") (result i32) (i32.const 512))
            (func (export "handle") (param i32) (result i32)
                (global.set $heap (i32.const 4096))
                (i32.const 256)))"#,
    )?;
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve.push_source("world.wit", include_str!("../../../wit/world.wit"))?;
    let world = resolve.select_world(&[package], Some("projection"))?;
    let encoding = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &resolve, world, encoding)?;
    Ok(module)
}

fn event(event_type: String, payload: String) -> Event {
    Event {
        position: Position::START,
        bounded_context: "Sales".to_owned(),
        aggregate_type: "Order".to_owned(),
        aggregate_id: "order-000001".to_owned(),
        aggregate_version: 1,
        event_id: Uuid::from_u128(1),
        event_type,
        event_version: 1,
        payload: Payload::Json(payload),
        metadata: None,
        trace_id: None,
        correlation_id: Some("0191e0b8-0000-7000-8000-000000000001".to_owned()),
        causation_id: None,
        created_at: kennel_core::timestamp::Timestamp::from_nanoseconds(1_700_000_000_000_000_000),
    }
}

fn describe(failure: CallFailure) -> String {
    match failure {
        CallFailure::Guest { kind, message } => format!("{kind}: {message}"),
        CallFailure::Host(error) => error.to_string(),
        CallFailure::Crowded => "crowded".to_owned(),
    }
}
