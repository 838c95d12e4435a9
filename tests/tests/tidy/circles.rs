//! Import circles between the modules of a crate: each module is one file, or a folder with the file of its name.

use std::collections::{BTreeMap, BTreeSet};

use crate::house::House;

/// The top-level modules of a crate, and which others of them each one imports.
type Imports = BTreeMap<String, BTreeSet<String>>;

pub(crate) fn imports_have_no_circles(house: &House) -> Vec<String> {
    let mut crates: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for (path, text) in house.rust() {
        let Some((folder, file)) = path.split_once("/src/") else { continue };
        if (folder.starts_with("host/") || folder == "guest-sdk/rust")
            && !crate::CIRCLES_LEFT.contains(&folder)
        {
            crates.entry(folder).or_default().push((file.trim_end_matches(".rs"), text));
        }
    }
    let circle = |(folder, files): (&str, Vec<(&str, &str)>)| {
        find(&imports(&files)).map(|circle| {
            format!("{folder}: its modules import each other in a circle: {}", circle.join(" > "))
        })
    };
    crates.into_iter().filter_map(circle).collect()
}

fn imports(files: &[(&str, &str)]) -> Imports {
    let modules: BTreeSet<&str> = files.iter().map(|(file, _)| top(file)).collect();
    let mut imports = Imports::new();
    for (file, text) in files.iter().filter(|(file, _)| !["lib", "main"].contains(file)) {
        let code: String =
            text.lines().take_while(|line| *line != "mod tests {").map(without_comment).collect();
        // As many `super::` as lead out of the top-level module.
        let above = "super::".repeat(file.split('/').count());
        let named = named(&code, "crate::").into_iter().chain(named(&code, &above));
        let others = named.filter(|name| modules.contains(name.as_str()) && name != top(file));
        imports.entry(top(file).to_owned()).or_default().extend(others);
    }
    imports
}

/// The top-level module of a file.
fn top(file: &str) -> &str {
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
