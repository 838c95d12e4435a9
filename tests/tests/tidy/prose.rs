//! The paths that a document names.

use crate::TOP_LEVEL;
use crate::house::numbered;

/// The repository's paths that a document names: in backticks from the root, in links from its own folder.
/// The text in a fenced block is a screen, not a reference.
pub(crate) fn paths_named(document: &str, text: &str) -> Vec<(usize, String)> {
    let mut named = Vec::new();
    let mut fenced = false;
    for (number, line) in numbered(text) {
        fenced ^= line.trim_start().starts_with("```");
        if fenced {
            continue;
        }
        let quoted = line.split('`').skip(1).step_by(2).flat_map(str::split_whitespace);
        let quoted = quoted.filter(|word| {
            TOP_LEVEL.iter().any(|top| *top != "target" && word.starts_with(&format!("{top}/")))
        });
        named.extend(quoted.flat_map(without_braces).map(|path| (number, plain(&path).to_owned())));
        for target in line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next()) {
            let elsewhere = target.starts_with(['#', '/']) || target.contains(':');
            let target = plain(target);
            if !elsewhere && !target.is_empty() {
                named.push((number, resolve(document, target)));
            }
        }
    }
    named
}

/// A path without what may follow it: a line number, an anchor, a full stop, or the part with a wild card.
fn plain(path: &str) -> &str {
    let path = path.split(['#', ':']).next().unwrap_or_default().trim_end_matches(['.', ',', ';']);
    match path.find('*') {
        Some(star) => path[..star].rsplit_once('/').map_or("", |(folder, _)| folder),
        None => path,
    }
}

/// `a/{b,c}/d` as `a/b/d` and `a/c/d`.
fn without_braces(path: &str) -> Vec<String> {
    let Some((before, rest)) = path.split_once('{') else { return vec![path.to_owned()] };
    let Some((choices, after)) = rest.split_once('}') else { return vec![path.to_owned()] };
    choices.split(',').flat_map(|choice| without_braces(&format!("{before}{choice}{after}"))).collect()
}

fn resolve(document: &str, target: &str) -> String {
    let mut parts: Vec<&str> = document.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}
