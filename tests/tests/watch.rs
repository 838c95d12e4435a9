//! `kennel watch`: the files in the folder are deployed, whatever becomes of the folder, the store and the host
//! meanwhile; and while nothing changes, nothing is done.

use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kennel_test_support::postgres::Cluster;
use kennel_tests::binary::{Kennel, Running, now, wait_until};
use kennel_tests::components::guest;
use kennel_tests::metrics::{Served, free_address};
use serde_json::Value;

/// A change is deployed within this time, compilation and all.
const SOON: Duration = Duration::from_secs(60);
/// Longest pause between two attempts, and some seconds.
const NEXT_ATTEMPT: Duration = Duration::from_secs(40);
/// The folder, as it is given to the command: relative.
const FOLDER: &str = "guests";

/// What a command has printed so far, line by line.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

/// A watch of the folder.
struct Watch {
    process: Running,
    stdout: Lines,
    stderr: Lines,
}

impl Lines {
    fn read(stream: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let printed = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                printed.0.lock().expect("no reader has panicked").push(line);
            }
        });
        lines
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().expect("no reader has panicked").clone()
    }

    /// How many lines say this.
    fn count(&self, message: &str) -> usize {
        self.all().iter().filter(|line| line.contains(message)).count()
    }

    #[track_caller]
    fn wait(&self, message: &str, count: usize, deadline: Duration) {
        wait_until(&format!("it says {count} times {message:?}: {:?}", self.all()), deadline, || {
            self.count(message) == count
        });
    }
}

impl Watch {
    fn start(kennel: &Kennel, arguments: &[&str]) -> Self {
        let mut command = kennel.command(&[&["watch", FOLDER], arguments].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("kennel starts");
        let stdout = Lines::read(child.stdout.take().expect("a pipe"));
        let stderr = Lines::read(child.stderr.take().expect("a pipe"));
        let watch = Self { process: child.into(), stdout, stderr };
        watch.stderr.wait("watching guests; Ctrl-C ends it", 1, SOON);
        watch
    }
}

/// A store with a folder beside it that holds these files.
fn with_folder(kennel: Kennel, files: &[(&str, &[u8])]) -> Kennel {
    kennel.ok(&["migrate"]);
    make_folder(&kennel, files);
    kennel
}

fn make_folder(kennel: &Kennel, files: &[(&str, &[u8])]) {
    std::fs::create_dir(kennel.folder().join(FOLDER)).expect("a folder");
    for (name, bytes) in files {
        write(kennel, name, bytes);
    }
}

fn write(kennel: &Kennel, name: &str, bytes: &[u8]) {
    kennel.write(&format!("{FOLDER}/{name}"), bytes);
}

/// A version of `audit-log` that differs from the others by an empty custom section alone.
fn version(number: u8) -> Vec<u8> {
    let mut bytes = std::fs::read(guest("audit-log")).expect("the guest is there");
    bytes.extend([0, 2, 1, b'0' + number]);
    bytes
}

/// How many deployments a projection has, and how many of them serve.
fn deployments(kennel: &Kennel, name: &str) -> (usize, usize) {
    let printed = kennel.run(&["deployments", name, "--json"]);
    let Ok(Value::Array(all)) = serde_json::from_str(&printed.stdout) else { return (0, 0) };
    (all.len(), all.iter().filter(|one| one["outcome"] == "serving").count())
}

#[track_caller]
fn wait_for_deployments(kennel: &Kennel, name: &str, count: usize, deadline: Duration) {
    let what = format!("`{name}` has {count} deployments");
    wait_until(&what, deadline, || deployments(kennel, name) == (count, 1));
}

/// Bytes that a process has read from files and pipes.
fn bytes_read(process: &Running) -> u64 {
    let counters = std::fs::read_to_string(format!("/proc/{}/io", process.pid())).expect("Linux counts them");
    let line = counters.lines().find_map(|line| line.strip_prefix("rchar: ")).expect("it counts reads");
    line.parse().expect("a number")
}

/// Other than what comes of looking.
#[track_caller]
fn assert_reads_nothing(process: &Running) {
    let (before, began) = (bytes_read(process), now());
    wait_until("some time has passed", SOON, || began.elapsed() > Duration::from_secs(3));
    let read = bytes_read(process) - before;
    assert!(read < version(1).len() as u64 / 4, "{read} bytes were read although nothing has changed");
}

#[test]
fn each_change_is_deployed_once_and_otherwise_nothing_is_done() {
    let kennel = with_folder(
        Kennel::default(),
        &[("audit.wasm", &version(1)), ("other.wasm", &version(1)), ("audit.txt", b"no component")],
    );
    let watch = Watch::start(&kennel, &[]);
    wait_for_deployments(&kennel, "audit", 1, SOON);
    wait_for_deployments(&kennel, "other", 1, SOON);
    watch.stdout.wait("deployment 1 of `audit`: component ", 1, SOON);
    watch.stdout.wait("deployment 1 of `other`: component ", 1, SOON);
    if cfg!(target_os = "linux") {
        assert_reads_nothing(&watch.process);
    }

    write(&kennel, "audit.wasm", &version(2));
    watch.stdout.wait("deployment 2 of `audit`: component ", 1, SOON);
    wait_for_deployments(&kennel, "audit", 2, SOON);
    // The same bytes anew, and in a new file, are no change.
    write(&kennel, "audit.wasm", &version(2));
    let file = kennel.folder().join(FOLDER).join("audit.wasm");
    std::fs::rename(kennel.write("new.wasm", version(2)), file).expect("a file can be renamed");
    // One that is new, after all of that.
    write(&kennel, "third.wasm", &version(3));
    watch.stdout.wait("deployment 1 of `third`: component ", 1, SOON);
    assert_eq!(watch.stdout.all().len(), 4, "{:?}", watch.stdout.all());
    assert_eq!(watch.stderr.all().len(), 1, "{:?}", watch.stderr.all());
    assert_eq!(deployments(&kennel, "audit"), (2, 1));
    assert_eq!(deployments(&kennel, "other"), (1, 1));
}

#[test]
fn a_rejection_is_reported_and_the_deployment_before_keeps_running() {
    let kennel = with_folder(Kennel::default(), &[("audit.wasm", &version(1))]);
    let watch = Watch::start(&kennel, &[]);
    wait_for_deployments(&kennel, "audit", 1, SOON);
    write(&kennel, "audit.wasm", b"no component");
    write(&kennel, "first.wasm", b"none either");
    write(&kennel, "No-Name.wasm", &version(1));
    watch.stderr.wait("guests/audit.wasm: ", 1, SOON);
    watch.stderr.wait("guests/first.wasm: ", 1, SOON);
    watch.stderr.wait("guests/No-Name.wasm: `No-Name` is not a valid projection name", 1, SOON);
    let reported = watch.stderr.all();
    let keeps_running = |line: &&String| line.ends_with("; the deployment before it keeps running");
    let kept: Vec<&String> = reported.iter().filter(keeps_running).collect();
    assert_eq!(kept.len(), 1, "{reported:?}");
    assert!(kept[0].starts_with("guests/audit.wasm: "), "{reported:?}");
    assert_eq!(deployments(&kennel, "audit"), (1, 1));
    assert_eq!(deployments(&kennel, "first"), (0, 0));
    // It goes on: a rejected file can be repaired.
    write(&kennel, "audit.wasm", &version(2));
    wait_for_deployments(&kennel, "audit", 2, SOON);
    assert_eq!(watch.stderr.all().len(), 4, "each is reported once: {:?}", watch.stderr.all());
}

#[test]
fn a_folder_that_is_made_anew_is_watched_on() {
    let kennel = with_folder(Kennel::default(), &[("audit.wasm", &version(1)), ("other.wasm", &version(1))]);
    let watch = Watch::start(&kennel, &[]);
    wait_for_deployments(&kennel, "other", 1, SOON);
    let folder = kennel.folder().join(FOLDER);
    // At once, as builds do, so that it may not even be noticed.
    std::fs::remove_dir_all(&folder).expect("a folder");
    make_folder(&kennel, &[("audit.wasm", &version(2)), ("other.wasm", &version(1))]);
    wait_for_deployments(&kennel, "audit", 2, SOON);
    // And for a while.
    let gone = watch.stderr.count("waiting until it is back") + 1;
    std::fs::remove_dir_all(&folder).expect("a folder");
    watch.stderr.wait("waiting until it is back", gone, SOON);
    make_folder(&kennel, &[("audit.wasm", &version(3)), ("other.wasm", &version(1))]);
    wait_for_deployments(&kennel, "audit", 3, SOON);
    watch.stderr.wait("guests is back", watch.stderr.count("waiting until it is back"), SOON);
    write(&kennel, "audit.wasm", &version(4));
    wait_for_deployments(&kennel, "audit", 4, SOON);
    assert_eq!(deployments(&kennel, "other"), (1, 1), "it is what it was");
}

#[test]
fn while_the_host_is_away_it_is_tried_again_and_reported_once() {
    let kennel = with_folder(Kennel::default(), &[("audit.wasm", &version(1))]);
    let address = free_address();
    let watch = Watch::start(&kennel, &["--host", &format!("http://{address}"), "--json"]);
    watch.stdout.wait("does not answer", 1, SOON);
    let began = now();
    wait_until("it has tried again", SOON, || began.elapsed() > Duration::from_secs(4));
    let reported = watch.stdout.all();
    assert_eq!(reported.len(), 1, "{reported:?}");
    let reported: Value = serde_json::from_str(&reported[0]).expect("a line of JSON");
    assert_eq!(
        (&reported["file"], &reported["retrying"]),
        (&"guests/audit.wasm".into(), &true.into()),
        "{reported}"
    );
    assert!(reported.get("outcome").is_none(), "{reported}");
    let _host = Served::start_at(&kennel, &address, &["--workers", "1"]);
    wait_for_deployments(&kennel, "audit", 1, NEXT_ATTEMPT);
    watch.stdout.wait("\"changed\":true", 1, SOON);
    // A change does not wait for anything.
    write(&kennel, "audit.wasm", &version(2));
    wait_for_deployments(&kennel, "audit", 2, SOON);
}

#[test]
fn while_the_store_is_away_it_is_tried_again() {
    let mut cluster = Cluster::start();
    let kennel = with_folder(Kennel::on(&cluster.create_database()), &[("audit.wasm", &version(1))]);
    let watch = Watch::start(&kennel, &[]);
    wait_for_deployments(&kennel, "audit", 1, SOON);
    cluster.stop();
    write(&kennel, "audit.wasm", &version(2));
    wait_until("it is reported", NEXT_ATTEMPT, || watch.stderr.count("trying again until it works") > 0);
    assert_eq!(watch.stderr.count("keeps running"), 0, "{:?}", watch.stderr.all());
    cluster.launch();
    wait_for_deployments(&kennel, "audit", 2, NEXT_ATTEMPT);
}

#[test]
fn a_signal_ends_it_well() {
    for signal in ["INT", "TERM"] {
        let kennel = with_folder(Kennel::default(), &[("audit.wasm", &version(1))]);
        let watch = Watch::start(&kennel, &[]);
        wait_for_deployments(&kennel, "audit", 1, SOON);
        watch.process.signal(signal);
        assert_eq!(watch.process.wait(SOON), Some(0), "{signal}");
    }
}

#[test]
fn a_missing_folder_is_reported_before_anything_is_done() {
    let kennel = Kennel::default();
    let printed = kennel.run(&["watch", "nowhere"]);
    assert_eq!(printed.code, Some(4), "{}", printed.stderr);
    assert!(printed.stderr.contains("cannot watch nowhere: "), "{}", printed.stderr);
    assert!(!Path::new(kennel.folder()).join("kennel.db").exists(), "no store was made");
}
