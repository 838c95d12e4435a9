//! Which files are to be deployed now: those that have changed and have settled since, and those whose last attempt
//! failed for a reason that passes. The caller passes the files and the time; it touches no file itself.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kennel_core::digest::Digest;
use kennel_core::retry::Backoff;
use tokio::time::Instant;

/// The pause after the first attempt that failed. Each further one doubles it.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// Longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// By what a change shows without reading the file. The time of its last change in any respect is part of it, since
/// copying can bring along the time at which its content was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Stamp {
    inode: u64,
    bytes: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

impl From<&Metadata> for Stamp {
    fn from(metadata: &Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            bytes: metadata.len(),
            written: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// The files that have been seen. One that vanishes is remembered, so that it is no change if it comes back as it was.
#[derive(Debug, Default)]
pub(super) struct Files(BTreeMap<PathBuf, File>);

#[derive(Debug)]
struct File {
    stamp: Stamp,
    state: State,
    /// The digest of the bytes whose outcome has been reported.
    done: Option<Digest>,
    /// Why the last attempt failed, while it is repeated.
    failed: Option<String>,
}

#[derive(Debug)]
enum State {
    /// It may still be being written.
    Changing,
    Done,
    /// It is to be tried again.
    Again {
        at: Instant,
        backoff: Backoff,
    },
}

impl Files {
    /// Whether to try a file that looks like this now. A new one, or one that has changed, has to look the same twice.
    pub(super) fn is_due(&mut self, path: &Path, stamp: Stamp, now: Instant) -> bool {
        let Some(file) = self.0.get_mut(path) else {
            let file = File { stamp, state: State::Changing, done: None, failed: None };
            self.0.insert(path.to_owned(), file);
            return false;
        };
        if file.stamp != stamp {
            file.stamp = stamp;
            file.state = State::Changing;
            return false;
        }
        match file.state {
            State::Changing => true,
            State::Done => false,
            State::Again { at, .. } => now >= at,
        }
    }

    /// Whether nothing is left to do about a file that holds these bytes.
    pub(super) fn is_done(&mut self, path: &Path, digest: Digest) -> bool {
        let Some(file) = self.0.get_mut(path) else { return false };
        let done = file.done == Some(digest);
        if done {
            file.state = State::Done;
        }
        done
    }

    /// The file was deployed, or cannot be deployed as it is. Without a digest it could not even be read.
    pub(super) fn done(&mut self, path: &Path, digest: Option<Digest>) {
        if let Some(file) = self.0.get_mut(path) {
            file.done = digest;
            file.state = State::Done;
            file.failed = None;
        }
    }

    /// An attempt has failed for a reason that may pass. Whether that is news.
    pub(super) fn failed(&mut self, path: &Path, reason: &str, now: Instant) -> bool {
        let Some(file) = self.0.get_mut(path) else { return true };
        let mut backoff = match file.state {
            State::Again { backoff, .. } => backoff,
            State::Changing | State::Done => Backoff::new(PAUSE_MIN, PAUSE_MAX),
        };
        file.state = State::Again { at: now + backoff.next_pause(), backoff };
        // The outcome is unknown: the answer may have been lost.
        file.done = None;
        let news = file.failed.as_deref() != Some(reason);
        file.failed = Some(reason.to_owned());
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Duration = Duration::from_millis(250);

    fn stamp(number: i64) -> Stamp {
        Stamp { inode: 1, bytes: 1, written: (0, 0), changed: (number, 0) }
    }

    /// Files of which one has just become due, and when.
    fn due() -> (Files, Instant) {
        let (mut files, now) = (Files::default(), Instant::now());
        assert!(!files.is_due(Path::new("a.wasm"), stamp(1), now), "it may still be being written");
        assert!(files.is_due(Path::new("a.wasm"), stamp(1), now + LOOK));
        (files, now + LOOK)
    }

    #[test]
    fn a_file_is_tried_once_it_has_settled_and_not_again_until_it_changes() {
        let (mut files, now) = due();
        let path = Path::new("a.wasm");
        let (one, other) = (Digest::of(b"1"), Digest::of(b"2"));
        assert!(!files.is_done(path, one));
        files.done(path, Some(one));
        assert!(!files.is_due(path, stamp(1), now + 1000 * LOOK));
        for number in 2..5 {
            assert!(!files.is_due(path, stamp(number), now), "it is still being written");
        }
        assert!(files.is_due(path, stamp(4), now));
        assert!(files.is_done(path, one), "it holds what it held");
        assert!(!files.is_due(path, stamp(4), now));
        assert!(!files.is_due(path, stamp(5), now));
        assert!(files.is_due(path, stamp(5), now));
        assert!(!files.is_done(path, other), "now it holds something else");
        files.done(path, Some(other));
        assert!(!files.is_done(path, one), "back to what it was is a change, too");
    }

    #[test]
    fn a_failed_attempt_is_repeated_at_growing_intervals_and_reported_once() {
        let (mut files, mut now) = due();
        let path = Path::new("a.wasm");
        for (attempt, seconds) in [1, 2, 4, 8, 16, 30, 30].into_iter().enumerate() {
            assert_eq!(files.failed(path, "away", now), attempt == 0);
            let pause = Duration::from_secs(seconds);
            assert!(!files.is_due(path, stamp(1), now + pause - LOOK), "after {seconds} s");
            now += pause;
            assert!(files.is_due(path, stamp(1), now), "after {seconds} s");
        }
        assert!(files.failed(path, "full", now), "another reason is news");
        // A change does not wait for the next attempt, and begins anew.
        assert!(!files.is_due(path, stamp(2), now));
        assert!(files.is_due(path, stamp(2), now));
        files.failed(path, "full", now);
        assert!(files.is_due(path, stamp(2), now + PAUSE_MIN));
        files.done(path, None);
        assert!(files.failed(path, "full", now), "it has worked in between");
    }

    #[test]
    fn after_a_failure_the_deployed_component_is_unknown() {
        let (mut files, now) = due();
        let path = Path::new("a.wasm");
        files.done(path, Some(Digest::of(b"1")));
        assert!(!files.is_due(path, stamp(2), now));
        assert!(files.is_due(path, stamp(2), now));
        files.failed(path, "no answer", now);
        assert!(!files.is_done(path, Digest::of(b"1")), "the other may run by now");
    }
}
