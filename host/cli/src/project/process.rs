//! Tools as processes. They end when the command that started them is dropped, with everything that they have started.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Command;

use crate::exit::ExitKind;

/// A process of `program` in `folder`.
pub(crate) fn command(program: impl AsRef<OsStr>, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).stdin(Stdio::null()).kill_on_drop(true).process_group(0);
    command
}

/// The exit code of scripts of SDKs that means that tools are missing.
pub(crate) const TOOLS_ARE_MISSING: i32 = 3;

/// Runs a tool. All that it prints goes to standard error, which is where people look for it, and where it does not
/// mix with data.
pub(crate) async fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = shown_status(command).await?;
    if status.success() { Ok(()) } else { Err(failed(command, status)) }
}

/// Runs a script of an SDK, as [`run`] does.
pub(crate) async fn run_script(command: &mut Command) -> anyhow::Result<()> {
    let status = shown_status(command).await?;
    match status.code() {
        Some(0) => Ok(()),
        Some(TOOLS_ARE_MISSING) => {
            let script = shown(command);
            Err(ExitKind::Missing
                .error(format!("a tool is missing that {script} needs; its messages are above")))
        }
        _ => Err(failed(command, status)),
    }
}

async fn shown_status(command: &mut Command) -> anyhow::Result<ExitStatus> {
    command.stdout(io::stderr()).stderr(Stdio::inherit());
    let output = finished(command).await.map_err(|error| cannot_start(command, &error))?;
    Ok(output.status)
}

/// Runs a tool and returns what it prints to standard output; its messages are shown.
pub(crate) async fn output(command: &mut Command) -> anyhow::Result<String> {
    command.stdout(Stdio::piped()).stderr(Stdio::inherit());
    let output = finished(command).await.map_err(|error| cannot_start(command, &error))?;
    if !output.status.success() {
        return Err(failed(command, output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What a tool answers, if it does; nothing of it is shown.
pub(crate) async fn answer(command: &mut Command) -> Option<String> {
    let output = finished(command.stdout(Stdio::piped()).stderr(Stdio::null())).await.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// What comes of a question to a tool, which is not shown.
pub(crate) async fn outcome(command: &mut Command) -> anyhow::Result<Output> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    finished(command).await.map_err(|error| cannot_start(command, &error))
}

/// Runs a tool to its end. `Command::output` would keep its messages, wherever they are to go.
async fn finished(command: &mut Command) -> io::Result<Output> {
    let tool = command.spawn()?;
    let mut group = Group(tool.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)));
    let output = tool.wait_with_output().await?;
    group.0 = None;
    Ok(output)
}

/// The processes of a tool that has not ended. They end when this is dropped.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // There may be none left.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

fn cannot_start(command: &Command, error: &io::Error) -> anyhow::Error {
    ExitKind::Input.error(format!("cannot start {}: {error}", shown(command)))
}

fn failed(command: &Command, status: ExitStatus) -> anyhow::Error {
    ExitKind::Input.error(format!("{} failed ({status}); its messages are above", shown(command)))
}

/// The name of the program or of the script that it runs, with its first argument if that is a subcommand.
fn shown(command: &Command) -> String {
    let command = command.as_std();
    let name = |path: &OsStr| Path::new(path).file_name().unwrap_or(path).to_string_lossy().into_owned();
    match command.get_args().next() {
        Some(script) if Path::new(script).is_absolute() => format!("`{}`", name(script)),
        Some(word) if word.to_string_lossy().chars().all(|c| c.is_ascii_alphabetic()) => {
            format!("`{} {}`", name(command.get_program()), word.to_string_lossy())
        }
        _ => format!("`{}`", name(command.get_program())),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Read as _};
    use std::time::Duration;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn what_a_tool_has_started_ends_with_it() {
        let (reader, writer) = io::pipe().unwrap();
        let tool = tokio::spawn(async move {
            let mut script = command("sh", Path::new("/"));
            // The pipe ends when the last process has, which has it as its standard error.
            script.args(["-c", "sleep 3600 & echo begun >&2; wait"]).stdout(Stdio::null()).stderr(writer);
            let spawned = finished(&mut script);
            spawned.await.unwrap();
        });
        let mut reader = BufReader::new(reader);
        let reading = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            (line, reader)
        });
        let (line, mut reader) = tokio::time::timeout(DEADLINE, reading).await.unwrap().unwrap();
        assert_eq!(line, "begun\n");
        tool.abort();
        let ending = tokio::task::spawn_blocking(move || reader.read_to_string(&mut String::new()).unwrap());
        let rest = tokio::time::timeout(DEADLINE, ending).await.expect("all processes end").unwrap();
        assert_eq!(rest, 0);
    }

    #[tokio::test]
    async fn the_answer_is_the_output_of_the_tool() {
        let sh = |script: &str| {
            let mut command = command("sh", Path::new("/"));
            command.args(["-c", script]);
            command
        };
        assert_eq!(output(&mut sh("echo yes")).await.unwrap(), "yes\n");
        assert_eq!(answer(&mut sh("echo yes")).await.as_deref(), Some("yes"));
        assert_eq!(answer(&mut sh("echo no; exit 1")).await, None);
        let outcome = outcome(&mut sh("echo out; echo err >&2; exit 3")).await.unwrap();
        assert_eq!((&*outcome.stdout, &*outcome.stderr), (&b"out\n"[..], &b"err\n"[..]));
        assert_eq!(outcome.status.code(), Some(3));
        let error = run(&mut sh("exit 2")).await.unwrap_err().to_string();
        assert!(error.contains("`sh` failed (exit status: 2)"), "{error}");
    }
}
