//! Keeps a folder of compiled code within its bound. It knows its own files by their names and touches no others,
//! and it tolerates files that vanish and other processes that evict at the same time.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use kennel_core::digest::Digest;

/// The name of an entry.
pub(super) fn name(digest: Digest, compatibility: &str) -> String {
    format!("{digest}-{compatibility}.cwasm")
}

/// The name of an entry that is being written.
pub(super) fn temporary(digest: Digest, process: u32, number: u64) -> String {
    format!(".{digest}.{process}.{number}.tmp")
}

/// What a file is by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EntryKind {
    Entry,
    Temporary,
}

/// A file in the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

/// Removes what processes that died have left behind, then the entries that were used least recently, whichever
/// program they are for, until the rest fits. `newest` stays in any case.
pub(super) fn evict(dir: &Path, bytes_max: u64, newest: &Path) {
    match try_evict(dir, bytes_max, newest) {
        Ok(()) => {}
        Err(error) => tracing::warn!(dir = %dir.display(), %error, "old compiled code cannot be removed"),
    }
}

fn try_evict(dir: &Path, bytes_max: u64, newest: &Path) -> io::Result<()> {
    let (mut entries, mut others_bytes) = (Vec::new(), 0);
    for file in fs::read_dir(dir)? {
        let Some((kind, found)) = look(&file?)? else { continue };
        match kind {
            EntryKind::Temporary if remove_left_behind(&found.path)? => {}
            EntryKind::Temporary => others_bytes += found.bytes,
            EntryKind::Entry if found.path == newest => others_bytes += found.bytes,
            EntryKind::Entry => entries.push(found),
        }
    }
    victims(entries, bytes_max.saturating_sub(others_bytes)).iter().try_for_each(|found| {
        tracing::debug!(path = %found.path.display(), bytes = found.bytes, "removing old compiled code");
        remove(&found.path)
    })
}

/// The entries that have to go so that the others have at most so many bytes: those used least recently.
fn victims(mut entries: Vec<Found>, bytes_max: u64) -> Vec<Found> {
    entries.sort_by(|a, b| (b.used, &b.path).cmp(&(a.used, &a.path)));
    let mut bytes = 0_u64;
    let fit = entries.iter().take_while(|found| {
        bytes = bytes.saturating_add(found.bytes);
        bytes <= bytes_max
    });
    let fit = fit.count();
    entries.split_off(fit)
}

/// What a file is, if it is one of ours and still there.
fn look(file: &fs::DirEntry) -> io::Result<Option<(EntryKind, Found)>> {
    let Some(kind) = file.file_name().to_str().and_then(kind) else { return Ok(None) };
    // Of a link itself, not of what it leads to.
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => {
            let found = Found { path: file.path(), bytes: metadata.len(), used: metadata.modified()? };
            Ok(Some((kind, found)))
        }
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn kind(name: &str) -> Option<EntryKind> {
    let hex = |text: &str, digits: usize| {
        text.len() == digits
            && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((digest, compatibility)) = name.strip_suffix(".cwasm").and_then(|stem| stem.split_once('-')) {
        return (hex(digest, 64) && hex(compatibility, 16)).then_some(EntryKind::Entry);
    }
    let stem = name.strip_prefix('.')?.strip_suffix(".tmp")?;
    let mut parts = stem.split('.');
    let (digest, process, count) = (parts.next()?, parts.next()?, parts.next()?);
    let ours = hex(digest, 64) && number(process) && number(count) && parts.next().is_none();
    ours.then_some(EntryKind::Temporary)
}

/// Removes a file that no process writes any longer: a writer holds its lock, also from within another container.
/// `false` if there is a writer.
fn remove_left_behind(path: &Path) -> io::Result<bool> {
    let Ok(file) = File::open(path) else { return Ok(false) };
    match file.try_lock() {
        // The lock is held until the file is gone: a process that has just begun it learns of it in that way. The
        // name may belong to another file by now, whose lock this is not.
        Ok(()) => {
            if is_at(&file, path)? {
                remove(path)?;
            }
            Ok(true)
        }
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => Ok(false),
    }
}

/// Whether a file that was opened there is still to be found at this path.
#[cfg(unix)]
pub(super) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let file = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(found) => Ok((found.dev(), found.ino()) == (file.dev(), file.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(not(unix))]
pub(super) fn is_at(_: &File, path: &Path) -> io::Result<bool> {
    path.try_exists()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn found(name: &str, bytes: u64, used: u64) -> Found {
        Found { path: name.into(), bytes, used: SystemTime::UNIX_EPOCH + Duration::from_secs(used) }
    }

    #[test]
    fn the_least_recently_used_go_until_the_rest_fits() {
        let entries = || vec![found("b", 30, 2), found("d", 10, 4), found("a", 50, 1), found("c", 20, 3)];
        let names = |bytes_max| -> Vec<String> {
            let victims = victims(entries(), bytes_max);
            victims.into_iter().map(|victim| victim.path.display().to_string()).collect()
        };
        assert_eq!(names(110), [""; 0]);
        assert_eq!(names(109), ["a"]);
        assert_eq!(names(60), ["a"]);
        assert_eq!(names(59), ["b", "a"]);
        assert_eq!(names(10), ["c", "b", "a"]);
        // An entry older than one that does not fit goes too, even if it is small enough: anything else would be
        // an order that cannot be explained.
        assert_eq!(names(9), ["d", "c", "b", "a"]);
    }

    #[test]
    fn its_own_names_are_distinguished_from_others() {
        let digest = Digest::of(b"a component");
        assert_eq!(kind(&name(digest, "0123456789abcdef")), Some(EntryKind::Entry));
        assert_eq!(kind(&temporary(digest, 4711, 0)), Some(EntryKind::Temporary));
        let entry = name(digest, "0123456789abcdef");
        for foreign in [
            "",
            ".cwasm",
            "notes.txt",
            "module.cwasm",
            &entry[1..],
            &entry.to_uppercase(),
            &format!("{entry}.bak"),
            &format!("{digest}.cwasm"),
            &format!("{digest}-0123456789abcdeg.cwasm"),
            &format!(".{digest}.tmp"),
            &format!(".{digest}.1.tmp"),
            &format!(".{digest}.1.x.tmp"),
            &format!(".{digest}.1.2.3.tmp"),
            &format!("{digest}.1.2.tmp"),
        ] {
            assert_eq!(kind(foreign), None, "{foreign}");
        }
    }
}
