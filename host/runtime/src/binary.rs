//! What kind of file it is. Components pass as they are, core modules made for the world are wrapped,
//! and everything else is rejected with a message.
//!
//! Only the binary format is read: wasmtime would parse text as well, and an attacker's text is one
//! parser more than a host needs.

mod features;

use std::borrow::Cow;

use kennel_core::limits;
use wasmparser::types::Types;
use wasmparser::{BinaryReaderError, Parser, Payload};
use wit_component::ComponentEncoder;

use self::features::validate_with;

/// The first bytes of every WebAssembly file.
const MAGIC: &[u8] = b"\0asm";
/// The next four: version and layer.
const CORE_MODULE: [u8; 4] = [1, 0, 0, 0];
const COMPONENT: [u8; 4] = [13, 0, 1, 0];
/// Custom sections in which wit-bindgen leaves the world that a core module was made for.
const WORLD_SECTION: &str = "component-type";

/// What a file is by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BinaryKind {
    Component,
    CoreModule,
}

/// The kind of a file, or why it is none.
pub(crate) fn kind(bytes: &[u8]) -> Result<BinaryKind, String> {
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        return Err(not_wasm(bytes));
    };
    let Some(version) = rest.first_chunk() else {
        return Err(format!("the file is cut short: it ends after {}", count(bytes.len(), "byte")));
    };
    match *version {
        CORE_MODULE => Ok(BinaryKind::CoreModule),
        COMPONENT => Ok(BinaryKind::Component),
        [.., 1, 0] => {
            Err("a component in a format that is not final (or a damaged file): build it again with \
             tools of this year"
                .to_owned())
        }
        [a, b, c, d] => Err(format!(
            "a WebAssembly file of an unknown version ({a:02x} {b:02x} {c:02x} {d:02x}): the file is damaged, or \
             newer than this host"
        )),
    }
}

/// The component in a file: the file itself, or what a core module becomes when it is wrapped.
pub(crate) fn component(bytes: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    match kind(bytes)? {
        BinaryKind::Component => Ok(Cow::Borrowed(bytes)),
        BinaryKind::CoreModule => wrap(bytes).map(Cow::Owned),
    }
}

/// Checks a file as far as its format goes.
pub(crate) fn validate(bytes: &[u8]) -> Result<Types, String> {
    validate_with(features::ON, bytes).map_err(|error| {
        let needed = features::needed(bytes, &error);
        if needed.is_empty() { damage(&error, bytes.len()) } else { features::off(needed) }
    })
}

fn wrap(module: &[u8]) -> Result<Vec<u8>, String> {
    let types = validate(module)?;
    let imports: Vec<_> = types.as_ref().core_imports().into_iter().flatten().collect();
    let wasi = imports.iter().map(|(from, ..)| *from).find(|from| from.starts_with("wasi_"));
    if !has_world(module) {
        let program = match wasi {
            Some(wasi) => format!(", and it imports `{wasi}` as a program for the command line does"),
            None => String::new(),
        };
        return Err(format!(
            "a core module that was not made for the world kennel:projection/projection: it has no \
             `{WORLD_SECTION}` section{program}; build it with a Kennel SDK or with wit-bindgen"
        ));
    }
    if let Some(wasi) = wasi {
        return Err(format!(
            "a core module that imports `{wasi}`, for which it takes an adapter: wrap it with `wasm-tools component \
             new --adapt {wasi}=ADAPTER.wasm`, or build it for wasm32-wasip2 or wasm32-unknown-unknown"
        ));
    }
    // Where C and Rust look for functions that they declare and no module defines.
    if let Some((from, name, _)) = imports.iter().find(|(from, ..)| *from == "env") {
        return Err(format!(
            "a core module that imports `{name}` from `{from}`, which nothing provides: link it without undefined \
             functions"
        ));
    }
    encode(module)
}

/// Makes a component of a core module. The library asserts where it should return an error: a world section with
/// a flipped bit can make it panic, which must not end more than this attempt.
fn encode(module: &[u8]) -> Result<Vec<u8>, String> {
    let encode = || {
        let encoder = ComponentEncoder::default().validate(true).module(module);
        encoder.and_then(|mut encoder| encoder.encode()).map_err(|error| one_line(&format!("{error:#}")))
    };
    let reason = match std::panic::catch_unwind(encode) {
        Ok(Ok(component)) => return Ok(component),
        Ok(Err(reason)) => reason,
        Err(_) => format!("its `{WORLD_SECTION}` section is damaged; build or copy it again"),
    };
    Err(format!("a core module that cannot be made a component: {reason}"))
}

fn has_world(module: &[u8]) -> bool {
    Parser::new(0).parse_all(module).flatten().any(|payload| match payload {
        Payload::CustomSection(section) => section.name().starts_with(WORLD_SECTION),
        _ => false,
    })
}

fn not_wasm(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "not a WebAssembly file: it is empty".to_owned();
    }
    let start = &bytes[..bytes.len().min(32)];
    let text = std::str::from_utf8(bytes).ok().map(str::trim_start);
    if text.is_some_and(|text| text.starts_with("(module") || text.starts_with("(component")) {
        return "WebAssembly text, not a WebAssembly binary: convert it with `wasm-tools parse`".to_owned();
    }
    match std::str::from_utf8(start) {
        Ok(start) if !start.contains('\0') => {
            let start = limits::excerpt(start.lines().next().unwrap_or_default());
            format!("not a WebAssembly file: it starts with `{start}`")
        }
        _ => {
            let start = start.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
            format!(
                "not a WebAssembly file: it starts with the bytes {start}, a WebAssembly file with 00 61 73 6d"
            )
        }
    }
}

/// The fault of a file that no feature would make valid.
fn damage(error: &BinaryReaderError, len: usize) -> String {
    let (message, offset) = (one_line(error.message()), error.offset());
    let damage = if message.contains("unexpected end") { "damaged or cut short" } else { "damaged" };
    format!("the file is {damage}: {message} at offset {offset} of {len}; build it again or copy it again")
}

/// The text with every run of white space as one blank.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A number with its noun.
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
