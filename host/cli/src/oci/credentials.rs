//! The credentials that `docker login`, `podman login` and `oras login` have left behind. Read only: nothing is
//! asked for and nothing is kept.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::path::{Path, PathBuf};

use docker_credential::{CredentialRetrievalError, DockerCredential};
use kennel_core::limits;

use super::error::OciError;

/// The name that Docker Hub's credentials are kept under, which is not the one that its references bear.
const DOCKER_HUB: (&str, &str) = ("docker.io", "https://index.docker.io/v1/");

/// A user and a password, or a token instead of it.
#[derive(PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
}

/// The credentials for a registry; none if no user has logged in there. May run a helper program and wait for it.
pub(super) fn of(registry: &str) -> Result<Option<Login>, OciError> {
    look_up(registry, &files(|name| std::env::var_os(name)))
}

/// Where credentials may be, docker's first.
fn files(variable: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let folder = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = folder("HOME");
    let below_home = |path: &str| home.as_ref().map(|home| home.join(path));
    let docker = folder("DOCKER_CONFIG").or_else(|| below_home(".docker"));
    let podman = folder("XDG_RUNTIME_DIR").map(|folder| folder.join("containers/auth.json"));
    let kept = below_home(".config/containers/auth.json");
    let candidates = match folder("REGISTRY_AUTH_FILE") {
        Some(file) => vec![Some(file)],
        None => vec![podman, kept],
    };
    let docker = docker.map(|folder| folder.join("config.json"));
    std::iter::once(docker).chain(candidates).flatten().collect()
}

fn look_up(registry: &str, files: &[PathBuf]) -> Result<Option<Login>, OciError> {
    let server = if registry == DOCKER_HUB.0 { DOCKER_HUB.1 } else { registry };
    for path in files {
        let unusable = |why: String| OciError::Credentials { file: path.display().to_string(), why };
        let file = match File::open(path) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => continue,
            opened => opened.map_err(|error| unusable(error.to_string()))?,
        };
        match docker_credential::get_credential_from_reader(BufReader::new(file), server) {
            Ok(DockerCredential::UsernamePassword(user, password)) => {
                return Ok(Some(Login { user, password }));
            }
            Ok(DockerCredential::IdentityToken(_)) => {
                return Err(unusable(format!(
                    "for `{registry}` there is an identity token, which kennel cannot use; log in with a user name \
                     and an access token"
                )));
            }
            Err(error) if is_absence(&error) => {}
            Err(error) => return Err(unusable(rendered(&error))),
        }
    }
    Ok(None)
}

/// Whether nothing is wrong, but no user has logged in.
fn is_absence(error: &CredentialRetrievalError) -> bool {
    match error {
        CredentialRetrievalError::NoCredentialConfigured => true,
        // What docker's helpers print when they do not know the registry, and docker looks for too.
        CredentialRetrievalError::HelperFailure { stdout, .. } => stdout.contains("credentials not found"),
        _ => false,
    }
}

fn rendered(error: &CredentialRetrievalError) -> String {
    match error {
        CredentialRetrievalError::ConfigReadError => {
            "it is not JSON as `docker login` writes it; repair or remove it".to_owned()
        }
        CredentialRetrievalError::HelperCommunicationError => {
            "the credential helper that it names cannot be run; install it, or take it out of the file"
                .to_owned()
        }
        CredentialRetrievalError::HelperFailure { helper, stdout, stderr } => {
            let said = if stderr.trim().is_empty() { stdout } else { stderr };
            format!("{} says: {}", name_of(helper), limits::excerpt(said.trim()))
        }
        other => format!("{}; log in again", lower(&other.to_string())),
    }
}

fn name_of(program: &str) -> &str {
    Path::new(program).file_name().and_then(|name| name.to_str()).unwrap_or(program)
}

fn lower(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map_or_else(String::new, |first| first.to_lowercase().collect::<String>() + characters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `kennel:secret`
    const AUTH: &str = "a2VubmVsOnNlY3JldA==";

    fn in_file(registry: &str, content: &str) -> Result<Option<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        std::fs::write(&file, content).unwrap();
        let missing = folder.path().join("missing/config.json");
        let login = look_up(registry, &[missing, file]).map_err(|error| error.to_string())?;
        Ok(login.map(|login| format!("{}:{}", login.user, login.password)))
    }

    #[test]
    fn a_login_is_found_and_its_absence_is_none() {
        let known = format!(r#"{{"auths": {{"localhost:5000": {{"auth": "{AUTH}"}}, "ghcr.io": {{}}}}}}"#);
        assert_eq!(in_file("localhost:5000", &known), Ok(Some("kennel:secret".to_owned())));
        for registry in ["localhost:5001", "localhost", "ghcr.io"] {
            assert_eq!(in_file(registry, &known), Ok(None), "{registry}");
        }
        let hub = format!(r#"{{"auths": {{"https://index.docker.io/v1/": {{"auth": "{AUTH}"}}}}}}"#);
        assert_eq!(in_file("docker.io", &hub), Ok(Some("kennel:secret".to_owned())));
        assert_eq!(in_file("localhost", "{}"), Ok(None));
        assert!(matches!(look_up("localhost", &[]), Ok(None)));
    }

    #[test]
    fn unusable_credentials_are_reported() {
        let table = [
            ("not json", "it is not JSON as `docker login` writes it"),
            (r#"{"auths": {"a": {"identitytoken": "x"}}}"#, "for `a` there is an identity token"),
            (r#"{"auths": {"a": {"auth": "%%"}}}"#, "unable to decode credential; log in again"),
            (r#"{"credHelpers": {"a": "kennel-none"}}"#, "the credential helper that it names cannot be run"),
        ];
        for (content, expected) in table {
            let error = in_file("a", content).unwrap_err();
            assert!(error.contains("config.json cannot be used: ") && error.contains(expected), "{error}");
        }
    }

    #[test]
    fn docker_and_podman_are_asked() {
        let set = |pairs: &'static [(&str, &str)]| {
            let found = files(|name| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.into()));
            found.iter().map(|path| path.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(set(&[("HOME", "/h")]), ["/h/.docker/config.json", "/h/.config/containers/auth.json"]);
        assert_eq!(
            set(&[("HOME", "/h"), ("DOCKER_CONFIG", "/d"), ("XDG_RUNTIME_DIR", "/r")]),
            ["/d/config.json", "/r/containers/auth.json", "/h/.config/containers/auth.json"]
        );
        assert_eq!(set(&[("REGISTRY_AUTH_FILE", "/a.json"), ("XDG_RUNTIME_DIR", "/r")]), ["/a.json"]);
        assert!(set(&[("HOME", "")]).is_empty());
    }
}
