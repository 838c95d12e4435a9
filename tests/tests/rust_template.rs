//! The template of new projections in Rust, as `kennel new` lays it out: with the SDK beside it in `sdk/`.

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn the_lock_file_of_the_template_fits_the_sdk_and_pins_what_the_examples_pin() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (sdk, template) = (root.join("guest-sdk/rust"), root.join("guest-sdk/rust/template"));
    let project = tempfile::tempdir().expect("a folder");
    let copy = |from: &Path, to: &str| {
        let to = project.path().join(to);
        fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        fs::copy(from, to).expect("a copy");
    };
    for file in ["Cargo.toml", "Cargo.lock", "src/lib.rs"] {
        copy(&template.join(file), file);
    }
    for file in ["Cargo.toml", "src/lib.rs"] {
        copy(&sdk.join(file), &format!("sdk/{file}"));
    }
    // A Cargo.lock that does not fit is an error, and nothing is asked of the network.
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(project.path()).args(["metadata", "--locked", "--offline", "--format-version", "1"]);
    let output = cargo.args(["--filter-platform", "wasm32-unknown-unknown"]).output().expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let text = |path: &str| fs::read_to_string(root.join(path)).expect("a lock file");
    let pinned = |text: &str| -> Vec<String> {
        let packages = text.split("\n[[package]]\n").skip(1);
        packages.filter(|package| package.contains("checksum")).map(|text| text.trim().to_owned()).collect()
    };
    let (examples, template) =
        (pinned(&text("examples/Cargo.lock")), pinned(&text("guest-sdk/rust/template/Cargo.lock")));
    for package in template {
        assert!(examples.contains(&package), "examples/Cargo.lock pins another release of: {package}");
    }
}
