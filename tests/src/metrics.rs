//! A running `kennel run` and what its `/metrics` says.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

use crate::binary::{Kennel, Running};

/// A process that serves metrics on a port of its own choice. Killed when dropped.
#[derive(Debug)]
pub struct Served {
    pub process: Running,
    address: String,
}

impl Served {
    /// Starts `kennel run` with these arguments and waits until it says where it listens.
    #[must_use]
    pub fn start(kennel: &Kennel, arguments: &[&str]) -> Self {
        let mut command = kennel.command(&[&["run", "--listen", "127.0.0.1:0"], arguments].concat());
        let mut child = command.stdout(Stdio::null()).spawn().expect("kennel starts");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let process = Running::from(child);
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_once("address=").map(|(_, rest)| rest.trim().to_owned()))
            .expect("it says where it listens");
        // Its log has to be read on, or the pipe fills up and it stands still.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self { process, address }
    }

    /// The series whose names begin like this, each as `/metrics` prints it.
    #[must_use]
    pub fn series(&self, name: &str) -> Vec<String> {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: kennel\r\nConnection: close\r\n\r\n")
            .expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        answer.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
    }
}
