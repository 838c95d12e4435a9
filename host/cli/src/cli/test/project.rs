//! Which component a project folder holds.

use std::path::{Path, PathBuf};

use crate::exit::ExitKind;
use crate::project::find::Project;

/// The component in a project folder: the one that `kennel build` leaves, else the one that is named like the folder, else
/// the only one.
pub(super) fn component(folder: &Path) -> anyhow::Result<PathBuf> {
    let cannot = |error: std::io::Error| {
        ExitKind::Input.error(format!("cannot read the folder {}: {error}", folder.display()))
    };
    let name = folder.canonicalize().map_err(cannot)?;
    let of_folder = name.file_name().map(|name| folder.join(format!("{}.wasm", name.display())));
    let of_project = Project::find(folder).ok().map(|project| folder.join(format!("{}.wasm", project.name)));
    if let Some(named) = of_project.into_iter().chain(of_folder).find(|named| named.is_file()) {
        return Ok(named);
    }
    let mut found = Vec::new();
    for entry in folder.read_dir().map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    let shown = match folder.as_os_str() == "." {
        true => "this folder".to_owned(),
        false => folder.display().to_string(),
    };
    match &found[..] {
        [one] => Ok(one.clone()),
        [] => Err(ExitKind::Input.error(format!(
            "there is no component in {shown}: `kennel build` makes one of a project, and `kennel test FILE.wasm` takes any"
        ))),
        several => {
            let names: Vec<_> = several.iter().filter_map(|path| path.file_name()?.to_str()).collect();
            Err(ExitKind::Input
                .error(format!("there are several components in {shown}: name one of them: {}", names.join(", "))))
        }
    }
}
