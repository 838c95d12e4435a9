//! `kennel demo`: the whole of Kennel at work on a temporary store, in one screen.

mod orders;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget};
use kennel_core::name::{ProjectionName, ReplicaSet};
use kennel_core::port::{ProjectionState, Runtime};
use kennel_core::projection::{Deployment, Settings};
use kennel_engine::{CallObserver, Engine, Metrics, Options, Shutdown};
use tokio::time::Instant;

use super::control::rendered;
use super::{output, source, values};
use crate::exactly_once::{self, ExactlyOnce};
use crate::exit::ExitKind;
use crate::wire::{self, Store, Target};
use kennel::activate::activate;
use kennel::control::local::Local;

const SUMMARY: &str = "order-summary";
const AUDIT_LOG: &str = "audit-log";
/// Events that are appended in one transaction, and handled in one unless the command line says otherwise:
/// the demo is all about a backlog, where large batches delay no reader.
const CHUNK: usize = 5000;

const EXAMPLES: &str = "\
Examples:
  make demo                         builds host and guests, then runs this
  kennel demo --events 10000 --json";

/// Appends generated order events to a temporary SQLite store, runs two projections over them, and
/// checks that every event took effect exactly once.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Demo {
    /// Events to generate
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    events: usize,
    /// Determines the generated events: the same seed gives the same events
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Most events handled and committed together [default: 5000: a whole log is waiting]
    #[arg(long, value_name = "EVENTS", value_parser = values::batch)]
    batch: Option<usize>,
    /// Where the example components lie, as `make guests` builds them
    #[arg(long, value_name = "FOLDER", default_value = "target/guests", env = "KENNEL_GUESTS")]
    guests: PathBuf,
    /// Keep the store in this file instead of a temporary one
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,
    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

/// Collects how long handler calls took.
#[derive(Debug, Default)]
struct Calls(Mutex<Vec<Duration>>);

impl CallObserver for Calls {
    fn calls(&self, _: &ProjectionName, durations: &[Duration]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(durations);
    }
}

/// Everything that the demo measured.
struct Outcome {
    check: ExactlyOnce,
    took: Duration,
    calls: Vec<Duration>,
}

impl Demo {
    pub(super) async fn execute(self) -> anyhow::Result<ExitCode> {
        let folder = self.folder()?;
        let file = self.keep.clone().unwrap_or_else(|| folder.path().join("demo.db"));
        if file.exists() {
            return Err(ExitKind::Conflict
                .error(format!("{} exists: the demo starts with an empty store", file.display())));
        }
        let store = wire::open(&Target::new(&format!("sqlite:{}", file.display()))?).await?;
        let bars = MultiProgress::with_draw_target(if self.json {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        });
        self.append(&store, &bars).await?;
        let runtime = wire::runtime()?;
        let summary = deploy_example(&store, &runtime, &self.guests, SUMMARY).await?;
        let audit_log = deploy_example(&store, &runtime, &self.guests, AUDIT_LOG).await?;
        let calls = Arc::new(Calls::default());
        let took = self.run(&store, runtime, Arc::clone(&calls), &bars).await?;
        let calls = std::mem::take(&mut *calls.0.lock().unwrap_or_else(PoisonError::into_inner));
        let check = exactly_once::check(&*store, &*store, audit_log.read_model).await?;
        let outcome = Outcome { check, took, calls };
        if self.json {
            report::print_json(&outcome)?;
        } else {
            report::print(&store, &summary, &outcome, self.keep.as_deref()).await?;
        }
        let clean = outcome.check.is_clean();
        Ok(if clean { ExitCode::SUCCESS } else { ExitCode::from(ExitKind::Halted.code()) })
    }

    fn folder(&self) -> anyhow::Result<tempfile::TempDir> {
        tempfile::Builder::new().prefix("kennel-demo-").tempdir().map_err(|error| {
            let parent = std::env::temp_dir();
            let parent = parent.display();
            ExitKind::Store.error(format!(
                "cannot create a temporary folder in {parent}: {}; name another one with TMPDIR",
                error.kind()
            ))
        })
    }

    async fn append(&self, store: &Store, bars: &MultiProgress) -> anyhow::Result<()> {
        let bar = add(bars, "appending", self.events);
        let mut events = orders::Orders::new(self.seed).take(self.events);
        loop {
            let chunk: Vec<_> = events.by_ref().take(CHUNK).collect();
            if chunk.is_empty() {
                break;
            }
            store.append(&chunk).await?;
            bar.inc(chunk.len() as u64);
        }
        bar.finish();
        Ok(())
    }

    /// Runs both projections over the whole log; returns how long that took.
    async fn run(
        &self,
        store: &Store,
        runtime: Arc<dyn Runtime>,
        calls: Arc<Calls>,
        bars: &MultiProgress,
    ) -> anyhow::Result<Duration> {
        let replica_set = ReplicaSet::default();
        let batch = self.batch.or(Some(CHUNK));
        let options = Options { batch, observer: Some(calls), ..Options::new(replica_set) };
        let metrics = Metrics::register(prometheus::default_registry())?;
        let engine = Engine::new(wire::ports(store, runtime), options, &metrics, wire::entropy());
        let (trigger, stop) = Shutdown::channel();
        let began = Instant::now();
        let engine = tokio::spawn(engine.run(stop));
        let shown = [SUMMARY, AUDIT_LOG].map(|name| (name, add(bars, name, self.events)));
        let head = store.high_water_mark().await?.head;
        let took = loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let mut done = true;
            for progress in store.progress().await? {
                let name = progress.deployment.projection.as_str();
                let position = progress.position();
                if let Some((_, bar)) = shown.iter().find(|(known, _)| *known == name) {
                    bar.set_position(position.get());
                }
                if progress.state == ProjectionState::Halted {
                    let reason = progress.last_failure.map(|failure| failure.message).unwrap_or_default();
                    return Err(
                        ExitKind::Halted.error(format!("the projection `{name}` is halted: {reason}"))
                    );
                }
                done &= position >= head;
            }
            if done {
                break began.elapsed();
            }
        };
        shown.iter().for_each(|(_, bar)| bar.finish());
        trigger.stop();
        engine.await?;
        Ok(took)
    }
}

fn add(bars: &MultiProgress, label: &'static str, length: usize) -> ProgressBar {
    let bar = bars.add(ProgressBar::new(length as u64));
    bar.set_style(output::style(true));
    bar.set_prefix(label);
    bar
}

async fn deploy_example(
    store: &Store,
    runtime: &Arc<dyn Runtime>,
    guests: &Path,
    name: &str,
) -> anyhow::Result<Deployment> {
    let file = guests.join(format!("{name}.wasm"));
    let bytes = source::read_example(&file)?;
    let (name, replica_set) = (name.parse()?, ReplicaSet::default());
    let control = Local::new(wire::ports(store, Arc::clone(runtime)));
    let activated = activate(&control, bytes, &name, &replica_set, Settings::default()).await;
    activated.map_err(|error| rendered(error, &file.display()))
}
