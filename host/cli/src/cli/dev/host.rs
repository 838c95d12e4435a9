//! The host of `kennel dev`: an orchestrator in this process, on a store that is made anew.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use kennel::control::local::Local;
use kennel::control::{Control as _, Operation, Requester};
use kennel::orchestrator::{Orchestrator, OrchestratorError};
use kennel_core::digest::Digest;
use kennel_core::event::NewEvent;
use kennel_core::failure::EventFailure;
use kennel_core::lifecycle::{Mode, Promotion};
use kennel_core::name::ProjectionName;
use kennel_core::projection::OnFailure;
use kennel_core::text::escaped;
use kennel_engine::{Shutdown, ShutdownTrigger};
use tokio::task::JoinHandle;

use crate::cli::{control, follow, output, run};
use crate::config::ProjectionConfig;
use crate::exit::ExitKind;
use crate::wire::{self, Store, Target};

/// Events that are appended in one transaction.
const CHUNK: usize = 1000;
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long the work and the store may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(10);
/// Most documents of a collection that are looked at, and most lines that are shown of each kind.
const DOCUMENTS_MAX: usize = 1000;
const SHOWN_MAX: usize = 20;
/// Most characters of a document that are shown.
const DOCUMENT_CHARS_MAX: usize = 160;

/// A host that runs one projection.
pub(super) struct LocalHost {
    store: Store,
    control: Local,
    name: ProjectionName,
    trigger: ShutdownTrigger,
    working: JoinHandle<Result<(), OrchestratorError>>,
    /// The log.
    events: Vec<NewEvent>,
    /// The settings that were deployed last, should there be any.
    config: BTreeMap<String, String>,
    /// The capabilities of this host, all of which the projection has.
    grants: BTreeSet<String>,
    is_deployed: bool,
    /// What was shown last: documents by collection and key, and failures.
    shown: Shown,
}

#[derive(Debug, Default, PartialEq)]
struct Shown {
    documents: BTreeMap<(String, String), String>,
    failures: BTreeSet<String>,
    /// Whether there may be more of them.
    is_partial: bool,
}

impl LocalHost {
    /// Starts a host on a new store.
    pub(super) async fn start(file: &Path, name: &str) -> anyhow::Result<Self> {
        let name: ProjectionName = name.parse().map_err(|error| ExitKind::Input.of(error))?;
        for ending in ["", "-wal", "-shm", ".lock"] {
            let mut path = file.as_os_str().to_owned();
            path.push(ending);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    let path = path.display();
                    return Err(ExitKind::Store.error(format!("cannot remove {path}: {error}")));
                }
                _ => {}
            }
        }
        let orchestrator = Orchestrator::builder()
            .target(Target::new(&format!("sqlite:{}", file.display()))?)
            .workers(1)
            .metrics_enabled(false)
            .compiler(wire::this_program());
        let orchestrator = orchestrator.build().await.map_err(run::rendered)?;
        let (store, control) = (orchestrator.store().clone(), orchestrator.control());
        let (trigger, mut stop) = Shutdown::channel();
        let working = tokio::spawn(orchestrator.run(async move { stop.requested().await }));
        Ok(Self {
            store,
            control,
            name,
            trigger,
            working,
            events: Vec::new(),
            config: BTreeMap::new(),
            grants: wire::runtime()?.grants().into_iter().map(str::to_owned).collect(),
            is_deployed: false,
            shown: Shown::default(),
        })
    }

    /// Stops the host.
    pub(super) async fn stop(self) {
        self.trigger.stop();
        let _ = tokio::time::timeout(ENDS_WITHIN, self.working).await;
        let _ = tokio::time::timeout(ENDS_WITHIN, self.store.close()).await;
    }

    /// Whether it ended by itself, as when its store was removed.
    pub(super) fn has_ended(&self) -> bool {
        self.working.is_finished()
    }

    /// Whether the log becomes these events by appending.
    pub(super) fn can_take(&self, events: &[NewEvent]) -> bool {
        events.starts_with(&self.events)
    }

    /// Appends the events that are not in the log yet.
    pub(super) async fn append(&mut self, events: Vec<NewEvent>) -> anyhow::Result<()> {
        for chunk in events[self.events.len().min(events.len())..].chunks(CHUNK) {
            self.store.append(chunk).await?;
        }
        self.events = events;
        Ok(())
    }

    /// Deploys a component, and waits until its read model is built and it has handled the whole log.
    pub(super) async fn deploy(
        &mut self,
        component: Vec<u8>,
        config: BTreeMap<String, String>,
    ) -> anyhow::Result<()> {
        let digest = Digest::of(&component);
        self.control.put_component(component).await.map_err(|error| control::rendered(error, &self.name))?;
        let removed =
            self.config.keys().filter(|key| !config.contains_key(*key)).map(|key| (key.clone(), None));
        let set = config.iter().map(|(key, value)| (key.clone(), Some(value.clone())));
        let settings = ProjectionConfig {
            on_failure: Some(OnFailure::DeadLetter),
            config: removed.chain(set).collect(),
            // As `kennel test` has it.
            grants: Some(self.grants.clone()),
            ..ProjectionConfig::default()
        };
        let deploy = Operation::Deploy {
            component: digest,
            mode: if self.is_deployed { Mode::Rebuild } else { Mode::Continue },
            promotion: Promotion::Auto,
            replica_set: None,
            settings,
            force: false,
        };
        let requester = Requester {
            actor: Some(wire::actor()),
            reason: Some("kennel dev".to_owned()),
            expected_deployment: None,
        };
        let change = self.control.carry_out(&self.name, deploy, requester).await?;
        (self.is_deployed, self.config) = (true, config);
        follow::follow(&self.control, &self.name, change).await?;
        self.wait().await
    }

    /// Waits until the projection has handled the whole log.
    async fn wait(&self) -> anyhow::Result<()> {
        loop {
            if self.has_ended() {
                return Err(
                    ExitKind::Store.error("the local host has ended; it starts again with the next change")
                );
            }
            let head = self.store.high_water_mark().await?.head;
            let progress = self.store.progress().await?;
            if progress.iter().all(|one| one.position() >= head) {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Shows the documents and failures; after the first time those that have changed.
    pub(super) async fn show(&mut self) -> anyhow::Result<()> {
        let now = self.look().await?;
        let mut lines = Vec::new();
        for ((collection, key), document) in &now.documents {
            let mark = match self.shown.documents.get(&(collection.clone(), key.clone())) {
                None => '+',
                Some(before) if before != document => '~',
                Some(_) => continue,
            };
            lines.push(format!("{mark} {}/{}  {}", escaped(collection), escaped(key), escaped(document)));
        }
        let gone = self.shown.documents.keys().filter(|path| !now.documents.contains_key(*path));
        lines.extend(gone.map(|(collection, key)| format!("- {}/{}", escaped(collection), escaped(key))));
        print_some(&lines)?;
        let failures: Vec<_> = now.failures.difference(&self.shown.failures).cloned().collect();
        print_some(&failures)?;
        let (documents, failed) = (now.documents.len(), now.failures.len());
        let same = if self.shown == now { ", as before" } else { "" };
        let least = if now.is_partial { "at least " } else { "" };
        output::line(format!(
            "{}: {} events, {least}{documents} documents, {failed} failed{same}",
            self.name,
            output::thousands(self.events.len() as u64)
        ))?;
        self.shown = now;
        Ok(())
    }

    async fn look(&self) -> anyhow::Result<Shown> {
        let deployment = wire::find_deployment(&self.store, &self.name).await?;
        let mut shown = Shown::default();
        for collection in self.store.collections(deployment.read_model).await? {
            let documents =
                self.store.scan(deployment.read_model, &collection, None, "", DOCUMENTS_MAX).await?;
            shown.is_partial |= documents.len() == DOCUMENTS_MAX;
            for found in documents {
                let path = (collection.to_string(), found.key);
                shown.documents.insert(path, found.stored.document.to_string());
            }
        }
        let letters = self.store.dead_letters(deployment.read_model, DOCUMENTS_MAX).await?;
        shown.is_partial |= letters.len() == DOCUMENTS_MAX;
        shown.failures = letters.into_iter().map(|letter| render(&letter.failure)).collect();
        Ok(shown)
    }
}

fn render(failure: &EventFailure) -> String {
    let EventFailure { position, event_type, aggregate_id, kind, message, .. } = failure;
    let (event_type, aggregate_id) = (escaped(event_type), escaped(aggregate_id));
    format!("! position {position}, {event_type} of {aggregate_id}: {kind}: {message}")
}

/// Prints some lines, and how many more there are.
fn print_some(lines: &[String]) -> anyhow::Result<()> {
    for line in lines.iter().take(SHOWN_MAX) {
        let mut shown: String = line.chars().take(DOCUMENT_CHARS_MAX).collect();
        if shown.len() < line.len() && !line.starts_with('!') {
            shown.push('…');
            output::line(shown)?;
        } else {
            output::line(line)?;
        }
    }
    match lines.len().saturating_sub(SHOWN_MAX) {
        0 => Ok(()),
        more => output::line(format!("and {more} more")),
    }
}
