//! The repository's files, as the rules see them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Every file of the repository by its path from the root. Binary files are there with empty text.
pub(crate) struct House(pub(crate) BTreeMap<String, String>);

impl House {
    pub(crate) fn read(root: &Path) -> Self {
        let mut files = BTreeMap::new();
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(root.join(&folder)).expect("a readable folder") {
                let entry = entry.expect("a readable entry");
                let name = entry.file_name();
                let path = folder.join(&name);
                if [".git", "target", "node_modules"].iter().any(|skipped| *skipped == name) {
                    continue;
                }
                if entry.file_type().expect("a type").is_dir() {
                    folders.push(path);
                } else {
                    let text = fs::read_to_string(entry.path()).unwrap_or_default();
                    files.insert(path.to_string_lossy().into_owned(), text);
                }
            }
        }
        Self(files)
    }

    pub(crate) fn under(&self, folder: &str) -> impl Iterator<Item = (&str, &str)> {
        let files = self.0.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        files.filter(move |(path, _)| path.starts_with(folder))
    }

    pub(crate) fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.under("").filter(|(path, _)| has_extension(path, &["rs"]))
    }

    /// Whether a file or a folder is there.
    pub(crate) fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.0.contains_key(path) || self.under(&format!("{path}/")).next().is_some()
    }
}

pub(crate) fn has_extension(path: &str, extensions: &[&str]) -> bool {
    path.rsplit_once('.').is_some_and(|(_, extension)| extensions.contains(&extension))
}

pub(crate) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines())
}
