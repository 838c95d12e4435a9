//! What a life has to be, written down once more and otherwise: who serves, what is being built and what is on
//! the shelf are kept as such, not read from a history.

use std::collections::BTreeSet;

use kennel_core::digest::Digest;
use kennel_core::lifecycle::{Activity, Command, Deploy, Lifecycle, Mode, Origin, Outcome, Standing, Switch};
use kennel_core::name::ReplicaSet;
use kennel_core::projection::{Partitioning, ReadModelId, Settings};

use super::Answer;
use super::stage::Step;

/// What is deployed: code, settings, and which events it wants in which parts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Content {
    digest: Digest,
    settings: Settings,
    /// And what it calls itself.
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
    frozen: bool,
    serving: Option<u32>,
    building: Option<u32>,
    cancelled: BTreeSet<u32>,
    /// The read model that served before the one that serves.
    shelf: Option<i64>,
    /// Read models that are gone.
    gone: BTreeSet<i64>,
}

impl Naive {
    pub(crate) fn take(&mut self, step: &Step) -> Answer {
        match step {
            Step::Command(command, missed) => self.command(command, *missed),
            Step::Freeze => {
                let due = self.building.is_some() && !self.manual && self.runs() && !self.frozen;
                self.frozen |= due;
                if due { Answer::Changed(None) } else { Answer::Same(None) }
            }
            Step::Thaw if self.frozen => {
                self.frozen = false;
                Answer::Changed(None)
            }
            Step::Complete if self.frozen => {
                self.frozen = false;
                let old = self.serving.map(|number| self.line(number).read_model);
                if let Some(shelved) = self.shelf.take() {
                    self.condemn_unless_at_work(shelved, self.building);
                }
                self.shelf = old;
                self.serving = self.building.take();
                Answer::Changed(None)
            }
            Step::Thaw | Step::Complete => Answer::Same(None),
        }
    }

    fn command(&mut self, command: &Command, missed: Option<u32>) -> Answer {
        if self.lines.is_empty() && !matches!(command, Command::Deploy(_)) {
            return Answer::Declined("missing");
        }
        let overtaken = missed.is_some_and(|missed| missed > 0) && !self.lines.is_empty();
        // What would come of it is tried on a copy.
        let mut tried = Self { lines: self.lines.clone(), ..self.copied() };
        let answer = match command {
            Command::Deploy(deploy) => tried.deploy(deploy),
            Command::Rollback { to } => tried.rollback(*to),
            Command::Switch => match tried.building {
                None => Answer::Declined("nothing building"),
                about if tried.manual => {
                    tried.manual = false;
                    Answer::Changed(about)
                }
                about => Answer::Same(about),
            },
            Command::Cancel => match tried.give_up() {
                None => Answer::Declined("nothing building"),
                about => Answer::Changed(about),
            },
            Command::Pause => tried.pause(true),
            Command::Resume => tried.pause(false),
            Command::Retire { drop } => tried.retire(*drop),
            Command::AcceptLog { .. } if tried.retired => Answer::Declined("retired"),
            // What becomes of checkpoints is a store's business.
            Command::AcceptLog { .. } => Answer::Changed(tried.serving),
        };
        if overtaken && matches!(answer, Answer::Changed(_)) {
            return Answer::Declined("overtaken");
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
            return Answer::Declined("elsewhere");
        }
        let same = |number: Option<u32>, naive: &Self| {
            number
                .map(|number| &naive.line(number).content)
                .is_some_and(|known| (known.digest, &known.settings) == (content.digest, &content.settings))
        };
        let is_rebuild = self.building.is_some_and(|number| self.line(number).origin == Origin::Rebuild);
        if !deploy.again {
            if self.building.is_none() && !self.retired && same(self.serving, self) {
                return Answer::Same(self.serving);
            }
            if deploy.mode == Mode::Rebuild && is_rebuild && same(self.building, self) {
                let manual = deploy.switch == Switch::Manual;
                if self.manual == manual {
                    return Answer::Same(self.building);
                }
                (self.manual, self.frozen) = (manual, false);
                return Answer::Changed(self.building);
            }
        }
        let next = u32::try_from(self.lines.len()).unwrap() + 1;
        let fresh = self.lines.iter().map(|line| line.read_model).max().unwrap_or(0) + 1;
        let line = match (self.serving, deploy.mode) {
            (None, _) => {
                self.serving = Some(next);
                self.manual = deploy.switch == Switch::Manual;
                let origin = if self.lines.is_empty() { Origin::First } else { Origin::Rebuild };
                Line { content, read_model: fresh, origin }
            }
            (Some(serving), Mode::Continue) => {
                if self.building.is_some() {
                    return Answer::Declined("in the way");
                }
                let old = self.line(serving);
                if old.content.wants != content.wants {
                    return Answer::Declined("incompatible");
                }
                let read_model = old.read_model;
                self.serving = Some(next);
                Line { content, read_model, origin: Origin::Continue }
            }
            (Some(_), Mode::Rebuild) => {
                self.give_up();
                self.building = Some(next);
                self.manual = deploy.switch == Switch::Manual;
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
            return Answer::Declined("retired");
        }
        let served = |number: &u32| !self.cancelled.contains(number) && self.building != Some(*number);
        let latest = u32::try_from(self.lines.len()).unwrap();
        let is_back = self.serving.is_some_and(|number| self.line(number).origin == Origin::Rollback);
        if to.is_none() && is_back {
            return Answer::Declined("rolled back");
        }
        let target = match to {
            Some(number) => Some(number).filter(|number| (1..=latest).contains(number) && served(number)),
            None => (1..=latest).rev().find(|number| served(number) && self.serving != Some(*number)),
        };
        let Some(target) = target else {
            return Answer::Declined(if to.is_some() { "no such deployment" } else { "nothing before" });
        };
        if self.building.is_some() {
            return Answer::Declined("in the way");
        }
        if self.serving == Some(target) {
            return Answer::Declined("serves already");
        }
        let old = self.line(target).clone();
        if self.gone.contains(&old.read_model) {
            return Answer::Declined("read model gone");
        }
        let serves = self.serving.map(|number| self.line(number).read_model) == Some(old.read_model);
        if serves {
            self.serving = Some(latest + 1);
        } else {
            self.building = Some(latest + 1);
        }
        self.manual = false;
        self.lines.push(Line { origin: Origin::Rollback, ..old });
        Answer::Changed(Some(latest + 1))
    }

    fn pause(&mut self, pause: bool) -> Answer {
        if self.retired {
            return Answer::Declined("retired");
        }
        if self.paused == pause {
            return Answer::Same(None);
        }
        (self.paused, self.frozen) = (pause, false);
        Answer::Changed(None)
    }

    fn retire(&mut self, drop: bool) -> Answer {
        let drops = drop && self.serving.is_some();
        if self.retired && !drops {
            return Answer::Same(None);
        }
        self.give_up();
        self.gone.extend(self.shelf.take());
        if drops {
            let serving = self.serving.take().map(|number| self.line(number).read_model);
            self.gone.extend(serving);
        }
        (self.retired, self.paused) = (true, false);
        Answer::Changed(None)
    }

    /// What is being built is given up. Its read model goes, unless it is the one on the shelf.
    fn give_up(&mut self) -> Option<u32> {
        let number = self.building.take()?;
        self.frozen = false;
        self.cancelled.insert(number);
        let read_model = self.line(number).read_model;
        if self.shelf != Some(read_model) {
            self.gone.insert(read_model);
        }
        Some(number)
    }

    fn condemn_unless_at_work(&mut self, read_model: i64, at_work: Option<u32>) {
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

    fn standing(&self, read_model: i64) -> Standing {
        let of = |number: Option<u32>| number.map(|number| self.line(number).read_model) == Some(read_model);
        if self.gone.contains(&read_model) {
            Standing::Condemned
        } else if self.runs() && (of(self.building) || of(self.serving) && !self.frozen) {
            Standing::Open
        } else {
            Standing::Held
        }
    }

    /// Holds a life against this.
    pub(crate) fn compare(&self, life: &Lifecycle) {
        let activity = match (self.retired, self.paused) {
            (true, _) => Activity::Retired,
            (_, true) => Activity::Paused,
            _ => Activity::Running,
        };
        assert_eq!((life.activity, life.frozen, &life.replica_set), (activity, self.frozen, &self.set));
        assert_eq!(life.switch == Switch::Manual, self.manual);
        assert_eq!(life.live().map(|entry| entry.deployment.number), self.serving);
        assert_eq!(life.candidate().map(|entry| entry.deployment.number), self.building);
        assert_eq!(life.history.len(), self.lines.len());
        for ((number, line), entry) in (1..).zip(&self.lines).zip(&life.history) {
            let outcome = if self.serving == Some(number) {
                Outcome::Live
            } else if self.building == Some(number) {
                Outcome::Building
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
            let standing = self.standing(line.read_model);
            assert_eq!(
                life.standing(ReadModelId::new(line.read_model)),
                standing,
                "of {number} in {life:#?}"
            );
        }
    }
}
