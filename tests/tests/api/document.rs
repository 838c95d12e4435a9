//! What the host says of its own interface is well formed, complete and true.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use kennel_tests::http;
use kennel_tests::programs::folder_of;
use serde_json::{Map, Value, json};

use super::{Host, example_bytes};

/// One operation that the document describes.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) method: String,
    /// With the names of parameters in braces.
    pub(super) path: String,
    pub(super) described: Value,
}

impl Operation {
    /// Whether it may change something.
    pub(super) fn changes(&self) -> bool {
        self.method != "GET"
    }

    /// The path for a projection, and for a component.
    pub(super) fn path(&self, projection: &str, digest: &str) -> String {
        let path = self.path.replace("{name}", projection).replace("{digest}", digest);
        assert!(!path.contains('{'), "{}: a parameter that this test has no value for", self.path);
        path
    }

    fn is_open(&self) -> bool {
        self.path == "/v1/openapi.json"
    }
}

/// Every operation of a document.
pub(super) fn operations(document: &Value) -> Vec<Operation> {
    let paths = document["paths"].as_object().expect("paths");
    let operations = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().expect("operations").iter();
        methods.map(|(method, described)| Operation {
            method: method.to_uppercase(),
            path: path.clone(),
            described: described.clone(),
        })
    });
    let operations: Vec<Operation> = operations.collect();
    assert!(operations.len() >= 15, "{} operations", operations.len());
    operations
}

/// Where `schemathesis` is; `None` where it is missing and that is no fault.
pub(super) fn schemathesis() -> Option<PathBuf> {
    folder_of(&["schemathesis"], "KENNEL_FUZZ_BIN")
}

/// A program of Schemathesis' own Python, which finds its packages beside its programs.
pub(super) fn with_packages(mut command: Command, folder: &std::path::Path) -> Command {
    if folder.parent().is_some_and(|packages| packages.join("schemathesis").is_dir()) {
        command.env("PYTHONPATH", folder.parent().expect("a parent"));
    }
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Every reference leads somewhere.
fn assert_references_resolve(document: &Value, part: &Value) {
    match part {
        Value::Object(object) => {
            if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
                let pointer = reference.strip_prefix('#').expect("a reference within the document");
                assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
            }
            object.values().for_each(|value| assert_references_resolve(document, value));
        }
        Value::Array(values) => values.iter().for_each(|value| assert_references_resolve(document, value)),
        _ => {}
    }
}

#[test]
fn every_operation_is_described_with_all_that_it_may_answer() {
    let host = Host::closed();
    let answer =
        http::request(host.served.address(), "GET", "/v1/openapi.json", &[], b"").expect("an answer");
    assert_eq!(
        (answer.status, answer.header("Content-Type")),
        (200, Some("application/json")),
        "without a token"
    );
    let document = answer.json();
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")));
    assert_eq!(document["security"], json!([{ "token": [] }]));
    let scheme = &document["components"]["securitySchemes"]["token"];
    assert_eq!((&scheme["type"], &scheme["scheme"]), (&json!("http"), &json!("bearer")));
    assert_references_resolve(&document, &document);
    let mut ids = BTreeSet::new();
    for operation in operations(&document) {
        let Operation { method, path, described } = &operation;
        let said = format!("{method} {path}");
        assert!(ids.insert(described["operationId"].to_string()), "{said}: another has the same id");
        assert!(
            described["summary"].as_str().is_some_and(|summary| !summary.is_empty()),
            "{said}: no summary"
        );
        let named: BTreeSet<&str> = path.split(['{', '}']).skip(1).step_by(2).collect();
        let none = Vec::new();
        let parameters = described["parameters"].as_array().unwrap_or(&none);
        let in_path = parameters.iter().filter(|one| one["in"] == "path");
        let reported: BTreeSet<&str> = in_path.filter_map(|one| one["name"].as_str()).collect();
        assert_eq!(reported, named, "{said}: its parameters");
        assert!(
            parameters
                .iter()
                .all(|one| one["schema"]["pattern"].is_string() || one["schema"]["maximum"].is_number())
        );
        let responses = described["responses"].as_object().expect("responses");
        let needs: &[&str] = match () {
            () if operation.is_open() => &["200", "403"],
            () if method == "POST" => {
                &["200", "400", "401", "403", "404", "409", "413", "415", "422", "500", "503"]
            }
            () if method == "PUT" => &["200", "201", "400", "401", "403", "413", "415", "422", "500", "503"],
            () if named.is_empty() => &["200", "401", "403", "500", "503"],
            () => &["200", "400", "401", "403", "404", "500", "503"],
        };
        for status in needs {
            assert!(responses.contains_key(*status), "{said}: does not describe {status}");
        }
        for (status, response) in responses {
            let content = response["content"].as_object().cloned().unwrap_or_else(Map::new);
            let problem = content.get("application/problem+json").map(|content| &content["schema"]["$ref"]);
            let expected = json!("#/components/schemas/Problem");
            assert_eq!(
                problem.is_some_and(|schema| *schema == expected),
                !status.starts_with('2'),
                "{said}: {status}"
            );
        }
    }
}

/// That the document has every path is checked by a test beside the routes; here, that it has every method of them.
#[test]
fn the_document_describes_the_methods_that_there_are() {
    let host = Host::open();
    let document = host.get("/v1/openapi.json").json();
    assert!(
        document["security"].is_null(),
        "a host that asks for no token says so: {}",
        document["security"]
    );
    let all = operations(&document);
    let paths: BTreeSet<&String> = all.iter().map(|operation| &operation.path).collect();
    for path in paths {
        let described = all.iter().filter(|operation| operation.path == *path);
        let mut expected: BTreeSet<&str> =
            described.clone().map(|operation| operation.method.as_str()).collect();
        if expected.contains("GET") {
            expected.insert("HEAD");
        }
        let asked = described.clone().next().expect("an operation").path("a", &"0".repeat(64));
        let rejected = host.ask("PATCH", &asked, &[], b"");
        assert_eq!(rejected.status, 405, "{path}: {}", rejected.text());
        let allowed = rejected.header("Allow").expect("it says which methods are allowed");
        let allowed: BTreeSet<&str> = allowed.split(',').map(str::trim).collect();
        assert_eq!(allowed, expected, "{path}");
    }
}

#[test]
fn the_document_is_valid_by_the_rules_of_openapi() {
    let Some(folder) = schemathesis() else { return };
    let host = Host::closed();
    host.put(&example_bytes("counter"));
    let file = host.kennel.write("openapi.json", host.get("/v1/openapi.json").body);
    // The rules come with Schemathesis; those of each schema are the ones of JSON Schema.
    let script = "import json, sys, jsonschema_rs\n\
                  from schemathesis.specs.openapi import definitions\n\
                  document = json.load(open(sys.argv[1]))\n\
                  wrong = list(definitions.OPENAPI_31_VALIDATOR.iter_errors(document))\n\
                  for name, schema in document['components']['schemas'].items():\n\
                  \x20   jsonschema_rs.meta.validate({'$schema': 'https://json-schema.org/draft/2020-12/schema', **schema})\n\
                  print(len(document['components']['schemas']), *wrong)\n\
                  sys.exit(bool(wrong))\n";
    // The interpreter for which the packages were installed is named in the first line of the program.
    let program = std::fs::read_to_string(folder.join("schemathesis")).expect("a script");
    let python =
        program.lines().next().and_then(|line| line.strip_prefix("#!")).expect("an interpreter").trim();
    let mut command = with_packages(Command::new(python), &folder);
    let output = command.arg("-c").arg(script).arg(&file).output().expect("Python starts");
    let reported = [&output.stdout[..], &output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&reported));
    let schemas: usize = String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number");
    assert!(schemas > 10, "{schemas} schemas");
}
