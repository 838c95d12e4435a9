//! What holds for the subcommands, and for the help of each.

use clap::CommandFactory as _;
use kennel_core::lifecycle::OperationKind;

use super::Cli;

/// Most characters of a line that is not wrapped: an example.
const EXAMPLE_CHARS_MAX: usize = 96;

/// Terminals are of all widths: paragraphs are one line each, wrapped where they are shown, and only lines that must
/// not be wrapped are short.
#[test]
fn help_fits_every_terminal() {
    let mut command = Cli::command();
    command.build();
    let all = command.get_subcommands().filter(|one| !one.is_hide_set() && one.get_name() != "help");
    for one in all {
        let name = one.get_name();
        let help = one.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(help.starts_with("Examples:\n  "), "{name} has no examples: {help}");
        for (line, next) in help.lines().zip(help.lines().skip(1).chain([""])) {
            if line.is_empty() {
                continue;
            }
            if line.starts_with(' ') {
                assert!(line.chars().count() <= EXAMPLE_CHARS_MAX, "{name}: make this two lines: {line}");
            } else {
                let is_over = next.is_empty() || next.starts_with(' ');
                assert!(is_over, "{name}: make this one line, with a backslash at its end: {line}");
            }
        }
    }
}

#[test]
fn every_operation_is_a_subcommand_of_its_name() {
    let command = Cli::command();
    for kind in OperationKind::ALL {
        assert!(command.get_subcommands().any(|one| one.get_name() == kind.as_str()), "kennel {kind}");
    }
}
