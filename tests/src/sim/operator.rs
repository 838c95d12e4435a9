//! The operator: deploys components, now and then does something to the projections over a line that loses
//! requests and answers like any other, and in the end puts everything right. It judges nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kennel_core::digest::Digest;
use kennel_core::lifecycle::{
    Activity, Attribution, Deploy, Entry, Lifecycle, Mode, Operation, OperationRequest, Promotion,
};
use kennel_core::name::ReplicaSet;
use kennel_core::port::{ComponentStore as _, DeploymentStore as _, StoreError};
use kennel_core::projection::{OnFailure, Settings};
use kennel_store::memory::MemoryStore;

use super::guests;
use super::line::Line;
use super::operations::describe;
use super::store::Remote;
use super::suspension::Suspension;
use super::world::World;

/// The operator's line is that of no process.
const OPERATOR: u32 = 0;
/// How long it may take until the operator notices that something is wrong.
const NOTICED_WITHIN: Duration = Duration::from_secs(8);
/// How long a read model may stay fenced: longer than a cutover controller tries, with the time it takes to notice.
const RELEASED_WITHIN: Duration = Duration::from_secs(12);
/// Versions of each component that there are.
const VERSIONS: u64 = 4;

pub(super) struct Operator {
    world: Arc<World>,
    store: MemoryStore,
    remote: Remote,
    replica_set: ReplicaSet,
}

impl Operator {
    pub(super) fn new(world: Arc<World>, store: MemoryStore, replica_set: ReplicaSet) -> Self {
        let line = Line {
            world: Arc::clone(&world),
            process: OPERATOR,
            suspension: Arc::new(Suspension::default()),
        };
        let remote = Remote { line, store: store.clone() };
        Self { world, store, remote, replica_set }
    }

    /// Every projection, for the first time, and all the code that will ever be deployed.
    pub(super) async fn begin(&self) {
        for name in guests::ALL {
            for version in (0..VERSIONS).chain([guests::BROKEN]) {
                let bytes = guests::code(name, version);
                let stored = self.store.put_component(Digest::of(&bytes), &bytes).await;
                stored.expect("a component is stored");
            }
            self.surely(name, Operation::Deploy(Box::new(self.code(name, 0, Mode::Continue)))).await;
        }
    }

    /// Does what comes to mind, as often as the weather says.
    pub(super) async fn meddle(&self) {
        for _ in 0..self.world.weather.operations {
            tokio::time::sleep(self.world.up_to(self.world.weather.operation_gap * 2)).await;
            let name = self.world.dice().pick(&guests::ALL);
            if let Err(error) = self.operate(name).await {
                self.remote.line.note(&format!("does not know what became of it: {error}"));
            }
        }
    }

    /// One operation, based on the lifecycle that was read before it. In between another operator may have come first.
    async fn operate(&self, name: &str) -> Result<(), StoreError> {
        let projection = name.parse().expect("a name");
        let Some(life) = self.remote.lifecycle(&projection).await? else { return Ok(()) };
        let careful = self.world.dice().chance(800);
        let operation = self.any(name, &life);
        let expected_deployment = careful.then(|| life.latest());
        let thinks = self.world.up_to(self.world.weather.operation_gap);
        tokio::time::sleep(thinks).await;
        let request = OperationRequest { expected_deployment, ..attributed(operation) };
        self.remote.carry_out(&projection, &request).await.map(|_| ())
    }

    /// Mostly something that makes sense for a projection that is like this.
    fn any(&self, name: &str, life: &Lifecycle) -> Operation {
        let (choice, version, sensible) = {
            let mut dice = self.world.dice();
            let version = if dice.chance(150) { guests::BROKEN } else { dice.between(0, VERSIONS - 1) };
            (dice.between(1, 100), version, dice.chance(600))
        };
        let deploy = |mode| self.code(name, version, mode);
        match (life.activity, life.candidate()) {
            (Activity::Paused, _) if sensible => return Operation::Resume,
            (Activity::Retired, _) if sensible => return Operation::Deploy(Box::new(deploy(Mode::Continue))),
            (_, Some(_)) if sensible && life.promotion == Promotion::Manual && choice <= 60 => {
                return Operation::Promote;
            }
            (_, Some(_)) if sensible && choice > 70 => return Operation::Cancel,
            _ => {}
        }
        match choice {
            1..=28 => Operation::Deploy(Box::new(deploy(Mode::Continue))),
            29..=50 => Operation::Deploy(Box::new(Deploy { force: version == 0, ..deploy(Mode::Rebuild) })),
            51..=60 => {
                Operation::Deploy(Box::new(Deploy { promotion: Promotion::Manual, ..deploy(Mode::Rebuild) }))
            }
            61..=64 => {
                let mut other = deploy(Mode::Continue);
                other.descriptor.scope.event_types = vec!["Something else".to_owned()];
                Operation::Deploy(Box::new(other))
            }
            65..=67 => Operation::Promote,
            68..=69 => Operation::Cancel,
            70..=76 => Operation::Rollback { to: None },
            77..=86 => Operation::Rollback { to: Some(life.latest().saturating_sub(2)) },
            87..=93 => Operation::Pause,
            94..=96 => Operation::Resume,
            _ => Operation::Retire { drop: choice == 100 },
        }
    }

    /// Brings every projection to where it can come to rest: it runs, and its candidate may be promoted.
    pub(super) async fn put_right(&self) {
        tokio::time::sleep(self.world.up_to(NOTICED_WITHIN)).await;
        // Requests that the operator has abandoned may still arrive.
        while self.world.straying.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        for name in guests::ALL {
            self.sees_release(name).await;
            let life = self.life(name).await;
            let broken = Digest::of(&guests::code(name, guests::BROKEN));
            let is_broken =
                |entry: Option<&Entry>| entry.is_some_and(|entry| entry.deployment.digest == broken);
            let no_use = is_broken(life.candidate()) || is_broken(life.serving());
            if life.candidate().is_some() && no_use {
                self.surely(name, Operation::Cancel).await;
            } else if life.candidate().is_some() && life.promotion == Promotion::Manual {
                self.surely(name, Operation::Promote).await;
            }
            // What was dropped may have begun anew with anything.
            let fits = |entry: &Entry| entry.deployment.descriptor == guests::descriptor(name);
            if !life.serving().is_none_or(fits) {
                self.surely(name, Operation::Deploy(Box::new(self.code(name, 1, Mode::Rebuild)))).await;
            } else if is_broken(life.serving()) || life.activity == Activity::Retired {
                self.surely(name, Operation::Deploy(Box::new(self.code(name, 1, Mode::Continue)))).await;
            }
            if life.activity == Activity::Paused {
                self.surely(name, Operation::Resume).await;
            }
        }
    }

    /// The serving read model is not fenced for long for a cutover that does not come, whichever process has died
    /// meanwhile.
    async fn sees_release(&self, name: &str) {
        let released = async {
            while self.life(name).await.fenced {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        if tokio::time::timeout(RELEASED_WITHIN, released).await.is_err() {
            self.world.complain(format!("{name} stays fenced and no process releases it"));
        }
    }

    async fn life(&self, name: &str) -> Lifecycle {
        let life = self.store.lifecycle(&name.parse().expect("a name")).await;
        life.expect("the store answers").expect("it was deployed")
    }

    /// An operation that has to succeed, on the store itself.
    async fn surely(&self, name: &str, operation: Operation) {
        self.world.note("operator", &format!("{name}: {}", describe(&operation)));
        let projection = name.parse().expect("a name");
        let changed = self
            .store
            .carry_out(&projection, &attributed(operation.clone()))
            .await
            .expect("the store answers");
        match changed {
            Ok(changed) => self.world.judge(|invariants| invariants.lives(&changed.lifecycle)),
            Err(rejected) => {
                self.world.complain(format!("{} was rejected: {rejected}", describe(&operation)));
            }
        }
    }

    fn code(&self, name: &str, version: u64, mode: Mode) -> Deploy {
        // A component that always fails halts its projection until the operator does something about it.
        let on_failure = if version == guests::BROKEN { OnFailure::Halt } else { OnFailure::DeadLetter };
        Deploy {
            digest: Digest::of(&guests::code(name, version)),
            descriptor: guests::descriptor(name),
            settings: Settings { on_failure, ..Settings::default() },
            settings_from: None,
            mode,
            promotion: Promotion::Auto,
            replica_set: Some(self.replica_set.clone()),
            force: false,
        }
    }
}

fn attributed(operation: Operation) -> OperationRequest {
    let attribution = Attribution { actor: "simulation".to_owned(), reason: None };
    OperationRequest { operation, attribution, expected_deployment: None }
}
