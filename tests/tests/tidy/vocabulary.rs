//! The words that the product does not use, and the standard terms that it uses instead. The glossary explains those.

use crate::house::{self, House, numbered};

/// Old words, whole or as a part of an identifier, and what to say instead.
const WORDS: [(&[&str], &str); 22] = [
    (&["obstacle", "obstacles", "hinder", "hinders", "hindered"], "condition, report a condition"),
    (&["horizon", "horizons"], "high-water mark"),
    (&["condemn", "condemned", "condemns"], "deleting"),
    (&["freeze", "freezes", "frozen", "thaw", "thaws"], "cutover, fenced; suspended of a process"),
    (&["switch", "switches", "switched", "switching"], "cutover, promote"),
    (&["steward", "stewards"], "cutover controller"),
    (&["sweep", "sweeps", "swept"], "garbage collection, eviction"),
    (&["law", "laws"], "rule, invariant"),
    (&["stage", "stages", "live"], "role: serving, candidate"),
    (&["standing", "standings"], "read model status"),
    (&["declined", "declines"], "rejected"),
    (&["refuse", "refused", "refuses", "refusal", "refusals"], "invalid, unsupported, forbidden, denied"),
    (&["mend", "mends", "mended"], "repair"),
    (&["told", "tells", "tell", "heed", "heeds"], "report, describe, show"),
    (&["lane", "lanes", "crew", "shelf"], "assignment, tasks, cache"),
    (&["ballot", "ballots"], "outcome of a proposal"),
    (&["habits"], "prefetch plan"),
    (&["workshop"], "compiler service"),
    (&["gate", "gates", "pace", "paces"], "authentication, request limits"),
    (&["glance", "pulse", "unborn", "untouched"], "liveness read, heartbeat, new, initial"),
    (&["author", "authors"], "actor"),
    (&["whoever", "somebody", "nobody"], "the worker, the operator, the component"),
];

/// Old phrases, in whatever case and over underscores.
const PHRASES: [(&[&str], &str); 6] = [
    (&["in words"], "with a message"),
    (&["given up", "gives up", "give up"], "cancelled, abandoned"),
    (&["draw level", "draws level", "level with"], "catch up, caught up"),
    (&["let go", "lets go", "in the way", "hand over", "hands over"], "abort, blocks, pass"),
    (&["takes its place", "take its place", "put in place", "puts in place"], "is promoted, replaces"),
    (&["stands still", "stand still", "what is"], "is halted; a noun"),
];

/// What only looks like an old word: names of the operating system, of WebAssembly and of Python, and a
/// placeholder in a message.
const FOREIGN: [&str; 9] = [
    "ConnectionRefused",
    "Connection refused",
    "connection refused",
    "\"nobody\"",
    "`nobody`",
    "{what}",
    "stack-switching",
    "STACK_SWITCHING",
    "frozen=True",
];

pub(crate) fn words_are_those_of_the_field(house: &House) -> Vec<String> {
    let mut complaints = Vec::new();
    let foreign = |path: &str| path.starts_with(crate::TIDY) || path.rsplit('/').next() == Some("LICENSE");
    for (path, text) in house.written().filter(|(path, _)| !foreign(path)) {
        if let Some((word, instead)) = old_word(path) {
            complaints.push(format!("{path}: `{word}` in its name is now: {instead}"));
        }
        for (number, line) in numbered(text) {
            let is_statement = house::has_extension(path, &["c", "go", "ts", "zig"]);
            let line = if is_statement { line.trim_start().trim_start_matches("switch ") } else { line };
            if let Some((word, instead)) = old_word(line) {
                complaints.push(format!("{path}:{number}: `{word}` is now: {instead}"));
            }
        }
    }
    complaints
}

/// The first old word of a line, and what to say instead.
fn old_word(line: &str) -> Option<(&'static str, &'static str)> {
    let parts = parts(&FOREIGN.iter().fold(line.to_owned(), |line, foreign| line.replace(foreign, " ")));
    let of_word = WORDS.iter().find_map(|(old, instead)| {
        old.iter().find(|old| parts.iter().any(|part| part == *old)).map(|old| (*old, *instead))
    });
    of_word.or_else(|| {
        let joined = format!(" {} ", parts.join(" "));
        PHRASES.iter().find_map(|(old, instead)| {
            old.iter().find(|old| joined.contains(&format!(" {old} "))).map(|old| (*old, *instead))
        })
    })
}

/// The words of a line in lower case: identifiers are taken apart at underscores and capital letters.
fn parts(line: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut before = ' ';
    for c in line.chars() {
        let begins = c.is_uppercase() && before.is_lowercase();
        if !c.is_alphabetic() || begins {
            parts.push(String::new());
        }
        if c.is_alphabetic() {
            parts.last_mut().expect("there is always one").extend(c.to_lowercase());
        }
        before = c;
    }
    parts.retain(|part| !part.is_empty());
    parts
}
