//! What kind of file it is. Components pass as they are, core modules are made components (`binary/module.rs`), and
//! everything else is rejected with a message.
//!
//! Only the binary format is read: wasmtime would parse text as well, and an attacker's text is one
//! parser more than a host needs.

mod features;
mod foreign;
mod glue;
mod module;

use std::borrow::Cow;

use wasmparser::BinaryReaderError;
use wasmparser::types::Types;

use self::features::validate_with;

/// The first bytes of every WebAssembly file.
const MAGIC: &[u8] = b"\0asm";
/// The next four: version and layer.
const CORE_MODULE: [u8; 4] = [1, 0, 0, 0];
const COMPONENT: [u8; 4] = [13, 0, 1, 0];

/// What a file is by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BinaryKind {
    Component,
    CoreModule,
}

/// The kind of a file, or why it is none.
pub(crate) fn kind(bytes: &[u8]) -> Result<BinaryKind, String> {
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        return Err(foreign::message(bytes));
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
        BinaryKind::CoreModule => module::wrap(bytes).map(Cow::Owned),
    }
}

/// Checks a file as far as its format goes.
pub(crate) fn validate(bytes: &[u8]) -> Result<Types, String> {
    validate_with(features::ON, bytes).map_err(|error| {
        let needed = features::needed(bytes, &error);
        if needed.is_empty() { damage(&error, bytes.len()) } else { features::off(needed) }
    })
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
