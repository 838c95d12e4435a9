//! Three projections without wasm, written to be sensitive: each keeps what a skipped, doubled,
//! reordered or lost event would spoil. And a runtime that "compiles" them from their names.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use kennel_core::digest::Digest;
use kennel_core::event::Event;
use kennel_core::failure::FailureKind;
use kennel_core::port::{
    CallFailure, Component, ComponentError, Fault, GuestEnv, HostError, Instance, Runtime,
};
use kennel_core::projection::{Descriptor, Partitioning, Scope};
use kennel_test_support::guests::FakeComponent;
use kennel_test_support::samples;
use serde_json::{Value, json};
use uuid::Uuid;

use super::world::World;

/// Every event by id, and the last event of every aggregate.
pub(super) const AUDIT: &str = "audit";
/// Documents that all partitions share: read, changed and put back; deleted and made again; added to.
pub(super) const TOTALS: &str = "totals";
/// One worker at a time: a chain over everything in the order of the log.
pub(super) const LEDGER: &str = "ledger";

pub(super) const ALL: [&str; 3] = [AUDIT, TOTALS, LEDGER];

/// The types of events. Each projection but the first wants only some of them.
pub(super) const EVENT_TYPES: [&str; 4] = ["Opened", "Paid", "Noted", "Closed"];

/// An event after so many closes a lap in `totals`: its document is deleted.
pub(super) const LAP: u64 = 3;

pub(super) fn descriptor(name: &str) -> Descriptor {
    let (event_types, partitioning): (&[&str], _) = match name {
        TOTALS => (&["Opened", "Paid", "Noted"], Partitioning::ByAggregate),
        LEDGER => (&["Closed"], Partitioning::Single),
        _ => (&[], Partitioning::ByAggregate),
    };
    let event_types = event_types.iter().map(|&name| name.to_owned()).collect();
    let scope = Scope { event_types, ..Scope::default() };
    Descriptor { scope, partitioning, ..samples::descriptor(name) }
}

/// The version of every component that rejects some events, all of which have to be handled.
pub(super) const BROKEN: u64 = 9;
/// Amounts from here on are too much for it.
const TOO_MUCH: u64 = 97;

/// The bytes of a component that behaves like the others of its name, with another digest.
pub(super) fn code(name: &str, version: u64) -> Vec<u8> {
    format!("{name}@{version}").into_bytes()
}

/// The ledger's chain after one more event.
pub(super) fn link(chain: u64, position: u64) -> u64 {
    (chain.wrapping_mul(31) ^ position) & 0xffff_ffff
}

/// Makes components of names.
#[derive(Debug)]
pub(super) struct Guests {
    world: Arc<World>,
    /// How often each event has failed, by projection. Outside the processes: a guest that comes round
    /// after three failures does so wherever it runs.
    failures: Mutex<BTreeMap<(String, Uuid), u32>>,
}

impl Guests {
    pub(super) fn new(world: Arc<World>) -> Arc<Self> {
        Arc::new(Self { world, failures: Mutex::default() })
    }
}

/// The runtime of one process.
pub(super) struct Compiler(pub(super) Arc<Guests>);

#[async_trait]
impl Runtime for Compiler {
    async fn prepare(&self, bytes: Arc<[u8]>) -> Result<Arc<dyn Component>, ComponentError> {
        let world = &self.0.world;
        let work = world.up_to(world.weather.load);
        if !work.is_zero() {
            tokio::time::sleep(work).await;
        }
        let code = String::from_utf8_lossy(&bytes);
        if world.fault(world.weather.load_failure) {
            world.count("failed component loads");
            return Err(ComponentError {
                message: format!("{code} cannot be loaded today"),
                fault: Fault::Host,
            });
        }
        let (name, version) = code.split_once('@').unwrap_or_default();
        let broken = version == BROKEN.to_string();
        let (guests, name) = (Arc::clone(&self.0), name.to_owned());
        let component = FakeComponent::new(Digest::of(&bytes), descriptor(&name));
        Ok(Arc::new(component.with_instances(move |env| {
            Box::new(Running { guests: Arc::clone(&guests), name: name.clone(), broken, env })
        })))
    }
}

struct Running {
    guests: Arc<Guests>,
    /// That of the projection.
    name: String,
    broken: bool,
    env: Arc<dyn GuestEnv>,
}

#[async_trait]
impl Instance for Running {
    async fn handle(&mut self, event: &Event, _seed: u64) -> Result<(), CallFailure> {
        let world = &self.guests.world;
        let work = world.up_to(world.weather.call);
        if !work.is_zero() {
            tokio::time::sleep(work).await;
        }
        let handled = match self.name.as_str() {
            AUDIT => audit(&*self.env, event).await,
            TOTALS => totals(&*self.env, event).await,
            _ => ledger(&*self.env, event).await,
        };
        handled.map_err(|error| match error {
            HostError::Store(error) => CallFailure::Host(error),
            HostError::Invalid(rejected) => guest_failure(rejected.kind(), &rejected.to_string()),
            HostError::Crowded => CallFailure::Crowded,
        })?;
        // Only now, so that there are changes which the failure has to undo.
        self.fail(&payload(event), event.event_id)
    }

    fn memory_peak(&self) -> usize {
        0
    }
}

impl Running {
    /// Fails if the event says so.
    fn fail(&self, payload: &Value, event: Uuid) -> Result<(), CallFailure> {
        let name = &self.name;
        if payload["rejected_by"] == name.as_str() {
            return Err(guest_failure(FailureKind::Reject, "never"));
        }
        if self.broken && payload["amount"].as_u64() >= Some(TOO_MUCH) {
            return Err(guest_failure(FailureKind::Trap, "too much"));
        }
        let wanted = payload["failures"].as_u64().unwrap_or(0);
        let mut failures = self.guests.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = failures.entry((name.clone(), event)).or_insert(0);
        if u64::from(*failed) >= wanted {
            return Ok(());
        }
        *failed += 1;
        let kind = if (*failed).is_multiple_of(2) { FailureKind::Retry } else { FailureKind::Trap };
        Err(guest_failure(kind, "not yet"))
    }
}

fn guest_failure(kind: FailureKind, message: &str) -> CallFailure {
    CallFailure::Guest { kind, message: message.to_owned() }
}

pub(super) fn payload(event: &Event) -> Value {
    serde_json::from_slice(event.payload.as_bytes()).unwrap_or_default()
}

async fn load(env: &dyn GuestEnv, collection: &str, key: &str) -> Result<Value, HostError> {
    let document = env.get(collection, key).await?;
    Ok(document.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

async fn audit(env: &dyn GuestEnv, event: &Event) -> Result<(), HostError> {
    env.increment("events", &event.event_id.to_string(), "count", 1)?;
    let before = load(env, "aggregates", &event.aggregate_id).await?;
    let number = |field: &str| before[field].as_u64().unwrap_or(0);
    let (position, version) = (event.position.get(), event.aggregate_version);
    let disorder =
        before["disorder"] == true || position <= number("position") || version <= number("version");
    let after = json!({
        "position": position, "version": version, "count": number("count") + 1, "disorder": disorder,
    });
    env.put("aggregates", &event.aggregate_id, after.to_string())
}

async fn totals(env: &dyn GuestEnv, event: &Event) -> Result<(), HostError> {
    let (name, amount) = (event.event_type.as_str(), payload(event)["amount"].as_i64().unwrap_or(0));
    let before = load(env, "totals", name).await?;
    let number = |field: &str| before[field].as_i64().unwrap_or(0);
    let after = json!({"count": number("count") + 1, "amount": number("amount") + amount});
    env.put("totals", name, after.to_string())?;
    env.increment("sums", "all", "count", 1)?;
    env.increment("sums", "all", "amount", amount)?;
    let lap = load(env, "laps", name).await?["n"].as_u64().unwrap_or(0) + 1;
    if lap < LAP {
        return env.put("laps", name, json!({"n": lap}).to_string());
    }
    env.delete("laps", name)?;
    env.increment("sums", "all", "laps", 1)
}

async fn ledger(env: &dyn GuestEnv, event: &Event) -> Result<(), HostError> {
    let position = event.position.get();
    env.increment("entries", &format!("{position:010}"), "count", 1)?;
    let before = load(env, "ledger", "chain").await?;
    let number = |field: &str| before[field].as_u64().unwrap_or(0);
    let count = number("count") + 1;
    let entries = env.scan("entries", None, "", 1000).await?.len() as u64;
    let disorder = before["disorder"] == true || position <= number("last") || entries != count;
    let chain = link(number("chain"), position);
    let after = json!({"count": count, "last": position, "chain": chain, "disorder": disorder});
    env.put("ledger", "chain", after.to_string())
}
