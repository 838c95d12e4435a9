//! The features of WebAssembly that are on in this host, and those that a file needs although they are off.

use wasmparser::types::Types;
use wasmparser::{BinaryReaderError, Validator, WasmFeatures};

/// Those that are on: WebAssembly 3.0 without threads, in components of WASI 0.2. The engine has the same.
pub(super) const ON: WasmFeatures =
    WasmFeatures::WASM3.difference(WasmFeatures::THREADS).union(WasmFeatures::COMPONENT_MODEL);

/// A proposal that is off.
struct Off {
    feature: WasmFeatures,
    /// Its name in toolchains.
    name: &'static str,
    brings: &'static str,
    /// How to build without it, where that is more than an option of this name.
    remedy: &'static str,
}

const fn off_feature(feature: WasmFeatures, name: &'static str, brings: &'static str) -> Off {
    Off { feature, name, brings, remedy: "" }
}

impl Off {
    const fn built(self, remedy: &'static str) -> Self {
        Self { remedy, ..self }
    }
}

/// The proposals that are off.
const OFF: [Off; 22] = [
    off_feature(WasmFeatures::THREADS, "threads", "shared memories and atomic instructions")
        .built("for wasm32-wasip1, not wasm32-wasip1-threads, and without `-pthread` and `-matomics`"),
    off_feature(
        WasmFeatures::SHARED_EVERYTHING_THREADS,
        "shared-everything-threads",
        "shared tables, globals and functions",
    ),
    off_feature(WasmFeatures::MEMORY_CONTROL, "memory-control", "memory that can be discarded"),
    off_feature(WasmFeatures::CUSTOM_PAGE_SIZES, "custom-page-sizes", "memories with pages of another size than 64 KiB"),
    off_feature(
        WasmFeatures::LEGACY_EXCEPTIONS,
        "legacy-exceptions",
        "exceptions as they were before they became final",
    )
    .built("with `-mllvm -wasm-use-legacy-eh=false` (clang), `-Cllvm-args=-wasm-use-legacy-eh=false` (rustc)"),
    off_feature(WasmFeatures::STACK_SWITCHING, "stack-switching", "continuations"),
    off_feature(WasmFeatures::WIDE_ARITHMETIC, "wide-arithmetic", "arithmetic on 128 bits"),
    off_feature(WasmFeatures::CUSTOM_DESCRIPTORS, "custom-descriptors", "descriptors of types"),
    off_feature(WasmFeatures::COMPACT_IMPORTS, "compact-import-section", "imports that share the name of their module"),
    off_feature(WasmFeatures::CM_VALUES, "component-model-values", "imports and exports of values"),
    off_feature(WasmFeatures::CM_NESTED_NAMES, "component-model-nested-names", "names within names"),
    off_feature(WasmFeatures::CM_ASYNC, "component-model-async", "async functions, streams and futures").built(
        "with synchronous functions (`componentize-qjs --sync`; no `async` in options of wit-bindgen) and for WASI 0.2 \
         (wasm32-wasip2, not wasm32-wasip3)",
    ),
    off_feature(WasmFeatures::CM_ASYNC_STACKFUL, "component-model-async-stackful", "async functions with a stack each"),
    off_feature(
        WasmFeatures::CM_MORE_ASYNC_BUILTINS,
        "component-model-more-async-builtins",
        "more functions for async code",
    ),
    off_feature(WasmFeatures::CM_THREADING, "component-model-threading", "threads of components"),
    off_feature(WasmFeatures::CM_ERROR_CONTEXT, "component-model-error-context", "the type error-context"),
    off_feature(WasmFeatures::CM_FIXED_LENGTH_LISTS, "component-model-fixed-length-lists", "lists of a fixed length"),
    off_feature(WasmFeatures::CM_GC, "component-model-gc", "arguments that are garbage-collected objects"),
    off_feature(WasmFeatures::CM_MAP, "component-model-map", "the type map"),
    off_feature(WasmFeatures::CM64, "component-model-memory64", "arguments in memories of 64 bits")
        .built("for wasm32, not wasm64"),
    off_feature(WasmFeatures::CM_IMPLEMENTS, "component-model-implements", "imports that say what they implement"),
    off_feature(WasmFeatures::CM_CANON_NAMES, "component-model-canonical-names", "names with a suffix for their version"),
];

/// Checks a file with these features alone.
pub(super) fn validate_with(features: WasmFeatures, bytes: &[u8]) -> Result<Types, BinaryReaderError> {
    Validator::new_with_features(features).validate_all(bytes)
}

/// The features that are off and without which a file is not valid. It is checked once for each feature that is off. If
/// it is damaged, that which it has first run into, if any, by the `error` of a check with those that are on.
pub(super) fn needed(bytes: &[u8], error: &BinaryReaderError) -> WasmFeatures {
    let all = WasmFeatures::all();
    let enough = match validate_with(all, bytes) {
        Err(_) => error.missing_wasm_feature().unwrap_or(ON),
        Ok(_) => OFF.iter().fold(all, |enough, off| {
            let fewer = enough.difference(off.feature);
            if validate_with(fewer, bytes).is_ok() { fewer } else { enough }
        }),
    };
    enough.difference(ON)
}

/// The message for a file that needs features which are off.
pub(super) fn off(needed: WasmFeatures) -> String {
    let found: Vec<&Off> = OFF.iter().filter(|off| needed.contains(off.feature)).collect();
    let named: Vec<String> = found.iter().map(|off| format!("`{}` ({})", off.name, off.brings)).collect();
    let remedies: Vec<&str> =
        found.iter().map(|off| off.remedy).filter(|remedy| !remedy.is_empty()).collect();
    let (feature, it) = if found.len() == 1 { ("a feature", "it") } else { ("features", "them") };
    let how = if remedies.is_empty() { String::new() } else { format!(": {}", remedies.join(", and ")) };
    format!(
        "it needs {feature} of WebAssembly that this host has off: {}; build it without {it}{how}",
        named.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_is_on_or_named() {
        let off = OFF.iter().fold(WasmFeatures::empty(), |all, off| all.union(off.feature));
        assert_eq!(ON.union(off), WasmFeatures::all());
        assert_eq!(ON.intersection(off), WasmFeatures::empty());
    }
}
