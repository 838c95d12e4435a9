//! The files of a new project: the template of a language with its placeholders replaced, the events that all languages
//! share, and a copy of the SDK. All are inside this program, of its own version.

use std::path::{Path, PathBuf};

use super::language::Language;
use super::name::Name;

/// All files of the SDKs and of their templates, by their path below `guest-sdk`.
const EMBEDDED: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// Files that would have a meaning for tools of this repository if they were called in a template as in a project.
const DOTTED: [&str; 4] = ["gitignore", "npmrc", "gitattributes", "clang-format"];

/// A file of a new project.
#[derive(Debug)]
pub(crate) struct NewFile {
    /// Below the project's folder.
    pub(crate) path: PathBuf,
    pub(crate) content: Vec<u8>,
    pub(crate) is_script: bool,
}

/// The files of a new project.
pub(crate) fn files(language: Language, name: &Name) -> Vec<NewFile> {
    let (sdk, template) = folders(language);
    let mut files = Vec::new();
    for (path, content) in EMBEDDED {
        let file = if let Some(below) = path.strip_prefix(template).or_else(|| path.strip_prefix("template/"))
        {
            NewFile::of_template(below, content, name)
        } else if let Some(below) = path.strip_prefix(sdk).filter(|below| !is_template(below)) {
            NewFile::new(Path::new("sdk").join(below), content.to_vec())
        } else {
            continue;
        };
        files.push(file);
    }
    files
}

/// Where the SDK of a language and its template are.
const fn folders(language: Language) -> (&'static str, &'static str) {
    match language {
        Language::Rust => ("rust/", "rust/template/"),
        Language::TypeScript => ("typescript/", "typescript/template/"),
        Language::JavaScript => ("typescript/", "typescript/template-javascript/"),
        Language::Python => ("python/", "python/template/"),
        Language::Go => ("go/", "go/template/"),
        Language::C | Language::Cpp | Language::Zig => ("c/", "c/template/"),
    }
}

fn is_template(below: &str) -> bool {
    below.split('/').next().is_some_and(|first| first == "template" || first == "template-javascript")
}

impl NewFile {
    fn new(path: PathBuf, content: Vec<u8>) -> Self {
        let is_script = content.starts_with(b"#!");
        Self { path, content, is_script }
    }

    fn of_template(below: &str, content: &[u8], name: &Name) -> Self {
        let mut path = PathBuf::new();
        for part in below.split('/') {
            path.push(if DOTTED.contains(&part) { format!(".{part}") } else { name.replaced(part) });
        }
        // Placeholders are in texts alone.
        let content = match std::str::from_utf8(content) {
            Ok(text) => name.replaced(text).into_bytes(),
            Err(_) => content.to_vec(),
        };
        Self::new(path, content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_replaced_and_hidden_files_get_their_dot() {
        let name = "order-2-summary".parse().unwrap();
        let file = NewFile::of_template(
            "src/my_projection.go",
            b"package my_projection // my-projection\ntype MyProjection; var myProjection",
            &name,
        );
        assert_eq!(file.path, Path::new("src/order_2_summary.go"));
        assert_eq!(
            String::from_utf8(file.content).unwrap(),
            "package order_2_summary // order-2-summary\ntype Order2Summary; var order2Summary"
        );
        assert!(!file.is_script);
        let file = NewFile::of_template("gitignore", b"*.wasm", &name);
        assert_eq!(file.path, Path::new(".gitignore"));
        let file = NewFile::of_template("my-projection.bin", b"\xFFmy-projection", &name);
        assert_eq!(
            (file.path.as_path(), &*file.content),
            (Path::new("order-2-summary.bin"), &b"\xFFmy-projection"[..])
        );
        assert!(NewFile::of_template("test.sh", b"#!/bin/sh", &name).is_script);
    }

    #[test]
    fn every_language_has_a_template_and_an_sdk_without_what_belongs_to_the_repository() {
        let name: Name = "shop".parse().unwrap();
        for language in Language::TEMPLATES {
            let files = files(language, &name);
            let has = |path: &str| files.iter().any(|file| file.path == Path::new(path));
            for path in
                ["events.jsonl", "expected.json", "README.md", ".gitignore", "sdk/README.md", "sdk/LICENSE"]
            {
                assert!(has(path), "{language}: {path} is missing");
            }
            for file in &files {
                let path = file.path.to_str().unwrap();
                let parts: Vec<_> = path.split('/').collect();
                for apart in
                    ["node_modules", "dist", "target", "__pycache__", "conformance", "examples", "template"]
                {
                    assert!(!parts.contains(&apart), "{language}: {path}");
                }
                let is_test =
                    path.starts_with("sdk/") && (path.contains("_test.") || path.starts_with("sdk/tests/"));
                assert!(!path.ends_with(".wasm") && !is_test, "{language}: {path}");
                if parts[0] != "sdk" {
                    let text = String::from_utf8_lossy(&file.content);
                    for placeholder in ["my-projection", "my_projection", "MyProjection", "myProjection"] {
                        assert!(
                            !text.contains(placeholder) && !path.contains(placeholder),
                            "{language}: {path}"
                        );
                    }
                }
            }
            let sdk = files.iter().filter(|file| file.path.starts_with("sdk")).count();
            assert!(sdk > 5, "{language}: the SDK has {sdk} files");
        }
    }
}
