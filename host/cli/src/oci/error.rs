//! The errors of a registry, with messages for the person at the terminal. Exit codes are not given here.

use std::time::Duration;

use kennel_core::limits;

/// A component that was not pushed or pulled. Nothing has changed then, but that a registry may hold parts that no
/// tag names.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    #[error(
        "cannot reach the registry `{registry}` over {protocol}: {cause}; check its name and port, and that it runs"
    )]
    Unreachable { registry: String, protocol: &'static str, cause: String },
    #[error("the registry `{registry}` was not done after {} s; try again, or look whether the network is slow", .limit.as_secs())]
    Slow { registry: String, limit: Duration },
    #[error("there is no `{reference}`; check repository and tag, or publish it with `kennel push`")]
    Unknown { reference: String },
    #[error("the registry has the manifest of `{reference}`, but not its component; push it again")]
    Incomplete { reference: String },
    #[error(
        "the registry `{registry}` denies {who} access to `{repository}`; log in with `docker login {registry}` \
         (or podman or oras), whose credentials kennel uses, or check the repository's name and your rights"
    )]
    Unauthorized {
        registry: String,
        repository: String,
        /// Who asked: `anonymous` or `your`.
        who: &'static str,
    },
    #[error(
        "the {what} of `{reference}` is damaged: its digest is {actual} instead of {expected}; nothing was kept. \
         Look after the registry's storage and whatever lies between, and push the component again"
    )]
    Damaged { reference: String, what: &'static str, expected: String, actual: String },
    #[error("`{reference}` {unfit}")]
    Unfit { reference: String, unfit: Unfit },
    #[error("`{reference}` has a digest, which follows from the pushed content; name a tag instead")]
    Pinned { reference: String },
    #[error("the credentials in {file} cannot be used: {why}")]
    Credentials { file: String, why: String },
    #[error("no connection to registries is possible from here: {cause}")]
    Setup { cause: String },
    #[error("the registry `{registry}` did not do it: {answer}")]
    Failed { registry: String, answer: String },
}

/// Why an artifact is not a component, to be said of a reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error(
        "is a container image, not a WebAssembly artifact: its config is `{0}`; components are published with `kennel push`"
    )]
    Image(String),
    #[error(
        "is an index, which lists images for several platforms, not a WebAssembly artifact; components are published \
         with `kennel push`"
    )]
    Index,
    #[error(
        "is not a WebAssembly artifact: its config is `{0}` instead of `application/vnd.wasm.config.v0+json`; \
         components are published with `kennel push`"
    )]
    Config(String),
    #[error("has {0} layers; an artifact with a component has exactly one")]
    Layers(usize),
    #[error("has a layer of type `{0}` instead of `application/wasm`")]
    Layer(String),
    #[error(
        "has a component of {} MiB; at most {} MiB are allowed: build it in release mode, stripped",
        .0.div_ceil(1 << 20), limits::COMPONENT_BYTES_MAX >> 20
    )]
    TooLarge(u64),
    #[error("has a component that is longer than the {0} bytes that its manifest says; nothing was kept")]
    LongerThanSaid(u64),
    #[error("has a manifest that cannot be read: {0}; push the component again")]
    Unreadable(String),
}
