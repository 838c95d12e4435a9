//! `kennel watch`: deploys the components of a folder whenever they change, for those who are writing them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use kennel_core::digest::Digest;
use kennel_core::lifecycle::{Mode, Switch};
use kennel_core::name::ProjectionName;
use notify_debouncer_mini::notify::RecursiveMode;
use notify_debouncer_mini::{DebounceEventResult, new_debouncer};
use serde::Serialize;
use tokio::sync::mpsc;

use super::control::ControlArgs;
use super::deploy::told;
use super::output;
use super::signals::Signals;
use super::source::{Source, read_component};
use crate::config::Config;
use crate::control::view::ChangeView;
use crate::control::{Control, DeployOrder};
use crate::exit::Kind;
use crate::wire;

/// A file counts as written when nothing has changed for so long.
const SETTLED_AFTER: Duration = Duration::from_millis(200);

const EXAMPLES: &str = "\
Examples:
  kennel watch target/guests
  kennel watch target/guests --mode rebuild

NAME.wasm is deployed as the projection NAME, at the start and whenever it changes. A component that is refused changes
nothing: the one before it keeps running, and the reason is printed. Settings are those of kennel.toml.
`kennel run` beside it runs the projections; Ctrl-C ends the watch.";

/// Deploys the components of a folder, and again whenever one changes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Watch {
    #[command(flatten)]
    control: ControlArgs,
    /// The folder
    folder: PathBuf,
    /// How new code comes to a projection: `continue` or `rebuild`
    #[arg(long, value_name = "MODE", default_value_t = Mode::Continue)]
    mode: Mode,
    /// Print a line of JSON for each attempt
    #[arg(long)]
    json: bool,
}

/// What came of a file.
#[derive(Serialize)]
struct Attempt<'a> {
    file: &'a Path,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'a ChangeView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Watch {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        let mut signals = Signals::listen()?;
        let control = self.control.open_or_create(config).await?;
        let (changed, mut changes) = mpsc::unbounded_channel();
        let told = changed.clone();
        let mut debouncer = new_debouncer(SETTLED_AFTER, move |events: DebounceEventResult| {
            for event in events.into_iter().flatten() {
                // Nobody listens any more once the command ends.
                let _ = told.send(event.path);
            }
        })?;
        let watched = debouncer.watcher().watch(&self.folder, RecursiveMode::NonRecursive);
        watched
            .map_err(|error| Kind::Input.error(format!("cannot watch {}: {error}", self.folder.display())))?;
        // What is there already comes first. The watch has begun, so that nothing falls between.
        for entry in std::fs::read_dir(&self.folder)? {
            let _ = changed.send(entry?.path());
        }
        output::note(format!("watching {}; Ctrl-C ends it", self.folder.display()));
        let mut tried: BTreeMap<PathBuf, Digest> = BTreeMap::new();
        loop {
            let file = tokio::select! {
                biased;
                () = signals.next() => return Ok(ExitCode::SUCCESS),
                Some(file) = changes.recv() => file,
            };
            // A change of mind while a component is being checked ends the command all the same.
            tokio::select! {
                biased;
                () = signals.next() => return Ok(ExitCode::SUCCESS),
                attempted = self.attempt(&*control, config, &file, &mut tried) => attempted?,
            }
        }
    }

    /// Deploys a file, if it is a component that was not tried before as it is.
    async fn attempt(
        &self,
        control: &dyn Control,
        config: &Config,
        file: &Path,
        tried: &mut BTreeMap<PathBuf, Digest>,
    ) -> anyhow::Result<()> {
        if file.extension().is_none_or(|extension| extension != "wasm") || !file.is_file() {
            return Ok(());
        }
        // A file that vanished meanwhile, or is too large, is told of when it is deployed.
        if let Ok(bytes) = read_component(file) {
            let digest = Digest::of(&bytes);
            if tried.insert(file.to_owned(), digest) == Some(digest) {
                return Ok(());
            }
        }
        let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let deployed = match stem.parse::<ProjectionName>() {
            Ok(name) => self.deploy(control, config, file, &name).await.map(|change| (name, change)),
            Err(error) => Err(error.into()),
        };
        let (outcome, error) = match &deployed {
            Ok((_, change)) => (Some(change), None),
            Err(error) => (None, Some(output::words(error))),
        };
        if self.json {
            return output::line(serde_json::to_string(&Attempt { file, outcome, error })?);
        }
        match (&deployed, error) {
            (Ok((name, change)), _) => output::line(self::told(name, change)),
            (_, error) => {
                output::note(format!("{}; what ran before keeps running", error.unwrap_or_default()));
                Ok(())
            }
        }
    }

    async fn deploy(
        &self,
        control: &dyn Control,
        config: &Config,
        file: &Path,
        name: &ProjectionName,
    ) -> anyhow::Result<ChangeView> {
        let component = Source::File(file.to_owned()).store(control).await?;
        let order = DeployOrder {
            mode: self.mode,
            switch: Switch::Auto,
            settings: config.projections.get(name).cloned().unwrap_or_default(),
            author: Some(wire::author()),
            note: Some(format!("kennel watch {}", file.display())),
            ..DeployOrder::of(component.digest)
        };
        Ok(control.deploy(name, order).await?)
    }
}
