//! One running process per SQLite file. The lock is the operating system's, on a file beside the store,
//! so it goes away with its process however that ends; the number inside only serves the message.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

/// Held by the process that runs a store's projections.
#[derive(Debug)]
pub struct RunLock {
    /// `None` where any number of processes may run.
    file: Option<File>,
}

impl RunLock {
    /// The lock of a store that any number of processes may run.
    pub(crate) const fn unneeded() -> Self {
        Self { file: None }
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

/// Takes the lock of the store at `store`.
pub(crate) fn acquire(store: &Path) -> Result<RunLock, RunLockError> {
    let path = lock_path(store);
    let unusable = |source| RunLockError::Unusable { path: path.display().to_string(), source };
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = open.map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // The holder may not have written its number yet.
            let _ = file.read_to_string(&mut holder);
            let holder = match holder.trim() {
                "" => "another process".to_owned(),
                pid => format!("process {pid}"),
            };
            return Err(RunLockError::Held { store: store.display().to_string(), holder });
        }
        Err(TryLockError::Error(source)) => return Err(unusable(source)),
    }
    let write =
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    write.map_err(unusable)?;
    Ok(RunLock { file: Some(file) })
}

fn lock_path(store: &Path) -> PathBuf {
    let mut path = store.as_os_str().to_owned();
    path.push(".lock");
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_refused_with_the_first_ones_number_and_the_lock_ends_with_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("kennel.db");
        let first = acquire(&store).unwrap();
        let refused = acquire(&store).unwrap_err().to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        drop(first);
        acquire(&store).unwrap();
    }
}
