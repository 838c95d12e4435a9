//! What the law says to people: every refusal, word by word.

use kennel_core::digest::Digest;
use kennel_core::lifecycle::{
    Activity, Command, Declined, Deploy, Lifecycle, Mode, Origin, Outcome, Request, Stage, Standing, Switch,
};
use kennel_core::name::ProjectionName;
use kennel_core::projection::{Descriptor, Partitioning, Scope};

use super::stage::{carry_out, deploy, projection, rebuild, request};
use super::{host_step, order, switch};

/// A refusal is one readable sentence or two about this projection.
pub(crate) fn assert_readable(declined: &Declined, projection: &ProjectionName) {
    let text = declined.to_string();
    assert!(text.contains(projection.as_str()) && text.len() < 400, "{text}");
    assert!(!text.contains(['\n', '{', '"']) && !text.contains("  ") && !text.ends_with('.'), "{text}");
    assert!(!text.contains("Some(") && !text.contains("Digest"), "{text}");
}

fn words(lifecycle: &Lifecycle, command: Command, seen: Option<u32>) -> String {
    let request = Request { seen, ..request(command, lifecycle, None) };
    kennel_core::lifecycle::decide(lifecycle, &request).unwrap_err().to_string()
}

fn lived(commands: &[Command]) -> Lifecycle {
    let mut lifecycle = Lifecycle::unborn(projection());
    for command in commands {
        let before = lifecycle.clone();
        order(&mut lifecycle, command.clone());
        assert_ne!(before, lifecycle, "{command:?}");
    }
    lifecycle
}

fn continues(code: u8) -> Command {
    Command::Deploy(Box::new(deploy(code, 0, Mode::Continue)))
}

/// A life, what is ordered then by somebody who has seen so many deployments, and what they are told.
type Refusal<'a> = (&'a Lifecycle, Command, Option<u32>, &'a str);

fn check(table: &[Refusal<'_>]) {
    for (lifecycle, command, seen, expected) in table {
        assert_eq!(words(lifecycle, command.clone(), *seen), *expected, "{command:?}");
    }
}

const fn back(to: Option<u32>) -> Command {
    Command::Rollback { to }
}

#[test]
fn a_refused_deployment_is_told_what_is_and_what_to_do() {
    let component = Digest::of(&[1]).short();
    let first = lived(&[continues(1)]);
    let building = lived(&[continues(1), rebuild(2, Switch::Auto)]);
    let elsewhere = Command::Deploy(Box::new(Deploy {
        replica_set: Some("other".parse().unwrap()),
        ..deploy(2, 0, Mode::Continue)
    }));
    let other = |shape| Command::Deploy(Box::new(deploy(2, shape, Mode::Continue)));
    let overtaken = format!(
        "deployment 1 of `order-summary` came first: component {component}, by somebody. Look at it with \
         `kennel deployments order-summary`, then try again"
    );
    let built_upon = |number| {
        Command::Deploy(Box::new(Deploy { settings_of: Some(number), ..deploy(3, 0, Mode::Continue) }))
    };
    // Without a new number, since that was there before: it was being built, and serves by now.
    let mut switched = lived(&[continues(1), rebuild(2, Switch::Auto)]);
    switch(&mut switched);
    let by_the_second =
        overtaken.replace("deployment 1", "deployment 2").replace(&component, &Digest::of(&[2]).short());
    order(&mut switched.clone(), built_upon(2));
    check(&[
        (&first, continues(2), Some(0), &overtaken),
        (&switched, built_upon(1), Some(2), &by_the_second),
        (
            &building,
            continues(3),
            None,
            "deployment 2 of `order-summary` is still being built: wait until it serves, have it serve with \
             `kennel switch order-summary`, or give it up with `kennel cancel order-summary`",
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
            "`order-summary` cannot go on with this component: it calls itself `digest`, and what serves `summary`. \
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
fn any_other_refused_order_is_told_what_is_and_what_to_do() {
    let component = Digest::of(&[1]).short();
    let first = lived(&[continues(1)]);
    let building = lived(&[continues(1), rebuild(2, Switch::Auto)]);
    let retired = lived(&[continues(1), Command::Retire { drop: false }]);
    let dropped = lived(&[continues(1), Command::Retire { drop: true }, continues(2)]);
    let returned = lived(&[continues(1), continues(2), back(None)]);
    let gone = format!(
        "the read model of deployment 1 is gone: `kennel deploy order-summary {component} --mode rebuild` builds it anew"
    );
    check(&[
        (
            &Lifecycle::unborn(projection()),
            Command::Pause,
            None,
            "there is no projection `order-summary`: `kennel status` lists those that there are",
        ),
        (
            &first,
            Command::Cancel,
            None,
            "nothing of `order-summary` is being built: `kennel deployments order-summary` shows what became of it",
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
            &building,
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
        (&retired, Command::Resume, None, "`order-summary` is retired: `kennel deploy` brings it back"),
        (&retired, back(None), Some(0), "`order-summary` is retired: `kennel deploy` brings it back"),
    ]);
}

/// Whoever wants what is there already, or what cannot be, hears that, whether or not others came first.
#[test]
fn only_what_would_change_something_can_be_overtaken() {
    let lifecycle = lived(&[continues(1), continues(2)]);
    let stale = Some(1);
    assert!(words(&lifecycle, continues(3), stale).contains("came first"));
    assert!(words(&lifecycle, Command::Pause, stale).contains("came first"));
    assert!(words(&lifecycle, Command::Cancel, stale).contains("nothing"));
    let mut after = lifecycle.clone();
    let same = Request { seen: stale, ..request(continues(2), &lifecycle, None) };
    assert_eq!(carry_out(&mut after, &same), super::Answer::Same(Some(2)));
    let known = Request { seen: Some(2), ..request(continues(3), &lifecycle, None) };
    assert_eq!(carry_out(&mut after, &known), super::Answer::Changed(Some(3)));
}

#[test]
fn the_difference_that_forbids_to_go_on_is_named() {
    let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let of = |scope: Scope| Descriptor {
        name: "n".to_owned(),
        version: "1".to_owned(),
        scope,
        partitioning: Partitioning::ByAggregate,
    };
    let many: Vec<String> = (10..20).map(|number| format!("t{number}")).collect();
    let contexts = |words: &[&str]| of(Scope { bounded_contexts: list(words), ..Scope::default() });
    let aggregates = |words: &[&str]| of(Scope { aggregate_types: list(words), ..Scope::default() });
    let types = |words: &[&str]| of(Scope { event_types: list(words), ..Scope::default() });
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
            lived(&[Command::Deploy(Box::new(Deploy { descriptor: old, ..deploy(1, 0, Mode::Continue) }))]);
        let next = Deploy { descriptor: new, ..deploy(2, 0, Mode::Continue) };
        let said = words(&lifecycle, Command::Deploy(Box::new(next)), None);
        let (before, rest) = said.split_once(": ").unwrap();
        assert_eq!(before, "`order-summary` cannot go on with this component");
        assert!(rest.starts_with(&format!("{expected}. ")), "{rest}");
    }
}

#[test]
fn words_that_stores_keep_mean_what_they_meant() {
    macro_rules! words {
        ($($kind:ident: $($variant:ident)*;)*) => {
            vec![$($({
                let word = $kind::$variant;
                assert_eq!(word.as_str().parse(), Ok($kind::$variant));
                assert_eq!(word.to_string(), word.as_str());
                assert_eq!(serde_json::to_string(&word).unwrap(), format!("\"{word}\""));
                word.as_str()
            },)*)*]
        };
    }
    let all = words! {
        Mode: Continue Rebuild;
        Origin: First Continue Rebuild Rollback;
        Switch: Auto Manual;
        Outcome: Live Building Superseded Cancelled;
        Activity: Running Paused Retired;
        Standing: Open Held Condemned;
        Stage: Live Building;
    };
    let expected = "continue rebuild first continue rebuild rollback auto manual live building superseded cancelled \
                    running paused retired open held condemned live building";
    assert_eq!(all.join(" "), expected);
    let unknown = "reboot".parse::<Mode>().unwrap_err().to_string();
    assert_eq!(unknown, "`reboot` is not a mode: use `continue`, `rebuild`");
}

/// A life with a switch in it, told from its own pictures.
#[test]
fn a_life_answers_what_it_is_asked() {
    let mut lifecycle = lived(&[continues(1), rebuild(2, Switch::Manual)]);
    assert_eq!(lifecycle.previous(), None);
    assert_eq!(host_step(&mut lifecycle, kennel_core::lifecycle::freeze), super::Answer::Same(None));
    switch(&mut lifecycle);
    assert_eq!(lifecycle.previous().map(|entry| entry.deployment.number), Some(1));
    assert_eq!(lifecycle.numbered(2), lifecycle.live());
    assert_eq!((lifecycle.numbered(3), lifecycle.latest()), (None, 2));
}
