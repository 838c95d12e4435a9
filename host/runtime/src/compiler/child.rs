//! The process that compiles: it bounds itself, reads one component, compiles it and tries it out, answers, and ends.
//!
//! It needs neither files nor environment. It does not say what it died of, since it cannot: that is read off its
//! remains by the process that started it.

use std::io::{self, BufReader, Read, Write};
use std::sync::Arc;

use super::protocol::{self, Reply, Request};
use crate::compiler_service::{CompileError, CompilerService, unsupported};
use crate::entry;
use crate::options::RuntimeError;

/// A compiler that could not begin.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(
        "this command is what Kennel starts to compile components, and what it read is not a request to do so; \
         `kennel inspect FILE` compiles a component and shows what it is"
    )]
    Request(#[source] io::Error),
    #[error("the limits under which components are compiled cannot be set")]
    Limits(#[source] io::Error),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error("the process that asked for a component to be compiled has gone away")]
    Pipe(#[from] io::Error),
}

/// Compiles one component on behalf of the process at the other end of `input` and `output`, which end up as the
/// standard streams of a process that was started for this. It sets limits for the whole process, and ends it as
/// soon as `input` is closed from the other end.
///
/// # Errors
/// If it was not started by another Kennel, or that has gone away.
pub fn serve(input: impl Read + Send + 'static, mut output: impl Write) -> Result<(), ServeError> {
    let mut input = BufReader::new(input);
    let request = protocol::read(&mut input).map_err(ServeError::Request)?;
    confine(&request).map_err(ServeError::Limits)?;
    let compiler_service = Arc::new(CompilerService::like(request.allocation, request.options())?);
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    protocol::write(
        &mut output,
        &Reply::Ready { compatibility: entry::compatibility(&compiler_service.shared.engine) },
    )?;
    let mut component = vec![0; request.component_bytes];
    input.read_exact(&mut component)?;
    end_with(input)?;
    match tokio.block_on(make(&compiler_service, component.into())) {
        Ok(entry) => {
            protocol::write(&mut output, &Reply::Compiled { bytes: entry.len() as u64 })?;
            output.write_all(&entry)?;
        }
        Err(CompileError::Unsupported(error)) => {
            protocol::write(&mut output, &Reply::Unsupported { message: error.message })?;
        }
        Err(CompileError::OutOfMemory) => protocol::write(&mut output, &Reply::OutOfMemory)?,
    }
    output.flush()?;
    Ok(())
}

/// The entry of a component that compiles and can describe itself.
async fn make(
    compiler_service: &Arc<CompilerService>,
    component: Arc<[u8]>,
) -> Result<Vec<u8>, CompileError> {
    let code = compiler_service.compile_aside(component, ()).await?;
    compiler_service.finish(&code).await?;
    let entry = entry::pack(&code);
    Ok(entry.map_err(|error| unsupported(format!("its compiled code cannot be passed on: {error:#}")))?)
}

/// Ends this process when the other end of its input is closed, as it is when the process there has died.
fn end_with(mut input: impl Read + Send + 'static) -> io::Result<()> {
    let watch = move || {
        // Nothing more is ever sent, so whatever comes is the end.
        let _ = input.read(&mut [0]);
        std::process::exit(1);
    };
    std::thread::Builder::new().name("kennel-parent".to_owned()).spawn(watch)?;
    Ok(())
}

/// Bounds this process and makes way for all others.
#[cfg(unix)]
fn confine(request: &Request) -> io::Result<()> {
    use rustix::process::{Resource, nice};
    /// How much less this process matters than the one that started it.
    const NICENESS: i32 = 10;
    // Private memory that may be written to. The addresses that an engine reserves do not count, as they would
    // under a limit of addresses.
    lower(Resource::Data, request.compile_memory_bytes_max, 0)?;
    // The first limit ends the process by a signal that names the reason, the second by one that cannot be ignored.
    lower(
        Resource::Cpu,
        request.compile_time_max.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX),
        1,
    )?;
    lower(Resource::Core, 0, 0)?;
    // From here on it is for the better, and a system that does not offer it is none the worse.
    let _ = nice(NICENESS);
    // The name that lists of processes show, and the first to go when the machine is short of memory.
    let _ = std::fs::write("/proc/self/comm", "kennel-compile");
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    Ok(())
}

#[cfg(not(unix))]
fn confine(_: &Request) -> io::Result<()> {
    Ok(())
}

/// Sets a limit, unless there is a lower one already.
#[cfg(unix)]
fn lower(resource: rustix::process::Resource, limit: u64, grace: u64) -> io::Result<()> {
    use rustix::process::{Rlimit, getrlimit, setrlimit};
    let before = getrlimit(resource);
    let least = |wanted: u64, before: Option<u64>| Some(before.map_or(wanted, |before| before.min(wanted)));
    let maximum = least(limit.saturating_add(grace), before.maximum);
    let current = least(limit, before.current);
    setrlimit(resource, Rlimit { current, maximum })?;
    Ok(())
}
