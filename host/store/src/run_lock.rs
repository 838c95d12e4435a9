//! One running process per SQLite file, whichever of its names is used. The locks are the operating system's, so they go
//! away with their process however that ends.
//!
//! There are two. One is on a file beside the store, where symbolic links lead as well; the number inside only serves the
//! message. The other is on the database itself, for those who come by a hard link. It is of the kind that SQLite's own
//! locks have nothing to do with; but closing any descriptor of a file drops all those that SQLite has on it in this
//! process, so the one that bears the lock stays open for good, and is used again.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held by the process that runs a store's projections.
#[derive(Debug)]
pub struct RunLock {
    /// `None` where any number of processes may run.
    file: Option<File>,
    /// The lock on the database itself. Only its end matters.
    _database: Option<OnDatabase>,
}

impl RunLock {
    /// The lock of a store that any number of processes may run.
    pub(crate) const fn unneeded() -> Self {
        Self { file: None, _database: None }
    }

    /// Whether no other process can be running the store.
    pub(crate) const fn is_exclusive(&self) -> bool {
        self.file.is_some()
    }
}

/// The run lock could not be had.
#[derive(Debug, thiserror::Error)]
pub enum RunLockError {
    #[error(
        "{store} is being run by {holder}: stop that process first, or use PostgreSQL, which many processes can share"
    )]
    Held { store: String, holder: String },
    #[error("the lock file {path} cannot be used: check the permissions of its directory")]
    Unusable {
        path: String,
        #[source]
        source: io::Error,
    },
}

/// Takes the lock of the store at `database`, a path without links; `shown` is how its user calls it.
pub(crate) fn acquire(database: &Path, shown: &Path) -> Result<RunLock, RunLockError> {
    let path = lock_path(database);
    let unusable = |source| RunLockError::Unusable { path: path.display().to_string(), source };
    let mut file = open(&path, database).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // The holder may not have written its number yet.
            let _ = file.read_to_string(&mut holder);
            return Err(held(shown, holder.trim().parse().ok()));
        }
        Err(TryLockError::Error(source)) => return Err(unusable(source)),
    }
    let Some(database) = OnDatabase::acquire(database) else { return Err(held(shown, holder_of(database))) };
    let write =
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    write.map_err(unusable)?;
    Ok(RunLock { file: Some(file), _database: Some(database) })
}

/// Makes sure that no process runs the store under another name. Its own name is left to [`acquire`].
pub(crate) fn check_other_names(database: &Path, shown: &Path) -> Result<(), RunLockError> {
    match with_lock(database, |file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))) {
        Some(true) => Err(held(shown, holder_of(database))),
        _ => Ok(()),
    }
}

fn held(shown: &Path, pid: Option<u32>) -> RunLockError {
    let holder = pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
    RunLockError::Held { store: shown.display().to_string(), holder }
}

/// Opens the lock file. A new one gets the permissions of the store: a user of the store has to read this.
fn open(path: &Path, database: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    let mode = fs::metadata(database).map_or(0o600, |found| found.mode() & 0o666);
    match options.clone().create_new(true).mode(mode).open(path) {
        Ok(file) => file.set_permissions(Permissions::from_mode(mode)).map(|()| file),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => options.open(path),
        Err(error) => Err(error),
    }
}

fn lock_path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    path.into()
}

/// The databases of this process that bear a lock, or have borne one, by device and inode.
static DATABASES: Mutex<BTreeMap<(u64, u64), Descriptor>> = Mutex::new(BTreeMap::new());

#[derive(Debug)]
struct Descriptor {
    file: File,
    is_locked: bool,
}

/// The lock on a database.
#[derive(Debug)]
struct OnDatabase {
    /// `None` where there are no such locks.
    of: Option<(u64, u64)>,
}

impl OnDatabase {
    /// `None` if another process has it.
    fn acquire(database: &Path) -> Option<Self> {
        let mut of = None;
        let is_held = with_descriptor(database, |key, descriptor| {
            match descriptor.file.try_lock() {
                _ if descriptor.is_locked => return true,
                Ok(()) => (descriptor.is_locked, of) = (true, Some(key)),
                Err(TryLockError::WouldBlock) => return true,
                Err(TryLockError::Error(_)) => {}
            }
            false
        });
        (is_held != Some(true)).then_some(Self { of })
    }
}

impl Drop for OnDatabase {
    fn drop(&mut self) {
        let mut known = databases();
        if let Some(descriptor) = self.of.and_then(|key| known.get_mut(&key)) {
            descriptor.is_locked = false;
            // Where it cannot be released, it ends with the process.
            let _ = descriptor.file.unlock();
        }
    }
}

/// Each change is a single one: no thread can have left it half done.
fn databases() -> MutexGuard<'static, BTreeMap<(u64, u64), Descriptor>> {
    DATABASES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks something of the lock on a database, which is free again afterwards unless this process had it before.
fn with_lock<T>(database: &Path, ask: impl FnOnce(&File) -> T) -> Option<T> {
    with_descriptor(database, |_, descriptor| {
        (!descriptor.is_locked).then(|| {
            let answer = ask(&descriptor.file);
            let _ = descriptor.file.unlock();
            answer
        })
    })
    .flatten()
}

/// Does something with the descriptor of a database; nothing where locks of files do not do what this needs.
fn with_descriptor<T>(database: &Path, act: impl FnOnce((u64, u64), &mut Descriptor) -> T) -> Option<T> {
    let found = fs::metadata(database).ok()?;
    let mut known = databases();
    if !known.contains_key(&(found.dev(), found.ino())) {
        let file = OpenOptions::new().read(true).write(true).open(database).ok()?;
        let opened = file.metadata().ok()?;
        // Kept open, whatever comes next.
        known.insert((opened.dev(), opened.ino()), Descriptor { file, is_locked: false });
    }
    let key = (found.dev(), found.ino());
    known.get_mut(&key).filter(|descriptor| is_apart(&descriptor.file)).map(|descriptor| act(key, descriptor))
}

/// Whether locks of the whole file have nothing to do with those of its bytes, which SQLite takes: on Linux, except for
/// files on other machines.
#[cfg(target_os = "linux")]
fn is_apart(file: &File) -> bool {
    /// NFS, and SMB in its versions.
    const REMOTE: [u32; 4] = [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42];
    rustix::fs::fstatfs(file).is_ok_and(|found| !REMOTE.contains(&(found.f_type as u32)))
}

#[cfg(not(target_os = "linux"))]
fn is_apart(_: &File) -> bool {
    false
}

/// The process that has the lock on a database, where the system reports it.
fn holder_of(database: &Path) -> Option<u32> {
    let inode = fs::metadata(database).ok()?.ino().to_string();
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let holder = |line: &str| {
        // `1: FLOCK  ADVISORY  WRITE 1234 fd:01:5678 0 EOF`
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, "WRITE", pid, file, ..] = fields[..] else { return None };
        (file.rsplit(':').next() == Some(&inode)).then(|| pid.parse().ok()).flatten()
    };
    locks.lines().find_map(holder)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Takes a lock that was given back. A process that another test is starting may have it for a moment longer.
    async fn acquire_soon(store: &Path) -> RunLock {
        for _ in 0..1000 {
            match acquire(store, store) {
                Err(RunLockError::Held { .. }) => tokio::time::sleep(Duration::from_millis(10)).await,
                acquired => return acquired.unwrap(),
            }
        }
        panic!("{} stays locked", store.display());
    }

    #[tokio::test]
    async fn the_second_is_rejected_with_the_first_ones_number_and_the_lock_ends_with_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("kennel.db");
        fs::write(&store, "").unwrap();
        let first = acquire(&store, &store).unwrap();
        let rejected = acquire(&store, &store).unwrap_err().to_string();
        assert!(rejected.contains(&format!("process {}", std::process::id())), "{rejected}");
        drop(first);
        drop(acquire_soon(&store).await);
        // Not even by another name.
        let other = folder.path().join("other.db");
        fs::hard_link(&store, &other).unwrap();
        let first = acquire_soon(&other).await;
        let rejected = acquire(&store, &store).unwrap_err().to_string();
        assert!(rejected.contains("is being run by"), "{rejected}");
        drop(first);
        drop(acquire_soon(&store).await);
    }
}
