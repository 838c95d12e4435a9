//! The deployments that a process runs while components are being loaded, cannot be loaded or are no longer wanted, and
//! its status meanwhile: against a registry and a runtime that answer by script.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use kennel_core::condition::{Condition, ConditionReason};
use kennel_core::digest::Digest;
use kennel_core::lifecycle::Role;
use kennel_core::name::{ProjectionName, ReplicaSet};
use kennel_core::port::{Component, ComponentError, Fault, Runtime, StoreError};
use kennel_core::projection::{Deployment, DeploymentId, ReadModelId};
use kennel_engine::catalog::{Catalog, CatalogWatcher};
use kennel_engine::ports::{ConditionReports, DeploymentSource};
use kennel_engine::{Metrics, Shutdown, ShutdownTrigger, Status};
use kennel_test_support::guests::FakeComponent;
use kennel_test_support::samples;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

/// The content of the registry, and the outcome of loading each component.
#[derive(Debug, Default)]
struct Script {
    wanted: Vec<(Deployment, Role)>,
    revision: u64,
    /// Components by their only byte: those that are rejected, with the reason, and those that take a while.
    rejected: BTreeMap<u8, String>,
    slow: BTreeMap<u8, Duration>,
    /// Those whose code was kept.
    kept: BTreeSet<u8>,
    /// Those that are being loaded, and the most that ever were at once.
    at_work: BTreeSet<u8>,
    at_once: usize,
    /// Whether the store fails when a component is fetched.
    away: bool,
    /// The numbers of candidates whose read models have served before.
    returning: BTreeSet<u32>,
    /// The conditions that were reported for deployments.
    conditions: Vec<(DeploymentId, Option<Condition>)>,
    /// When each was begun, in seconds.
    tries: BTreeMap<u8, Vec<u64>>,
}

#[derive(Debug)]
struct Scripted {
    script: Mutex<Script>,
    began: Instant,
}

/// A deployment with a read model of its own, of the component with this only byte.
fn deployment(projection: &str, number: u8, component: u8) -> Deployment {
    samples::deployment(projection, number.into(), Digest::of(&[component]))
}

/// A watcher at work.
struct Watched {
    ports: Arc<Scripted>,
    status: Arc<Status>,
    catalog: watch::Receiver<Option<Catalog>>,
    _stop: ShutdownTrigger,
}

/// Begins to watch the deployments.
fn start(script: Script) -> Watched {
    let ports = Arc::new(Scripted { script: Mutex::new(script), began: Instant::now() });
    let status = Arc::new(Status::default());
    let watcher = CatalogWatcher {
        source: Arc::clone(&ports) as _,
        reports: Arc::clone(&ports) as _,
        runtime: Arc::clone(&ports) as _,
        replica_set: ReplicaSet::default(),
        host: "here".to_owned(),
        interval: SECOND,
        load_pause_max: SECOND * 10,
        status: Arc::clone(&status),
        metrics: Metrics::default().replica_set(&ReplicaSet::default()),
    };
    let (publish, catalog) = watch::channel(None);
    let (stop, stopped) = Shutdown::channel();
    tokio::spawn(watcher.watch(publish, stopped));
    Watched { ports, status, catalog, _stop: stop }
}

impl Watched {
    /// Changes the deployments, and waits until the watcher must have seen it.
    async fn change(&self, change: impl FnOnce(&mut Script)) {
        {
            let mut script = self.ports.script.lock().unwrap();
            change(&mut script);
            script.revision += 1;
        }
        sleep(SECOND * 2).await;
    }

    /// The numbers of the deployments that run.
    fn runs(&self) -> Vec<u32> {
        let catalog = self.catalog.borrow();
        catalog.iter().flat_map(|catalog| catalog.iter()).map(|loaded| loaded.deployment.number).collect()
    }

    /// When a component was tried, in seconds.
    fn tries(&self, component: u8) -> Vec<u64> {
        self.ports.script.lock().unwrap().tries.get(&component).cloned().unwrap_or_default()
    }

    /// The parts that are blocked, and why.
    fn blocked(&self) -> Vec<String> {
        self.status.blocked().into_iter().map(|(part, reason)| format!("{part}: {reason}")).collect()
    }
}

impl Scripted {
    fn now(&self) -> u64 {
        self.began.elapsed().as_secs()
    }
}

/// A component that is being loaded, until it is loaded or cancelled.
struct AtWork<'a>(&'a Scripted, u8);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        let script = self.0.script.lock();
        script.unwrap_or_else(PoisonError::into_inner).at_work.remove(&self.1);
    }
}

#[async_trait]
impl Runtime for Scripted {
    async fn find(&self, digest: Digest) -> Option<Arc<dyn Component>> {
        let kept = self.script.lock().unwrap().kept.clone();
        let is_kept = kept.into_iter().any(|byte| Digest::of(&[byte]) == digest);
        is_kept
            .then(|| Arc::new(FakeComponent::new(digest, samples::descriptor("any"))) as Arc<dyn Component>)
    }

    async fn prepare(&self, bytes: Arc<[u8]>) -> Result<Arc<dyn Component>, ComponentError> {
        let now = self.now();
        let slow = {
            let mut script = self.script.lock().unwrap();
            script.tries.entry(bytes[0]).or_default().push(now);
            script.at_work.insert(bytes[0]);
            script.at_once = script.at_once.max(script.at_work.len());
            script.slow.get(&bytes[0]).copied()
        };
        let _at_work = AtWork(self, bytes[0]);
        if let Some(slow) = slow {
            sleep(slow).await;
        }
        let rejected = self.script.lock().unwrap().rejected.get(&bytes[0]).cloned();
        match rejected {
            Some(reason) if reason == "breaks" => panic!("scripted"),
            Some(message) => Err(ComponentError { message, fault: Fault::Component }),
            None => Ok(Arc::new(FakeComponent::new(Digest::of(&bytes), samples::descriptor("any")))),
        }
    }
}

#[async_trait]
impl DeploymentSource for Scripted {
    async fn revision(&self) -> Result<u64, StoreError> {
        Ok(self.script.lock().unwrap().revision)
    }

    async fn active(&self, _: &ReplicaSet) -> Result<Vec<(Deployment, Role)>, StoreError> {
        Ok(self.script.lock().unwrap().wanted.clone())
    }

    async fn returning(&self, projection: &ProjectionName) -> Result<Option<DeploymentId>, StoreError> {
        let script = self.script.lock().unwrap();
        let candidates = script.wanted.iter().filter(|(_, role)| *role == Role::Candidate);
        let mut ours = candidates.map(|(one, _)| one).filter(|one| one.projection == *projection);
        Ok(ours.find(|one| script.returning.contains(&one.number)).map(|one| one.id))
    }

    async fn projections_changed(&self) {
        std::future::pending::<()>().await;
    }

    async fn component(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        if self.script.lock().unwrap().away {
            return Err(StoreError::Failed { doing: "fetching".to_owned(), source: "scripted".into() });
        }
        Ok((0..=u8::MAX).find(|byte| Digest::of(&[*byte]) == digest).map(|byte| vec![byte]))
    }
}

#[async_trait]
impl ConditionReports for Scripted {
    async fn report_condition(
        &self,
        deployment: DeploymentId,
        source: &str,
        condition: Option<&Condition>,
    ) -> Result<(), StoreError> {
        assert_eq!(source, "here");
        let reported = (deployment, condition.cloned());
        self.script.lock().unwrap().conditions.push(reported);
        Ok(())
    }
}

/// Pausing or retiring a projection, or deploying another component to it, deals with a condition.
#[tokio::test(start_paused = true)]
async fn deployments_that_are_no_longer_wanted_block_nothing() {
    for after in [Vec::new(), vec![(deployment("ledger", 2, 2), Role::Serving)]] {
        let watched = start(Script {
            wanted: vec![
                (deployment("ledger", 1, 1), Role::Serving),
                (deployment("tally", 3, 3), Role::Serving),
                (deployment("tally", 4, 4), Role::Candidate),
            ],
            rejected: BTreeMap::from([(1, "no".to_owned()), (4, "never".to_owned())]),
            ..Script::default()
        });
        sleep(SECOND * 2).await;
        assert_eq!(watched.blocked(), ["projection ledger: no"], "a candidate blocks nothing");
        assert_eq!(watched.runs(), [3]);
        let left: Vec<u32> = after.iter().map(|(deployment, _)| deployment.number).collect();
        watched.change(|script| script.wanted = after).await;
        assert_eq!(watched.blocked(), [""; 0]);
        assert_eq!(watched.runs(), left);
    }
}

/// A process that starts does not wait for the slowest of its components, and says that it is not ready yet.
#[tokio::test(start_paused = true)]
async fn ready_components_run_while_others_are_being_loaded() {
    let watched = start(Script {
        wanted: vec![
            (deployment("ledger", 1, 1), Role::Serving),
            (deployment("ledger", 2, 2), Role::Candidate),
            (deployment("tally", 3, 3), Role::Serving),
        ],
        slow: BTreeMap::from([(2, SECOND * 60), (3, SECOND * 20), (4, SECOND * 20)]),
        ..Script::default()
    });
    sleep(SECOND).await;
    assert_eq!(watched.runs(), [1]);
    assert_eq!(watched.blocked(), ["start of tally: its component is being loaded"]);
    sleep(SECOND * 20).await;
    assert_eq!(watched.runs(), [1, 3]);
    assert_eq!(watched.blocked(), [""; 0], "a candidate is not waited for");
    // A deployment that continues another one's read model.
    let next = Deployment { read_model: ReadModelId::new(3), ..deployment("tally", 4, 4) };
    watched.change(|script| script.wanted[2].0 = next).await;
    assert_eq!((watched.runs(), watched.blocked().len()), (vec![1, 3], 0), "the one before goes on");
    sleep(SECOND * 20).await;
    assert_eq!(watched.runs(), [1, 4]);
    sleep(SECOND * 20).await;
    assert_eq!(watched.runs(), [1, 2, 4]);
    assert_eq!(watched.blocked(), [""; 0]);
}

/// Whether nothing is deployed or nothing can be run yet: the process at work knows that there is nothing to do.
#[tokio::test(start_paused = true)]
async fn a_catalog_is_published_even_if_nothing_can_be_run() {
    for wanted in [Vec::new(), vec![(deployment("tally", 3, 3), Role::Serving)]] {
        let slow = BTreeMap::from([(3, SECOND * 20)]);
        let blocked = wanted.len();
        let watched = start(Script { wanted, slow, ..Script::default() });
        sleep(SECOND).await;
        assert!(watched.catalog.borrow().as_ref().is_some_and(|catalog| catalog.is_empty()));
        assert_eq!(watched.blocked().len(), blocked);
    }
}

/// Trying may cost a compilation, and rarely helps; but an operator who has repaired something shall not wait for long.
#[tokio::test(start_paused = true)]
async fn components_that_cannot_be_loaded_are_tried_less_and_less_often() {
    for reason in ["no", "breaks"] {
        let watched = start(Script {
            wanted: vec![
                (deployment("ledger", 1, 1), Role::Serving),
                (deployment("tally", 2, 2), Role::Serving),
            ],
            rejected: BTreeMap::from([(1, reason.to_owned())]),
            ..Script::default()
        });
        sleep(SECOND * 30).await;
        let tries = watched.tries(1);
        // After 1, 2, 4 and 8 seconds, then every 10; a watcher that looks every second may be late by one.
        let pauses: Vec<u64> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(pauses.len(), 5, "{reason}: {tries:?}");
        let expected = [1, 2, 4, 8, 10];
        let fits = pauses.iter().zip(expected).all(|(pause, least)| (least..=least + 1).contains(pause));
        assert!(fits, "{reason}: {tries:?}");
        assert_eq!(watched.tries(2), [0], "a loaded component is not loaded again");
        assert_eq!(watched.runs(), [2]);
        // Something else changes: that is no reason to try.
        watched.change(|script| script.wanted[1].0.settings.batch += 1).await;
        assert_eq!(watched.tries(1).len(), tries.len(), "{reason}");
        // It is deployed again: that is one.
        watched.change(|script| script.wanted[0].0.id = DeploymentId::new(7)).await;
        let anew = watched.tries(1)[tries.len()..].to_vec();
        assert!(anew.len() == 2 && anew[1] - anew[0] <= 2, "{reason}: {anew:?}");
        watched.ports.script.lock().unwrap().rejected.clear();
        sleep(SECOND * 5).await;
        assert_eq!((watched.runs(), watched.blocked().len()), (vec![1, 2], 0), "{reason}");
    }
}

/// The store has been away for minutes, which says nothing of a component.
#[tokio::test(start_paused = true)]
async fn a_failure_of_the_store_is_retried_soon() {
    let wanted = vec![(deployment("ledger", 1, 1), Role::Serving)];
    let watched = start(Script { wanted, away: true, ..Script::default() });
    sleep(SECOND * 120).await;
    assert!(
        matches!(&watched.blocked()[..], [reported] if reported.contains("projection ledger") && reported.contains("scripted"))
    );
    watched.ports.script.lock().unwrap().away = false;
    sleep(SECOND * 2).await;
    assert_eq!(watched.runs(), [1]);
}

/// Each is held in memory while it is loaded, and a compilation takes far more. Serving deployments come first, and
/// components that failed before come last.
#[tokio::test(start_paused = true)]
async fn few_are_loaded_at_once_and_serving_deployments_first() {
    let names = ["a", "b", "c", "d", "e", "f"];
    let roles =
        [Role::Candidate, Role::Candidate, Role::Serving, Role::Serving, Role::Serving, Role::Serving];
    let numbered = names.into_iter().zip(1..).zip(roles);
    let watched = start(Script {
        wanted: numbered.map(|((name, number), role)| (deployment(name, number, number), role)).collect(),
        slow: (1..=6).map(|component| (component, SECOND * 10)).collect(),
        rejected: BTreeMap::from([(3, "no".to_owned())]),
        ..Script::default()
    });
    sleep(SECOND * 5).await;
    assert_eq!(watched.blocked().len(), 4, "those that serve, also those that wait to be loaded");
    sleep(SECOND * 30).await;
    assert_eq!(watched.runs(), [1, 2, 4, 5, 6]);
    let began = |component| watched.tries(component).first().copied();
    assert_eq!([3, 4, 5, 6, 1, 2].map(began), [0, 0, 10, 10, 20, 20].map(Some));
    assert!(watched.tries(3).get(1).is_some_and(|again| *again >= 20), "{:?}", watched.tries(3));
    assert_eq!(watched.ports.script.lock().unwrap().at_once, 2);
}

/// Two components take minutes, and as many are loaded at once; that is nothing to those that need not be compiled.
#[tokio::test(start_paused = true)]
async fn kept_code_does_not_wait_for_compilations() {
    let numbered = ["a", "b", "c", "d"].into_iter().zip(1..);
    let watched = start(Script {
        wanted: numbered.map(|(name, number)| (deployment(name, number, number), Role::Serving)).collect(),
        slow: BTreeMap::from([(1, SECOND * 300), (2, SECOND * 300)]),
        kept: BTreeSet::from([3, 4]),
        ..Script::default()
    });
    sleep(SECOND).await;
    assert_eq!(watched.runs(), [3, 4]);
    assert_eq!(
        [3, 4].map(|component| watched.tries(component).len()),
        [0, 0],
        "nothing was fetched for them"
    );
    assert_eq!([1, 2].map(|component| watched.tries(component)), [[0], [0]]);
}

/// An operator who waits for a deployment looks at the store, not at this process.
#[tokio::test(start_paused = true)]
async fn a_deployment_that_lacks_its_component_has_a_condition() {
    for role in [Role::Serving, Role::Candidate] {
        let watched = start(Script {
            wanted: vec![(deployment("sound", 1, 1), Role::Serving), (deployment("ledger", 2, 2), role)],
            rejected: BTreeMap::from([(2, "no memory".to_owned())]),
            ..Script::default()
        });
        sleep(SECOND * 30).await;
        let reported = |number| {
            let of = DeploymentId::new(number);
            let all = watched.ports.script.lock().unwrap().conditions.clone();
            all.into_iter().filter(|(id, _)| *id == of).map(|(_, one)| one).collect::<Vec<_>>()
        };
        let message = "here cannot load its component: no memory".to_owned();
        let condition = Condition { reason: ConditionReason::ComponentNotLoaded, message };
        let before = reported(2);
        assert!(before.iter().all(|one| *one == Some(condition.clone())), "{before:?}");
        assert_eq!(before.len(), watched.tries(2).len(), "with every attempt");
        assert_eq!(watched.blocked().is_empty(), role == Role::Candidate, "a candidate blocks nothing");
        watched.ports.script.lock().unwrap().rejected.clear();
        sleep(SECOND * 30).await;
        assert_eq!(reported(2)[before.len()..], [None]);
        assert_eq!(reported(1), [None], "a process before this one may have reported one");
    }
}

/// An operator who takes back a component that is ruinous to compile need not wait until it is compiled.
#[tokio::test(start_paused = true)]
async fn components_that_are_no_longer_wanted_are_not_loaded_to_the_end() {
    let watched = start(Script {
        wanted: vec![(deployment("a", 1, 1), Role::Serving), (deployment("b", 2, 2), Role::Serving)],
        slow: BTreeMap::from([(1, SECOND * 300), (2, SECOND * 300)]),
        ..Script::default()
    });
    sleep(SECOND).await;
    watched.change(|script| script.wanted = vec![(deployment("c", 3, 3), Role::Serving)]).await;
    assert_eq!(watched.runs(), [3]);
    assert!(watched.ports.script.lock().unwrap().at_work.is_empty());
    assert_eq!(watched.blocked(), [""; 0]);
}

/// A read model that has served before is wanted back, and not slowed down like one that is built anew.
#[tokio::test(start_paused = true)]
async fn a_rollback_and_a_rebuild_are_distinguished() {
    let watched = start(Script {
        wanted: vec![
            (deployment("ledger", 1, 1), Role::Serving),
            (deployment("ledger", 2, 2), Role::Candidate),
            (deployment("tally", 3, 3), Role::Serving),
            (deployment("tally", 4, 4), Role::Candidate),
        ],
        returning: BTreeSet::from([4]),
        ..Script::default()
    });
    sleep(SECOND * 2).await;
    let catalog = watched.catalog.borrow().clone().unwrap();
    let returning: Vec<bool> = catalog.iter().map(|loaded| loaded.returning).collect();
    assert_eq!((watched.runs(), returning), (vec![1, 2, 3, 4], vec![false, false, false, true]));
}
