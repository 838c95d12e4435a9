//! Components in registries: a pushed component comes back as it was, an artifact that is no component is rejected,
//! and tampering is noticed. All against a real registry.

use std::fs;
use std::path::{Path, PathBuf};

use kennel_core::digest::Digest;
use kennel_core::limits;
use kennel_tests::binary::{Kennel, Printed};
use kennel_tests::components::{guest, wrapped};
use kennel_tests::metrics::{Served, free_address};
use kennel_tests::registry::Registry;
use serde_json::{Value, json};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const LAYER: &str = "application/wasm";

/// A user at a terminal, in a folder of their own, who has logged in nowhere.
struct Person {
    kennel: Kennel,
    home: PathBuf,
}

impl Person {
    fn new() -> Self {
        let kennel = Kennel::default();
        let home = kennel.folder().join("home");
        fs::create_dir_all(home.join(".docker")).expect("a folder");
        Self { kennel, home }
    }

    fn log_in(&self, registry: &Registry) {
        fs::write(self.home.join(".docker/config.json"), registry.login()).expect("a file");
    }

    fn run(&self, arguments: &[&str]) -> Printed {
        let mut command = self.kennel.command(arguments);
        command.env("HOME", &self.home);
        // What goes to this machine goes through no proxy.
        for proxy in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
            command.env(proxy, "http://127.0.0.1:1");
        }
        for foreign in ["DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "NO_PROXY", "no_proxy"] {
            command.env_remove(foreign);
        }
        let output = command.output().expect("kennel starts");
        let text = |bytes| String::from_utf8(bytes).expect("kennel prints UTF-8");
        Printed { stdout: text(output.stdout), stderr: text(output.stderr), code: output.status.code() }
    }

    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> String {
        let printed = self.run(arguments);
        assert_eq!(printed.code, Some(0), "kennel {arguments:?}\n{}\n{}", printed.stdout, printed.stderr);
        printed.stdout
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ok(&[arguments, &["--json"]].concat())).expect("kennel prints JSON")
    }

    /// Pushes an example and returns the printed reference.
    #[track_caller]
    fn push(&self, example: &str, reference: &str) -> String {
        self.ok(&["push", path(&guest(example)), reference]).trim_end().to_owned()
    }

    /// Runs a command that must fail with this code, say exactly this, and write no file.
    #[track_caller]
    fn rejected(&self, arguments: &[&str], code: i32, message: &str) {
        let before = self.files();
        let printed = self.run(arguments);
        assert_eq!(printed.stderr, format!("error: {message}\n"), "kennel {arguments:?}");
        assert_eq!((printed.code, printed.stdout.as_str()), (Some(code), ""), "kennel {arguments:?}");
        assert_eq!(self.files(), before, "kennel {arguments:?} left something behind");
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.kennel.folder()).expect("a folder");
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        files.sort();
        files
    }

    #[track_caller]
    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.kennel.folder().join(name)).expect("the file is there")
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

fn parsed(json: &[u8]) -> Value {
    serde_json::from_slice(json).expect("JSON")
}

/// The digest at the end of a pinned reference.
fn digest_of(pinned: &str) -> &str {
    pinned.split_once('@').expect("a digest").1
}

/// The latest deployment of a projection: its component and its reason.
fn latest(person: &Person, name: &str) -> (String, Value) {
    let all = person.json(&["deployments", name]);
    let latest = all.as_array().and_then(|all| all.last()).expect("a deployment").clone();
    (latest["component"].as_str().expect("a digest").to_owned(), latest["reason"].clone())
}

#[test]
fn a_pushed_component_is_deployed_from_the_registry_and_by_its_digest() {
    let Some(registry) = Registry::start() else { return };
    let person = Person::new();
    let reference = registry.reference("shop/audit:1.0");
    let pinned = person.push("audit-log", &reference);
    let digest = Digest::of(&fs::read(guest("audit-log")).expect("the guest is built")).to_string();
    let counter = fs::read(guest("counter")).expect("the guest is built");
    person.kennel.write("counter.wasm", &counter);

    person.ok(&["deploy", "audit", &reference]);
    assert_eq!(latest(&person, "audit"), (digest.clone(), json!(pinned)));
    person.ok(&["deploy", "by-digest", &pinned, "--reason", "as released"]);
    assert_eq!(latest(&person, "by-digest"), (digest.clone(), json!("as released")));
    // The store holds it now: neither file nor registry is needed.
    for shown in [&digest[..12], &digest, &format!("sha256:{digest}")] {
        person.ok(&["deploy", "audit", shown, "--set", &format!("given={shown}")]);
        assert_eq!(latest(&person, "audit"), (digest.clone(), Value::Null));
    }
    // A file of that name is what the user means.
    fs::write(person.kennel.folder().join(&digest[..12]), &counter).expect("a file");
    person.ok(&["deploy", "counts", &digest[..12]]);
    assert_eq!(latest(&person, "counts").0, Digest::of(&counter).to_string());

    let served = Served::start(&person.kennel, &["--workers", "1"]);
    let host = format!("http://{}", served.address());
    person.ok(&["deploy", "through-host", &reference, "--host", &host]);
    assert_eq!(latest(&person, "through-host"), (digest, json!(pinned)));
}

#[test]
fn a_pushed_component_comes_back_by_tag_and_by_digest() {
    let Some(registry) = Registry::start() else { return };
    let person = Person::new();
    let reference = registry.reference("shop/audit:1.0");
    let component = fs::read(guest("audit-log")).expect("the guest is built");

    let pinned = person.push("audit-log", &reference);
    let manifest = registry.manifest("shop/audit", "1.0");
    assert_eq!(pinned, registry.reference(&format!("shop/audit@sha256:{}", Digest::of(&manifest))));

    let reported = person.ok(&["pull", &reference]);
    assert!(reported.starts_with("pulled audit.wasm: component "), "{reported}");
    assert!(reported.ends_with(&format!(" bytes, from {pinned}\n")), "{reported}");
    assert_eq!(person.read("audit.wasm"), component);
    let reported = person.json(&["pull", &pinned, "--output", "by-digest.wasm"]);
    let expected = json!({
        "file": "by-digest.wasm", "reference": pinned, "digest": Digest::of(&component).to_string(),
        "bytes": component.len(),
    });
    assert_eq!(reported, expected);
    assert_eq!(person.read("by-digest.wasm"), component);

    // A tag beside a digest is for people: the digest decides.
    let both = registry.reference(&format!("shop/audit:other@{}", digest_of(&pinned)));
    person.ok(&["pull", &both, "--output", "both.wasm"]);
    assert_eq!(person.read("both.wasm"), component);
}

#[test]
fn pushing_again_changes_nothing_and_a_tag_can_move() {
    let Some(registry) = Registry::start() else { return };
    let (one, other) = (Person::new(), Person::new());
    let reference = registry.reference("audit");
    let first = one.push("audit-log", &reference);
    let reported = other.json(&["push", path(&guest("audit-log")), &reference]);
    let component = fs::read(guest("audit-log")).expect("the guest is built");
    let expected = json!({
        "reference": first, "tag": "latest", "digest": Digest::of(&component).to_string(), "bytes": component.len(),
    });
    assert_eq!(reported, expected);
    assert_eq!(one.push("audit-log", &registry.reference("audit:1.0")), first);

    let moved = one.push("counter", &reference);
    assert_ne!(moved, first);
    one.ok(&["pull", &reference, "--output", "now.wasm"]);
    one.ok(&["pull", &first, "--output", "then.wasm"]);
    assert_eq!(one.read("now.wasm"), fs::read(guest("counter")).expect("the guest is built"));
    assert_eq!(one.read("then.wasm"), component);
}

#[test]
fn the_artifact_is_laid_out_as_the_guide_says() {
    let Some(registry) = Registry::start() else { return };
    let person = Person::new();
    let module = fs::read(guest("audit-log")).expect("the guest is built");
    let component = wrapped(&module);
    for (name, content) in [("module", module), ("component", component)] {
        let file = person.kennel.write(name, &content);
        person.ok(&["push", path(&file), &registry.reference(&format!("shop/{name}:1.0"))]);
        let layer = format!("sha256:{}", Digest::of(&content));
        let described = person.json(&["inspect", path(&file)]);

        let repository = format!("shop/{name}");
        let manifest = parsed(&registry.manifest(&repository, "1.0"));
        let config = registry.blob(&repository, manifest["config"]["digest"].as_str().expect("a digest"));
        let digest = format!("sha256:{}", Digest::of(&config));
        let expected = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": { "mediaType": CONFIG, "digest": digest, "size": config.len() },
            "layers": [{ "mediaType": LAYER, "digest": layer, "size": content.len() }],
            "annotations": {
                "org.opencontainers.image.title": described["descriptor"]["name"],
                "org.opencontainers.image.version": described["descriptor"]["version"],
            },
        });
        assert_eq!(manifest, expected);
        assert_eq!(registry.blob(&repository, &layer), content);

        let mut expected = json!({
            "created": "1970-01-01T00:00:00Z",
            "architecture": "wasm",
            "os": "wasip1",
            "layerDigests": [layer],
        });
        if name == "component" {
            expected["os"] = json!("wasip2");
            expected["component"] = json!({
                "exports": described["exports"],
                "imports": described["imports"],
                "target": "kennel:projection/projection@0.1.0",
            });
        }
        assert_eq!(parsed(&config), expected);
    }
}

#[test]
fn a_component_that_cannot_run_is_not_published() {
    let Some(registry) = Registry::start() else { return };
    let person = Person::new();
    let reference = registry.reference("bad:1");
    let file = person.kennel.write("bad.wasm", "#!/bin/sh\necho hello\n");
    let printed = person.run(&["push", path(&file), &reference]);
    assert_eq!(printed.code, Some(4), "{}", printed.stderr);
    assert!(printed.stderr.ends_with("; nothing was pushed\n"), "{}", printed.stderr);
    assert_eq!(registry.request("GET", "/v2/bad/tags/list", &[], b"").status, 404);

    let pinned = registry.reference(&format!("bad@sha256:{}", Digest::of(b"")));
    let message =
        format!("`{pinned}` has a digest, which follows from the pushed content; name a tag instead");
    person.rejected(&["push", path(&guest("audit-log")), &pinned], 4, &message);
}

#[test]
fn missing_artifacts_are_named() {
    let Some(registry) = Registry::start() else { return };
    let person = Person::new();
    let pinned = person.push("audit-log", &registry.reference("shop/audit:1.0"));
    let other = Digest::of(b"something else");
    for missing in ["shop/audit:2.0", "shop/other:1.0", &format!("shop/audit@sha256:{other}")] {
        let reference = registry.reference(missing);
        let message =
            format!("there is no `{reference}`; check repository and tag, or publish it with `kennel push`");
        person.rejected(&["pull", &reference], 7, &message);
    }

    let component = fs::read(guest("audit-log")).expect("the guest is built");
    fs::remove_file(registry.stored(&Digest::of(&component).to_string())).expect("the content was stored");
    let message =
        format!("the registry has the manifest of `{pinned}`, but not its component; push it again");
    person.rejected(&["pull", &pinned], 7, &message);

    let unused = free_address();
    let message = format!(
        "cannot reach the registry `{unused}` over http: Connection refused (os error 111); check its name and port, \
         and that it runs"
    );
    let reference = format!("oci://{unused}/shop/audit:1.0");
    person.rejected(&["pull", &reference], 1, &message);
    person.rejected(&["push", path(&guest("audit-log")), &reference], 1, &message);

    let printed = person.run(&["pull", "oci://localhost:5000/Shop"]);
    assert_eq!(printed.code, Some(2));
    assert!(printed.stderr.contains("`Shop` is no part of a repository"), "{}", printed.stderr);
}

#[test]
fn an_artifact_that_is_no_component_is_rejected() {
    let Some(registry) = Registry::start() else { return };
    let person = Person::new();
    let image_config = "application/vnd.oci.image.config.v1+json";
    let config = registry.put_blob("x", image_config, b"{}");
    let layer = registry.put_blob("x", "application/vnd.oci.image.layer.v1.tar+gzip", b"not really a layer");
    let image = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] });
    registry.put_manifest("x", "image", MANIFEST, &image);
    let digest = format!("sha256:{}", Digest::of(image.to_string().as_bytes()));
    let index_type = "application/vnd.oci.image.index.v1+json";
    let entry = json!({
        "mediaType": MANIFEST, "digest": digest, "size": image.to_string().len(),
        "platform": { "os": "linux", "architecture": "amd64" },
    });
    let index = json!({ "schemaVersion": 2, "mediaType": index_type, "manifests": [entry] });
    registry.put_manifest("x", "index", index_type, &index);

    let config = registry.put_blob("x", CONFIG, b"{}");
    let component = registry.put_blob("x", LAYER, b"a component");
    let artifact = |layers: Value| json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
    registry.put_manifest("x", "two", MANIFEST, &artifact(json!([component, component])));
    // Too large by its own account, though the stored content is small: it is not even asked for, or the content
    // would be found to be missing.
    let huge =
        json!({ "mediaType": LAYER, "digest": component["digest"], "size": limits::COMPONENT_BYTES_MAX + 1 });
    registry.put_manifest("x", "huge", MANIFEST, &artifact(json!([huge])));
    let short = json!({ "mediaType": LAYER, "digest": component["digest"], "size": 5 });
    registry.put_manifest("x", "short", MANIFEST, &artifact(json!([short])));

    let pushed = "components are published with `kennel push`";
    let cases = [
        (
            "image",
            format!(
                "is a container image, not a WebAssembly artifact: its config is `{image_config}`; {pushed}"
            ),
        ),
        (
            "index",
            format!(
                "is an index, which lists images for several platforms, not a WebAssembly artifact; {pushed}"
            ),
        ),
        ("two", "has 2 layers; an artifact with a component has exactly one".to_owned()),
        (
            "short",
            "has a component that is longer than the 5 bytes that its manifest says; nothing was kept"
                .to_owned(),
        ),
    ];
    for (tag, why) in cases {
        let reference = registry.reference(&format!("x:{tag}"));
        person.rejected(&["pull", &reference], 4, &format!("`{reference}` {why}"));
    }
    fs::remove_file(registry.stored(component["digest"].as_str().expect("a digest"))).expect("it was stored");
    let reference = registry.reference("x:huge");
    let why = "has a component of 65 MiB; at most 64 MiB are allowed: build it in release mode, stripped";
    person.rejected(&["pull", &reference], 4, &format!("`{reference}` {why}"));
}

#[test]
fn tampering_is_noticed() {
    let Some(registry) = Registry::start() else { return };
    let person = Person::new();
    let component = person.push("audit-log", &registry.reference("shop/audit:1.0"));
    let manifest = person.push("counter", &registry.reference("shop/counter:1.0"));
    let layer = format!("sha256:{}", Digest::of(&fs::read(guest("audit-log")).expect("the guest is built")));

    // Replaces the first `from` in the stored content, and returns the digest that it has then.
    let tamper = |digest: &str, from: &[u8], to: &[u8]| {
        let file = registry.stored(digest);
        let mut content = fs::read(&file).expect("the content is stored");
        let at = content.windows(from.len()).position(|window| window == from).expect("something to replace");
        content[at..at + to.len()].copy_from_slice(to);
        fs::write(&file, &content).expect("the content can be replaced");
        format!("sha256:{}", Digest::of(&content))
    };
    let rejected = |reference: &str, what: &str, expected: &str, actual: &str| {
        let message = format!(
            "the {what} of `{reference}` is damaged: its digest is {actual} instead of {expected}; nothing was kept. \
             Look after the registry's storage and whatever lies between, and push the component again"
        );
        person.rejected(&["pull", reference], 4, &message);
    };
    let actual = tamper(&layer, b"kennel", b"Kennel");
    rejected(&component, "component", &layer, &actual);
    rejected(&registry.reference("shop/audit:1.0"), "component", &layer, &actual);
    let expected = digest_of(&manifest);
    let actual = tamper(expected, b"counter", b"kounter");
    rejected(&manifest, "manifest", expected, &actual);
}

#[test]
fn a_closed_registry_wants_the_credentials_of_docker() {
    let Some(registry) = Registry::start_closed() else { return };
    let person = Person::new();
    let reference = registry.reference("shop/audit:1.0");
    let rejected = |who: &str| {
        let address = registry.address();
        let message = format!(
            "the registry `{address}` denies {who} access to `shop/audit`; log in with `docker login {address}` (or \
             podman or oras), whose credentials kennel uses, or check the repository's name and your rights"
        );
        person.rejected(&["push", path(&guest("audit-log")), &reference], 6, &message);
        person.rejected(&["pull", &reference], 6, &message);
    };
    rejected("anonymous");
    person.log_in(&registry);
    let pinned = person.push("audit-log", &reference);
    person.ok(&["pull", &pinned]);
    assert_eq!(person.read("audit.wasm"), fs::read(guest("audit-log")).expect("the guest is built"));

    let config = person.home.join(".docker/config.json");
    // `kennel:wrong`
    fs::write(&config, registry.login().replace("a2VubmVsOnNlY3JldA==", "a2VubmVsOndyb25n")).expect("a file");
    rejected("your");
    fs::write(&config, "{").expect("a file");
    let message = format!(
        "the credentials in {} cannot be used: it is not JSON as `docker login` writes it; repair or remove it",
        config.display()
    );
    person.rejected(&["pull", &reference], 6, &message);
}

#[test]
fn a_file_that_is_there_is_not_lost() {
    let Some(registry) = Registry::start() else { return };
    let person = Person::new();
    let reference = registry.reference("audit");
    person.push("audit-log", &reference);
    person.kennel.write("audit.wasm", "mine");
    let message =
        "audit.wasm is there and has another content; --force replaces it, --output FILE writes elsewhere";
    person.rejected(&["pull", &reference], 5, message);
    assert_eq!(person.read("audit.wasm"), b"mine");
    person.ok(&["pull", &reference, "--force"]);
    let component = fs::read(guest("audit-log")).expect("the guest is built");
    assert_eq!(person.read("audit.wasm"), component);
    // The same once more is no loss.
    person.ok(&["pull", &reference]);
    assert_eq!(person.files().len(), 2, "a file and the home: {:?}", person.files());

    let message = "cannot write no/where.wasm: No such file or directory (os error 2)";
    let printed = person.run(&["pull", &reference, "--output", "no/where.wasm"]);
    assert_eq!(printed.code, Some(4));
    assert!(printed.stderr.starts_with(&format!("error: {message}")), "{}", printed.stderr);
}
