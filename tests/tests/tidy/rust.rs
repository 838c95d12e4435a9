//! What the rules need to know of manifests and Rust sources. Line by line: no parser, so formatted code is assumed.

use std::collections::BTreeSet;

use crate::house::numbered;

/// The packages that a manifest depends on, in any section and under any name.
pub(crate) fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            let dependencies = section.find("dependencies");
            inside = dependencies.is_some();
            let named = dependencies.and_then(|at| section[at..].split_once('.'));
            found.extend(named.map(|(_, name)| name.trim_matches(['"', '\'']).to_owned()));
        } else if inside && let Some((name, value)) = line.split_once('=') {
            let name = name.split('.').next().unwrap_or_default();
            found.insert(name.trim().trim_matches(['"', '\'']).to_owned());
            let renamed = value.split_once("package").and_then(|(_, rest)| rest.split('"').nth(1));
            found.extend(renamed.map(str::to_owned));
        }
    }
    found
}

/// The lines of code that reach into a crate: `name::` or `use name;`.
pub(crate) fn lines_that_import(source: &str, name: &str) -> Vec<usize> {
    let imports = |line: &str| {
        line.match_indices(name).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let after = &line[at + name.len()..];
            !before.is_some_and(|c| c.is_alphanumeric() || "_:\"".contains(c))
                && (after.starts_with("::")
                    || line[..at].trim_end().ends_with("use") && after.starts_with([';', ' ']))
        })
    };
    let code = numbered(source).filter(|(_, line)| !line.trim_start().starts_with("//"));
    code.filter(|(_, line)| imports(line)).map(|(number, _)| number).collect()
}

/// Every function with a body: its line, its name and its lines of code, without blank lines and comments.
/// Formatted code is assumed: a function ends at the first brace that is indented like its beginning.
pub(crate) fn functions(text: &str) -> impl Iterator<Item = (usize, &str, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let heads = numbered(text).filter_map(|(number, line)| Some((number, line, function_name(line)?)));
    heads.filter_map(move |(number, head, name)| {
        let body = &lines[number - 1..];
        let opening = body.iter().position(|line| line.trim_end().ends_with(['{', '}', ';']))?;
        if !body[opening].trim_end().ends_with('{') {
            return None;
        }
        let indent = |line: &str| line.len() - line.trim_start().len();
        let closes = |line: &&str| line.trim_start().starts_with('}') && indent(line) == indent(head);
        let length = body.iter().skip(opening + 1).position(closes)? + opening + 2;
        let code = body[..length].iter().map(|line| line.trim());
        Some((number, name, code.filter(|line| !line.is_empty() && !line.starts_with("//")).count()))
    })
}

/// Every trait with a body: its line, its name and the number of its methods. Formatted code is assumed, as in [`functions`].
pub(crate) fn traits(text: &str) -> impl Iterator<Item = (usize, &str, usize)> {
    let with_body = numbered(text).filter(|(_, line)| !line.ends_with('}'));
    let heads = with_body.filter_map(|(number, line)| {
        let indent = &line[..line.len() - line.trim_start().len()];
        let after = line.trim_start().strip_prefix("pub(crate) ").unwrap_or(line.trim_start());
        let after = after.strip_prefix("pub ").unwrap_or(after).strip_prefix("trait ")?;
        Some((number, indent, after.split(|c: char| !c.is_alphanumeric()).next()?))
    });
    heads.map(|(number, indent, name)| {
        let ends = |line: &&str| line.strip_prefix(indent).is_some_and(|rest| rest.starts_with('}'));
        let body = text.lines().skip(number).take_while(|line| !ends(line));
        let inside = format!("{indent}    ");
        let members = body.filter_map(|line| line.strip_prefix(inside.as_str()));
        (number, name, members.filter(|line| function_name(line).is_some() && !line.starts_with(' ')).count())
    })
}

fn function_name(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let qualifiers = ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe", "extern", "\"C\""];
    if !before.split_whitespace().all(|word| qualifiers.contains(&word))
        || before.ends_with(char::is_alphanumeric)
    {
        return None;
    }
    after.split(['(', '<']).next()
}
