//! Files that are no WebAssembly: what each one looks like by its content, and what to do instead of deploying it.
//!
//! Nothing is parsed: the first bytes are enough for a message.

use kennel_core::limits;

/// Files of other kinds by their first bytes: what they are, and what to do.
const KINDS: [(&[u8], &str); 13] = [
    (b"\x7fELF", "a program for Linux (ELF): build it for WebAssembly, with `kennel build`"),
    (b"MZ", "a program for Windows: build it for WebAssembly, with `kennel build`"),
    (b"\xcf\xfa\xed\xfe", "a program for macOS: build it for WebAssembly, with `kennel build`"),
    (b"\xca\xfe\xba\xbe", "a program for macOS or Java: build it for WebAssembly, with `kennel build`"),
    (b"!<arch>\n", "a static library: link it, with `kennel build`"),
    (b"PK\x03\x04", "a zip archive: unpack it, and deploy the .wasm file in it"),
    (b"\x1f\x8b", "compressed with gzip: unpack it, and deploy the .wasm file"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd: unpack it, and deploy the .wasm file"),
    (b"\xfd7zXZ\0", "compressed with xz: unpack it, and deploy the .wasm file"),
    (b"BZh", "compressed with bzip2: unpack it, and deploy the .wasm file"),
    (b"version https://git-lfs", "a pointer of Git LFS: `git lfs pull` fetches the file itself"),
    (b"<!DOCTYPE", "a web page, so a download has failed: download it again"),
    (b"<!doctype", "a web page, so a download has failed: download it again"),
];

/// The message for a file that does not begin as every WebAssembly file does.
pub(super) fn message(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "not a WebAssembly file: it is empty".to_owned();
    }
    if let Some((_, kind)) = KINDS.iter().find(|(start, _)| bytes.starts_with(start)) {
        return format!("not a WebAssembly file, but {kind}");
    }
    let text = std::str::from_utf8(bytes).ok().map(str::trim_start);
    if text.is_some_and(|text| text.starts_with("(module") || text.starts_with("(component")) {
        return "WebAssembly text, not a WebAssembly binary: convert it with `wasm-tools parse`".to_owned();
    }
    // A source is all text, of which a long one is looked at only in part.
    let start = &bytes[..bytes.len().min(512)];
    let start = start.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    if start.len() > bytes.len().min(512).saturating_sub(4) && !start.contains('\0') {
        let line = limits::excerpt(start.trim_start().lines().next().unwrap_or_default().trim_end());
        return format!(
            "not a WebAssembly file, but text that starts with `{line}`: `kennel build` makes the .wasm file of a \
             projection from its source"
        );
    }
    let start: Vec<String> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let start = start.join(" ");
    format!("not a WebAssembly file: it starts with the bytes {start}, a WebAssembly file with 00 61 73 6d")
}
