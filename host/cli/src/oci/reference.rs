//! Where a component lies in a registry: `oci://REGISTRY/REPOSITORY[:TAG][@sha256:DIGEST]`.
//!
//! Stricter than docker's own references: the registry is always named, and digests are SHA-256. It knows nothing
//! of what lies there.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use kennel_core::digest::Digest;
use kennel_core::limits;

/// What every reference begins with.
pub const SCHEME: &str = "oci://";
/// The tag of a reference that names neither tag nor digest.
const TAG_DEFAULT: &str = "latest";
/// Longest repository, as registries have it.
const REPOSITORY_BYTES_MAX: usize = 255;
/// Longest tag, as the distribution specification has it.
const TAG_BYTES_MAX: usize = 128;

/// Where a component lies in a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    registry: String,
    repository: String,
    /// There is a tag, a digest or both.
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Text that is not a reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0}; write oci://REGISTRY/REPOSITORY[:TAG][@sha256:DIGEST], such as oci://ghcr.io/shop/order-summary:1.2"
)]
pub struct InvalidReference(String);

impl Reference {
    /// The registry's host, and its port if that is not the usual one.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository within the registry.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, if it names one. Where there is a digest too, that decides.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest of the manifest, if it names one.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The artifact with this manifest in the same repository, whatever becomes of tags.
    #[must_use]
    pub fn pinned(&self, manifest: Digest) -> Self {
        Self { tag: None, digest: Some(manifest), ..self.clone() }
    }

    /// The last part of the repository.
    #[must_use]
    pub fn name(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or(&self.repository)
    }

    /// Whether the registry runs on this machine. Such a one is spoken to without encryption, all others with.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let host = split_port(&self.registry).map_or("", |(host, _)| host);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost")
            || host.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback())
            || bare.parse().is_ok_and(|address: Ipv6Addr| address.is_loopback())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@sha256:{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        parse(text).map_err(InvalidReference)
    }
}

fn parse(text: &str) -> Result<Reference, String> {
    let rest = text.strip_prefix(SCHEME).ok_or_else(|| format!("it does not begin with {SCHEME}"))?;
    let (registry, path) = rest.split_once('/').unwrap_or((rest, ""));
    if registry.contains('@') {
        return Err("user names and passwords have no place in it: log in with `docker login`".to_owned());
    }
    check_registry(registry)?;
    let (name, digest) = match path.split_once('@') {
        Some((name, digest)) => (name, Some(parse_digest(digest)?)),
        None => (path, None),
    };
    let (repository, tag) = match name.split_once(':') {
        Some((repository, tag)) => (repository, Some(tag)),
        None => (name, digest.is_none().then_some(TAG_DEFAULT)),
    };
    check_repository(repository)?;
    tag.map_or(Ok(()), check_tag)?;
    let (registry, repository) = (registry.to_owned(), repository.to_owned());
    Ok(Reference { registry, repository, tag: tag.map(str::to_owned), digest })
}

fn check_registry(registry: &str) -> Result<(), String> {
    if registry.is_empty() {
        return Err("the registry is missing".to_owned());
    }
    let wrong = || format!("`{}` is no registry: HOST or HOST:PORT is expected", limits::excerpt(registry));
    let (host, port) = split_port(registry).ok_or_else(wrong)?;
    let port_fits = port.is_none_or(|port| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse().is_ok_and(|port: u16| port > 0)
    });
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host_fits = match bracketed {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => host.split('.').all(is_label),
    };
    if port_fits && host_fits { Ok(()) } else { Err(wrong()) }
}

/// Host and port; `None` where brackets do not match.
fn split_port(registry: &str) -> Option<(&str, Option<&str>)> {
    if !registry.starts_with('[') {
        return Some(registry.split_once(':').map_or((registry, None), |(host, port)| (host, Some(port))));
    }
    let (host, rest) = registry.split_at(registry.find(']')? + 1);
    match rest.strip_prefix(':') {
        Some(port) => Some((host, Some(port))),
        None => rest.is_empty().then_some((host, None)),
    }
}

fn check_repository(repository: &str) -> Result<(), String> {
    if repository.is_empty() {
        return Err("the repository is missing".to_owned());
    }
    if repository.len() > REPOSITORY_BYTES_MAX {
        return Err(format!(
            "the repository has {} characters, at most {REPOSITORY_BYTES_MAX} are allowed",
            repository.len()
        ));
    }
    if let Some(part) = repository.split('/').find(|part| !is_path_part(part)) {
        let rule =
            "lower-case letters and digits, joined by `.`, `_`, `__` or `-`, are allowed between slashes";
        return Err(format!("`{}` is no part of a repository: {rule}", limits::excerpt(part)));
    }
    Ok(())
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_path_part(part: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut between = part.split(|c: char| c.is_ascii() && is_word(c as u8)).filter(|gap| !gap.is_empty());
    let is_bounded =
        part.bytes().next().is_some_and(is_word) && part.bytes().next_back().is_some_and(is_word);
    is_bounded && between.all(|gap| matches!(gap, "." | "_" | "__") || gap.bytes().all(|byte| byte == b'-'))
}

/// `[A-Za-z0-9_][A-Za-z0-9._-]*`
fn check_tag(tag: &str) -> Result<(), String> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if tag.is_empty() {
        return Err("the tag after the colon is missing".to_owned());
    }
    if tag.len() > TAG_BYTES_MAX || tag.starts_with(['.', '-']) || !tag.bytes().all(is_allowed) {
        let rule = "letters, digits, `.`, `_` and `-` are allowed, not beginning with `.` or `-`";
        return Err(format!("`{}` is no tag: at most {TAG_BYTES_MAX} {rule}", limits::excerpt(tag)));
    }
    Ok(())
}

/// Reads `sha256:…`, as references and manifests have it.
pub(super) fn parse_digest(text: &str) -> Result<Digest, String> {
    let wrong = || {
        format!("`{}` is no digest: sha256: and 64 hexadecimal digits are expected", limits::excerpt(text))
    };
    text.strip_prefix("sha256:").ok_or_else(wrong)?.parse().map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn references_are_read_and_written() {
        let pinned = format!("oci://ghcr.io/a/b@{DIGEST}");
        let both = format!("oci://ghcr.io/a/b:1.0@{DIGEST}");
        let table = [
            ("oci://ghcr.io/shop/order-summary:1.2", "ghcr.io", "shop/order-summary", Some("1.2"), false),
            ("oci://localhost:5000/a", "localhost:5000", "a", Some("latest"), false),
            ("oci://127.0.0.1/a__b.c-d--e/f_g:_X.y-z", "127.0.0.1", "a__b.c-d--e/f_g", Some("_X.y-z"), false),
            ("oci://[::1]:5000/a/b/c", "[::1]:5000", "a/b/c", Some("latest"), false),
            ("oci://registry/a", "registry", "a", Some("latest"), false),
            (&pinned, "ghcr.io", "a/b", None, true),
            (&both, "ghcr.io", "a/b", Some("1.0"), true),
        ];
        for (text, registry, repository, tag, has_digest) in table {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.registry(), registry, "{text}");
            assert_eq!(reference.repository(), repository, "{text}");
            assert_eq!(reference.tag(), tag, "{text}");
            assert_eq!(reference.digest().is_some(), has_digest, "{text}");
            let latest = if tag == Some("latest") { ":latest" } else { "" };
            assert_eq!(reference.to_string(), format!("{text}{latest}"));
        }
    }

    #[test]
    fn a_malformed_reference_is_reported() {
        let long = format!("oci://a/{}", "x".repeat(256));
        let table = [
            ("", "it does not begin with oci://"),
            ("ghcr.io/a/b:1", "it does not begin with oci://"),
            ("https://ghcr.io/a/b:1", "it does not begin with oci://"),
            ("oci://", "the registry is missing"),
            ("oci:///a/b", "the registry is missing"),
            ("oci://ghcr.io", "the repository is missing"),
            ("oci://ghcr.io/", "the repository is missing"),
            ("oci://ghcr.io/:1.0", "the repository is missing"),
            ("oci://ghcr.io:1.0", "`ghcr.io:1.0` is no registry"),
            ("oci://ghcr.io:0/a", "`ghcr.io:0` is no registry"),
            ("oci://ghcr.io:+5/a", "`ghcr.io:+5` is no registry"),
            ("oci://ghcr.io:65536/a", "`ghcr.io:65536` is no registry"),
            ("oci://-a.io/a", "`-a.io` is no registry"),
            ("oci://a..io/a", "`a..io` is no registry"),
            ("oci://a?b/a", "`a?b` is no registry"),
            ("oci://[::1/a", "`[::1` is no registry"),
            ("oci://[::1]5000/a", "`[::1]5000` is no registry"),
            ("oci://[host]/a", "`[host]` is no registry"),
            ("oci://me:secret@ghcr.io/a", "user names and passwords have no place in it"),
            ("oci://ghcr.io/Shop/a", "`Shop` is no part of a repository"),
            ("oci://ghcr.io/a//b", "`` is no part of a repository"),
            ("oci://ghcr.io/../b", "`..` is no part of a repository"),
            ("oci://ghcr.io/a___b", "`a___b` is no part of a repository"),
            ("oci://ghcr.io/a-", "`a-` is no part of a repository"),
            ("oci://ghcr.io/a b", "`a b` is no part of a repository"),
            ("oci://ghcr.io/größe", "`größe` is no part of a repository"),
            ("oci://ghcr.io/a?x=1", "`a?x=1` is no part of a repository"),
            (&long, "the repository has 256 characters"),
            ("oci://ghcr.io/a:", "the tag after the colon is missing"),
            ("oci://ghcr.io/a:.x", "`.x` is no tag"),
            ("oci://ghcr.io/a:x/y", "`x/y` is no tag"),
            ("oci://ghcr.io/a:1:2", "`1:2` is no tag"),
            ("oci://ghcr.io/a@", "`` is no digest"),
            ("oci://ghcr.io/a@sha256:12ab", "`sha256:12ab` is no digest"),
            ("oci://ghcr.io/a@md5:12ab", "`md5:12ab` is no digest"),
        ];
        for (text, expected) in table {
            let error = text.parse::<Reference>().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
            assert!(error.ends_with("such as oci://ghcr.io/shop/order-summary:1.2"), "{text}: {error}");
        }
    }

    #[test]
    fn only_registries_on_this_machine_go_unencrypted() {
        let here = ["localhost", "LOCALHOST:5000", "127.0.0.1:1", "127.255.0.3", "[::1]", "[::1]:5000"];
        let elsewhere =
            ["localhost.example.org", "128.0.0.1", "127.0.0.1.nip.io", "[::2]:5000", "10.0.0.1", "127.1"];
        for (registries, expected) in [(&here, true), (&elsewhere, false)] {
            for registry in registries {
                let reference: Reference = format!("oci://{registry}/a").parse().unwrap();
                assert_eq!(reference.is_loopback(), expected, "{registry}");
            }
        }
    }

    #[test]
    fn a_pinned_reference_has_the_digest_alone() {
        let reference: Reference = "oci://localhost:5000/shop/orders:1".parse().unwrap();
        let pinned = reference.pinned(parse_digest(DIGEST).unwrap());
        assert_eq!(pinned.to_string(), format!("oci://localhost:5000/shop/orders@{DIGEST}"));
        assert_eq!(pinned.name(), "orders");
    }
}
