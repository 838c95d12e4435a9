//! A throw-away registry of OCI artifacts: Debian's `docker-registry`, on this machine.
//!
//! The package is not installed for this: it would start a server. `.ci/setup.sh test` unpacks it, and
//! `KENNEL_REGISTRY_BIN` says where.

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use kennel_core::digest::Digest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::binary::{Running, wait_until};
use crate::http::{self, Answer};
use crate::metrics::free_address;
use crate::programs::folder_of;

/// The only user of a closed registry, and the password.
pub const USER: (&str, &str) = ("kennel", "secret");
/// As docker keeps them: user, colon and password in base 64.
const USER_AUTH: &str = "a2VubmVsOnNlY3JldA==";
/// As `htpasswd -B` keeps them.
const USER_HTPASSWD: &str = "kennel:$2b$05$WPQ7AvT2yaAzJ6LOjn4mE.TQTDJCgSFeAo93ccceRS/Ur19p.cDyq\n";

/// A registry. Killed when dropped, and its storage is gone.
#[derive(Debug)]
pub struct Registry {
    address: String,
    folder: TempDir,
    _process: Running,
}

impl Registry {
    /// Starts one that lets every client in. `None` where its program is missing and that is no fault.
    #[must_use]
    pub fn start() -> Option<Self> {
        Self::start_with(false)
    }

    /// Starts one that lets only [`USER`] in.
    #[must_use]
    pub fn start_closed() -> Option<Self> {
        Self::start_with(true)
    }

    fn start_with(closed: bool) -> Option<Self> {
        let program = folder_of(&["docker-registry"], "KENNEL_REGISTRY_BIN")?.join("docker-registry");
        let folder = tempfile::tempdir().expect("a folder for the registry");
        let address = free_address();
        let mut config = json!({});
        if closed {
            let file = folder.path().join("htpasswd");
            fs::write(&file, USER_HTPASSWD).expect("a file for the password");
            config["auth"] = json!({ "htpasswd": { "realm": "test", "path": file } });
        }
        config["version"] = json!("0.1");
        config["log"] = json!({ "level": "info" });
        config["storage"] = json!({ "filesystem": { "rootdirectory": folder.path().join("storage") } });
        config["http"] = json!({ "addr": address });
        // YAML is a superset of JSON.
        let file = folder.path().join("config.yml");
        fs::write(&file, config.to_string()).expect("a configuration");
        let log = folder.path().join("log");
        let log_file = fs::File::create(&log).expect("a file for the log");
        let mut command = Command::new(program);
        command.arg("serve").arg(&file).current_dir(folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log_file);
        let process = Running::from(command.spawn().expect("docker-registry starts"));
        let registry = Self { address, folder, _process: process };
        wait_until(&format!("the registry is ready, see {}", log.display()), Duration::from_secs(30), || {
            TcpStream::connect(&registry.address).is_ok()
        });
        let welcome = if closed { 401 } else { 200 };
        assert_eq!(registry.request("GET", "/v2/", &[], b"").status, welcome, "closed: {closed}");
        Some(registry)
    }

    /// Its host and port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What Kennel calls an artifact in it, such as `shop/orders:1.0`.
    #[must_use]
    pub fn reference(&self, artifact: &str) -> String {
        format!("oci://{}/{artifact}", self.address)
    }

    /// A file as `docker login` writes it, for the user of a closed registry.
    #[must_use]
    pub fn login(&self) -> String {
        json!({ "auths": { self.address.clone(): { "auth": USER_AUTH } } }).to_string()
    }

    /// Asks the server for something.
    ///
    /// # Panics
    ///
    /// When it does not answer in HTTP.
    #[must_use]
    #[track_caller]
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        http::request(&self.address, method, path, headers, body).expect("the registry answers in HTTP")
    }

    /// The manifest that a tag or a digest stands for, as it is stored.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    #[track_caller]
    pub fn manifest(&self, repository: &str, reference: &str) -> Vec<u8> {
        let accept = ("Accept", "application/vnd.oci.image.manifest.v1+json");
        let answer = self.request("GET", &format!("/v2/{repository}/manifests/{reference}"), &[accept], b"");
        assert_eq!(answer.status, 200, "{repository} {reference}: {}", answer.text());
        answer.body
    }

    /// The content with this digest.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    #[track_caller]
    pub fn blob(&self, repository: &str, digest: &str) -> Vec<u8> {
        let answer = self.request("GET", &format!("/v2/{repository}/blobs/{digest}"), &[], b"");
        assert_eq!(answer.status, 200, "{repository} {digest}: {}", answer.text());
        answer.body
    }

    /// Uploads content, and returns the descriptor that a manifest needs for it.
    ///
    /// # Panics
    ///
    /// When the registry does not take it.
    #[track_caller]
    pub fn put_blob(&self, repository: &str, media_type: &str, content: &[u8]) -> Value {
        let digest = format!("sha256:{}", Digest::of(content));
        let begun = self.request("POST", &format!("/v2/{repository}/blobs/uploads/"), &[], b"");
        let location = begun.header("Location").expect("a location to upload to");
        let path = &location[location.find("/v2/").expect("a path")..];
        let binary = ("Content-Type", "application/octet-stream");
        let put = self.request("PUT", &format!("{path}&digest={digest}"), &[binary], content);
        assert_eq!(put.status, 201, "{}", put.text());
        json!({ "mediaType": media_type, "digest": digest, "size": content.len() })
    }

    /// Makes a tag stand for a manifest of this type.
    ///
    /// # Panics
    ///
    /// When the registry does not take it.
    #[track_caller]
    pub fn put_manifest(&self, repository: &str, tag: &str, media_type: &str, manifest: &Value) {
        let path = format!("/v2/{repository}/manifests/{tag}");
        let put =
            self.request("PUT", &path, &[("Content-Type", media_type)], manifest.to_string().as_bytes());
        assert_eq!(put.status, 201, "{}", put.text());
    }

    /// Where the registry stores the content with this digest.
    #[must_use]
    pub fn stored(&self, digest: &str) -> PathBuf {
        let digest = digest.trim_start_matches("sha256:");
        let blobs = self.folder.path().join("storage/docker/registry/v2/blobs/sha256");
        blobs.join(&digest[..2]).join(digest).join("data")
    }
}
