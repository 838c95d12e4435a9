//! A throw-away Prometheus that scrapes the processes of a test, and its companion promtool.
//!
//! Debian's package is not installed for this: it would start a server on the port that `kennel run` has by
//! default. `.ci/setup.sh test` unpacks it, and `KENNEL_PROMETHEUS_BIN` says where.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::binary::{Running, wait_until};
use crate::metrics::{Labels, Sample, free_address, get};
use crate::programs::folder_of;

/// A server that scrapes. Killed when dropped.
#[derive(Debug)]
pub struct Prometheus {
    address: String,
    folder: TempDir,
    _process: Running,
}

/// The folder of `prometheus` and `promtool`.
///
/// `None` where they are missing and that is no fault; then it has said what to install.
///
/// # Panics
///
/// When they are missing in CI, where every test must run.
#[must_use]
pub fn programs() -> Option<PathBuf> {
    folder_of(&["prometheus", "promtool"], "KENNEL_PROMETHEUS_BIN")
}

/// Runs promtool with this standard input; returns whether it was content, and all that it printed.
///
/// # Panics
///
/// When promtool does not run.
#[must_use]
pub fn promtool(programs: &Path, folder: &Path, arguments: &[&str], input: &str) -> (bool, String) {
    use std::io::Write as _;
    let mut command = Command::new(programs.join("promtool"));
    command.args(arguments).current_dir(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = command.spawn().expect("promtool starts");
    let mut stdin = promtool.stdin.take().expect("promtool reads");
    stdin.write_all(input.as_bytes()).expect("promtool reads");
    drop(stdin);
    let output = promtool.wait_with_output().expect("promtool ends");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.success(), text.concat())
}

impl Prometheus {
    /// Starts a server that scrapes these addresses twice a second, each with its name as the label
    /// `process`, and evaluates these files of rules every second.
    #[must_use]
    pub fn start(programs: &Path, targets: &[(&str, &str)], rules: &[PathBuf]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for Prometheus");
        let config = folder.path().join("prometheus.yml");
        fs::write(&config, configuration(targets, rules)).expect("a configuration");
        let address = free_address();
        let mut command = Command::new(programs.join("prometheus"));
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        command.arg(format!("--web.listen-address={address}"));
        // Debian's package would look for its pages where it is not installed.
        command.arg(format!("--web.console.templates={}", folder.path().display()));
        command.arg(format!("--web.console.libraries={}", folder.path().display()));
        let log = folder.path().join("log");
        let log_file = fs::File::create(&log).expect("a file for the log");
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log_file);
        let process = Running::from(command.spawn().expect("prometheus starts"));
        let server = Self { address, folder, _process: process };
        wait_until(&format!("Prometheus is ready, see {}", log.display()), Duration::from_secs(30), || {
            get(&server.address, "/-/ready").is_ok_and(|(status, _)| status == 200)
        });
        server
    }

    /// What Prometheus has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The answer of a query, as of now.
    ///
    /// # Panics
    ///
    /// When Prometheus rejects the query.
    #[must_use]
    #[track_caller]
    pub fn query(&self, query: &str) -> Vec<Sample> {
        let data = self.api(&format!("/api/v1/query?query={}", percent_encoded(query)));
        match data["resultType"].as_str() {
            Some("vector") => {
                data["result"].as_array().expect("a list of series").iter().map(series).collect()
            }
            _ => panic!("{query} gives no series: {data}"),
        }
    }

    /// The value of a query that gives one series, or none.
    ///
    /// # Panics
    ///
    /// When it gives several.
    #[must_use]
    #[track_caller]
    pub fn value(&self, query: &str) -> Option<f64> {
        let answer = self.query(query);
        assert!(answer.len() <= 1, "{query}: {answer:?}");
        answer.first().map(|sample| sample.value)
    }

    /// Every rule that it evaluates, as its API prints them.
    ///
    /// # Panics
    ///
    /// When it does not answer.
    #[must_use]
    #[track_caller]
    pub fn rules(&self) -> Vec<Value> {
        let data = self.api("/api/v1/rules");
        let groups = data["groups"].as_array().expect("a list of groups");
        groups.iter().flat_map(|group| group["rules"].as_array().expect("a list of rules").clone()).collect()
    }

    #[track_caller]
    fn api(&self, path: &str) -> Value {
        let (_, body) = get(&self.address, path).expect("Prometheus answers");
        let answer: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
        assert_eq!(answer["status"], "success", "{path}: {answer:#}");
        answer["data"].clone()
    }
}

/// YAML is a superset of JSON, so strings and lists are written as JSON.
fn configuration(targets: &[(&str, &str)], rules: &[PathBuf]) -> String {
    let mut text = String::from(
        "global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 1s}\n\
         scrape_configs:\n- job_name: kennel\n  static_configs:\n",
    );
    for (name, address) in targets {
        writeln!(text, "  - {{targets: [{address:?}], labels: {{process: {name:?}}}}}").expect("a string");
    }
    writeln!(text, "rule_files: {}", serde_json::json!(rules)).expect("a string");
    text
}

fn series(result: &Value) -> Sample {
    let mut labels: Labels =
        serde_json::from_value(result["metric"].clone()).expect("labels and their values");
    let value = result["value"][1].as_str().and_then(|text| text.parse().ok());
    Sample {
        name: labels.remove("__name__").unwrap_or_default(),
        labels,
        value: value.unwrap_or_else(|| panic!("{result} has no value")),
    }
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a string can be written to");
        }
    }
    encoded
}
