//! Compiled code on disk, so that a restart need not compile again.
//!
//! Loading compiled code means running it, so an entry is used only if it lies in a folder that not
//! everybody may write to and carries the checksum of its content: what is damaged or foreign is built
//! anew. An entry is named by the component's digest and by everything that its code depends on, so
//! another version of this program or of wasmtime finds nothing rather than something wrong.

use std::fmt::Write as _;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use kennel_core::digest::Digest;
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

const MAGIC: &[u8; 8] = b"kennel\x00\x01";
const CHECKSUM_BYTES: usize = 32;
const HEADER_BYTES: usize = MAGIC.len() + CHECKSUM_BYTES;

/// A folder of compiled components.
#[derive(Debug)]
pub(crate) struct Cache {
    dir: PathBuf,
    compatibility: String,
    writes: AtomicU64,
}

impl Cache {
    /// Opens the folder, or says why it cannot be used.
    pub(crate) fn open(dir: &Path, engine: &Engine) -> io::Result<Self> {
        make_private(dir)?;
        if is_writable_by_everybody(dir)? {
            let words = "everybody may write to it, and compiled code in it is run: chmod o-w it";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, words));
        }
        Ok(Self { dir: dir.to_owned(), compatibility: compatibility(engine), writes: AtomicU64::new(0) })
    }

    /// The compiled component, if there is a sound entry for it.
    pub(crate) fn load(&self, engine: &Engine, digest: Digest) -> Option<Component> {
        let path = self.path(digest);
        if !path.exists() || is_writable_by_everybody(&path).unwrap_or(true) {
            return None;
        }
        let entry = fs::read(&path).ok()?;
        let Some(code) = checked(&entry) else {
            tracing::warn!(path = %path.display(), "a cache entry is damaged: compiling again");
            return None;
        };
        // SAFETY: `deserialize` needs bytes that `serialize` made. The checksum shows that these are, whole
        // and unchanged, what `store` below wrote; and neither the folder nor the file can be written to by
        // everybody, so nobody but those who may run this program's code anyway can have forged them.
        #[expect(unsafe_code, reason = "compiled code cannot be loaded in any other way")]
        let component = unsafe { Component::deserialize(engine, code) };
        match component {
            Ok(component) => Some(component),
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(path = %path.display(), error, "a cache entry does not fit: compiling again");
                None
            }
        }
    }

    /// Keeps a compiled component. Readers see the whole entry or none.
    pub(crate) fn store(&self, digest: Digest, component: &Component) {
        if let Err(error) = self.try_store(digest, component) {
            // The component runs all the same; only the next start is slower.
            let path = self.path(digest);
            tracing::warn!(path = %path.display(), %error, "compiled code cannot be kept");
        }
    }

    fn try_store(&self, digest: Digest, component: &Component) -> io::Result<()> {
        let code = component.serialize().map_err(|error| io::Error::other(format!("{error:#}")))?;
        let mut entry = Vec::with_capacity(HEADER_BYTES + code.len());
        entry.extend_from_slice(MAGIC);
        entry.extend_from_slice(&Sha256::digest(&code));
        entry.extend_from_slice(&code);
        let number = self.writes.fetch_add(1, Ordering::Relaxed);
        let temporary = self.dir.join(format!(".{digest}.{}.{number}.tmp", std::process::id()));
        fs::write(&temporary, &entry)
            .and_then(|()| fs::rename(&temporary, self.path(digest)))
            .inspect_err(|_| drop(fs::remove_file(&temporary)))
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.dir.join(format!("{digest}-{}.cwasm", self.compatibility))
    }
}

/// The code in an entry, if the entry is whole.
fn checked(entry: &[u8]) -> Option<&[u8]> {
    let rest = entry.strip_prefix(MAGIC)?;
    let (checksum, code) = rest.split_at_checked(CHECKSUM_BYTES)?;
    (Sha256::digest(code).as_slice() == checksum).then_some(code)
}

/// A word for everything that compiled code depends on: the engine's settings and wasmtime's version, the
/// processor's features, and this program's version, whose checks an entry has passed.
fn compatibility(engine: &Engine) -> String {
    let mut hasher = Sha256Hasher(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    env!("CARGO_PKG_VERSION").hash(&mut hasher);
    hasher.0.finalize().iter().take(8).fold(String::new(), |mut word, byte| {
        // Writing to a string cannot fail.
        let _ = write!(word, "{byte:02x}");
        word
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

#[cfg(unix)]
fn make_private(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(not(unix))]
fn make_private(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}

#[cfg(unix)]
fn is_writable_by_everybody(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::metadata(path)?.permissions().mode() & 0o002 != 0)
}

#[cfg(not(unix))]
fn is_writable_by_everybody(_: &Path) -> io::Result<bool> {
    Ok(false)
}
