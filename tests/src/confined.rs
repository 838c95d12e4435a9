//! A process that has only so much memory: in a control group of its own where one can be made, else under a limit of
//! the process. It never goes without.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::binary::{Kennel, Running};

/// How a process is confined.
#[derive(Debug)]
pub enum Confinement {
    /// By a control group in this folder, with the file that says how often something in it was killed for memory.
    Group { folder: PathBuf, killed: PathBuf },
    /// By a limit of writable memory, which every process has of its own.
    Limit,
}

/// A process that is confined.
#[derive(Debug)]
pub struct Confined {
    pub running: Running,
    confinement: Confinement,
}

impl Confined {
    /// Starts a command with at most so many bytes of memory, its log in the file `host.log`.
    #[must_use]
    pub fn start(kennel: &Kennel, arguments: &[&str], bytes: u64) -> Self {
        let confinement = group(bytes).unwrap_or(Confinement::Limit);
        let confine = match &confinement {
            Confinement::Group { folder, .. } => {
                format!("echo $$ > '{}'", folder.join("cgroup.procs").display())
            }
            Confinement::Limit => format!("ulimit -d {}", bytes / 1024),
        };
        let plain = kennel.command(arguments);
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("{confine} && exec \"$0\" \"$@\"")).arg(plain.get_program());
        shell.args(plain.get_args()).current_dir(kennel.folder());
        for (variable, value) in plain.get_envs() {
            match value {
                Some(value) => shell.env(variable, value),
                None => shell.env_remove(variable),
            };
        }
        let log = fs::File::create(kennel.folder().join("host.log")).expect("a file for the log");
        let spawned = shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        Self { running: spawned.expect("a shell starts").into(), confinement }
    }

    /// The most memory that the process itself has had at once, in bytes.
    #[must_use]
    pub fn peak(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.running.pid()));
        let status = status.expect("the process lives");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says it");
        let peak = peak.trim().trim_end_matches("kB").trim().parse::<u64>();
        peak.expect("a number of kilobytes") * 1024
    }

    /// How often the system has ended a process in it because it had too much memory.
    #[must_use]
    pub fn killed(&self) -> u64 {
        let Confinement::Group { killed, .. } = &self.confinement else { return 0 };
        let events = fs::read_to_string(killed).expect("the group is there");
        let count = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.and_then(|count| count.trim().parse().ok()).expect("the group counts them")
    }
}

impl Drop for Confined {
    fn drop(&mut self) {
        if let Confinement::Group { folder, .. } = &self.confinement {
            // The processes in it belong to the group above from now on; an error leaves an empty folder behind.
            let parent = folder.parent().unwrap_or(Path::new("/")).join("cgroup.procs");
            for pid in fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default().lines() {
                let _ = fs::write(&parent, pid);
            }
            let _ = fs::remove_dir(folder);
        }
    }
}

/// A new group with this bound, if one can be made here.
fn group(bytes: u64) -> Option<Confinement> {
    // A killed test leaves its group behind, and a later process may get the same process id.
    let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
    let name = format!("kennel-test-{}-{now}", std::process::id());
    let modern = || {
        let folder = PathBuf::from("/sys/fs/cgroup").join(&name);
        fs::create_dir(&folder).ok()?;
        let bounded = write(&folder.join("memory.max"), &bytes.to_string());
        // Without this the system would write memory to disk instead.
        let _ = write(&folder.join("memory.swap.max"), "0");
        keep(bounded, folder, "memory.events")
    };
    let old = || {
        let folder = PathBuf::from("/sys/fs/cgroup/memory").join(&name);
        fs::create_dir(&folder).ok()?;
        let bounded = write(&folder.join("memory.limit_in_bytes"), &bytes.to_string());
        keep(bounded, folder, "memory.oom_control")
    };
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() { modern() } else { old() }
}

fn keep(bounded: Option<()>, folder: PathBuf, killed: &str) -> Option<Confinement> {
    if bounded.is_none() {
        let _ = fs::remove_dir(&folder);
        return None;
    }
    let killed = folder.join(killed);
    Some(Confinement::Group { folder, killed })
}

/// Writes to a file that must be there already.
fn write(file: &Path, text: &str) -> Option<()> {
    fs::OpenOptions::new().write(true).open(file).ok()?.write_all(text.as_bytes()).ok()
}
