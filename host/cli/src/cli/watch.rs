//! `kennel watch`: deploys the components of a folder whenever they change, for their developers.

mod files;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use kennel_core::digest::Digest;
use kennel_core::lifecycle::{Mode, Promotion};
use kennel_core::name::ProjectionName;
use serde::Serialize;
use tokio::time::Instant;

use self::files::Files;
pub(super) use self::files::Stamp;
use super::control::ControlArgs;
use super::deploy::reported;
use super::output;
use super::signals::Signals;
use super::source::read_component;
use crate::config::Config;
use crate::exit::{self, ExitKind};
use crate::wire;
use kennel::control::view::ChangeView;
use kennel::control::{Control, ControlError, Operation, Requester};

/// How often the folder is looked at. A file counts as written when it has looked the same twice.
///
/// It is looked at rather than subscribed to: that costs next to nothing, and works on every file system, and for a
/// folder that is taken away and made anew, as builds do.
const LOOK_EVERY: Duration = Duration::from_millis(250);

const EXAMPLES: &str = "\
Examples:
  kennel watch target/guests
  kennel watch target/guests --mode rebuild

NAME.wasm is deployed as the projection NAME, at the start and whenever it changes. An unsupported component changes \
nothing: the one before it keeps running, and the reason is printed. While the store or the host is away it is tried again. \
Settings stay as they are, but for those of kennel.toml. `kennel run` beside it runs the projections; Ctrl-C ends the watch.";

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
    /// Print a line of JSON for each outcome of a file
    #[arg(long)]
    json: bool,
}

/// The outcome of an attempt to deploy a file.
#[derive(Serialize)]
struct Attempt<'a> {
    file: &'a Path,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'a ChangeView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    /// Whether it is tried again by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    retrying: Option<bool>,
}

impl Watch {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        let mut signals = Signals::listen()?;
        components(&self.folder).map_err(|error| {
            ExitKind::Input.error(format!("cannot watch {}: {error}", self.folder.display()))
        })?;
        let control = self.control.open_or_create(config).await?;
        output::note(format!("watching {}; Ctrl-C ends it", self.folder.display()));
        let (mut files, mut is_there) = (Files::default(), true);
        loop {
            for file in self.due(&mut files, &mut is_there) {
                // A change of mind while a component is being checked ends the command all the same.
                tokio::select! {
                    biased;
                    () = signals.next() => return Ok(ExitCode::SUCCESS),
                    attempted = self.attempt(&*control, config, &file, &mut files) => attempted?,
                }
            }
            tokio::select! {
                biased;
                () = signals.next() => return Ok(ExitCode::SUCCESS),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Looks which files are to be tried now, and reports when the folder goes and when it is back.
    fn due(&self, files: &mut Files, is_there: &mut bool) -> Vec<PathBuf> {
        let folder = self.folder.display();
        match (components(&self.folder), *is_there) {
            (Ok(found), was_there) => {
                if !was_there {
                    output::note(format!("{folder} is back"));
                }
                *is_there = true;
                let due =
                    found.into_iter().filter(|(file, stamp)| files.is_due(file, *stamp, Instant::now()));
                due.map(|(file, _)| file).collect()
            }
            (Err(error), was_there) => {
                if was_there {
                    output::note(format!("cannot read {folder}: {error}; waiting until it is back"));
                }
                *is_there = false;
                Vec::new()
            }
        }
    }

    /// Deploys a file, unless it holds what it held when it was last deployed or found unsupported.
    async fn attempt(
        &self,
        control: &dyn Control,
        config: &Config,
        file: &Path,
        files: &mut Files,
    ) -> anyhow::Result<()> {
        let bytes = match read_component(file) {
            Err(_) if !file.is_file() => return Ok(()),
            bytes => bytes,
        };
        let digest = bytes.as_deref().ok().map(Digest::of);
        if digest.is_some_and(|digest| files.is_done(file, digest)) {
            return Ok(());
        }
        let name = name_of(file);
        let (kind, message) = match (&name, bytes) {
            (Ok(name), Ok(bytes)) => match self.deploy(control, config, file, name, bytes).await {
                Ok(change) => {
                    files.done(file, digest);
                    return self.report_success(file, name, &change);
                }
                Err(error) => {
                    let error = anyhow::Error::new(error);
                    (exit::kind(&error), format!("{}: {}", file.display(), output::chain(&error)))
                }
            },
            (Err(message), _) => (Some(ExitKind::Input), message.clone()),
            // This names the file by itself.
            (_, Err(error)) => (exit::kind(&error), output::chain(&error)),
        };
        if kind == Some(ExitKind::Input) {
            files.done(file, digest);
            self.report_failure(file, &message, failure_hint(control, name.as_ref().ok()).await, false)
        } else if files.failed(file, &message, Instant::now()) {
            self.report_failure(file, &message, "; trying again until it works", true)
        } else {
            Ok(())
        }
    }

    async fn deploy(
        &self,
        control: &dyn Control,
        config: &Config,
        file: &Path,
        name: &ProjectionName,
        bytes: Vec<u8>,
    ) -> Result<ChangeView, ControlError> {
        let digest = Digest::of(&bytes);
        control.put_component(bytes).await?;
        let deploy = Operation::Deploy {
            component: digest,
            mode: self.mode,
            promotion: Promotion::Auto,
            replica_set: None,
            settings: config.projections.get(name).cloned().unwrap_or_default(),
            force: false,
        };
        let requester = Requester {
            actor: Some(wire::actor()),
            reason: Some(format!("kennel watch {}", file.display())),
            expected_deployment: None,
        };
        control.carry_out(name, deploy, requester).await
    }

    fn report_success(&self, file: &Path, name: &ProjectionName, change: &ChangeView) -> anyhow::Result<()> {
        let attempt = Attempt { file, outcome: Some(change), error: None, retrying: None };
        if self.json { output::json_line(&attempt) } else { output::line(reported(name, change)) }
    }

    fn report_failure(&self, file: &Path, message: &str, then: &str, retrying: bool) -> anyhow::Result<()> {
        let attempt = Attempt { file, outcome: None, error: Some(message), retrying: Some(retrying) };
        if self.json {
            return output::json_line(&attempt);
        }
        output::note(format!("{message}{then}"));
        Ok(())
    }
}

/// The components of a folder, as they look now.
fn components(folder: &Path) -> io::Result<Vec<(PathBuf, Stamp)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let file = entry?.path();
        if file.extension().is_none_or(|extension| extension != "wasm") {
            continue;
        }
        // One that has just vanished is none.
        match std::fs::metadata(&file) {
            Ok(metadata) if metadata.is_file() => found.push((file, Stamp::from(&metadata))),
            _ => {}
        }
    }
    found.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found)
}

/// The projection that a file is deployed as.
fn name_of(file: &Path) -> Result<ProjectionName, String> {
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    stem.parse().map_err(|error| format!("{}: {error}", file.display()))
}

/// What follows when a file cannot be deployed.
async fn failure_hint(control: &dyn Control, name: Option<&ProjectionName>) -> &'static str {
    let serves = match name {
        Some(name) => control.projection(name).await.is_ok_and(|projection| projection.serving.is_some()),
        None => false,
    };
    if serves { "; the deployment before it keeps running" } else { "" }
}
