//! Which components are loaded and which deployments run, decided from a random history: each decision against a second
//! statement of the rule. No store and no runtime is needed.

use kennel_core::random::Generator;
use kennel_test_support::guests::FakeComponent;
use kennel_test_support::samples;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const PAUSES: (Duration, Duration) = (SECOND, Duration::from_secs(10));

fn component(digest: Digest) -> Result<Arc<dyn Component>, Unloaded> {
    Ok(Arc::new(FakeComponent::new(digest, samples::descriptor("any"))))
}

fn failed(reason: &str) -> Result<Arc<dyn Component>, Unloaded> {
    Err(Unloaded::Failed(reason.to_owned()))
}

/// A deployment of the component with this only byte.
fn deployment(id: i64, projection: u64, role: Role, byte: u8) -> (Deployment, Role) {
    let deployment = Deployment {
        id: DeploymentId::new(id),
        read_model: ReadModelId::new(if role == Role::Serving { 0 } else { 100 } + projection.cast_signed()),
        ..samples::deployment(&format!("p{projection}"), 1, Digest::of(&[byte]))
    };
    (deployment, role)
}

/// A few projections, some with a candidate, of few components: often two deployments share one.
fn deployments(random: &mut Generator, id: &mut i64) -> Vec<(Deployment, Role)> {
    let mut wanted = Vec::new();
    for projection in 0..1 + random.below(4) {
        for role in [Role::Serving, Role::Candidate] {
            if role == Role::Serving || random.below(2) == 0 {
                *id += 1;
                wanted.push(deployment(*id, projection, role, u8::try_from(random.below(6)).unwrap()));
            }
        }
    }
    wanted
}

/// A second account of the components: those under way, and the outcome of the others.
#[derive(Default)]
struct Model {
    under_way: BTreeMap<Digest, Way>,
    ready: BTreeSet<Digest>,
    failed: BTreeSet<Digest>,
}

fn check(known: &Known, model: &Model, wanted: &[(Deployment, Role)], seed: u64) {
    let runnable = known.runnable().expect("the store has been looked at");
    let mut blocked = BTreeSet::new();
    for (deployment, role) in wanted {
        let Deployment { projection, digest, read_model, .. } = deployment;
        let runs = runnable.running.get(read_model);
        assert!(runs.is_none_or(|runs| runs.role == *role), "seed {seed}");
        if model.ready.contains(digest) {
            assert!(runs.is_some_and(|runs| runs.deployment.id == deployment.id), "seed {seed}: it is ready");
        } else if *role == Role::Serving && model.failed.contains(digest) {
            blocked.insert(Part::Projection(projection.clone()));
        } else if *role == Role::Serving && runs.is_none() {
            blocked.insert(Part::Start(projection.clone()));
        }
    }
    assert_eq!(runnable.blocked.into_keys().collect::<BTreeSet<_>>(), blocked, "seed {seed}");
    let read_models: BTreeSet<ReadModelId> = wanted.iter().map(|(one, _)| one.read_model).collect();
    assert!(runnable.running.keys().all(|read_model| read_models.contains(read_model)), "seed {seed}");
    let unloadable = wanted.iter().filter(|(one, _)| model.failed.contains(&one.digest)).count();
    assert_eq!(runnable.unloadable.len(), unloadable, "seed {seed}");
}

#[test]
fn components_are_loaded_and_deployments_run_as_the_rule_says() {
    let mut loaded = 0;
    for seed in 0..500 {
        let (mut random, mut now, mut id) = (Generator::new(seed), Instant::now(), 0);
        let (mut known, mut model, mut wanted) = (Known::default(), Model::default(), Vec::new());
        assert!(known.runnable().is_none());
        for step in 0..60 {
            now += SECOND * u32::try_from(random.below(4)).unwrap();
            if step == 0 || random.below(8) == 0 {
                wanted = deployments(&mut random, &mut id);
                let is_wanted = |digest: &Digest| wanted.iter().any(|(one, _)| one.digest == *digest);
                let gone = known.adopt(step, wanted.clone(), BTreeSet::new(), now);
                let expected = model.under_way.keys().filter(|digest| !is_wanted(digest));
                assert_eq!(gone.into_iter().collect::<BTreeSet<_>>(), expected.copied().collect());
                model.under_way.retain(|digest, _| is_wanted(digest));
                model.ready.retain(is_wanted);
                model.failed.retain(is_wanted);
                assert!(known.is_current(step) && !known.is_current(step + 1));
            }
            for (digest, way) in known.begin_missing(now) {
                assert!(!model.ready.contains(&digest), "seed {seed}: it is ready");
                assert_eq!(model.under_way.insert(digest, way), None, "seed {seed}: it is under way");
            }
            let loads = model.under_way.values().filter(|way| **way == Way::Load).count();
            assert!(loads <= LOADED_AT_ONCE, "seed {seed}");
            if let Some((digest, way)) = model.under_way.iter().next().map(|(digest, way)| (*digest, *way)) {
                model.under_way.remove(&digest);
                model.failed.remove(&digest);
                let outcome = match (way, random.below(3)) {
                    (Way::Find, 0 | 1) => Err(Unloaded::Absent),
                    (Way::Load, 0) => failed("no"),
                    (Way::Load, 1) => Err(Unloaded::Away("away".to_owned())),
                    _ => component(digest),
                };
                match &outcome {
                    Ok(_) => model.ready.insert(digest),
                    Err(Unloaded::Absent) => false,
                    Err(_) => model.failed.insert(digest),
                };
                loaded += u32::from(outcome.is_ok());
                known.finish(digest, outcome, PAUSES, now);
            }
            check(&known, &model, &wanted, seed);
            let running = known.runnable().map(|runnable| runnable.running).unwrap_or_default();
            let ids: Vec<DeploymentId> = running.values().map(|one| one.deployment.id).collect();
            known.run(running.clone());
            assert!(known.run(running).is_none(), "nothing has changed since");
            assert_eq!(known.running().iter().map(|one| one.deployment.id).collect::<Vec<_>>(), ids);
        }
    }
    assert!(loaded > 3_000, "{loaded}");
}

/// The first of what begins is what counts most: a serving deployment, and a component that has not failed.
#[test]
fn serving_deployments_come_first_and_failed_components_last() {
    let (mut known, now) = (Known::default(), Instant::now());
    let wanted = vec![
        deployment(1, 1, Role::Candidate, 1),
        deployment(2, 2, Role::Serving, 2),
        deployment(3, 3, Role::Serving, 3),
    ];
    let [candidate, fails, serving] = [1, 2, 3].map(|byte| Digest::of(&[byte]));
    known.adopt(1, wanted, BTreeSet::new(), now);
    let begun = known.begin_missing(now);
    assert_eq!(begun, [fails, serving, candidate].map(|digest| (digest, Way::Find)), "code that was kept");
    for digest in [candidate, fails, serving] {
        assert_eq!(known.finish(digest, Err(Unloaded::Absent), PAUSES, now), None);
    }
    assert_eq!(known.begin_missing(now), [fails, serving].map(|digest| (digest, Way::Load)));
    known.finish(fails, failed("no"), PAUSES, now);
    assert_eq!(known.begin_missing(now + SECOND), [(candidate, Way::Load)], "one that failed comes last");
    known.finish(serving, component(serving), PAUSES, now);
    assert_eq!(known.begin_missing(now), [], "it waits for its time");
    assert_eq!(known.begin_missing(now + SECOND), [(fails, Way::Load)]);
}

#[test]
fn a_failure_is_news_when_its_reason_changes_or_its_component_is_deployed_anew() {
    let (mut known, now) = (Known::default(), Instant::now());
    let digest = Digest::of(&[1]);
    let adopt = |known: &mut Known, id| {
        known.adopt(1, vec![deployment(id, 1, Role::Candidate, 1)], BTreeSet::new(), now);
    };
    adopt(&mut known, 1);
    let fail = |known: &mut Known, outcome| {
        let failure = known.finish(digest, outcome, PAUSES, now).unwrap();
        (failure.is_news, failure.again_in.as_secs())
    };
    let pauses = [(); 6].map(|()| fail(&mut known, failed("no")));
    assert_eq!(pauses, [(true, 1), (false, 2), (false, 4), (false, 8), (false, 10), (false, 10)]);
    assert_eq!(known.load_conditions()[&DeploymentId::new(1)].as_ref().unwrap().0, "no");
    adopt(&mut known, 2);
    assert_eq!(fail(&mut known, failed("no")), (true, 1), "its actor waits for the outcome");
    assert_eq!(fail(&mut known, failed("never")), (true, 2));
    assert_eq!(fail(&mut known, Err(Unloaded::Away("away".to_owned()))), (true, 1), "that costs little");
    known.finish(digest, component(digest), PAUSES, now);
    assert_eq!(known.load_conditions(), BTreeMap::from([(DeploymentId::new(2), None)]));
}
