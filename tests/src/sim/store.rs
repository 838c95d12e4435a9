//! The store as one process sees it: the store in memory at the other end of a [`Line`]. What takes
//! effect there is checked against the [`Invariants`](super::invariants::Invariants) at that very moment.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kennel_core::checkpoint::Checkpoint;
use kennel_core::condition::Condition;
use kennel_core::digest::Digest;
use kennel_core::event::NewEvent;
use kennel_core::failure::EventFailure;
use kennel_core::lifecycle::{Lifecycle, OperationRecord, OperationRequest, Rejected, Role};
use kennel_core::membership::{Generation, WorkerId, WorkerState};
use kennel_core::name::{ProjectionName, ReplicaSet};
use kennel_core::partition::HashRange;
use kennel_core::plan::Plan;
use kennel_core::port::{
    Appended, Appender, Changed, ClaimOutcome, Commit, CommitOutcome, ComponentStore, Coordination, Cutover,
    CutoverOutcome, DeadLetter, DeploymentStore, Document, Fetched, GenerationRecord, HighWaterMark,
    LogReader, NewWorker, Page, ProjectionProgress, ProjectionState, ProposeOutcome, ReadModel, ReadQuery,
    StatusReports, StoreError, StoredComponent, View, Wanted,
};
use kennel_core::projection::{Deployment, DeploymentId, ReadModelId};
use kennel_store::memory::MemoryStore;

use super::line::Line;
use super::operations;
use super::suspension::On;
use super::world::World;

#[derive(Clone, Debug)]
pub(super) struct Remote {
    pub(super) line: Line,
    pub(super) store: MemoryStore,
}

impl Remote {
    fn world(&self) -> &Arc<World> {
        &self.line.world
    }

    /// A step of a cutover that is counted, and checked against the invariants, when it has done something.
    fn step<F>(
        &self,
        projection: &ProjectionName,
        kind: &'static str,
        step: F,
    ) -> impl Future<Output = Result<CutoverOutcome, StoreError>> + Send + use<F>
    where
        F: Future<Output = Result<CutoverOutcome, StoreError>> + Send,
    {
        let (store, world, projection) = (self.store.clone(), Arc::clone(self.world()), projection.clone());
        async move {
            let answer = step.await?;
            if answer == CutoverOutcome::Done {
                world.count(kind);
                if let Some(life) = store.lifecycle(&projection).await? {
                    world.judge(|invariants| invariants.lives(&life));
                }
            }
            Ok(answer)
        }
    }
}

#[async_trait]
impl LogReader for Remote {
    async fn high_water_mark(&self) -> Result<HighWaterMark, StoreError> {
        let reported = |high_water_mark: &HighWaterMark| {
            format!("{} of {}", high_water_mark.position, high_water_mark.head)
        };
        self.line.ask(On::Log, "high_water_mark".to_owned(), self.store.high_water_mark(), reported).await
    }

    async fn read(&self, query: ReadQuery<'_>) -> Result<Page, StoreError> {
        let high_water_mark = self.store.high_water_mark().await?.position;
        if query.upto > high_water_mark {
            self.world()
                .complain(format!("read up to {}, above the high-water mark {high_water_mark}", query.upto));
        }
        let what = format!("read {}..{} in {}", query.after, query.upto, spans(query.ranges));
        let reported = |page: &Page| format!("{} events, reached {}", page.events.len(), page.reached);
        self.line.ask(On::Log, what, self.store.read(query), reported).await
    }

    async fn notification(&self) {
        let world = self.world();
        loop {
            let alarm = world
                .fault(world.weather.false_notification)
                .then(|| world.up_to(Duration::from_millis(300)));
            let wait = alarm.unwrap_or(Duration::from_secs(3600));
            tokio::select! {
                biased;
                () = self.store.notification() => {
                    if world.fault(world.weather.lost_notification) {
                        world.count("lost notifications");
                        continue;
                    }
                }
                () = tokio::time::sleep(wait) => world.count("false notifications"),
            }
            return self.line.suspension.pass(On::Log).await;
        }
    }
}

#[async_trait]
impl Appender for Remote {
    async fn append(&self, events: &[NewEvent]) -> Result<Appended, StoreError> {
        self.store.append(events).await
    }
}

#[async_trait]
impl ReadModel for Remote {
    async fn fetch_up_to(
        &self,
        read_model: ReadModelId,
        wanted: &[Wanted],
        bytes_max: usize,
    ) -> Result<Vec<Vec<Fetched>>, StoreError> {
        let keys = wanted.iter().map(|wanted| format!("{}/{}", wanted.collection, wanted.keys.join("+")));
        let what = format!("fetch m{read_model} {}", keys.collect::<Vec<_>>().join(" "));
        let reported = |found: &Vec<Vec<Fetched>>| {
            let revisions = found.iter().flatten().map(|found| match found {
                Fetched::Stored(stored) => stored.revision.get(),
                Fetched::Absent | Fetched::Left => 0,
            });
            format!("at {:?}", revisions.collect::<Vec<_>>())
        };
        self.line
            .ask(On::ReadModel, what, self.store.fetch_up_to(read_model, wanted, bytes_max), reported)
            .await
    }

    async fn scan_up_to(
        &self,
        read_model: ReadModelId,
        collection: &str,
        after: Option<&str>,
        prefix: &str,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Vec<Document>, StoreError> {
        let call = self.store.scan_up_to(read_model, collection, after, prefix, limit, bytes_max);
        let reported = |found: &Vec<Document>| format!("{} documents", found.len());
        self.line.ask(On::ReadModel, format!("scan m{read_model} {collection}"), call, reported).await
    }

    async fn commit(&self, batch: &Commit) -> Result<CommitOutcome, StoreError> {
        let Commit { read_model, generation, ranges, from, to, events, .. } = batch;
        let what = format!(
            "commit m{read_model} g{generation} {} {from}..{} {events} events{}{}",
            spans(ranges),
            to.position,
            if batch.sole_owner { " alone" } else { "" },
            if batch.dead_letters.is_empty() { "" } else { " dead letter" },
        );
        let process = self.line.process;
        self.world().judge(|invariants| invariants.sends(process, batch));
        let (store, sent, world) = (self.store.clone(), batch.clone(), Arc::clone(self.world()));
        let call = async move {
            let outcome = store.commit(&sent).await?;
            world.count(match &outcome {
                CommitOutcome::Committed => "commits",
                CommitOutcome::Fenced => "fenced commits",
                CommitOutcome::LogSetBack => "commits on a log that was set back",
                CommitOutcome::Conflict { .. } => "conflicts",
                CommitOutcome::Invalid { .. } => "invalid commits",
                CommitOutcome::CutShort { .. } => "commits cut short",
            });
            if outcome == CommitOutcome::Committed {
                sent.dead_letters.iter().for_each(|_| world.count("dead letters"));
                world.judge(|invariants| invariants.committed(process, &sent));
            }
            Ok(outcome)
        };
        let answer = self.line.report(On::ReadModel, what, call, debug).await;
        if !matches!(&answer, Ok(outcome) if *outcome != CommitOutcome::Fenced) {
            self.world().invariants(|invariants| invariants.doubts(process, batch));
        }
        answer
    }

    async fn collections(&self, read_model: ReadModelId) -> Result<Vec<Arc<str>>, StoreError> {
        self.store.collections(read_model).await
    }

    async fn dead_letters(
        &self,
        read_model: ReadModelId,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        self.store.dead_letters(read_model, limit).await
    }
}

#[async_trait]
impl ComponentStore for Remote {
    async fn put_component(&self, digest: Digest, bytes: &[u8]) -> Result<(), StoreError> {
        self.store.put_component(digest, bytes).await
    }

    async fn component(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let reported = |found: &Option<Vec<u8>>| format!("found: {}", found.is_some());
        self.line.ask(On::Deployments, "component".to_owned(), self.store.component(digest), reported).await
    }

    async fn components(&self) -> Result<Vec<StoredComponent>, StoreError> {
        self.store.components().await
    }
}

#[async_trait]
impl DeploymentStore for Remote {
    async fn carry_out(
        &self,
        projection: &ProjectionName,
        request: &OperationRequest,
    ) -> Result<Result<Changed, Rejected>, StoreError> {
        let (store, world, named, asked) =
            (self.store.clone(), Arc::clone(self.world()), projection.clone(), request.clone());
        let expected =
            request.expected_deployment.map_or_else(String::new, |number| format!(" after {number}"));
        let what =
            format!("operation on {projection}: {}{expected}", operations::describe(&request.operation));
        let call = async move {
            let answer = store.carry_out(&named, &asked).await?;
            match &answer {
                Ok(changed) if changed.changed => {
                    world.count(operations::counted_as(&asked.operation));
                    world.judge(|invariants| invariants.lives(&changed.lifecycle));
                }
                Ok(_) => world.count("operations that change nothing"),
                Err(Rejected::Overtaken { .. }) => world.count("overtaken operations"),
                Err(Rejected::Incompatible { .. }) => world.count("incompatible operations"),
                Err(_) => world.count("rejected operations"),
            }
            Ok(answer)
        };
        let reported = |answer: &Result<Changed, Rejected>| match answer {
            Ok(changed) => format!("{:?}, changed: {}", changed.number, changed.changed),
            Err(rejected) => rejected.to_string(),
        };
        self.line.report(On::Deployments, what, call, reported).await
    }

    async fn lifecycle(&self, projection: &ProjectionName) -> Result<Option<Lifecycle>, StoreError> {
        let reported = |life: &Option<Lifecycle>| {
            life.as_ref()
                .map_or_else(|| "nothing".to_owned(), |life| format!("{} deployments", life.latest()))
        };
        let call = self.store.lifecycle(projection);
        self.line.ask(On::Deployments, format!("lifecycle {projection}"), call, reported).await
    }

    async fn projections(&self) -> Result<Vec<ProjectionName>, StoreError> {
        self.store.projections().await
    }

    async fn operations(&self, projection: &ProjectionName) -> Result<Vec<OperationRecord>, StoreError> {
        self.store.operations(projection).await
    }

    async fn active(&self, replica_set: &ReplicaSet) -> Result<Vec<(Deployment, Role)>, StoreError> {
        let reported = |found: &Vec<(Deployment, Role)>| format!("{} deployments", found.len());
        self.line.ask(On::Deployments, "active".to_owned(), self.store.active(replica_set), reported).await
    }

    async fn find(&self, projection: &ProjectionName) -> Result<Option<Deployment>, StoreError> {
        self.store.find(projection).await
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        self.line.ask(On::Deployments, "revision".to_owned(), self.store.revision(), debug).await
    }

    async fn projections_changed(&self) {
        let world = self.world();
        loop {
            self.store.projections_changed().await;
            if world.fault(world.weather.lost_notification) {
                world.count("lost notifications");
                continue;
            }
            return self.line.suspension.pass(On::Deployments).await;
        }
    }
}

#[async_trait]
impl StatusReports for Remote {
    async fn checkpoints_of(&self, read_model: ReadModelId) -> Result<Vec<Checkpoint>, StoreError> {
        self.store.checkpoints_of(read_model).await
    }

    async fn report_condition(
        &self,
        deployment: DeploymentId,
        source: &str,
        condition: Option<&Condition>,
    ) -> Result<(), StoreError> {
        let (store, source, condition) = (self.store.clone(), source.to_owned(), condition.cloned());
        let call = async move { store.report_condition(deployment, &source, condition.as_ref()).await };
        self.line.report(On::Deployments, format!("report-condition d{deployment}"), call, debug).await
    }

    async fn report(
        &self,
        deployment: DeploymentId,
        state: ProjectionState,
        failure: Option<&EventFailure>,
    ) -> Result<(), StoreError> {
        let (store, failure) = (self.store.clone(), failure.cloned());
        let world = Arc::clone(self.world());
        let call = async move {
            if state == ProjectionState::Halted {
                world.count("halts");
            }
            store.report(deployment, state, failure.as_ref()).await
        };
        self.line
            .report(On::Deployments, format!("report d{deployment} {}", state.as_str()), call, debug)
            .await
    }

    async fn progress(&self) -> Result<Vec<ProjectionProgress>, StoreError> {
        let reported = |progress: &Vec<ProjectionProgress>| {
            progress.iter().map(|one| one.state.as_str()).collect::<Vec<_>>().join(" ")
        };
        self.line.ask(On::Deployments, "progress".to_owned(), self.store.progress(), reported).await
    }
}

#[async_trait]
impl Cutover for Remote {
    async fn begin_cutover(
        &self,
        projection: &ProjectionName,
        slack: u64,
    ) -> Result<CutoverOutcome, StoreError> {
        let (store, named) = (self.store.clone(), projection.clone());
        let call =
            self.step(projection, "begun cutovers", async move { store.begin_cutover(&named, slack).await });
        self.line.report(On::Deployments, format!("begin-cutover {projection}"), call, debug).await
    }

    async fn complete_cutover(&self, projection: &ProjectionName) -> Result<CutoverOutcome, StoreError> {
        let (store, named) = (self.store.clone(), projection.clone());
        let call = self.step(projection, "cutovers", async move { store.complete_cutover(&named).await });
        self.line.report(On::Deployments, format!("complete-cutover {projection}"), call, debug).await
    }

    async fn abort_cutover(&self, projection: &ProjectionName) -> Result<(), StoreError> {
        let (store, named) = (self.store.clone(), projection.clone());
        let abort = async move {
            let revision = store.revision().await?;
            store.abort_cutover(&named).await?;
            let changed = store.revision().await? != revision;
            Ok(if changed { CutoverOutcome::Done } else { CutoverOutcome::Nothing })
        };
        let call = self.step(projection, "aborted cutovers", abort);
        self.line
            .report(On::Deployments, format!("abort-cutover {projection}"), call, debug)
            .await
            .map(|_| ())
    }

    async fn collect_garbage(&self) -> Result<u64, StoreError> {
        let (store, world) = (self.store.clone(), Arc::clone(self.world()));
        let call = async move {
            let collected = store.collect_garbage().await?;
            (0..collected).for_each(|_| world.count("collected read models"));
            Ok(collected)
        };
        self.line.report(On::Deployments, "collect-garbage".to_owned(), call, debug).await
    }
}

#[async_trait]
impl Coordination for Remote {
    async fn join(&self, worker: &NewWorker) -> Result<(), StoreError> {
        let (store, worker, world, process) =
            (self.store.clone(), worker.clone(), Arc::clone(self.world()), self.line.process);
        let what = format!("join {}", short(worker.id));
        let call = async move {
            store.join(&worker).await?;
            world.judge(|invariants| invariants.joined(process, worker.id));
            Ok(())
        };
        self.line.report(On::Coordination, what, call, debug).await
    }

    async fn heartbeat(&self, workers: &[WorkerId], state: WorkerState) -> Result<Vec<WorkerId>, StoreError> {
        let (store, world, workers) = (self.store.clone(), Arc::clone(self.world()), workers.to_vec());
        let of: Vec<String> = workers.iter().copied().map(short).collect();
        let reported = |known: &Vec<WorkerId>| known.iter().copied().map(short).collect::<Vec<_>>().join(" ");
        let call = async move {
            let known = store.heartbeat(&workers, state).await?;
            for _ in known.len()..workers.len() {
                world.count("workers taken for dead");
            }
            Ok(known)
        };
        self.line.report(On::Coordination, format!("heartbeat {}", of.join(" ")), call, reported).await
    }

    async fn leave(&self, workers: &[WorkerId]) -> Result<(), StoreError> {
        let (store, workers) = (self.store.clone(), workers.to_vec());
        let of: Vec<String> = workers.iter().copied().map(short).collect();
        let call = async move { store.leave(&workers).await };
        self.line.report(On::Coordination, format!("leave {}", of.join(" ")), call, debug).await
    }

    async fn view(&self, replica_set: &ReplicaSet, stale_after: Duration) -> Result<View, StoreError> {
        let reported = |view: &View| {
            let alive: Vec<String> = view.alive().into_iter().map(short).collect();
            format!(
                "g{} of {}, alive {}",
                view.assignment.generation,
                view.assignment.partitions(),
                alive.join(" ")
            )
        };
        let call = self.store.view(replica_set, stale_after);
        self.line.ask(On::Coordination, "view".to_owned(), call, reported).await
    }

    async fn propose(
        &self,
        replica_set: &ReplicaSet,
        parent: Generation,
        plan: &Plan,
        stale_after: Duration,
    ) -> Result<ProposeOutcome, StoreError> {
        let owners: Vec<String> = plan.owners.iter().copied().map(short).collect();
        let what = format!("propose after g{parent} {} {}", plan.cause.as_str(), owners.join(" "));
        let (store, world, replica_set, plan) =
            (self.store.clone(), Arc::clone(self.world()), replica_set.clone(), plan.clone());
        let call = async move {
            let outcome = store.propose(&replica_set, parent, &plan, stale_after).await?;
            if let ProposeOutcome::Accepted { generation, .. } = outcome {
                world.count("generations");
                world.judge(|invariants| invariants.agreed(parent, &plan, generation));
            }
            Ok(outcome)
        };
        self.line.report(On::Coordination, what, call, debug).await
    }

    async fn claim(
        &self,
        replica_set: &ReplicaSet,
        generation: Generation,
        read_model: ReadModelId,
        range: HashRange,
    ) -> Result<ClaimOutcome, StoreError> {
        let what = format!("claim m{read_model} g{generation} {}", spans(&[range]));
        let (store, world, process, replica_set) =
            (self.store.clone(), Arc::clone(self.world()), self.line.process, replica_set.clone());
        let call = async move {
            let claimed = store.claim(&replica_set, generation, read_model, range).await?;
            match &claimed {
                ClaimOutcome::Owned(owned) => {
                    world.judge(|invariants| {
                        invariants.claimed(process, generation, read_model, range, owned)
                    });
                }
                ClaimOutcome::Fenced => world.count("claims of fenced read models"),
                ClaimOutcome::LogSetBack(_) => world.count("claims on a log that was set back"),
                ClaimOutcome::Superseded => {}
            }
            Ok(claimed)
        };
        let reported = |claimed: &ClaimOutcome| match claimed {
            ClaimOutcome::Superseded => "superseded".to_owned(),
            ClaimOutcome::Fenced => "fenced".to_owned(),
            ClaimOutcome::LogSetBack(_) => "log set back".to_owned(),
            ClaimOutcome::Owned(owned) => {
                let rows = owned.iter().map(|row| format!("{}@{}", spans(&[row.range]), row.position));
                rows.collect::<Vec<_>>().join(" ")
            }
        };
        let claimed = self.line.report(On::Coordination, what, call, reported).await;
        if matches!(claimed, Ok(ClaimOutcome::Owned(_))) {
            self.world().invariants(|invariants| invariants.learns(process, read_model, range));
        }
        claimed
    }

    async fn history(
        &self,
        replica_set: &ReplicaSet,
        limit: usize,
    ) -> Result<Vec<GenerationRecord>, StoreError> {
        self.store.history(replica_set, limit).await
    }
}

/// Ranges by their first and last points.
fn spans(ranges: &[HashRange]) -> String {
    let span = |range: &HashRange| format!("{:08x}-{:08x}", range.start(), range.end() - 1);
    ranges.iter().map(span).collect::<Vec<_>>().join("+")
}

fn short(worker: WorkerId) -> String {
    worker.to_string().chars().take(6).collect()
}

fn debug<T: Debug>(answer: &T) -> String {
    format!("{answer:?}")
}
