//! Compiled code as bytes, with a checksum: what the cache keeps and what a compiler passes on.
//!
//! It trusts where the bytes come from and knows neither files nor processes. Loading compiled code means
//! running it, so the caller of [`load`] vouches that no other user could have made the bytes.

use std::fmt::Write as _;
use std::hash::{Hash, Hasher};

use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

const MAGIC: &[u8; 8] = b"kennel\x00\x01";
const CHECKSUM_BYTES: usize = 32;
const HEADER_BYTES: usize = MAGIC.len() + CHECKSUM_BYTES;

/// Bytes that are not compiled code which can run here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadEntry {
    #[error("it is damaged")]
    Damaged,
    #[error("it does not fit: {0}")]
    Unfit(String),
}

/// A component's code as bytes.
pub(crate) fn pack(component: &Component) -> wasmtime::Result<Vec<u8>> {
    let code = component.serialize()?;
    let mut entry = Vec::with_capacity(HEADER_BYTES + code.len());
    entry.extend_from_slice(MAGIC);
    entry.extend_from_slice(&Sha256::digest(&code));
    entry.extend_from_slice(&code);
    Ok(entry)
}

/// The component whose code these bytes are.
pub(crate) fn load(engine: &Engine, entry: &[u8]) -> Result<Component, BadEntry> {
    let code = checked(entry).ok_or(BadEntry::Damaged)?;
    // SAFETY: `deserialize` needs bytes that `serialize` made. The checksum shows that these are, whole and
    // unchanged, what `pack` made. The two callers get them from where only users can forge them who may run
    // this program's code anyway: from a file and a folder which belong to this process's user or to root and to
    // which no other user may write, and through a pipe from a process that this one has started.
    #[expect(unsafe_code, reason = "compiled code cannot be loaded in any other way")]
    let component = unsafe { Component::deserialize(engine, code) };
    component.map_err(|error| BadEntry::Unfit(format!("{error:#}")))
}

/// The code in an entry, if the entry is whole.
fn checked(entry: &[u8]) -> Option<&[u8]> {
    let rest = entry.strip_prefix(MAGIC)?;
    let (checksum, code) = rest.split_at_checked(CHECKSUM_BYTES)?;
    (Sha256::digest(code).as_slice() == checksum).then_some(code)
}

/// A key for everything that compiled code depends on: the engine's settings and wasmtime's version, the
/// processor's features, and this program's version, whose checks the code has passed.
pub(crate) fn compatibility(engine: &Engine) -> String {
    let mut hasher = Sha256Hasher(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    env!("CARGO_PKG_VERSION").hash(&mut hasher);
    hasher.0.finalize().iter().take(8).fold(String::new(), |mut key, byte| {
        // Writing to a string cannot fail.
        let _ = write!(key, "{byte:02x}");
        key
    })
}

/// Feeds what `Hash` emits to SHA-256, because the standard library's hashers are not stable.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}
