//! Components that were made for another world, or reach for more than this one has: what a projection uses instead.

use std::collections::BTreeSet;

/// What a projection uses instead of an import of WASI that this host does not offer. It offers some of these packages in
/// version 0.2.
pub(super) fn instead_of(import: &str, offered: &BTreeSet<&str>) -> String {
    let (interface, version) = import.split_once('@').unwrap_or((import, ""));
    let package = interface.trim_start_matches("wasi:").split('/').next().unwrap_or_default();
    let remedy = match package {
        "http" => {
            "a projection reaches the network only where a grant allows it, and there is none for HTTP. The event has \
             to bring what the handler needs; if the toolchain alone brings the import, build without it \
             (`jco componentize --disable http --disable fetch-event`)"
        }
        "keyvalue" | "blobstore" => "put documents in the `read-model` instead",
        "config" => "read settings from `config` of kennel:projection instead",
        "logging" => "write lines to `log` of kennel:projection instead",
        "messaging" => "a projection writes documents alone, and other programs read those",
        _ => {
            let packages = offered.iter().copied().collect::<Vec<_>>().join(", ");
            let remedy = if offered.contains(package) && !version.starts_with("0.2.") {
                "build it for wasm32-wasip2, not wasm32-wasip3, and with synchronous functions"
            } else {
                "build it without what needs that"
            };
            return format!("of WASI there are, in version 0.2, {packages}; {remedy}");
        }
    };
    remedy.to_owned()
}

/// What a component was made for that does not export what a projection does.
pub(super) fn made_for(exports: &[String]) -> &'static str {
    let exports_of = |package: &str| exports.iter().any(|export| export.starts_with(package));
    if exports_of("wasi:cli/run@") {
        "it is a program for the command line: build a library for the world kennel:projection/projection (Rust: \
         `crate-type = [\"cdylib\"]`), or with `kennel build`"
    } else if exports_of("wasi:http/") {
        "it answers HTTP requests: build it for the world kennel:projection/projection, with a Kennel SDK"
    } else {
        "build it with a Kennel SDK (`kennel build`), or with bindings for the world kennel:projection/projection"
    }
}
