//! PostgreSQL connection URIs: which servers one names, what may be shown of it, and what of it is not understood.
//!
//! A URI holds secrets in many places: the password of its user, and parameters such as `password` and `sslkey`. So
//! nothing of it is ever repeated that was not recognised as harmless, and no parameter with its value.

use std::fmt;

use super::InvalidUrl;

/// Parameters that are passed on as they are. They may hold secrets.
const PASSED_ON: [&str; 12] = [
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "dbname",
    "user",
    "password",
    "application_name",
];
const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
/// Longest name of a parameter that is repeated when it is not known.
const NAME_CHARS_MAX: usize = 32;

/// A PostgreSQL connection URI. Its `Debug` and `Display` leave out the password and every parameter.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUri {
    text: String,
    shown: String,
    /// One URI for each server, in the order in which they are tried.
    servers: Vec<ServerUri>,
    writable: bool,
    connect_timeout_seconds: Option<u32>,
    ignored: Vec<String>,
}

/// The URI of one server of several.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ServerUri {
    /// HOST, or HOST:PORT: what may be shown.
    pub(crate) name: String,
    pub(crate) uri: String,
}

impl PostgresUri {
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidUrl> {
        let parts = Parts::of(text)?;
        let shown = parts.shown();
        let invalid = |reason: String| InvalidUrl::Parameter { store: shown.clone(), reason };
        let mut found = Parameters::default();
        for (name, value) in &parts.parameters {
            found.take(name, value).map_err(invalid)?;
        }
        let servers = parts.servers(&found).map_err(invalid)?;
        // Kennel always writes. Of several servers those that only read are of no use, whether or not it was said.
        let writable = found.writable || servers.len() > 1;
        Ok(Self {
            text: text.to_owned(),
            servers,
            writable,
            connect_timeout_seconds: found.connect_timeout_seconds,
            ignored: found.ignored,
            shown,
        })
    }

    /// The whole text. Not to be shown.
    pub(crate) fn with_password(&self) -> &str {
        &self.text
    }

    /// The servers that it names, at least one.
    pub(crate) fn servers(&self) -> &[ServerUri] {
        &self.servers
    }

    /// Whether only a server that accepts writes will do.
    pub(crate) fn writable(&self) -> bool {
        self.writable
    }

    /// How long to wait for one server, if it says so.
    pub(crate) fn connect_timeout_seconds(&self) -> Option<u32> {
        self.connect_timeout_seconds
    }

    /// The names of parameters that are ignored.
    pub(crate) fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// The same servers and user, another database. The parameter `dbname` would win over the path, so it
    /// is left out.
    pub(crate) fn with_database(&self, name: &str) -> Self {
        let moved = |text: &str| {
            let (base, parameters) = text.split_once('?').unwrap_or((text, ""));
            let kept = parameters
                .split('&')
                .filter(|parameter| !parameter.is_empty() && parameter.split('=').next() != Some("dbname"));
            let parameters: Vec<&str> = kept.collect();
            let authority = base.find("://").map_or(0, |at| at + 3);
            let server = base[authority..].find('/').map_or(base, |at| &base[..authority + at]);
            let question = if parameters.is_empty() { "" } else { "?" };
            format!("{server}/{name}{question}{}", parameters.join("&"))
        };
        let of_server = |server: &ServerUri| ServerUri { name: server.name.clone(), uri: moved(&server.uri) };
        Self {
            text: moved(&self.text),
            shown: moved(&self.shown),
            servers: self.servers.iter().map(of_server).collect(),
            ..self.clone()
        }
    }
}

impl fmt::Display for PostgresUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for PostgresUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for ServerUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// A URI, taken apart and not decoded.
struct Parts<'a> {
    scheme: &'a str,
    /// With the `@` that ends it.
    user: &'a str,
    /// HOST or HOST:PORT, at least one; the only one may be empty.
    hosts: Vec<&'a str>,
    database: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> Parts<'a> {
    /// A password with one of the characters that end the part before it would be taken for something else, and shown.
    fn of(text: &'a str) -> Result<Self, InvalidUrl> {
        let invalid = |hint| InvalidUrl::NotAUrl { given: super::shown(text), hint };
        let reserved = "; in a password `/`, `?`, `#` and `@` are written as %2F, %3F, %23 and %40";
        let (scheme, rest) = text.split_once("://").ok_or_else(|| invalid(""))?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let database = path.strip_prefix('/').unwrap_or(path);
        if database.contains(['/', '@', '#']) || query.contains('#') {
            return Err(invalid(reserved));
        }
        let user = authority.rfind('@').map_or("", |at| &authority[..=at]);
        let hosts: Vec<&str> = authority[user.len()..].split(',').collect();
        if !hosts.iter().all(|host| is_host(host)) {
            return Err(invalid(reserved));
        }
        let mut parameters = Vec::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').ok_or_else(|| invalid(reserved))?;
            let is_known = PASSED_ON.contains(&name) || name.starts_with("options");
            if !is_name(name) || !is_known && value.contains('@') {
                return Err(invalid(reserved));
            }
            parameters.push((name, value));
        }
        Ok(Self { scheme, user, hosts, database, parameters })
    }

    fn shown(&self) -> String {
        let user = self.user.trim_end_matches('@').split(':').next().unwrap_or_default();
        let at = if user.is_empty() { "" } else { "@" };
        let slash = if self.database.is_empty() { "" } else { "/" };
        format!("{}://{user}{at}{}{slash}{}", self.scheme, self.hosts.join(","), self.database)
    }

    fn servers(&self, found: &Parameters<'_>) -> Result<Vec<ServerUri>, String> {
        let of = |authority: &str, name: String, more: &[(&str, &str)]| {
            let all = found.passed_on.iter().chain(more);
            let all: Vec<String> = all.map(|(name, value)| format!("{name}={value}")).collect();
            let question = if all.is_empty() { "" } else { "?" };
            let Self { scheme, user, database, .. } = self;
            let uri = format!("{scheme}://{user}{authority}/{database}{question}{}", all.join("&"));
            ServerUri { name, uri }
        };
        let hosts = found.hosts.as_deref().unwrap_or_default();
        let ports = found.ports.as_deref().unwrap_or_default();
        if hosts.is_empty() {
            let more: Vec<(&str, &str)> = ports.iter().take(1).map(|port| ("port", *port)).collect();
            if ports.len() > 1 {
                return Err("`port` names several, and `host` none".to_owned());
            }
            return Ok(self.hosts.iter().map(|host| of(host, (*host).to_owned(), &more)).collect());
        }
        if ports.len() > 1 && ports.len() != hosts.len() {
            return Err(format!("`host` names {} servers, and `port` {} ports", hosts.len(), ports.len()));
        }
        let server = |(index, host): (usize, &&str)| {
            let port = ports.get(index).or(ports.first());
            let mut more = vec![(found.host_parameter, *host)];
            more.extend(port.map(|port| ("port", *port)));
            let name = decoded(host);
            of("", port.map_or_else(|| name.clone(), |port| format!("{name}:{port}")), &more)
        };
        Ok(hosts.iter().enumerate().map(server).collect())
    }
}

/// What the parameters say.
#[derive(Default)]
struct Parameters<'a> {
    passed_on: Vec<(&'a str, &'a str)>,
    host_parameter: &'a str,
    hosts: Option<Vec<&'a str>>,
    ports: Option<Vec<&'a str>>,
    writable: bool,
    connect_timeout_seconds: Option<u32>,
    ignored: Vec<String>,
}

impl<'a> Parameters<'a> {
    /// Takes a parameter, or says why it cannot be. The value is repeated only where it is one of a few known values.
    fn take(&mut self, name: &'a str, value: &'a str) -> Result<(), String> {
        match name {
            "host" | "hostaddr" => {
                self.host_parameter = name;
                self.hosts = Some(listed(value));
            }
            "port" => {
                let ports = listed(value);
                if !ports.iter().all(|port| port.parse::<u16>().is_ok()) {
                    return Err("`port` is no port".to_owned());
                }
                self.ports = Some(ports);
            }
            "sslmode" | "ssl-mode" if SSL_MODES.contains(&value) => self.passed_on.push((name, value)),
            "sslmode" | "ssl-mode" => return Err(format!("`{name}` takes {}", SSL_MODES.join(", "))),
            "target_session_attrs" => match value {
                "any" => {}
                "read-write" | "primary" => self.writable = true,
                "read-only" | "standby" | "prefer-standby" => {
                    return Err(format!(
                        "`target_session_attrs={value}` names servers that only read, and Kennel writes: use \
                         `read-write`"
                    ));
                }
                _ => {
                    return Err("`target_session_attrs` takes `any`, `read-write` or `primary`".to_owned());
                }
            },
            "load_balance_hosts" if value != "disable" => {
                return Err(
                    "`load_balance_hosts` is not supported: servers are tried in the order in which they are named"
                        .to_owned(),
                );
            }
            "load_balance_hosts" => {}
            "connect_timeout" => match value.parse() {
                // As libpq has it, nothing at all means no bound; ours is the default one.
                Ok(seconds) => self.connect_timeout_seconds = Some(seconds).filter(|seconds| *seconds > 0),
                Err(_) => return Err("`connect_timeout` takes whole seconds".to_owned()),
            },
            "sslpassword" => {
                return Err(
                    "`sslpassword` is not supported: decrypt the key, or use one that is not encrypted"
                        .to_owned(),
                );
            }
            "service" | "servicefile" | "passfile" | "require_auth" | "sslcrl" | "sslcrldir" => {
                return Err(format!("`{name}` is not supported"));
            }
            _ if PASSED_ON.contains(&name) || name.starts_with("options") => {
                self.passed_on.push((name, value));
            }
            _ => self.ignored.push(name.to_owned()),
        }
        Ok(())
    }
}

/// A list, whose commas may be written as %2C.
fn listed(value: &str) -> Vec<&str> {
    value.split("%2C").flat_map(|some| some.split("%2c")).flat_map(|some| some.split(',')).collect()
}

/// Whether this can be a host with or without a port, rather than a piece of a password.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => (address, rest.strip_prefix(':').map_or(rest, |port| port)),
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let is_bracketed = text.starts_with('[');
    let of_host = |c: char| c.is_alphanumeric() || "-_.%".contains(c) || is_bracketed && c == ':';
    host.chars().all(of_host) && (port.is_empty() || port.parse::<u16>().is_ok())
}

fn is_name(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.[]".contains(c);
    !text.is_empty() && text.len() <= NAME_CHARS_MAX && text.chars().all(is_plain)
}

/// Percent-decoded, for being shown.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let escaped = more.get(..2).filter(|_| *first == b'%');
        let byte = escaped.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &more[2..] } else { more };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> PostgresUri {
        PostgresUri::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn another_database_of_the_same_server_has_the_same_url_but_for_its_name() {
        for (given, expected) in [
            ("postgres://me:secret@db:5432/events", "postgres://me:secret@db:5432/other"),
            ("postgres://db/events?sslmode=require", "postgres://db/other?sslmode=require"),
            ("postgres://db", "postgres://db/other"),
            ("postgres://db?dbname=events", "postgres://db/other"),
            (
                "postgres://db/?sslmode=require&dbname=events&user=me",
                "postgres://db/other?sslmode=require&user=me",
            ),
            ("postgres:///events?host=/run/db", "postgres:///other?host=/run/db"),
        ] {
            let uri = parsed(given).with_database("other");
            assert_eq!(uri.with_password(), expected);
            assert!(uri.servers().iter().all(|server| server.uri.contains("/other")), "{given}");
            assert!(!uri.servers().iter().any(|server| server.uri.contains("events")), "{given}");
        }
    }

    #[test]
    fn several_servers_are_distinguished_and_each_has_a_url() {
        let uris = |text: &str| -> Vec<String> {
            parsed(text).servers().iter().map(|server| format!("{} {}", server.name, server.uri)).collect()
        };
        assert_eq!(
            uris("postgres://me:pw@a,b:5433,[::1]:5434/db?sslmode=disable&target_session_attrs=read-write"),
            [
                "a postgres://me:pw@a/db?sslmode=disable",
                "b:5433 postgres://me:pw@b:5433/db?sslmode=disable",
                "[::1]:5434 postgres://me:pw@[::1]:5434/db?sslmode=disable",
            ]
        );
        assert_eq!(
            uris("postgres://me@/db?host=/run/pg,b&port=1,2"),
            ["/run/pg:1 postgres://me@/db?host=/run/pg&port=1", "b:2 postgres://me@/db?host=b&port=2"]
        );
        assert_eq!(uris("postgres:///db"), [" postgres:///db"]);
        assert!(parsed("postgres://a,b/db").writable() && !parsed("postgres://a/db").writable());
        assert!(parsed("postgres://a/db?target_session_attrs=primary").writable());
    }

    #[test]
    fn an_unsupported_parameter_is_rejected_by_name_and_no_value_is_repeated() {
        for (query, expected) in [
            ("target_session_attrs=standby", "`target_session_attrs=standby`"),
            ("target_session_attrs=s3cret", "takes `any`"),
            ("load_balance_hosts=random", "`load_balance_hosts`"),
            ("sslpassword=s3cret", "`sslpassword`"),
            ("service=s3cret", "`service`"),
            ("sslmode=s3cret", "`sslmode` takes disable, allow"),
            ("connect_timeout=s3cret", "`connect_timeout`"),
            ("port=s3cret", "`port`"),
            ("host=a,b&port=1,2,3", "2 servers, and `port` 3 ports"),
        ] {
            let reported =
                PostgresUri::parse(&format!("postgres://me:s3cret@db/x?{query}")).unwrap_err().to_string();
            assert!(reported.contains(expected) && reported.contains("postgres://me@db/x"), "{reported}");
            assert!(!reported.contains("s3cret"), "{reported}");
        }
        assert_eq!(parsed("postgres://db/x?channel_binding=s3cret").ignored(), ["channel_binding"]);
    }
}
