//! `kennel run`: runs the projections of a replica set until a signal stops it.

mod until_caught_up;

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use kennel_core::name::ReplicaSet;
use kennel_engine::Shutdown;
use tokio::net::TcpListener;

use super::signals::Signals;
use super::{REPLICA_SET_VARIABLE, StoreArgs, values};
use crate::config::Config;
use crate::exit::ExitKind;
use crate::telemetry::LogFormat;
use crate::wire::{self, ConnectError, Target};
use kennel::orchestrator::{Orchestrator, OrchestratorError};
use kennel_server::token::Token;
use kennel_server::{Api, Authentication, BindError, Sources};

const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9090);

/// How long the store may take to close at the end.
const CLOSES_WITHIN: Duration = Duration::from_secs(5);

const EXAMPLES: &str = "\
Examples:
  kennel run
  kennel run --store sqlite:shop.db --listen 127.0.0.1:9100
  kennel run --until-caught-up && kennel status

SIGTERM or Ctrl-C: batches under way are finished and committed, then the command ends with 0. \
A second signal ends it at once; nothing is lost, since a batch that was not committed is run again.

/v1 serves deploy, rollback and the other operations, so that pipelines need no database: `kennel deploy --host URL`. It asks for \
the token in KENNEL_TOKEN, or in the file that kennel.toml names:
  [api]
  token_file = \"token\"
Without a token it answers to programs of this machine alone, and to no program if --listen is an address that others can \
reach. /v1/openapi.json describes it.";

/// Runs the projections of a replica set and serves /metrics, /healthz, /readyz and /v1.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Run {
    #[command(flatten)]
    store: StoreArgs,
    /// Where to serve /metrics, /healthz, /readyz and /v1 [default: 127.0.0.1:9090; with --until-caught-up nowhere]
    #[arg(long, value_name = "ADDRESS", env = "KENNEL_LISTEN", value_parser = values::address)]
    listen: Option<SocketAddr>,
    /// Workers in this process [default: one for each core]
    #[arg(long, value_name = "N", env = "KENNEL_WORKERS", value_parser = values::workers)]
    workers: Option<NonZeroUsize>,
    /// The replica set whose projections to run [default: main]
    #[arg(long, value_name = "NAME", env = REPLICA_SET_VARIABLE)]
    replica_set: Option<ReplicaSet>,
    /// End once every projection has handled the whole log, or is halted
    #[arg(long)]
    until_caught_up: bool,
    /// Most events handled and committed together, for all projections
    #[arg(long, value_name = "EVENTS", value_parser = values::batch)]
    batch: Option<usize>,
    /// Most connections to a PostgreSQL server, at least 4 [default: 6]
    #[arg(long, value_name = "N", env = "KENNEL_CONNECTIONS", value_parser = values::connections)]
    connections: Option<u32>,
    /// Time to finish batches after a signal, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    grace: u64,
    /// How log lines look [default: text]
    #[arg(long, value_name = "FORMAT", env = "KENNEL_LOG_FORMAT")]
    log_format: Option<LogFormat>,
}

impl Run {
    pub(super) fn log_format(&self, config: &Config) -> LogFormat {
        self.log_format.or(config.run.log_format).unwrap_or_default()
    }

    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        let replica_set = config.run.replica_set(self.replica_set.as_ref());
        let workers = self.workers.or(config.run.workers).unwrap_or_else(wire::cores).get();
        let target = self.store.target(config)?.connections(self.connections);
        let token = config.api.token()?;
        // Before anything that takes time: a signal without a listener would end the process at once.
        let (trigger, mut stop) = Shutdown::channel();
        Signals::listen()?.stop_then_end(trigger.clone(), Duration::from_secs(self.grace));
        let orchestrator = tokio::select! {
            built = self.build(config, &replica_set, workers, &target) => built?,
            // Nothing has begun.
            () = stop.requested() => return Ok(ExitCode::SUCCESS),
        };
        let store = orchestrator.store().clone();
        let listen = self.listen.or(config.run.listen);
        let listen = if self.until_caught_up { listen } else { Some(listen.unwrap_or(LISTEN_DEFAULT)) };
        let listener = match listen {
            Some(address) => Some(kennel_server::bind(address).await.map_err(cannot_listen)?),
            None => None,
        };
        let deployed = store.active(&replica_set).await?.len();
        tracing::info!(store = %target, %replica_set, workers, deployments = deployed, "starting");
        if deployed == 0 {
            tracing::info!(
                "no projection is deployed yet; `kennel deploy NAME FILE.wasm` adds one at any time"
            );
        }
        let status = orchestrator.status();
        // Served to the end, so that workers are seen to stop and their last batches are counted. Ends when dropped.
        let (_served, ended) = Shutdown::channel();
        if let Some(listener) = listener {
            serve(listener, &orchestrator, token.as_ref(), ended)?;
        }
        let mut asked = stop.clone();
        let ended_early = trigger.clone();
        let working = tokio::spawn(async move {
            let ended = orchestrator.run(async move { asked.requested().await }).await;
            // A wait for the projections is in vain from now on.
            ended_early.stop();
            ended
        });
        let code = if self.until_caught_up {
            let waited = until_caught_up::wait(&store, &replica_set, &status, stop).await;
            trigger.stop();
            let halted = match waited {
                Ok(halted) => halted,
                Err(error) => {
                    working.await?.map_err(rendered)?;
                    return Err(error);
                }
            };
            if halted { ExitCode::from(ExitKind::Halted.code()) } else { ExitCode::SUCCESS }
        } else {
            ExitCode::SUCCESS
        };
        working.await?.map_err(rendered)?;
        // A SQLite file that is copied or moved afterwards is all there is: nothing is left in its log.
        let _ = tokio::time::timeout(CLOSES_WITHIN, store.close()).await;
        tracing::info!("stopped");
        Ok(code)
    }

    async fn build(
        &self,
        config: &Config,
        replica_set: &ReplicaSet,
        workers: usize,
        target: &Target,
    ) -> anyhow::Result<Orchestrator> {
        let mut builder = Orchestrator::builder()
            .target(target.clone())
            .replica_set(replica_set.as_str())
            .workers(workers)
            .heartbeat_interval(config.run.heartbeat_interval())
            .stale_after(config.run.stale_after()?)
            .rebuild_share(config.run.rebuild_share())
            .compiler(wire::this_program());
        if let Some(events) = self.batch {
            builder = builder.batch_size(events);
        }
        if let Some(bytes) = config.run.memory_bytes() {
            builder = builder.memory_bytes(bytes);
        }
        builder.build().await.map_err(rendered)
    }
}

/// Serves the status of an orchestrator and the operations on its projections in the background.
fn serve(
    listener: TcpListener,
    orchestrator: &Orchestrator,
    token: Option<&Token>,
    ended: Shutdown,
) -> anyhow::Result<()> {
    let address = listener.local_addr()?;
    let authentication = Authentication::new(token, address);
    if authentication == Authentication::Closed {
        tracing::warn!(
            "/v1 is closed: others can reach {address}, and no token is set. KENNEL_TOKEN, or `token_file` in the section \
             [api] of kennel.toml, opens it for clients that show the token"
        );
    }
    let sources = Sources { registry: prometheus::default_registry().clone(), status: orchestrator.status() };
    // A request names its actor; otherwise all that is known is the way that it came.
    let control = Arc::new(orchestrator.control().actor("api"));
    let app = kennel_server::router(sources)
        .merge(Api::new(control, authentication, orchestrator.metrics()).router());
    tracing::info!(%address, "serving /metrics, /healthz, /readyz and /v1");
    let app = kennel_server::caught(app, orchestrator.metrics());
    tokio::spawn(kennel_server::serve(listener, app, ended));
    Ok(())
}

/// The error of an orchestrator, with its exit code.
pub(super) fn rendered(error: OrchestratorError) -> anyhow::Error {
    let kind = match error {
        OrchestratorError::Store(error) => return error.into(),
        OrchestratorError::Metrics(_) | OrchestratorError::Runtime(_) => return error.into(),
        OrchestratorError::Connect(ConnectError::Taken(_)) => ExitKind::Conflict,
        OrchestratorError::Connect(_) | OrchestratorError::Lost(_) => ExitKind::Store,
        OrchestratorError::Taken(_) => ExitKind::Conflict,
        OrchestratorError::File { .. } | OrchestratorError::Activate { .. } => ExitKind::Input,
        OrchestratorError::Url(_)
        | OrchestratorError::Name(_)
        | OrchestratorError::Connections { .. }
        | OrchestratorError::Intervals { .. } => ExitKind::Config,
    };
    kind.of(error)
}

fn cannot_listen(error: BindError) -> anyhow::Error {
    let kind = if error.is_in_use() { ExitKind::Conflict } else { ExitKind::Config };
    kind.of(error)
}
