//! Reads docs/monitoring/queries.md and asks every query of a Prometheus.

use std::collections::BTreeSet;
use std::time::Duration;

use kennel_tests::binary::wait_until;
use kennel_tests::metrics::Sample;
use kennel_tests::prometheus::{Prometheus, programs, promtool};
use serde_json::{Value, json};

use super::{rules, text_of};

const SOON: Duration = Duration::from_secs(40);

/// A query, and what its answer must look like.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) title: String,
    pub(crate) labels: BTreeSet<String>,
    /// Whether it says when it answers with nothing.
    pub(crate) may_be_empty: bool,
    pub(crate) promql: String,
}

/// Every query of the cookbook.
///
/// Each has a heading, a text, a line that names its labels, and a block of PromQL, in this order.
#[track_caller]
pub(crate) fn queries() -> Vec<Query> {
    let text = text_of("queries.md");
    let sections: Vec<&str> = text.split("\n### ").skip(1).collect();
    assert_eq!(text.matches("```promql").count(), sections.len(), "one query under each heading of its own");
    sections.into_iter().map(query).collect()
}

#[track_caller]
fn query(section: &str) -> Query {
    let (title, rest) = section.split_once("\n\n").unwrap_or_else(|| panic!("{section} has no text"));
    let (text, rest) =
        rest.split_once("\n\nLabels: ").unwrap_or_else(|| panic!("{title} does not name its labels"));
    assert!(text.ends_with('.') && text.len() > 20, "{title}: say what it shows and when it worries");
    let (labels, rest) =
        rest.split_once("\n\n```promql\n").unwrap_or_else(|| panic!("{title} has no block of PromQL"));
    let (promql, _) = rest.split_once("\n```").unwrap_or_else(|| panic!("the block of {title} has no end"));
    let (names, remark) =
        labels.split_once('.').unwrap_or_else(|| panic!("{title}: end the labels with a dot"));
    let quoted = names.split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(quoted.is_empty(), names == "none", "{title}: labels stand in backticks, or there are none");
    Query {
        title: title.to_owned(),
        labels: quoted,
        may_be_empty: remark.trim().starts_with("No series while "),
        promql: promql.to_owned(),
    }
}

/// The recording rules as queries: a rule's name begins with the labels that it keeps.
#[track_caller]
pub(crate) fn recorded(prometheus: &Prometheus) -> Vec<Query> {
    let rules = rules::recorded(prometheus);
    assert!(!rules.is_empty(), "Prometheus has no recording rules");
    let known = ["replica_set", "projection", "le"];
    let of_rule = |(name, promql): (String, String)| {
        let level = name.split(':').next().unwrap_or("").to_owned();
        let labels: BTreeSet<String> =
            known.iter().filter(|label| level.contains(*label)).map(|label| (*label).to_owned()).collect();
        Query { title: name, labels, may_be_empty: false, promql }
    };
    rules.into_iter().map(of_rule).collect()
}

/// Asks these queries until each answers, and demands numbers under the labels that were promised.
#[track_caller]
pub(crate) fn check(prometheus: &Prometheus, queries: &[Query]) {
    for query in queries {
        let Query { title, labels, may_be_empty, promql } = query;
        let mut answer: Vec<Sample> = Vec::new();
        // A rate has its first value after two scrapes.
        wait_until(&format!("`{title}` answers: {promql}"), SOON, || {
            answer = prometheus.query(promql);
            *may_be_empty || !answer.is_empty()
        });
        for sample in &answer {
            let found: BTreeSet<String> = sample.labels.keys().cloned().collect();
            assert_eq!(&found, labels, "{title}");
            assert!(sample.value.is_finite(), "{title}: {sample:?}\n{promql}");
        }
    }
}

/// Takes minutes, so it is played to promtool instead of a living Prometheus: workers whose state
/// `coordinating` is so, minute by minute.
#[test]
fn workers_that_only_coordinate_are_found_and_young_or_restless_ones_are_not() {
    let Some(programs) = programs() else { return };
    let worker = |id: &str, coordinating: &str| {
        let labels = format!("replica_set=\"main\", worker_id={id:?}, state=\"coordinating\"");
        json!({"series": format!("pupsourcing_orchestrator_worker_state{{{labels}}}"), "values": coordinating})
    };
    let active = "pupsourcing_orchestrator_active_workers{replica_set=\"main\"}";
    let expected = |title: &str, labels: &str| -> Value {
        let query = queries().into_iter().find(|query| query.title == title).expect("such a query");
        json!({"expr": query.promql, "eval_time": "10m", "exp_samples": [{"labels": labels, "value": 1}]})
    };
    let tests = json!({"rule_files": [], "tests": [{
        "interval": "1m",
        "input_series": [
            worker("stuck", "0 1x9"),
            worker("restless", "0 1 0 1 0 1 0 1 1 0 1"),
            worker("young", "_x9 1 1"),
            json!({"series": active, "values": "3x10"}),
        ],
        "promql_expr_test": [
            expected("Number of workers stuck coordinating", "{replica_set=\"main\"}"),
            expected("Workers stuck coordinating", "{replica_set=\"main\", worker_id=\"stuck\"}"),
        ],
    }]});
    let folder = tempfile::tempdir().expect("a folder for the test");
    // YAML is a superset of JSON.
    std::fs::write(folder.path().join("tests.yaml"), tests.to_string()).expect("a file for the test");
    let (content, said) = promtool(&programs, folder.path(), &["test", "rules", "tests.yaml"], "");
    assert!(content, "{said}");
}
