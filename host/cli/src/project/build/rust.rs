//! Rust: cargo makes a core module with the world inside.
//!
//! That needs Rust's standard library for WebAssembly. The first way that works is taken: the toolchain has it; Debian's
//! packages build it from its source; rustup fetches it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::process::Command;

use super::{Build, Profile};
use crate::exit::ExitKind;
use crate::project::process;
use crate::project::tools::{Need, Tools, on_path};
use crate::project::version::Version;

const TARGET: &str = "wasm32-unknown-unknown";
/// As in the manifest of the SDK.
const RUST_MIN: Version = Version(1, 95, 0);
/// Where Debian's rust-web-src has the source of the standard library.
const DEBIAN_SOURCE: &str = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";
/// The server that rustup fetches from.
const RUSTUP_SERVER: &str = "static.rust-lang.org:443";
const RUSTUP_ANSWERS_WITHIN: Duration = Duration::from_secs(5);

const NEED_RUST: Need = Need {
    title: "Rust 1.95 or later with the target wasm32-unknown-unknown",
    remedies: &[
        "https://rustup.rs, then: rustup target add wasm32-unknown-unknown",
        "Debian: apt-get install rustc-web cargo-web rust-web-src lld",
    ],
};

/// Flags that are meant for other code would break a guest, or build it anew every time.
const FLAGS: [&str; 7] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_RUSTFLAGS",
    "RUSTC",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
];

/// A way to compile for WebAssembly.
#[derive(Debug)]
enum Toolchain {
    /// With the target.
    Installed { cargo: PathBuf, version: Version },
    /// Debian's, which builds the standard library.
    Debian { linker: PathBuf, version: Version },
}

pub(super) async fn build(build: &Build<'_>) -> anyhow::Result<String> {
    let folder = &build.project.folder;
    let toolchain = toolchain(build.tools, folder).await?;
    let mut cargo = toolchain.cargo(folder);
    if build.profile == Profile::Release {
        cargo.arg("--release");
    }
    if build.tools.offline {
        cargo.arg("--offline");
    }
    let tool = build.begin(format!("rustc {}", toolchain.version()));
    let messages = process::output(&mut cargo).await?;
    let module = module(&messages, &folder.join("Cargo.toml")).ok_or_else(|| {
        ExitKind::Input.error(format!(
            "{} has no library for WebAssembly: add to its Cargo.toml\n[lib]\ncrate-type = [\"cdylib\"]",
            build.project.name
        ))
    })?;
    std::fs::copy(&module, build.out)
        .map_err(|error| ExitKind::Input.error(format!("cannot read {}: {error}", module.display())))?;
    Ok(tool)
}

impl Toolchain {
    const fn version(&self) -> Version {
        match self {
            Self::Installed { version, .. } | Self::Debian { version, .. } => *version,
        }
    }

    fn cargo(&self, folder: &Path) -> Command {
        let mut command = match self {
            Self::Installed { cargo, .. } => clean(cargo, folder),
            Self::Debian { linker, .. } => {
                let mut command = clean("/usr/bin/cargo".as_ref(), folder);
                // The first admits -Zbuild-std to a stable compiler.
                command
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("RUSTC", "/usr/bin/rustc")
                    .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
                command
            }
        };
        command.args(["build", "--lib", "--target", TARGET, "--message-format=json-render-diagnostics"]);
        if matches!(self, Self::Debian { .. }) {
            command.arg("-Zbuild-std=std,panic_abort");
        }
        command
    }
}

fn clean(program: &Path, folder: &Path) -> Command {
    let mut command = process::command(program, folder);
    FLAGS.iter().for_each(|flags| {
        command.env_remove(flags);
    });
    command
}

async fn toolchain(tools: &Tools<'_>, folder: &Path) -> anyhow::Result<Toolchain> {
    let installed = with_target(folder).await;
    if let Some(toolchain) = installed {
        return Ok(toolchain);
    }
    if let Some(toolchain) = debian(folder).await {
        return Ok(toolchain);
    }
    let mut further = None;
    if let Some(rustup) = on_path("rustup").into_iter().next() {
        if tools.offline {
            further = Some("run this once without --offline: rustup then fetches the target".to_owned());
        } else if rustup_server_answers().await {
            tools.note(&format!("rustup target add {TARGET}"));
            process::run(clean(&rustup, folder).args(["target", "add", TARGET])).await?;
            if let Some(toolchain) = with_target(folder).await {
                return Ok(toolchain);
            }
        } else {
            further = Some(format!("rustup, with a network in which {RUSTUP_SERVER} answers"));
        }
    }
    let found = rustc_version("rustc".as_ref(), folder).await;
    let unfit = found.filter(|version| *version < RUST_MIN).map(|version| ("rustc", version));
    Err(NEED_RUST.missing(unfit, further))
}

async fn rustc_version(rustc: &Path, folder: &Path) -> Option<Version> {
    Version::find(&process::answer(clean(rustc, folder).arg("--version")).await?)
}

/// The toolchain on PATH, if it has the target. The proxies of rustup obey the files in the folder.
async fn with_target(folder: &Path) -> Option<Toolchain> {
    let cargo = on_path("cargo").into_iter().next()?;
    let rustc = Path::new("rustc");
    let version = rustc_version(rustc, folder).await.filter(|version| *version >= RUST_MIN)?;
    let mut asked = clean(rustc, folder);
    let library = process::answer(asked.args(["--print", "target-libdir", "--target", TARGET])).await?;
    let mut files = std::fs::read_dir(library).ok()?.flatten();
    let has_core = files.any(|file| file.file_name().to_string_lossy().starts_with("libcore-"));
    has_core.then_some(Toolchain::Installed { cargo, version })
}

/// Debian's compiler, if it is there with the source of the library, is new enough, and a linker is found.
async fn debian(folder: &Path) -> Option<Toolchain> {
    let (rustc, cargo) = (Path::new("/usr/bin/rustc"), Path::new("/usr/bin/cargo"));
    if !rustc.is_file() || !cargo.is_file() || !Path::new(DEBIAN_SOURCE).is_file() {
        return None;
    }
    let version = rustc_version(rustc, folder).await.filter(|version| *version >= RUST_MIN)?;
    Some(Toolchain::Debian { linker: linker(folder).await?, version })
}

/// A linker for WebAssembly: LLVM's, or the one inside a toolchain of rustup.
async fn linker(folder: &Path) -> Option<PathBuf> {
    let names =
        ["wasm-ld", "wasm-ld-23", "wasm-ld-22", "wasm-ld-21", "wasm-ld-20", "wasm-ld-19", "wasm-ld-18"];
    if let Some(linker) = names.into_iter().flat_map(on_path).next() {
        return Some(linker);
    }
    let sysroot = process::answer(clean("rustc".as_ref(), folder).args(["--print", "sysroot"])).await?;
    let hosts = std::fs::read_dir(Path::new(&sysroot).join("lib/rustlib")).ok()?.flatten();
    hosts.map(|host| host.path().join("bin/rust-lld")).find(|linker| linker.is_file())
}

/// Whether rustup can fetch anything: by itself it tries for minutes.
async fn rustup_server_answers() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "RUSTUP_DIST_SERVER"].into_iter().any(is_set)
    {
        return true;
    }
    let connected = tokio::time::timeout(RUSTUP_ANSWERS_WITHIN, TcpStream::connect(RUSTUP_SERVER)).await;
    matches!(connected, Ok(Ok(_)))
}

/// What cargo says of something that it has made.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// The module that cargo has made of the package with this manifest.
fn module(messages: &str, manifest: &Path) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok());
    let artifacts = messages.filter(|message| message.reason == "compiler-artifact");
    let own = artifacts.filter(|artifact| artifact.manifest_path == manifest);
    let mut files = own.flat_map(|artifact| artifact.filenames);
    files.find(|file| file.extension().is_some_and(|extension| extension == "wasm"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_that_of_the_package_itself() {
        let messages = r#"
            {"reason":"compiler-artifact","manifest_path":"/w/a/Cargo.toml","filenames":["/t/liba.rlib"]}
            {"reason":"compiler-artifact","manifest_path":"/w/b/Cargo.toml","filenames":["/t/b.wasm"]}
            {"reason":"build-script-executed","package_id":"x"}
            {"reason":"compiler-artifact","manifest_path":"/w/c/Cargo.toml","filenames":["/t/libc.rlib","/t/c.wasm"]}
            {"reason":"build-finished","success":true}"#;
        let module = |manifest: &str| module(messages, manifest.as_ref());
        assert_eq!(module("/w/c/Cargo.toml"), Some("/t/c.wasm".into()));
        assert_eq!(module("/w/b/Cargo.toml"), Some("/t/b.wasm".into()));
        assert_eq!(module("/w/a/Cargo.toml"), None);
        assert_eq!(module("/w/d/Cargo.toml"), None);
    }
}
