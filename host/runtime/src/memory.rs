//! How much memory this machine has, or the container that this process runs in, or its limits allow. Where none of
//! them is known, as on other systems than Linux, there is no answer.

use std::fs;
use std::path::Path;

/// The least of all bounds that hold for this process, in bytes.
#[must_use]
pub fn total() -> Option<u64> {
    total_below(Path::new("/")).into_iter().chain(mapped_max()).min()
}

/// Whether this process may map only so much memory, used or not.
pub(crate) fn is_rationed_by_mappings() -> bool {
    mapped_max().is_some()
}

/// The most that this process may map for data.
#[cfg(unix)]
fn mapped_max() -> Option<u64> {
    use rustix::process::{Resource, getrlimit};
    [Resource::Data, Resource::As].into_iter().filter_map(|resource| getrlimit(resource).current).min()
}

#[cfg(not(unix))]
fn mapped_max() -> Option<u64> {
    None
}

fn total_below(root: &Path) -> Option<u64> {
    let read = |path: &str| fs::read_to_string(root.join(path)).ok();
    let machine = read("proc/meminfo").as_deref().and_then(of_machine);
    let groups = read("proc/self/cgroup").unwrap_or_default();
    let groups = groups.lines().filter_map(limit_of_group).flat_map(|(hierarchy, path, file)| {
        // Every group above it bounds it as well; a file that is missing bounds nothing.
        let path = Path::new(path.trim_start_matches('/'));
        path.ancestors().map(move |group| Path::new(hierarchy).join(group).join(file)).collect::<Vec<_>>()
    });
    let bounds = groups.filter_map(|path| read(path.to_str()?)?.trim().parse().ok());
    bounds.chain(machine).min()
}

fn of_machine(meminfo: &str) -> Option<u64> {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    total.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Where a line about a control group leads: its hierarchy, its path therein, and the file that has the bound.
fn limit_of_group(line: &str) -> Option<(&'static str, &str, &'static str)> {
    let (_, rest) = line.split_once(':')?;
    let (controllers, path) = rest.split_once(':')?;
    match controllers {
        "" => Some(("sys/fs/cgroup", path, "memory.max")),
        _ if controllers.split(',').any(|name| name == "memory") => {
            Some(("sys/fs/cgroup/memory", path, "memory.limit_in_bytes"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "MemTotal:       16000000 kB\nMemFree:         1000000 kB\n";

    /// The answer in a system of these files.
    fn total_of(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        total_below(root.path())
    }

    #[test]
    fn the_least_bound_counts() {
        assert_eq!(total_of(&[]), None);
        let meminfo = ("proc/meminfo", MEMINFO);
        assert_eq!(total_of(&[meminfo]), Some(16_384_000_000));
        let container = ("proc/self/cgroup", "0::/\n");
        assert_eq!(
            total_of(&[meminfo, container, ("sys/fs/cgroup/memory.max", "max\n")]),
            Some(16_384_000_000)
        );
        assert_eq!(
            total_of(&[meminfo, container, ("sys/fs/cgroup/memory.max", "1000000\n")]),
            Some(1_000_000)
        );
        let service = [
            ("proc/self/cgroup", "0::/system.slice/kennel.service\n"),
            ("sys/fs/cgroup/system.slice/memory.max", "3000000\n"),
            ("sys/fs/cgroup/system.slice/kennel.service/memory.max", "max\n"),
        ];
        assert_eq!(total_of(&service), Some(3_000_000));
        let old = [
            ("proc/self/cgroup", "5:cpu,cpuacct:/a\n4:memory:/docker/4711\n1:name=systemd:/b\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "2000000\n"),
            ("sys/fs/cgroup/memory.limit_in_bytes", "1\n"),
        ];
        assert_eq!(total_of(&old), Some(2_000_000));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_has_some() {
        assert!(total().is_some_and(|bytes| bytes > 100 * 1024 * 1024), "{:?}", total());
    }
}
