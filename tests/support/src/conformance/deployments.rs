//! Components, deployments and reports about them. How a projection changes is in `lifecycle`.

use kennel_core::checkpoint::Checkpoint;
use kennel_core::condition::{Condition, ConditionReason, ReportedCondition};
use kennel_core::digest::Digest;
use kennel_core::failure::{EventFailure, FailureKind};
use kennel_core::lifecycle::{Activity, Deploy, Mode, Operation, Promotion, Role};
use kennel_core::port::ProjectionState;
use kennel_core::position::Position;
use kennel_core::projection::Deployment;
use uuid::Uuid;

use super::{StorePorts, ask, deploy, name, new_code, replica_set};

pub async fn components_are_kept_by_digest(store: &dyn StorePorts) {
    let bytes: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let digest = Digest::of(&bytes);
    assert_eq!(store.component(digest).await.unwrap(), None);
    store.put_component(digest, &bytes).await.unwrap();
    store.put_component(digest, &bytes).await.unwrap();
    assert_eq!(store.component(digest).await.unwrap(), Some(bytes));
}

pub async fn components_are_listed_with_those_who_use_them(store: &dyn StorePorts) {
    assert!(store.components().await.unwrap().is_empty());
    for text in ["unused", "b", "a"] {
        store.put_component(Digest::of(text.as_bytes()), text.as_bytes()).await.unwrap();
        // Their times have to differ: the order is by time.
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    // Stored once more, it stays where it was.
    store.put_component(Digest::of(b"unused"), b"unused").await.unwrap();
    for (projection, code) in [("b", "b"), ("a", "a"), ("a", "b"), ("a", "a")] {
        let deploy = new_code(projection, code, Mode::Continue);
        assert!(ask(store, projection, Operation::Deploy(Box::new(deploy))).await.unwrap().changed);
    }
    let listed = store.components().await.unwrap();
    let reported: Vec<_> = listed
        .iter()
        .map(|one| {
            let users = one.used_by.iter().map(|(projection, number)| format!("{projection} {number}"));
            (one.digest, one.bytes, users.collect::<Vec<_>>().join(", "))
        })
        .collect();
    let expected = [("a", 1, "a 1, a 3"), ("b", 1, "a 2, b 1"), ("unused", 6, "")];
    let expected =
        expected.map(|(text, bytes, users)| (Digest::of(text.as_bytes()), bytes, users.to_owned()));
    assert_eq!(reported, expected);
    assert!(listed.windows(2).all(|pair| pair[0].stored_at > pair[1].stored_at), "{listed:?}");
}

pub async fn the_serving_code_is_not_deployed_again(store: &dyn StorePorts) {
    let deployed = deploy(store, "order-summary").await;
    assert_eq!(deployed.number, 1);
    let asked = new_code("order-summary", "order-summary", Mode::Continue);
    for mode in [Mode::Continue, Mode::Rebuild] {
        let repeated = Deploy { mode, ..asked.clone() };
        let before = store.revision().await.unwrap();
        let answer = ask(store, "order-summary", Operation::Deploy(Box::new(repeated))).await.unwrap();
        assert_eq!((answer.number, answer.changed), (Some(1), false));
        assert_eq!(answer.lifecycle.history.len(), 1);
        assert_eq!(store.revision().await.unwrap(), before);
    }
    let found = store.find(&name("order-summary")).await.unwrap().unwrap();
    assert_eq!(found, deployed);
    assert_eq!(
        (found.descriptor, found.settings, found.digest),
        (asked.descriptor, asked.settings, asked.digest)
    );
    assert_eq!(store.find(&name("unknown")).await.unwrap(), None);
}

pub async fn deployments_are_listed_by_replica_set_and_name(store: &dyn StorePorts) {
    for name in ["b-c", "a", "b_c", "b"] {
        deploy(store, name).await;
    }
    let elsewhere =
        Deploy { replica_set: Some("other".parse().unwrap()), ..new_code("elsewhere", "e", Mode::Continue) };
    ask(store, "elsewhere", Operation::Deploy(Box::new(elsewhere))).await.unwrap();
    let names = |list: Vec<(Deployment, Role)>| {
        list.into_iter().map(|(one, role)| format!("{} {role}", one.projection)).collect::<Vec<_>>()
    };
    let ours = store.active(&replica_set()).await.unwrap();
    assert_eq!(names(ours), ["a serving", "b serving", "b-c serving", "b_c serving"]);
    assert_eq!(names(store.active(&"other".parse().unwrap()).await.unwrap()), ["elsewhere serving"]);
    assert!(store.active(&"none".parse().unwrap()).await.unwrap().is_empty());
    assert_eq!(store.progress().await.unwrap().len(), 5);
}

pub async fn progress_shows_state_and_last_failure(store: &dyn StorePorts) {
    assert!(store.progress().await.unwrap().is_empty());
    let deployment = deploy(store, "order-summary").await;
    let progress = store.progress().await.unwrap().remove(0);
    assert_eq!(progress.deployment, deployment);
    assert_eq!((progress.state, progress.last_failure), (ProjectionState::Running, None));
    assert_eq!((progress.checkpoints, progress.dead_letters), (vec![Checkpoint::INITIAL], 0));
    assert_eq!(
        (progress.role, progress.activity, progress.promotion, progress.from),
        (Role::Serving, Activity::Running, Promotion::Auto, Position::START)
    );
    let failure = EventFailure {
        position: Position::new(7),
        event_id: Some(Uuid::from_u128(7)),
        event_type: "t".to_owned(),
        aggregate_id: "a\0'\"".to_owned(),
        digest: deployment.digest,
        kind: FailureKind::TimeLimit,
        message: "m".repeat(4096),
        attempts: 2,
    };
    store.report(deployment.id, ProjectionState::Retrying, Some(&failure)).await.unwrap();
    store.report(deployment.id, ProjectionState::Halted, None).await.unwrap();
    let progress = store.progress().await.unwrap().remove(0);
    assert_eq!((progress.state, progress.last_failure), (ProjectionState::Halted, Some(failure.clone())));
    // Another partition retries an event and gets on: this one is still halted where it was.
    let other = EventFailure { aggregate_id: "b".to_owned(), ..failure.clone() };
    store.report(deployment.id, ProjectionState::Retrying, Some(&other)).await.unwrap();
    let progress = store.progress().await.unwrap().remove(0);
    assert_eq!((progress.state, progress.last_failure), (ProjectionState::Halted, Some(failure)));
    // A report of a deployment is not one of the next, on whatever read model.
    for mode in [Mode::Continue, Mode::Rebuild] {
        let code = new_code("order-summary", mode.as_str(), mode);
        ask(store, "order-summary", Operation::Deploy(Box::new(code))).await.unwrap();
        let latest = store.progress().await.unwrap().pop().unwrap();
        assert_eq!(latest.deployment.digest, Digest::of(mode.as_str().as_bytes()));
        assert_eq!((latest.state, latest.last_failure), (ProjectionState::Running, None), "{mode}");
    }
}

pub async fn conditions_of_a_candidate_are_reported(store: &dyn StorePorts) {
    deploy(store, "order-summary").await;
    let code = new_code("order-summary", "2", Mode::Rebuild);
    let changed = ask(store, "order-summary", Operation::Deploy(Box::new(code))).await.unwrap();
    let candidate = changed.lifecycle.candidate().unwrap().deployment.id;
    let conditions = || async {
        let progress = store.progress().await.unwrap();
        let rendered = |all: Vec<ReportedCondition>| {
            let each = all.into_iter().map(|one| format!("{} {}", one.source, one.condition.message));
            each.collect::<Vec<_>>().join("; ")
        };
        progress.into_iter().map(|one| rendered(one.conditions)).collect::<Vec<_>>()
    };
    let steps: [(&str, Option<&str>, &str); 6] = [
        ("b", Some("no memory"), "b no memory"),
        ("a", Some("none \"at\" all"), "a none \"at\" all; b no memory"),
        ("b", Some("no disk"), "a none \"at\" all; b no disk"),
        ("c", None, "a none \"at\" all; b no disk"),
        ("a", None, "b no disk"),
        ("b", None, ""),
    ];
    for (source, message, reported) in steps {
        let condition = message.map(|message| condition(ConditionReason::ComponentNotLoaded, message));
        store.report_condition(candidate, source, condition.as_ref()).await.unwrap();
        assert_eq!(conditions().await, ["", reported], "{source} {message:?}");
    }
    let condition = condition(ConditionReason::ComponentNotLoaded, "no memory");
    store.report_condition(candidate, "a", Some(&condition)).await.unwrap();
    ask(store, "order-summary", Operation::Cancel).await.unwrap();
    assert_eq!(conditions().await, [""], "of a cancelled candidate nothing is reported");
}

fn condition(reason: ConditionReason, message: &str) -> Condition {
    Condition { reason, message: message.to_owned() }
}

pub async fn a_condition_has_the_time_since_when_its_reason_is_reported(store: &dyn StorePorts) {
    deploy(store, "order-summary").await;
    let code = new_code("order-summary", "2", Mode::Rebuild);
    let changed = ask(store, "order-summary", Operation::Deploy(Box::new(code))).await.unwrap();
    let candidate = changed.lifecycle.candidate().unwrap().deployment.id;
    let reported = async |reason, message: &str| {
        // Times have to differ: they are compared.
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        let condition = condition(reason, message);
        store.report_condition(candidate, "a", Some(&condition)).await.unwrap();
        let mut conditions = store.progress().await.unwrap().remove(1).conditions;
        let one = conditions.remove(0);
        assert_eq!((conditions, one.source.as_str(), &one.condition), (Vec::new(), "a", &condition));
        one.since.unwrap()
    };
    let first = reported(ConditionReason::ComponentNotLoaded, "no memory").await;
    assert_eq!(reported(ConditionReason::ComponentNotLoaded, "no memory").await, first);
    assert_eq!(
        reported(ConditionReason::ComponentNotLoaded, "no disk").await,
        first,
        "the reason is the same"
    );
    let other = reported(ConditionReason::CutoverBlocked, "no disk").await;
    assert!(other > first, "{other} is not after {first}");
    store.report_condition(candidate, "a", None).await.unwrap();
    assert!(reported(ConditionReason::CutoverBlocked, "no disk").await > other, "it was over meanwhile");
}

pub async fn a_deployment_that_serves_has_the_conditions_of_its_role(store: &dyn StorePorts) {
    deploy(store, "order-summary").await;
    let serving = store.find(&name("order-summary")).await.unwrap().unwrap().id;
    for (source, reason) in
        [("a", ConditionReason::ComponentNotLoaded), ("cutover controller", ConditionReason::CutoverBlocked)]
    {
        store.report_condition(serving, source, Some(&condition(reason, "no memory"))).await.unwrap();
    }
    let progress = store.progress().await.unwrap().remove(0);
    let reasons: Vec<ConditionReason> = progress.conditions.iter().map(|one| one.condition.reason).collect();
    assert_eq!(reasons, [ConditionReason::ComponentNotLoaded]);
}

/// `pass` has more time pass than a condition is kept without being reported again.
pub async fn a_condition_that_is_not_reported_again_expires(store: &dyn StorePorts, pass: impl AsyncFn()) {
    deploy(store, "order-summary").await;
    let code = new_code("order-summary", "2", Mode::Rebuild);
    let changed = ask(store, "order-summary", Operation::Deploy(Box::new(code))).await.unwrap();
    let candidate = changed.lifecycle.candidate().unwrap().deployment.id;
    let condition = condition(ConditionReason::CutoverBlocked, "a reader blocks it");
    let conditions = async || store.progress().await.unwrap().remove(1).conditions;
    store.report_condition(candidate, "a", Some(&condition)).await.unwrap();
    let since = conditions().await[0].since;
    pass().await;
    assert_eq!(conditions().await, []);
    // What has expired and comes back is new, whether the remains of the old one were removed or not.
    store.report_condition(candidate, "a", Some(&condition)).await.unwrap();
    let again = conditions().await[0].since;
    assert!(again > since, "{again:?} is not after {since:?}");
    pass().await;
    store.collect_garbage().await.unwrap();
    assert_eq!(conditions().await, []);
}
