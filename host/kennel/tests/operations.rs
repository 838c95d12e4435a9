//! Operations on projections through ports alone: the store is in memory, and the runtime only describes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use async_trait::async_trait;
use kennel::Control as _;
use kennel::control::local::Local;
use kennel::control::view::ChangeView;
use kennel::control::{ControlError, ControlErrorKind, Operation, Requester};
use kennel::settings::ProjectionConfig;
use kennel_core::condition::{Condition, ConditionReason};
use kennel_core::digest::Digest;
use kennel_core::grant::NeededGrant;
use kennel_core::lifecycle::{Activity, Mode, Outcome, Promotion, Rejected};
use kennel_core::name::ProjectionName;
use kennel_core::port::{Component, ComponentError, Runtime, StatusReports as _};
use kennel_core::projection::{Descriptor, Partitioning};
use kennel_engine::Ports;
use kennel_store::memory::MemoryStore;
use kennel_test_support::guests::FakeComponent;
use kennel_test_support::samples;

/// The version of a component is the number of its bytes. Component `http` takes the grant of this name.
fn describe(bytes: &[u8]) -> FakeComponent {
    let version = bytes.len().to_string();
    let partitioning = Partitioning::ByAggregate;
    let descriptor = Descriptor { version, partitioning, ..samples::descriptor("orders") };
    let http =
        NeededGrant { import: "wasi:http/outgoing-handler@0.2.0".to_owned(), grant: "http".to_owned() };
    let grants = if bytes == b"http" { vec![http] } else { Vec::new() };
    FakeComponent::new(Digest::of(bytes), descriptor).with_needed_grants(grants)
}

/// Describes components, and knows them for as long as anything holds them.
#[derive(Default)]
struct Describes {
    prepared: AtomicUsize,
    known: Mutex<HashMap<Digest, Weak<FakeComponent>>>,
}

#[async_trait]
impl Runtime for Describes {
    async fn prepare(&self, bytes: Arc<[u8]>) -> Result<Arc<dyn Component>, ComponentError> {
        self.prepared.fetch_add(1, Ordering::Relaxed);
        let component = Arc::new(describe(&bytes));
        self.known.lock().expect("no test panics").insert(component.digest(), Arc::downgrade(&component));
        Ok(component)
    }

    async fn find(&self, digest: Digest) -> Option<Arc<dyn Component>> {
        let known = self.known.lock().expect("no test panics").get(&digest)?.upgrade()?;
        Some(known)
    }

    fn grants(&self) -> Vec<&'static str> {
        vec!["http", "queue"]
    }
}

fn operations() -> Local {
    Local::new(Ports::of(Arc::new(MemoryStore::new()), Arc::new(Describes::default())))
}

/// Carries out an operation of an actor who expects any deployment.
async fn carry_out(control: &Local, operation: Operation) -> Result<ChangeView, ControlError> {
    let name = "orders".parse().expect("a valid name");
    control.carry_out(&name, operation, Requester::default()).await
}

async fn stored(control: &Local, bytes: &[u8]) -> Digest {
    let stored = control.put_component(bytes.to_vec()).await.expect("the component is stored");
    assert_eq!(stored.digest, Digest::of(bytes).to_string());
    Digest::of(bytes)
}

#[tokio::test]
async fn a_projection_is_deployed_rebuilt_paused_and_retired_and_each_operation_is_on_record() {
    let control = operations();
    let name: ProjectionName = "orders".parse().unwrap();
    let (first, second) = (stored(&control, b"1").await, stored(&control, b"22").await);

    let change = carry_out(&control, Operation::deploy(first)).await.unwrap();
    assert_eq!((change.changed, change.deployment, change.projection.serving), (true, Some(1), Some(1)));
    let again = carry_out(&control, Operation::deploy(first)).await.unwrap();
    assert_eq!((again.changed, again.deployment), (false, Some(1)));

    let rebuild = Operation::Deploy {
        component: second,
        mode: Mode::Rebuild,
        promotion: Promotion::Manual,
        replica_set: None,
        settings: ProjectionConfig::default(),
        force: false,
    };
    let change = carry_out(&control, rebuild).await.unwrap();
    let candidate = change.projection.candidate.unwrap();
    assert_eq!((candidate.deployment, candidate.promotion), (2, Promotion::Manual));
    let status = control.status().await.unwrap();
    assert_eq!(status.projections.len(), 1);
    let cancelled = carry_out(&control, Operation::Cancel).await.unwrap();
    assert_eq!(cancelled.projection.candidate, None);
    assert_eq!(cancelled.projection.deployments[1].outcome, Outcome::Cancelled);

    let (actor, reason) = (Some("ada".to_owned()), Some("disk".to_owned()));
    let ada = Requester { actor, reason, expected_deployment: None };
    let paused = control.carry_out(&name, Operation::Pause, ada).await.unwrap();
    assert_eq!(paused.projection.activity, Activity::Paused);
    let retired = carry_out(&control, Operation::Retire { drop_read_model: true }).await.unwrap();
    assert_eq!((retired.projection.activity, retired.projection.serving), (Activity::Retired, None));

    let record = control.operations(&name).await.unwrap();
    let names: Vec<&str> = record.iter().map(|one| one.operation.as_str()).collect();
    assert_eq!(names, ["deploy", "deploy", "cancel", "pause", "retire"]);
    assert_eq!((record[3].actor.as_str(), record[3].reason.as_deref()), ("ada", Some("disk")));
}

#[tokio::test]
async fn a_component_is_deployed_with_the_grants_that_it_needs_and_none_that_is_unknown() {
    let control = operations();
    let (plain, greedy) = (stored(&control, b"1").await, stored(&control, b"http").await);
    let deploy = async |component, grants: Option<&[&str]>| {
        let grants = grants.map(|grants| grants.iter().map(|grant| (*grant).to_owned()).collect());
        let settings = ProjectionConfig { grants, ..ProjectionConfig::default() };
        let deploy = Operation::Deploy {
            component,
            mode: Mode::Continue,
            promotion: Promotion::Auto,
            replica_set: None,
            settings,
            force: false,
        };
        carry_out(&control, deploy).await
    };

    let missing = deploy(greedy, None).await.unwrap_err();
    assert_eq!(missing.kind(), ControlErrorKind::Unsupported);
    assert_eq!(
        missing.to_string(),
        "the component imports `wasi:http/outgoing-handler@0.2.0`, which takes the grant `http`: add it to `grants` \
         in the settings"
    );
    let unknown = deploy(plain, Some(&["htpp"])).await.unwrap_err();
    assert_eq!(
        (unknown.kind(), unknown.to_string().as_str()),
        (
            ControlErrorKind::Unsupported,
            "`htpp` is not a grant that this host knows; known grants: http, queue"
        )
    );
    assert!(control.projections().await.unwrap().is_empty(), "nothing was deployed");

    let granted = deploy(greedy, Some(&["http"])).await.unwrap();
    let settings = &granted.projection.deployments[0].settings;
    assert_eq!(settings.grants, ["http".to_owned()].into());
    // They stay as they are until others are given.
    assert_eq!(deploy(plain, None).await.unwrap().projection.deployments[1].settings.grants, settings.grants);
    let none = deploy(plain, Some(&[])).await.unwrap();
    let settings = serde_json::to_value(&none.projection.deployments[2].settings).unwrap();
    assert_eq!(settings.get("grants"), None, "an empty list is left out");
    assert_eq!(deploy(greedy, None).await.unwrap_err().to_string(), missing.to_string());
}

#[tokio::test]
async fn conflicts_are_rejected_and_missing_things_are_named() {
    let control = operations();
    let name: ProjectionName = "orders".parse().unwrap();
    let missing = control.projection(&name).await.unwrap_err();
    assert!(matches!(missing, ControlError::Rejected(Rejected::Missing(_))), "{missing}");
    let unknown = carry_out(&control, Operation::deploy(Digest::of(b"none"))).await.unwrap_err();
    assert!(matches!(unknown, ControlError::NoComponent(_)), "{unknown}");
    assert_eq!(unknown.kind(), ControlErrorKind::NotFound);

    let digest = stored(&control, b"1").await;
    carry_out(&control, Operation::deploy(digest)).await.unwrap();
    let rebuild = Operation::Rebuild { promotion: Promotion::Auto };
    carry_out(&control, rebuild).await.unwrap();
    for operation in [Operation::Rollback { to: None }, Operation::AcceptLog { after: 3 }] {
        let rejected = carry_out(&control, operation).await.unwrap_err();
        assert_eq!(rejected.kind(), ControlErrorKind::Conflict, "{rejected}");
    }
    let stale = Requester { expected_deployment: Some(1), ..Requester::default() };
    let overtaken = control.carry_out(&name, Operation::Pause, stale).await.unwrap_err();
    assert!(matches!(overtaken, ControlError::Rejected(Rejected::Overtaken { .. })), "{overtaken}");
    let nothing = control.diff(&name, 1001).await.unwrap_err();
    assert_eq!(nothing.kind(), ControlErrorKind::Invalid, "{nothing}");
}

#[tokio::test]
async fn a_component_is_prepared_once_in_the_process_that_stores_deploys_and_runs_it() {
    let runtime = Arc::new(Describes::default());
    let ports = Ports::of(Arc::new(MemoryStore::new()), Arc::clone(&runtime) as Arc<dyn Runtime>);
    let control = Local::new(ports);
    let digest = stored(&control, b"1").await;
    carry_out(&control, Operation::deploy(digest)).await.unwrap();
    // As the engine of this process looks for it.
    let running = runtime.find(digest).await.expect("it is still ready");
    // Another one is prepared in between.
    let other = stored(&control, b"22").await;
    carry_out(&control, Operation::Rebuild { promotion: Promotion::Manual }).await.unwrap();
    assert_eq!(running.digest(), digest);
    carry_out(&control, Operation::Cancel).await.unwrap();
    assert_eq!(runtime.prepared.load(Ordering::Relaxed), 2);
    // Nothing holds the other one any more: the rebuild needed the first.
    assert!(runtime.find(other).await.is_none());
    carry_out(&control, Operation::deploy(other)).await.unwrap();
    assert_eq!(runtime.prepared.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn conditions_of_a_candidate_are_shown_with_reason_source_and_time() {
    let store = Arc::new(MemoryStore::new());
    let control = Local::new(Ports::of(store.clone(), Arc::new(Describes::default())));
    let digest = stored(&control, b"1").await;
    carry_out(&control, Operation::deploy(digest)).await.unwrap();
    carry_out(&control, Operation::Rebuild { promotion: Promotion::Manual }).await.unwrap();
    let candidate = store.progress().await.unwrap().remove(1).deployment.id;
    let condition =
        Condition { reason: ConditionReason::ComponentNotLoaded, message: "no memory".to_owned() };
    store.report_condition(candidate, "host-1", Some(&condition)).await.unwrap();
    let name: ProjectionName = "orders".parse().unwrap();
    let of_projection = control.projection(&name).await.unwrap().candidate.unwrap().conditions;
    let status = control.status().await.unwrap().projections.remove(0);
    assert_eq!((&of_projection, status.conditions), (&status.candidate.unwrap().conditions, Vec::new()));
    let shown = serde_json::to_value(&of_projection[0]).unwrap();
    let since = shown["since"].as_str().unwrap();
    assert!(since.starts_with("1970-01-01T00:00:0") && since.ends_with('Z'), "{since}");
    let expected = serde_json::json!({
        "reason": "ComponentNotLoaded", "message": "no memory", "source": "host-1", "since": since,
    });
    assert_eq!((of_projection.len(), &shown), (1, &expected));
}
