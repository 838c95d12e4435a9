//! Components, deployments and read models in memory.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use kennel_core::checkpoint::{self, Checkpoint};
use kennel_core::condition::{Condition, ReportedCondition};
use kennel_core::digest::Digest;
use kennel_core::failure::EventFailure;
use kennel_core::lifecycle::{
    self as rules, Attribution, Decision, Entry, Lifecycle, OperationRecord, OperationRequest,
    ReadModelStatus, Rejected, Role, Verdict,
};
use kennel_core::limits;
use kennel_core::membership::Generation;
use kennel_core::name::{ProjectionName, ReplicaSet};
use kennel_core::partition::HashRange;
use kennel_core::port::{
    Changed, ComponentStore, Cutover, CutoverOutcome, DeploymentStore, ProjectionProgress, ProjectionState,
    StatusReports, StoreError, StoredComponent,
};
use kennel_core::position::Position;
use kennel_core::projection::{Deployment, DeploymentId, ReadModelId};

use super::{Built, MemoryStore, Report, SeenCondition, State};

#[async_trait]
impl ComponentStore for MemoryStore {
    async fn put_component(&self, digest: Digest, bytes: &[u8]) -> Result<(), StoreError> {
        let now = self.now();
        self.state().components.entry(digest).or_insert_with(|| (now, bytes.to_vec()));
        Ok(())
    }

    async fn component(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.state().components.get(&digest).map(|(_, bytes)| bytes.clone()))
    }

    async fn components(&self) -> Result<Vec<StoredComponent>, StoreError> {
        let state = self.state();
        let stored = state.components.iter().map(|(digest, (at, bytes))| {
            let entries = state.projections.values().flat_map(|lifecycle| &lifecycle.history);
            let used = entries.filter(|entry| entry.deployment.digest == *digest);
            StoredComponent {
                digest: *digest,
                bytes: bytes.len() as u64,
                stored_at: micros(*at),
                used_by: used
                    .map(|entry| (entry.deployment.projection.clone(), entry.deployment.number))
                    .collect(),
            }
        });
        let mut stored: Vec<StoredComponent> = stored.collect();
        stored.sort_by_key(|component| (std::cmp::Reverse(component.stored_at), component.digest));
        Ok(stored)
    }
}

#[async_trait]
impl DeploymentStore for MemoryStore {
    async fn carry_out(
        &self,
        projection: &ProjectionName,
        request: &OperationRequest,
    ) -> Result<Result<Changed, Rejected>, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let known = state.projections.get(projection).cloned();
        let before = known.unwrap_or_else(|| Lifecycle::new(projection.clone()));
        let decision = match rules::decide(&before, request) {
            Err(rejected) => return Ok(Err(rejected)),
            Ok(Verdict::Unchanged(number)) => {
                return Ok(Ok(Changed { lifecycle: before, number, changed: false }));
            }
            Ok(Verdict::Change(decision)) => decision,
        };
        let number = decision.about;
        if let Some(after) = decision.accept_log
            && let Err(rejected) = state.accept_log(&before, after)
        {
            return Ok(Err(rejected));
        }
        let lifecycle = state.apply(before, decision, &request.attribution, now);
        state.operations.entry(projection.clone()).or_default().push(OperationRecord {
            operation: request.operation.kind().to_string(),
            detail: request.operation.detail(),
            deployment: number,
            attribution: request.attribution.clone(),
            at: micros(now),
        });
        drop(state);
        self.inner.deployments.give();
        Ok(Ok(Changed { lifecycle, number, changed: true }))
    }

    async fn lifecycle(&self, projection: &ProjectionName) -> Result<Option<Lifecycle>, StoreError> {
        Ok(self.state().projections.get(projection).cloned())
    }

    async fn operations(&self, projection: &ProjectionName) -> Result<Vec<OperationRecord>, StoreError> {
        Ok(self.state().operations.get(projection).cloned().unwrap_or_default())
    }

    async fn projections(&self) -> Result<Vec<ProjectionName>, StoreError> {
        Ok(self.state().projections.keys().cloned().collect())
    }

    async fn active(&self, replica_set: &ReplicaSet) -> Result<Vec<(Deployment, Role)>, StoreError> {
        let state = self.state();
        let ours = state.projections.values().filter(|lifecycle| lifecycle.replica_set == *replica_set);
        let mut active: Vec<(Deployment, Role)> =
            ours.flat_map(Lifecycle::at_work).map(|(entry, role)| (entry.deployment.clone(), role)).collect();
        active.sort_by(|(a, _), (b, _)| (&a.projection, a.number).cmp(&(&b.projection, b.number)));
        Ok(active)
    }

    async fn find(&self, projection: &ProjectionName) -> Result<Option<Deployment>, StoreError> {
        let state = self.state();
        Ok(state
            .projections
            .get(projection)
            .and_then(Lifecycle::serving)
            .map(|serving| serving.deployment.clone()))
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        Ok(self.state().revision)
    }

    async fn projections_changed(&self) {
        self.inner.deployments.next().await;
    }
}

#[async_trait]
impl StatusReports for MemoryStore {
    async fn checkpoints_of(&self, read_model: ReadModelId) -> Result<Vec<Checkpoint>, StoreError> {
        let state = self.state();
        let built = state.read_models.get(&read_model);
        Ok(built.map(|built| checkpoint::merge(built.checkpoints.clone())).unwrap_or_default())
    }

    async fn report(
        &self,
        deployment: DeploymentId,
        state: ProjectionState,
        failure: Option<&EventFailure>,
    ) -> Result<(), StoreError> {
        if let Some(report) = self.state().reports.get_mut(&deployment) {
            // One partition that retries does not hide that another is halted.
            if (report.state, state) == (ProjectionState::Halted, ProjectionState::Retrying) {
                return Ok(());
            }
            report.state = state;
            if let Some(failure) = failure {
                report.last_failure = Some(failure.clone());
            }
        }
        Ok(())
    }

    async fn report_condition(
        &self,
        deployment: DeploymentId,
        source: &str,
        condition: Option<&Condition>,
    ) -> Result<(), StoreError> {
        let now = self.now();
        if let Some(report) = self.state().reports.get_mut(&deployment) {
            match condition {
                Some(condition) => {
                    let known = report.conditions.get(source).filter(|known| known.is_current(now));
                    let same = known.filter(|known| known.condition.reason == condition.reason);
                    let since = same.map_or(now, |same| same.since);
                    let seen = SeenCondition { condition: condition.clone(), since, reported_at: now };
                    report.conditions.insert(source.to_owned(), seen);
                }
                None => drop(report.conditions.remove(source)),
            }
        }
        Ok(())
    }

    async fn progress(&self) -> Result<Vec<ProjectionProgress>, StoreError> {
        let now = self.now();
        let state = self.state();
        let mut all = Vec::new();
        for lifecycle in state.projections.values().filter(|one| one.activity != rules::Activity::Retired) {
            let mut entries: Vec<(&Entry, Role)> =
                lifecycle.serving().into_iter().map(|one| (one, Role::Serving)).collect();
            entries.extend(lifecycle.candidate().map(|one| (one, Role::Candidate)));
            entries.sort_by_key(|(entry, _)| entry.deployment.number);
            all.extend(
                entries.into_iter().map(|(entry, role)| state.progress_of(lifecycle, entry, role, now)),
            );
        }
        Ok(all)
    }
}

#[async_trait]
impl Cutover for MemoryStore {
    async fn begin_cutover(
        &self,
        projection: &ProjectionName,
        slack: u64,
    ) -> Result<CutoverOutcome, StoreError> {
        Ok(self.step(projection, rules::begin_cutover, slack))
    }

    async fn complete_cutover(&self, projection: &ProjectionName) -> Result<CutoverOutcome, StoreError> {
        Ok(self.step(projection, rules::complete_cutover, 0))
    }

    async fn abort_cutover(&self, projection: &ProjectionName) -> Result<(), StoreError> {
        self.step(projection, rules::abort_cutover, u64::MAX);
        Ok(())
    }

    async fn collect_garbage(&self) -> Result<u64, StoreError> {
        let mut state = self.state();
        let before = state.read_models.len();
        state.read_models.retain(|_, built| built.status != ReadModelStatus::Deleting);
        Ok((before - state.read_models.len()) as u64)
    }
}

impl MemoryStore {
    /// A step of a cutover, if it is due and the candidate is at most `slack` positions behind.
    fn step(
        &self,
        projection: &ProjectionName,
        decide: fn(&Lifecycle) -> Option<Decision>,
        slack: u64,
    ) -> CutoverOutcome {
        let now = self.now();
        let mut state = self.state();
        let Some(before) = state.projections.get(projection).cloned() else { return CutoverOutcome::Nothing };
        let Some(decision) = decide(&before) else { return CutoverOutcome::Nothing };
        let behind = state.behind(&before);
        if behind > slack {
            return CutoverOutcome::Behind(behind);
        }
        state.apply(before, decision, &Attribution { actor: String::new(), reason: None }, now);
        drop(state);
        self.inner.deployments.give();
        CutoverOutcome::Done
    }
}

impl State {
    fn behind(&self, lifecycle: &Lifecycle) -> u64 {
        let of = |entry: Option<&Entry>| {
            let built = entry.and_then(|entry| self.read_models.get(&entry.deployment.read_model));
            built.map(|built| built.checkpoints.clone()).unwrap_or_default()
        };
        let mut leader = of(lifecycle.serving());
        let serving = lifecycle.serving().map(|serving| serving.deployment.read_model);
        if let Some(set_back) = serving.and_then(|serving| self.log_set_back(serving, HashRange::ALL)) {
            // The serving read model went farther than the log does now: nothing can get there, and
            // nothing has to.
            leader.iter_mut().for_each(|row| row.position = row.position.min(set_back.log_end));
        }
        checkpoint::behind(&of(lifecycle.candidate()), &leader)
    }

    fn next_id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }

    fn apply(
        &mut self,
        before: Lifecycle,
        decision: Decision,
        attribution: &Attribution,
        now: Duration,
    ) -> Lifecycle {
        let mut after = Lifecycle {
            replica_set: decision.replica_set,
            activity: decision.activity,
            promotion: decision.promotion,
            fenced: decision.fenced,
            ..before
        };
        for entry in &mut after.history {
            // Where the projection is shows in every line.
            entry.deployment.replica_set = after.replica_set.clone();
        }
        for (number, outcome) in decision.outcomes {
            if let Some(entry) = after.history.iter_mut().find(|entry| entry.deployment.number == number) {
                (entry.outcome, entry.decided_at) = (outcome, micros(now));
            }
        }
        if let Some(new) = decision.new {
            let read_model = new.read_model.unwrap_or_else(|| self.make_read_model(&after.projection));
            let built = self.read_models.get(&read_model);
            let from = built.and_then(|built| built.checkpoints.iter().map(|row| row.position).min());
            let deployment = Deployment {
                id: DeploymentId::new(self.next_id()),
                projection: after.projection.clone(),
                replica_set: after.replica_set.clone(),
                number: new.number,
                digest: new.digest,
                descriptor: new.descriptor,
                settings: new.settings,
                read_model,
            };
            self.reports.insert(
                deployment.id,
                Report { state: ProjectionState::Running, last_failure: None, conditions: BTreeMap::new() },
            );
            after.history.push(Entry {
                deployment,
                origin: new.origin,
                returns_to: new.returns_to,
                outcome: new.outcome,
                attribution: attribution.clone(),
                from: from.unwrap_or(Position::START),
                deployed_at: micros(now),
                decided_at: micros(now),
            });
        }
        let ours = self.read_models.iter_mut().filter(|(_, built)| built.projection == after.projection);
        let mut kept = Vec::new();
        for (id, built) in ours {
            built.status = after.read_model_status(*id);
            if built.status != ReadModelStatus::Active {
                built.checkpoints.iter_mut().for_each(|row| row.generation = Generation::NONE);
            }
            if built.status != ReadModelStatus::Deleting {
                kept.push(*id);
            }
        }
        after.read_models = kept;
        self.revision += 1;
        self.projections.insert(after.projection.clone(), after.clone());
        after
    }

    fn make_read_model(&mut self, projection: &ProjectionName) -> ReadModelId {
        let id = ReadModelId::new(self.next_id());
        let built = Built {
            projection: projection.clone(),
            status: ReadModelStatus::Active,
            checkpoints: vec![Checkpoint::INITIAL],
            collections: BTreeMap::new(),
            dead_letters: BTreeMap::new(),
        };
        self.read_models.insert(id, built);
        id
    }

    fn progress_of(
        &self,
        lifecycle: &Lifecycle,
        entry: &Entry,
        role: Role,
        now: Duration,
    ) -> ProjectionProgress {
        let report = self.reports.get(&entry.deployment.id);
        let built = self.read_models.get(&entry.deployment.read_model);
        let log_set_back = self.log_set_back(entry.deployment.read_model, HashRange::ALL);
        let reported = report.into_iter().flat_map(|report| &report.conditions);
        let mut conditions: Vec<ReportedCondition> = reported
            .filter(|(_, seen)| seen.is_current(now) && seen.condition.reason.concerns(role))
            .map(|(source, seen)| ReportedCondition {
                condition: seen.condition.clone(),
                source: source.clone(),
                since: Some(micros(seen.since)),
            })
            .collect();
        let set_back = log_set_back.as_ref().map(|set_back| set_back.condition(&lifecycle.projection));
        conditions.extend(set_back.map(ReportedCondition::found));
        ProjectionProgress {
            deployment: entry.deployment.clone(),
            role,
            activity: lifecycle.activity,
            promotion: lifecycle.promotion,
            fenced: lifecycle.fenced,
            from: entry.from,
            age: Duration::from_micros(micros(now).saturating_sub(entry.deployed_at)),
            state: match log_set_back {
                Some(_) => ProjectionState::Halted,
                None => report.map_or(ProjectionState::Running, |report| report.state),
            },
            last_failure: report.and_then(|report| report.last_failure.clone()),
            checkpoints: checkpoint::merge(built.map(|built| built.checkpoints.clone()).unwrap_or_default()),
            dead_letters: built.map_or(0, |built| built.dead_letters.len() as u64),
            conditions,
        }
    }
}

impl SeenCondition {
    /// Whether it has not expired.
    fn is_current(&self, now: Duration) -> bool {
        now.saturating_sub(self.reported_at) < limits::CONDITION_EXPIRES_AFTER
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
