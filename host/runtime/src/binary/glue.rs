//! Imports of core modules that no host of components can satisfy: glue of toolchains that build for a browser, for
//! another system or for none, each with the way to build instead.

use kennel_core::limits;
use wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME as PREVIEW1;

/// What a core module imports, that nothing here provides, and what to do about it.
pub(super) fn problem(imports: &[(&str, &str)]) -> Option<String> {
    let found = GLUE.iter().find_map(|glue| {
        let (from, name) = imports.iter().find(|(from, name)| (glue.matches)(from, name))?;
        Some((*from, *name, glue.remedy))
    });
    let (from, name, remedy) = found?;
    let (from, name) = (limits::excerpt(from), limits::excerpt(name));
    Some(format!("a core module that imports `{name}` from `{from}`, {remedy}"))
}

/// Imports of one toolchain.
struct Glue {
    matches: fn(module: &str, name: &str) -> bool,
    remedy: &'static str,
}

/// The most telling first: one module often has imports of several kinds.
const GLUE: &[Glue] = &[
    Glue {
        matches: |from, _| from.starts_with("__wbindgen") || from == "wbg",
        remedy: "which wasm-bindgen expects of JavaScript: `cargo tree --target wasm32-unknown-unknown --invert \
                 wasm-bindgen` shows which dependency brings it; turn that feature of it off, mostly `js`, `wasm_js` \
                 or `wasmbind`, or do without it",
    },
    Glue {
        matches: |from, _| from == "gojs" || from == "go",
        remedy: "which Go expects of a browser: build it with `GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared`, \
                 as `kennel build` does",
    },
    Glue {
        matches: |from, name| from == "env" && name == "abort",
        remedy: "which AssemblyScript expects of JavaScript: there is no SDK for it, and its strings are not those of \
                 components; write the projection in TypeScript, with `kennel new NAME --lang typescript`",
    },
    Glue {
        matches: |from, name| {
            let is_glue = ["emscripten_", "_emscripten_", "_embind_", "__syscall_", "invoke_"];
            from == "env" && is_glue.iter().any(|glue| name.starts_with(glue))
        },
        remedy: "which Emscripten expects of JavaScript: build it with clang and wasi-libc \
                 (`--target=wasm32-wasi -mexec-model=reactor`), as `kennel build` does",
    },
    Glue {
        matches: |from, name| from == "env" && name.starts_with("__cxa_"),
        remedy: "which C++ exceptions take: build it with `-fno-exceptions`",
    },
    Glue {
        matches: |from, name| from == "wasi" && name == "thread-spawn",
        remedy: "and this host has no threads: build it for wasm32-wasip1, not wasm32-wasip1-threads",
    },
    Glue {
        matches: |from, _| from.starts_with("wasi_") && from != PREVIEW1,
        remedy: "which is older than WASI preview 1: build it for wasm32-wasip1 or later",
    },
    Glue {
        matches: |from, name| from == "env" && name == "memory",
        remedy: "and a projection has a memory of its own: link it without `--import-memory`",
    },
    // Where C and Rust look for functions that they declare and no module defines.
    Glue {
        matches: |from, _| from == "env",
        remedy: "which nothing provides: link it with the library that defines it, and without `--allow-undefined`",
    },
];
