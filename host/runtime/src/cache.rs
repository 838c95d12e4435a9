//! Compiled code on disk, so that a restart need not compile again.
//!
//! Loading compiled code means running it, so an entry is used only if it and its folder belong to the user of this
//! process, or to root, and no other user may write to them (`trust`), and if it carries the checksum of its content:
//! a damaged or foreign entry is built anew. An entry is named by the component's digest and by everything that its
//! code depends on, so another version of this program or of wasmtime finds nothing rather than something wrong.
//!
//! Any number of processes may share a folder. Entries appear whole, by renaming; one that vanishes while it is
//! wanted is built anew. Using an entry makes it the newest, by its file's time of change, and `eviction` removes
//! the oldest.

mod eviction;
mod trust;

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use kennel_core::digest::Digest;
use kennel_core::text::mebibytes;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::entry;

/// A folder of compiled components.
#[derive(Debug)]
pub(crate) struct Cache {
    dir: PathBuf,
    bytes_max: u64,
    compatibility: String,
}

/// Entries that this process has begun to write, by which their temporary names differ.
static WRITES: AtomicU64 = AtomicU64::new(0);
/// Names that are tried for one entry.
const NAMES_TRIED_MAX: u32 = 10_000;

impl Cache {
    /// Opens the folder, or says why it cannot be used.
    pub(crate) fn open(dir: &Path, bytes_max: u64, engine: &Engine) -> io::Result<Self> {
        make_private(dir)?;
        if let Err(distrust) = trust::check(&fs::metadata(dir)?) {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, distrust));
        }
        Ok(Self { dir: dir.to_owned(), bytes_max, compatibility: entry::compatibility(engine) })
    }

    /// The compiled component, if there is a sound entry for it. Finding one counts as using it.
    pub(crate) fn load(&self, engine: &Engine, digest: Digest) -> Option<Component> {
        let path = self.path(digest);
        let mut file = File::open(&path).ok()?;
        if let Err(distrust) = trust::check(&file.metadata().ok()?) {
            tracing::warn!(path = %path.display(), %distrust, "a cache entry is not used: compiling again");
            return None;
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).ok()?;
        match entry::load(engine, &bytes) {
            Ok(component) => {
                // In a folder that may only be read, nothing is removed either.
                let _ = touch(&file);
                Some(component)
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a cache entry cannot be used: compiling again");
                None
            }
        }
    }

    /// Keeps the entry of a component, and removes what no longer fits beside it.
    pub(crate) fn store(&self, digest: Digest, entry: &[u8]) {
        let path = self.path(digest);
        if entry.len() as u64 > self.bytes_max {
            let (bytes, max) = (mebibytes(entry.len() as u64), mebibytes(self.bytes_max));
            tracing::warn!(%digest, "compiled code of {bytes} is not kept: the cache holds at most {max}");
            return;
        }
        // The folder may be emptied at any time.
        let written = self.write(&path, digest, entry).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => self.write(&path, digest, entry),
            _ => Err(error),
        });
        match written {
            Ok(()) => eviction::evict(&self.dir, self.bytes_max, &path),
            // The component runs all the same; only the next start is slower.
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "compiled code cannot be kept");
            }
        }
    }

    /// Readers see the whole entry or none.
    fn write(&self, path: &Path, digest: Digest, entry: &[u8]) -> io::Result<()> {
        let (temporary, mut file) = self.begin(digest)?;
        let mut write = || {
            file.write_all(entry)?;
            touch(&file)?;
            fs::rename(&temporary, path)
        };
        write().inspect_err(|_| drop(fs::remove_file(&temporary)))
    }

    /// A new file to which no other process writes and which no eviction removes. Processes in containers of their
    /// own may have the same number, so that a name may be taken: by one that is writing, or by one that died over it.
    fn begin(&self, digest: Digest) -> io::Result<(PathBuf, File)> {
        for _ in 0..NAMES_TRIED_MAX {
            let number = WRITES.fetch_add(1, Ordering::Relaxed);
            let path = self.dir.join(eviction::temporary(digest, std::process::id(), number));
            let file = match create_new(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                created => created?,
            };
            // Says that a process is still writing. Where there are no locks, a file that is left behind stays.
            let evicted = matches!(file.try_lock(), Err(TryLockError::WouldBlock));
            // An eviction may have been quicker, and another process may have the name by now.
            if !evicted && eviction::is_at(&file, &path)? {
                return Ok((path, file));
            }
        }
        let message =
            format!("{NAMES_TRIED_MAX} names for it are taken: remove the files .*.tmp that are old");
        Err(io::Error::new(io::ErrorKind::AlreadyExists, message))
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.dir.join(eviction::name(digest, &self.compatibility))
    }
}

/// Makes a file that was not there. Whatever the process's mask is, no other user may write to it.
#[cfg(unix)]
fn create_new(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options().write(true).create_new(true).mode(0o644).open(path)
}

#[cfg(not(unix))]
fn create_new(path: &Path) -> io::Result<File> {
    File::options().write(true).create_new(true).open(path)
}

/// Makes a file the newest. The system's own time of change is some milliseconds too coarse for an order.
#[expect(
    clippy::disallowed_methods,
    reason = "decides nothing but which compiled code is removed first, among the files of all processes"
)]
fn touch(file: &File) -> io::Result<()> {
    file.set_modified(SystemTime::now())
}

#[cfg(unix)]
fn make_private(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(not(unix))]
fn make_private(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}
