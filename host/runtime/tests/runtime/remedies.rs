//! What people deploy by mistake, and the remedy that each message names.

use crate::support::{WIT, dummy, prepare, runtime};

/// The message names the cause and the remedy, and `inspect` gives the same.
async fn check(bytes: Vec<u8>, expected: &[&str]) {
    let inspection = kennel_runtime::inspect(&bytes);
    let message = prepare(&runtime(), bytes).await.err().expect("this must be rejected");
    for expected in expected {
        assert!(message.contains(expected), "no {expected:?} in: {message}");
        assert!(inspection.problems.iter().any(|problem| problem.contains(expected)), "inspect: {message}");
    }
}

#[tokio::test]
async fn files_that_are_no_wasm_are_recognized() {
    let source = "`kennel build` makes the .wasm file of a projection from its source";
    for (bytes, expected) in [
        (
            &b"export default { handle() {} };\n"[..],
            &["starts with `export default { handle() {} };`", source][..],
        ),
        (
            b"\n\nfrom kennel_projection import projection\n",
            &["`from kennel_projection import projection`", source],
        ),
        (b"package main\r\n\r\nfunc main() {}\r\n", &["starts with `package main`", source]),
        ("// Größe\n#include <kennel.h>\n".as_bytes(), &["starts with `// Größe`", source]),
        (b"(module (memory 1))", &["convert it with `wasm-tools parse`"]),
        (b"PK\x03\x04\x14\0\0\0", &["a zip archive: unpack it, and deploy the .wasm file in it"]),
        (b"\x1f\x8b\x08\0", &["compressed with gzip: unpack it"]),
        (b"\x28\xb5\x2f\xfd\0", &["compressed with zstd: unpack it"]),
        (b"\x7fELF\x02\x01", &["a program for Linux (ELF): build it for WebAssembly, with `kennel build`"]),
        (b"MZ\x90\0", &["a program for Windows"]),
        (b"!<arch>\n/   ", &["a static library: link it"]),
        (b"<!DOCTYPE html>\n<html>", &["a web page, so a download has failed"]),
        (b"version https://git-lfs.github.com/spec/v1\noid", &["`git lfs pull` fetches the file itself"]),
        (b"\x89PNG\r\n\x1a\n\0", &["starts with the bytes 89 50 4e 47 0d 0a 1a 0a"]),
    ] {
        check(bytes.to_vec(), expected).await;
    }
    // A character at the end of the part that is looked at is cut through.
    check(format!("{}é and more", "x".repeat(511)).into_bytes(), &["starts with `xxx", source]).await;
}

/// A core module with some imports of functions and exports of functions.
fn core(imports: &[(&str, &str)], exports: &[&str]) -> Vec<u8> {
    let imports = imports.iter().map(|(from, name)| format!("(import \"{from}\" \"{name}\" (func))"));
    let exports = exports.iter().map(|name| format!("(func (export \"{name}\"))"));
    let all: Vec<String> = imports.chain(exports).collect();
    wat::parse_str(format!("(module {} (memory (export \"memory\") 1))", all.join(" "))).unwrap()
}

#[tokio::test]
async fn core_modules_of_other_targets_name_the_way_to_build() {
    let fits = ["describe", "handle", "cabi_realloc"];
    for (import, expected) in [
        (("env", "abort"), &["AssemblyScript", "kennel new NAME --lang typescript"][..]),
        (
            ("env", "emscripten_notify_memory_growth"),
            &["Emscripten", "--target=wasm32-wasi -mexec-model=reactor"],
        ),
        (("env", "__syscall_openat"), &["Emscripten"]),
        (("env", "__cxa_throw"), &["C++ exceptions", "-fno-exceptions"]),
        (("env", "host_magic"), &["imports `host_magic` from `env`, which nothing provides"]),
        (
            ("gojs", "runtime.wasmExit"),
            &["a browser", "GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared"],
        ),
        (("go", "runtime.wasmExit"), &["GOOS=wasip1"]),
        (("__wbindgen_placeholder__", "__wbindgen_describe"), &["wasm-bindgen", "cargo tree", "`wasm_js`"]),
        (("wbg", "__wbg_now_0123"), &["wasm-bindgen"]),
        (("wasi", "thread-spawn"), &["has no threads", "wasm32-wasip1, not wasm32-wasip1-threads"]),
        (("wasi_unstable", "proc_exit"), &["older than WASI preview 1", "wasm32-wasip1 or later"]),
    ] {
        check(core(&[import], &fits), expected).await;
    }
    let memory =
        r#"(module (import "env" "memory" (memory 1)) (func (export "describe")) (func (export "handle")))"#;
    check(wat::parse_str(memory).unwrap(), &["imports `memory` from `env`", "without `--import-memory`"])
        .await;
    let provided = "which nothing provides: what it may import is WASI preview 1 and the interfaces of kennel:projection";
    check(core(&[("js_code", "kotlin.now")], &fits), &["imports `kotlin.now` from `js_code`", provided])
        .await;
    check(core(&[("wasi:http/types@0.2.0", "f")], &fits), &["from `wasi:http/types@0.2.0`", provided]).await;
    let newer = ("kennel:projection/read-model@0.2.0", "get");
    check(core(&[newer], &fits), &["made for kennel:projection@0.2.0", "or run it on a newer host"]).await;
    // With several, that which names the toolchain.
    let several = [("env", "sqrt"), ("env", "abort"), ("gojs", "runtime.ticks"), ("env", "invoke_v")];
    check(core(&several, &fits), &["imports `runtime.ticks` from `gojs`"]).await;
}

#[tokio::test]
async fn core_modules_without_the_exports_show_those_they_have() {
    let program = [("wasi_snapshot_preview1", "proc_exit")];
    check(
        core(&program, &["_start"]),
        &[
            "it exports `_start`, but not `describe` and `handle`",
            "a program for the command line",
            "-mexec-model=reactor",
            "-buildmode=c-shared",
            "crate-type = [\"cdylib\"]",
        ],
    )
    .await;
    check(
        core(&[], &["describe", "run"]),
        &["it exports `describe`, `run`, but not `handle`", "kennel build"],
    )
    .await;
    check(core(&[], &[]), &["it exports no function, and so not `describe` and `handle`"]).await;
    let many = ["a", "b", "c", "d", "e", "f", "g"];
    check(core(&[], &many), &["it exports `a`, `b`, `c`, `d`, `e`, `f`, …, but not"]).await;
}

/// A component that fits, but for one import more.
fn importing(name: &str) -> Vec<u8> {
    let (interface, version) = name.split_once('@').unwrap();
    let (package, interface) = interface.split_once('/').unwrap();
    let wit = WIT.replacen("  import log;", &format!("  import log;\n  import {name};"), 1);
    dummy(&format!("{wit}\npackage {package}@{version} {{ interface {interface} {{ f: func(); }} }}"))
}

#[tokio::test]
async fn imports_that_are_not_offered_name_what_there_is_instead() {
    for (import, expected) in [
        ("wasi:http/outgoing-handler@0.2.3", &["there is none for HTTP", "--disable http"][..]),
        ("wasi:http/types@0.2.0", &["The event has to bring what the handler needs"]),
        ("wasi:keyvalue/store@0.2.0-draft", &["put documents in the `read-model`"]),
        ("wasi:blobstore/container@0.2.0-draft", &["put documents in the `read-model`"]),
        ("wasi:config/store@0.2.0-rc.1", &["`config` of kennel:projection"]),
        ("wasi:logging/logging@0.1.0-draft", &["`log` of kennel:projection"]),
        ("wasi:messaging/producer@0.2.0-draft", &["a projection writes documents alone"]),
        ("wasi:cli/stdout@0.3.0", &["for wasm32-wasip2, not wasm32-wasip3"]),
        ("wasi:clocks/wall-clock@0.3.0-rc-2026-02-09", &["build it for wasm32-wasip2, not wasm32-wasip3"]),
        ("wasi:sockets/types@0.3.0", &["build it for wasm32-wasip2, not wasm32-wasip3"]),
        ("wasi:sockets/raw@0.2.0", &["build it without what needs that"]),
        ("wasi:nn/tensor@0.2.0-rc", &["build it without what needs that"]),
    ] {
        check(importing(import), expected).await;
    }
}

#[tokio::test]
async fn components_of_other_worlds_name_the_way_to_build() {
    let program = "package my:app; world app { export wasi:cli/run@0.2.0; }
        package wasi:cli@0.2.0 { interface run { run: func() -> result; } }";
    check(dummy(program), &["`wasi:cli/run@0.2.0`; it is a program for the command line", "cdylib"]).await;
    let server = "package my:app; world app { export wasi:http/incoming-handler@0.2.0; }
        package wasi:http@0.2.0 { interface incoming-handler { handle: func(); } }";
    check(dummy(server), &["it answers HTTP requests"]).await;
    let newer = WIT.replacen("@0.1.0", "@0.2.0", 1);
    check(
        dummy(&newer),
        &["made for kennel:projection@0.2.0", "WIT files of version 0.1.0, or run it on a newer host"],
    )
    .await;
    let older = WIT.replacen("@0.1.0", "@0.0.9", 1);
    check(
        dummy(&older),
        &["made for kennel:projection@0.0.9", "with the SDK or the WIT files of version 0.1.0"],
    )
    .await;
}

#[tokio::test]
async fn features_that_are_off_name_the_way_to_build_without_them() {
    let component = |item: &str| wat::parse_str(format!("(component {item})")).unwrap();
    check(
        component("(type (future u8))"),
        &["component-model-async", "componentize-qjs --sync", "wasm32-wasip2"],
    )
    .await;
    let threads = wat::parse_str("(module (import \"env\" \"memory\" (memory 1 2 shared)))").unwrap();
    check(threads, &["`threads`", "for wasm32-wasip1, not wasm32-wasip1-threads, and without `-pthread`"])
        .await;
    let exceptions = wat::parse_str("(module (func try catch_all end))").unwrap();
    check(exceptions, &["`legacy-exceptions`", "-wasm-use-legacy-eh=false"]).await;
}

#[tokio::test]
async fn async_exports_name_the_way_to_build_synchronous_ones() {
    let handle = "export handle: func(";
    assert!(WIT.contains(handle));
    let lifted = crate::support::dummy_async(&WIT.replacen(handle, "export handle: async func(", 1));
    check(lifted, &["`component-model-async`", "with synchronous functions (`componentize-qjs --sync`"])
        .await;
}
