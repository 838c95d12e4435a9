//! Who may use /v1: clients that show the token; without a token, programs of this machine, though not the web pages
//! that its browsers show, nor the clients of a proxy. It does not encrypt, and it counts no attempts: tokens are too
//! long to be guessed.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use kennel_core::digest::Digest;

use super::problem::{Problem, ProblemKind};
use crate::token::Token;

/// The document of the interface: it holds no secret, so that tools can read it without one.
pub(super) const DOCUMENT: &str = "/v1/openapi.json";

/// What proxies add to the requests that they pass on, besides all that begins with [`FORWARDED_BEGINNING`].
const FORWARDED: [&str; 3] = ["forwarded", "via", "x-real-ip"];
const FORWARDED_BEGINNING: &str = "x-forwarded-";

/// What /v1 asks of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// The token with this SHA-256. Hashes are compared, so that the time that takes reveals nothing of the token.
    Token(Digest),
    /// That it comes from a program of this machine.
    ThisMachine,
    /// No client may use it: everybody can reach it, and there is no token.
    Closed,
}

impl Authentication {
    /// The authentication of a server that listens on `address`.
    #[must_use]
    pub fn new(token: Option<&Token>, address: SocketAddr) -> Self {
        match token {
            Some(token) => Self::Token(Digest::of(token.reveal().as_bytes())),
            None if address.ip().to_canonical().is_loopback() => Self::ThisMachine,
            None => Self::Closed,
        }
    }

    fn admits(&self, request: &Request) -> Result<(), Problem> {
        match self {
            Self::Token(_) if request.uri().path() == DOCUMENT => Ok(()),
            Self::Token(expected) => shows(*expected, request.headers()),
            Self::ThisMachine => comes_from_here(request.method(), request.uri(), request.headers()),
            Self::Closed => Err(Problem::new(
                ProblemKind::Forbidden,
                "this host can be reached from other machines and has no token, so that its API is closed: set \
                 KENNEL_TOKEN, or `token_file` in the section [api] of kennel.toml, where `kennel run` is started",
            )),
        }
    }
}

/// Rejects requests that the authentication does not admit, before anything else is looked at.
pub(super) async fn guard(
    State(authentication): State<Arc<Authentication>>,
    request: Request,
    next: Next,
) -> Response {
    match authentication.admits(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// As RFC 6750 has it.
fn shows(expected: Digest, headers: &HeaderMap) -> Result<(), Problem> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let rejected = |challenge: &str, detail: &str| {
        Err(Problem::new(ProblemKind::Unauthorized, detail).header(header::WWW_AUTHENTICATE, challenge))
    };
    let credentials = match (given.next(), given.next()) {
        (Some(one), None) => one.to_str().ok().and_then(|text| text.split_once(' ')),
        _ => None,
    };
    match credentials {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            if Digest::of(token.trim().as_bytes()) == expected {
                return Ok(());
            }
            rejected(
                "Bearer realm=\"kennel\", error=\"invalid_token\"",
                "this is not the token of this host: see what KENNEL_TOKEN is where `kennel run` was started",
            )
        }
        _ => rejected(
            "Bearer realm=\"kennel\"",
            "this host asks for its token: send `Authorization: Bearer TOKEN`, or set KENNEL_TOKEN for the command line",
        ),
    }
}

/// A web page can have a browser on this machine send requests here. It cannot hide its own address, nor the name under
/// which it had the browser find this one. A proxy on this machine is a program of it, whichever client is behind that;
/// most proxies say that they are one.
fn comes_from_here(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let foreign = |detail: &str| Err(Problem::new(ProblemKind::Forbidden, detail));
    let mut hosts = headers.get_all(header::HOST).iter().map(|host| host.to_str().unwrap_or_default());
    let named_here = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.parse().is_ok_and(|host: Authority| is_loopback(host.host())),
        _ => false,
    };
    if !named_here || uri.authority().is_some_and(|authority| !is_loopback(authority.host())) {
        return foreign(
            "without a token this host answers only requests for localhost, 127.0.0.1 or [::1]; to use another name, \
             set KENNEL_TOKEN where `kennel run` is started",
        );
    }
    if let Some(name) = headers.keys().find(|name| is_of_proxy(name)) {
        return foreign(&format!(
            "without a token this host answers only programs of this machine, and the header `{name}` says that a proxy has \
             passed this request on for another client: set KENNEL_TOKEN, or `token_file` in the section [api] of \
             kennel.toml, where `kennel run` is started"
        ));
    }
    if !method.is_safe() && headers.contains_key(header::ORIGIN) {
        return foreign(
            "without a token this host accepts no operations from web pages; set KENNEL_TOKEN where `kennel run` is started",
        );
    }
    Ok(())
}

fn is_of_proxy(name: &HeaderName) -> bool {
    FORWARDED.contains(&name.as_str()) || name.as_str().starts_with(FORWARDED_BEGINNING)
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse().is_ok_and(|address: IpAddr| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    /// The status with which the authentication rejects this request; 200 if it admits it.
    fn check(authentication: &Authentication, method: &str, uri: &str, headers: &[(&str, &str)]) -> u16 {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let admitted = authentication.admits(&request.body(axum::body::Body::empty()).unwrap());
        admitted.map_or_else(|problem| problem.into_response().status().as_u16(), |()| 200)
    }

    #[test]
    fn the_address_and_the_token_decide_the_authentication() {
        let token: Token = TOKEN.parse().unwrap();
        let authentication = |token, address: &str| Authentication::new(token, address.parse().unwrap());
        for loopback in ["127.0.0.1:1", "127.8.9.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(authentication(None, loopback), Authentication::ThisMachine, "{loopback}");
            assert!(matches!(authentication(Some(&token), loopback), Authentication::Token(_)), "{loopback}");
        }
        for open in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[fe80::1]:1"] {
            assert_eq!(authentication(None, open), Authentication::Closed, "{open}");
            assert!(matches!(authentication(Some(&token), open), Authentication::Token(_)), "{open}");
        }
    }

    #[test]
    fn with_a_token_only_requests_that_show_it_are_admitted() {
        let authentication =
            Authentication::new(Some(&TOKEN.parse().unwrap()), "127.0.0.1:1".parse().unwrap());
        let check = |headers: &[(&str, &str)]| check(&authentication, "POST", "/v1/projections", headers);
        assert_eq!(check(&[("authorization", "Bearer 0123456789abcdef")]), 200);
        assert_eq!(check(&[("authorization", "bearer  0123456789abcdef"), ("origin", "http://a.org")]), 200);
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer 0123456789abcdeF",
            "Bearer 0123456789abcdef0",
            "Basic 0123456789abcdef",
        ] {
            assert_eq!(check(&[("authorization", wrong)]), 401, "{wrong}");
        }
        assert_eq!(check(&[]), 401);
        let right = ("authorization", "Bearer 0123456789abcdef");
        assert_eq!(check(&[right, ("authorization", "Bearer x")]), 401, "which of the two?");
        assert_eq!(super::tests::check(&authentication, "GET", DOCUMENT, &[]), 200);
    }

    #[test]
    fn without_a_token_web_pages_are_forbidden() {
        let check =
            |method, uri, headers: &[(&str, &str)]| check(&Authentication::ThisMachine, method, uri, headers);
        for host in
            ["localhost", "localhost:9090", "LOCALHOST", "127.0.0.1:9090", "127.1.2.3", "[::1]:9090", "[::1]"]
        {
            assert_eq!(check("POST", "/v1/projections", &[("host", host)]), 200, "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "user@evil.example",
            "[::2]",
        ] {
            assert_eq!(check("GET", "/v1/projections", &[("host", host)]), 403, "{host}");
        }
        let here = ("host", "localhost");
        assert_eq!(check("GET", "/v1/projections", &[]), 403, "no host");
        assert_eq!(check("GET", "/v1/projections", &[here, ("host", "evil.example")]), 403, "two hosts");
        assert_eq!(check("GET", "http://evil.example/v1/projections", &[here]), 403, "another in the target");
        for origin in ["http://evil.example", "http://localhost:9090", "null"] {
            assert_eq!(check("PUT", "/v1/components/x", &[here, ("origin", origin)]), 403, "{origin}");
            assert_eq!(check("GET", "/v1/components/x", &[here, ("origin", origin)]), 200, "{origin}");
        }
    }

    #[test]
    fn without_a_token_clients_of_a_proxy_are_forbidden() {
        let given = |name| [("host", "localhost"), (name, "203.0.113.7")];
        for name in
            ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "x-forwarded-proto", "X-Real-Ip", "Via"]
        {
            for (method, uri) in [("GET", "/v1/projections"), ("GET", DOCUMENT), ("PUT", "/v1/components/x")]
            {
                assert_eq!(
                    check(&Authentication::ThisMachine, method, uri, &given(name)),
                    403,
                    "{name}: {method} {uri}"
                );
            }
        }
        assert_eq!(check(&Authentication::ThisMachine, "GET", "/v1/projections", &given("X-Forward")), 200);
    }

    #[test]
    fn a_closed_api_admits_no_request() {
        for path in [DOCUMENT, "/v1/projections", "/v1/nowhere"] {
            assert_eq!(check(&Authentication::Closed, "GET", path, &[("host", "localhost")]), 403, "{path}");
        }
    }
}
