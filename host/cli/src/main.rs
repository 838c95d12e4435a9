//! The `kennel` command. Everything it does lives in the library.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    kennel_cli::cli::Cli::parse().main()
}
