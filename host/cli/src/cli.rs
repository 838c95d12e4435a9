//! The command line: one file a subcommand or a few that are alike.

mod append;
mod bench;
mod build;
mod compile;
mod components;
mod control;
mod demo;
mod deploy;
mod deployments;
mod dev;
mod diff;
mod documents;
mod file;
mod follow;
mod generations;
mod inspect;
mod lifecycle;
mod migrate;
mod new;
mod operations;
mod output;
mod pull;
mod push;
mod replica_set;
mod run;
mod signals;
mod source;
mod status;
mod test;
mod values;
mod watch;
mod workers;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, DEFAULT_STORE, EventsConfig};
use crate::exit::{self, ExitKind};
use crate::telemetry::{self, LogFormat};
use crate::wire::{self, TableName, Target};

const EXAMPLES: &str = "\
Examples:
  kennel append --from events.jsonl
  kennel deploy order-summary order_summary.wasm
  kennel run --until-caught-up
  kennel documents order-summary orders --limit 5

Exit codes:
  0 success                 5 taken (name, port, store), or in conflict with the state
  1 unforeseen              6 wrong configuration
  2 wrong command line      7 not found
  3 store or host unusable  8 a projection is halted, or read models differ
  4 wrong input             143 ended by a second signal";

/// Runs event-sourcing projections as sandboxed WebAssembly components.
#[derive(Debug, Parser)]
#[command(name = "kennel", version, after_help = EXAMPLES)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every subcommand accepts.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Configuration file [default: kennel.toml, if there is one]
    #[arg(long, global = true, value_name = "FILE", env = "KENNEL_CONFIG")]
    config: Option<PathBuf>,
}

/// The variable that names a host to work through.
const HOST_VARIABLE: &str = "KENNEL_HOST";

/// The variable that names the replica set to run, to ask about, or to deploy new projections to.
const REPLICA_SET_VARIABLE: &str = "KENNEL_REPLICA_SET";

/// Which store to work on.
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    /// The store: sqlite:PATH or postgres://USER@HOST/DATABASE [default: sqlite:kennel.db]
    #[arg(long, value_name = "URL", env = "KENNEL_STORE", hide_env_values = true)]
    store: Option<String>,
    /// The table of the event log: TABLE or, on PostgreSQL, SCHEMA.TABLE [default: events]
    #[arg(long, value_name = "TABLE", env = "KENNEL_EVENTS_TABLE", hide_short_help = true)]
    events_table: Option<TableName>,
    /// The table of the latest version of each aggregate [default: aggregate_heads]
    #[arg(long, value_name = "TABLE", env = "KENNEL_HEADS_TABLE", hide_short_help = true)]
    heads_table: Option<TableName>,
}

impl StoreArgs {
    /// What the flags, else the configuration say about the store.
    fn target(&self, config: &Config) -> anyhow::Result<Target> {
        let given = self.store.as_deref().or(config.store.as_deref());
        if given.is_none() && std::env::var_os(HOST_VARIABLE).is_some() {
            // A user of a host has no store here, and a new one would take in events meant for that host's.
            return Err(ExitKind::Config.error(format!(
                "{HOST_VARIABLE} is set, and this works on a store: say which with --store, or unset {HOST_VARIABLE}"
            )));
        }
        let url = given.unwrap_or(DEFAULT_STORE);
        let given = EventsConfig { table: self.events_table.clone(), heads_table: self.heads_table.clone() };
        let stale_after = config.run.stale_after()?;
        let target = Target::new(url)?.tables(config.events.tables(&given)).stale_after(stale_after);
        Ok(target.connections(config.run.connections))
    }
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one in a process")]
enum Command {
    #[command(flatten)]
    Configured(Configured),
    /// Compiles a component for the command that starts it
    #[command(hide = true)]
    Compile(compile::Compile),
}

/// The subcommands that read a configuration and write a log.
#[derive(Debug, Subcommand)]
enum Configured {
    /// Creates or updates the tables of a store
    Migrate(migrate::Migrate),
    /// Appends events from lines of JSON to the log
    Append(append::Append),
    /// Deploys a component to a projection
    Deploy(deploy::Deploy),
    /// Deploys the components of a folder whenever they change
    Watch(watch::Watch),
    /// Builds a read model anew, beside the one that serves
    Rebuild(lifecycle::Rebuild),
    /// Compares the read model of the candidate with the one that serves
    Diff(diff::Diff),
    /// Promotes the candidate to serve
    Promote(lifecycle::Promote),
    /// Cancels the candidate
    Cancel(lifecycle::Cancel),
    /// Returns to the deployment that served before
    Rollback(lifecycle::Rollback),
    /// Pauses a projection until it is resumed
    Pause(lifecycle::Pause),
    /// Resumes a paused projection
    Resume(lifecycle::Resume),
    /// Takes a projection out of service
    Retire(lifecycle::Retire),
    /// Goes on with a log that was set back
    AcceptLog(lifecycle::AcceptLog),
    /// Lists the deployments of a projection
    Deployments(deployments::Deployments),
    /// Lists the operations on a projection, with actor and reason
    Operations(operations::Operations),
    /// Lists the components that the store holds
    Components(components::Components),
    /// Runs the projections of a replica set
    Run(run::Run),
    /// Prints the documents of a read model
    Documents(documents::Documents),
    /// Shows how the projections are doing
    Status(status::Status),
    /// Lists the workers of a replica set
    Workers(workers::Workers),
    /// Lists how the division of the work has changed
    Generations(generations::Generations),
    /// Makes the project of a projection, in the language of your choice
    New(new::New),
    /// Builds the component of a project
    Build(build::Build),
    /// Builds, tests and runs a project whenever it changes
    Dev(dev::Dev),
    /// Shows what a component is, and whether this host can run it
    Inspect(inspect::Inspect),
    /// Runs a component on given events, without a store, and compares what it writes
    Test(test::Test),
    /// Publishes a component in an OCI registry
    Push(push::Push),
    /// Fetches a component from an OCI registry
    Pull(pull::Pull),
    /// Measures how fast Kennel is on a store
    Bench(bench::Bench),
    /// Shows the whole of Kennel at work on a temporary store
    Demo(demo::Demo),
}

impl Cli {
    /// Runs the command and turns its outcome into an exit code.
    #[must_use]
    pub fn main(self) -> ExitCode {
        match self.execute() {
            Ok(code) => code,
            Err(error) => {
                output::error(&error);
                exit::code(&error)
            }
        }
    }

    fn execute(self) -> anyhow::Result<ExitCode> {
        let command = match self.command {
            Command::Configured(command) => command,
            Command::Compile(command) => return command.execute(),
        };
        let config = Config::load(self.global.config.as_deref())?;
        let (level, format) = match &command {
            Configured::Run(run) => ("info", run.log_format(&config)),
            Configured::Test(_) | Configured::Dev(_) => (test::LOG, LogFormat::Text),
            _ => ("warn", LogFormat::Text),
        };
        telemetry::start(level, format);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let code = runtime.block_on(async {
            let ended = match command {
                Configured::Migrate(command) => command.execute(&config).await,
                Configured::Append(command) => command.execute(&config).await,
                Configured::Deploy(command) => command.execute(&config).await,
                Configured::Watch(command) => command.execute(&config).await,
                Configured::Rebuild(command) => command.execute(&config).await,
                Configured::Diff(command) => command.execute(&config).await,
                Configured::Promote(command) => command.execute(&config).await,
                Configured::Cancel(command) => command.execute(&config).await,
                Configured::Rollback(command) => command.execute(&config).await,
                Configured::Pause(command) => command.execute(&config).await,
                Configured::Resume(command) => command.execute(&config).await,
                Configured::Retire(command) => command.execute(&config).await,
                Configured::AcceptLog(command) => command.execute(&config).await,
                Configured::Deployments(command) => command.execute(&config).await,
                Configured::Operations(command) => command.execute(&config).await,
                Configured::Components(command) => command.execute(&config).await,
                Configured::Run(command) => command.execute(&config).await,
                Configured::Documents(command) => command.execute(&config).await,
                Configured::Status(command) => command.execute(&config).await,
                Configured::Workers(command) => command.execute(&config).await,
                Configured::Generations(command) => command.execute(&config).await,
                Configured::New(command) => command.execute(),
                Configured::Build(command) => command.execute().await,
                Configured::Dev(command) => Box::pin(command.execute()).await,
                Configured::Inspect(command) => command.execute().await,
                Configured::Test(command) => command.execute().await,
                Configured::Push(command) => command.execute().await,
                Configured::Pull(command) => command.execute().await,
                Configured::Bench(command) => command.execute(&config).await,
                Configured::Demo(command) => command.execute().await,
            };
            wire::close_stores().await;
            ended
        });
        // A blocking read of standard input cannot be interrupted; nothing waits for it here.
        runtime.shutdown_background();
        code
    }
}
