//! Lives to be led: random steps, and a store of one projection that carries out decisions.

use kennel_core::digest::Digest;
use kennel_core::lifecycle::{
    Command, Decision, Declined, Deploy, Entry, Lifecycle, Mode, Request, Signature, Standing, Switch,
    Verdict, decide,
};
use kennel_core::name::ProjectionName;
use kennel_core::position::Position;
use kennel_core::projection::{
    Deployment, DeploymentId, Descriptor, Partitioning, ReadModelId, Scope, Settings,
};
use proptest::prelude::*;

use super::Answer;

/// Something that happens to a projection.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// With the number of deployments that its author has not seen; `None` if they do not care.
    Command(Command, Option<u32>),
    Freeze,
    Thaw,
    Complete,
}

pub(crate) fn projection() -> ProjectionName {
    "order-summary".parse().unwrap()
}

/// Descriptors by number: 0 and 1 differ in nothing that matters, 2 and 3 want other events than they, 4 is
/// divided otherwise, 5 calls itself otherwise.
pub(crate) fn descriptor(shape: u8) -> Descriptor {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let (event_types, partitioning): (Vec<String>, _) = match shape {
        0 | 5 => (words(&["Opened", "Paid"]), Partitioning::ByAggregate),
        1 => (words(&["Paid", "Opened", "Paid"]), Partitioning::ByAggregate),
        2 => (words(&["Opened"]), Partitioning::ByAggregate),
        3 => (Vec::new(), Partitioning::ByAggregate),
        _ => (words(&["Opened", "Paid"]), Partitioning::Single),
    };
    let scope = Scope { event_types, ..Scope::default() };
    let name = if shape == 5 { "digest" } else { "summary" }.to_owned();
    Descriptor { name, version: format!("{shape}.0.0"), scope, partitioning }
}

pub(crate) fn deploy(code: u8, shape: u8, mode: Mode) -> Deploy {
    Deploy {
        digest: Digest::of(&[code]),
        descriptor: descriptor(shape),
        settings: Settings::default(),
        settings_of: None,
        mode,
        switch: Switch::Auto,
        replica_set: None,
        again: false,
    }
}

pub(crate) fn rebuild(code: u8, switch: Switch) -> Command {
    Command::Deploy(Box::new(Deploy { switch, ..deploy(code, 0, Mode::Rebuild) }))
}

fn commands() -> impl Strategy<Value = Command> {
    let sets = prop_oneof![
        6 => Just(None),
        1 => Just(Some("main".parse().unwrap())),
        1 => Just(Some("other".parse().unwrap())),
    ];
    let mode = prop_oneof![Just(Mode::Continue), Just(Mode::Rebuild)];
    let switch = prop_oneof![2 => Just(Switch::Auto), 1 => Just(Switch::Manual)];
    // Mostly what fits, so that lives grow long.
    let shape = prop_oneof![6 => 0..2_u8, 1 => 2..6_u8];
    let deploys = (0..4_u8, shape, 0..2_usize, mode, switch, sets, prop::bool::weighted(0.2)).prop_map(
        |(code, shape, settings, mode, switch, replica_set, again)| {
            let settings = Settings { batch: 100 + settings, ..Settings::default() };
            let deploy = Deploy { settings, switch, replica_set, again, ..deploy(code, shape, mode) };
            Command::Deploy(Box::new(deploy))
        },
    );
    prop_oneof![
        10 => deploys,
        4 => prop::option::weighted(0.4, 0..9_u32).prop_map(|to| Command::Rollback { to }),
        2 => Just(Command::Switch),
        2 => Just(Command::Cancel),
        1 => Just(Command::Pause),
        3 => Just(Command::Resume),
        1 => (0..9_u64).prop_map(|after| Command::AcceptLog { after: Position::new(after) }),
        1 => prop::bool::weighted(0.3).prop_map(|drop| Command::Retire { drop }),
    ]
}

/// Any life, in which switches come to an end often enough.
pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let missed = prop_oneof![6 => Just(None), 2 => Just(Some(0)), 1 => (1..3_u32).prop_map(Some)];
    let step = prop_oneof![
        10 => (commands(), missed).prop_map(|(command, missed)| Step::Command(command, missed)),
        4 => Just(Step::Freeze),
        1 => Just(Step::Thaw),
        4 => Just(Step::Complete),
    ];
    prop::collection::vec(step, 1..40)
}

/// A request whose author has not seen the latest `missed` deployments.
pub(crate) fn request(command: Command, lifecycle: &Lifecycle, missed: Option<u32>) -> Request {
    let signature = Signature { author: "somebody".to_owned(), note: None };
    Request { command, signature, seen: missed.map(|missed| lifecycle.latest().saturating_sub(missed)) }
}

/// Has a command carried out, or declined.
pub(crate) fn carry_out(lifecycle: &mut Lifecycle, request: &Request) -> Answer {
    match decide(lifecycle, request) {
        Err(declined) => {
            super::words::assert_readable(&declined, &lifecycle.projection);
            Answer::Declined(kind(&declined))
        }
        Ok(Verdict::Unchanged(about)) => Answer::Same(about),
        Ok(Verdict::Change(decision)) => {
            *lifecycle = apply(lifecycle, &decision);
            Answer::Changed(decision.about)
        }
    }
}

fn kind(declined: &Declined) -> &'static str {
    match declined {
        Declined::Missing(_) => "missing",
        Declined::Overtaken { .. } => "overtaken",
        Declined::InTheWay { .. } => "in the way",
        Declined::Incompatible { .. } => "incompatible",
        Declined::Elsewhere { .. } => "elsewhere",
        Declined::NothingBuilding(_) => "nothing building",
        Declined::NothingBefore(_) => "nothing before",
        Declined::NoSuchDeployment { .. } => "no such deployment",
        Declined::RolledBack { .. } => "rolled back",
        Declined::ServesAlready { .. } => "serves already",
        Declined::ReadModelGone { .. } => "read model gone",
        Declined::Retired(_) => "retired",
        Declined::LogHolds(_) => "log holds",
        Declined::BeyondLog { .. } => "beyond log",
    }
}

/// Does what a decision says, as every store has to.
pub(crate) fn apply(before: &Lifecycle, decision: &Decision) -> Lifecycle {
    let mut after = Lifecycle {
        replica_set: decision.replica_set.clone(),
        activity: decision.activity,
        switch: decision.switch,
        frozen: decision.frozen,
        ..before.clone()
    };
    for (number, outcome) in &decision.outcomes {
        let entry = after.history.iter_mut().find(|entry| entry.deployment.number == *number).unwrap();
        entry.outcome = *outcome;
    }
    let mut all = before.read_models.clone();
    if let Some(new) = &decision.new {
        let used = before.history.iter().map(|entry| entry.deployment.read_model.get()).max().unwrap_or(0);
        let read_model = new.read_model.unwrap_or(ReadModelId::new(used + 1));
        if new.read_model.is_none() {
            all.push(read_model);
        }
        let deployment = Deployment {
            id: DeploymentId::new(i64::from(new.number)),
            projection: before.projection.clone(),
            replica_set: decision.replica_set.clone(),
            number: new.number,
            digest: new.digest,
            descriptor: new.descriptor.clone(),
            settings: new.settings.clone(),
            read_model,
        };
        after.history.push(Entry {
            deployment,
            origin: new.origin,
            returns_to: new.returns_to,
            outcome: new.outcome,
            signature: Signature { author: "somebody".to_owned(), note: None },
            from: Position::START,
            deployed_at: 0,
            decided_at: 0,
        });
    }
    all.retain(|id| after.standing(*id) != Standing::Condemned);
    after.read_models = all;
    after
}
