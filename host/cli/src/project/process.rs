//! Tools as processes. They end when the command that started them is dropped.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};

use tokio::process::Command;

use crate::exit::ExitKind;

/// A process of `program` in `folder`.
pub(crate) fn command(program: impl AsRef<OsStr>, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs a tool. All that it prints goes to standard error, which is where people look for it, and where it does not
/// mix with data.
pub(crate) async fn run(command: &mut Command) -> anyhow::Result<()> {
    command.stdout(std::io::stderr()).stderr(Stdio::inherit());
    let status = command.status().await.map_err(|error| cannot_start(command, &error))?;
    if status.success() { Ok(()) } else { Err(failed(command, status)) }
}

/// Runs a tool and returns what it prints to standard output; its messages are shown.
pub(crate) async fn output(command: &mut Command) -> anyhow::Result<String> {
    command.stdout(Stdio::piped()).stderr(Stdio::inherit());
    let tool = command.spawn().map_err(|error| cannot_start(command, &error))?;
    // `output` of a command of tokio would take its messages, too.
    let output = tool.wait_with_output().await.map_err(|error| cannot_start(command, &error))?;
    if !output.status.success() {
        return Err(failed(command, output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What a tool answers, if it does; nothing of it is shown.
pub(crate) async fn answer(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().await.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// What comes of a question to a tool, which is not shown.
pub(crate) async fn outcome(command: &mut Command) -> anyhow::Result<Output> {
    command.output().await.map_err(|error| cannot_start(command, &error))
}

fn cannot_start(command: &Command, error: &std::io::Error) -> anyhow::Error {
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
