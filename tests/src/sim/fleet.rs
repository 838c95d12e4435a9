//! The processes: each runs a whole engine. They are started, stopped, killed and suspended.

use std::sync::Arc;
use std::time::Duration;

use kennel_engine::{Engine, Entropy, Metrics, Ports, Shutdown, ShutdownTrigger, Status};
use kennel_store::memory::MemoryStore;
use tokio::task::JoinHandle;

use super::guests::{Compiler, Guests};
use super::line::Line;
use super::store::Remote;
use super::suspension::{Suspended, Suspension};
use super::world::World;

/// How long a process that was asked to stop may take, once nothing goes wrong any more.
const STOP_WITHIN: Duration = Duration::from_secs(30);

pub(super) struct Fleet {
    world: Arc<World>,
    store: MemoryStore,
    guests: Arc<Guests>,
    started: u32,
    running: Vec<Process>,
    stopping: Vec<Process>,
}

struct Process {
    number: u32,
    workers: usize,
    suspension: Arc<Suspension>,
    status: Arc<Status>,
    stop: ShutdownTrigger,
    task: JoinHandle<()>,
}

impl Fleet {
    pub(super) fn new(world: Arc<World>, store: MemoryStore) -> Self {
        let guests = Guests::new(Arc::clone(&world));
        Self { world, store, guests, started: 0, running: Vec::new(), stopping: Vec::new() }
    }

    pub(super) fn start(&mut self) {
        self.started += 1;
        let number = self.started;
        let (seed, workers) = {
            let mut dice = self.world.dice();
            (dice.throw(), usize::try_from(dice.between(1, self.world.weather.workers_max)).unwrap_or(1))
        };
        let suspension = Arc::new(Suspension::default());
        let line =
            Line { world: Arc::clone(&self.world), process: number, suspension: Arc::clone(&suspension) };
        let remote = Arc::new(Remote { line, store: self.store.clone() });
        let ports = Ports::of(remote, Arc::new(Compiler(Arc::clone(&self.guests))));
        let options = self.world.weather.options(number, workers);
        let engine = Engine::new(ports, options, &Metrics::default(), Entropy::from_seed(seed));
        let status = engine.status();
        let (stop, shutdown) = Shutdown::channel();
        let task = tokio::spawn(engine.run(shutdown));
        self.world.note("world", &format!("starts p{number} with {workers} workers"));
        self.running.push(Process { number, workers, suspension, status, stop, task });
    }

    /// One thing happens to one process.
    pub(super) async fn upset(&mut self) {
        let weather = &self.world.weather;
        let (crash, leave, suspend) = (weather.crash, weather.leave, weather.suspend);
        if self.running.is_empty() || (self.running.len() as u64) < weather.processes && self.chance(400) {
            self.start();
        } else if self.chance(crash) {
            let victim = self.any();
            self.world.note("world", &format!("kills p{}", victim.number));
            self.world.count("crashes");
            victim.kill().await;
        } else if self.chance(leave) {
            let leaving = self.any();
            self.world.note("world", &format!("stops p{}", leaving.number));
            self.world.count("stops");
            leaving.stop.stop();
            self.stopping.push(leaving);
        } else if self.chance(suspend) {
            self.suspend();
        } else if !self.stopping.is_empty() && self.chance(crash) {
            let victim = self.stopping.remove(0);
            self.world.note("world", &format!("kills p{} while it stops", victim.number));
            victim.kill().await;
        }
    }

    fn suspend(&mut self) {
        let process = self.any();
        let (suspended, length) = {
            let mut dice = self.world.dice();
            let suspended =
                dice.pick(&[Suspended::Everything, Suspended::Everything, Suspended::Coordination]);
            (suspended, Duration::from_millis(dice.between(100, 8000)))
        };
        let number = process.number;
        self.world
            .note("world", &format!("suspends {suspended:?} of p{number} for {} ms", length.as_millis()));
        self.world.count("suspensions");
        process.suspension.set(suspended);
        let (suspension, world) = (Arc::clone(&process.suspension), Arc::clone(&self.world));
        self.running.push(process);
        tokio::spawn(async move {
            tokio::time::sleep(length).await;
            world.note("world", &format!("continues p{number}"));
            suspension.set(Suspended::Nothing);
        });
    }

    /// The world has become calm: all processes continue, and at least one is there to work.
    pub(super) fn recover(&mut self) {
        for process in self.running.iter().chain(&self.stopping) {
            process.suspension.set(Suspended::Nothing);
        }
        if self.running.is_empty() {
            self.start();
        }
    }

    /// The processes that should own something now, with the number of their workers.
    pub(super) fn at_work(&self) -> Vec<(u32, usize)> {
        self.running.iter().map(|process| (process.number, process.workers)).collect()
    }

    /// The parts that make no progress although there are no faults any more.
    pub(super) fn blocked(&self) -> Vec<String> {
        let reasons = |process: &Process| {
            let number = process.number;
            let blocked = process.status.blocked().into_iter();
            blocked.map(move |(part, reason)| format!("p{number}: {part}: {reason}")).collect::<Vec<_>>()
        };
        self.running.iter().flat_map(reasons).collect()
    }

    /// Stops all processes; each has to end.
    pub(super) async fn stop(&mut self) {
        self.world.note("world", "stops all processes");
        self.stopping.append(&mut self.running);
        for process in &mut self.stopping {
            process.stop.stop();
            let number = process.number;
            match tokio::time::timeout(STOP_WITHIN, &mut process.task).await {
                Err(_) => self.world.complain(format!("p{number} does not stop")),
                Ok(Err(error)) => self.world.complain(format!("p{number} broke: {error}")),
                Ok(Ok(())) => {}
            }
        }
    }

    fn any(&mut self) -> Process {
        let last = self.running.len() as u64 - 1;
        let index = usize::try_from(self.world.dice().between(0, last)).unwrap_or(0);
        self.running.remove(index)
    }

    fn chance(&self, permille: u64) -> bool {
        self.world.dice().chance(permille)
    }
}

impl Process {
    /// Ends at whatever it was doing. What it had sent off may still arrive.
    async fn kill(self) {
        self.task.abort();
        // An error is what was asked for.
        let _ = self.task.await;
    }
}
