//! What a file exports, imports and needs, and whether this host can run it. No guest code runs and
//! nothing is compiled.

use kennel_core::digest::Digest;
use kennel_core::grant::NeededGrant;
use kennel_core::limits;
use kennel_core::text::mebibytes;
use serde::Serialize;

use crate::binary::{self, BinaryKind};
use crate::check::{self, Findings, Outline};
use crate::world;

/// The findings about a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Inspection {
    /// What the file is.
    pub kind: FileKind,
    /// Size of the file.
    pub bytes: usize,
    /// SHA-256 of the file, by which it is stored.
    pub digest: String,
    /// The contract that it was made for, such as `kennel:projection@0.1.0`, as far as it says so.
    pub world: Option<String>,
    pub exports: Vec<String>,
    /// What it imports, apart from WASI.
    pub imports: Vec<String>,
    /// The WASI interfaces that it imports; they are satisfied by stand-ins.
    pub wasi: Vec<String>,
    /// What it imports that a deployment has to grant.
    pub grants: Vec<NeededGrant>,
    /// How many core modules it is made of.
    pub core_modules: usize,
    pub memories: Vec<MemoryBounds>,
    /// Whether this host can run it.
    pub runnable: bool,
    /// Why not, one sentence each.
    pub problems: Vec<String>,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    Component,
    /// A core module; it is wrapped when it is deployed. Imports and exports are those of the component
    /// that it becomes.
    CoreModule,
    /// Not WebAssembly, or damaged beyond that.
    Other,
}

/// The bounds that a memory was built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct MemoryBounds {
    pub initial_bytes: u64,
    /// None: it may grow as far as the host lets it.
    pub maximum_bytes: Option<u64>,
}

/// Looks at a file.
#[must_use]
pub fn inspect(bytes: &[u8]) -> Inspection {
    let kind = match binary::kind(bytes) {
        Ok(BinaryKind::Component) => FileKind::Component,
        Ok(BinaryKind::CoreModule) => FileKind::CoreModule,
        Err(_) => FileKind::Other,
    };
    let mut inspection = Inspection {
        kind,
        bytes: bytes.len(),
        digest: Digest::of(bytes).to_string(),
        world: None,
        exports: Vec::new(),
        imports: Vec::new(),
        wasi: Vec::new(),
        grants: Vec::new(),
        core_modules: 0,
        memories: Vec::new(),
        runnable: false,
        problems: Vec::new(),
    };
    match examine(bytes, limits::GUEST_MEMORY_BYTES_MAX) {
        Err(problem) => inspection.problems.push(problem),
        Ok(examined) => inspection.fill(examined),
    }
    inspection.runnable = inspection.problems.is_empty();
    inspection
}

/// A file that is a component, or has become one.
pub(crate) struct Examined<'a> {
    pub(crate) component: std::borrow::Cow<'a, [u8]>,
    pub(crate) outline: Outline,
    pub(crate) findings: Findings,
}

/// Rejects a file that is larger than any component may be.
pub(crate) fn check_size(bytes: &[u8]) -> Result<(), String> {
    if bytes.len() <= limits::COMPONENT_BYTES_MAX {
        return Ok(());
    }
    let (size, max) = (mebibytes(bytes.len() as u64), mebibytes(limits::COMPONENT_BYTES_MAX as u64));
    Err(format!("the file has {size}; at most {max} are allowed: build it in release mode, stripped"))
}

/// Wraps a file if need be and compares it with the world. An error is a file that cannot be compared.
pub(crate) fn examine(bytes: &[u8], memory_bytes_max: usize) -> Result<Examined<'_>, String> {
    check_size(bytes)?;
    let component = binary::component(bytes)?;
    let types = binary::validate(&component)?;
    let outline = Outline::of(&component);
    let findings = check::compare(&outline, types.as_ref(), memory_bytes_max);
    Ok(Examined { component, outline, findings })
}

impl Inspection {
    fn fill(&mut self, examined: Examined<'_>) {
        let Outline { imports, exports, core_modules, memories, .. } = examined.outline;
        self.world = imports.iter().chain(&exports).find_map(|name| world_of(name));
        (self.wasi, self.imports) = imports.into_iter().partition(|name| name.starts_with("wasi:"));
        self.exports = exports;
        self.core_modules = core_modules;
        let bounds = memories.into_iter();
        self.memories = bounds
            .map(|memory| MemoryBounds {
                initial_bytes: memory.initial_bytes,
                maximum_bytes: memory.maximum_bytes,
            })
            .collect();
        self.grants = examined.findings.grants;
        self.problems = examined.findings.problems;
    }
}

/// `kennel:projection@0.1.0` of `kennel:projection/types@0.1.0`.
fn world_of(name: &str) -> Option<String> {
    world::version_in(name).map(|version| format!("{}@{version}", world::PACKAGE))
}
