//! Standard streams: input is empty, output goes line by line to the projection's log, and none is a terminal.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::cli::{
    stderr, stdin, stdout, terminal_input, terminal_output, terminal_stderr, terminal_stdin, terminal_stdout,
};
use wasmtime_wasi::p2::pipe::ClosedInputStream;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, OutputStream, Pollable, StreamResult};

use super::{GuestLog, Stream};
use crate::capability::{Capabilities, Holder};

/// Most bytes that a guest may write to a stream in one call.
const WRITE_BYTES_MAX: usize = 64 * 1024;

/// The interfaces of standard streams.
pub(super) const INTERFACES: [&str; 8] = [
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
];

pub(super) fn link<T: Holder>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    stderr::add_to_linker::<T, Streams<'static>>(linker, streams)?;
    stdin::add_to_linker::<T, Streams<'static>>(linker, streams)?;
    stdout::add_to_linker::<T, Streams<'static>>(linker, streams)?;
    terminal_input::add_to_linker::<T, Streams<'static>>(linker, streams)?;
    terminal_output::add_to_linker::<T, Streams<'static>>(linker, streams)?;
    terminal_stderr::add_to_linker::<T, Streams<'static>>(linker, streams)?;
    terminal_stdin::add_to_linker::<T, Streams<'static>>(linker, streams)?;
    terminal_stdout::add_to_linker::<T, Streams<'static>>(linker, streams)
}

/// The streams of one instance.
struct Streams<'a> {
    log: &'a Arc<Mutex<GuestLog>>,
    table: &'a mut ResourceTable,
}

impl HasData for Streams<'static> {
    type Data<'a> = Streams<'a>;
}

fn streams<T: Holder>(data: &mut T) -> Streams<'_> {
    let Capabilities { log, table, .. } = data.capabilities();
    Streams { log: &log.lines, table }
}

impl Streams<'_> {
    fn output(&mut self, stream: Stream) -> wasmtime::Result<Resource<DynOutputStream>> {
        let output: DynOutputStream = Box::new(LogStream { log: Arc::clone(self.log), stream });
        Ok(self.table.push(output)?)
    }
}

impl stdin::Host for Streams<'_> {
    fn get_stdin(&mut self) -> wasmtime::Result<Resource<DynInputStream>> {
        let input: DynInputStream = Box::new(ClosedInputStream);
        Ok(self.table.push(input)?)
    }
}

impl stdout::Host for Streams<'_> {
    fn get_stdout(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        self.output(Stream::Stdout)
    }
}

impl stderr::Host for Streams<'_> {
    fn get_stderr(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        self.output(Stream::Stderr)
    }
}

impl terminal_input::Host for Streams<'_> {}

impl terminal_input::HostTerminalInput for Streams<'_> {
    fn drop(&mut self, terminal: Resource<terminal_input::TerminalInput>) -> wasmtime::Result<()> {
        self.table.delete(terminal)?;
        Ok(())
    }
}

impl terminal_output::Host for Streams<'_> {}

impl terminal_output::HostTerminalOutput for Streams<'_> {
    fn drop(&mut self, terminal: Resource<terminal_output::TerminalOutput>) -> wasmtime::Result<()> {
        self.table.delete(terminal)?;
        Ok(())
    }
}

impl terminal_stdin::Host for Streams<'_> {
    fn get_terminal_stdin(&mut self) -> wasmtime::Result<Option<Resource<terminal_input::TerminalInput>>> {
        Ok(None)
    }
}

impl terminal_stdout::Host for Streams<'_> {
    fn get_terminal_stdout(&mut self) -> wasmtime::Result<Option<Resource<terminal_output::TerminalOutput>>> {
        Ok(None)
    }
}

impl terminal_stderr::Host for Streams<'_> {
    fn get_terminal_stderr(&mut self) -> wasmtime::Result<Option<Resource<terminal_output::TerminalOutput>>> {
        Ok(None)
    }
}

/// Output that is written in place: a background task would log lines after their event has ended.
struct LogStream {
    log: Arc<Mutex<GuestLog>>,
    stream: Stream,
}

impl OutputStream for LogStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).write(self.stream, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

#[async_trait::async_trait]
impl Pollable for LogStream {
    async fn ready(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_has_ended_and_no_stream_is_a_terminal() {
        let log = Arc::new(Mutex::new(GuestLog::new(None)));
        let mut streams = Streams { log: &log, table: &mut ResourceTable::new() };
        let input = stdin::Host::get_stdin(&mut streams).unwrap();
        assert!(streams.table.get_mut(&input).unwrap().read(1).is_err());
        assert!(terminal_stdin::Host::get_terminal_stdin(&mut streams).unwrap().is_none());
        assert!(terminal_stdout::Host::get_terminal_stdout(&mut streams).unwrap().is_none());
        assert!(terminal_stderr::Host::get_terminal_stderr(&mut streams).unwrap().is_none());
        let output = stderr::Host::get_stderr(&mut streams).unwrap();
        streams.table.get_mut(&output).unwrap().write(Bytes::from_static(b"lost\n")).unwrap();
        assert_eq!(log.lock().unwrap().last_output().1, "lost");
    }
}
