//! The groups of `guest-sdk/conformance`: events, and what becomes of them.

use std::fs;
use std::path::{Path, PathBuf};

use kennel_cli::expectations::Expectations;
use kennel_cli::jsonl::{Sample, parse_sample};
use kennel_tests::binary::repository;

use crate::large;

/// The group of what a host has to end.
pub(crate) const CONTAINMENT: &str = "containment";

const EVENTS: &str = ".events.jsonl";
/// Groups that there have to be at least: a folder that is not found has none.
const GROUPS_MIN: usize = 14;

/// Events, and what becomes of them.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) events: PathBuf,
    pub(crate) expect: PathBuf,
    pub(crate) samples: Vec<Sample>,
    pub(crate) expected: Expectations,
}

impl Group {
    /// Whether its events have positions of their own: no store gives those.
    pub(crate) fn has_positions(&self) -> bool {
        self.samples.iter().any(|sample| sample.position.is_some())
    }

    /// Whether it has times that PostgreSQL does not keep: it has microseconds.
    pub(crate) fn has_nanoseconds(&self) -> bool {
        let times = self.samples.iter().filter_map(|sample| sample.event.created_at);
        times.into_iter().any(|time| time.nanoseconds() % 1000 != 0)
    }

    fn read(folder: &Path, name: &str) -> Self {
        let events = folder.join(format!("{name}{EVENTS}"));
        let expect = folder.join(format!("{name}.expected.json"));
        let text = fs::read_to_string(&events).expect("a group has events");
        let samples = text.lines().map(|line| {
            parse_sample(line).unwrap_or_else(|reason| panic!("{}: {reason}: {line}", events.display()))
        });
        let samples = samples.collect();
        let bytes = fs::read(&expect).expect("a group has expectations");
        let expected =
            Expectations::parse(&bytes).unwrap_or_else(|reason| panic!("{}: {reason}", expect.display()));
        Self { name: name.to_owned(), events, expect, samples, expected }
    }
}

/// The group of what a host has to end.
pub(crate) fn containment() -> Group {
    Group::read(&committed(), CONTAINMENT)
}

fn committed() -> PathBuf {
    repository().join("guest-sdk/conformance")
}

/// All groups, with those that are too large for the repository, which are made in this folder.
///
/// # Panics
///
/// When a file is not as it should be.
pub(crate) fn groups(scratch: &Path) -> Vec<Group> {
    let committed = committed();
    let files = fs::read_dir(&committed).expect("the groups are in the repository");
    let names = files.filter_map(|file| {
        let name = file.expect("the folder can be read").file_name();
        name.to_str()?.strip_suffix(EVENTS).map(str::to_owned)
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    assert!(names.len() >= GROUPS_MIN, "{names:?}");
    let mut groups: Vec<Group> = names.iter().map(|name| Group::read(&committed, name)).collect();
    large::write(scratch);
    groups.push(Group::read(scratch, large::NAME));
    groups
}
