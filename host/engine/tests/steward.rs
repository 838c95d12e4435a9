//! What a steward does about read models that are to take the place of others, against a registry that answers
//! by script: when it holds the old one, how long it tries, and that it always lets go.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use kennel_core::checkpoint::Checkpoint;
use kennel_core::digest::Digest;
use kennel_core::failure::EventFailure;
use kennel_core::lifecycle::{Activity, Declined, Lifecycle, Ordered, Request, Stage, Switch};
use kennel_core::name::{ProjectionName, ReplicaSet};
use kennel_core::port::{
    CallFailure, Changed, Component, GuestEnv, Horizon, Instance, Origin, ProjectionProgress,
    ProjectionState, Registry, StoreError, StoredComponent, Switched,
};
use kennel_core::position::Position;
use kennel_core::projection::{
    Deployment, DeploymentId, Descriptor, Partitioning, ReadModelId, Scope, Settings,
};
use kennel_engine::batch::Loaded;
use kennel_engine::catalog::Catalog;
use kennel_engine::horizon::Feed;
use kennel_engine::steward::Steward;
use kennel_engine::{Metrics, Shutdown};
use tokio::sync::watch;
use tokio::time::Instant;

/// Longer than the steward looks about when nothing happens.
const AWHILE: Duration = Duration::from_secs(31);

/// What the registry says of the projection, and what it answers to steps of a switch.
#[derive(Debug)]
struct Script {
    began: Instant,
    /// Where the live read model and the one that is being built stand.
    positions: [u64; 2],
    state: ProjectionState,
    switch: Switch,
    frozen: bool,
    /// Whether it has come to an end: nothing is being built any more.
    done: bool,
    /// Whether there is another projection, before this one by name, for which every step of a switch fails.
    broken: bool,
    /// Whether the registry cannot tell how far projections are.
    blind: bool,
    /// How often removing read models fails.
    stuck: u32,
    /// The last answer is given again and again.
    begins: VecDeque<Switched>,
    /// The same; no answer is a failure.
    finishes: VecDeque<Option<Switched>>,
    /// What was told to be in the way.
    obstacles: Vec<String>,
    /// Every step, with the time at which it came in milliseconds.
    steps: Vec<(u128, &'static str)>,
}

#[derive(Debug)]
struct Scripted(Mutex<Script>);

impl Scripted {
    fn step(&self, what: &'static str) -> std::sync::MutexGuard<'_, Script> {
        let mut script = self.0.lock().unwrap();
        let at = script.began.elapsed().as_millis();
        script.steps.push((at, what));
        script
    }

    /// When each step of this kind came.
    fn times(&self, what: &str) -> Vec<u128> {
        let script = self.0.lock().unwrap();
        script.steps.iter().filter(|(_, step)| *step == what).map(|(at, _)| *at).collect()
    }
}

fn failed<T>() -> Result<T, StoreError> {
    Err(StoreError::Failed { doing: "switching".to_owned(), source: "scripted".into() })
}

fn progress(script: &Script, name: &str, stage: Stage) -> ProjectionProgress {
    let number = if stage == Stage::Live { 1 } else { 2 };
    let position = script.positions[usize::try_from(number).unwrap() - 1];
    ProjectionProgress {
        deployment: Deployment {
            id: DeploymentId::new(i64::from(number) + 10 * i64::from(name == "broken")),
            projection: name.parse().unwrap(),
            replica_set: ReplicaSet::default(),
            number,
            digest: Digest::of(&[1]),
            descriptor: Descriptor {
                name: "ledger".to_owned(),
                version: "1".to_owned(),
                scope: Scope::default(),
                partitioning: Partitioning::Single,
            },
            settings: Settings::default(),
            read_model: ReadModelId::new(i64::from(number)),
        },
        stage,
        activity: Activity::Running,
        switch: script.switch,
        frozen: script.frozen && name == "ledger",
        from: Position::START,
        age: Duration::ZERO,
        state: if stage == Stage::Live { ProjectionState::Running } else { script.state },
        last_failure: None,
        checkpoints: vec![Checkpoint { position: Position::new(position), ..Checkpoint::UNTOUCHED }],
        dead_letters: 0,
        obstacle: None,
        log_set_back: None,
    }
}

#[async_trait]
impl Registry for Scripted {
    async fn progress(&self) -> Result<Vec<ProjectionProgress>, StoreError> {
        let script = self.0.lock().unwrap();
        if script.blind {
            return failed();
        }
        let broken = ["broken"; 1].into_iter().filter(|_| script.broken);
        let broken = broken
            .flat_map(|name| [Stage::Live, Stage::Building].map(|stage| progress(&script, name, stage)));
        let building = (!script.done).then(|| progress(&script, "ledger", Stage::Building));
        Ok(broken.chain([progress(&script, "ledger", Stage::Live)]).chain(building).collect())
    }

    async fn begin_switch(&self, projection: &ProjectionName, _: u64) -> Result<Switched, StoreError> {
        if projection.as_str() == "broken" {
            drop(self.step("fail"));
            return failed();
        }
        let mut script = self.step("begin");
        let answer = match script.begins.len() {
            0 | 1 => script.begins.front().copied().unwrap_or(Switched::Nothing),
            _ => script.begins.pop_front().unwrap_or(Switched::Nothing),
        };
        script.frozen |= answer == Switched::Done;
        Ok(answer)
    }

    async fn finish_switch(&self, _: &ProjectionName) -> Result<Switched, StoreError> {
        let mut script = self.step("finish");
        if !script.frozen {
            return Ok(Switched::Nothing);
        }
        let answer = match script.finishes.len() {
            0 | 1 => script.finishes.front().copied().flatten(),
            _ => script.finishes.pop_front().flatten(),
        };
        script.done |= answer == Some(Switched::Done);
        answer.map_or_else(failed, Ok)
    }

    async fn abandon_switch(&self, _: &ProjectionName) -> Result<(), StoreError> {
        self.step("abandon").frozen = false;
        Ok(())
    }

    async fn hinder(&self, _: DeploymentId, source: &str, obstacle: Option<&str>) -> Result<(), StoreError> {
        assert_eq!(source, "switch");
        self.0.lock().unwrap().obstacles.extend(obstacle.map(str::to_owned));
        Ok(())
    }

    async fn sweep(&self) -> Result<u64, StoreError> {
        let mut script = self.step("sweep");
        if script.stuck > 0 {
            script.stuck -= 1;
            return failed();
        }
        Ok(0)
    }

    async fn put_component(&self, _: Digest, _: &[u8]) -> Result<(), StoreError> {
        unreachable!("a steward stores nothing")
    }

    async fn component(&self, _: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        unreachable!("a steward loads nothing")
    }

    async fn components(&self) -> Result<Vec<StoredComponent>, StoreError> {
        unreachable!("a steward lists nothing")
    }

    async fn change(&self, _: &ProjectionName, _: &Request) -> Result<Result<Changed, Declined>, StoreError> {
        unreachable!("a steward orders nothing")
    }

    async fn lifecycle(&self, _: &ProjectionName) -> Result<Option<Lifecycle>, StoreError> {
        unreachable!("a steward reads no history")
    }

    async fn projections(&self) -> Result<Vec<ProjectionName>, StoreError> {
        unreachable!("a steward lists nothing")
    }

    async fn orders(&self, _: &ProjectionName) -> Result<Vec<Ordered>, StoreError> {
        unreachable!("a steward reads no orders")
    }

    async fn checkpoints_of(&self, _: ReadModelId) -> Result<Vec<Checkpoint>, StoreError> {
        unreachable!("a steward looks at the progress")
    }

    async fn active(&self, _: &ReplicaSet) -> Result<Vec<(Deployment, Stage)>, StoreError> {
        unreachable!("a steward is told what runs")
    }

    async fn find(&self, _: &ProjectionName) -> Result<Option<Deployment>, StoreError> {
        unreachable!("a steward looks at the progress")
    }

    async fn report(
        &self,
        _: DeploymentId,
        _: ProjectionState,
        _: Option<&EventFailure>,
    ) -> Result<(), StoreError> {
        unreachable!("a steward handles no events")
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        unreachable!("a steward looks at the progress")
    }
}

/// A read model that is level with the live one and may take its place.
fn ready() -> Script {
    Script {
        began: Instant::now(),
        positions: [5, 5],
        state: ProjectionState::Running,
        switch: Switch::Auto,
        frozen: false,
        done: false,
        broken: false,
        blind: false,
        stuck: 0,
        begins: VecDeque::new(),
        finishes: VecDeque::new(),
        obstacles: Vec::new(),
        steps: Vec::new(),
    }
}

/// Has a steward serve for so long, in a process that runs nothing that is being built: it looks every half a
/// minute only.
async fn serve(script: Script, long: Duration) -> Arc<Scripted> {
    let horizon = Feed::default();
    horizon.publish(&ends_at(Position::new(5)));
    serve_in(script, long, horizon, None).await
}

/// The same, where the log ends here, as far as anybody knows, and this is run.
async fn serve_in(script: Script, long: Duration, horizon: Feed, runs: Option<Catalog>) -> Arc<Scripted> {
    let registry = Arc::new(Scripted(Mutex::new(script)));
    let metrics = Metrics::default().replica_set(&ReplicaSet::default());
    let steward = Steward { registry: Arc::clone(&registry) as _, horizon, metrics };
    let (_catalog, catalog) = watch::channel(runs);
    let (_trigger, stop) = Shutdown::channel();
    // It ends at the time limit: a steward serves until its process stops.
    let _ = tokio::time::timeout(long, steward.serve(catalog, stop)).await;
    registry
}

/// What a process runs that is building something: its steward looks all the time.
fn building(script: &Script) -> Catalog {
    let deployment = Arc::new(progress(script, "ledger", Stage::Building).deployment);
    let component = Arc::new(Unused(deployment.descriptor.clone()));
    Arc::new(vec![Loaded { deployment, stage: Stage::Building, returning: false, component }])
}

struct Unused(Descriptor);

#[async_trait]
impl Component for Unused {
    fn digest(&self) -> Digest {
        Digest::of(&[1])
    }

    fn descriptor(&self) -> &Descriptor {
        &self.0
    }

    fn origin(&self) -> Origin {
        Origin::Compiled
    }

    async fn instantiate(&self, _: Arc<dyn GuestEnv>) -> Result<Box<dyn Instance>, CallFailure> {
        unreachable!("a steward runs nothing")
    }
}

fn ends_at(position: Position) -> Horizon {
    Horizon { position, head: position, ..Horizon::default() }
}

#[tokio::test(start_paused = true)]
async fn a_switch_is_tried_until_it_is_done() {
    let finishes =
        [Some(Switched::Behind(2)), Some(Switched::Behind(1)), Some(Switched::Busy), Some(Switched::Done)];
    let script = Script { begins: [Switched::Done].into(), finishes: finishes.into(), ..ready() };
    let registry = serve(script, AWHILE).await;
    assert_eq!(registry.times("begin"), [0]);
    let finished = registry.times("finish");
    // Soon while it draws level, not so soon while somebody reads.
    assert_eq!(finished.len(), 4);
    assert!(finished[1] - finished[0] < 50 && finished[3] - finished[2] >= 100, "{finished:?}");
    assert!(registry.times("abandon").is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_switched_is_let_go() {
    for answer in [Some(Switched::Behind(1)), Some(Switched::Busy), None] {
        let script = Script { begins: [Switched::Done].into(), finishes: [answer].into(), ..ready() };
        let registry = serve(script, Duration::from_secs(20)).await;
        let let_go = registry.times("abandon");
        assert_eq!(let_go.len(), 1, "{answer:?}");
        // What fails for good is not waited for.
        let expected = if answer.is_some() { 5_000..6_000 } else { 0..100 };
        assert!(expected.contains(&let_go[0]), "{answer:?}: {let_go:?}");
        assert_eq!(registry.0.lock().unwrap().obstacles.len(), 1, "it is told why");
        assert!(!registry.0.lock().unwrap().frozen);
        assert!(registry.times("finish").iter().all(|at| *at <= let_go[0]), "{answer:?}");
    }
}

/// Somebody who held a read model has died, and what is being built stands still, or is far behind by now.
#[tokio::test(start_paused = true)]
async fn what_others_hold_is_let_go_as_well() {
    for (state, positions) in [(ProjectionState::Halted, [5, 3]), (ProjectionState::Running, [9_000, 5])] {
        let behind = Some(Switched::Behind(positions[0] - positions[1]));
        let script = Script { state, positions, frozen: true, finishes: [behind].into(), ..ready() };
        let registry = serve(script, Duration::from_secs(20)).await;
        assert_eq!(registry.times("abandon").len(), 1, "{state:?} {positions:?}");
        assert!(!registry.0.lock().unwrap().frozen);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_held_for_what_cannot_come() {
    for script in [
        Script { state: ProjectionState::Halted, positions: [5, 3], ..ready() },
        Script { positions: [9_000, 5], ..ready() },
        Script { switch: Switch::Manual, ..ready() },
        Script { done: true, ..ready() },
    ] {
        let told = format!("{script:?}");
        let registry = serve(script, AWHILE).await;
        assert!(registry.times("begin").is_empty() && registry.times("finish").is_empty(), "{told}");
        assert_eq!(registry.times("sweep").len(), 2, "at the beginning and half a minute later");
    }
}

/// What has failed once and gets on again is no longer in the way once it is level, whatever was reported last.
#[tokio::test(start_paused = true)]
async fn what_is_level_is_switched_whatever_is_said_of_it() {
    let script = Script {
        state: ProjectionState::Halted,
        begins: [Switched::Done].into(),
        finishes: [Some(Switched::Done)].into(),
        ..ready()
    };
    let registry = serve(script, AWHILE).await;
    assert_eq!((registry.times("begin").len(), registry.times("finish").len()), (1, 1));
}

/// A projection that cannot be switched is left alone for a while; others are looked after meanwhile.
#[tokio::test(start_paused = true)]
async fn whatever_fails_for_one_projection_is_done_for_the_others() {
    let script = Script {
        broken: true,
        begins: [Switched::Done].into(),
        finishes: [Some(Switched::Done)].into(),
        ..ready()
    };
    let horizon = Feed::default();
    horizon.publish(&ends_at(Position::new(5)));
    let runs = building(&script);
    let registry = serve_in(script, Duration::from_secs(210), horizon, Some(runs)).await;
    assert_eq!((registry.times("begin"), registry.times("finish").len()), (vec![0], 1));
    assert_eq!(registry.times("sweep").len(), 8, "every half a minute");
    let failures = registry.times("fail");
    let pauses: Vec<u128> = failures.windows(2).map(|pair| (pair[1] - pair[0]) / 1_000).collect();
    assert_eq!(pauses, [5, 10, 20, 40, 60, 60], "{failures:?}");
}

#[tokio::test(start_paused = true)]
async fn read_models_are_removed_even_if_nobody_can_tell_how_far_others_are() {
    let registry = serve(Script { blind: true, stuck: 2, ..ready() }, AWHILE).await;
    assert!(registry.times("begin").is_empty());
    // Soon again while that fails, then as often as usual.
    assert_eq!(registry.times("sweep"), [0, 5_000, 10_000]);
}

/// Somebody reads the old one and does not come to an end: nothing is held, so there is nothing to finish.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_held_is_left_alone() {
    let begins = [Switched::Busy, Switched::Done].into();
    let script = Script { begins, finishes: [Some(Switched::Done)].into(), ..ready() };
    let horizon = Feed::default();
    horizon.publish(&ends_at(Position::new(5)));
    let runs = building(&script);
    let registry = serve_in(script, Duration::from_secs(12), horizon, Some(runs)).await;
    let (begun, finished) = (registry.times("begin"), registry.times("finish"));
    assert!(begun.len() == 2 && (5_000..5_500).contains(&begun[1]), "{begun:?}");
    assert!(finished.len() == 1 && finished[0] >= begun[1], "{finished:?}");
    assert!(registry.times("abandon").is_empty());
}

/// A process that has just been started does not know where the log ends: what was built may be far behind it.
#[tokio::test(start_paused = true)]
async fn nothing_is_held_before_the_end_of_the_log_is_known() {
    let horizon = Feed::default();
    let script =
        || Script { begins: [Switched::Done].into(), finishes: [Some(Switched::Done)].into(), ..ready() };
    let look = |horizon: &Feed| {
        let script = script();
        let runs = building(&script);
        serve_in(script, Duration::from_secs(2), horizon.clone(), Some(runs))
    };
    assert!(look(&horizon).await.times("begin").is_empty());
    horizon.publish(&ends_at(Position::new(9_000)));
    assert!(look(&horizon).await.times("begin").is_empty(), "it is far behind");
    // The log is empty: that is an end like any other.
    let horizon = Feed::default();
    horizon.publish(&ends_at(Position::START));
    assert_eq!(look(&horizon).await.times("begin").len(), 1);
}

/// Two processes, and somebody who reads the old one for minutes: it is held for a small part of that time, and whoever
/// waits is told why.
#[tokio::test(start_paused = true)]
async fn two_stewards_hold_the_old_one_no_more_than_one_does() {
    const LONG: u128 = 600;
    let script =
        Script { begins: [Switched::Done].into(), finishes: [Some(Switched::Busy)].into(), ..ready() };
    let runs = building(&script);
    let registry = Arc::new(Scripted(Mutex::new(script)));
    let horizon = Feed::default();
    horizon.publish(&ends_at(Position::new(5)));
    let serve = || {
        let metrics = Metrics::default().replica_set(&ReplicaSet::default());
        let steward = Steward { registry: Arc::clone(&registry) as _, horizon: horizon.clone(), metrics };
        let (catalog_out, catalog) = watch::channel(Some(Arc::clone(&runs)));
        tokio::spawn(async move {
            let (_catalog, (_trigger, stop)) = (catalog_out, Shutdown::channel());
            let _ = tokio::time::timeout(Duration::from_secs(600), steward.serve(catalog, stop)).await;
        })
    };
    let stewards = [serve(), serve()];
    for steward in stewards {
        steward.await.unwrap();
    }
    let held: u128 =
        registry.times("finish").windows(2).map(|pair| pair[1] - pair[0]).filter(|pause| *pause <= 150).sum();
    assert!(held / 1_000 < LONG / 4, "it was held for {held} ms");
    let script = registry.0.lock().unwrap();
    assert!(script.obstacles.len() >= 8, "{:?}", script.obstacles);
    assert!(script.obstacles.iter().all(|told| told.ends_with("somebody keeps reading the old one")));
}
