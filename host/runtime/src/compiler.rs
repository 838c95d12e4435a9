//! Has components compiled by a process of its own, so that one which is made to exhaust a compiler exhausts
//! nothing else. This is the host's end of the pipe; [`child`] is the other.
//!
//! Nothing is sent to a process that has not proved to be a compiler of this build, so a component never decides
//! whether the compiler can be used: before that every failure is the host's, after it every failure is the
//! component's. Neither is a reason to compile without it. The process gets no environment, keeps no files, is killed
//! when no caller waits for it any longer, and ends by itself when this process does.

pub(crate) mod child;
mod death;
mod protocol;

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use kennel_core::limits;
use kennel_core::port::ComponentError;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use self::death::Death;
use self::protocol::{Reply, Request};
use crate::compiler_service::{CompilerService, unsupported};
use crate::entry;
use crate::options::Compiler;

/// Bytes of standard error that are kept: the last ones, in which a process says why it dies.
const LAST_OUTPUT_BYTES_MAX: usize = 4096;
/// How long a process that has closed its output may take to be gone before it is killed.
const EXIT_MAX: Duration = Duration::from_secs(5);

/// Why there is no compiled code.
#[derive(Debug)]
pub(crate) enum Failed {
    /// It is the component's doing.
    Unsupported(ComponentError),
    /// The compiler never was ready for any component.
    Unusable(String),
}

/// How a compiler that was at work came to an end.
enum Outcome {
    Compiled(Vec<u8>),
    Unsupported(ComponentError),
    OutOfMemory,
    OutOfTime,
    /// Without a reply.
    Died,
}

/// Compiles a component for a compiler service, in a process of its own.
pub(crate) async fn compile(
    compiler: &Compiler,
    compiler_service: &CompilerService,
    component: &[u8],
) -> Result<Vec<u8>, Failed> {
    let request = Request::new(compiler_service, component.len());
    let mut process = start(compiler).map_err(|error| Failed::Unusable(error.to_string()))?;
    let (Some(mut stdin), Some(stdout), Some(stderr)) =
        (process.stdin.take(), process.stdout.take(), process.stderr.take())
    else {
        return Err(Failed::Unusable("it has no pipes".to_owned()));
    };
    // On its own, so that a process with much to say never waits for its reader. It ends with the process.
    let last_output = tokio::spawn(last_output(stderr));
    let mut stdout = BufReader::new(stdout);
    let expected = entry::compatibility(&compiler_service.shared.engine);
    let greeted = greet(&request, &expected, &mut stdin, &mut stdout).await;
    let outcome = match &greeted {
        Ok(()) => work(&request, component, &mut stdin, &mut stdout).await,
        Err(_) => {
            // The end of its input ends most programs.
            drop(stdin);
            Outcome::Died
        }
    };
    let status = end(&mut process, matches!(outcome, Outcome::Died)).await;
    let last_output = timeout(EXIT_MAX, last_output).await.ok().and_then(Result::ok).unwrap_or_default();
    if let Err(problem) = greeted {
        return Err(Failed::Unusable(unusable(&problem, status, &last_output)));
    }
    let death = match outcome {
        Outcome::Compiled(entry) => return Ok(entry),
        Outcome::Unsupported(error) => {
            // If anything, a panic that became an error.
            if !last_output.is_empty() {
                tracing::warn!(stderr = last_output.trim(), "the compiler has something to say");
            }
            return Err(Failed::Unsupported(error));
        }
        Outcome::OutOfMemory => Death::Memory,
        Outcome::OutOfTime => Death::Time,
        Outcome::Died => death::cause(status, &last_output),
    };
    if matches!(death, Death::Crashed(_)) {
        // The recipient of the report needs it.
        let (status, stderr) = (status.map(tracing::field::display), last_output.trim());
        tracing::warn!(status, stderr, "the compiler crashed");
    }
    Err(Failed::Unsupported(unsupported(death.describe(&request))))
}

fn start(compiler: &Compiler) -> io::Result<Child> {
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let mut command = Command::new(&compiler.program);
    command
        .args(&compiler.arguments)
        // What the environment holds, passwords for example, is nothing to a compiler.
        .env_clear()
        .env("RAYON_NUM_THREADS", threads.min(limits::COMPILE_THREADS_MAX).to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    // Ctrl-C at a terminal asks this process to stop; it decides itself what becomes of its compiler.
    #[cfg(unix)]
    command.process_group(0);
    command.spawn()
}

/// Sends the request, and receives whether a compiler of this build is ready for it.
async fn greet(
    request: &Request,
    expected: &str,
    stdin: &mut ChildStdin,
    stdout: &mut BufReader<ChildStdout>,
) -> Result<(), String> {
    let talk = async {
        // One that does not read the request does not answer it either.
        let _ = protocol::send(stdin, request).await;
        protocol::receive(stdout).await
    };
    let start_max = limits::COMPILER_START_MAX;
    match timeout(start_max, talk).await {
        Err(_) => Err(format!("it was not ready after {} s", start_max.as_secs())),
        Ok(Ok(Some(Reply::Ready { compatibility }))) if compatibility == expected => Ok(()),
        Ok(Ok(Some(Reply::Ready { .. }))) => {
            Err("it is another version or build of this program: install both from the same release"
                .to_owned())
        }
        Ok(Ok(Some(_))) => Err("it answered before it was asked".to_owned()),
        Ok(Ok(None)) => Err("it ended without an answer".to_owned()),
        Ok(Err(error)) => Err(format!("its answer makes no sense: {error}")),
    }
}

/// Passes on the component and waits for the outcome.
async fn work(
    request: &Request,
    component: &[u8],
    stdin: &mut ChildStdin,
    stdout: &mut BufReader<ChildStdout>,
) -> Outcome {
    let talk = async {
        // One that dies over its work does not read all of it. Standard input stays open: its end is how the
        // compiler learns that this process is gone.
        let _ = stdin.write_all(component).await;
        let reply = protocol::receive(stdout).await?;
        Ok::<_, io::Error>(match reply {
            Some(Reply::Compiled { bytes }) if bytes <= request.compile_memory_bytes_max => {
                let mut entry = Vec::with_capacity(usize::try_from(bytes).unwrap_or_default());
                stdout.take(bytes).read_to_end(&mut entry).await?;
                if entry.len() as u64 == bytes { Outcome::Compiled(entry) } else { Outcome::Died }
            }
            Some(Reply::Unsupported { message }) => Outcome::Unsupported(unsupported(message)),
            Some(Reply::OutOfMemory) => Outcome::OutOfMemory,
            Some(Reply::Compiled { .. } | Reply::Ready { .. }) | None => Outcome::Died,
        })
    };
    match timeout(request.compile_time_max, talk).await {
        Ok(outcome) => outcome.unwrap_or(Outcome::Died),
        Err(_) => Outcome::OutOfTime,
    }
}

/// Sees to it that the process is gone and leaves nothing behind. One that `is_dying` is given the time to end in its
/// own way, which shows why.
async fn end(process: &mut Child, is_dying: bool) -> Option<ExitStatus> {
    if is_dying && let Ok(status) = timeout(EXIT_MAX, process.wait()).await {
        return status.ok();
    }
    // It fails if the process has ended already, which is as good.
    let _ = process.start_kill();
    timeout(EXIT_MAX, process.wait()).await.ok()?.ok()
}

/// The end of what a process says before it closes its standard error.
async fn last_output(mut stderr: impl AsyncRead + Unpin) -> String {
    let mut output = Vec::new();
    let mut chunk = [0; 1024];
    while let Ok(length @ 1..) = stderr.read(&mut chunk).await {
        output.extend_from_slice(&chunk[..length]);
        let superfluous = output.len().saturating_sub(LAST_OUTPUT_BYTES_MAX);
        output.drain(..superfluous);
    }
    String::from_utf8_lossy(&output).into_owned()
}

/// The problem of a program, with its last output and how it ended.
fn unusable(problem: &str, status: Option<ExitStatus>, last_output: &str) -> String {
    let mut text = problem.to_owned();
    if let Some(status) = status {
        text.push_str(&format!(" ({status})"));
    }
    if let Some(last) = last_output.lines().map(str::trim).rfind(|line| !line.is_empty()) {
        text.push_str(&format!(": {}", limits::cut(last, limits::ERROR_BYTES_MAX)));
    }
    text
}
