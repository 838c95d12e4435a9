//! What one handler call costs: `cargo run --release -p kennel-runtime --example call_cost -- FILE.wasm`.
//!
//! The host side keeps documents in a map, so that what is measured is the guest and the crossing.
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
    let file = std::env::args().nth(1).ok_or("usage: call_cost FILE.wasm [EVENT-TYPE [PAYLOAD]]")?;
    let event_type = std::env::args().nth(2).unwrap_or_else(|| "OrderPlaced".to_owned());
    let payload = std::env::args().nth(3).unwrap_or_else(|| "{}".to_owned());
    let runtime = WasmRuntime::new(RuntimeOptions::default())?;
    let started = Instant::now();
    let component = runtime.prepare(std::fs::read(&file)?.into()).await?;
    println!("prepare      {:?}", started.elapsed());

    let env: Arc<Documents> = Arc::default();
    let started = Instant::now();
    for _ in 0..INSTANCES {
        drop(component.instantiate(env.clone()).await.map_err(words)?);
    }
    println!("instantiate  {:?}", started.elapsed() / INSTANCES);

    let mut instance = component.instantiate(env.clone()).await.map_err(words)?;
    let mut event = event(event_type, payload);
    let started = Instant::now();
    for position in 1..=CALLS {
        event.position = Position::new(position);
        instance.handle(&event, position).await.map_err(words)?;
    }
    let each = started.elapsed().as_nanos() / u128::from(CALLS);
    println!("handle       {each} ns a call, memory peak {} KiB", instance.memory_peak() / 1024);
    Ok(())
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
        created_at: 1_700_000_000_000_000_000,
    }
}

fn words(failure: CallFailure) -> String {
    match failure {
        CallFailure::Guest { kind, message } => format!("{kind}: {message}"),
        CallFailure::Host(error) => error.to_string(),
    }
}
