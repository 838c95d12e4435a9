//! One store under several names, and who may read the files of a new one.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use kennel_tests::binary::Kennel;
use kennel_tests::metrics::Served;

use super::{file, running, text};

/// A second host on the store by this name fails with the number of the first.
#[track_caller]
fn assert_rejected(kennel: &Kennel, first: &Served, name: &Path) {
    let store = format!("sqlite:{}", name.display());
    let second = kennel.run(&["run", "--store", &store, "--listen", "127.0.0.1:0"]);
    assert_eq!(second.code, Some(5), "{}: {}", name.display(), second.stderr);
    let expected = format!(
        "{} is being run by process {}: stop that process first",
        name.display(),
        first.process.pid()
    );
    assert!(second.stderr.contains(&expected), "{expected}: {}", second.stderr);
}

#[test]
fn one_host_runs_a_file_whatever_it_is_called() {
    let (kennel, first) = running(10);
    let folder = kennel.folder().join("folder");
    fs::create_dir(&folder).expect("a folder");
    let (link, far_link) = (kennel.folder().join("link.db"), folder.join("link.db"));
    symlink("kennel.db", &link).expect("a link");
    symlink("../link.db", &far_link).expect("a link");
    let (hard, far_hard) = (kennel.folder().join("hard.db"), folder.join("hard.db"));
    fs::hard_link(file(&kennel, ""), &hard).expect("a link");
    fs::hard_link(file(&kennel, ""), &far_hard).expect("a link");
    for name in [&file(&kennel, ""), &link, &far_link, &hard, &far_hard] {
        assert_rejected(&kennel, &first, name);
    }
    // Other commands would keep a second log beside the other name.
    let beside = kennel.run(&["status", "--store", &format!("sqlite:{}", text(&hard))]);
    assert_eq!(beside.code, Some(5), "{}", beside.stderr);
    assert!(!kennel.folder().join("hard.db-wal").exists());
    for name in ["kennel.db", "link.db", "folder/link.db"] {
        let status = kennel.json(&["status", "--json", "--store", &format!("sqlite:{name}")]);
        assert_eq!(status["head"], 10, "{name}");
    }
    first.process.signal("TERM");
    assert_eq!(first.process.wait(super::SOON), Some(0));
    // Now that no process uses the other name, any may be used.
    let by_link = Served::start(&kennel, &["--store", &format!("sqlite:{}", text(&hard))]);
    assert_rejected(&kennel, &by_link, &file(&kennel, ""));
    assert_rejected(&kennel, &by_link, &link);
}

/// A host that was killed leaves its log behind, whose events are lost for processes that come by another name.
#[test]
fn a_file_whose_log_is_beside_another_name_is_left_alone() {
    let (kennel, first) = running(10);
    first.process.kill();
    assert!(file(&kennel, "-wal").exists());
    let other = kennel.folder().join("other.db");
    fs::hard_link(file(&kennel, ""), &other).expect("a link");
    let rejected = kennel.run(&["status", "--store", &format!("sqlite:{}", text(&other))]);
    assert_eq!(rejected.code, Some(3), "{}", rejected.stderr);
    assert!(rejected.stderr.contains("is also called"), "{}", rejected.stderr);
    assert_eq!(kennel.json(&["status", "--json"])["head"], 10);
}

/// The command with this mask.
fn with_mask(kennel: &Kennel, mask: &str, arguments: &[&str]) -> Command {
    let command = kennel.command(arguments);
    let mut shell = Command::new("bash");
    shell
        .args(["-c", &format!("umask {mask}; exec \"$0\" \"$@\"")])
        .arg(command.get_program())
        .args(arguments);
    shell.current_dir(kennel.folder());
    for (variable, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(variable, value),
            None => shell.env_remove(variable),
        };
    }
    shell.stderr(std::process::Stdio::piped());
    shell
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).mode() & 0o777
}

#[test]
fn new_stores_are_their_owners_alone() {
    for mask in ["000", "022", "0777"] {
        let kennel = Kennel::default();
        let migrated = with_mask(&kennel, mask, &["migrate"]).output().expect("bash runs");
        assert!(migrated.status.success(), "{mask}: {migrated:?}");
        assert_eq!(mode(&file(&kennel, "")), 0o600, "{mask}");
        let served = Served::spawn(with_mask(&kennel, mask, &["run", "--listen", "127.0.0.1:0"]));
        for suffix in ["", "-wal", "-shm", ".lock"] {
            assert_eq!(mode(&file(&kennel, suffix)), 0o600, "{mask}: {suffix}");
        }
        drop(served);
    }
}

#[test]
fn stores_that_exist_keep_their_permissions() {
    let kennel = Kennel::default();
    kennel.ok(&["migrate"]);
    fs::set_permissions(file(&kennel, ""), fs::Permissions::from_mode(0o660)).expect("it is ours");
    let served = Served::start(&kennel, &[]);
    for suffix in ["", "-wal", "-shm", ".lock"] {
        assert_eq!(mode(&file(&kennel, suffix)), 0o660, "{suffix}");
    }
    drop(served);
}
