//! Components are compiled in a process of their own: one that is ruinous to compile ruins neither the command that was
//! given it nor any other process, and no process outlives the one that started it.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use kennel_tests::binary::{Kennel, Printed, Running, now, wait_until};
use kennel_tests::components::{self, guest};
use kennel_tests::events::orders;
use serde_json::json;

const SOON: Duration = Duration::from_secs(60);

fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

/// A command in the background, with a cache of its own in the store's folder.
fn start(kennel: &Kennel, arguments: &[&str]) -> Running {
    let mut command = kennel.command(arguments);
    command.env("KENNEL_CACHE", kennel.folder().join("cache"));
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("kennel starts").into()
}

/// The same, to its end.
fn run(kennel: &Kennel, arguments: &[&str]) -> Printed {
    let mut command = kennel.command(arguments);
    let output = command.env("KENNEL_CACHE", kennel.folder().join("cache")).output().expect("kennel starts");
    let Output { status, stdout, stderr } = output;
    let text = |bytes| String::from_utf8(bytes).expect("kennel prints UTF-8");
    Printed { stdout: text(stdout), stderr: text(stderr), code: status.code() }
}

/// The files in the cache of [`start`] and [`run`].
fn cached(kennel: &Kennel) -> Vec<PathBuf> {
    let Ok(files) = fs::read_dir(kennel.folder().join("cache")) else { return Vec::new() };
    files.map(|file| file.expect("a readable entry").path()).collect()
}

/// The process that compiles for another, once it has the component.
fn compiler_of(parent: u32) -> u32 {
    let read = |path: String| fs::read_to_string(path).unwrap_or_default();
    let is_at_work = |pid: &u32| {
        let stat = read(format!("/proc/{pid}/stat"));
        let of_parent = stat.rsplit_once(") ").is_some_and(|(_, rest)| {
            rest.split_whitespace().nth(1).is_some_and(|field| field == parent.to_string())
        });
        let mut threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        of_parent
            && threads.any(|thread| {
                let name = fs::read_to_string(thread.path().join("comm")).unwrap_or_default();
                name.trim() == "kennel-parent"
            })
    };
    let mut found = None;
    wait_until("the compiler is at work", SOON, || {
        let names = fs::read_dir("/proc").expect("a list of processes").flatten();
        let mut pids = names.filter_map(|name| name.file_name().to_str()?.parse().ok());
        found = pids.find(is_at_work);
        found.is_some()
    });
    found.expect("it was found")
}

/// Whether a process runs no longer. Which process reaps it when its parent is gone is not ours to say.
fn has_ended(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
}

/// The most memory that a process has had, in MiB.
fn memory_peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|peak| peak.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

#[test]
fn a_bomb_is_rejected_and_disturbs_no_other_process() {
    let kennel = Kennel::default();
    kennel.ok(&["deploy", "order-summary", text(&guest("order-summary"))]);
    let running = kennel.start(&["run", "--listen", "127.0.0.1:0"]);
    let bomb = kennel.write("bomb.wasm", components::memory_bomb());
    let log = kennel.folder().join("deploy.log");
    let began = now();
    let mut command = kennel.command(&["deploy", "bomb", text(&bomb)]);
    command.env("KENNEL_CACHE", kennel.folder().join("cache"));
    command.stdout(Stdio::null()).stderr(fs::File::create(&log).expect("a file for the test"));
    let mut deploying = command.spawn().expect("kennel starts");

    // Meanwhile the log grows, and the running process keeps up with it.
    let lines = orders(200);
    let lines: Vec<&str> = lines.lines().collect();
    let (mut peak, mut head, mut rounds) = (0, 0, 0);
    let code = loop {
        if let Some(status) = deploying.try_wait().expect("the process can be asked") {
            break status.code();
        }
        assert!(began.elapsed() < Duration::from_secs(120), "the bomb is still being compiled");
        peak = peak.max(memory_peak(deploying.id()));
        if rounds < 60 {
            let events = kennel.write("events.jsonl", lines[rounds * 20..(rounds + 1) * 20].join("\n"));
            kennel.ok(&["append", "--from", text(&events)]);
            (head, rounds) = (head + 20, rounds + 1);
            wait_until("the events are handled", SOON, || kennel.status("order-summary")["position"] == head);
        }
    };
    let printed = fs::read_to_string(&log).expect("the output of the command");
    assert_eq!(code, Some(4), "{printed}");
    // Machines with little memory allow less.
    assert!(printed.starts_with("error: "), "{printed}");
    assert!(printed.contains("bomb.wasm: compiling it took more than "), "{printed}");
    let message = " MiB of memory, the most that is allowed: build it in release mode, and split functions that are very \
                 large or very deeply nested\n";
    assert!(printed.ends_with(message), "{printed}");
    assert_eq!(printed.lines().count(), 1, "it is said once: {printed}");
    assert!(rounds >= 2, "{rounds} rounds");
    assert!((1..200).contains(&peak), "the command that was given the bomb took {peak} MiB");
    assert!(memory_peak(running.pid()) < 200, "{} MiB", memory_peak(running.pid()));
    assert_eq!(cached(&kennel).len(), 0);
    let deployed = kennel.json(&["status", "--json"]);
    assert_eq!(deployed["projections"].as_array().map(Vec::len), Some(1), "{deployed:#}");
    running.signal("TERM");
    assert_eq!(running.wait(SOON), Some(0));
}

#[test]
fn a_compiler_ends_with_the_command_that_started_it() {
    for signal in ["KILL", "TERM", "INT"] {
        let kennel = Kennel::default();
        let bomb = kennel.write("bomb.wasm", components::time_bomb());
        let deploying = start(&kennel, &["deploy", "bomb", text(&bomb)]);
        let compiler = compiler_of(deploying.pid());
        assert!(!has_ended(compiler));
        deploying.signal(signal);
        assert_eq!(deploying.wait(SOON), None, "a signal ends the command");
        wait_until("the compiler ends", SOON, || has_ended(compiler));
        assert_eq!(cached(&kennel).len(), 0);
    }
}

#[test]
fn a_compiler_that_is_killed_is_reported_and_the_next_one_does_its_work() {
    let kennel = Kennel::default();
    let bomb = kennel.write("bomb.wasm", components::time_bomb());
    let mut command = kennel.command(&["deploy", "bomb", text(&bomb)]);
    let deploying =
        command.env("KENNEL_CACHE", kennel.folder().join("cache")).spawn().expect("kennel starts");
    let compiler = compiler_of(deploying.id());
    let killed = std::process::Command::new("kill").args(["-9", &compiler.to_string()]).status();
    assert!(killed.expect("kill runs").success());
    let output = deploying.wait_with_output().expect("kennel ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    assert!(stderr.contains("the process that compiled it was killed (signal 9)"), "{stderr}");
    assert_eq!(cached(&kennel).len(), 0);
    let next = run(&kennel, &["deploy", "order-summary", text(&guest("order-summary"))]);
    assert_eq!((next.code, next.stderr.as_str()), (Some(0), ""));
    assert_eq!(cached(&kennel).len(), 1);
}

#[test]
fn many_commands_that_compile_the_same_at_once_leave_one_entry() {
    let kennel = Kennel::default();
    let file = guest("audit-log");
    let inspect = ["inspect", text(&file)];
    let running: Vec<Running> = (0..6).map(|_| start(&kennel, &inspect)).collect();
    for one in running {
        assert_eq!(one.wait(SOON), Some(0));
    }
    let files = cached(&kennel);
    assert!(matches!(&files[..], [entry] if entry.extension().is_some_and(|e| e == "cwasm")), "{files:?}");

    // Damage is noticed, reported, and repaired.
    let sound = fs::read(&files[0]).expect("the entry can be read");
    fs::write(&files[0], &sound[..sound.len() / 2]).expect("the entry can be written");
    let repaired = run(&kennel, &inspect);
    assert_eq!(repaired.code, Some(0));
    assert!(repaired.stderr.contains("damaged"), "{}", repaired.stderr);
    assert_eq!(fs::read(&files[0]).expect("the entry can be read"), sound);
    let quiet = run(&kennel, &inspect);
    assert_eq!((quiet.code, quiet.stderr.as_str(), quiet.stdout == repaired.stdout), (Some(0), "", true));
}

/// An upgrade replaces the program's file under the processes that still run: these go on with what they are.
#[test]
fn a_running_host_compiles_with_itself_when_its_file_is_gone() {
    let kennel = Kennel::default();
    let program = kennel.folder().join("kennel-of-yesterday");
    fs::copy(kennel.command(&[]).get_program(), &program).expect("the program can be copied");
    let log = kennel.folder().join("run.log");
    let template = kennel.command(&[]);
    let mut command = std::process::Command::new(&program);
    command.args(["run", "--listen", "127.0.0.1:0"]).current_dir(kennel.folder());
    for (name, value) in template.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command.env("KENNEL_CACHE", kennel.folder().join("cache"));
    command.stdout(Stdio::null()).stderr(fs::File::create(&log).expect("a file for the test"));
    let mut running = None;
    // Whatever was started while the copy was written may still hold it open.
    wait_until("the copy can be run", SOON, || match command.spawn() {
        Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => false,
        started => {
            running = Some(Running::from(started.expect("kennel starts")));
            true
        }
    });
    let running = running.expect("it runs");
    let said = || fs::read_to_string(&log).unwrap_or_default();
    wait_until("the host is up", SOON, || said().contains("serving"));
    fs::remove_file(&program).expect("the program's file can be removed");

    kennel.ok(&["deploy", "order-summary", text(&guest("order-summary"))]);
    let events = kennel.write("events.jsonl", orders(10));
    kennel.ok(&["append", "--from", text(&events)]);
    wait_until("the events are handled", SOON, || kennel.status("order-summary")["position"] == json!(60));
    assert_eq!(cached(&kennel).len(), 1, "it was compiled here");
    running.signal("TERM");
    assert_eq!(running.wait(SOON), Some(0));
    assert!(!said().contains("WARN"), "{}", said());
}

#[test]
fn started_by_hand_the_subcommand_says_what_it_is_for() {
    let kennel = Kennel::default();
    // Whatever is wrong with the configuration, it does not concern it.
    kennel.write("kennel.toml", "nonsense");
    let printed = kennel.run(&["compile"]);
    assert_eq!(printed.code, Some(4));
    assert!(printed.stderr.starts_with("error: this command is what Kennel starts to compile components"));
    assert!(printed.stderr.contains("`kennel inspect FILE`"), "{}", printed.stderr);
    assert_eq!(printed.stdout, "");
}
