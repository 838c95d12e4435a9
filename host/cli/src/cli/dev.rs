//! `kennel dev`: builds, tests and runs a project, and does so again whenever a file of it changes, for its developers.

mod host;
mod sources;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use kennel_core::event::NewEvent;
use kennel_core::timestamp::Timestamp;

use self::host::LocalHost;
use self::sources::{Changes, Sources};
use super::signals::{FORCED, Signals};
use super::test::{EVENTS, EXPECTED, Test};
use super::{build, output, values};
use crate::exit::ExitKind;
use crate::jsonl;
use crate::project::build::Profile;
use crate::project::find::Project;
use crate::project::tools::{Tools, pin};

/// How often the files are looked at. A change counts once they have looked the same twice.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Where the store of the local host is, in the project's folder.
const FOLDER: &str = ".kennel";

const EXAMPLES: &str = "\
Examples:
  kennel dev
  kennel dev shop/order-summary --set currency=EUR

It builds the project as `kennel build` does, tests the component as `kennel test` does with events.jsonl and \
expected.json, and deploys it to a host of its own with the events of events.jsonl, whose store is .kennel/dev.db in the \
project's folder. Then it waits for a file to change, and does all that again: either the errors of the compiler are on \
screen, or how the documents differ from the expected ones, or the new documents. Each change builds the read model anew. A \
component that cannot be built or that fails its test is not deployed: the one before it keeps running.

Events that are added to events.jsonl are handled without a build, once expected.json expects what they come to: \
`kennel test --update` in another terminal writes it. An event that fails is set aside, as `dead-letter` has it. The store \
is made anew at each start; until then other commands can look at it: \
`kennel status --store sqlite:.kennel/dev.db`. Ctrl-C ends it.";

/// Builds, tests and runs a project on a host of its own, and again whenever a file of it changes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Dev {
    /// The folder of the project
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// A setting that the guest can read, instead of that of expected.json; may be given many times
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = values::setting)]
    settings: Vec<(String, String)>,
    /// Fetch nothing
    #[arg(long)]
    offline: bool,
}

impl Dev {
    pub(super) async fn execute(self) -> anyhow::Result<ExitCode> {
        let mut signals = Signals::listen()?;
        let project = Project::find(&self.folder)?;
        let folder = prepare(&project.folder)?;
        let _lock = pin::try_lock(&folder)?.ok_or_else(|| {
            ExitKind::Conflict.error(format!("another `kennel dev` works in {}", self.folder.display()))
        })?;
        let mut session = Session { dev: &self, store: folder.join("dev.db"), host: None, built: None };
        tokio::select! {
            biased;
            () = signals.next() => {}
            ended = Box::pin(session.work()) => ended?,
        }
        output::note("stopping");
        if let Some(host) = session.host.take() {
            tokio::select! {
                () = host.stop() => {}
                () = signals.next() => return Ok(ExitCode::from(FORCED)),
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The folder of the local host, which is not for version control.
fn prepare(project: &Path) -> anyhow::Result<PathBuf> {
    let folder = project.join(FOLDER);
    let made =
        std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(folder.join(".gitignore"), "*\n"));
    made.map_err(|error| ExitKind::Input.error(format!("cannot use {}: {error}", folder.display())))?;
    Ok(folder)
}

/// The work on a project, from the start of the command to its end.
struct Session<'a> {
    dev: &'a Dev,
    /// The file of the store.
    store: PathBuf,
    host: Option<LocalHost>,
    /// The last component, should it have been built.
    built: Option<Vec<u8>>,
}

impl Session<'_> {
    /// Goes on until it is dropped. An error is one after which nothing can be done.
    async fn work(&mut self) -> anyhow::Result<()> {
        let mut sources = Sources::of(&self.dev.folder);
        let mut changes = Changes { sources: true, events: true };
        loop {
            if let Err(error) = self.attempt(changes).await {
                output::error(&error);
                if self.host.is_some() {
                    output::note("the deployment before it keeps running");
                }
            }
            output::note("waiting for a change; Ctrl-C ends it");
            changes = loop {
                tokio::time::sleep(LOOK_EVERY).await;
                let Some((changes, files)) = sources.changed() else { continue };
                output::note(format!("\n{files} changed"));
                break changes;
            };
        }
    }

    /// Does all that changes ask for: builds, tests, deploys, and shows the documents.
    async fn attempt(&mut self, changes: Changes) -> anyhow::Result<()> {
        let project = Project::find(&self.dev.folder)?;
        if changes.sources || self.built.is_none() {
            self.built = None;
            let note = |text: &str| output::note(text);
            let tools = Tools::new(self.dev.offline, &note);
            let checked = build::checked(&project, &tools, Profile::Release, None).await?;
            output::line(checked.summary())?;
            self.built = Some(checked.component);
        }
        let Some(component) = self.built.clone() else { return Ok(()) };
        let test = Test::of_project(&self.dev.folder, &project.component(), self.dev.settings.clone());
        let is_tested = [EXPECTED, EVENTS].iter().all(|name| project.folder.join(name).is_file());
        if is_tested && !test.passes().await? {
            output::note("this is not deployed; `kennel test --update` has it expected from now on");
            return Ok(());
        }
        let events = read_events(&self.dev.folder.join(EVENTS))?;
        let config = test.guest_config()?;
        let host = match self.host.take() {
            Some(host) if !host.has_ended() && host.can_take(&events) => host,
            other => {
                if let Some(host) = other {
                    output::note(if host.has_ended() {
                        "the local host has ended: another is started"
                    } else {
                        "events were changed or removed: the log is made anew"
                    });
                    host.stop().await;
                }
                LocalHost::start(&self.store, &project.name).await?
            }
        };
        let host = self.host.insert(host);
        host.append(events).await?;
        host.deploy(component, config).await?;
        host.show().await
    }
}

/// The events of a file, as `kennel test` has them: without a time of their own they are of 1970.
fn read_events(file: &Path) -> anyhow::Result<Vec<NewEvent>> {
    let name = file.display();
    let opened = match std::fs::File::open(file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            output::note(format!("{name} is missing: without it there are no events"));
            return Ok(Vec::new());
        }
        Err(error) => return Err(ExitKind::Input.error(format!("cannot read {name}: {error}"))),
    };
    let mut events = Vec::new();
    for (number, parsed) in jsonl::lines(opened, jsonl::parse_sample) {
        let sample =
            parsed.map_err(|reason| ExitKind::Input.error(format!("{name}, line {number}: {reason}")))?;
        events.extend(sample.map(|sample| {
            let created_at = sample.event.created_at.or(Timestamp::new(0, 0));
            NewEvent { created_at, ..sample.event }
        }));
    }
    Ok(events)
}
