//! The operator: deploys components, now and then does something to the projections over a line that loses
//! requests and answers like any other, and in the end puts everything right. It judges nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kennel_core::digest::Digest;
use kennel_core::lifecycle::{Activity, Command, Deploy, Entry, Lifecycle, Mode, Request, Signature, Switch};
use kennel_core::name::ReplicaSet;
use kennel_core::port::{Registry as _, StoreError};
use kennel_core::projection::{OnFailure, Settings};
use kennel_store::memory::MemoryStore;

use super::guests;
use super::ice::Ice;
use super::line::Line;
use super::store::Remote;
use super::world::World;

/// The operator's line is that of no process.
const OPERATOR: u32 = 0;
/// How long it may take until somebody notices that something is wrong.
const NOTICED_WITHIN: Duration = Duration::from_secs(8);
/// How long a read model may be held: longer than a steward tries, with the time it takes to notice.
const LET_GO_WITHIN: Duration = Duration::from_secs(12);
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
        let line = Line { world: Arc::clone(&world), process: OPERATOR, ice: Arc::new(Ice::default()) };
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
            self.surely(name, Command::Deploy(Box::new(self.code(name, 0, Mode::Continue)))).await;
        }
    }

    /// Does what comes to mind, as often as the weather says.
    pub(super) async fn meddle(&self) {
        for _ in 0..self.world.weather.orders {
            tokio::time::sleep(self.world.up_to(self.world.weather.order_gap * 2)).await;
            let name = self.world.dice().pick(&guests::ALL);
            if let Err(error) = self.order(name).await {
                self.remote.line.note(&format!("does not know what became of it: {error}"));
            }
        }
    }

    /// One command, on the ground of what was seen before it. In between somebody else may have come first.
    async fn order(&self, name: &str) -> Result<(), StoreError> {
        let projection = name.parse().expect("a name");
        let Some(life) = self.remote.lifecycle(&projection).await? else { return Ok(()) };
        let careful = self.world.dice().chance(800);
        let command = self.any(name, &life);
        let seen = careful.then(|| life.latest());
        let thinks = self.world.up_to(self.world.weather.order_gap);
        tokio::time::sleep(thinks).await;
        let request = Request { seen, ..signed(command) };
        self.remote.change(&projection, &request).await.map(|_| ())
    }

    /// Mostly something that makes sense for a projection that is like this.
    fn any(&self, name: &str, life: &Lifecycle) -> Command {
        let (choice, version, sensible) = {
            let mut dice = self.world.dice();
            let version = if dice.chance(150) { guests::BROKEN } else { dice.between(0, VERSIONS - 1) };
            (dice.between(1, 100), version, dice.chance(600))
        };
        let deploy = |mode| self.code(name, version, mode);
        match (life.activity, life.candidate()) {
            (Activity::Paused, _) if sensible => return Command::Resume,
            (Activity::Retired, _) if sensible => return Command::Deploy(Box::new(deploy(Mode::Continue))),
            (_, Some(_)) if sensible && life.switch == Switch::Manual && choice <= 60 => {
                return Command::Switch;
            }
            (_, Some(_)) if sensible && choice > 70 => return Command::Cancel,
            _ => {}
        }
        match choice {
            1..=28 => Command::Deploy(Box::new(deploy(Mode::Continue))),
            29..=50 => Command::Deploy(Box::new(Deploy { again: version == 0, ..deploy(Mode::Rebuild) })),
            51..=60 => Command::Deploy(Box::new(Deploy { switch: Switch::Manual, ..deploy(Mode::Rebuild) })),
            61..=64 => {
                let mut other = deploy(Mode::Continue);
                other.descriptor.scope.event_types = vec!["Something else".to_owned()];
                Command::Deploy(Box::new(other))
            }
            65..=67 => Command::Switch,
            68..=69 => Command::Cancel,
            70..=76 => Command::Rollback { to: None },
            77..=86 => Command::Rollback { to: Some(life.latest().saturating_sub(2)) },
            87..=93 => Command::Pause,
            94..=96 => Command::Resume,
            _ => Command::Retire { drop: choice == 100 },
        }
    }

    /// Brings every projection to where it can come to rest: it runs, and what is being built may take its place.
    pub(super) async fn put_right(&self) {
        tokio::time::sleep(self.world.up_to(NOTICED_WITHIN)).await;
        // What the operator has given up may still arrive.
        while self.world.straying.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        for name in guests::ALL {
            self.sees_let_go(name).await;
            let life = self.life(name).await;
            let broken = Digest::of(&guests::code(name, guests::BROKEN));
            let is_broken =
                |entry: Option<&Entry>| entry.is_some_and(|entry| entry.deployment.digest == broken);
            let no_use = is_broken(life.candidate()) || is_broken(life.live());
            if life.candidate().is_some() && no_use {
                self.surely(name, Command::Cancel).await;
            } else if life.candidate().is_some() && life.switch == Switch::Manual {
                self.surely(name, Command::Switch).await;
            }
            // What was dropped may have begun anew with anything.
            let fits = |entry: &Entry| entry.deployment.descriptor == guests::descriptor(name);
            if !life.live().is_none_or(fits) {
                self.surely(name, Command::Deploy(Box::new(self.code(name, 1, Mode::Rebuild)))).await;
            } else if is_broken(life.live()) || life.activity == Activity::Retired {
                self.surely(name, Command::Deploy(Box::new(self.code(name, 1, Mode::Continue)))).await;
            }
            if life.activity == Activity::Paused {
                self.surely(name, Command::Resume).await;
            }
        }
    }

    /// What serves is not held for long for something that does not come, whoever has died meanwhile.
    async fn sees_let_go(&self, name: &str) {
        let let_go = async {
            while self.life(name).await.frozen {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        if tokio::time::timeout(LET_GO_WITHIN, let_go).await.is_err() {
            self.world.complain(format!("{name} is held and nobody lets it go"));
        }
    }

    async fn life(&self, name: &str) -> Lifecycle {
        let life = self.store.lifecycle(&name.parse().expect("a name")).await;
        life.expect("the store answers").expect("it was deployed")
    }

    /// A command that has to succeed, given where the store is.
    async fn surely(&self, name: &str, command: Command) {
        self.world.note("operator", &format!("{name}: {}", words(&command)));
        let projection = name.parse().expect("a name");
        let changed =
            self.store.change(&projection, &signed(command.clone())).await.expect("the store answers");
        match changed {
            Ok(changed) => self.world.judge(|laws| laws.lives(&changed.lifecycle)),
            Err(declined) => self.world.complain(format!("{} was declined: {declined}", words(&command))),
        }
    }

    fn code(&self, name: &str, version: u64, mode: Mode) -> Deploy {
        // What fails for good stands still until somebody does something about it.
        let on_failure = if version == guests::BROKEN { OnFailure::Halt } else { OnFailure::DeadLetter };
        Deploy {
            digest: Digest::of(&guests::code(name, version)),
            descriptor: guests::descriptor(name),
            settings: Settings { on_failure, ..Settings::default() },
            settings_of: None,
            mode,
            switch: Switch::Auto,
            replica_set: Some(self.replica_set.clone()),
            again: false,
        }
    }
}

fn signed(command: Command) -> Request {
    let signature = Signature { author: "simulation".to_owned(), note: None };
    Request { command, signature, seen: None }
}

/// A command in one line.
pub(super) fn words(command: &Command) -> String {
    match command {
        Command::Deploy(deploy) => {
            let (mode, switch, component) = (deploy.mode, deploy.switch, deploy.digest.short());
            format!("deploy {component} {mode} {switch}{}", if deploy.again { " again" } else { "" })
        }
        other => format!("{other:?}"),
    }
}

/// What a command is counted as that has changed something.
pub(super) fn kind(command: &Command) -> &'static str {
    match command {
        Command::Deploy(deploy) if deploy.mode == Mode::Continue => "continues",
        Command::Deploy(deploy) if deploy.switch == Switch::Manual => "manual rebuilds",
        Command::Deploy(_) => "rebuilds",
        Command::Rollback { .. } => "ways back",
        Command::Switch => "manual switches",
        Command::Cancel => "cancels",
        Command::Pause => "pauses",
        Command::Resume => "resumes",
        Command::Retire { .. } => "retirements",
        Command::AcceptLog { .. } => "accepted logs",
    }
}
