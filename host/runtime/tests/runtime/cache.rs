//! The cache of compiled code: which entries are kept, built anew and evicted.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use kennel_core::digest::Digest;
use kennel_core::port::CodeSource;
use kennel_runtime::WasmRuntime;

use crate::support::{guest, prepare, runtime_with};

#[tokio::test]
async fn compiled_code_is_kept_and_a_damaged_entry_built_anew() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    let bytes = guest("");
    let load = || async {
        let runtime = runtime_with(|options| options.cache_dir = Some(cache.clone()));
        prepare(&runtime, bytes.clone()).await.unwrap();
    };
    load().await;
    let entry = only_file(&cache);
    let first = fs::read(&entry).unwrap();
    load().await;
    assert_eq!(fs::read(&entry).unwrap(), first, "a sound entry is not written again");
    for damaged in [&b""[..], b"nonsense", &first[..first.len() - 1], &flipped(&first)] {
        fs::write(&entry, damaged).unwrap();
        load().await;
        assert_eq!(only_file(&cache), entry);
        let anew = fs::read(&entry).unwrap();
        assert_ne!(anew, damaged, "a damaged entry is replaced");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_cache_that_others_may_write_to_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    for (mode, used) in
        [(0o700, true), (0o755, true), (0o775, false), (0o770, false), (0o702, false), (0o777, false)]
    {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
        let runtime = runtime_with(|options| options.cache_dir = Some(dir.path().to_owned()));
        prepare(&runtime, guest("")).await.unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), usize::from(used), "{mode:o}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn an_entry_that_others_may_write_to_is_built_anew() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(origin(dir.path(), u64::MAX, 0).await, CodeSource::Compiled);
    let entry = only_file(dir.path());
    let mode = || fs::metadata(&entry).unwrap().permissions().mode() & 0o777;
    for others in [0o664, 0o646, 0o620] {
        assert_eq!(origin(dir.path(), u64::MAX, 0).await, CodeSource::Cached);
        fs::set_permissions(&entry, fs::Permissions::from_mode(others)).unwrap();
        assert_eq!(origin(dir.path(), u64::MAX, 0).await, CodeSource::Compiled, "{others:o}");
        assert_eq!(mode() & 0o022, 0, "{others:o}");
    }
}

fn only_file(dir: &Path) -> std::path::PathBuf {
    let files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

fn flipped(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bytes
}

/// A guest like no other.
fn numbered(number: u32) -> Vec<u8> {
    guest(&format!("(local.set $i (i32.const {number}))"))
}

/// A runtime with a cache of so many bytes.
fn cached(dir: &Path, bytes_max: u64) -> WasmRuntime {
    runtime_with(|options| {
        options.cache_dir = Some(dir.to_owned());
        options.cache_bytes_max = bytes_max;
    })
}

/// Where the code of a component comes from, for a runtime that was just started.
async fn origin(dir: &Path, bytes_max: u64, number: u32) -> CodeSource {
    prepare(&cached(dir, bytes_max), numbered(number)).await.unwrap().origin()
}

/// The entry of a component.
fn entry(dir: &Path, number: u32) -> Option<PathBuf> {
    let digest = Digest::of(&numbered(number)).to_string();
    let mut paths = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    paths.find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&digest))
}

#[tokio::test]
async fn the_least_recently_used_entry_is_evicted() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(origin(dir.path(), u64::MAX, 0).await, CodeSource::Compiled);
    let one = fs::metadata(entry(dir.path(), 0).unwrap()).unwrap().len();
    // Entries of guests that differ in one constant have the same size, give or take a few bytes.
    let three = 3 * one + one / 2;
    assert_eq!(origin(dir.path(), three, 1).await, CodeSource::Compiled);
    assert_eq!(origin(dir.path(), three, 2).await, CodeSource::Compiled);
    assert_eq!(origin(dir.path(), three, 0).await, CodeSource::Cached, "there is room for three");
    assert_eq!(origin(dir.path(), three, 3).await, CodeSource::Compiled);
    let kept = |number| entry(dir.path(), number).is_some();
    assert_eq!([0, 1, 2, 3].map(kept), [true, false, true, true], "1 had not been used for the longest time");
    assert_eq!(origin(dir.path(), three, 2).await, CodeSource::Cached);
    assert_eq!(origin(dir.path(), three, 1).await, CodeSource::Compiled);
    assert_eq!([0, 1, 2, 3].map(kept), [false, true, true, true], "then 0");
    // The bound has shrunk: all but the newest go at the next occasion.
    assert_eq!(origin(dir.path(), one + one / 2, 4).await, CodeSource::Compiled);
    assert_eq!([0, 1, 2, 3, 4].map(kept), [false, false, false, false, true]);
}

#[tokio::test]
async fn an_entry_larger_than_the_cache_is_not_kept_and_evicts_nothing() {
    let dir = tempfile::tempdir().unwrap();
    origin(dir.path(), u64::MAX, 0).await;
    let before = only_file(dir.path());
    let bytes = fs::metadata(&before).unwrap().len();
    assert_eq!(origin(dir.path(), bytes / 2, 1).await, CodeSource::Compiled);
    assert_eq!(only_file(dir.path()), before);
}

#[tokio::test]
async fn eviction_removes_only_files_of_the_cache() {
    let dir = tempfile::tempdir().unwrap();
    let digest = Digest::of(b"some component");
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let write = |name: String| {
        let path = dir.path().join(name);
        fs::write(&path, vec![0; 100_000]).unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
        path
    };
    let foreign = [
        write("notes.txt".to_owned()),
        write("module.cwasm".to_owned()),
        write(format!("{digest}.cwasm")),
        write(format!("{digest}-0123456789abcdef.cwasm.bak")),
        write(".gitignore".to_owned()),
    ];
    let folder = dir.path().join(format!("{digest}-0000000000000000.cwasm"));
    fs::create_dir(&folder).unwrap();
    let of_another_program = write(format!("{digest}-0123456789abcdef.cwasm"));
    let left_behind = write(format!(".{digest}.4711.0.tmp"));
    let being_written = write(format!(".{digest}.4711.1.tmp"));
    let writer = File::open(&being_written).unwrap();
    writer.lock().unwrap();

    // With room for everything, only the file that no process will ever finish goes.
    origin(dir.path(), u64::MAX, 0).await;
    assert!(!left_behind.exists());
    assert!(of_another_program.exists() && being_written.exists());
    // A file that is being written counts, and leaves no room for any entry but the newest.
    let one = fs::metadata(entry(dir.path(), 0).unwrap()).unwrap().len();
    origin(dir.path(), 100_000 + one + one / 2, 1).await;
    assert!(!of_another_program.exists(), "the entry of another program counts too, and is the oldest");
    assert!(entry(dir.path(), 0).is_none() && entry(dir.path(), 1).is_some());
    assert!(being_written.exists() && folder.exists());
    for path in foreign {
        assert!(path.exists(), "{}", path.display());
    }
}

/// In containers that share the folder, every process may have the number 1, and counts from 0.
#[tokio::test]
async fn names_that_others_use_are_left_to_them() {
    let dir = tempfile::tempdir().unwrap();
    let digest = Digest::of(&numbered(0));
    // The tests of this process have written some entries by now, but not so many.
    let (theirs, dead): (Vec<u32>, Vec<u32>) = (0..400).partition(|number| number % 4 > 0);
    let path = |number: &u32| dir.path().join(format!(".{digest}.{}.{number}.tmp", std::process::id()));
    for number in theirs.iter().chain(&dead) {
        fs::write(path(number), b"half of it").unwrap();
    }
    let writers: Vec<File> = theirs.iter().map(|number| File::open(path(number)).unwrap()).collect();
    writers.iter().for_each(|writer| writer.lock().unwrap());
    assert_eq!(origin(dir.path(), u64::MAX, 0).await, CodeSource::Compiled);
    for number in &theirs {
        assert_eq!(fs::read(path(number)).unwrap(), b"half of it", "{number}");
    }
    assert!(
        dead.iter().all(|number| !path(number).exists()),
        "files that dead processes have left behind are evicted"
    );
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), theirs.len() + 1);
    assert_eq!(origin(dir.path(), u64::MAX, 0).await, CodeSource::Cached);
}

/// Any number of processes may share the folder; here they are threads, which makes the races tighter.
#[test]
fn concurrent_writes_and_evictions_do_not_disturb_one_another() {
    const AT_ONCE: u32 = 4;
    let dir = tempfile::tempdir().unwrap();
    let tokio = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio().block_on(origin(dir.path(), u64::MAX, 0));
    // Room for three of the six, so that entries vanish while they are wanted all the time.
    let bytes_max = fs::metadata(only_file(dir.path())).unwrap().len() * 7 / 2;
    let work = |worker: u32| {
        let tokio = tokio();
        for round in 0..30 {
            let number = (worker + round) % 6;
            let component =
                tokio.block_on(prepare(&cached(dir.path(), bytes_max), numbered(number))).unwrap();
            assert_eq!(component.digest(), Digest::of(&numbered(number)));
        }
    };
    std::thread::scope(|scope| {
        (0..AT_ONCE).for_each(|worker| drop(scope.spawn(move || work(worker))));
    });
    let files: Vec<PathBuf> = fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(
        files.iter().all(|path| path.extension().is_some_and(|extension| extension == "cwasm")),
        "{files:?}"
    );
    let bytes: u64 = files.iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert!((1..=bytes_max).contains(&bytes), "{bytes} bytes in {files:?}, at most {bytes_max} are allowed");
}
