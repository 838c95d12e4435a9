//! The documents that make a component an artifact: written for a push, read after a pull. Pure: no network here.

use kennel_core::digest::Digest;
use kennel_core::limits;
use serde::{Deserialize, Serialize};

use super::Annotations;
use super::error::Unfit;
use super::reference::parse_digest;
use kennel::wire::inspect::{FileKind, inspect};

pub(super) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE: &str = "application/vnd.wasm.config.v0+json";
const LAYER_TYPE: &str = "application/wasm";
const DOCKER_MANIFEST_TYPE: &str = "application/vnd.docker.distribution.manifest.v2+json";
const INDEX_TYPES: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];
const IMAGE_CONFIG_TYPES: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/// The types that a registry is asked for. Container images are among them, for a better message than "not found".
pub(super) const ACCEPTED_TYPES: [&str; 4] =
    [MANIFEST_TYPE, DOCKER_MANIFEST_TYPE, INDEX_TYPES[0], INDEX_TYPES[1]];

/// The guide wants a time of creation, and readers insist on one. The component's own is not known, and that of the
/// push would give the same component another digest every time. So it is the one that reproducible images have.
const CREATED: &str = "1970-01-01T00:00:00Z";

/// The documents that are pushed along with a component.
pub(super) struct Artifact {
    /// The digest of the component, which is the only layer.
    pub(super) layer: Digest,
    pub(super) config: Vec<u8>,
    pub(super) manifest: Vec<u8>,
}

/// The layer that a manifest names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layer {
    pub(super) digest: Digest,
    /// In bytes; no more than a component may have.
    pub(super) size: usize,
}

/// Names no creator: that would be the user who pushes, and make the same component differ from user to user.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    created: &'static str,
    architecture: &'static str,
    os: &'static str,
    layer_digests: [String; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<Interfaces>,
}

#[derive(Serialize)]
struct Interfaces {
    exports: Vec<String>,
    imports: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u8,
    media_type: &'static str,
    config: Descriptor,
    layers: [Descriptor; 1],
    #[serde(skip_serializing_if = "Annotations::is_empty")]
    annotations: &'a Annotations,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
}

/// As much of a manifest, or of a document received instead, as has to be known to judge it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Received {
    media_type: Option<String>,
    manifests: Option<serde::de::IgnoredAny>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

impl Artifact {
    pub(super) fn of(component: &[u8], annotations: &Annotations) -> Self {
        let layer = Digest::of(component);
        let config = json(&Config::of(component, layer));
        let manifest = json(&Manifest {
            schema_version: 2,
            media_type: MANIFEST_TYPE,
            config: Descriptor::of(CONFIG_TYPE, &config),
            layers: [Descriptor::of(LAYER_TYPE, component)],
            annotations,
        });
        Self { layer, config, manifest }
    }
}

impl Config {
    fn of(component: &[u8], layer: Digest) -> Self {
        let inspection = inspect(component);
        let is_component = inspection.kind == FileKind::Component;
        let mut imports = inspection.imports;
        imports.extend(inspection.wasi);
        Self {
            created: CREATED,
            architecture: "wasm",
            // For want of a better one, `wasip1` stands for every core module.
            os: if is_component { "wasip2" } else { "wasip1" },
            layer_digests: [format!("sha256:{layer}")],
            component: is_component.then_some(Interfaces {
                exports: inspection.exports,
                imports,
                target: inspection.world.map(|package| package.replacen('@', "/projection@", 1)),
            }),
        }
    }
}

impl Descriptor {
    fn of(media_type: &str, content: &[u8]) -> Self {
        let digest = format!("sha256:{}", Digest::of(content));
        Self { media_type: media_type.to_owned(), digest, size: content.len() as u64 }
    }
}

/// The component that a manifest names, unless what it describes is something else.
pub(super) fn layer_of(manifest: &[u8]) -> Result<Layer, Unfit> {
    let received: Received =
        serde_json::from_slice(manifest).map_err(|error| Unfit::Unreadable(error.to_string()))?;
    let is_index = received.media_type.as_deref().is_some_and(|of| INDEX_TYPES.contains(&of));
    if is_index || received.manifests.is_some() {
        return Err(Unfit::Index);
    }
    let config = received.config.ok_or_else(|| Unfit::Unreadable("it names no config".to_owned()))?;
    match config.media_type.as_str() {
        CONFIG_TYPE => {}
        image if IMAGE_CONFIG_TYPES.contains(&image) => return Err(Unfit::Image(image.to_owned())),
        other => return Err(Unfit::Config(limits::excerpt(other))),
    }
    let [layer] = received.layers.as_slice() else {
        return Err(Unfit::Layers(received.layers.len()));
    };
    if layer.media_type != LAYER_TYPE {
        return Err(Unfit::Layer(limits::excerpt(&layer.media_type)));
    }
    // Before it becomes part of a URL.
    let digest = parse_digest(&layer.digest).map_err(Unfit::Unreadable)?;
    match usize::try_from(layer.size) {
        Ok(size) if size <= limits::COMPONENT_BYTES_MAX => Ok(Layer { digest, size }),
        _ => Err(Unfit::TooLarge(layer.size)),
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("text and numbers become JSON")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A core module and a component, both empty.
    const MODULE: &[u8] = b"\0asm\x01\0\0\0";
    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    fn parsed(json: &[u8]) -> Value {
        serde_json::from_slice(json).unwrap()
    }

    #[test]
    fn an_artifact_is_read_as_it_was_written() {
        let annotations = Annotations::from([("org.opencontainers.image.title".into(), "a \"b\"".into())]);
        let artifact = Artifact::of(COMPONENT, &annotations);
        let layer = Layer { digest: Digest::of(COMPONENT), size: COMPONENT.len() };
        assert_eq!(layer_of(&artifact.manifest), Ok(layer));
        assert_eq!(parsed(&artifact.manifest)["annotations"], json!(annotations));
        assert_eq!(
            parsed(&artifact.manifest)["config"]["digest"],
            json!(format!("sha256:{}", Digest::of(&artifact.config)))
        );
        assert_eq!(Artifact::of(COMPONENT, &annotations).manifest, artifact.manifest);
    }

    #[test]
    fn a_core_module_is_distinguished_from_a_component() {
        let of = |bytes| parsed(&Artifact::of(bytes, &Annotations::new()).config);
        let layer_digests = |bytes| json!([format!("sha256:{}", Digest::of(bytes))]);
        let module = json!({
            "created": CREATED, "architecture": "wasm", "os": "wasip1", "layerDigests": layer_digests(MODULE),
        });
        assert_eq!(of(MODULE), module);
        let component = json!({
            "created": CREATED, "architecture": "wasm", "os": "wasip2", "layerDigests": layer_digests(COMPONENT),
            "component": { "exports": [], "imports": [] },
        });
        assert_eq!(of(COMPONENT), component);
    }

    #[test]
    fn an_artifact_without_a_component_is_reported() {
        let good = parsed(&Artifact::of(COMPONENT, &Annotations::new()).manifest);
        let changed = |path: &str, value: Value| {
            let mut manifest = good.clone();
            *manifest.pointer_mut(path).unwrap() = value;
            manifest
        };
        let max = limits::COMPONENT_BYTES_MAX as u64;
        let image = "application/vnd.docker.container.image.v1+json";
        let old = "application/vnd.wasm.config.v1+json";
        let table = [
            (changed("/config/mediaType", json!(image)), Unfit::Image(image.to_owned())),
            (changed("/config/mediaType", json!(old)), Unfit::Config(old.to_owned())),
            (changed("/mediaType", json!(INDEX_TYPES[0])), Unfit::Index),
            (json!({ "schemaVersion": 2, "manifests": [] }), Unfit::Index),
            (changed("/layers", json!([])), Unfit::Layers(0)),
            (changed("/layers", json!([good["layers"][0], good["layers"][0]])), Unfit::Layers(2)),
            (changed("/layers/0/mediaType", json!("text/plain")), Unfit::Layer("text/plain".to_owned())),
            (changed("/layers/0/size", json!(max + 1)), Unfit::TooLarge(max + 1)),
            (changed("/layers/0/size", json!(u64::MAX)), Unfit::TooLarge(u64::MAX)),
        ];
        for (manifest, expected) in table {
            assert_eq!(layer_of(manifest.to_string().as_bytes()), Err(expected), "{manifest:#}");
        }
        let unreadable = [
            json!([]),
            json!({ "schemaVersion": 1 }),
            changed("/layers/0/size", json!(-1)),
            changed("/layers/0/digest", json!("sha256:../../other")),
        ];
        for manifest in unreadable {
            let unfit = layer_of(manifest.to_string().as_bytes());
            assert!(matches!(unfit, Err(Unfit::Unreadable(_))), "{manifest:#}: {unfit:?}");
        }
        let fits = changed("/layers/0/size", json!(max)).to_string();
        assert!(layer_of(fits.as_bytes()).is_ok());
    }
}
