//! What holds after every step of every life, whatever a model may say.

use std::collections::BTreeSet;

use kennel_core::lifecycle::{
    Activity, Command, Entry, Lifecycle, Mode, Origin, Outcome, Stage, Standing, complete, freeze, thaw,
};
use kennel_core::projection::{Deployment, Descriptor, ReadModelId};

use super::Answer;
use super::stage::Step;

/// The laws, with what they remember of the life so far.
#[derive(Debug, Default)]
pub(crate) struct Laws {
    condemned: BTreeSet<ReadModelId>,
}

impl Laws {
    pub(crate) fn check(&mut self, before: &Lifecycle, step: &Step, answer: &Answer, after: &Lifecycle) {
        if !matches!(answer, Answer::Changed(_)) {
            assert_eq!(before, after, "{answer:?} of {step:?} changes nothing");
        }
        one_serves_and_one_is_built(after);
        the_past_is_not_rewritten(before, after);
        a_switch_is_on_its_way_only_beside_what_serves(after);
        read_models_stand_as_they_are_used(after);
        whoever_continues_wants_the_same_events(after);
        self.what_is_condemned_stays_so(after);
        new_code_tells_how_it_came(before, step, after);
        if matches!((step, answer), (Step::Complete, Answer::Changed(_))) {
            what_served_is_kept(before, after);
        }
    }

    fn what_is_condemned_stays_so(&mut self, after: &Lifecycle) {
        let used = after.live().into_iter().chain(after.candidate());
        for entry in used {
            let read_model = entry.deployment.read_model;
            assert!(!self.condemned.contains(&read_model), "{read_model} was condemned, and is used again");
            assert!(after.read_models.contains(&read_model));
        }
        for read_model in &self.condemned {
            assert_eq!(after.standing(*read_model), Standing::Condemned, "{read_model}");
        }
        let all = after.history.iter().map(|entry| entry.deployment.read_model);
        self.condemned.extend(all.filter(|id| after.standing(*id) == Standing::Condemned));
    }
}

fn one_serves_and_one_is_built(after: &Lifecycle) {
    let of = |outcome| after.history.iter().filter(|entry| entry.outcome == outcome).count();
    assert!(of(Outcome::Live) <= 1 && of(Outcome::Building) <= 1, "{after:#?}");
    let numbers: Vec<u32> = after.history.iter().map(|entry| entry.deployment.number).collect();
    assert_eq!(numbers, (1..=after.latest()).collect::<Vec<_>>(), "numbers count up by one");
    if after.live().is_none() && !after.history.is_empty() {
        assert_eq!(after.activity, Activity::Retired, "without anything that serves it is retired");
    }
    let serving = after.live().map(|entry| entry.deployment.read_model);
    if let Some(candidate) = after.candidate() {
        assert!(serving.is_some(), "something is built beside nothing");
        assert_ne!(Some(candidate.deployment.read_model), serving, "a read model is built beside itself");
    }
}

fn the_past_is_not_rewritten(before: &Lifecycle, after: &Lifecycle) {
    assert!((0..=1).contains(&(after.history.len() - before.history.len())));
    for (was, is) in before.history.iter().zip(&after.history) {
        let outcome = is.outcome;
        assert_eq!(Entry { outcome, ..was.clone() }, *is, "only outcomes change");
        let may = match was.outcome {
            Outcome::Live => matches!(outcome, Outcome::Live | Outcome::Superseded),
            Outcome::Building => matches!(outcome, Outcome::Building | Outcome::Live | Outcome::Cancelled),
            settled => outcome == settled,
        };
        assert!(may, "deployment {} was {} and is {outcome}", was.deployment.number, was.outcome);
    }
}

fn a_switch_is_on_its_way_only_beside_what_serves(after: &Lifecycle) {
    if after.frozen {
        assert!(after.candidate().is_some() && after.activity == Activity::Running, "{after:#?}");
        assert!(freeze(after).is_none() && thaw(after).is_some() && complete(after).is_some());
    } else {
        assert!(thaw(after).is_none() && complete(after).is_none());
    }
}

fn read_models_stand_as_they_are_used(after: &Lifecycle) {
    let at_work: Vec<(ReadModelId, Stage)> =
        after.at_work().map(|(entry, stage)| (entry.deployment.read_model, stage)).collect();
    if after.activity == Activity::Running {
        let used = after.live().into_iter().chain(after.candidate());
        assert!(used.map(|entry| entry.deployment.read_model).eq(at_work.iter().map(|(id, _)| *id)));
    } else {
        assert_eq!(at_work, []);
    }
    let mut held = 0;
    for read_model in after.history.iter().map(|entry| entry.deployment.read_model).collect::<BTreeSet<_>>() {
        let stage = at_work.iter().find(|(id, _)| *id == read_model).map(|(_, stage)| *stage);
        let open = match stage {
            Some(Stage::Live) => !after.frozen,
            Some(Stage::Building) => true,
            None => false,
        };
        let standing = after.standing(read_model);
        assert_eq!(standing == Standing::Open, open, "{read_model} in {after:#?}");
        assert_eq!(after.read_models.contains(&read_model), standing != Standing::Condemned);
        held += usize::from(standing != Standing::Condemned);
    }
    assert_eq!(held, after.read_models.len(), "there are read models that no deployment has");
    assert!(held <= 3, "more is kept than what serves, what is built and what served before");
    if after.activity == Activity::Retired {
        assert_eq!(held, usize::from(after.live().is_some()), "only what can still be read is kept");
    }
}

/// Deployments of one read model agree on what they want, in whatever order they list it.
fn whoever_continues_wants_the_same_events(after: &Lifecycle) {
    let wants = |entry: &Entry| {
        let scope = entry.deployment.descriptor.scope.clone();
        let lists = [scope.bounded_contexts, scope.aggregate_types, scope.event_types];
        let Descriptor { partitioning, name, .. } = entry.deployment.descriptor.clone();
        (lists.map(BTreeSet::from_iter), partitioning, name)
    };
    for entry in &after.history {
        let read_model = entry.deployment.read_model;
        let first = after.history.iter().find(|first| first.deployment.read_model == read_model);
        assert_eq!(first.map(wants), Some(wants(entry)), "on {read_model}");
    }
}

fn new_code_tells_how_it_came(before: &Lifecycle, step: &Step, after: &Lifecycle) {
    if after.history.len() == before.history.len() {
        return;
    }
    let new = after.history.last().unwrap();
    assert_eq!(new.origin == Origin::Rollback, new.returns_to.is_some());
    let Step::Command(command, _) = step else { panic!("a host has deployed something") };
    let shared = before.history.iter().any(|old| old.deployment.read_model == new.deployment.read_model);
    assert_eq!(shared, matches!(new.origin, Origin::Continue | Origin::Rollback));
    match command {
        Command::Deploy(deploy) => {
            let deployment = &new.deployment;
            assert_eq!((deployment.digest, &deployment.settings), (deploy.digest, &deploy.settings));
            assert_eq!(deployment.descriptor, deploy.descriptor);
            let continues = before.live().is_some() && deploy.mode == Mode::Continue;
            assert_eq!(new.origin == Origin::Continue, continues);
        }
        Command::Rollback { .. } => {
            let Deployment { digest, descriptor, settings, read_model, .. } = &new.deployment;
            let returns_to = before.numbered(new.returns_to.unwrap()).unwrap();
            let alike = |old: &Entry| {
                let Deployment { digest: d, descriptor: c, settings: s, read_model: m, .. } = &old.deployment;
                (d, c, s, m) == (digest, descriptor, settings, read_model)
                    && old.outcome == Outcome::Superseded
            };
            assert!(alike(returns_to), "{new:?} goes back to nothing that was");
        }
        other => panic!("{other:?} has deployed something"),
    }
}

fn what_served_is_kept(before: &Lifecycle, after: &Lifecycle) {
    let (old, new) = (before.live().unwrap(), before.candidate().unwrap());
    assert_eq!(after.standing(old.deployment.read_model), Standing::Held);
    assert_eq!(after.standing(new.deployment.read_model), Standing::Open);
    assert_eq!(after.previous().map(|entry| entry.deployment.number), Some(old.deployment.number));
    assert_eq!(after.live().map(|entry| entry.deployment.number), Some(new.deployment.number));
}
