//! The files of a project, and which of them have changed. They are looked at rather than subscribed to, as `kennel watch`
//! does: that works on every file system, and a project has few files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::cli::watch::Stamp;

/// Folders that tools fill, at any depth. Those with a dot in front are left out as well, and `build` at the top.
const APART: [&str; 5] = ["node_modules", "target", "dist", "__pycache__", "zig-out"];
/// Files that tools write when they build, and prose.
const UNWATCHED: [&str; 4] = ["wasm", "md", "pyc", "lock"];

/// What has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Something that the component is built of.
    pub(super) sources: bool,
    /// Events, or expectations.
    pub(super) events: bool,
}

/// The files of a project as they looked last.
#[derive(Debug)]
pub(super) struct Sources {
    folder: PathBuf,
    /// As they were when the last change was reported.
    known: BTreeMap<PathBuf, Stamp>,
    /// As they were a moment ago.
    last: BTreeMap<PathBuf, Stamp>,
}

impl Sources {
    /// The files of a folder, as they are now.
    pub(super) fn of(folder: &Path) -> Self {
        let known = look(folder);
        Self { folder: folder.to_owned(), last: known.clone(), known }
    }

    /// Looks at the files. Once they differ from the known ones, and have looked the same twice, returns what has changed and
    /// its names.
    pub(super) fn changed(&mut self) -> Option<(Changes, String)> {
        let now = look(&self.folder);
        if now != self.last {
            self.last = now;
            return None;
        }
        if now == self.known {
            return None;
        }
        let paths = now.keys().chain(self.known.keys().filter(|path| !now.contains_key(*path)));
        let changed: Vec<&PathBuf> = paths.filter(|path| now.get(*path) != self.known.get(*path)).collect();
        let mut changes = Changes::default();
        for path in &changed {
            let is_event = [super::EVENTS, super::EXPECTED].iter().any(|name| **path == Path::new(name));
            if is_event { changes.events = true } else { changes.sources = true }
        }
        let mut names: Vec<_> = changed.iter().take(3).map(|path| path.display().to_string()).collect();
        if changed.len() > names.len() {
            names.push(format!("{} more", changed.len() - names.len()));
        }
        let names = names.join(", ");
        self.known = now;
        Some((changes, names))
    }
}

/// The files below a folder that are watched, by their path from there.
fn look(folder: &Path) -> BTreeMap<PathBuf, Stamp> {
    let mut found = BTreeMap::new();
    look_into(folder, Path::new(""), &mut found);
    found
}

fn look_into(folder: &Path, below: &Path, found: &mut BTreeMap<PathBuf, Stamp>) {
    // One that has just vanished has nothing in it.
    for entry in std::fs::read_dir(folder.join(below)).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let (path, name) = (below.join(&name), name.to_string_lossy().into_owned());
        let Ok(metadata) = std::fs::metadata(entry.path()) else { continue };
        if name.starts_with('.') {
            continue;
        }
        if metadata.is_dir() {
            let is_made = APART.contains(&&*name) || path == Path::new("build");
            let is_environment = entry.path().join("pyvenv.cfg").is_file();
            // A link to a folder may lead around in a circle.
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            if !is_made && !is_environment && !is_link {
                look_into(folder, &path, found);
            }
        } else if !is_unwatched(&path) {
            found.insert(path, Stamp::from(&metadata));
        }
    }
}

fn is_unwatched(path: &Path) -> bool {
    path.extension().is_some_and(|extension| UNWATCHED.iter().any(|one| extension == *one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_reported_once_the_files_have_settled() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let file = folder.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        write("src/main.go", "1");
        write("events.jsonl", "");
        let mut sources = Sources::of(folder.path());
        assert_eq!(sources.changed(), None);
        for left in
            ["shop.wasm", "README.md", "node_modules/x.js", ".kennel/dev.db", "sdk/dist/x.js", "Cargo.lock"]
        {
            write(left, "x");
        }
        assert_eq!((sources.changed(), sources.changed()), (None, None), "tools leave these");
        write("src/main.go", "12");
        assert_eq!(sources.changed(), None, "it may still be being written");
        write("src/main.go", "123");
        assert_eq!(sources.changed(), None);
        let changes = Changes { sources: true, events: false };
        assert_eq!(sources.changed(), Some((changes, "src/main.go".to_owned())));
        assert_eq!(sources.changed(), None);
        write("events.jsonl", "x");
        std::fs::remove_file(folder.path().join("src/main.go")).unwrap();
        assert_eq!(sources.changed(), None);
        let changes = Changes { sources: true, events: true };
        assert_eq!(sources.changed(), Some((changes, "events.jsonl, src/main.go".to_owned())));
    }

    #[test]
    fn many_changed_files_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let mut sources = Sources::of(folder.path());
        for name in ["a.c", "b.c", "c.c", "d.c", "e.c"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(sources.changed(), None);
        assert_eq!(sources.changed().unwrap().1, "a.c, b.c, c.c, 2 more");
    }
}
