//! What the commands that change projections work on: a store, or a host that runs.

use std::sync::Arc;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, FromArgMatches};
use kennel_core::name::ReplicaSet;
use kennel_core::port::Runtime;

use super::{HOST_VARIABLE, REPLICA_SET_VARIABLE, StoreArgs, output};
use crate::config::Config;
use crate::exit::{self, ExitKind, ResultExt as _};
use crate::remote::{HostUrl, Remote};
use crate::wire;
use kennel::control::local::Local;
use kennel::control::{Control, ControlError, ControlErrorKind, Requester};

/// The store or the host to work on.
#[derive(Debug)]
pub(super) struct ControlArgs {
    store: StoreArgs,
    /// Asked instead of the store.
    host: Option<HostUrl>,
}

/// The flags that name the store or the host.
#[derive(Debug, Args)]
struct ControlFlags {
    #[command(flatten)]
    store: StoreArgs,
    /// The URL of a host that runs, to work through its API instead of on the store; KENNEL_TOKEN is its token
    #[arg(long, value_name = "URL", env = HOST_VARIABLE)]
    host: Option<HostUrl>,
}

/// The flags that only say something about a store.
const STORE_FLAGS: [&str; 3] = ["store", "events_table", "heads_table"];

impl FromArgMatches for ControlArgs {
    /// A flag wins over a variable: only two flags can contradict one another.
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let ControlFlags { store, host } = ControlFlags::from_arg_matches(matches)?;
        let is_flag = |name: &str| matches.value_source(name) == Some(ValueSource::CommandLine);
        match STORE_FLAGS.into_iter().find(|name| is_flag(name)) {
            Some(name) if is_flag("host") => {
                let flag = name.replace('_', "-");
                let message = format!(
                    "the argument '--{flag}' cannot be used with '--host <URL>': the host has its own store"
                );
                Err(clap::Error::raw(ErrorKind::ArgumentConflict, message))
            }
            Some(_) => Ok(Self { store, host: None }),
            None => Ok(Self { store, host }),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for ControlArgs {
    fn augment_args(command: clap::Command) -> clap::Command {
        ControlFlags::augment_args(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        ControlFlags::augment_args_for_update(command)
    }
}

/// The reason of an operation, and the deployment that its actor expects.
#[derive(Debug, Args)]
pub(super) struct RequesterArgs {
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Fail if there is a later deployment than this
    #[arg(long = "expect", value_name = "NUMBER", hide_short_help = true)]
    expected_deployment: Option<u32>,
}

impl RequesterArgs {
    pub(super) fn requester(&self) -> Requester {
        Requester {
            actor: Some(wire::actor()),
            reason: self.reason.clone(),
            expected_deployment: self.expected_deployment,
        }
    }
}

impl ControlArgs {
    /// The operations on the store or the host that was named.
    pub(super) async fn open(&self, config: &Config) -> anyhow::Result<Box<dyn Control>> {
        self.open_either(config, Existing::Needed).await
    }

    /// As [`Self::open`]; a store that does not exist is made, where that is possible.
    pub(super) async fn open_or_create(&self, config: &Config) -> anyhow::Result<Box<dyn Control>> {
        self.open_either(config, Existing::Wanted).await
    }

    async fn open_either(&self, config: &Config, existing: Existing) -> anyhow::Result<Box<dyn Control>> {
        match &self.host {
            Some(host) => Ok(Box::new(remote(host, config)?)),
            None => self.open_store(config, existing).await,
        }
    }

    async fn open_store(&self, config: &Config, existing: Existing) -> anyhow::Result<Box<dyn Control>> {
        let target = self.store.target(config)?;
        let store = match existing {
            Existing::Needed => wire::open_existing(&target).await?,
            Existing::Wanted => wire::open(&target).await?,
        };
        let runtime: Arc<dyn Runtime> = wire::runtime()?;
        let local = Local::new(wire::ports(&store, runtime)).stale_after(config.run.stale_after()?);
        Ok(Box::new(local.replica_set(replica_set(config)?)))
    }
}

/// The replica set that `kennel run` would work for with the same configuration.
fn replica_set(config: &Config) -> anyhow::Result<ReplicaSet> {
    match std::env::var(REPLICA_SET_VARIABLE) {
        Ok(given) => given
            .parse()
            .map_err(|error| ExitKind::Config.error(format!("{REPLICA_SET_VARIABLE} is `{given}`: {error}"))),
        Err(_) => Ok(config.run.replica_set(None)),
    }
}

/// The operations through a host.
fn remote(host: &HostUrl, config: &Config) -> anyhow::Result<Remote> {
    let remote = Remote::new(host.clone(), config.api.token()?.as_ref()).kind(ExitKind::Config)?;
    if !host.is_private() {
        output::note(format!(
            "warning: everything sent to {host} can be read and changed on the way; use https:// if you can"
        ));
    }
    Ok(remote)
}

/// Whether a store has to be there.
#[derive(Clone, Copy)]
enum Existing {
    Needed,
    Wanted,
}

/// Renders an error about a component, with where it came from.
pub(super) fn rendered(error: ControlError, source: &dyn std::fmt::Display) -> anyhow::Error {
    let kind = exit::kind_of_operation(&error);
    match (error.kind(), error) {
        (_, ControlError::Unsupported(error)) => kind.error(format!("{source}: {error}")),
        (ControlErrorKind::Unsupported, ControlError::Host { detail, .. }) => {
            kind.error(format!("{source}: {detail}"))
        }
        (_, other) => other.into(),
    }
}
