//! What a host and its compiler say to one another: one line of JSON each way, then the component; one line back,
//! then the compiled code. Both ends are of the same build, so there is one version of it.

use std::io::{self, BufRead, Read as _, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::compiler_service::CompilerService;
use crate::engine::Allocation;
use crate::memory;
use crate::options::RuntimeOptions;

/// Longest line: an error has one sentence for each of a component's problems.
const LINE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A request to compile a component: for which engine, under which bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Request {
    /// Size of the component, which follows when the compiler is ready.
    pub(super) component_bytes: usize,
    pub(super) allocation: Allocation,
    memory_bytes_max: usize,
    describe_deadline: Duration,
    pub(super) compile_memory_bytes_max: u64,
    pub(super) compile_time_max: Duration,
}

/// What the compiler says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Reply {
    /// It is bounded and waits for the component. Its code fits an engine with this key.
    Ready { compatibility: String },
    /// The code follows, in an entry of so many bytes.
    Compiled { bytes: u64 },
    /// This host cannot run the component.
    Unsupported { message: String },
    /// Compiling takes more memory than there is.
    OutOfMemory,
}

impl Request {
    pub(super) fn new(compiler_service: &CompilerService, component_bytes: usize) -> Self {
        let options = &compiler_service.shared.options;
        // The other half is for everything that this process does meanwhile.
        let half = memory::total().map_or(u64::MAX, |bytes| bytes / 2);
        Self {
            component_bytes,
            allocation: compiler_service.allocation,
            memory_bytes_max: options.memory_bytes_max,
            describe_deadline: options.describe_deadline,
            compile_memory_bytes_max: options.compile_memory_bytes_max.min(half),
            compile_time_max: options.compile_time_max,
        }
    }

    /// The options of a runtime whose code fits, with room for the one instance that describes itself.
    pub(super) fn options(&self) -> RuntimeOptions {
        RuntimeOptions {
            instances_max: 1,
            memory_bytes_max: self.memory_bytes_max,
            describe_deadline: self.describe_deadline,
            ..RuntimeOptions::default()
        }
    }
}

/// Writes a line, from the host.
pub(super) async fn send(pipe: &mut (impl AsyncWrite + Unpin), request: &Request) -> io::Result<()> {
    pipe.write_all(&line(request)?).await?;
    pipe.flush().await
}

/// Reads a line, in the host. None: the other end is closed.
pub(super) async fn receive(pipe: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Reply>> {
    let mut line = Vec::new();
    pipe.take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await?;
    if line.last() != Some(&b'\n') {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&line)?))
}

/// Reads the request, in the compiler.
pub(super) fn read(pipe: &mut impl BufRead) -> io::Result<Request> {
    let mut line = Vec::new();
    pipe.take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
    Ok(serde_json::from_slice(&line)?)
}

/// Writes a reply, from the compiler.
pub(super) fn write(pipe: &mut impl Write, reply: &Reply) -> io::Result<()> {
    pipe.write_all(&line(reply)?)?;
    pipe.flush()
}

fn line(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}
