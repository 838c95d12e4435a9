//! Where a host is: the URL that people give, checked once.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use kennel_core::limits;
use reqwest::Url;

/// Where a host serves its API: http or https, a name or an address, maybe a port, and maybe a path before `/v1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostUrl(Url);

/// Text that is not the URL of a host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHostUrl {
    #[error(
        "`{0}` is not the URL of a host: use one like http://localhost:9090 or https://kennel.example.com"
    )]
    Malformed(String),
    #[error("a host is reached by http:// or https://, not by {0}://")]
    Scheme(String),
    #[error("the URL of a host holds no user and no password: the token goes into KENNEL_TOKEN")]
    Credentials,
    #[error("the URL of a host ends with its path: leave out what follows `?` or `#`")]
    Query,
}

impl FromStr for HostUrl {
    type Err = InvalidHostUrl;
    fn from_str(text: &str) -> Result<Self, InvalidHostUrl> {
        let malformed = || InvalidHostUrl::Malformed(limits::excerpt(text));
        // `localhost:9090` would have the scheme `localhost`.
        if !text.contains("://") {
            return Err(malformed());
        }
        let mut url: Url = text.trim().parse().map_err(|_| malformed())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidHostUrl::Scheme(limits::excerpt(url.scheme())));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidHostUrl::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidHostUrl::Query);
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }
}

impl fmt::Display for HostUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl HostUrl {
    /// Whether requests to it cannot be read on the way: they do not leave this machine, or they are encrypted.
    pub(crate) fn is_private(&self) -> bool {
        self.0.scheme() == "https" || self.is_loopback()
    }

    /// Whether it is this machine.
    pub(super) fn is_loopback(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || address.parse().is_ok_and(|address: IpAddr| address.to_canonical().is_loopback())
    }

    /// The URL of something below it.
    pub(super) fn at(&self, path: &[&str]) -> Url {
        let mut url = self.0.clone();
        // A URL of http has segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_hosts_are_taken_and_extended() {
        for (given, shown, at) in [
            ("http://localhost:9090", "http://localhost:9090", "http://localhost:9090/v1/projections/a"),
            (
                "https://ops.example.com/kennel/",
                "https://ops.example.com/kennel",
                "https://ops.example.com/kennel/v1/projections/a",
            ),
            ("HTTP://[::1]:1/", "http://[::1]:1", "http://[::1]:1/v1/projections/a"),
        ] {
            let url: HostUrl = given.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(url.at(&["v1", "projections", "a"]).as_str(), at);
        }
        let url: HostUrl = "http://localhost".parse().unwrap();
        assert_eq!(url.at(&["v1", "../x?y"]).as_str(), "http://localhost/v1/..%2Fx%3Fy");
    }

    #[test]
    fn an_invalid_url_is_reported() {
        for (given, said) in [
            ("localhost:9090", "`localhost:9090` is not the URL of a host"),
            ("", "`` is not the URL of a host"),
            ("http://", "`http://` is not the URL of a host"),
            ("http://a:99999", "`http://a:99999` is not the URL of a host"),
            ("postgres://me@db/shop", "by http:// or https://, not by postgres://"),
            ("http://me:secret@host", "no user and no password"),
            ("http://host/?a=b", "leave out what follows"),
            ("http://host/#a", "leave out what follows"),
        ] {
            let error = given.parse::<HostUrl>().unwrap_err().to_string();
            assert!(error.contains(said), "{given}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn only_this_machine_and_https_are_private() {
        for (url, private) in [
            ("http://localhost:1", true),
            ("http://127.0.0.1:1", true),
            ("http://127.9.9.9", true),
            ("http://[::1]", true),
            ("https://kennel.example.com", true),
            ("http://kennel.example.com", false),
            ("http://10.0.0.1", false),
            ("http://localhost.example.com", false),
            ("http://[fe80::1]", false),
        ] {
            assert_eq!(url.parse::<HostUrl>().unwrap().is_private(), private, "{url}");
        }
    }
}
