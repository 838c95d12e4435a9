//! What a command changes, or why it is declined.

use super::{
    Activity, Command, Decision, Deploy, Entry, Lifecycle, Mode, NewDeployment, Origin, Outcome, Request,
    Switch, Verdict,
};
use crate::name::{ProjectionName, ReplicaSet};
use crate::position::Position;
use crate::projection::Descriptor;

/// Why a command changes nothing, in words for the one who gave it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Declined {
    #[error("there is no projection `{0}`: `kennel status` lists those that there are")]
    Missing(ProjectionName),
    #[error(
        "deployment {number} of `{projection}` came first: component {component}, by {author}. Look at it with \
         `kennel deployments {projection}`, then try again"
    )]
    Overtaken { projection: ProjectionName, number: u32, component: String, author: String },
    #[error(
        "deployment {number} of `{projection}` is still being built: wait until it serves, have it serve with `kennel switch \
         {projection}`, or give it up with `kennel cancel {projection}`"
    )]
    InTheWay { projection: ProjectionName, number: u32 },
    #[error(
        "`{projection}` cannot go on with this component: {difference}. What was handled so far may not be what the new \
         code expects: build its read model anew with --mode rebuild"
    )]
    Incompatible { projection: ProjectionName, difference: String },
    #[error(
        "`{projection}` belongs to the replica set {replica_set}: leave --replica-set out, or retire it there first"
    )]
    Elsewhere { projection: ProjectionName, replica_set: ReplicaSet },
    #[error("nothing of `{0}` is being built: `kennel deployments {0}` shows what became of it")]
    NothingBuilding(ProjectionName),
    #[error("`{0}` has no earlier deployment that served: `kennel deployments {0}` shows its history")]
    NothingBefore(ProjectionName),
    #[error(
        "`{projection}` has no deployment {number} that served: `kennel deployments {projection}` lists them"
    )]
    NoSuchDeployment { projection: ProjectionName, number: u32 },
    #[error(
        "deployment {number} of `{projection}` is a rollback already, to deployment {returns_to}: say with --to which \
         deployment to return to. `kennel deployments {projection}` lists them"
    )]
    RolledBack { projection: ProjectionName, number: u32, returns_to: u32 },
    #[error(
        "deployment {number} of `{projection}` serves already: `kennel deployments {projection}` lists the others"
    )]
    ServesAlready { projection: ProjectionName, number: u32 },
    #[error(
        "the read model of deployment {number} is gone: `kennel deploy {projection} {component} --mode rebuild` builds it anew"
    )]
    ReadModelGone { projection: ProjectionName, number: u32, component: String },
    #[error("`{0}` is retired: `kennel deploy` brings it back")]
    Retired(ProjectionName),
    #[error("there is nothing to accept: the log holds everything that `{0}` has handled")]
    LogHolds(ProjectionName),
    #[error(
        "the log ends at {log_end}: there is nothing after {after} to go on with. Give a position of the log"
    )]
    BeyondLog { after: Position, log_end: Position },
}

/// What a command comes to. `lifecycle` is that of a projection that has a history, or an unborn one.
pub fn decide(lifecycle: &Lifecycle, request: &Request) -> Result<Verdict, Declined> {
    let law = Law { lifecycle };
    if lifecycle.history.is_empty() && !matches!(request.command, Command::Deploy(_)) {
        return Err(Declined::Missing(lifecycle.projection.clone()));
    }
    let verdict = match &request.command {
        Command::Deploy(deploy) => law.deploy(deploy)?,
        Command::Rollback { to } => law.rollback(*to)?,
        Command::Switch => law.switch()?,
        Command::Cancel => law.cancel()?,
        Command::Pause => law.set(Activity::Paused)?,
        Command::Resume => law.set(Activity::Running)?,
        Command::Retire { drop } => law.retire(*drop),
        Command::AcceptLog { after } => law.accept_log(*after)?,
    };
    // Whoever wants what is there already has not been overtaken.
    match (&verdict, lifecycle.history.last()) {
        (Verdict::Change(_), Some(latest))
            if request.seen.is_some_and(|seen| seen < latest.deployment.number) =>
        {
            Err(law.overtaken(latest))
        }
        (Verdict::Change(Decision { new: Some(_), .. }), _) => match lifecycle.live() {
            Some(live) if request.command.settings_of().is_some_and(|of| of != live.deployment.number) => {
                Err(law.overtaken(live))
            }
            _ => Ok(verdict),
        },
        _ => Ok(verdict),
    }
}

/// Holds the live read model, so that what is being built can draw level with it. `None` if nothing is to be
/// switched.
#[must_use]
pub fn freeze(lifecycle: &Lifecycle) -> Option<Decision> {
    let due = lifecycle.candidate().is_some()
        && lifecycle.switch == Switch::Auto
        && lifecycle.activity == Activity::Running
        && !lifecycle.frozen;
    due.then(|| Decision { frozen: true, ..(Law { lifecycle }).as_it_is() })
}

/// Lets the live read model go on, because what is being built did not draw level.
#[must_use]
pub fn thaw(lifecycle: &Lifecycle) -> Option<Decision> {
    lifecycle.frozen.then(|| Decision { frozen: false, ..(Law { lifecycle }).as_it_is() })
}

/// Puts what was built in the place of what served; the caller has made sure that it is level. `None` if the
/// live read model is not held.
#[must_use]
pub fn complete(lifecycle: &Lifecycle) -> Option<Decision> {
    let due = lifecycle.frozen && lifecycle.switch == Switch::Auto;
    let candidate = lifecycle.candidate().filter(|_| due)?;
    let mut outcomes = vec![(candidate.deployment.number, Outcome::Live)];
    outcomes.extend(lifecycle.live().map(|live| (live.deployment.number, Outcome::Superseded)));
    Some(Decision { frozen: false, outcomes, ..(Law { lifecycle }).as_it_is() })
}

struct Law<'a> {
    lifecycle: &'a Lifecycle,
}

impl Law<'_> {
    fn name(&self) -> ProjectionName {
        self.lifecycle.projection.clone()
    }

    /// The decision that changes nothing.
    fn as_it_is(&self) -> Decision {
        let Lifecycle { replica_set, activity, switch, frozen, .. } = self.lifecycle;
        Decision {
            replica_set: replica_set.clone(),
            activity: *activity,
            switch: *switch,
            frozen: *frozen,
            about: None,
            outcomes: Vec::new(),
            new: None,
            accept_log: None,
        }
    }

    fn overtaken(&self, by: &Entry) -> Declined {
        Declined::Overtaken {
            projection: self.name(),
            number: by.deployment.number,
            component: by.deployment.digest.short(),
            author: by.signature.author.clone(),
        }
    }

    fn in_the_way(&self, candidate: &Entry) -> Declined {
        Declined::InTheWay { projection: self.name(), number: candidate.deployment.number }
    }

    fn deploy(&self, deploy: &Deploy) -> Result<Verdict, Declined> {
        let lifecycle = self.lifecycle;
        let retired = lifecycle.activity == Activity::Retired;
        let replica_set = match &deploy.replica_set {
            Some(wanted) if *wanted != lifecycle.replica_set && !retired && !lifecycle.history.is_empty() => {
                let replica_set = lifecycle.replica_set.clone();
                return Err(Declined::Elsewhere { projection: self.name(), replica_set });
            }
            Some(wanted) => wanted.clone(),
            None => lifecycle.replica_set.clone(),
        };
        // A deployment to a retired projection brings it back; to a paused one, it waits to be resumed.
        let activity = if retired { Activity::Running } else { lifecycle.activity };
        let new = |read_model, origin, outcome| NewDeployment {
            number: lifecycle.latest() + 1,
            digest: deploy.digest,
            descriptor: deploy.descriptor.clone(),
            settings: deploy.settings.clone(),
            read_model,
            origin,
            returns_to: None,
            outcome,
        };
        let base = Decision { replica_set, activity, about: Some(lifecycle.latest() + 1), ..self.as_it_is() };
        let Some(live) = lifecycle.live() else {
            // With nothing in its place it serves at once: an empty read model is all that anybody could see.
            let origin = if lifecycle.history.is_empty() { Origin::First } else { Origin::Rebuild };
            let new = Some(new(None, origin, Outcome::Live));
            return Ok(Verdict::Change(Decision { new, switch: deploy.switch, ..base }));
        };
        let same = |entry: &Entry| {
            entry.deployment.digest == deploy.digest && entry.deployment.settings == deploy.settings
        };
        match (deploy.mode, lifecycle.candidate()) {
            (_, None) if same(live) && !deploy.again && !retired => {
                Ok(Verdict::Unchanged(Some(live.deployment.number)))
            }
            (Mode::Rebuild, Some(candidate))
                if same(candidate) && candidate.origin == Origin::Rebuild && !deploy.again =>
            {
                let about = Some(candidate.deployment.number);
                if lifecycle.switch == deploy.switch {
                    return Ok(Verdict::Unchanged(about));
                }
                // Only when it takes its place is to be otherwise.
                let as_it_is = self.as_it_is();
                Ok(Verdict::Change(Decision { switch: deploy.switch, frozen: false, about, ..as_it_is }))
            }
            (Mode::Continue, Some(candidate)) => Err(self.in_the_way(candidate)),
            (Mode::Continue, None) => {
                if let Some(difference) = difference(&live.deployment.descriptor, &deploy.descriptor) {
                    return Err(Declined::Incompatible { projection: self.name(), difference });
                }
                let outcomes = vec![(live.deployment.number, Outcome::Superseded)];
                let new = Some(new(Some(live.deployment.read_model), Origin::Continue, Outcome::Live));
                Ok(Verdict::Change(Decision { outcomes, new, ..base }))
            }
            (Mode::Rebuild, candidate) => {
                // Another attempt takes the place of the one under way.
                let outcomes = candidate.map(|entry| (entry.deployment.number, Outcome::Cancelled));
                let outcomes = outcomes.into_iter().collect();
                let new = Some(new(None, Origin::Rebuild, Outcome::Building));
                Ok(Verdict::Change(Decision { outcomes, new, switch: deploy.switch, frozen: false, ..base }))
            }
        }
    }

    fn rollback(&self, to: Option<u32>) -> Result<Verdict, Declined> {
        let lifecycle = self.lifecycle;
        if lifecycle.activity == Activity::Retired {
            return Err(Declined::Retired(self.name()));
        }
        let target = match to {
            Some(number) => {
                let served = |entry: &&Entry| matches!(entry.outcome, Outcome::Superseded | Outcome::Live);
                let found = lifecycle.numbered(number).filter(served);
                found.ok_or_else(|| Declined::NoSuchDeployment { projection: self.name(), number })?
            }
            None => self.before()?,
        };
        let number = target.deployment.number;
        if let Some(candidate) = lifecycle.candidate() {
            return Err(self.in_the_way(candidate));
        }
        if target.outcome == Outcome::Live {
            return Err(Declined::ServesAlready { projection: self.name(), number });
        }
        let read_model = target.deployment.read_model;
        if !lifecycle.read_models.contains(&read_model) {
            let component = target.deployment.digest.short();
            return Err(Declined::ReadModelGone { projection: self.name(), number, component });
        }
        let live = lifecycle.live().map(|live| (live.deployment.number, live.deployment.read_model));
        // On the same read model only the code changes. Another one is brought up to date first.
        let at_once = live.is_none_or(|(_, serving)| serving == read_model);
        let new = NewDeployment {
            number: lifecycle.latest() + 1,
            digest: target.deployment.digest,
            descriptor: target.deployment.descriptor.clone(),
            settings: target.deployment.settings.clone(),
            read_model: Some(read_model),
            origin: Origin::Rollback,
            returns_to: Some(number),
            outcome: if at_once { Outcome::Live } else { Outcome::Building },
        };
        let outcomes = live.filter(|_| at_once).map(|(number, _)| (number, Outcome::Superseded));
        Ok(Verdict::Change(Decision {
            outcomes: outcomes.into_iter().collect(),
            about: Some(new.number),
            new: Some(new),
            switch: Switch::Auto,
            ..self.as_it_is()
        }))
    }

    /// What to return to if nobody says it. An order that is given twice does not bring back what it was to
    /// get rid of.
    fn before(&self) -> Result<&Entry, Declined> {
        let live = self.lifecycle.live();
        if let Some((live, returns_to)) = live.and_then(|live| Some((live, live.returns_to?))) {
            let number = live.deployment.number;
            return Err(Declined::RolledBack { projection: self.name(), number, returns_to });
        }
        self.lifecycle.previous().ok_or_else(|| Declined::NothingBefore(self.name()))
    }

    fn switch(&self) -> Result<Verdict, Declined> {
        let Some(candidate) = self.lifecycle.candidate() else {
            return Err(Declined::NothingBuilding(self.name()));
        };
        let about = Some(candidate.deployment.number);
        if self.lifecycle.switch == Switch::Auto {
            return Ok(Verdict::Unchanged(about));
        }
        Ok(Verdict::Change(Decision { switch: Switch::Auto, about, ..self.as_it_is() }))
    }

    fn cancel(&self) -> Result<Verdict, Declined> {
        let Some(candidate) = self.lifecycle.candidate() else {
            return Err(Declined::NothingBuilding(self.name()));
        };
        let number = candidate.deployment.number;
        let outcomes = vec![(number, Outcome::Cancelled)];
        Ok(Verdict::Change(Decision { outcomes, about: Some(number), frozen: false, ..self.as_it_is() }))
    }

    fn set(&self, activity: Activity) -> Result<Verdict, Declined> {
        match self.lifecycle.activity {
            Activity::Retired => Err(Declined::Retired(self.name())),
            current if current == activity => Ok(Verdict::Unchanged(None)),
            // What was held for a switch waits with the rest.
            _ => Ok(Verdict::Change(Decision { activity, frozen: false, ..self.as_it_is() })),
        }
    }

    /// Whether the log was set back is for the store to say.
    fn accept_log(&self, after: Position) -> Result<Verdict, Declined> {
        let live = self.lifecycle.live().filter(|_| self.lifecycle.activity != Activity::Retired);
        let about = live.ok_or_else(|| Declined::Retired(self.name()))?.deployment.number;
        let accept_log = Some(after);
        Ok(Verdict::Change(Decision { accept_log, about: Some(about), ..self.as_it_is() }))
    }

    fn retire(&self, drop: bool) -> Verdict {
        let candidate = self.lifecycle.candidate();
        let live = self.lifecycle.live().filter(|_| drop);
        if self.lifecycle.activity == Activity::Retired && live.is_none() {
            return Verdict::Unchanged(None);
        }
        let given_up = candidate.map(|entry| (entry.deployment.number, Outcome::Cancelled));
        let ended = live.map(|entry| (entry.deployment.number, Outcome::Superseded));
        Verdict::Change(Decision {
            activity: Activity::Retired,
            frozen: false,
            outcomes: given_up.into_iter().chain(ended).collect(),
            ..self.as_it_is()
        })
    }
}

/// What keeps new code from going on where the old code stands.
fn difference(old: &Descriptor, new: &Descriptor) -> Option<String> {
    if old.name != new.name {
        return Some(format!("it calls itself `{}`, and what serves `{}`", new.name, old.name));
    }
    if old.partitioning != new.partitioning {
        return Some(format!("its partitioning changes from {} to {}", old.partitioning, new.partitioning));
    }
    let (old, new) = (&old.scope, &new.scope);
    let lists = [
        ("bounded contexts", &old.bounded_contexts, &new.bounded_contexts),
        ("aggregate types", &old.aggregate_types, &new.aggregate_types),
        ("event types", &old.event_types, &new.event_types),
    ];
    lists.into_iter().find_map(|(what, before, after)| {
        let (before, after) = (sorted(before), sorted(after));
        (before != after)
            .then(|| format!("the {what} in its scope change from {} to {}", listed(&before), listed(&after)))
    })
}

fn sorted(words: &[String]) -> Vec<String> {
    let mut words = words.to_vec();
    words.sort_unstable();
    words.dedup();
    words
}

/// At most so many words of a scope are named in an error.
const WORDS_NAMED_MAX: usize = 8;

fn listed(words: &[String]) -> String {
    match words.len() {
        0 => "all".to_owned(),
        count if count > WORDS_NAMED_MAX => {
            format!("{}, … ({count} of them)", words[..WORDS_NAMED_MAX].join(", "))
        }
        _ => words.join(", "),
    }
}
