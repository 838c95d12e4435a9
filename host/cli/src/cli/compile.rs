//! `kennel compile`: what other commands start to compile a component in a process of its own. It reads no
//! configuration and keeps no log: the command that started it speaks for it.

use std::process::ExitCode;

use clap::Args;

use crate::exit::{ExitKind, ResultExt as _};
use crate::wire::{ServeError, serve_compiler};

/// Compiles a component for the command that starts it; not for people.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kennel inspect order-summary.wasm")]
pub(super) struct Compile {}

impl Compile {
    pub(super) fn execute(&self) -> anyhow::Result<ExitCode> {
        match serve_compiler(std::io::stdin(), std::io::stdout().lock()) {
            Err(error @ ServeError::Request(_)) => Err(error).kind(ExitKind::Input),
            served => Ok(served.map(|()| ExitCode::SUCCESS)?),
        }
    }
}
