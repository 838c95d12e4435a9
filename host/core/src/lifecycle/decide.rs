//! What an operation changes, or why it is rejected.

use super::{
    Activity, Decision, Deploy, Entry, Lifecycle, Mode, NewDeployment, Operation, OperationRequest, Origin,
    Outcome, Promotion, Verdict,
};
use crate::name::{ProjectionName, ReplicaSet};
use crate::position::Position;
use crate::projection::Descriptor;

/// Why an operation is rejected, with a message for the actor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    #[error("there is no projection `{0}`: `kennel status` lists those that there are")]
    Missing(ProjectionName),
    #[error(
        "deployment {number} of `{projection}` came first: component {component}, by {actor}. Look at it with \
         `kennel deployments {projection}`, then try again"
    )]
    Overtaken { projection: ProjectionName, number: u32, component: String, actor: String },
    #[error(
        "deployment {number} of `{projection}` is still a candidate: wait until it serves, promote it with `kennel promote \
         {projection}`, or cancel it with `kennel cancel {projection}`"
    )]
    CandidateExists { projection: ProjectionName, number: u32 },
    #[error(
        "`{projection}` cannot go on with this component: {difference}. What was handled so far may not be what the new \
         code expects: build its read model anew with --mode rebuild"
    )]
    Incompatible { projection: ProjectionName, difference: String },
    #[error(
        "`{projection}` belongs to the replica set {replica_set}: leave --replica-set out, or retire it there first"
    )]
    Elsewhere { projection: ProjectionName, replica_set: ReplicaSet },
    #[error("`{0}` has no candidate: `kennel deployments {0}` shows its history")]
    NoCandidate(ProjectionName),
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

/// What an operation comes to. `lifecycle` is that of a projection that has a history, or a new one.
pub fn decide(lifecycle: &Lifecycle, request: &OperationRequest) -> Result<Verdict, Rejected> {
    let rules = Rules { lifecycle };
    if lifecycle.history.is_empty()
        && !matches!(request.operation, Operation::Deploy(_) | Operation::Rebuild(_))
    {
        return Err(Rejected::Missing(lifecycle.projection.clone()));
    }
    let verdict = match &request.operation {
        Operation::Deploy(deploy) | Operation::Rebuild(deploy) => rules.deploy(deploy)?,
        Operation::Rollback { to } => rules.rollback(*to)?,
        Operation::Promote => rules.promote()?,
        Operation::Cancel => rules.cancel()?,
        Operation::Pause => rules.set(Activity::Paused)?,
        Operation::Resume => rules.set(Activity::Running)?,
        Operation::Retire { drop } => rules.retire(*drop),
        Operation::AcceptLog { after } => rules.accept_log(*after)?,
    };
    // An operation that changes nothing has not been overtaken.
    match (&verdict, lifecycle.history.last()) {
        (Verdict::Change(_), Some(latest))
            if request.expected_deployment.is_some_and(|expected| expected < latest.deployment.number) =>
        {
            Err(rules.overtaken(latest))
        }
        (Verdict::Change(Decision { new: Some(_), .. }), _) => match lifecycle.serving() {
            Some(serving)
                if request.operation.settings_from().is_some_and(|of| of != serving.deployment.number) =>
            {
                Err(rules.overtaken(serving))
            }
            _ => Ok(verdict),
        },
        _ => Ok(verdict),
    }
}

/// Fences the serving read model, so that the candidate can catch up with it. `None` if no cutover is due.
#[must_use]
pub fn begin_cutover(lifecycle: &Lifecycle) -> Option<Decision> {
    let due = lifecycle.candidate().is_some()
        && lifecycle.promotion == Promotion::Auto
        && lifecycle.activity == Activity::Running
        && !lifecycle.fenced;
    due.then(|| Decision { fenced: true, ..(Rules { lifecycle }).as_it_is() })
}

/// Releases the serving read model, because the candidate did not catch up.
#[must_use]
pub fn abort_cutover(lifecycle: &Lifecycle) -> Option<Decision> {
    lifecycle.fenced.then(|| Decision { fenced: false, ..(Rules { lifecycle }).as_it_is() })
}

/// Replaces the serving deployment by the candidate; the caller has made sure that it has caught up. `None` if the
/// serving read model is not fenced.
#[must_use]
pub fn complete_cutover(lifecycle: &Lifecycle) -> Option<Decision> {
    let due = lifecycle.fenced && lifecycle.promotion == Promotion::Auto;
    let candidate = lifecycle.candidate().filter(|_| due)?;
    let mut outcomes = vec![(candidate.deployment.number, Outcome::Serving)];
    outcomes.extend(lifecycle.serving().map(|serving| (serving.deployment.number, Outcome::Superseded)));
    Some(Decision { fenced: false, outcomes, ..(Rules { lifecycle }).as_it_is() })
}

struct Rules<'a> {
    lifecycle: &'a Lifecycle,
}

impl Rules<'_> {
    fn name(&self) -> ProjectionName {
        self.lifecycle.projection.clone()
    }

    /// The decision that changes nothing.
    fn as_it_is(&self) -> Decision {
        let Lifecycle { replica_set, activity, promotion, fenced, .. } = self.lifecycle;
        Decision {
            replica_set: replica_set.clone(),
            activity: *activity,
            promotion: *promotion,
            fenced: *fenced,
            about: None,
            outcomes: Vec::new(),
            new: None,
            accept_log: None,
        }
    }

    fn overtaken(&self, by: &Entry) -> Rejected {
        Rejected::Overtaken {
            projection: self.name(),
            number: by.deployment.number,
            component: by.deployment.digest.short(),
            actor: by.attribution.actor.clone(),
        }
    }

    fn candidate_exists(&self, candidate: &Entry) -> Rejected {
        Rejected::CandidateExists { projection: self.name(), number: candidate.deployment.number }
    }

    /// Where a deployment goes. Only a new projection, or one that is retired, can be moved.
    fn replica_set(&self, deploy: &Deploy) -> Result<ReplicaSet, Rejected> {
        let Lifecycle { replica_set, history, activity, .. } = self.lifecycle;
        match &deploy.replica_set {
            Some(wanted)
                if wanted != replica_set && *activity != Activity::Retired && !history.is_empty() =>
            {
                Err(Rejected::Elsewhere { projection: self.name(), replica_set: replica_set.clone() })
            }
            Some(wanted) => Ok(wanted.clone()),
            None => Ok(replica_set.clone()),
        }
    }

    fn deploy(&self, deploy: &Deploy) -> Result<Verdict, Rejected> {
        let lifecycle = self.lifecycle;
        let retired = lifecycle.activity == Activity::Retired;
        let replica_set = self.replica_set(deploy)?;
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
        let Some(serving) = lifecycle.serving() else {
            // With no serving deployment it serves at once: there is no other read model to query.
            let origin = if lifecycle.history.is_empty() { Origin::First } else { Origin::Rebuild };
            let new = Some(new(None, origin, Outcome::Serving));
            return Ok(Verdict::Change(Decision { new, promotion: deploy.promotion, ..base }));
        };
        let same = |entry: &Entry| {
            entry.deployment.digest == deploy.digest && entry.deployment.settings == deploy.settings
        };
        match (deploy.mode, lifecycle.candidate()) {
            (_, None) if same(serving) && !deploy.force && !retired => {
                Ok(Verdict::Unchanged(Some(serving.deployment.number)))
            }
            (Mode::Rebuild, Some(candidate))
                if same(candidate) && candidate.origin == Origin::Rebuild && !deploy.force =>
            {
                let about = Some(candidate.deployment.number);
                if lifecycle.promotion == deploy.promotion {
                    return Ok(Verdict::Unchanged(about));
                }
                // Only how it is promoted changes.
                let as_it_is = self.as_it_is();
                Ok(Verdict::Change(Decision {
                    promotion: deploy.promotion,
                    fenced: false,
                    about,
                    ..as_it_is
                }))
            }
            (Mode::Continue, Some(candidate)) => Err(self.candidate_exists(candidate)),
            (Mode::Continue, None) => {
                if let Some(difference) = difference(&serving.deployment.descriptor, &deploy.descriptor) {
                    return Err(Rejected::Incompatible { projection: self.name(), difference });
                }
                let outcomes = vec![(serving.deployment.number, Outcome::Superseded)];
                let new = Some(new(Some(serving.deployment.read_model), Origin::Continue, Outcome::Serving));
                Ok(Verdict::Change(Decision { outcomes, new, ..base }))
            }
            (Mode::Rebuild, candidate) => {
                // Another attempt replaces the one under way.
                let outcomes = candidate.map(|entry| (entry.deployment.number, Outcome::Cancelled));
                let outcomes = outcomes.into_iter().collect();
                let new = Some(new(None, Origin::Rebuild, Outcome::Candidate));
                Ok(Verdict::Change(Decision {
                    outcomes,
                    new,
                    promotion: deploy.promotion,
                    fenced: false,
                    ..base
                }))
            }
        }
    }

    fn rollback(&self, to: Option<u32>) -> Result<Verdict, Rejected> {
        let lifecycle = self.lifecycle;
        if lifecycle.activity == Activity::Retired {
            return Err(Rejected::Retired(self.name()));
        }
        let target = match to {
            Some(number) => {
                let served = |entry: &&Entry| matches!(entry.outcome, Outcome::Superseded | Outcome::Serving);
                let found = lifecycle.numbered(number).filter(served);
                found.ok_or_else(|| Rejected::NoSuchDeployment { projection: self.name(), number })?
            }
            None => self.before()?,
        };
        let number = target.deployment.number;
        if let Some(candidate) = lifecycle.candidate() {
            return Err(self.candidate_exists(candidate));
        }
        if target.outcome == Outcome::Serving {
            return Err(Rejected::ServesAlready { projection: self.name(), number });
        }
        let read_model = target.deployment.read_model;
        if !lifecycle.read_models.contains(&read_model) {
            let component = target.deployment.digest.short();
            return Err(Rejected::ReadModelGone { projection: self.name(), number, component });
        }
        let serving =
            lifecycle.serving().map(|serving| (serving.deployment.number, serving.deployment.read_model));
        // On the same read model only the code changes. Another one is brought up to date first.
        let at_once = serving.is_none_or(|(_, serving)| serving == read_model);
        let new = NewDeployment {
            number: lifecycle.latest() + 1,
            digest: target.deployment.digest,
            descriptor: target.deployment.descriptor.clone(),
            settings: target.deployment.settings.clone(),
            read_model: Some(read_model),
            origin: Origin::Rollback,
            returns_to: Some(number),
            outcome: if at_once { Outcome::Serving } else { Outcome::Candidate },
        };
        let outcomes = serving.filter(|_| at_once).map(|(number, _)| (number, Outcome::Superseded));
        Ok(Verdict::Change(Decision {
            outcomes: outcomes.into_iter().collect(),
            about: Some(new.number),
            new: Some(new),
            promotion: Promotion::Auto,
            ..self.as_it_is()
        }))
    }

    /// The deployment to return to by default. A rollback that is given twice does not bring back the deployment that
    /// it was to get rid of.
    fn before(&self) -> Result<&Entry, Rejected> {
        let serving = self.lifecycle.serving();
        if let Some((serving, returns_to)) = serving.and_then(|serving| Some((serving, serving.returns_to?)))
        {
            let number = serving.deployment.number;
            return Err(Rejected::RolledBack { projection: self.name(), number, returns_to });
        }
        self.lifecycle.previous().ok_or_else(|| Rejected::NothingBefore(self.name()))
    }

    fn promote(&self) -> Result<Verdict, Rejected> {
        let Some(candidate) = self.lifecycle.candidate() else {
            return Err(Rejected::NoCandidate(self.name()));
        };
        let about = Some(candidate.deployment.number);
        if self.lifecycle.promotion == Promotion::Auto {
            return Ok(Verdict::Unchanged(about));
        }
        Ok(Verdict::Change(Decision { promotion: Promotion::Auto, about, ..self.as_it_is() }))
    }

    fn cancel(&self) -> Result<Verdict, Rejected> {
        let Some(candidate) = self.lifecycle.candidate() else {
            return Err(Rejected::NoCandidate(self.name()));
        };
        let number = candidate.deployment.number;
        let outcomes = vec![(number, Outcome::Cancelled)];
        Ok(Verdict::Change(Decision { outcomes, about: Some(number), fenced: false, ..self.as_it_is() }))
    }

    fn set(&self, activity: Activity) -> Result<Verdict, Rejected> {
        match self.lifecycle.activity {
            Activity::Retired => Err(Rejected::Retired(self.name())),
            current if current == activity => Ok(Verdict::Unchanged(None)),
            // A cutover that has begun is aborted: the candidate waits with the rest.
            _ => Ok(Verdict::Change(Decision { activity, fenced: false, ..self.as_it_is() })),
        }
    }

    /// The store decides whether the log was set back.
    fn accept_log(&self, after: Position) -> Result<Verdict, Rejected> {
        let serving = self.lifecycle.serving().filter(|_| self.lifecycle.activity != Activity::Retired);
        let about = serving.ok_or_else(|| Rejected::Retired(self.name()))?.deployment.number;
        let accept_log = Some(after);
        Ok(Verdict::Change(Decision { accept_log, about: Some(about), ..self.as_it_is() }))
    }

    fn retire(&self, drop: bool) -> Verdict {
        let candidate = self.lifecycle.candidate();
        let serving = self.lifecycle.serving().filter(|_| drop);
        if self.lifecycle.activity == Activity::Retired && serving.is_none() {
            return Verdict::Unchanged(None);
        }
        let cancelled = candidate.map(|entry| (entry.deployment.number, Outcome::Cancelled));
        let ended = serving.map(|entry| (entry.deployment.number, Outcome::Superseded));
        Verdict::Change(Decision {
            activity: Activity::Retired,
            fenced: false,
            outcomes: cancelled.into_iter().chain(ended).collect(),
            ..self.as_it_is()
        })
    }
}

/// The difference that keeps new code from continuing the read model of the old code.
fn difference(old: &Descriptor, new: &Descriptor) -> Option<String> {
    if old.name != new.name {
        return Some(format!("its name changes from `{}` to `{}`", old.name, new.name));
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

fn sorted(values: &[String]) -> Vec<String> {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.dedup();
    values
}

/// At most so many values of a scope are named in an error.
const VALUES_NAMED_MAX: usize = 8;

fn listed(values: &[String]) -> String {
    match values.len() {
        0 => "all".to_owned(),
        count if count > VALUES_NAMED_MAX => {
            format!("{}, … ({count} of them)", values[..VALUES_NAMED_MAX].join(", "))
        }
        _ => values.join(", "),
    }
}
