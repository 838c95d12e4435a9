//! Schemathesis makes requests from the document of the API, right ones and wrong ones, and judges every answer by it: no
//! failure of the host, no status and no body that the document does not know, nothing wrong that is taken, nothing right
//! that is rejected. What it cannot know of components comes from the hooks in tests/tests/api/fuzz.py.

use std::collections::BTreeMap;
use std::process::Command;

use kennel_core::digest::Digest;
use kennel_tests::binary::{Kennel, repository, wait_until};
use kennel_tests::components::guest;
use serde_json::Value;

use super::document::{schemathesis, with_packages};
use super::{Host, SOON, TOKEN, example_bytes, on_postgres, text};

/// Requests for each operation, besides those that it makes for each constraint of the document.
const EXAMPLES: &str = "40";
/// `KENNEL_TEST_SEED` has it make others.
const SEED: &str = "20";

/// Half of the requests are about things that are there; otherwise few would get far.
fn configuration(digests: &[String]) -> String {
    format!(
        r#"
        hooks = "fuzz"

        [dictionaries]
        names = {{ values = ["fuzzed"] }}
        digests = {{ values = {digests:?} }}

        [parameters]
        "path.name" = {{ dictionary = "names", probability = 0.7 }}
        "path.digest" = {{ dictionary = "digests", probability = 0.5 }}
        "body.component" = {{ dictionary = "digests", probability = 0.7 }}

        # Any bytes are right by the document: whether they are a component, and that of the path, is for the host to find.
        [[operations]]
        include-operation-id = "put_component"
        [operations.checks]
        negative_data_rejection.enabled = false
        positive_data_acceptance.expected-statuses = ["2xx", "400", "401", "403", "422"]

        # Not every component can replace every other.
        [[operations]]
        include-operation-id = ["deploy", "rebuild"]
        [operations.checks]
        positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "404", "409", "422"]
        "#
    )
}

/// The requests that were made, as a HAR file lists them: how many of each operation got which status.
fn counted(har: &Value) -> BTreeMap<(String, String, u64), usize> {
    let mut counted = BTreeMap::new();
    for entry in har["log"]["entries"].as_array().expect("entries") {
        let (request, response) = (&entry["request"], &entry["response"]);
        let url = request["url"].as_str().expect("a URL");
        let path = url.split('?').next().and_then(|url| url.splitn(4, '/').nth(3)).unwrap_or_default();
        let mut parts: Vec<&str> = path.split('/').collect();
        if let Some(name) = parts.get_mut(2) {
            *name = "*";
        }
        let method = request["method"].as_str().expect("a method").to_owned();
        let status = response["status"].as_u64().expect("a status");
        *counted.entry((method, parts.join("/"), status)).or_insert(0) += 1;
    }
    counted
}

/// Whether an operation on the projection `audit` was among them and was carried out.
fn was_carried_out(har: &Value) -> bool {
    har["log"]["entries"].as_array().expect("entries").iter().any(|entry| {
        let url = entry["request"]["url"].as_str().unwrap_or_default();
        let done = entry["response"]["status"].as_u64().is_some_and(|status| status < 300);
        entry["request"]["method"] == "POST" && url.contains("/v1/projections/audit/") && done
    })
}

#[expect(clippy::print_stdout, reason = "how much was tried is worth knowing")]
fn withstands(kennel: Kennel, token: Option<&'static str>) {
    let Some(folder) = schemathesis() else { return };
    let host = Host::start(kennel, token, "127.0.0.1:0");
    host.append(20);
    host.deploy("audit", "audit-log");
    host.deploy("fuzzed", "counter");
    let before = host.history(&["audit"]);
    let digests =
        ["audit-log", "counter", "timeline"].map(|name| Digest::of(&example_bytes(name)).to_string());
    host.kennel.write("schemathesis.toml", configuration(&digests));
    let hooks = repository().join("tests/tests/api");
    let components = ["timeline", "event-statistics", "counter"].map(guest);

    let mut command = with_packages(Command::new(folder.join("schemathesis")), &folder);
    let packages = command.get_envs().find(|(name, _)| *name == "PYTHONPATH").and_then(|(_, value)| value);
    let paths = [hooks.as_os_str()].into_iter().chain(packages);
    let paths = std::env::join_paths(paths).expect("paths without colons");
    command.env("PYTHONPATH", paths);
    command.env("KENNEL_FUZZ_COMPONENTS", std::env::join_paths(&components).expect("paths without colons"));
    let seed = std::env::var("KENNEL_TEST_SEED").unwrap_or_else(|_| SEED.to_owned());
    command.args(["run", "--seed", &seed, "--max-examples", EXAMPLES, "--workers", "1"]);
    command.args([
        "--request-timeout",
        "20",
        "--no-color",
        "--report",
        "har",
        "--report-har-path",
        "requests.har",
    ]);
    if let Some(token) = token {
        command.args(["--header", &format!("Authorization: Bearer {token}")]);
    }
    command.arg(format!("{}/v1/openapi.json", host.url())).current_dir(host.kennel.folder());
    let output = command.output().expect("schemathesis starts");
    let report =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "seed {seed}\n{report}");

    let har = std::fs::read(host.kennel.folder().join("requests.har")).expect("a list of requests");
    let har: Value = serde_json::from_slice(&har).expect("JSON");
    let counted = counted(&har);
    let sum = |matches: &dyn Fn(&str, &str, u64) -> bool| -> usize {
        let chosen = counted.iter().filter(|((method, path, status), _)| matches(method, path, *status));
        chosen.map(|(_, count)| count).sum()
    };
    println!(
        "{} requests, {} of them operations that were carried out",
        sum(&|_, _, _| true),
        sum(&|method, _, status| method == "POST" && status < 300)
    );
    assert_eq!(sum(&|_, _, status| status >= 500), 0, "{counted:#?}");
    // Otherwise it has only rattled at the door.
    assert!(sum(&|_, _, _| true) > 500, "{counted:#?}");
    for verb in ["deployments", "rebuild", "pause", "resume", "retire"] {
        let path = format!("v1/projections/*/{verb}");
        assert!(
            sum(&|method, at, status| method == "POST" && at == path && status < 300) > 0,
            "{verb}: {counted:#?}"
        );
    }
    for status in [200, 422] {
        assert!(sum(&|method, _, found| method == "PUT" && found == status) > 0, "{status}: {counted:#?}");
    }

    assert_eq!((host.get("/healthz").status, host.get("/v1/projections").status), (200, 200));
    if !was_carried_out(&har) {
        assert_eq!(host.history(&["audit"])[2..], before[2..], "no request was an operation on it");
    }
    let file = guest("audit-log");
    host.kennel.ok(&["deploy", "after", text(&file), "--host", &host.url()]);
    wait_until("it works on", SOON, || host.kennel.status("after")["lag"] == 0);
}

#[test]
fn it_withstands_right_and_wrong_requests_on_sqlite() {
    withstands(Kennel::default(), None);
}

#[test]
fn it_withstands_right_and_wrong_requests_on_postgres_with_a_token() {
    on_postgres(|new_store| withstands(new_store(), Some(TOKEN)));
}
