//! The files of a SQLite store: made for their owner alone, and noticed when one of them is removed or replaced while
//! this process has it open. What they hold is none of its business.
//!
//! A file that is removed or replaced lives on for those who have it open, so that SQLite notices nothing: commits
//! succeed, and are gone with the process. Worse, a new file of the same name finds the write-ahead log of the old one
//! beside itself. So the files are compared with those that were opened, before every write and twice a second.
//!
//! No file is opened here that SQLite has open: to close it would drop SQLite's locks, which belong to the process.

use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::opening::StoreLost;

/// Only the owner may read a new store.
const PRIVATE: u32 = 0o600;
/// Symbolic links that are followed to a file that is to be made.
const LINKS_MAX: u32 = 16;

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

/// The database, its write-ahead log, and the index of that.
#[derive(Debug)]
pub(crate) struct Files {
    paths: [PathBuf; 3],
    /// As they were opened, for as far as they were there.
    opened: OnceLock<[Option<Identity>; 3]>,
    /// For good: a file that comes back does not bring back what was committed meanwhile.
    lost: OnceLock<StoreLost>,
}

impl Files {
    /// Of the database at this path, which leads there without any link.
    pub(crate) fn at(database: &Path) -> Self {
        Self {
            paths: ["", "-wal", "-shm"].map(|suffix| beside(database, suffix)),
            opened: OnceLock::new(),
            lost: OnceLock::new(),
        }
    }

    /// Remembers the files as they are now, all of them open.
    pub(crate) fn remember(&self) {
        let _ =
            self.opened.set(self.paths.each_ref().map(|path| fs::metadata(path).ok().as_ref().map(identity)));
    }

    /// Makes sure that they are the ones that were opened. Returns the size of the write-ahead log, in bytes.
    pub(crate) fn check(&self) -> Result<u64, StoreLost> {
        if let Some(lost) = self.lost.get() {
            return Err(lost.clone());
        }
        let opened = self.opened.get().copied().unwrap_or_default();
        let mut log_bytes = 0;
        for (index, (path, opened)) in self.paths.iter().zip(opened).enumerate() {
            let is_removed = match fs::metadata(path) {
                Ok(found) => {
                    if index == 1 {
                        log_bytes = found.len();
                    }
                    if opened.is_none_or(|opened| opened == identity(&found)) {
                        continue;
                    }
                    false
                }
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
                {
                    if opened.is_none() {
                        continue;
                    }
                    true
                }
                // A file system that does not answer says nothing of its files.
                Err(_) => continue,
            };
            return Err(self.lost.get_or_init(|| self.lost_as(index, is_removed)).clone());
        }
        Ok(log_bytes)
    }

    fn lost_as(&self, index: usize, is_removed: bool) -> StoreLost {
        let [database, log, shared] = self.paths.each_ref().map(|path| path.display());
        let what = match index {
            0 => database.to_string(),
            1 => format!("{log}, the write-ahead log of {database},"),
            _ => format!("{shared}, which belongs to {database},"),
        };
        let happened = if is_removed { "removed" } else { "replaced by another file" };
        let next = match (index, is_removed) {
            (0, true) => format!(
                "put the file back, or restore a backup, and remove {log} and {shared} if they are left of the old file"
            ),
            (0, false) => format!("remove {log} and {shared} if they are left of the old file"),
            _ => "check the database with `PRAGMA integrity_check`".to_owned(),
        };
        StoreLost {
            message: format!(
                "{what} was {happened} while this process had it open: it writes nothing any more and ends; files of a \
                 store may be removed or replaced only while no process has it open; {next}, then start Kennel again"
            ),
        }
    }
}

fn identity(file: &fs::Metadata) -> Identity {
    Identity { device: file.dev(), inode: file.ino() }
}

/// The path of a file that SQLite keeps beside a database.
pub(crate) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Makes the file unless there is one, for its owner alone, whatever the process's mask is. SQLite makes those beside it
/// with the same permissions.
pub(crate) fn make(path: &Path) -> io::Result<()> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        match make_new(&path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Err(_) => {}
        }
        // There is a file, or a link that leads to none yet.
        if path.exists() {
            return Ok(());
        }
        let target = fs::read_link(&path)?;
        path = path.parent().map_or_else(|| target.clone(), |folder| folder.join(&target));
    }
    Err(io::Error::other("too many symbolic links"))
}

/// Makes the file; one that exists is an error.
pub(crate) fn make_new(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path)?;
    file.set_permissions(Permissions::from_mode(PRIVATE))
}

/// Whether this process may read and write the file.
pub(crate) fn may_use(path: &Path) -> (io::Result<()>, io::Result<()>) {
    use rustix::fs::{Access, access};
    (access(path, Access::READ_OK).map_err(Into::into), access(path, Access::WRITE_OK).map_err(Into::into))
}

/// A name beside `database` for the same file whose write-ahead log is in use. SQLite names the log after the database:
/// programs that open one file under several names have several logs, and damage it.
pub(crate) fn name_in_use(database: &Path) -> Option<PathBuf> {
    let file = fs::metadata(database).ok().filter(|file| file.nlink() > 1)?;
    if beside(database, "-wal").exists() {
        return None;
    }
    let others = fs::read_dir(database.parent()?).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    let mut same = others.filter(|other| {
        other != database
            && fs::symlink_metadata(other)
                .is_ok_and(|found| found.is_file() && identity(&found) == identity(&file))
    });
    same.find(|other| beside(other, "-wal").exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, PathBuf, Files) {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        for suffix in ["", "-wal", "-shm"] {
            make(&beside(&database, suffix)).unwrap();
        }
        let files = Files::at(&database);
        files.remember();
        (folder, database, files)
    }

    #[test]
    fn a_file_that_is_gone_or_another_is_noticed_for_good() {
        for suffix in ["", "-wal", "-shm"] {
            let (_folder, database, files) = store();
            assert_eq!(files.check(), Ok(0));
            let path = beside(&database, suffix);
            let kept = beside(&database, ".kept");
            fs::rename(&path, &kept).unwrap();
            let lost = files.check().unwrap_err();
            assert!(lost.to_string().contains("was removed while"), "{lost}");
            fs::rename(&kept, &path).unwrap();
            assert_eq!(files.check(), Err(lost));

            let (_folder, database, files) = store();
            let (path, other) = (beside(&database, suffix), beside(&database, ".other"));
            make(&other).unwrap();
            fs::rename(&other, &path).unwrap();
            let lost = files.check().unwrap_err();
            assert!(lost.to_string().contains("was replaced by another file"), "{lost}");
        }
    }

    #[test]
    fn writing_to_the_files_changes_nothing() {
        let (_folder, database, files) = store();
        fs::write(beside(&database, "-wal"), [0; 100]).unwrap();
        assert_eq!(files.check(), Ok(100));
    }

    #[test]
    fn a_new_file_is_its_owners_also_behind_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (link, file) = (folder.path().join("link"), folder.path().join("file"));
        std::os::unix::fs::symlink("file", &link).unwrap();
        make(&link).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, PRIVATE);
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        make(&link).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o640, "one that exists keeps its own");
    }

    #[test]
    fn a_name_whose_log_is_in_use_is_found() {
        let (_folder, database, _files) = store();
        let other = database.with_file_name("b.db");
        assert_eq!(name_in_use(&database), None);
        fs::hard_link(&database, &other).unwrap();
        assert_eq!(name_in_use(&database), None);
        assert_eq!(name_in_use(&other), Some(database));
    }
}
