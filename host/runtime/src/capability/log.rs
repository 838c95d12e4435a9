//! The projection's log: the guest's own lines and what it writes to its standard streams, bounded for
//! each event, with the last output of a guest kept for the report of its failure.

mod streams;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kennel_core::limits;
use kennel_core::port::{GuestEnv, LogLevel};
use wasmtime::component::Linker;

use super::{Capability, Holder};

/// Lines of standard error that a failure report shows.
const STDERR_LINES_KEPT: usize = 12;

/// The log of one instance, which its standard streams write to as well.
pub(crate) struct Log {
    lines: Arc<Mutex<GuestLog>>,
}

impl Capability for Log {
    const INTERFACES: &'static [&'static str] = &{
        let [a, b, c, d, e, f, g, h] = streams::INTERFACES;
        ["kennel:projection/log", a, b, c, d, e, f, g, h]
    };

    fn new(env: Option<&Arc<dyn GuestEnv>>) -> Self {
        Self { lines: Arc::new(Mutex::new(GuestLog::new(env.cloned()))) }
    }

    fn begin_call(&mut self) {
        self.lines().begin();
    }

    fn end(&mut self) {
        self.lines().end();
    }

    fn link<T: Holder>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        streams::link(linker)
    }
}

impl Log {
    /// A line that the guest logged.
    pub(crate) fn line(&self, level: LogLevel, message: &str) {
        self.lines().line(level, message);
    }

    /// What the guest said last in this call: its last error line, then the end of its standard error.
    pub(crate) fn last_output(&self) -> (Option<String>, String) {
        self.lines().last_output()
    }

    fn lines(&self) -> MutexGuard<'_, GuestLog> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a line comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    Stdout,
    Stderr,
}

/// The lines of a log.
struct GuestLog {
    env: Option<Arc<dyn GuestEnv>>,
    lines_left: u32,
    dropped: u64,
    stdout: Line,
    stderr: Line,
    stderr_tail: VecDeque<String>,
    error: Option<String>,
}

/// A line that has not ended yet, as far as it will be shown.
#[derive(Debug, Default)]
struct Line {
    bytes: Vec<u8>,
}

impl GuestLog {
    fn new(env: Option<Arc<dyn GuestEnv>>) -> Self {
        Self {
            env,
            lines_left: limits::LOG_LINES_PER_EVENT_MAX,
            dropped: 0,
            stdout: Line::default(),
            stderr: Line::default(),
            stderr_tail: VecDeque::new(),
            error: None,
        }
    }

    /// A call begins: what the last one left is forgotten.
    fn begin(&mut self) {
        self.lines_left = limits::LOG_LINES_PER_EVENT_MAX;
        self.dropped = 0;
        self.stderr_tail.clear();
        self.error = None;
    }

    /// A call has ended: unfinished lines are logged, and how many were dropped is logged once.
    fn end(&mut self) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let rest = std::mem::take(&mut self.line_of(stream).bytes);
            if !rest.is_empty() {
                self.stream_line(stream, &rest);
            }
        }
        if self.dropped > 0 {
            let (dropped, max) = (self.dropped, limits::LOG_LINES_PER_EVENT_MAX);
            let message = format!("{dropped} more lines were dropped: at most {max} are kept for one event");
            self.emit(LogLevel::Warn, &message);
            self.dropped = 0;
        }
    }

    /// A line that the guest logged.
    fn line(&mut self, level: LogLevel, message: &str) {
        // Kept even when the line itself is dropped: it may be all that a panic leaves behind.
        if level == LogLevel::Error {
            self.error = Some(limits::cut(message, limits::LOG_LINE_BYTES_MAX).to_owned());
        }
        if self.lines_left == 0 {
            self.dropped += 1;
            return;
        }
        self.lines_left -= 1;
        if message.len() > limits::LOG_LINE_BYTES_MAX {
            let mark = "…";
            let kept = limits::cut(message, limits::LOG_LINE_BYTES_MAX - mark.len());
            self.emit(level, &format!("{kept}{mark}"));
        } else {
            self.emit(level, message);
        }
    }

    /// Bytes that the guest wrote to a standard stream.
    fn write(&mut self, stream: Stream, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            match part.strip_suffix(b"\n") {
                None => self.line_of(stream).push(part),
                Some(end) => {
                    self.line_of(stream).push(end);
                    let line = std::mem::take(&mut self.line_of(stream).bytes);
                    self.stream_line(stream, &line);
                }
            }
        }
    }

    /// What the guest said last in this call: its last error line, then the end of its standard error.
    fn last_output(&self) -> (Option<String>, String) {
        let stderr: Vec<&str> = self.stderr_tail.iter().map(String::as_str).collect();
        (self.error.clone(), stderr.join("\n"))
    }

    fn stream_line(&mut self, stream: Stream, line: &[u8]) {
        let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
        if line.trim().is_empty() {
            return;
        }
        if stream == Stream::Stderr {
            if self.stderr_tail.len() == STDERR_LINES_KEPT {
                self.stderr_tail.pop_front();
            }
            self.stderr_tail.push_back(limits::cut(&line, limits::LOG_LINE_BYTES_MAX).to_owned());
        }
        let level = if stream == Stream::Stderr { LogLevel::Warn } else { LogLevel::Info };
        self.line(level, &line);
    }

    fn line_of(&mut self, stream: Stream) -> &mut Line {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    fn emit(&self, level: LogLevel, message: &str) {
        match &self.env {
            Some(env) => env.log(level, message),
            None => tracing::debug!(?level, message, "logged while describing itself"),
        }
    }
}

impl Line {
    /// Keeps one byte more than will be shown, which marks the line as cut.
    fn push(&mut self, bytes: &[u8]) {
        let room = (limits::LOG_LINE_BYTES_MAX + 1).saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use kennel_core::port::HostError;

    use super::*;

    #[derive(Default)]
    struct Lines(Mutex<Vec<(LogLevel, String)>>);

    #[async_trait]
    impl GuestEnv for Lines {
        async fn get(&self, _: &str, _: &str) -> Result<Option<Arc<str>>, HostError> {
            Ok(None)
        }
        async fn get_many(&self, _: &str, _: &[String]) -> Result<Vec<Option<Arc<str>>>, HostError> {
            Ok(Vec::new())
        }
        async fn scan(
            &self,
            _: &str,
            _: Option<&str>,
            _: &str,
            _: u32,
        ) -> Result<Vec<(String, Arc<str>)>, HostError> {
            Ok(Vec::new())
        }
        fn put(&self, _: &str, _: &str, _: String) -> Result<(), HostError> {
            Ok(())
        }
        fn delete(&self, _: &str, _: &str) -> Result<(), HostError> {
            Ok(())
        }
        fn increment(&self, _: &str, _: &str, _: &str, _: i64) -> Result<(), HostError> {
            Ok(())
        }
        fn config(&self, _: &str) -> Option<String> {
            None
        }
        fn log(&self, level: LogLevel, message: &str) {
            self.0.lock().expect("no test panics while it logs").push((level, message.to_owned()));
        }
    }

    fn logged(act: impl FnOnce(&mut GuestLog)) -> Vec<(LogLevel, String)> {
        let lines = Arc::new(Lines::default());
        let mut log = GuestLog::new(Some(lines.clone()));
        log.begin();
        act(&mut log);
        log.end();
        let lines = lines.0.lock().expect("no test panics while it logs");
        lines.clone()
    }

    #[test]
    fn streams_arrive_line_by_line() {
        let lines = logged(|log| {
            log.write(Stream::Stdout, b"one\ntw");
            log.write(Stream::Stderr, b"bad\r\n\n");
            log.write(Stream::Stdout, b"o\nrest \xff");
        });
        let expected = [
            (LogLevel::Info, "one"),
            (LogLevel::Warn, "bad"),
            (LogLevel::Info, "two"),
            (LogLevel::Info, "rest \u{fffd}"),
        ];
        assert_eq!(lines, expected.map(|(level, line)| (level, line.to_owned())));
    }

    #[test]
    fn a_flood_is_cut_counted_and_its_last_error_kept() {
        let lines = logged(|log| {
            for number in 0..1000 {
                log.line(LogLevel::Info, &number.to_string());
            }
            log.line(LogLevel::Error, "panicked");
            assert_eq!(log.last_output().0.as_deref(), Some("panicked"));
        });
        assert_eq!(lines.len(), 21);
        assert_eq!(lines[20].1, "981 more lines were dropped: at most 20 are kept for one event");
    }

    #[test]
    fn long_lines_are_cut_at_a_character() {
        for text in ["ä".repeat(5000), "€".repeat(5000)] {
            let by_log = logged(|log| log.line(LogLevel::Info, &text));
            let by_stream = logged(|log| log.write(Stream::Stdout, text.as_bytes()));
            for lines in [by_log, by_stream] {
                assert!(lines[0].1.len() <= limits::LOG_LINE_BYTES_MAX);
                assert!(lines[0].1.ends_with('…'));
            }
        }
    }
}
