//! A lifecycle, written down once more and otherwise: the serving deployment, the candidate and the read model kept for
//! a rollback are stored as such, not read from a history.

use std::collections::BTreeSet;

use kennel_core::digest::Digest;
use kennel_core::lifecycle::{
    Activity, Deploy, Lifecycle, Mode, Operation, Origin, Outcome, Promotion, ReadModelStatus,
};
use kennel_core::name::ReplicaSet;
use kennel_core::projection::{Partitioning, ReadModelId, Settings};

use super::Answer;
use super::steps::Step;

/// The content of a deployment: code, settings, and which events it wants in which parts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Content {
    digest: Digest,
    settings: Settings,
    /// And its name.
    wants: (BTreeSet<String>, Partitioning, String),
}

#[derive(Clone, Debug)]
struct Line {
    content: Content,
    read_model: i64,
    origin: Origin,
}

/// Deployments are named by their number: line 0 has number 1.
#[derive(Debug, Default)]
pub(crate) struct Naive {
    lines: Vec<Line>,
    set: ReplicaSet,
    paused: bool,
    retired: bool,
    manual: bool,
    fenced: bool,
    serving: Option<u32>,
    candidate: Option<u32>,
    cancelled: BTreeSet<u32>,
    /// The read model that served before the one that serves.
    previous: Option<i64>,
    /// Read models that are gone.
    gone: BTreeSet<i64>,
}

impl Naive {
    pub(crate) fn take(&mut self, step: &Step) -> Answer {
        match step {
            Step::Operation(operation, missed) => self.operation(operation, *missed),
            Step::BeginCutover => {
                let due = self.candidate.is_some() && !self.manual && self.runs() && !self.fenced;
                self.fenced |= due;
                if due { Answer::Changed(None) } else { Answer::Same(None) }
            }
            Step::AbortCutover if self.fenced => {
                self.fenced = false;
                Answer::Changed(None)
            }
            Step::CompleteCutover if self.fenced => {
                self.fenced = false;
                let old = self.serving.map(|number| self.line(number).read_model);
                if let Some(replaced) = self.previous.take() {
                    self.delete_unless_at_work(replaced, self.candidate);
                }
                self.previous = old;
                self.serving = self.candidate.take();
                Answer::Changed(None)
            }
            Step::AbortCutover | Step::CompleteCutover => Answer::Same(None),
        }
    }

    fn operation(&mut self, operation: &Operation, missed: Option<u32>) -> Answer {
        if self.lines.is_empty() && !matches!(operation, Operation::Deploy(_) | Operation::Rebuild(_)) {
            return Answer::Rejected("missing");
        }
        let overtaken = missed.is_some_and(|missed| missed > 0) && !self.lines.is_empty();
        // The result is tried on a copy.
        let mut tried = Self { lines: self.lines.clone(), ..self.copied() };
        let answer = match operation {
            Operation::Deploy(deploy) | Operation::Rebuild(deploy) => tried.deploy(deploy),
            Operation::Rollback { to } => tried.rollback(*to),
            Operation::Promote => match tried.candidate {
                None => Answer::Rejected("no candidate"),
                about if tried.manual => {
                    tried.manual = false;
                    Answer::Changed(about)
                }
                about => Answer::Same(about),
            },
            Operation::Cancel => match tried.cancel() {
                None => Answer::Rejected("no candidate"),
                about => Answer::Changed(about),
            },
            Operation::Pause => tried.pause(true),
            Operation::Resume => tried.pause(false),
            Operation::Retire { drop } => tried.retire(*drop),
            Operation::AcceptLog { .. } if tried.retired => Answer::Rejected("retired"),
            // A store decides what becomes of checkpoints.
            Operation::AcceptLog { .. } => Answer::Changed(tried.serving),
        };
        if overtaken && matches!(answer, Answer::Changed(_)) {
            return Answer::Rejected("overtaken");
        }
        *self = tried;
        answer
    }

    fn copied(&self) -> Self {
        Self {
            lines: Vec::new(),
            set: self.set.clone(),
            cancelled: self.cancelled.clone(),
            gone: self.gone.clone(),
            ..*self
        }
    }

    fn deploy(&mut self, deploy: &Deploy) -> Answer {
        let mut wants = BTreeSet::new();
        wants.extend(deploy.descriptor.scope.event_types.iter().cloned());
        let content = Content {
            digest: deploy.digest,
            settings: deploy.settings.clone(),
            wants: (wants, deploy.descriptor.partitioning, deploy.descriptor.name.clone()),
        };
        if let Some(set) = &deploy.replica_set
            && !self.lines.is_empty()
            && !self.retired
            && *set != self.set
        {
            return Answer::Rejected("elsewhere");
        }
        let same = |number: Option<u32>, naive: &Self| {
            number
                .map(|number| &naive.line(number).content)
                .is_some_and(|known| (known.digest, &known.settings) == (content.digest, &content.settings))
        };
        let is_rebuild = self.candidate.is_some_and(|number| self.line(number).origin == Origin::Rebuild);
        if !deploy.force {
            if self.candidate.is_none() && !self.retired && same(self.serving, self) {
                return Answer::Same(self.serving);
            }
            if deploy.mode == Mode::Rebuild && is_rebuild && same(self.candidate, self) {
                let manual = deploy.promotion == Promotion::Manual;
                if self.manual == manual {
                    return Answer::Same(self.candidate);
                }
                (self.manual, self.fenced) = (manual, false);
                return Answer::Changed(self.candidate);
            }
        }
        let next = u32::try_from(self.lines.len()).unwrap() + 1;
        let fresh = self.lines.iter().map(|line| line.read_model).max().unwrap_or(0) + 1;
        let line = match (self.serving, deploy.mode) {
            (None, _) => {
                self.serving = Some(next);
                self.manual = deploy.promotion == Promotion::Manual;
                let origin = if self.lines.is_empty() { Origin::First } else { Origin::Rebuild };
                Line { content, read_model: fresh, origin }
            }
            (Some(serving), Mode::Continue) => {
                if self.candidate.is_some() {
                    return Answer::Rejected("candidate exists");
                }
                let old = self.line(serving);
                if old.content.wants != content.wants {
                    return Answer::Rejected("incompatible");
                }
                let read_model = old.read_model;
                self.serving = Some(next);
                Line { content, read_model, origin: Origin::Continue }
            }
            (Some(_), Mode::Rebuild) => {
                self.cancel();
                self.candidate = Some(next);
                self.manual = deploy.promotion == Promotion::Manual;
                Line { content, read_model: fresh, origin: Origin::Rebuild }
            }
        };
        self.lines.push(line);
        if let Some(set) = &deploy.replica_set {
            self.set = set.clone();
        }
        self.paused &= !self.retired;
        self.retired = false;
        Answer::Changed(Some(next))
    }

    fn rollback(&mut self, to: Option<u32>) -> Answer {
        if self.retired {
            return Answer::Rejected("retired");
        }
        let served = |number: &u32| !self.cancelled.contains(number) && self.candidate != Some(*number);
        let latest = u32::try_from(self.lines.len()).unwrap();
        let is_back = self.serving.is_some_and(|number| self.line(number).origin == Origin::Rollback);
        if to.is_none() && is_back {
            return Answer::Rejected("rolled back");
        }
        let target = match to {
            Some(number) => Some(number).filter(|number| (1..=latest).contains(number) && served(number)),
            None => (1..=latest).rev().find(|number| served(number) && self.serving != Some(*number)),
        };
        let Some(target) = target else {
            return Answer::Rejected(if to.is_some() { "no such deployment" } else { "nothing before" });
        };
        if self.candidate.is_some() {
            return Answer::Rejected("candidate exists");
        }
        if self.serving == Some(target) {
            return Answer::Rejected("serves already");
        }
        let old = self.line(target).clone();
        if self.gone.contains(&old.read_model) {
            return Answer::Rejected("read model gone");
        }
        let serves = self.serving.map(|number| self.line(number).read_model) == Some(old.read_model);
        if serves {
            self.serving = Some(latest + 1);
        } else {
            self.candidate = Some(latest + 1);
        }
        self.manual = false;
        self.lines.push(Line { origin: Origin::Rollback, ..old });
        Answer::Changed(Some(latest + 1))
    }

    fn pause(&mut self, pause: bool) -> Answer {
        if self.retired {
            return Answer::Rejected("retired");
        }
        if self.paused == pause {
            return Answer::Same(None);
        }
        (self.paused, self.fenced) = (pause, false);
        Answer::Changed(None)
    }

    fn retire(&mut self, drop: bool) -> Answer {
        let drops = drop && self.serving.is_some();
        if self.retired && !drops {
            return Answer::Same(None);
        }
        self.cancel();
        self.gone.extend(self.previous.take());
        if drops {
            let serving = self.serving.take().map(|number| self.line(number).read_model);
            self.gone.extend(serving);
        }
        (self.retired, self.paused) = (true, false);
        Answer::Changed(None)
    }

    /// Cancels the candidate. Its read model is deleted, unless it is the one kept for a rollback.
    fn cancel(&mut self) -> Option<u32> {
        let number = self.candidate.take()?;
        self.fenced = false;
        self.cancelled.insert(number);
        let read_model = self.line(number).read_model;
        if self.previous != Some(read_model) {
            self.gone.insert(read_model);
        }
        Some(number)
    }

    fn delete_unless_at_work(&mut self, read_model: i64, at_work: Option<u32>) {
        if at_work.is_none_or(|number| self.line(number).read_model != read_model) {
            self.gone.insert(read_model);
        }
    }

    fn runs(&self) -> bool {
        !self.paused && !self.retired
    }

    fn line(&self, number: u32) -> &Line {
        &self.lines[usize::try_from(number).unwrap() - 1]
    }

    fn read_model_status(&self, read_model: i64) -> ReadModelStatus {
        let of = |number: Option<u32>| number.map(|number| self.line(number).read_model) == Some(read_model);
        if self.gone.contains(&read_model) {
            ReadModelStatus::Deleting
        } else if self.runs() && (of(self.candidate) || of(self.serving) && !self.fenced) {
            ReadModelStatus::Active
        } else {
            ReadModelStatus::Fenced
        }
    }

    /// Compares a lifecycle with this.
    pub(crate) fn compare(&self, life: &Lifecycle) {
        let activity = match (self.retired, self.paused) {
            (true, _) => Activity::Retired,
            (_, true) => Activity::Paused,
            _ => Activity::Running,
        };
        assert_eq!((life.activity, life.fenced, &life.replica_set), (activity, self.fenced, &self.set));
        assert_eq!(life.promotion == Promotion::Manual, self.manual);
        assert_eq!(life.serving().map(|entry| entry.deployment.number), self.serving);
        assert_eq!(life.candidate().map(|entry| entry.deployment.number), self.candidate);
        assert_eq!(life.history.len(), self.lines.len());
        for ((number, line), entry) in (1..).zip(&self.lines).zip(&life.history) {
            let outcome = if self.serving == Some(number) {
                Outcome::Serving
            } else if self.candidate == Some(number) {
                Outcome::Candidate
            } else if self.cancelled.contains(&number) {
                Outcome::Cancelled
            } else {
                Outcome::Superseded
            };
            let deployment = &entry.deployment;
            assert_eq!((deployment.number, entry.origin, entry.outcome), (number, line.origin, outcome));
            assert_eq!(deployment.read_model.get(), line.read_model);
            assert_eq!(
                (deployment.digest, &deployment.settings),
                (line.content.digest, &line.content.settings)
            );
            let status = self.read_model_status(line.read_model);
            assert_eq!(
                life.read_model_status(ReadModelId::new(line.read_model)),
                status,
                "of {number} in {life:#?}"
            );
        }
    }
}
