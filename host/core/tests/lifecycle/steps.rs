//! Random steps of a lifecycle, and a store of one projection that carries out decisions.

use kennel_core::collection::Collection;
use kennel_core::digest::Digest;
use kennel_core::lifecycle::{
    Attribution, Decision, Deploy, Entry, Lifecycle, Mode, Operation, OperationRequest, Promotion,
    ReadModelStatus, Rejected, Verdict, decide,
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
    /// With the number of deployments that its actor has missed; `None` if it expects none.
    Operation(Operation, Option<u32>),
    BeginCutover,
    AbortCutover,
    CompleteCutover,
}

pub(crate) fn projection() -> ProjectionName {
    "order-summary".parse().unwrap()
}

/// Descriptors by number: 0 and 1 differ in nothing that matters, 2 and 3 want other events than they, 4 is divided
/// otherwise, 5 has another name.
pub(crate) fn descriptor(shape: u8) -> Descriptor {
    let list = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    let (event_types, partitioning): (Vec<String>, _) = match shape {
        0 | 5 => (list(&["Opened", "Paid"]), Partitioning::ByAggregate),
        1 => (list(&["Paid", "Opened", "Paid"]), Partitioning::ByAggregate),
        2 => (list(&["Opened"]), Partitioning::ByAggregate),
        3 => (Vec::new(), Partitioning::ByAggregate),
        _ => (list(&["Opened", "Paid"]), Partitioning::Single),
    };
    let scope = Scope { event_types, ..Scope::default() };
    let name = if shape == 5 { "digest" } else { "summary" }.to_owned();
    let declared = Collection { name: "orders".to_owned(), columns: Vec::new(), indexes: Vec::new() };
    let collections = if shape == 1 { vec![declared] } else { Vec::new() };
    Descriptor { name, version: format!("{shape}.0.0"), scope, partitioning, collections }
}

pub(crate) fn deploy(code: u8, shape: u8, mode: Mode) -> Deploy {
    Deploy {
        digest: Digest::of(&[code]),
        descriptor: descriptor(shape),
        settings: Settings::default(),
        settings_from: None,
        mode,
        promotion: Promotion::Auto,
        replica_set: None,
        force: false,
    }
}

pub(crate) fn rebuild(code: u8, promotion: Promotion) -> Operation {
    Operation::Deploy(Box::new(Deploy { promotion, ..deploy(code, 0, Mode::Rebuild) }))
}

fn operations() -> impl Strategy<Value = Operation> {
    let sets = prop_oneof![
        6 => Just(None),
        1 => Just(Some("main".parse().unwrap())),
        1 => Just(Some("other".parse().unwrap())),
    ];
    let mode = prop_oneof![Just(Mode::Continue), Just(Mode::Rebuild)];
    let promotion = prop_oneof![2 => Just(Promotion::Auto), 1 => Just(Promotion::Manual)];
    // Mostly shapes that fit, so that histories grow long.
    let shape = prop_oneof![6 => 0..2_u8, 1 => 2..6_u8];
    let deploys = (0..4_u8, shape, 0..2_usize, mode, promotion, sets, prop::bool::weighted(0.2)).prop_map(
        |(code, shape, settings, mode, promotion, replica_set, force)| {
            let settings = Settings { batch: 100 + settings, ..Settings::default() };
            let deploy = Deploy { settings, promotion, replica_set, force, ..deploy(code, shape, mode) };
            Operation::Deploy(Box::new(deploy))
        },
    );
    prop_oneof![
        10 => deploys,
        4 => prop::option::weighted(0.4, 0..9_u32).prop_map(|to| Operation::Rollback { to }),
        2 => Just(Operation::Promote),
        2 => Just(Operation::Cancel),
        1 => Just(Operation::Pause),
        3 => Just(Operation::Resume),
        1 => (0..9_u64).prop_map(|after| Operation::AcceptLog { after: Position::new(after) }),
        1 => prop::bool::weighted(0.3).prop_map(|drop| Operation::Retire { drop }),
    ]
}

/// Any lifecycle, in which cutovers are completed often enough.
pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let missed = prop_oneof![6 => Just(None), 2 => Just(Some(0)), 1 => (1..3_u32).prop_map(Some)];
    let step = prop_oneof![
        10 => (operations(), missed).prop_map(|(operation, missed)| Step::Operation(operation, missed)),
        4 => Just(Step::BeginCutover),
        1 => Just(Step::AbortCutover),
        4 => Just(Step::CompleteCutover),
    ];
    prop::collection::vec(step, 1..40)
}

/// A request whose actor has missed the latest `missed` deployments.
pub(crate) fn request(operation: Operation, lifecycle: &Lifecycle, missed: Option<u32>) -> OperationRequest {
    let attribution = Attribution { actor: "ci-bot".to_owned(), reason: None };
    OperationRequest {
        operation,
        attribution,
        expected_deployment: missed.map(|missed| lifecycle.latest().saturating_sub(missed)),
    }
}

/// Carries out an operation, or rejects it.
pub(crate) fn carry_out(lifecycle: &mut Lifecycle, request: &OperationRequest) -> Answer {
    match decide(lifecycle, request) {
        Err(rejected) => {
            super::messages::assert_readable(&rejected, &lifecycle.projection);
            Answer::Rejected(kind(&rejected))
        }
        Ok(Verdict::Unchanged(about)) => Answer::Same(about),
        Ok(Verdict::Change(decision)) => {
            *lifecycle = apply(lifecycle, &decision);
            Answer::Changed(decision.about)
        }
    }
}

fn kind(rejected: &Rejected) -> &'static str {
    match rejected {
        Rejected::Missing(_) => "missing",
        Rejected::Overtaken { .. } => "overtaken",
        Rejected::CandidateExists { .. } => "candidate exists",
        Rejected::Incompatible { .. } => "incompatible",
        Rejected::Elsewhere { .. } => "elsewhere",
        Rejected::NoCandidate(_) => "no candidate",
        Rejected::NothingBefore(_) => "nothing before",
        Rejected::NoSuchDeployment { .. } => "no such deployment",
        Rejected::RolledBack { .. } => "rolled back",
        Rejected::ServesAlready { .. } => "serves already",
        Rejected::ReadModelGone { .. } => "read model gone",
        Rejected::Retired(_) => "retired",
        Rejected::LogHolds(_) => "log holds",
        Rejected::BeyondLog { .. } => "beyond log",
    }
}

/// Does what a decision says, as every store has to.
pub(crate) fn apply(before: &Lifecycle, decision: &Decision) -> Lifecycle {
    let mut after = Lifecycle {
        replica_set: decision.replica_set.clone(),
        activity: decision.activity,
        promotion: decision.promotion,
        fenced: decision.fenced,
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
            attribution: Attribution { actor: "ci-bot".to_owned(), reason: None },
            from: Position::START,
            deployed_at: 0,
            decided_at: 0,
        });
    }
    all.retain(|id| after.read_model_status(*id) != ReadModelStatus::Deleting);
    after.read_models = all;
    after
}
