//! The messages of the rules: every rejection, word by word.

use kennel_core::digest::Digest;
use kennel_core::lifecycle::{
    Activity, Deploy, Lifecycle, Mode, Operation, OperationRequest, Origin, Outcome, Promotion,
    ReadModelStatus, Rejected, Role,
};
use kennel_core::name::ProjectionName;
use kennel_core::projection::{Descriptor, Partitioning, Scope};

use super::steps::{carry_out, deploy, projection, rebuild, request};
use super::{host_step, operate, promote};

/// A rejection is one readable sentence or two about this projection.
pub(crate) fn assert_readable(rejected: &Rejected, projection: &ProjectionName) {
    let text = rejected.to_string();
    assert!(text.contains(projection.as_str()) && text.len() < 400, "{text}");
    assert!(!text.contains(['\n', '{', '"']) && !text.contains("  ") && !text.ends_with('.'), "{text}");
    assert!(!text.contains("Some(") && !text.contains("Digest"), "{text}");
}

fn message(lifecycle: &Lifecycle, operation: Operation, expected_deployment: Option<u32>) -> String {
    let request = OperationRequest { expected_deployment, ..request(operation, lifecycle, None) };
    kennel_core::lifecycle::decide(lifecycle, &request).unwrap_err().to_string()
}

fn lived(operations: &[Operation]) -> Lifecycle {
    let mut lifecycle = Lifecycle::new(projection());
    for operation in operations {
        let before = lifecycle.clone();
        operate(&mut lifecycle, operation.clone());
        assert_ne!(before, lifecycle, "{operation:?}");
    }
    lifecycle
}

fn continues(code: u8) -> Operation {
    Operation::Deploy(Box::new(deploy(code, 0, Mode::Continue)))
}

/// A lifecycle, an operation on it, the expected deployment, and the message of the rejection.
type Rejection<'a> = (&'a Lifecycle, Operation, Option<u32>, &'a str);

fn check(table: &[Rejection<'_>]) {
    for (lifecycle, operation, expected_deployment, expected) in table {
        assert_eq!(message(lifecycle, operation.clone(), *expected_deployment), *expected, "{operation:?}");
    }
}

const fn back(to: Option<u32>) -> Operation {
    Operation::Rollback { to }
}

#[test]
fn a_rejected_deployment_names_the_cause_and_the_remedy() {
    let component = Digest::of(&[1]).short();
    let first = lived(&[continues(1)]);
    let candidate = lived(&[continues(1), rebuild(2, Promotion::Auto)]);
    let elsewhere = Operation::Deploy(Box::new(Deploy {
        replica_set: Some("other".parse().unwrap()),
        ..deploy(2, 0, Mode::Continue)
    }));
    let other = |shape| Operation::Deploy(Box::new(deploy(2, shape, Mode::Continue)));
    let overtaken = format!(
        "deployment 1 of `order-summary` came first: component {component}, by ci-bot. Look at it with \
         `kennel deployments order-summary`, then try again"
    );
    let built_upon = |number| {
        Operation::Deploy(Box::new(Deploy { settings_from: Some(number), ..deploy(3, 0, Mode::Continue) }))
    };
    // Without a new number, since the deployment existed before: it was the candidate, and serves by now.
    let mut promoted = lived(&[continues(1), rebuild(2, Promotion::Auto)]);
    promote(&mut promoted);
    let by_the_second =
        overtaken.replace("deployment 1", "deployment 2").replace(&component, &Digest::of(&[2]).short());
    operate(&mut promoted.clone(), built_upon(2));
    check(&[
        (&first, continues(2), Some(0), &overtaken),
        (&promoted, built_upon(1), Some(2), &by_the_second),
        (
            &candidate,
            continues(3),
            None,
            "deployment 2 of `order-summary` is still a candidate: wait until it serves, promote it with \
             `kennel promote order-summary`, or cancel it with `kennel cancel order-summary`",
        ),
        (
            &first,
            other(4),
            None,
            "`order-summary` cannot go on with this component: its partitioning changes from by-aggregate to single. \
             What was handled so far may not be what the new code expects: build its read model anew with --mode rebuild",
        ),
        (
            &first,
            other(5),
            None,
            "`order-summary` cannot go on with this component: its name changes from `summary` to `digest`. \
             What was handled so far may not be what the new code expects: build its read model anew with --mode rebuild",
        ),
        (
            &first,
            elsewhere,
            None,
            "`order-summary` belongs to the replica set main: leave --replica-set out, or retire it there first",
        ),
    ]);
}

#[test]
fn any_other_rejection_names_the_cause_and_the_remedy() {
    let component = Digest::of(&[1]).short();
    let first = lived(&[continues(1)]);
    let candidate = lived(&[continues(1), rebuild(2, Promotion::Auto)]);
    let retired = lived(&[continues(1), Operation::Retire { drop: false }]);
    let dropped = lived(&[continues(1), Operation::Retire { drop: true }, continues(2)]);
    let returned = lived(&[continues(1), continues(2), back(None)]);
    let gone = format!(
        "the read model of deployment 1 is gone: `kennel deploy order-summary {component} --mode rebuild` builds it anew"
    );
    check(&[
        (
            &Lifecycle::new(projection()),
            Operation::Pause,
            None,
            "there is no projection `order-summary`: `kennel status` lists those that there are",
        ),
        (
            &first,
            Operation::Cancel,
            None,
            "`order-summary` has no candidate: `kennel deployments order-summary` shows its history",
        ),
        (
            &first,
            back(None),
            None,
            "`order-summary` has no earlier deployment that served: `kennel deployments order-summary` shows its history",
        ),
        (
            &returned,
            back(None),
            None,
            "deployment 3 of `order-summary` is a rollback already, to deployment 1: say with --to which deployment to \
             return to. `kennel deployments order-summary` lists them",
        ),
        (
            &candidate,
            back(Some(2)),
            None,
            "`order-summary` has no deployment 2 that served: `kennel deployments order-summary` lists them",
        ),
        (
            &first,
            back(Some(1)),
            None,
            "deployment 1 of `order-summary` serves already: `kennel deployments order-summary` lists the others",
        ),
        (&dropped, back(Some(1)), None, &gone),
        (&retired, Operation::Resume, None, "`order-summary` is retired: `kennel deploy` brings it back"),
        (&retired, back(None), Some(0), "`order-summary` is retired: `kennel deploy` brings it back"),
    ]);
}

/// An operation that changes nothing, or cannot be carried out, is answered so, whether or not others came first.
#[test]
fn only_an_operation_that_changes_something_can_be_overtaken() {
    let lifecycle = lived(&[continues(1), continues(2)]);
    let stale = Some(1);
    assert!(message(&lifecycle, continues(3), stale).contains("came first"));
    assert!(message(&lifecycle, Operation::Pause, stale).contains("came first"));
    assert!(message(&lifecycle, Operation::Cancel, stale).contains("no candidate"));
    let mut after = lifecycle.clone();
    let same = OperationRequest { expected_deployment: stale, ..request(continues(2), &lifecycle, None) };
    assert_eq!(carry_out(&mut after, &same), super::Answer::Same(Some(2)));
    let known = OperationRequest { expected_deployment: Some(2), ..request(continues(3), &lifecycle, None) };
    assert_eq!(carry_out(&mut after, &known), super::Answer::Changed(Some(3)));
}

#[test]
fn the_difference_that_forbids_to_continue_is_named() {
    let list = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
    let of = |scope: Scope| Descriptor {
        name: "n".to_owned(),
        version: "1".to_owned(),
        scope,
        partitioning: Partitioning::ByAggregate,
        collections: Vec::new(),
    };
    let many: Vec<String> = (10..20).map(|number| format!("t{number}")).collect();
    let contexts = |values: &[&str]| of(Scope { bounded_contexts: list(values), ..Scope::default() });
    let aggregates = |values: &[&str]| of(Scope { aggregate_types: list(values), ..Scope::default() });
    let types = |values: &[&str]| of(Scope { event_types: list(values), ..Scope::default() });
    let table = [
        (contexts(&[]), contexts(&["a"]), "the bounded contexts in its scope change from all to a"),
        (
            aggregates(&["b", "a"]),
            aggregates(&["c", "a"]),
            "the aggregate types in its scope change from a, b to a, c",
        ),
        (types(&["x", "x"]), types(&[]), "the event types in its scope change from x to all"),
        (
            types(&["x"]),
            of(Scope { event_types: many, ..Scope::default() }),
            "the event types in its scope change from x to t10, t11, t12, t13, t14, t15, t16, t17, … (10 of them)",
        ),
        (
            of(Scope { aggregate_types: list(&["a"]), event_types: list(&["x"]), ..Scope::default() }),
            of(Scope::default()),
            "the aggregate types in its scope change from a to all",
        ),
    ];
    for (old, new, expected) in table {
        let lifecycle =
            lived(&[Operation::Deploy(Box::new(Deploy { descriptor: old, ..deploy(1, 0, Mode::Continue) }))]);
        let next = Deploy { descriptor: new, ..deploy(2, 0, Mode::Continue) };
        let text = message(&lifecycle, Operation::Deploy(Box::new(next)), None);
        let (before, rest) = text.split_once(": ").unwrap();
        assert_eq!(before, "`order-summary` cannot go on with this component");
        assert!(rest.starts_with(&format!("{expected}. ")), "{rest}");
    }
}

#[test]
fn names_in_stores_keep_their_meaning() {
    macro_rules! names {
        ($($kind:ident: $($variant:ident)*;)*) => {
            vec![$($({
                let value = $kind::$variant;
                assert_eq!(value.as_str().parse(), Ok($kind::$variant));
                assert_eq!(value.to_string(), value.as_str());
                assert_eq!(serde_json::to_string(&value).unwrap(), format!("\"{value}\""));
                value.as_str()
            },)*)*]
        };
    }
    let all = names! {
        Mode: Continue Rebuild;
        Origin: First Continue Rebuild Rollback;
        Promotion: Auto Manual;
        Outcome: Serving Candidate Superseded Cancelled;
        Activity: Running Paused Retired;
        ReadModelStatus: Active Fenced Deleting;
        Role: Serving Candidate;
    };
    let expected = "continue rebuild first continue rebuild rollback auto manual serving candidate superseded cancelled \
                    running paused retired active fenced deleting serving candidate";
    assert_eq!(all.join(" "), expected);
    let unknown = "reboot".parse::<Mode>().unwrap_err().to_string();
    assert_eq!(unknown, "`reboot` is not a mode: use `continue` or `rebuild`");
}

/// A lifecycle with a cutover in it.
#[test]
fn a_lifecycle_finds_its_deployments() {
    let mut lifecycle = lived(&[continues(1), rebuild(2, Promotion::Manual)]);
    assert_eq!(lifecycle.previous(), None);
    assert_eq!(host_step(&mut lifecycle, kennel_core::lifecycle::begin_cutover), super::Answer::Same(None));
    promote(&mut lifecycle);
    assert_eq!(lifecycle.previous().map(|entry| entry.deployment.number), Some(1));
    assert_eq!(lifecycle.numbered(2), lifecycle.serving());
    assert_eq!((lifecycle.numbered(3), lifecycle.latest()), (None, 2));
}
