//! A disk of a few megabytes that can be filled and freed again, and a stand-in where this machine does not let a test
//! mount one: files that may not grow.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A small file system in memory. It is unmounted when this is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    folder: TempDir,
    sudo: bool,
}

/// Runs a program quietly; whether it succeeded.
fn runs(sudo: bool, program: &str, arguments: &[&str]) -> bool {
    let mut command = if sudo { Command::new("sudo") } else { Command::new(program) };
    if sudo {
        command.args(["-n", program]);
    }
    let status = command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

impl SmallDisk {
    /// A disk of so many mebibytes; `None` where this user may not mount any.
    ///
    /// # Panics
    ///
    /// When there is no folder to mount it on.
    #[must_use]
    pub fn mount(mebibytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let options = format!("size={mebibytes}m,mode=1777");
        let at = folder.path().to_str().expect("a UTF-8 path").to_owned();
        let sudo = [false, true]
            .into_iter()
            .find(|sudo| runs(*sudo, "mount", &["-t", "tmpfs", "-o", &options, "kennel-test", &at]))?;
        Some(Self { folder, sudo })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }

    /// Leaves no room on it.
    ///
    /// # Panics
    ///
    /// When it cannot be written to.
    pub fn fill(&self) {
        let mut filler = File::create(self.filler()).expect("the disk can be written to");
        // Down to the last page: each write takes the rest.
        for size in [1 << 20, 1 << 12, 1] {
            while filler.write_all(&vec![0; size]).is_ok() {}
        }
    }

    /// Makes room again.
    ///
    /// # Panics
    ///
    /// When it had not been filled.
    pub fn free(&self) {
        fs::remove_file(self.filler()).expect("the disk has been filled");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let at = self.path().to_str().unwrap_or_default().to_owned();
        // Processes that still use it keep it until they end.
        runs(self.sudo, "umount", &["--lazy", &at]);
    }
}

/// Sets how large the files of a process may become, in bytes.
///
/// # Panics
///
/// When `prlimit` is missing or may not do that.
pub fn limit_files(pid: u32, bytes: Option<u64>) {
    let soft = bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
    let set = runs(false, "prlimit", &["--pid", &pid.to_string(), &format!("--fsize={soft}:unlimited")]);
    assert!(set, "prlimit cannot limit the files of {pid}: it comes with util-linux");
}

/// The command, such that a file that may not grow is an error for it, and not its end.
#[must_use]
pub fn takes_limits(command: &Command) -> Command {
    let mut shell = Command::new("bash");
    shell
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(command.get_program())
        .args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        shell.current_dir(folder);
    }
    for (variable, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(variable, value),
            None => shell.env_remove(variable),
        };
    }
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    shell
}
