//! Compiling in a process of its own: what it makes, what it survives, what it leaves behind. The compiler is this
//! test binary, which starts itself; where a compiler has to misbehave, it is a shell script.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use insta::assert_snapshot;
use kennel_core::digest::Digest;
use kennel_core::port::{CodeSource, Component, Runtime as _};
use kennel_runtime::{Compiler, RuntimeOptions, WasmRuntime};
use tokio::time::{Instant, sleep};

use crate::bombs;
use crate::objects::{CATCH, with_objects};
use crate::support::{self, Recorder, WIT, dummy, event, guest, guest_core, prepare, runtime_with, wrap};

/// The compiler's process. Its standard output would have the test harness's own lines in it, so it uses another.
#[test]
#[ignore = "a part of the tests below"]
fn serve() {
    let output = fs::File::options().write(true).open("/dev/fd/3").unwrap();
    kennel_runtime::serve_compiler(std::io::stdin(), output).unwrap();
}

/// This binary, run as a compiler. The process can be found by the mark.
fn compiler(mark: &str) -> Compiler {
    let script = r#"exec "$0" --exact compiler::serve --ignored --nocapture --skip "$1" 3>&1 >/dev/null"#;
    let program = std::env::current_exe().unwrap();
    let arguments = ["-c".into(), script.into(), program.into(), mark.into()];
    Compiler { program: "/bin/sh".into(), arguments: arguments.to_vec() }
}

/// A shell script instead of a compiler.
fn script(script: &str) -> Compiler {
    Compiler { program: "/bin/sh".into(), arguments: vec!["-c".into(), script.into()] }
}

fn runtime(mark: &str, cache: Option<&Path>, change: impl FnOnce(&mut RuntimeOptions)) -> Arc<WasmRuntime> {
    Arc::new(runtime_with(|options| {
        options.compiler = Some(compiler(mark));
        options.cache_dir = cache.map(Path::to_owned);
        change(options);
    }))
}

async fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(60), "waited in vain: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// The process of the compiler with this mark, once it is at work.
async fn process(mark: &str) -> rustix::process::Pid {
    let mut found = None;
    let at_work = |pid: &str| {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        // This thread begins when the whole component has arrived.
        let watches = |thread: fs::DirEntry| {
            fs::read_to_string(thread.path().join("comm")).is_ok_and(|name| name.trim() == "kennel-parent")
        };
        String::from_utf8_lossy(&arguments).contains(mark) && threads.any(watches)
    };
    wait_until("the compiler starts", || {
        let mut pids =
            fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
        found = pids.find_map(|pid| at_work(&pid).then(|| pid.parse().unwrap()));
        found.is_some()
    })
    .await;
    rustix::process::Pid::from_raw(found.unwrap()).unwrap()
}

/// Waits until a process is gone altogether: not even its parent has to be notified any more.
async fn gone(process: rustix::process::Pid) {
    let path = format!("/proc/{}", process.as_raw_pid());
    wait_until("the compiler's process is gone", || !Path::new(&path).exists()).await;
}

fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).unwrap().next().is_none()
}

/// What a component's handler puts.
async fn effect(component: &Arc<dyn Component>) -> String {
    let env = Arc::new(Recorder::default());
    let mut instance = component.instantiate(env.clone()).await.map_err(support::describe).unwrap();
    instance.handle(&event(1), 1).await.map_err(support::describe).unwrap();
    format!("{:?}", env.documents.lock().unwrap())
}

const PUT: &str = "(call $put (i32.const 1031) (i32.const 10) (i32.const 1041) (i32.const 3) (i32.const 1044) (i32.const 7))";

#[tokio::test]
async fn a_component_is_the_same_from_every_compiler() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let objects = format!("{PUT} {CATCH} (call $keep (array.new_default $bytes (i32.const 1000)))");
    for bytes in [guest(PUT), guest_core(PUT, ""), with_objects(&objects)] {
        let alone = runtime_with(|options| options.cache_dir = Some(here.path().to_owned()));
        let alone = prepare(&alone, bytes.clone()).await.unwrap();
        let runtime = runtime("same", Some(there.path()), |_| {});
        let component = prepare(&runtime, bytes.clone()).await.unwrap();
        assert_eq!((component.digest(), component.origin()), (Digest::of(&bytes), CodeSource::Compiled));
        assert_eq!(component.descriptor(), alone.descriptor());
        assert_eq!(effect(&component).await, effect(&alone).await);
        let again = self::runtime("same", Some(there.path()), |_| {});
        let again = prepare(&again, bytes).await.unwrap();
        assert_eq!((again.origin(), effect(&again).await), (CodeSource::Cached, effect(&alone).await));
    }
    let entries = |dir: &Path| {
        let files = fs::read_dir(dir).unwrap().map(|file| file.unwrap());
        let mut files: Vec<_> =
            files.map(|file| (file.file_name(), Digest::of(&fs::read(file.path()).unwrap()))).collect();
        files.sort();
        files
    };
    assert_eq!(entries(there.path()), entries(here.path()));
    assert_eq!(entries(here.path()).len(), 3);
}

#[tokio::test]
async fn without_a_cache_it_works_as_well() {
    let runtime = runtime("uncached", None, |_| {});
    let component = prepare(&runtime, guest(PUT)).await.unwrap();
    assert!(effect(&component).await.contains("collection"));
    let same = prepare(&runtime, guest(PUT)).await.unwrap();
    assert!(Arc::ptr_eq(&component, &same), "a component in use is shared");
}

#[tokio::test]
async fn errors_are_the_same_with_and_without_a_compiler() {
    let cache = tempfile::tempdir().unwrap();
    let deadline = |options: &mut RuntimeOptions| options.describe_deadline = Duration::from_millis(50);
    let mut too_large = guest("");
    too_large.resize(65 * 1024 * 1024, 0);
    for bytes in [
        Vec::new(),
        b"#!/bin/sh\necho hello\n".to_vec(),
        too_large,
        guest("")[..200].to_vec(),
        wat::parse_str("(component)").unwrap(),
        wat::parse_str("(module (func (export \"handle\")))").unwrap(),
        dummy(&WIT.replacen("@0.1.0", "@0.2.0", 1)),
        wrap(&guest_core("", "(memory $big 3000)")),
        dummy(WIT),
        wrap(&guest_core("", "(func $spin (loop $again (br $again))) (start $spin)")),
        wrap(&guest_core("", r#"(data (i32.const 512) "\00\04\00\00\00\00\00\00")"#)),
    ] {
        let alone = runtime_with(deadline).prepare(bytes.clone().into()).await.err().unwrap();
        let runtime = runtime("errors", Some(cache.path()), deadline);
        let error = runtime.prepare(bytes.into()).await.err().unwrap();
        assert_eq!(error.message, alone.message);
        assert!(is_empty(cache.path()), "{error}");
    }
}

#[tokio::test]
async fn a_memory_bomb_is_unsupported() {
    let cache = tempfile::tempdir().unwrap();
    let runtime = runtime("memory-bomb", Some(cache.path()), |options| {
        options.compile_memory_bytes_max = 256 * 1024 * 1024;
    });
    let bomb = bombs::of_memory();
    assert!(kennel_runtime::inspect(&bomb).runnable && bomb.len() < 50_000, "{} bytes", bomb.len());
    assert_snapshot!("memory_bomb", prepare(&runtime, bomb).await.err().unwrap());
    assert!(is_empty(cache.path()));
    prepare(&runtime, guest("")).await.unwrap();
}

#[tokio::test]
async fn a_time_bomb_is_unsupported() {
    let cache = tempfile::tempdir().unwrap();
    let runtime = runtime("time-bomb", Some(cache.path()), |options| {
        options.compile_time_max = Duration::from_secs(1);
    });
    let bomb = bombs::of_time();
    assert!(kennel_runtime::inspect(&bomb).runnable && bomb.len() < 50_000, "{} bytes", bomb.len());
    let began = Instant::now();
    assert_snapshot!("time_bomb", prepare(&runtime, bomb).await.err().unwrap());
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    assert!(is_empty(cache.path()));
    prepare(&runtime, guest("")).await.unwrap();
}

/// Processor time is bounded by the process itself, so it holds even where no clock says when it is over.
#[tokio::test]
async fn processor_time_is_bounded_too() {
    let runtime = runtime("processor", None, |options| options.compile_time_max = Duration::from_secs(30));
    let preparing = tokio::spawn(async move { prepare(&runtime, bombs::of_time()).await.err() });
    let process = process("processor").await;
    let limits = fs::read_to_string(format!("/proc/{}/limits", process.as_raw_pid())).unwrap();
    let limit = |name: &str| {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(limit("Max cpu time"), "30 31");
    assert_eq!(limit("Max data size"), format!("{0} {0}", 2_u64 << 30));
    assert_eq!(limit("Max core file size"), "0 0");
    // The 19th field; the second is the name in parentheses.
    let niceness = |stat: &str| {
        let field = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(16).unwrap();
        field.parse::<i32>().unwrap()
    };
    let ours = niceness(&fs::read_to_string("/proc/self/stat").unwrap());
    let threads = fs::read_dir(format!("/proc/{}/task", process.as_raw_pid())).unwrap();
    let threads = threads.map(|thread| thread.unwrap());
    // The first thread belongs to the test harness here.
    for thread in threads.filter(|thread| *thread.file_name() != *process.as_raw_pid().to_string()) {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap();
        assert!(niceness(&stat) >= (ours + 10).min(19), "{stat}");
    }
    rustix::process::kill_process(process, rustix::process::Signal::XCPU).unwrap();
    assert!(preparing.await.unwrap().unwrap().contains("took longer than 30 s"));
    gone(process).await;
}

#[tokio::test]
async fn while_a_bomb_is_compiled_others_are_prepared_and_run() {
    let cache = tempfile::tempdir().unwrap();
    let others = [guest(PUT), guest("")];
    let before = runtime("before", Some(cache.path()), |_| {});
    for other in &others {
        prepare(&before, other.clone()).await.unwrap();
    }
    let runtime = runtime("meanwhile", Some(cache.path()), |_| {});
    let running = prepare(&runtime, others[0].clone()).await.unwrap();
    let bomb = tokio::spawn({
        let runtime = Arc::clone(&runtime);
        async move { prepare(&runtime, bombs::of_time()).await.map(|_| ()) }
    });
    let process = process("meanwhile").await;
    assert_eq!(prepare(&runtime, others[0].clone()).await.unwrap().origin(), CodeSource::Cached);
    assert_eq!(prepare(&runtime, others[1].clone()).await.unwrap().origin(), CodeSource::Cached);
    for _ in 0..100 {
        effect(&running).await;
    }
    assert!(!bomb.is_finished());
    // No caller waits for it any longer.
    bomb.abort();
    assert!(bomb.await.unwrap_err().is_cancelled());
    gone(process).await;
    assert_eq!(
        prepare(&runtime, guest("(local.set $i (i32.const 7))")).await.unwrap().origin(),
        CodeSource::Compiled
    );
}

#[tokio::test]
async fn a_killed_and_a_suspended_compiler_are_distinguished() {
    use rustix::process::{Signal, kill_process};
    let long = Duration::from_secs(60);
    for (mark, signal, time_max) in [
        ("killed", Signal::KILL, long),
        ("aborted", Signal::ABORT, long),
        ("suspended", Signal::STOP, Duration::from_secs(5)),
    ] {
        let cache = tempfile::tempdir().unwrap();
        let runtime = runtime(mark, Some(cache.path()), |options| options.compile_time_max = time_max);
        let preparing = tokio::spawn({
            let runtime = Arc::clone(&runtime);
            async move { prepare(&runtime, bombs::of_time()).await.err().unwrap() }
        });
        let process = process(mark).await;
        kill_process(process, signal).unwrap();
        assert_snapshot!(mark, preparing.await.unwrap());
        gone(process).await;
        assert!(is_empty(cache.path()));
        prepare(&runtime, guest("")).await.unwrap();
    }
}

/// A host that is missing its compiler is at fault itself. It says so, and compiles nothing: not even what would do
/// no harm, since it cannot know.
#[tokio::test]
async fn without_the_compiler_that_it_should_use_a_host_compiles_nothing() {
    let missing = Compiler { program: "/nowhere/kennel".into(), arguments: Vec::new() };
    let echo = Compiler { program: "/bin/cat".into(), arguments: Vec::new() };
    let cache = tempfile::tempdir().unwrap();
    for (compiler, reason) in [
        (missing, "/nowhere/kennel: No such file or directory"),
        (echo, "/bin/cat: its answer makes no sense"),
        (script("exit 3"), "/bin/sh: it ended without an answer (exit status: 3)"),
        (script("kill -SEGV $$"), "it ended without an answer (signal: 11 (SIGSEGV))"),
        (script("echo no threads are left >&2; exit 1"), "(exit status: 1): no threads are left"),
        (script("echo hello; read line"), "its answer makes no sense"),
        (
            script(r#"echo '{"ready":{"compatibility":"0123456789abcdef"}}'; read line"#),
            "another version or build",
        ),
        (script(r#"echo '{"unsupported":{"message":"no"}}'; read line"#), "it answered before it was asked"),
    ] {
        let runtime = runtime_with(|options| {
            options.compiler = Some(compiler);
            options.cache_dir = Some(cache.path().to_owned());
        });
        let message = prepare(&runtime, guest(PUT)).await.err().unwrap();
        assert!(message.contains(reason), "{message}");
        assert!(message.starts_with("this host could not start its compiler, /"), "{message}");
        assert!(message.contains("says nothing of the component: try again"), "{message}");
        assert!(is_empty(cache.path()), "{message}");
    }
}

/// What fails while the host is short of something works again as soon as it is not, and a component that is compiled
/// already needs no compiler.
#[tokio::test]
async fn a_compiler_that_works_again_is_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("compiler");
    let runtime = || {
        runtime("again", Some(&dir.path().join("cache")), |options| {
            options.compiler.as_mut().unwrap().program.clone_from(&program);
        })
    };
    let before = runtime();
    let message = prepare(&before, guest(PUT)).await.err().unwrap();
    assert!(message.contains("No such file or directory"), "{message}");
    std::os::unix::fs::symlink("/bin/sh", &program).unwrap();
    assert_eq!(prepare(&before, guest(PUT)).await.unwrap().origin(), CodeSource::Compiled);
    fs::remove_file(&program).unwrap();
    assert_eq!(prepare(&runtime(), guest(PUT)).await.unwrap().origin(), CodeSource::Cached);
}

/// Whatever a compiler does once it has the component, the host says so, keeps nothing, and goes on.
#[tokio::test]
async fn a_component_on_which_the_compiler_misbehaves_is_unsupported() {
    let cache = tempfile::tempdir().unwrap();
    let before = runtime_with(|options| options.cache_dir = Some(cache.path().to_owned()));
    prepare(&before, guest("")).await.unwrap();
    let name =
        fs::read_dir(cache.path()).unwrap().next().unwrap().unwrap().file_name().into_string().unwrap();
    let compatibility = name.strip_suffix(".cwasm").unwrap().split_once('-').unwrap().1;
    let flood = "i=0; while [ $i -lt 3000 ]; do echo a line of noise, to be repeated three thousand times >&2; i=$((i+1)); done";
    for (name, rest) in [
        ("ends", "exit 0"),
        ("crashes", "kill -SEGV $$"),
        ("talks_nonsense", "echo nonsense; read line"),
        ("promises_too_much", r#"echo '{"compiled":{"bytes":1000}}'; echo little"#),
        ("promises_wildly", r#"echo '{"compiled":{"bytes":18446744073709551615}}'; read line"#),
        ("makes_rubbish", r#"echo '{"compiled":{"bytes":7}}'; echo rubbish"#),
        ("is_short_of_memory", "echo '\"out-of-memory\"'; read line"),
        ("is_noisy", flood),
    ] {
        let script = script(&format!(
            r#"read line; echo '{{"ready":{{"compatibility":"{compatibility}"}}}}'; {rest}"#
        ));
        let runtime = runtime_with(|options| {
            options.compiler = Some(script);
            options.cache_dir = Some(cache.path().to_owned());
        });
        assert_snapshot!(name, prepare(&runtime, guest(PUT)).await.err().unwrap());
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 1);
    }
}

#[tokio::test]
async fn no_call_waits_for_a_program_that_never_answers() {
    let runtime = runtime_with(|options| options.compiler = Some(script("exec sleep 1000")));
    tokio::time::pause();
    let message = prepare(&runtime, guest("")).await.err().unwrap();
    assert!(message.contains("it was not ready after 30 s"), "{message}");
}
