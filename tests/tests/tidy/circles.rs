//! Import circles between modules that have the same parent: those at the top of a crate, and those inside each folder.
//! A module is one file, or a folder with the file of its name.

use std::collections::{BTreeMap, BTreeSet};

use crate::house::House;

/// The modules in one folder, and which others of them each one imports.
type Imports = BTreeMap<String, BTreeSet<String>>;

pub(crate) fn imports_have_no_circles(house: &House) -> Vec<String> {
    let mut crates: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for (path, text) in house.rust() {
        let Some((folder, file)) = path.split_once("/src/") else { continue };
        if ["host/", "tests"].iter().any(|root| folder.starts_with(root)) || folder == "guest-sdk/rust" {
            crates.entry(folder).or_default().push((file.trim_end_matches(".rs"), text));
        }
    }
    let mut complaints = Vec::new();
    for (crate_folder, files) in crates {
        let folders: BTreeSet<&str> = files.iter().flat_map(|(file, _)| folders_above(file)).collect();
        for folder in folders {
            let path = format!("{crate_folder}/src/{folder}").trim_end_matches('/').to_owned();
            if let Some(circle) = find(&imports(&files, folder)) {
                complaints.push(format!(
                    "{path}: its modules import each other in a circle: {}",
                    circle.join(" > ")
                ));
            }
        }
    }
    complaints
}

/// The folders that a file is in, from the top of its crate, whose name is empty: of `a/b/c` they are ``, `a` and `a/b`.
fn folders_above(file: &str) -> impl Iterator<Item = &str> {
    std::iter::once("").chain(file.match_indices('/').map(|(at, _)| &file[..at]))
}

/// What the modules in a folder import of each other.
fn imports(files: &[(&str, &str)], folder: &str) -> Imports {
    let inside = |file| match folder {
        "" => Some(file).filter(|file| !["lib", "main"].contains(file)),
        folder => str::strip_prefix(file, folder)?.strip_prefix('/'),
    };
    let files: Vec<(&str, &str)> =
        files.iter().filter_map(|(file, text)| Some((inside(*file)?, *text))).collect();
    let modules: BTreeSet<&str> = files.iter().map(|(file, _)| module(file)).collect();
    let mut path = String::from("crate::");
    path.extend(folder.split('/').filter(|name| !name.is_empty()).map(|name| format!("{name}::")));
    let mut imports = Imports::new();
    for (file, text) in &files {
        let code: String =
            text.lines().take_while(|line| *line != "mod tests {").map(without_comment).collect();
        // As many `super::` as lead to the folder.
        let above = "super::".repeat(file.split('/').count());
        let named = named(&code, &path).into_iter().chain(named(&code, &above));
        let others = named.filter(|name| modules.contains(name.as_str()) && name != module(file));
        imports.entry(module(file).to_owned()).or_default().extend(others);
    }
    imports
}

/// The module in a folder that a file there is a part of.
fn module(file: &str) -> &str {
    file.split('/').next().unwrap_or(file)
}

fn without_comment(line: &str) -> String {
    format!("{}\n", line.split("//").next().unwrap_or_default())
}

/// The first names after each `prefix`, which is not the end of a longer path: of a path, or of all paths in braces.
fn named(code: &str, prefix: &str) -> Vec<String> {
    let begins = code.match_indices(prefix).map(|(at, _)| at).filter(|at| !code[..*at].ends_with(':'));
    let names = begins.flat_map(|at| {
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(list) => first_names(list),
            None => vec![name(rest)],
        }
    });
    names.collect()
}

/// The first name of each path of a list in braces.
fn first_names(list: &str) -> Vec<String> {
    let (mut depth, mut names, mut begins) = (0, Vec::new(), true);
    for (at, c) in list.char_indices() {
        match c {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            c if begins && !c.is_whitespace() => {
                names.push(name(&list[at..]));
                begins = false;
            }
            _ => {}
        }
    }
    names
}

fn name(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// A circle, if there is one.
fn find(imports: &Imports) -> Option<Vec<String>> {
    imports.keys().find_map(|module| back_to(imports, module, module, &mut BTreeSet::new()))
}

/// The way from a module back to `start`, if there is one.
fn back_to(
    imports: &Imports,
    module: &str,
    start: &str,
    visited: &mut BTreeSet<String>,
) -> Option<Vec<String>> {
    for next in imports.get(module).into_iter().flatten() {
        if next == start {
            return Some(vec![module.to_owned(), start.to_owned()]);
        }
        if visited.insert(next.clone())
            && let Some(mut way) = back_to(imports, next, start, visited)
        {
            way.insert(0, module.to_owned());
            return Some(way);
        }
    }
    None
}
