//! The store as one process sees it: the store in memory at the other end of a [`Line`]. What takes
//! effect there is held against the [`Laws`](super::laws::Laws) at that very moment.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kennel_core::checkpoint::Checkpoint;
use kennel_core::digest::Digest;
use kennel_core::event::NewEvent;
use kennel_core::failure::EventFailure;
use kennel_core::lifecycle::{Declined, Lifecycle, Ordered, Request, Stage};
use kennel_core::membership::{Generation, WorkerId, WorkerState};
use kennel_core::name::{ProjectionName, ReplicaSet};
use kennel_core::partition::HashRange;
use kennel_core::plan::Plan;
use kennel_core::port::{
    Appended, Ballot, Changed, Claimed, Commit, CommitOutcome, Coordination, DeadLetter, Document,
    EventSource, Fetched, GenerationRecord, Horizon, NewWorker, Page, ProjectionProgress, ProjectionState,
    ReadModel, ReadQuery, Registry, StoreError, StoredComponent, Switched, View, Wanted,
};
use kennel_core::projection::{Deployment, DeploymentId, ReadModelId};
use kennel_store::memory::MemoryStore;

use super::ice::On;
use super::line::Line;
use super::operator;
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

    /// A step of a switch that is counted, and held against the laws, when it has done something.
    fn step<F>(
        &self,
        projection: &ProjectionName,
        kind: &'static str,
        step: F,
    ) -> impl Future<Output = Result<Switched, StoreError>> + Send + use<F>
    where
        F: Future<Output = Result<Switched, StoreError>> + Send,
    {
        let (store, world, projection) = (self.store.clone(), Arc::clone(self.world()), projection.clone());
        async move {
            let answer = step.await?;
            if answer == Switched::Done {
                world.count(kind);
                if let Some(life) = store.lifecycle(&projection).await? {
                    world.judge(|laws| laws.lives(&life));
                }
            }
            Ok(answer)
        }
    }
}

#[async_trait]
impl EventSource for Remote {
    async fn horizon(&self) -> Result<Horizon, StoreError> {
        let told = |horizon: &Horizon| format!("{} of {}", horizon.position, horizon.head);
        self.line.ask(On::Log, "horizon".to_owned(), self.store.horizon(), told).await
    }

    async fn read(&self, query: ReadQuery<'_>) -> Result<Page, StoreError> {
        let horizon = self.store.horizon().await?.position;
        if query.upto > horizon {
            self.world().complain(format!("read up to {}, above the horizon {horizon}", query.upto));
        }
        let what = format!("read {}..{} in {}", query.after, query.upto, spans(query.ranges));
        let told = |page: &Page| format!("{} events, reached {}", page.events.len(), page.reached);
        self.line.ask(On::Log, what, self.store.read(query), told).await
    }

    async fn hint(&self) {
        let world = self.world();
        loop {
            let alarm =
                world.fault(world.weather.false_hint).then(|| world.up_to(Duration::from_millis(300)));
            let wait = alarm.unwrap_or(Duration::from_secs(3600));
            tokio::select! {
                biased;
                () = self.store.hint() => {
                    if world.fault(world.weather.lost_hint) {
                        world.count("lost hints");
                        continue;
                    }
                }
                () = tokio::time::sleep(wait) => world.count("false hints"),
            }
            return self.line.ice.pass(On::Log).await;
        }
    }

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
        let told = |found: &Vec<Vec<Fetched>>| {
            let revisions = found.iter().flatten().map(|found| match found {
                Fetched::Stored(stored) => stored.revision.get(),
                Fetched::Absent | Fetched::Left => 0,
            });
            format!("at {:?}", revisions.collect::<Vec<_>>())
        };
        self.line.ask(On::ReadModel, what, self.store.fetch_up_to(read_model, wanted, bytes_max), told).await
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
        let told = |found: &Vec<Document>| format!("{} documents", found.len());
        self.line.ask(On::ReadModel, format!("scan m{read_model} {collection}"), call, told).await
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
        self.world().judge(|laws| laws.sends(process, batch));
        let (store, sent, world) = (self.store.clone(), batch.clone(), Arc::clone(self.world()));
        let call = async move {
            let outcome = store.commit(&sent).await?;
            world.count(match &outcome {
                CommitOutcome::Committed => "commits",
                CommitOutcome::Fenced => "fenced commits",
                CommitOutcome::LogSetBack => "commits on a log that was set back",
                CommitOutcome::Conflict { .. } => "conflicts",
                CommitOutcome::Refused { .. } => "refused commits",
                CommitOutcome::CutShort { .. } => "commits cut short",
            });
            if outcome == CommitOutcome::Committed {
                sent.dead_letters.iter().for_each(|_| world.count("dead letters"));
                world.judge(|laws| laws.committed(process, &sent));
            }
            Ok(outcome)
        };
        let answer = self.line.tell(On::ReadModel, what, call, debug).await;
        if !matches!(&answer, Ok(outcome) if *outcome != CommitOutcome::Fenced) {
            self.world().laws(|laws| laws.doubts(process, batch));
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
impl Registry for Remote {
    async fn put_component(&self, digest: Digest, bytes: &[u8]) -> Result<(), StoreError> {
        self.store.put_component(digest, bytes).await
    }

    async fn component(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let told = |found: &Option<Vec<u8>>| format!("found: {}", found.is_some());
        self.line.ask(On::Registry, "component".to_owned(), self.store.component(digest), told).await
    }

    async fn components(&self) -> Result<Vec<StoredComponent>, StoreError> {
        self.store.components().await
    }

    async fn change(
        &self,
        projection: &ProjectionName,
        request: &Request,
    ) -> Result<Result<Changed, Declined>, StoreError> {
        let (store, world, named, asked) =
            (self.store.clone(), Arc::clone(self.world()), projection.clone(), request.clone());
        let seen = request.seen.map_or_else(String::new, |seen| format!(" after {seen}"));
        let what = format!("orders {projection}: {}{seen}", operator::words(&request.command));
        let call = async move {
            let answer = store.change(&named, &asked).await?;
            match &answer {
                Ok(changed) if changed.changed => {
                    world.count(operator::kind(&asked.command));
                    world.judge(|laws| laws.lives(&changed.lifecycle));
                }
                Ok(_) => world.count("orders that change nothing"),
                Err(Declined::Overtaken { .. }) => world.count("overtaken orders"),
                Err(Declined::Incompatible { .. }) => world.count("incompatible orders"),
                Err(_) => world.count("declined orders"),
            }
            Ok(answer)
        };
        let told = |answer: &Result<Changed, Declined>| match answer {
            Ok(changed) => format!("{:?}, changed: {}", changed.number, changed.changed),
            Err(declined) => declined.to_string(),
        };
        self.line.tell(On::Registry, what, call, told).await
    }

    async fn lifecycle(&self, projection: &ProjectionName) -> Result<Option<Lifecycle>, StoreError> {
        let told = |life: &Option<Lifecycle>| {
            life.as_ref()
                .map_or_else(|| "nothing".to_owned(), |life| format!("{} deployments", life.latest()))
        };
        let call = self.store.lifecycle(projection);
        self.line.ask(On::Registry, format!("lifecycle {projection}"), call, told).await
    }

    async fn projections(&self) -> Result<Vec<ProjectionName>, StoreError> {
        self.store.projections().await
    }

    async fn orders(&self, projection: &ProjectionName) -> Result<Vec<Ordered>, StoreError> {
        self.store.orders(projection).await
    }

    async fn checkpoints_of(&self, read_model: ReadModelId) -> Result<Vec<Checkpoint>, StoreError> {
        self.store.checkpoints_of(read_model).await
    }

    async fn active(&self, replica_set: &ReplicaSet) -> Result<Vec<(Deployment, Stage)>, StoreError> {
        let told = |found: &Vec<(Deployment, Stage)>| format!("{} deployments", found.len());
        self.line.ask(On::Registry, "active".to_owned(), self.store.active(replica_set), told).await
    }

    async fn find(&self, projection: &ProjectionName) -> Result<Option<Deployment>, StoreError> {
        self.store.find(projection).await
    }

    async fn hinder(
        &self,
        deployment: DeploymentId,
        source: &str,
        obstacle: Option<&str>,
    ) -> Result<(), StoreError> {
        let (store, source, obstacle) = (self.store.clone(), source.to_owned(), obstacle.map(str::to_owned));
        let call = async move { store.hinder(deployment, &source, obstacle.as_deref()).await };
        self.line.tell(On::Registry, format!("hinder d{deployment}"), call, debug).await
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
        self.line.tell(On::Registry, format!("report d{deployment} {}", state.as_str()), call, debug).await
    }

    async fn progress(&self) -> Result<Vec<ProjectionProgress>, StoreError> {
        let told = |progress: &Vec<ProjectionProgress>| {
            progress.iter().map(|one| one.state.as_str()).collect::<Vec<_>>().join(" ")
        };
        self.line.ask(On::Registry, "progress".to_owned(), self.store.progress(), told).await
    }

    async fn begin_switch(&self, projection: &ProjectionName, slack: u64) -> Result<Switched, StoreError> {
        let (store, named) = (self.store.clone(), projection.clone());
        let call = self.step(projection, "holds", async move { store.begin_switch(&named, slack).await });
        self.line.tell(On::Registry, format!("begin-switch {projection}"), call, debug).await
    }

    async fn finish_switch(&self, projection: &ProjectionName) -> Result<Switched, StoreError> {
        let (store, named) = (self.store.clone(), projection.clone());
        let call = self.step(projection, "switches", async move { store.finish_switch(&named).await });
        self.line.tell(On::Registry, format!("finish-switch {projection}"), call, debug).await
    }

    async fn abandon_switch(&self, projection: &ProjectionName) -> Result<(), StoreError> {
        let (store, named) = (self.store.clone(), projection.clone());
        let abandon = async move {
            let revision = store.revision().await?;
            store.abandon_switch(&named).await?;
            let changed = store.revision().await? != revision;
            Ok(if changed { Switched::Done } else { Switched::Nothing })
        };
        let call = self.step(projection, "abandoned switches", abandon);
        self.line.tell(On::Registry, format!("abandon-switch {projection}"), call, debug).await.map(|_| ())
    }

    async fn sweep(&self) -> Result<u64, StoreError> {
        let (store, world) = (self.store.clone(), Arc::clone(self.world()));
        let call = async move {
            let swept = store.sweep().await?;
            (0..swept).for_each(|_| world.count("swept read models"));
            Ok(swept)
        };
        self.line.tell(On::Registry, "sweep".to_owned(), call, debug).await
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        self.line.ask(On::Registry, "revision".to_owned(), self.store.revision(), debug).await
    }

    async fn changed(&self) {
        let world = self.world();
        loop {
            Registry::changed(&self.store).await;
            if world.fault(world.weather.lost_hint) {
                world.count("lost hints");
                continue;
            }
            return self.line.ice.pass(On::Registry).await;
        }
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
            world.judge(|laws| laws.joined(process, worker.id));
            Ok(())
        };
        self.line.tell(On::Coordination, what, call, debug).await
    }

    async fn heartbeat(&self, workers: &[WorkerId], state: WorkerState) -> Result<Vec<WorkerId>, StoreError> {
        let (store, world, workers) = (self.store.clone(), Arc::clone(self.world()), workers.to_vec());
        let of: Vec<String> = workers.iter().copied().map(short).collect();
        let told = |known: &Vec<WorkerId>| known.iter().copied().map(short).collect::<Vec<_>>().join(" ");
        let call = async move {
            let known = store.heartbeat(&workers, state).await?;
            for _ in known.len()..workers.len() {
                world.count("workers taken for dead");
            }
            Ok(known)
        };
        self.line.tell(On::Coordination, format!("heartbeat {}", of.join(" ")), call, told).await
    }

    async fn leave(&self, workers: &[WorkerId]) -> Result<(), StoreError> {
        let (store, workers) = (self.store.clone(), workers.to_vec());
        let of: Vec<String> = workers.iter().copied().map(short).collect();
        let call = async move { store.leave(&workers).await };
        self.line.tell(On::Coordination, format!("leave {}", of.join(" ")), call, debug).await
    }

    async fn view(&self, replica_set: &ReplicaSet, stale_after: Duration) -> Result<View, StoreError> {
        let told = |view: &View| {
            let alive: Vec<String> = view.alive().into_iter().map(short).collect();
            format!(
                "g{} of {}, alive {}",
                view.assignment.generation,
                view.assignment.partitions(),
                alive.join(" ")
            )
        };
        let call = self.store.view(replica_set, stale_after);
        self.line.ask(On::Coordination, "view".to_owned(), call, told).await
    }

    async fn propose(
        &self,
        replica_set: &ReplicaSet,
        parent: Generation,
        plan: &Plan,
        stale_after: Duration,
    ) -> Result<Ballot, StoreError> {
        let owners: Vec<String> = plan.owners.iter().copied().map(short).collect();
        let what = format!("propose after g{parent} {} {}", plan.cause.as_str(), owners.join(" "));
        let (store, world, replica_set, plan) =
            (self.store.clone(), Arc::clone(self.world()), replica_set.clone(), plan.clone());
        let call = async move {
            let ballot = store.propose(&replica_set, parent, &plan, stale_after).await?;
            if let Ballot::Accepted { generation, .. } = ballot {
                world.count("generations");
                world.judge(|laws| laws.agreed(parent, &plan, generation));
            }
            Ok(ballot)
        };
        self.line.tell(On::Coordination, what, call, debug).await
    }

    async fn claim(
        &self,
        replica_set: &ReplicaSet,
        generation: Generation,
        read_model: ReadModelId,
        range: HashRange,
    ) -> Result<Claimed, StoreError> {
        let what = format!("claim m{read_model} g{generation} {}", spans(&[range]));
        let (store, world, process, replica_set) =
            (self.store.clone(), Arc::clone(self.world()), self.line.process, replica_set.clone());
        let call = async move {
            let claimed = store.claim(&replica_set, generation, read_model, range).await?;
            match &claimed {
                Claimed::Owned(owned) => {
                    world.judge(|laws| laws.claimed(process, generation, read_model, range, owned));
                }
                Claimed::Held => world.count("claims of what is held"),
                Claimed::LogSetBack(_) => world.count("claims on a log that was set back"),
                Claimed::Superseded => {}
            }
            Ok(claimed)
        };
        let told = |claimed: &Claimed| match claimed {
            Claimed::Superseded => "superseded".to_owned(),
            Claimed::Held => "held".to_owned(),
            Claimed::LogSetBack(_) => "log set back".to_owned(),
            Claimed::Owned(owned) => {
                let rows = owned.iter().map(|row| format!("{}@{}", spans(&[row.range]), row.position));
                rows.collect::<Vec<_>>().join(" ")
            }
        };
        let claimed = self.line.tell(On::Coordination, what, call, told).await;
        if matches!(claimed, Ok(Claimed::Owned(_))) {
            self.world().laws(|laws| laws.is_told(process, read_model, range));
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
