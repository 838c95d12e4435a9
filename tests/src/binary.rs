//! Runs the `kennel` command in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A folder with a store, in which the command is run.
#[derive(Debug)]
pub struct Kennel {
    folder: TempDir,
    store: String,
    variables: Vec<(String, String)>,
}

/// What a command printed, and its exit code.
#[derive(Debug)]
pub struct Printed {
    pub stdout: String,
    pub stderr: String,
    pub code: Option<i32>,
}

/// A command that runs in the background; killed when dropped.
#[derive(Debug)]
pub struct Running(Child);

impl Default for Kennel {
    fn default() -> Self {
        Self::on("sqlite:kennel.db")
    }
}

impl Kennel {
    /// Works on the store with this URL.
    #[must_use]
    pub fn on(store: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        Self { folder, store: store.to_owned(), variables: Vec::new() }
    }

    /// With this variable in the environment of every command.
    #[must_use]
    pub fn with(mut self, variable: &str, value: &str) -> Self {
        self.variables.push((variable.to_owned(), value.to_owned()));
        self
    }

    /// The folder in which commands run.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file into the folder and returns its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder().join(name);
        std::fs::write(&path, content).expect("a file for the test");
        path
    }

    /// A command that is ready to run.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(arguments)
            .current_dir(self.folder())
            .env("KENNEL_STORE", &self.store)
            .env("KENNEL_CACHE", cache())
            .env_remove("KENNEL_LOG")
            .env_remove("KENNEL_HOST")
            .env_remove("KENNEL_TOKEN")
            .envs(self.variables.iter().map(|(variable, value)| (variable, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Printed {
        let Output { status, stdout, stderr } = self.command(arguments).output().expect("kennel starts");
        let text = |bytes| String::from_utf8(bytes).expect("kennel prints UTF-8");
        Printed { stdout: text(stdout), stderr: text(stderr), code: status.code() }
    }

    /// Runs a command that must succeed, and returns what it printed.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> String {
        let printed = self.run(arguments);
        assert_eq!(printed.code, Some(0), "kennel {arguments:?}\n{}\n{}", printed.stdout, printed.stderr);
        printed.stdout
    }

    /// Runs a command that must print JSON.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ok(arguments)).expect("kennel prints JSON")
    }

    /// Starts a command in the background. Its output is thrown away.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let mut command = self.command(arguments);
        Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("kennel starts"))
    }

    /// The status of one projection.
    #[track_caller]
    pub fn status(&self, projection: &str) -> Value {
        let status = self.json(&["status", "--json"]);
        let projections = status["projections"].as_array().expect("a list of projections");
        projections.iter().find(|entry| entry["name"] == projection).cloned().unwrap_or(Value::Null)
    }
}

impl Running {
    /// The id of the process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Ends the process as `kill -9` does.
    pub fn kill(mut self) {
        self.0.kill().expect("the process was running");
        self.0.wait().expect("the process ends");
    }

    /// Sends a signal.
    pub fn signal(&self, signal: &str) {
        let pid = self.0.id().to_string();
        let status = Command::new("kill").args(["-s", signal, &pid]).status().expect("kill runs");
        assert!(status.success(), "the process {pid} was not running");
    }

    /// The exit code, once the process has ended by itself.
    pub fn wait(mut self, deadline: Duration) -> Option<i32> {
        wait_until("the process ends", deadline, || {
            self.0.try_wait().expect("the process can be asked").is_some()
        });
        self.0.wait().expect("the process has ended").code()
    }
}

impl From<Child> for Running {
    fn from(child: Child) -> Self {
        Self(child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The present, for what real processes are timed by.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the processes that are timed run in real time")]
pub fn now() -> Instant {
    Instant::now()
}

/// Waits for a condition, looking often, and fails the test if it does not come true in time.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "the processes that are waited for run in real time")]
pub fn wait_until(what: &str, deadline: Duration, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < deadline, "waited {deadline:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The `kennel` command: the one that `KENNEL_BINARY` names, or one that is built now with the profile
/// that the tests were built with.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(built) = std::env::var_os("KENNEL_BINARY") {
            return PathBuf::from(built);
        }
        // The test binary lies in PROFILE/deps; the command lies in PROFILE. Only cargo knows whether
        // it is up to date, so cargo is asked, which is quick when it is.
        let test = std::env::current_exe().expect("the test binary has a path");
        let profile = test.ancestors().nth(2).expect("the test binary lies in the target folder");
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--locked", "--package", "kennel", "--bin", "kennel"]);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        // The variables that cargo sets for the package of a test would have the build scripts of others run again.
        for (variable, _) in std::env::vars_os() {
            let name = variable.to_string_lossy();
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                build.env_remove(&variable);
            }
        }
        let built = build.current_dir(repository()).status().expect("cargo runs");
        assert!(built.success(), "the kennel command cannot be built");
        profile.join("kennel")
    })
}

/// The repository's root.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").to_owned()
}

/// One cache of compiled components for all tests: compiling is slow, and shared caches are what
/// users have.
fn cache() -> PathBuf {
    let target = std::env::current_exe().expect("the test binary has a path");
    target.ancestors().nth(2).expect("the test binary lies in the target folder").join("kennel-test-cache")
}
