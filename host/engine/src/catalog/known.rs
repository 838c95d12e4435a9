//! The deployments that should run, the components that are ready for them, and what follows from both. Pure: it loads
//! and reports nothing, and time is a parameter.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use kennel_core::digest::Digest;
use kennel_core::lifecycle::Role;
use kennel_core::name::ProjectionName;
use kennel_core::port::Component;
use kennel_core::projection::{Deployment, DeploymentId, ReadModelId};
use kennel_core::retry::Backoff;
use tokio::time::Instant;

use crate::loaded::Loaded;
use crate::status::Part;

/// Components that are loaded at once: each is held in memory whole meanwhile. One of them can be fetched while
/// another is compiled.
const LOADED_AT_ONCE: usize = 2;

/// How to get a component ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Its code may have been kept: that costs little to see.
    Find,
    /// It is fetched and compiled.
    Load,
}

/// Why a component could not be loaded.
#[derive(Debug)]
pub(super) enum Unloaded {
    /// Its code was not kept: it has to be fetched and compiled.
    Absent,
    /// The store does not answer: it will, and asking costs little.
    Away(String),
    /// Trying again has the same outcome most likely, and may cost a compilation.
    Failed(String),
}

/// A component that could not be loaded, and when to try again.
#[derive(Debug)]
struct LoadFailure {
    reason: String,
    /// The pauses between tries; fresh for one that is to be tried as if it were new.
    backoff: Backoff,
    again: Instant,
}

/// A failure to report.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) reason: String,
    pub(super) again_in: Duration,
    /// Whether it is another than that of the last try.
    pub(super) is_news: bool,
}

/// What a process should run, and what keeps it from running more.
#[derive(Debug, Default)]
pub(super) struct Runnable {
    pub(super) running: BTreeMap<ReadModelId, Loaded>,
    /// The deployments that are halted because their component cannot be loaded.
    pub(super) unloadable: Vec<(ProjectionName, Role)>,
    /// The parts of this process that are blocked, and why. A candidate blocks nothing.
    pub(super) blocked: BTreeMap<Part, String>,
}

/// Why a deployment lacks its component, and when that is tried again; nothing if it has it.
pub(super) type LoadCondition = Option<(String, Instant)>;

/// The known components and deployments: the component cache.
#[derive(Default)]
pub(super) struct Known {
    /// As the store reported last, and the revision at which it did.
    wanted: Vec<(Deployment, Role)>,
    revision: Option<u64>,
    /// Those whose read models have served before and are being brought up to date.
    returning: BTreeSet<DeploymentId>,
    ready: HashMap<Digest, Arc<dyn Component>>,
    under_way: HashMap<Digest, Way>,
    /// Those whose code was looked for.
    sought: BTreeSet<Digest>,
    failed: HashMap<Digest, LoadFailure>,
    /// The running deployments, by read model: each goes on while its successor is being loaded.
    running: BTreeMap<ReadModelId, Loaded>,
    published: bool,
}

impl Known {
    /// Whether the deployments are those of this revision.
    pub(super) fn is_current(&self, revision: u64) -> bool {
        self.revision == Some(revision)
    }

    /// The store reports these deployments. Returns the components whose loading is not wanted any longer.
    pub(super) fn adopt(
        &mut self,
        revision: u64,
        wanted: Vec<(Deployment, Role)>,
        returning: BTreeSet<DeploymentId>,
        now: Instant,
    ) -> Vec<Digest> {
        let before = std::mem::replace(&mut self.wanted, wanted);
        let before: BTreeSet<DeploymentId> = before.iter().map(|(deployment, _)| deployment.id).collect();
        (self.revision, self.returning) = (Some(revision), returning);
        for (deployment, _) in self.wanted.iter().filter(|(deployment, _)| !before.contains(&deployment.id)) {
            // It was deployed anew, and its actor waits for the outcome.
            if let Some(failed) = self.failed.get_mut(&deployment.digest) {
                failed.backoff.reset();
                failed.again = now;
            }
        }
        let wanted: BTreeSet<Digest> = self.wanted.iter().map(|(deployment, _)| deployment.digest).collect();
        self.ready.retain(|digest, _| wanted.contains(digest));
        self.failed.retain(|digest, _| wanted.contains(digest));
        self.sought.retain(|digest| wanted.contains(digest));
        let gone: Vec<Digest> =
            self.under_way.keys().filter(|digest| !wanted.contains(*digest)).copied().collect();
        self.under_way.retain(|digest, _| wanted.contains(digest));
        gone
    }

    /// The components to get ready now, which are under way from here on: those that are neither ready nor under way,
    /// first those that have not failed yet, and those that serve.
    pub(super) fn begin_missing(&mut self, now: Instant) -> Vec<(Digest, Way)> {
        let due = |digest: &Digest| {
            let waits = self.failed.get(digest).is_some_and(|failed| now < failed.again);
            !waits && !self.ready.contains_key(digest) && !self.under_way.contains_key(digest)
        };
        let mut missing: Vec<(bool, bool, Digest)> = Vec::new();
        for (Deployment { digest, .. }, role) in &self.wanted {
            if due(digest) && !missing.iter().any(|(_, _, known)| known == digest) {
                missing.push((self.failed.contains_key(digest), *role != Role::Serving, *digest));
            }
        }
        missing.sort_by_key(|(failed, candidate, _)| (*failed, *candidate));
        let loads = self.under_way.values().filter(|way| **way == Way::Load).count();
        let mut free = LOADED_AT_ONCE.saturating_sub(loads);
        let mut begun = Vec::new();
        for (_, _, digest) in missing {
            let way = if self.sought.insert(digest) { Way::Find } else { Way::Load };
            if way == Way::Load {
                if free == 0 {
                    continue;
                }
                free -= 1;
            }
            self.under_way.insert(digest, way);
            begun.push((digest, way));
        }
        begun
    }

    /// A component is ready, or could not be loaded, which is to be reported. The pause before the next try grows
    /// between these bounds.
    pub(super) fn finish(
        &mut self,
        digest: Digest,
        outcome: Result<Arc<dyn Component>, Unloaded>,
        (pause_first, pause_max): (Duration, Duration),
        now: Instant,
    ) -> Option<Failure> {
        self.under_way.remove(&digest);
        let before = self.failed.remove(&digest);
        let fresh = Backoff::new(pause_first, pause_max);
        let (reason, mut backoff) = match outcome {
            Ok(component) => {
                self.ready.insert(digest, component);
                return None;
            }
            Err(Unloaded::Absent) => return None,
            Err(Unloaded::Away(reason)) => (reason, fresh),
            Err(Unloaded::Failed(reason)) => (reason, before.as_ref().map_or(fresh, |before| before.backoff)),
        };
        let again_in = backoff.next_pause();
        let is_known = |before: &LoadFailure| before.reason == reason && !before.backoff.is_fresh();
        let is_news = !before.as_ref().is_some_and(is_known);
        self.failed.insert(digest, LoadFailure { reason: reason.clone(), backoff, again: now + again_in });
        Some(Failure { reason, again_in, is_news })
    }

    /// The deployments that are ready to run; where one is not, the one that ran before. One that is neither keeps no
    /// other waiting. Nothing is known before the first look at the store.
    pub(super) fn runnable(&self) -> Option<Runnable> {
        self.revision?;
        let mut runnable = Runnable::default();
        for (deployment, role) in &self.wanted {
            let (projection, serving) = (&deployment.projection, *role == Role::Serving);
            if let Some(component) = self.ready.get(&deployment.digest) {
                let returning = self.returning.contains(&deployment.id);
                let (deployment, component) = (Arc::new(deployment.clone()), Arc::clone(component));
                let loaded = Loaded { deployment, role: *role, returning, component };
                runnable.running.insert(loaded.deployment.read_model, loaded);
                continue;
            }
            let before = self.running.get(&deployment.read_model);
            if let Some(LoadFailure { reason, .. }) = self.failed.get(&deployment.digest) {
                runnable.unloadable.push((projection.clone(), *role));
                if serving {
                    runnable.blocked.insert(Part::Projection(projection.clone()), reason.clone());
                }
            } else if serving && before.is_none() {
                // Under another name: it is not halted, it begins.
                let reason = "its component is being loaded".to_owned();
                runnable.blocked.insert(Part::Start(projection.clone()), reason);
            }
            let before = before.map(|before| Loaded { role: *role, ..before.clone() });
            runnable.running.extend(before.map(|before| (deployment.read_model, before)));
        }
        Some(runnable)
    }

    /// These run from here on. Returns those of them that did not before; nothing if all is as it was.
    pub(super) fn run(&mut self, running: BTreeMap<ReadModelId, Loaded>) -> Option<Vec<Loaded>> {
        let same = self.published
            && running.len() == self.running.len()
            && running.values().zip(self.running.values()).all(|(new, old)| new.same_as(old));
        if same {
            return None;
        }
        let before = std::mem::replace(&mut self.running, running);
        self.published = true;
        let is_new = |(read_model, new): &(&ReadModelId, &Loaded)| {
            before.get(*read_model).is_none_or(|old| old.deployment.id != new.deployment.id)
        };
        Some(self.running.iter().filter(is_new).map(|(_, new)| new.clone()).collect())
    }

    /// What runs.
    pub(super) fn running(&self) -> Vec<Loaded> {
        self.running.values().cloned().collect()
    }

    /// Why components cannot be loaded, by the deployments that need them, as far as that is known.
    pub(super) fn load_conditions(&self) -> BTreeMap<DeploymentId, LoadCondition> {
        let known = self.wanted.iter().filter_map(|(Deployment { id, digest, .. }, _)| {
            let failed = self.failed.get(digest).map(|failed| (failed.reason.clone(), failed.again));
            (failed.is_some() || self.ready.contains_key(digest)).then_some((*id, failed))
        });
        known.collect()
    }
}

#[cfg(test)]
mod tests;
