//! The command as it is built: it starts, and every subcommand shows how it is used.

use std::process::Command;

fn kennel(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_kennel")).args(arguments).output().expect("kennel starts");
    assert!(output.status.success(), "kennel {arguments:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn it_knows_its_version() {
    assert_eq!(kennel(&["--version"]).trim(), format!("kennel {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn every_subcommand_shows_examples() {
    let help = kennel(&["--help"]);
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands =
        commands.take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next());
    let commands: Vec<&str> = commands.filter(|command| *command != "help").collect();
    assert!(commands.len() >= 10, "{commands:?}");
    for command in commands {
        assert!(kennel(&[command, "--help"]).contains("Examples:"), "{command}");
    }
}
