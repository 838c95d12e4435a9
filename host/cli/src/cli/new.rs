//! `kennel new`: makes the project of a projection.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::output;
use crate::exit::ExitKind;
use crate::project::language::Language;
use crate::project::name::Name;
use crate::project::template::{self, NewFile};

const EXAMPLES: &str = "\
Examples:
  kennel new order-summary --lang typescript
  kennel new projections/loyalty --lang go

The project has a handler, its unit test, sample events with the documents that they are to give, a README, and in the \
folder `sdk` a copy of the SDK of this version. Nothing is fetched.";

/// Makes the project of a projection, ready to be tested, built and deployed.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct New {
    /// The name of the projection, or the path of a new folder with that name
    #[arg(value_name = "NAME")]
    path: PathBuf,
    /// The language to write it in
    #[arg(long = "lang", value_name = "LANGUAGE")]
    language: Language,
    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

/// The outcome, as JSON.
#[derive(Serialize)]
struct Report<'a> {
    folder: &'a Path,
    name: &'a str,
    language: Language,
    files: usize,
    next: &'a [String],
}

impl New {
    pub(super) fn execute(&self) -> anyhow::Result<ExitCode> {
        // `.` is the folder that it stands for.
        let path = self.path.canonicalize().unwrap_or_else(|_| self.path.clone());
        let given = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let name: Name = given.parse().map_err(|error| ExitKind::Input.of(error))?;
        let files = template::files(self.language, &name);
        write(&path, &files)?;
        let next = [
            format!("cd {}", quoted(&self.path)),
            "kennel build && kennel test".to_owned(),
            "kennel dev".to_owned(),
        ];
        if self.json {
            let (folder, name, files) = (&*path, name.as_str(), files.len());
            output::json(&Report { folder, name, language: self.language, files, next: &next })?;
        } else {
            let [folder, build, dev] = &next;
            output::line(format!("{} is the project of a projection in {}", path.display(), self.language))?;
            output::note(format!(
                "next:\n  {folder}\n  {build:<28} builds the component, and compares what it does with expected.json\n  \
                 {dev:<28} does that at each change, and runs it on a local host"
            ));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Writes the files into a folder that has none. A folder that is made for them appears at once and whole.
fn write(folder: &Path, files: &[NewFile]) -> anyhow::Result<()> {
    let cannot =
        |error: io::Error| ExitKind::Input.error(format!("cannot make {}: {error}", folder.display()));
    match fs::read_dir(folder) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                return Err(ExitKind::Conflict.error(format!(
                    "{} has files in it: name a new folder, or empty that one",
                    folder.display()
                )));
            }
            return write_all(folder, files).map_err(cannot);
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(
                ExitKind::Conflict.error(format!("{} is a file: name a new folder", folder.display()))
            );
        }
        Err(error) => return Err(cannot(error)),
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(cannot)?;
    let made = tempfile::Builder::new().prefix(".kennel-new-").tempdir_in(parent).map_err(cannot)?;
    let project = made.path().join("project");
    fs::create_dir(&project).map_err(cannot)?;
    write_all(&project, files).map_err(cannot)?;
    fs::rename(&project, folder).map_err(cannot)
}

fn write_all(folder: &Path, files: &[NewFile]) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    for file in files {
        let path = folder.join(&file.path);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(&path, &file.content)?;
        if file.is_script {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        }
    }
    Ok(())
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./~+@".contains(c));
    if is_plain { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
