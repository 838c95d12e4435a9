//! `kennel bench`: how fast Kennel is on a given store, and beside it, in the same run, how fast a loop
//! written by hand for the same work is.
//!
//! It never touches the store that it is given: it makes a database of its own beside it and removes it.

mod catch_up;
mod failover;
mod latency;
mod load;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use kennel_core::name::{ProjectionName, ReplicaSet};
use kennel_core::port::Runtime;
use kennel_core::projection::{Deployment, Settings};
use kennel_engine::{Engine, Metrics, Options, Shutdown, ShutdownTrigger};
use tokio::task::JoinSet;

use super::control::rendered;
use super::signals::{self, Signals};
use super::{StoreArgs, output, source, values};
use crate::config::Config;
use crate::exit::{ExitKind, ResultExt as _};
use crate::wire::{self, Scratch, Store, StoreUrl, Target};
use kennel::activate::activate;
use kennel::control::local::Local;

const EXAMPLES: &str = "\
Examples:
  kennel bench                                          on SQLite, in this folder
  kennel bench --store postgres://me@localhost/shop     on that server, in a database of its own
  kennel bench --events 20000 --rounds 1 --json

Figures of different runs and machines cannot be compared; the ratio to the loop by hand can.";

/// The example that is measured.
const GUEST: &str = "counter";

/// Measures catch-up throughput, the time from append to visible, and failover, beside a hand-written loop.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Bench {
    #[command(flatten)]
    store: StoreArgs,
    /// Events in the log that is caught up with
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    events: u64,
    /// Aggregates that they belong to
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    aggregates: u64,
    /// Most events handled and committed together, by Kennel and by hand
    #[arg(long, value_name = "EVENTS", default_value_t = 1000, value_parser = values::batch)]
    batch: usize,
    /// How often to catch up, each time with a new read model, by Kennel and by hand in turn
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: usize,
    /// Single appends whose way into the read model is timed
    #[arg(long, value_name = "N", default_value_t = 500)]
    appends: usize,
    /// How often one of two processes is killed, on PostgreSQL
    #[arg(long, value_name = "N", default_value_t = 5)]
    kills: usize,
    /// Where the example components lie, as `make guests` builds them
    #[arg(long, value_name = "FOLDER", default_value = "target/guests", env = "KENNEL_GUESTS")]
    guests: PathBuf,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

/// Where the measuring takes place.
struct Setup {
    target: Target,
    store: Store,
    runtime: Arc<dyn Runtime>,
    file: PathBuf,
    component: Vec<u8>,
}

impl Bench {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        let given = self.store.target(config)?;
        let file = self.guests.join(format!("{GUEST}.wasm"));
        let component = source::read_example(&file)?;
        // Before there is anything to leave behind.
        let mut signals = Signals::listen()?;
        let scratch = Scratch::beside(given.url(), &format!("kennel_bench_{}", std::process::id()))
            .await
            .kind(ExitKind::Store)?;
        let measured = tokio::select! {
            measured = self.measure(scratch.url(), file, component) => measured.map(Some),
            () = signals.next() => Ok(None),
        };
        let removed = scratch.remove().await.kind(ExitKind::Store);
        let Some(figures) = measured? else {
            output::note("ended by a signal; nothing is left behind");
            return Ok(ExitCode::from(signals::FORCED));
        };
        removed?;
        if self.json {
            output::json(&figures)?;
        } else {
            figures.print(given.url())?;
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn measure(
        &self,
        url: &StoreUrl,
        file: PathBuf,
        component: Vec<u8>,
    ) -> anyhow::Result<report::Figures> {
        let target = Target::at(url.clone());
        wire::migrate(&target, false).await?;
        let store = wire::open(&target).await?;
        let setup = Setup { target, store, runtime: wire::runtime()?, file, component };
        let catch_up = catch_up::measure(self, &setup).await?;
        let latency = latency::measure(self.appends, &setup).await?;
        let failover = failover::measure(self.kills, &setup).await?;
        setup.store.close().await;
        Ok(report::Figures {
            events: self.events,
            aggregates: self.aggregates,
            payload_bytes: load::PAYLOAD_BYTES,
            batch: self.batch,
            catch_up,
            latency,
            failover,
        })
    }
}

/// An engine that runs in this process. Dropped, it ends at once.
struct RunningEngine {
    stop: ShutdownTrigger,
    task: JoinSet<()>,
}

impl Setup {
    /// Deploys the example under a name and in a replica set of its own.
    async fn deploy(&self, name: &str, batch: Option<usize>) -> anyhow::Result<Deployment> {
        let projection: ProjectionName = name.parse()?;
        let replica_set: ReplicaSet = name.parse()?;
        let mut settings = Settings::default();
        settings.batch = batch.unwrap_or(settings.batch);
        let control = Local::new(wire::ports(&self.store, Arc::clone(&self.runtime)));
        let component = self.component.clone();
        let activated = activate(&control, component, &projection, &replica_set, settings).await;
        activated.map_err(|error| rendered(error, &self.file.display()))
    }

    /// Runs the replica set of a deployment with one worker.
    fn run(&self, deployment: &Deployment) -> anyhow::Result<RunningEngine> {
        let options = Options { host: wire::host(), ..Options::new(deployment.replica_set.clone()) };
        let metrics = Metrics::register(&prometheus::Registry::new())?;
        let ports = wire::ports(&self.store, Arc::clone(&self.runtime));
        let (stop, shutdown) = Shutdown::channel();
        let engine = Engine::new(ports, options, &metrics, wire::entropy());
        let mut task = JoinSet::new();
        task.spawn(engine.run(shutdown));
        Ok(RunningEngine { stop, task })
    }
}

impl RunningEngine {
    async fn end(mut self) -> anyhow::Result<()> {
        self.stop.stop();
        while let Some(ended) = self.task.join_next().await {
            ended?;
        }
        Ok(())
    }
}
