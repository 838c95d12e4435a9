//! Versions as tools print them: the first numbers with a dot between them in a line of text.

use std::fmt;

/// The version of a tool. Parts that it does not print are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) u32, pub(crate) u32, pub(crate) u32);

impl Version {
    /// Finds the version in what a tool printed.
    pub(crate) fn find(text: &str) -> Option<Self> {
        let words = text.split(|c: char| !c.is_ascii_digit() && c != '.');
        words.filter(|word| word.trim_matches('.').contains('.')).find_map(|word| {
            let mut parts = word.trim_matches('.').split('.').map(str::parse::<u32>);
            let (major, minor) = (parts.next()?.ok()?, parts.next()?.ok()?);
            Some(Self(major, minor, parts.next().and_then(Result::ok).unwrap_or(0)))
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found_in_what_tools_print() {
        for (text, expected) in [
            ("go version go1.27.3 linux/amd64", Some(Version(1, 27, 3))),
            ("go version go1.24 darwin/arm64", Some(Version(1, 24, 0))),
            ("go version go1.26rc1 linux/amd64", Some(Version(1, 26, 0))),
            ("v20.20.2\n", Some(Version(20, 20, 2))),
            ("11.19.1", Some(Version(11, 19, 1))),
            ("Debian clang version 22.1.8 (++2026)\nTarget: x86_64-pc-linux-gnu", Some(Version(22, 1, 8))),
            ("rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)", Some(Version(1, 96, 0))),
            ("componentize-py 0.25.1", Some(Version(0, 25, 1))),
            ("0.17.1", Some(Version(0, 17, 1))),
            ("0.17.0-dev.12+abc", Some(Version(0, 17, 0))),
            ("pyenv: version `3.11` is not installed", Some(Version(3, 11, 0))),
            ("command not found.", None),
            ("version 5", None),
            ("99999999999.1", None),
        ] {
            assert_eq!(Version::find(text), expected, "{text}");
        }
    }

    #[test]
    fn versions_are_compared_part_by_part() {
        assert!(Version(1, 9, 0) < Version(1, 24, 0));
        assert!(Version(2, 0, 0) > Version(1, 99, 99));
        assert_eq!(Version(22, 1, 8).to_string(), "22.1.8");
    }
}
