//! What a component shows from outside: imports, exports, core modules and the memory they begin with.

use wasmparser::{ComponentTypeRef, MemoryType, Parser, Payload};

/// The page of a linear memory, unless it says otherwise.
const PAGE_BYTES_LOG2: u32 = 16;

#[derive(Debug, Default)]
pub(crate) struct Outline {
    /// Names of what the component imports, in its order, without types: they cost a host nothing.
    pub(crate) imports: Vec<String>,
    /// Names of what the component exports, in its order.
    pub(crate) exports: Vec<String>,
    pub(crate) core_modules: usize,
    /// Every memory that a core module brings.
    pub(crate) memories: Vec<Memory>,
    /// What all memories have at the start.
    pub(crate) memory_bytes: u64,
}

/// The bounds that a memory was built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) initial_bytes: u64,
    pub(crate) maximum_bytes: Option<u64>,
}

impl From<MemoryType> for Memory {
    fn from(memory: MemoryType) -> Self {
        let page_bytes = 1u64 << memory.page_size_log2.unwrap_or(PAGE_BYTES_LOG2).min(PAGE_BYTES_LOG2);
        Self {
            initial_bytes: memory.initial.saturating_mul(page_bytes),
            maximum_bytes: memory.maximum.map(|pages| pages.saturating_mul(page_bytes)),
        }
    }
}

impl Outline {
    /// Reads a component that has been validated. What cannot be read is left out.
    pub(crate) fn of(component: &[u8]) -> Self {
        let mut outline = Self::default();
        // Sections of nested modules and components follow in the same stream; only those of the
        // outermost component name what the host sees.
        let mut depth = 0usize;
        for payload in Parser::new(0).parse_all(component).flatten() {
            match payload {
                Payload::Version { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ModuleSection { .. } => outline.core_modules += 1,
                Payload::MemorySection(memories) => {
                    outline.memories.extend(memories.into_iter().flatten().map(Memory::from));
                }
                Payload::ComponentImportSection(imports) if depth == 1 => {
                    let imports = imports.into_iter().flatten();
                    let imports = imports.filter(|import| !matches!(import.ty, ComponentTypeRef::Type(_)));
                    outline.imports.extend(imports.map(|import| import.name.name.to_owned()));
                }
                Payload::ComponentExportSection(exports) if depth == 1 => {
                    outline
                        .exports
                        .extend(exports.into_iter().flatten().map(|export| export.name.name.to_owned()));
                }
                _ => {}
            }
        }
        let initial = outline.memories.iter().map(|memory| memory.initial_bytes);
        outline.memory_bytes = initial.fold(0, u64::saturating_add);
        outline
    }
}
