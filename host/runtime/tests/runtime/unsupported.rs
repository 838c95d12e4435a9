//! Files that this host cannot run, each with the message for its developer.

use insta::assert_snapshot;
use kennel_core::collection::{Collection, Column, ColumnType, Index};

use crate::support::{WIT, dummy, dummy_core, guest, guest_core, prepare, runtime, runtime_with, wrap};

/// The error of `prepare`; that it fails is part of the check. `inspect` must report the same.
async fn message(bytes: Vec<u8>) -> String {
    let inspection = kennel_runtime::inspect(&bytes);
    let message = prepare(&runtime(), bytes).await.err().expect("this must be rejected");
    assert!(!inspection.runnable);
    for problem in inspection.problems {
        assert!(message.contains(&problem), "inspect says {problem:?}, prepare {message:?}");
    }
    message
}

/// The contract with one thing changed.
fn changed(from: &str, to: &str) -> String {
    let changed = WIT.replacen(from, to, 1);
    assert_ne!(changed, WIT);
    changed
}

#[tokio::test]
async fn not_wasm_at_all() {
    assert_snapshot!("empty", message(Vec::new()).await);
    assert_snapshot!("shell_script", message(b"#!/bin/sh\necho hello\n".to_vec()).await);
    assert_snapshot!("elf", message(b"\x7fELF\x02\x01\x01\0\0\0\0\0".to_vec()).await);
    assert_snapshot!("text_format", message(b"(component)".to_vec()).await);
    assert_snapshot!("header_only_half", message(b"\0asm\x0d".to_vec()).await);
    assert_snapshot!("unknown_version", message(b"\0asm\x07\0\x09\0".to_vec()).await);
}

#[tokio::test]
async fn damaged() {
    let whole = guest("");
    assert_snapshot!("cut_short", message(whole[..whole.len() / 2].to_vec()).await);
    let mut flipped = whole;
    flipped[8] = 0x77;
    assert_snapshot!("flipped", message(flipped).await);
}

#[tokio::test]
async fn too_large() {
    let mut large = guest("");
    large.resize(65 * 1024 * 1024, 0);
    assert_snapshot!(message(large).await);
}

#[tokio::test]
async fn an_export_is_missing() {
    let without = changed("  export handle: func(event: event) -> result<_, failure>;\n", "");
    assert_snapshot!("no_handle", message(dummy(&without)).await);
    assert_snapshot!(
        "other_world",
        message(dummy("package my:app; world app { export run: func(); }")).await
    );
    let empty = wat::parse_str("(component)").unwrap();
    assert_snapshot!("nothing", message(empty).await);
}

#[tokio::test]
async fn an_export_differs() {
    let fewer = changed("    causation-id: option<string>,\n", "");
    assert_snapshot!("field_missing", message(dummy(&fewer)).await);
    let more = changed("    created-at: timestamp,\n", "    created-at: timestamp,\n    tenant: string,\n");
    assert_snapshot!("field_extra", message(dummy(&more)).await);
    let renamed = changed("    event-version: u32,", "    schema: u32,");
    assert_snapshot!("field_renamed", message(dummy(&renamed)).await);
    let retyped = changed("    position: u64,", "    position: u32,");
    assert_snapshot!("field_retyped", message(dummy(&retyped)).await);
    let swapped = changed("retry(string),", "SWAP,").replacen("reject(string),", "retry(string),", 1);
    let swapped = swapped.replacen("SWAP,", "reject(string),", 1);
    assert_snapshot!("cases_swapped", message(dummy(&swapped)).await);
    let case = changed("    binary(list<u8>),", "    binary(list<u8>),\n    avro(list<u8>),");
    assert_snapshot!("case_extra", message(dummy(&case)).await);
    let result = changed(
        "export handle: func(event: event) -> result<_, failure>;",
        "export handle: func(event: event);",
    );
    assert_snapshot!("result_missing", message(dummy(&result)).await);
    let error = changed("-> result<_, failure>", "-> result<u32, string>");
    assert_snapshot!("result_differs", message(dummy(&error)).await);
    let param = changed("handle: func(event: event)", "handle: func(event: event, attempt: u32)");
    assert_snapshot!("parameter_extra", message(dummy(&param)).await);
}

#[tokio::test]
async fn an_import_is_unknown() {
    let own = "package my:app; interface mailer { send: func(to: string); }
        world w { import mailer; import now: func() -> u64; export run: func(); }";
    assert_snapshot!("own_interface", message(dummy(own)).await);
    let truncate = changed("  delete: func(", "  truncate: func(collection: string);\n  delete: func(");
    assert_snapshot!("unknown_function", message(dummy(&truncate)).await);
    let retyped = changed("by: s64);", "by: f64) -> u64;");
    assert_snapshot!("import_retyped", message(dummy(&retyped)).await);
    for (name, import) in [
        ("http", "wasi:http/outgoing-handler@0.2.0"),
        ("wasi_0_3", "wasi:cli/stdout@0.3.0"),
        ("keyvalue", "wasi:keyvalue/store@0.2.0-draft"),
    ] {
        assert_snapshot!(name, message(importing(import)).await);
    }
}

/// A guest that fits, but for one import more.
fn importing(name: &str) -> Vec<u8> {
    let (interface, version) = name.split_once('@').unwrap();
    let (package, interface) = interface.split_once('/').unwrap();
    let import = format!("  import log;\n  import {name};");
    let wit = changed("  import log;", &import);
    dummy(&format!("{wit}\npackage {package}@{version} {{ interface {interface} {{ f: func(); }} }}"))
}

#[tokio::test]
async fn another_version_of_the_world() {
    assert_snapshot!(message(dummy(&changed("@0.1.0", "@0.2.0"))).await);
}

#[tokio::test]
async fn core_modules() {
    let plain = wat::parse_str("(module (func (export \"handle\")))").unwrap();
    assert_snapshot!("without_world", message(plain).await);
    let program = r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32))) (func (export "_start")))"#;
    assert_snapshot!("program", message(wat::parse_str(program).unwrap()).await);
    assert_snapshot!(
        "other_world_core",
        message(dummy_core("package my:app; world app { export run: func(); }")).await
    );
    let empty = guest_core_importing("wasi_snapshot_preview1", "proc_exit");
    assert_snapshot!("without_exports", message(empty).await);
    assert_snapshot!("before_preview_1", message(guest_core_importing("wasi_unstable", "proc_exit")).await);
    let stranger = guest_core_importing("env", "host_magic");
    assert_snapshot!("unknown_core_import", message(stranger).await);
}

fn guest_core_importing(module: &str, name: &str) -> Vec<u8> {
    use wit_component::{StringEncoding, embed_component_metadata};
    let (resolve, world) = crate::support::world(WIT);
    let wat = format!(
        "(module (import \"{module}\" \"{name}\" (func (param i32))) (memory (export \"memory\") 1))"
    );
    let mut bytes = wat::parse_str(wat).unwrap();
    embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8).unwrap();
    bytes
}

#[tokio::test]
async fn a_feature_that_is_off_is_named() {
    let add = "(func (param i64 i64 i64 i64) (result i64 i64)
        local.get 0 local.get 1 local.get 2 local.get 3 i64.add128)";
    for (feature, module) in [
        ("threads", "(memory 1 1 shared)"),
        ("threads", "(memory 1) (func (drop (i32.atomic.load (i32.const 0))))"),
        ("shared-everything-threads", "(global (shared mut i32) (i32.const 0))"),
        ("memory-control", "(memory 1) (func (memory.discard (i32.const 0) (i32.const 0)))"),
        ("custom-page-sizes", "(memory 1 (pagesize 1))"),
        ("legacy-exceptions", "(func try catch_all end)"),
        ("stack-switching", "(type $f (func)) (type (cont $f))"),
        ("wide-arithmetic", add),
    ] {
        let bytes = wat::parse_str(format!("(component (core module {module}))")).unwrap();
        let message = message(bytes).await;
        let expected = format!("it needs a feature of WebAssembly that this host has off: `{feature}` (");
        assert!(message.contains(&expected), "{module}: {message}");
    }
    for (feature, item) in [
        ("async", "(type (stream u8))"),
        ("async", "(type (future))"),
        ("fixed-length-lists", "(type (list u8 4))"),
        ("map", "(type (map string u8))"),
        ("values", "(import \"v\" (value $v string)) (export \"w\" (value $v))"),
        ("error-context", "(type (tuple error-context))"),
    ] {
        let message = message(wat::parse_str(format!("(component {item})")).unwrap()).await;
        assert!(message.contains(&format!("has off: `component-model-{feature}` (")), "{item}: {message}");
    }
    let threads = wat::parse_str("(component (core module (memory 1 1 shared)))").unwrap();
    assert_snapshot!("one", message(threads).await);
    let two = "(component (core module (memory 1 1 shared) (memory 1 (pagesize 1))))";
    assert_snapshot!("two", message(wat::parse_str(two).unwrap()).await);
    // No feature makes a file valid; the first that is met is named all the same.
    let damaged = "(component (core module (memory 1 1 shared) (func i32.add)))";
    let damaged = wat::parse_str(damaged).unwrap();
    assert_snapshot!("and_damaged", message(damaged).await);
}

#[tokio::test]
async fn features_that_are_on_work() {
    for extra in [
        "(func $f (result i32) (return_call $f))",
        "(memory $second 1)",
        "(memory $wide i64 1)",
        "(func (param v128) (result v128) (i32x4.add (local.get 0) (local.get 0)))",
        "(func (param v128 v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) (local.get 1)))",
        "(global i32 (i32.add (i32.const 1) (i32.const 2)))",
        "(type $s (struct (field i31ref))) (func (result (ref $s)) (struct.new $s (ref.i31 (i32.const 1))))",
        "(type $f (func)) (func (param (ref $f)) (call_ref $f (local.get 0)))",
        "(tag $e) (func (throw $e))",
    ] {
        let prepared = prepare(&runtime(), wrap(&guest_core("", extra))).await;
        assert!(prepared.is_ok(), "{extra}: {:?}", prepared.err());
    }
}

#[tokio::test]
async fn too_much_memory_from_the_start() {
    let extra = "(memory $big 3000)";
    assert_snapshot!(message(wrap(&guest_core("", extra))).await);
}

#[tokio::test]
async fn a_describe_that_fails_or_lies() {
    assert_snapshot!("describe_traps", error_after_check(dummy(WIT)).await);
    let describe = |data: &str| {
        let core = guest_core("", data);
        wrap(&core)
    };
    // Overwrites the descriptor: a name of no bytes.
    let nameless = describe(r#"(data (i32.const 512) "\00\04\00\00\00\00\00\00")"#);
    assert_snapshot!("nameless", error_after_check(nameless).await);
    let endless = describe(r#"(data (i32.const 512) "\00\00\00\00\00\10\00\00")"#);
    assert_snapshot!("long_name", error_after_check(endless).await);
    let wild = describe(r#"(data (i32.const 512) "\00\00\00\ff\00\10\00\00")"#);
    assert_snapshot!("wild_name", error_after_check(wild).await);
    // A column `key` of the collection `tiny`.
    let declared = describe(&declaring(r"\11\04\00\00\03\00\00\00"));
    assert_snapshot!("reserved_column", error_after_check(declared).await);
    let spin = describe("(func $spin (loop $again (br $again))) (start $spin)");
    let runtime = runtime_with(|options| options.describe_deadline = std::time::Duration::from_millis(50));
    assert_snapshot!("start_loops", prepare(&runtime, spin).await.err().unwrap());
}

/// Data that adds the collection `tiny` to the descriptor: with one column, whose name is at this address and length,
/// whose path is `collection` and which holds integers, and one unique index of that column.
fn declaring(column: &str) -> String {
    format!(
        r#"(data (i32.const 556) "\00\06\00\00\01\00\00\00")
        (data (i32.const 1536) "\00\04\00\00\04\00\00\00\40\06\00\00\01\00\00\00\80\06\00\00\01\00\00\00")
        (data (i32.const 1600) "{column}\07\04\00\00\0a\00\00\00\01")
        (data (i32.const 1664) "\c0\06\00\00\01\00\00\00\01")
        (data (i32.const 1728) "{column}")"#
    )
}

#[tokio::test]
async fn a_descriptor_arrives_with_the_collections_that_it_declares() {
    // The column is called `panicked`.
    let guest = wrap(&guest_core("", &declaring(r"\1b\04\00\00\08\00\00\00")));
    let component = prepare(&runtime(), guest).await.unwrap();
    let column =
        Column { name: "panicked".to_owned(), path: "collection".to_owned(), data_type: ColumnType::Integer };
    let index = Index { columns: vec!["panicked".to_owned()], unique: true };
    let expected = Collection { name: "tiny".to_owned(), columns: vec![column], indexes: vec![index] };
    assert_eq!(component.descriptor().collections, [expected]);
}

/// Fits the world as far as types go.
async fn error_after_check(bytes: Vec<u8>) -> String {
    assert!(kennel_runtime::inspect(&bytes).runnable);
    prepare(&runtime(), bytes).await.err().expect("this must be rejected")
}

#[test]
fn what_inspect_shows_of_a_good_file() {
    let inspection = kennel_runtime::inspect(&guest(""));
    assert!(inspection.runnable, "{:?}", inspection.problems);
    let mut shown = serde_json::to_value(&inspection).unwrap();
    shown["digest"] = "…".into();
    shown["bytes"] = 0.into();
    assert_snapshot!(serde_json::to_string_pretty(&shown).unwrap());
}
