//! Names of schemas and tables for read models: readable where possible, unique always. Pure: which
//! names are taken is the caller's to find out.

use kennel_core::digest::Digest;

/// Longest name that PostgreSQL keeps whole is 63 bytes; a digest of 12 and a `_` have to fit behind.
const READABLE_BYTES_MAX: usize = 48;

/// Names for `wanted`, best first. The first that is free is to be taken.
///
/// A name that is a plain identifier stays as it is. Anything else gets a part of its digest, so that
/// names which differ only in case, in odd characters or far behind stay apart on databases that fold
/// case and cut long names.
pub(crate) fn candidates(wanted: &str) -> Vec<String> {
    let readable = readable(wanted);
    let digest = Digest::of(wanted.as_bytes()).to_string();
    let mut names = Vec::with_capacity(3);
    if readable == wanted || readable == wanted.replace('-', "_") {
        names.push(readable.clone());
    }
    names.push(format!("{readable}_{}", &digest[..12]));
    names.push(format!("c_{}", &digest[..60]));
    names
}

fn readable(wanted: &str) -> String {
    let mut name = String::with_capacity(READABLE_BYTES_MAX);
    for c in wanted.chars() {
        if name.len() == READABLE_BYTES_MAX {
            break;
        }
        match c {
            'a'..='z' | '0'..='9' | '_' => name.push(c),
            'A'..='Z' => name.push(c.to_ascii_lowercase()),
            _ if name.ends_with('_') => {}
            _ => name.push('_'),
        }
    }
    if name.starts_with(|first: char| first.is_ascii_digit()) || name.is_empty() || is_reserved(&name) {
        name.insert_str(0, "c_");
        name.truncate(READABLE_BYTES_MAX);
    }
    name
}

/// Whether databases keep a name to themselves. In SQLite all that begin with `sqlite_` are, and the name of a
/// namespace is followed by `__` there; in PostgreSQL schemas that begin with `pg_`; any other conflicting name
/// exists there and is found to be taken.
fn is_reserved(name: &str) -> bool {
    name == "sqlite" || name.starts_with("sqlite_") || name == "pg" || name.starts_with("pg_")
}

/// The least text that sorts after every key that starts with `prefix`, by bytes. Where there is none,
/// a text that is longer than any key can be.
pub(crate) fn after_prefix(prefix: &str) -> String {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // Surrogates are not characters, so the successor of the character before them lies behind.
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(u32::from(last) + 1) };
        if let Some(next) = next {
            return chars.into_iter().chain([next]).collect();
        }
    }
    char::MAX.to_string().repeat(kennel_core::limits::KEY_BYTES_MAX / char::MAX.len_utf8() + 1)
}

/// The least key that a scan may return: it starts with `prefix` or sorts behind, and sorts after
/// `after`. Keys hold no NUL, so nothing lies between a key and the same key with U+0001 behind it.
pub(crate) fn first_of_scan(after: Option<&str>, prefix: &str) -> String {
    match after {
        Some(after) if after >= prefix => format!("{after}\u{1}"),
        _ => prefix.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn plain_names_stay_and_odd_ones_never_collide() {
        assert_eq!(candidates("orders")[0], "orders");
        assert_eq!(candidates("order-summary")[0], "order_summary");
        let long = "x".repeat(199);
        let odd = [
            "Orders",
            "ORDERS",
            "or ders",
            "or\"ders",
            "käse",
            "ks",
            "1st",
            "",
            "日本語",
            "日本人",
            &format!("{long}a"),
            &format!("{long}b"),
            "a;b",
            "a,b",
        ];
        let names: BTreeSet<String> = odd.iter().map(|name| candidates(name)[0].clone()).collect();
        assert_eq!(names.len(), odd.len(), "{names:?}");
        for name in odd.iter().flat_map(|name| candidates(name)) {
            assert!(name.len() <= 63, "{name}");
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
                "{name}"
            );
        }
    }

    #[test]
    fn what_databases_keep_to_themselves_is_never_proposed() {
        for wanted in
            ["sqlite", "sqlite_x", "sqlite-x", "SQLite", "sqlite__", "pg_x", "pg-temp", "pg", "pg_catalog"]
        {
            for name in candidates(wanted) {
                assert!(!is_reserved(&name), "{wanted}: {name}");
                assert!(name.len() <= 63, "{wanted}: {name}");
            }
        }
        assert_eq!(candidates("sqliteish")[0], "sqliteish");
        assert_eq!(candidates("pgstats")[0], "pgstats");
    }

    #[test]
    fn the_end_of_a_prefix_sorts_behind_it() {
        for (prefix, expected) in [("a", "b"), ("az", "a{"), ("\u{d7ff}", "\u{e000}"), ("a\u{10ffff}", "b")] {
            assert_eq!(after_prefix(prefix), expected);
        }
        assert!(after_prefix("").len() > kennel_core::limits::KEY_BYTES_MAX);
        assert_eq!(first_of_scan(None, "p"), "p");
        assert_eq!(first_of_scan(Some("a"), "p"), "p");
        assert_eq!(first_of_scan(Some("p1"), "p"), "p1\u{1}");
    }
}
