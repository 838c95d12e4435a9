//! The bindings' runtime: memory that the host fills, memory of lists that are passed to it, and a start.
//!
//! It is the little of wit-bindgen's runtime that a world without resources and async functions uses.

use std::alloc::{self, Layout};
use std::ptr::{self, NonNull};

/// Memory of a list that is passed to the host: freed when the call is over, or left to the caller.
pub(crate) struct Cleanup {
    start: NonNull<u8>,
    layout: Layout,
}

impl Cleanup {
    /// Memory of this layout. A list without elements needs none.
    pub(crate) fn new(layout: Layout) -> (*mut u8, Option<Self>) {
        if layout.size() == 0 {
            return (ptr::null_mut(), None);
        }
        // SAFETY: the layout has a size.
        let start = unsafe { alloc::alloc(layout) };
        let Some(start) = NonNull::new(start) else { alloc::handle_alloc_error(layout) };
        (start.as_ptr(), Some(Self { start, layout }))
    }

    /// Leaves the memory to the host, which has it freed after it has read it.
    pub(crate) fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        // SAFETY: `new` allocated it with this layout, and `forget` would have kept it from being dropped.
        unsafe { alloc::dealloc(self.start.as_ptr(), self.layout) };
    }
}

/// Runs the constructors of the module, once and not again with every call.
pub(crate) fn run_ctors_once() {
    use std::sync::atomic::{AtomicBool, Ordering};

    unsafe extern "C" {
        /// Made by the linker.
        fn __wasm_call_ctors();
    }
    static HAVE_RUN: AtomicBool = AtomicBool::new(false);
    if !HAVE_RUN.swap(true, Ordering::Relaxed) {
        // SAFETY: this is the start of the first call, and no other code of the module runs.
        unsafe { __wasm_call_ctors() };
    }
}

/// The bindings refer to it to have their world linked. With wit-bindgen's own runtime it would link `cabi_realloc`.
pub(crate) fn maybe_link_cabi_realloc() {}

/// Memory into which the host writes the arguments of an export and the results of an import.
///
/// Where there is a libc (wasm32-wasip2), it brings this function.
#[cfg(any(target_env = "p1", target_env = ""))]
#[unsafe(no_mangle)]
unsafe extern "C" fn cabi_realloc(
    before: *mut u8,
    bytes_before: usize,
    align: usize,
    bytes: usize,
) -> *mut u8 {
    if bytes_before == 0 && bytes == 0 {
        return ptr::without_provenance_mut(align);
    }
    // SAFETY: the host passes alignments and sizes of the contract's types, and what this function has returned before.
    let start = unsafe {
        match bytes_before {
            0 => alloc::alloc(Layout::from_size_align_unchecked(bytes, align)),
            _ => alloc::realloc(before, Layout::from_size_align_unchecked(bytes_before, align), bytes),
        }
    };
    if start.is_null() {
        // The host has denied the memory, and reports that.
        std::process::abort();
    }
    start
}
