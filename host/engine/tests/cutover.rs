//! The steps of a cutover controller, against a registry that answers by script: when it fences the serving read model,
//! how long it tries, and that it always releases it.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use kennel_core::checkpoint::Checkpoint;
use kennel_core::condition::Condition;
use kennel_core::digest::Digest;
use kennel_core::lifecycle::{Activity, Promotion, Role};
use kennel_core::name::{ProjectionName, ReplicaSet};
use kennel_core::port::{
    Cutover, CutoverOutcome, HighWaterMark, ProjectionProgress, ProjectionState, StoreError,
};
use kennel_core::position::Position;
use kennel_core::projection::{Deployment, DeploymentId};
use kennel_engine::catalog::Catalog;
use kennel_engine::cutover::CutoverController;
use kennel_engine::high_water_mark::PublishedMark;
use kennel_engine::loaded::Loaded;
use kennel_engine::ports::{CandidateReports, ConditionReports};
use kennel_engine::{Metrics, Shutdown};
use kennel_test_support::guests::FakeComponent;
use kennel_test_support::samples;
use tokio::sync::watch;
use tokio::time::Instant;

/// Longer than the pause of the controller when nothing happens.
const AWHILE: Duration = Duration::from_secs(31);

/// The progress of the projection in the registry, and its answers to the steps of a cutover.
#[derive(Debug)]
struct Script {
    began: Instant,
    /// The positions of the serving read model and of the candidate.
    positions: [u64; 2],
    state: ProjectionState,
    promotion: Promotion,
    fenced: bool,
    /// Whether it has come to an end: there is no candidate any more.
    done: bool,
    /// Whether there is another projection, before this one by name, for which every step of a cutover fails.
    broken: bool,
    /// Whether the registry cannot report the progress of projections.
    blind: bool,
    /// How often removing read models fails.
    stuck: u32,
    /// The last answer is given again and again.
    begins: VecDeque<CutoverOutcome>,
    /// The same; no answer is a failure.
    completes: VecDeque<Option<CutoverOutcome>>,
    /// The conditions that were reported.
    conditions: Vec<Condition>,
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
    Err(StoreError::Failed { doing: "cutting over".to_owned(), source: "scripted".into() })
}

fn progress(script: &Script, name: &str, role: Role) -> ProjectionProgress {
    let number = if role == Role::Serving { 1 } else { 2 };
    let position = script.positions[usize::try_from(number).unwrap() - 1];
    ProjectionProgress {
        deployment: Deployment {
            id: DeploymentId::new(i64::from(number) + 10 * i64::from(name == "broken")),
            ..samples::deployment(name, number, Digest::of(&[1]))
        },
        role,
        activity: Activity::Running,
        promotion: script.promotion,
        fenced: script.fenced && name == "ledger",
        from: Position::START,
        age: Duration::ZERO,
        state: if role == Role::Serving { ProjectionState::Running } else { script.state },
        last_failure: None,
        checkpoints: vec![Checkpoint { position: Position::new(position), ..Checkpoint::INITIAL }],
        dead_letters: 0,
        conditions: Vec::new(),
    }
}

#[async_trait]
impl CandidateReports for Scripted {
    async fn progress(&self) -> Result<Vec<ProjectionProgress>, StoreError> {
        let script = self.0.lock().unwrap();
        if script.blind {
            return failed();
        }
        let broken = ["broken"; 1].into_iter().filter(|_| script.broken);
        let broken = broken
            .flat_map(|name| [Role::Serving, Role::Candidate].map(|role| progress(&script, name, role)));
        let candidate = (!script.done).then(|| progress(&script, "ledger", Role::Candidate));
        Ok(broken.chain([progress(&script, "ledger", Role::Serving)]).chain(candidate).collect())
    }
}

#[async_trait]
impl ConditionReports for Scripted {
    async fn report_condition(
        &self,
        _: DeploymentId,
        source: &str,
        condition: Option<&Condition>,
    ) -> Result<(), StoreError> {
        assert_eq!(source, "cutover controller");
        self.0.lock().unwrap().conditions.extend(condition.cloned());
        Ok(())
    }
}

#[async_trait]
impl Cutover for Scripted {
    async fn begin_cutover(&self, projection: &ProjectionName, _: u64) -> Result<CutoverOutcome, StoreError> {
        if projection.as_str() == "broken" {
            drop(self.step("fail"));
            return failed();
        }
        let mut script = self.step("begin");
        let answer = match script.begins.len() {
            0 | 1 => script.begins.front().copied().unwrap_or(CutoverOutcome::Nothing),
            _ => script.begins.pop_front().unwrap_or(CutoverOutcome::Nothing),
        };
        script.fenced |= answer == CutoverOutcome::Done;
        Ok(answer)
    }

    async fn complete_cutover(&self, _: &ProjectionName) -> Result<CutoverOutcome, StoreError> {
        let mut script = self.step("complete");
        if !script.fenced {
            return Ok(CutoverOutcome::Nothing);
        }
        let answer = match script.completes.len() {
            0 | 1 => script.completes.front().copied().flatten(),
            _ => script.completes.pop_front().flatten(),
        };
        script.done |= answer == Some(CutoverOutcome::Done);
        answer.map_or_else(failed, Ok)
    }

    async fn abort_cutover(&self, _: &ProjectionName) -> Result<(), StoreError> {
        self.step("abort").fenced = false;
        Ok(())
    }

    async fn collect_garbage(&self) -> Result<u64, StoreError> {
        let mut script = self.step("collect");
        if script.stuck > 0 {
            script.stuck -= 1;
            return failed();
        }
        Ok(0)
    }
}

/// A candidate that has caught up with the serving read model and may be promoted.
fn ready() -> Script {
    Script {
        began: Instant::now(),
        positions: [5, 5],
        state: ProjectionState::Running,
        promotion: Promotion::Auto,
        fenced: false,
        done: false,
        broken: false,
        blind: false,
        stuck: 0,
        begins: VecDeque::new(),
        completes: VecDeque::new(),
        conditions: Vec::new(),
        steps: Vec::new(),
    }
}

/// Has a controller serve for so long, in a process that runs no candidate: it looks every half a minute only.
async fn serve(script: Script, long: Duration) -> Arc<Scripted> {
    let high_water_mark = PublishedMark::default();
    high_water_mark.publish(&ends_at(Position::new(5)));
    serve_in(script, long, high_water_mark, None).await
}

/// The same, with this known end of the log and these running deployments.
async fn serve_in(
    script: Script,
    long: Duration,
    high_water_mark: PublishedMark,
    runs: Option<Catalog>,
) -> Arc<Scripted> {
    let registry = Arc::new(Scripted(Mutex::new(script)));
    let metrics = Metrics::default().replica_set(&ReplicaSet::default());
    let controller = CutoverController {
        cutover: Arc::clone(&registry) as _,
        reports: Arc::clone(&registry) as _,
        high_water_mark,
        metrics,
    };
    let (_catalog, catalog) = watch::channel(runs);
    let (_trigger, stop) = Shutdown::channel();
    // It ends at the time limit: a controller serves until its process stops.
    let _ = tokio::time::timeout(long, controller.serve(catalog, stop)).await;
    registry
}

/// The deployments of a process that runs a candidate: its controller looks all the time.
fn candidate(script: &Script) -> Catalog {
    let deployment = Arc::new(progress(script, "ledger", Role::Candidate).deployment);
    let component = Arc::new(FakeComponent::new(deployment.digest, deployment.descriptor.clone()));
    Arc::new(vec![Loaded { deployment, role: Role::Candidate, returning: false, component }])
}

fn ends_at(position: Position) -> HighWaterMark {
    HighWaterMark { position, head: position, ..HighWaterMark::default() }
}

#[tokio::test(start_paused = true)]
async fn a_cutover_is_tried_until_it_is_complete() {
    let completes = [
        Some(CutoverOutcome::Behind(2)),
        Some(CutoverOutcome::Behind(1)),
        Some(CutoverOutcome::Busy),
        Some(CutoverOutcome::Done),
    ];
    let script = Script { begins: [CutoverOutcome::Done].into(), completes: completes.into(), ..ready() };
    let registry = serve(script, AWHILE).await;
    assert_eq!(registry.times("begin"), [0]);
    let completed = registry.times("complete");
    // Soon while it catches up, not so soon while a reader blocks it.
    assert_eq!(completed.len(), 4);
    assert!(completed[1] - completed[0] < 50 && completed[3] - completed[2] >= 100, "{completed:?}");
    assert!(registry.times("abort").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_cutover_that_cannot_be_completed_is_aborted() {
    for answer in [Some(CutoverOutcome::Behind(1)), Some(CutoverOutcome::Busy), None] {
        let script = Script { begins: [CutoverOutcome::Done].into(), completes: [answer].into(), ..ready() };
        let registry = serve(script, Duration::from_secs(20)).await;
        let released = registry.times("abort");
        assert_eq!(released.len(), 1, "{answer:?}");
        // A failure for good is not waited for.
        let expected = if answer.is_some() { 5_000..6_000 } else { 0..100 };
        assert!(expected.contains(&released[0]), "{answer:?}: {released:?}");
        assert_eq!(registry.0.lock().unwrap().conditions.len(), 1, "the reason is reported");
        assert!(!registry.0.lock().unwrap().fenced);
        assert!(registry.times("complete").iter().all(|at| *at <= released[0]), "{answer:?}");
    }
}

/// The process that fenced a read model has died, and the candidate is halted, or is far behind by now.
#[tokio::test(start_paused = true)]
async fn cutovers_of_others_are_aborted_as_well() {
    for (state, positions) in [(ProjectionState::Halted, [5, 3]), (ProjectionState::Running, [9_000, 5])] {
        let behind = Some(CutoverOutcome::Behind(positions[0] - positions[1]));
        let script = Script { state, positions, fenced: true, completes: [behind].into(), ..ready() };
        let registry = serve(script, Duration::from_secs(20)).await;
        assert_eq!(registry.times("abort").len(), 1, "{state:?} {positions:?}");
        assert!(!registry.0.lock().unwrap().fenced);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_fenced_for_a_candidate_that_cannot_catch_up() {
    for script in [
        Script { state: ProjectionState::Halted, positions: [5, 3], ..ready() },
        Script { positions: [9_000, 5], ..ready() },
        Script { promotion: Promotion::Manual, ..ready() },
        Script { done: true, ..ready() },
    ] {
        let reported = format!("{script:?}");
        let registry = serve(script, AWHILE).await;
        assert!(registry.times("begin").is_empty() && registry.times("complete").is_empty(), "{reported}");
        assert_eq!(registry.times("collect").len(), 2, "at the beginning and half a minute later");
    }
}

/// A candidate that failed once and gets on again is cut over to once it has caught up, whatever was reported last.
#[tokio::test(start_paused = true)]
async fn a_candidate_that_has_caught_up_serves_whatever_was_reported() {
    let script = Script {
        state: ProjectionState::Halted,
        begins: [CutoverOutcome::Done].into(),
        completes: [Some(CutoverOutcome::Done)].into(),
        ..ready()
    };
    let registry = serve(script, AWHILE).await;
    assert_eq!((registry.times("begin").len(), registry.times("complete").len()), (1, 1));
}

/// A projection that cannot be cut over is left alone for a while; others are looked after meanwhile.
#[tokio::test(start_paused = true)]
async fn a_failure_of_one_projection_leaves_the_others_alone() {
    let script = Script {
        broken: true,
        begins: [CutoverOutcome::Done].into(),
        completes: [Some(CutoverOutcome::Done)].into(),
        ..ready()
    };
    let high_water_mark = PublishedMark::default();
    high_water_mark.publish(&ends_at(Position::new(5)));
    let runs = candidate(&script);
    let registry = serve_in(script, Duration::from_secs(210), high_water_mark, Some(runs)).await;
    assert_eq!((registry.times("begin"), registry.times("complete").len()), (vec![0], 1));
    assert_eq!(registry.times("collect").len(), 8, "every half a minute");
    let failures = registry.times("fail");
    let pauses: Vec<u128> = failures.windows(2).map(|pair| (pair[1] - pair[0]) / 1_000).collect();
    assert_eq!(pauses, [5, 10, 20, 40, 60, 60], "{failures:?}");
}

#[tokio::test(start_paused = true)]
async fn read_models_are_removed_even_without_the_progress_of_others() {
    let registry = serve(Script { blind: true, stuck: 2, ..ready() }, AWHILE).await;
    assert!(registry.times("begin").is_empty());
    // Soon again while that fails, then as often as usual.
    assert_eq!(registry.times("collect"), [0, 5_000, 10_000]);
}

/// A reader of the serving read model does not come to an end: nothing is fenced, so there is nothing to complete.
#[tokio::test(start_paused = true)]
async fn a_read_model_that_cannot_be_fenced_is_left_alone() {
    let begins = [CutoverOutcome::Busy, CutoverOutcome::Done].into();
    let script = Script { begins, completes: [Some(CutoverOutcome::Done)].into(), ..ready() };
    let high_water_mark = PublishedMark::default();
    high_water_mark.publish(&ends_at(Position::new(5)));
    let runs = candidate(&script);
    let registry = serve_in(script, Duration::from_secs(12), high_water_mark, Some(runs)).await;
    let (begun, completed) = (registry.times("begin"), registry.times("complete"));
    assert!(begun.len() == 2 && (5_000..5_500).contains(&begun[1]), "{begun:?}");
    assert!(completed.len() == 1 && completed[0] >= begun[1], "{completed:?}");
    assert!(registry.times("abort").is_empty());
}

/// A process that has just been started does not know where the log ends: the candidate may be far behind it.
#[tokio::test(start_paused = true)]
async fn nothing_is_fenced_before_the_end_of_the_log_is_known() {
    let high_water_mark = PublishedMark::default();
    let script = || Script {
        begins: [CutoverOutcome::Done].into(),
        completes: [Some(CutoverOutcome::Done)].into(),
        ..ready()
    };
    let look = |high_water_mark: &PublishedMark| {
        let script = script();
        let runs = candidate(&script);
        serve_in(script, Duration::from_secs(2), high_water_mark.clone(), Some(runs))
    };
    assert!(look(&high_water_mark).await.times("begin").is_empty());
    high_water_mark.publish(&ends_at(Position::new(9_000)));
    assert!(look(&high_water_mark).await.times("begin").is_empty(), "it is far behind");
    // The log is empty: that is an end like any other.
    let high_water_mark = PublishedMark::default();
    high_water_mark.publish(&ends_at(Position::START));
    assert_eq!(look(&high_water_mark).await.times("begin").len(), 1);
}

/// Two processes, and a reader that keeps the serving read model for minutes: it is fenced for a small part of that
/// time, and the reason is reported.
#[tokio::test(start_paused = true)]
async fn two_controllers_fence_a_read_model_no_longer_than_one_does() {
    const LONG: u128 = 600;
    let script = Script {
        begins: [CutoverOutcome::Done].into(),
        completes: [Some(CutoverOutcome::Busy)].into(),
        ..ready()
    };
    let runs = candidate(&script);
    let registry = Arc::new(Scripted(Mutex::new(script)));
    let high_water_mark = PublishedMark::default();
    high_water_mark.publish(&ends_at(Position::new(5)));
    let serve = || {
        let metrics = Metrics::default().replica_set(&ReplicaSet::default());
        let controller = CutoverController {
            cutover: Arc::clone(&registry) as _,
            reports: Arc::clone(&registry) as _,
            high_water_mark: high_water_mark.clone(),
            metrics,
        };
        let (catalog_out, catalog) = watch::channel(Some(Arc::clone(&runs)));
        tokio::spawn(async move {
            let (_catalog, (_trigger, stop)) = (catalog_out, Shutdown::channel());
            let _ = tokio::time::timeout(Duration::from_secs(600), controller.serve(catalog, stop)).await;
        })
    };
    let controllers = [serve(), serve()];
    for controller in controllers {
        controller.await.unwrap();
    }
    let fenced: u128 = registry
        .times("complete")
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .filter(|pause| *pause <= 150)
        .sum();
    assert!(fenced / 1_000 < LONG / 4, "it was fenced for {fenced} ms");
    let script = registry.0.lock().unwrap();
    assert!(script.conditions.len() >= 8, "{:?}", script.conditions);
    assert!(
        script
            .conditions
            .iter()
            .all(|reported| reported.message.ends_with("a reader keeps the serving read model busy"))
    );
}
