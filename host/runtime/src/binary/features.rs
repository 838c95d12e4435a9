//! The features of WebAssembly that are on in this host, and those that a file needs although they are off.

use wasmparser::types::Types;
use wasmparser::{BinaryReaderError, Validator, WasmFeatures};

/// Those that are on: WebAssembly 3.0 without threads, in components of WASI 0.2. The engine has the same.
pub(super) const ON: WasmFeatures =
    WasmFeatures::WASM3.difference(WasmFeatures::THREADS).union(WasmFeatures::COMPONENT_MODEL);

/// The proposals that are off, by the names under which toolchains have them, with what they bring.
const OFF: [(WasmFeatures, &str, &str); 22] = [
    (WasmFeatures::THREADS, "threads", "shared memories and atomic instructions"),
    (
        WasmFeatures::SHARED_EVERYTHING_THREADS,
        "shared-everything-threads",
        "shared tables, globals and functions",
    ),
    (WasmFeatures::MEMORY_CONTROL, "memory-control", "memory that can be discarded"),
    (WasmFeatures::CUSTOM_PAGE_SIZES, "custom-page-sizes", "memories with pages of another size than 64 KiB"),
    (
        WasmFeatures::LEGACY_EXCEPTIONS,
        "legacy-exceptions",
        "exceptions as they were before they became final",
    ),
    (WasmFeatures::STACK_SWITCHING, "stack-switching", "continuations"),
    (WasmFeatures::WIDE_ARITHMETIC, "wide-arithmetic", "arithmetic on 128 bits"),
    (WasmFeatures::CUSTOM_DESCRIPTORS, "custom-descriptors", "descriptors of types"),
    (WasmFeatures::COMPACT_IMPORTS, "compact-import-section", "imports that share the name of their module"),
    (WasmFeatures::CM_VALUES, "component-model-values", "imports and exports of values"),
    (WasmFeatures::CM_NESTED_NAMES, "component-model-nested-names", "names within names"),
    (WasmFeatures::CM_ASYNC, "component-model-async", "async functions, streams and futures"),
    (WasmFeatures::CM_ASYNC_STACKFUL, "component-model-async-stackful", "async functions with a stack each"),
    (
        WasmFeatures::CM_MORE_ASYNC_BUILTINS,
        "component-model-more-async-builtins",
        "more functions for async code",
    ),
    (WasmFeatures::CM_THREADING, "component-model-threading", "threads of components"),
    (WasmFeatures::CM_ERROR_CONTEXT, "component-model-error-context", "the type error-context"),
    (WasmFeatures::CM_FIXED_LENGTH_LISTS, "component-model-fixed-length-lists", "lists of a fixed length"),
    (WasmFeatures::CM_GC, "component-model-gc", "arguments that are garbage-collected objects"),
    (WasmFeatures::CM_MAP, "component-model-map", "the type map"),
    (WasmFeatures::CM64, "component-model-memory64", "arguments in memories of 64 bits"),
    (WasmFeatures::CM_IMPLEMENTS, "component-model-implements", "imports that say what they implement"),
    (
        WasmFeatures::CM_CANON_NAMES,
        "component-model-canonical-names",
        "names with a suffix for their version",
    ),
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
        Ok(_) => OFF.iter().fold(all, |enough, (feature, ..)| {
            let fewer = enough.difference(*feature);
            if validate_with(fewer, bytes).is_ok() { fewer } else { enough }
        }),
    };
    enough.difference(ON)
}

/// The message for a file that needs features which are off.
pub(super) fn off(needed: WasmFeatures) -> String {
    let named = OFF.iter().filter(|(feature, ..)| needed.contains(*feature));
    let named: Vec<String> = named.map(|(_, name, brings)| format!("`{name}` ({brings})")).collect();
    let (feature, it) = if named.len() == 1 { ("a feature", "it") } else { ("features", "them") };
    format!(
        "it needs {feature} of WebAssembly that this host has off: {}; build it without {it}",
        named.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_is_on_or_named() {
        let off = OFF.iter().fold(WasmFeatures::empty(), |off, (feature, ..)| off.union(*feature));
        assert_eq!(ON.union(off), WasmFeatures::all());
        assert_eq!(ON.intersection(off), WasmFeatures::empty());
    }
}
