//! A running `kennel run` and what its `/metrics` says.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use crate::binary::{Kennel, Running};
use crate::http;

/// A process that serves metrics. Killed when dropped.
#[derive(Debug)]
pub struct Served {
    pub process: Running,
    address: String,
    log: Log,
}

/// What a process has written to its log so far, also when it has ended.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<String>>);

/// The labels of a series and their values.
pub type Labels = BTreeMap<String, String>;

/// One series of `/metrics`, or of a query's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The metric's name. Empty where a query has computed something new.
    pub name: String,
    pub labels: Labels,
    pub value: f64,
}

/// What `/metrics` said at one moment.
#[derive(Clone, Debug)]
pub struct Scrape(pub Vec<Sample>);

impl Served {
    /// Starts `kennel run` with these arguments on a port of its own choice and waits until it says where it
    /// listens.
    #[must_use]
    pub fn start(kennel: &Kennel, arguments: &[&str]) -> Self {
        Self::start_at(kennel, "127.0.0.1:0", arguments)
    }

    /// Starts `kennel run` on this address.
    #[must_use]
    pub fn start_at(kennel: &Kennel, address: &str, arguments: &[&str]) -> Self {
        Self::spawn(kennel.command(&[&["run", "--listen", address], arguments].concat()))
    }

    /// Starts a command that becomes `kennel run`.
    #[must_use]
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).spawn().expect("kennel starts");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let process = Running::from(child);
        let log = Log::default();
        let writing = log.clone();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .inspect(|line| writing.add(line))
            .find_map(|line| line.split_once("address=").map(|(_, rest)| rest.trim().to_owned()))
            .expect("it says where it listens");
        // Its log has to be read on, or the pipe fills up and the process hangs.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| writing.add(&line)));
        Self { process, address, log }
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> Log {
        self.log.clone()
    }

    /// Where it listens: an address and a port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The text of `/metrics`.
    #[must_use]
    pub fn text(&self) -> String {
        let (status, text) = get(&self.address, "/metrics").expect("it answers");
        assert_eq!(status, 200, "{text}");
        text
    }

    /// The series whose names begin like this, each as `/metrics` prints it.
    #[must_use]
    pub fn series(&self, name: &str) -> Vec<String> {
        self.text().lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
    }

    /// Every series.
    #[must_use]
    pub fn scrape(&self) -> Scrape {
        Scrape::parse(&self.text())
    }
}

impl Log {
    /// All of it.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.lock().expect("no thread panics").clone()
    }

    fn add(&self, line: &str) {
        self.0.lock().expect("no thread panics").extend([line, "\n"]);
    }
}

impl Scrape {
    /// Reads Prometheus' text format, as far as Kennel writes it: without timestamps.
    ///
    /// # Panics
    ///
    /// When a line is neither a comment nor a series.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        Self(lines.map(|line| sample(line).unwrap_or_else(|| panic!("{line:?} is no series"))).collect())
    }

    /// The series of a metric that bear these labels, and maybe others.
    pub fn all(&self, name: &str, labels: &[(&str, &str)]) -> impl Iterator<Item = &Sample> {
        self.0.iter().filter(move |sample| sample.name == name && sample.bears(labels))
    }

    /// The sum over those series; `None` if there are none.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.all(name, labels).map(|sample| sample.value).reduce(|sum, value| sum + value)
    }
}

impl Sample {
    /// Whether it has these labels, and maybe others.
    #[must_use]
    pub fn bears(&self, labels: &[(&str, &str)]) -> bool {
        labels.iter().all(|(name, value)| self.labels.get(*name).is_some_and(|found| found == value))
    }
}

/// Reads `name{label="value",…} 1.5`.
fn sample(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let Some((name, rest)) = series.split_once('{') else {
        return Some(Sample { name: series.to_owned(), labels: Labels::new(), value });
    };
    let mut labels = Labels::new();
    let mut rest = rest.strip_suffix('}')?;
    while !rest.is_empty() {
        let (label, quoted) = rest.split_once("=\"")?;
        let mut text = String::new();
        let mut characters = quoted.chars();
        loop {
            match characters.next()? {
                '"' => break,
                '\\' => match characters.next()? {
                    'n' => text.push('\n'),
                    escaped => text.push(escaped),
                },
                plain => text.push(plain),
            }
        }
        labels.insert(label.to_owned(), text);
        rest = characters.as_str();
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    Some(Sample { name: name.to_owned(), labels, value })
}

/// The status and the body of a GET request.
///
/// # Errors
///
/// When no server listens there, or when the answer is not HTTP.
pub fn get(address: &str, path: &str) -> std::io::Result<(u16, String)> {
    let answer = http::request(address, "GET", path, &[], b"")?;
    let body = String::from_utf8(answer.body).map_err(std::io::Error::other)?;
    Ok((answer.status, body))
}

/// An address on this machine on which no server listens now.
#[must_use]
pub fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("the port has an address").to_string()
}
