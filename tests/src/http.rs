//! Plain requests over HTTP, written by hand: they are sent as a test gives them, also where that is wrong.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// Longest time that an answer may take: longer than a host takes to end a request by itself.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    head: String,
}

/// Asks the server at this address, such as `127.0.0.1:9090`, for something. A `Host` among the headers stands for the
/// address; a `Content-Length` or `Transfer-Encoding` for what the body is said to be.
///
/// # Errors
///
/// When no server listens there, or when the answer is not HTTP.
pub fn request(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<Answer> {
    begin(address, method, path, headers, body)?.answer()
}

/// A request whose answer has not been read yet. Dropped, it is broken off.
#[derive(Debug)]
pub struct Pending(TcpStream);

/// Sends a request.
///
/// # Errors
///
/// When no server listens there.
pub fn begin(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<Pending> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let given = |name: &str| headers.iter().any(|(header, _)| header.eq_ignore_ascii_case(name));
    // HTTP/1.0 where that will do, so that the answer comes as it is and ends with the connection.
    let version = if given("Transfer-Encoding") { "1.1" } else { "1.0" };
    let mut head = format!("{method} {path} HTTP/{version}\r\nConnection: close\r\n");
    if !given("Host") {
        head += &format!("Host: {address}\r\n");
    }
    if !given("Content-Length") && !given("Transfer-Encoding") {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    // A server that has heard enough may hang up before all is sent; its answer is what counts.
    let _ = stream.write_all(&[head.as_bytes(), b"\r\n", body].concat());
    Ok(Pending(stream))
}

impl Pending {
    /// What the server answers.
    ///
    /// # Errors
    ///
    /// When the answer is not HTTP, or does not come.
    pub fn answer(mut self) -> std::io::Result<Answer> {
        let mut answer = Vec::new();
        let read = self.0.read_to_end(&mut answer);
        let strange = || std::io::Error::other(format!("not HTTP: {:?}", String::from_utf8_lossy(&answer)));
        let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
            return Err(read.err().unwrap_or_else(strange));
        };
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(strange)?;
        let body = answer[end + 4..].to_vec();
        let answer = Answer { status, head, body };
        match answer.header("Content-Length").and_then(|length| length.parse::<usize>().ok()) {
            Some(length) if answer.body.len() != length => {
                Err(std::io::Error::other(format!("cut short: {answer:?}")))
            }
            _ => Ok(answer),
        }
    }
}

impl Answer {
    /// A header of it.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let headers = self.head.lines().filter_map(|line| line.split_once(':'));
        let found = headers.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    }

    /// All of it, to be shown.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}", self.head, String::from_utf8_lossy(&self.body))
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When it is none.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}
