//! The Grafana dashboard: what its JSON must hold for Grafana to show it, and whether its queries answer.
//!
//! Grafana itself is not run; there is no library here that knows the whole schema of a dashboard.

use std::collections::BTreeSet;

use kennel_tests::metrics::Sample;
use kennel_tests::prometheus::Prometheus;
use serde_json::Value;

use super::cookbook::{self, Query};
use super::text_of;

/// Title, type and unit of every panel, and how many queries it has.
const PANELS: [(&str, &str, &str, usize); 9] = [
    ("Active workers", "stat", "short", 1),
    ("Current partitions", "stat", "short", 1),
    ("Reconfigurations, last hour", "stat", "short", 1),
    ("Event rate by projection", "timeseries", "eps", 1),
    ("Error rate by projection", "timeseries", "percentunit", 1),
    ("Processing time by projection, P95", "timeseries", "s", 1),
    ("Coordination P99 and heartbeat P95", "timeseries", "s", 2),
    ("Lag in events", "timeseries", "short", 1),
    ("Lag in seconds", "timeseries", "s", 1),
];
/// Columns of Grafana's grid.
const COLUMNS: u64 = 24;

fn dashboard() -> Value {
    serde_json::from_str(&text_of("grafana-dashboard.json")).expect("the dashboard is JSON")
}

#[track_caller]
fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("not a list: {value}"))
}

#[track_caller]
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

#[test]
fn the_panels_are_those_that_were_promised() {
    let dashboard = dashboard();
    let panels = list(&dashboard["panels"]);
    let found: Vec<(&str, &str, &str, usize)> = panels
        .iter()
        .map(|panel| {
            let unit = &panel["fieldConfig"]["defaults"]["unit"];
            (text(&panel["title"]), text(&panel["type"]), text(unit), list(&panel["targets"]).len())
        })
        .collect();
    assert_eq!(found, PANELS);
    let named = |title: &str| panels.iter().find(|panel| panel["title"] == title).expect("a panel");
    let custom = |title: &str| named(title)["fieldConfig"]["defaults"]["custom"].clone();
    assert_eq!(custom("Event rate by projection")["stacking"]["mode"], "normal");
    assert_eq!(custom("Error rate by projection")["thresholdsStyle"]["mode"], "line");
    let steps = &named("Error rate by projection")["fieldConfig"]["defaults"]["thresholds"]["steps"];
    assert_eq!(list(steps).last().map(|step| &step["value"]), Some(&serde_json::json!(0.01)));
    let rows: Vec<&Value> = panels.iter().filter(|panel| panel["type"] == "stat").collect();
    assert!(
        rows.iter().all(|panel| panel["gridPos"]["y"] == rows[0]["gridPos"]["y"]),
        "the stats are one row"
    );
}

#[test]
fn ids_differ_and_no_panel_covers_another() {
    let dashboard = dashboard();
    let panels = list(&dashboard["panels"]);
    let ids: BTreeSet<u64> = panels.iter().filter_map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len(), "ids");
    let mut covered: BTreeSet<(u64, u64)> = BTreeSet::new();
    for panel in panels {
        let side = |name: &str| panel["gridPos"][name].as_u64().expect("a number in the grid");
        let (x, y, w, h) = (side("x"), side("y"), side("w"), side("h"));
        assert!(w > 0 && h > 0 && x + w <= COLUMNS, "{panel:#}");
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(covered.insert(cell), "{} covers another panel", panel["title"]);
        }
    }
}

#[test]
fn everything_is_chosen_by_the_variables() {
    let dashboard = dashboard();
    let variables = list(&dashboard["templating"]["list"]);
    let found: Vec<(&str, &str)> =
        variables.iter().map(|variable| (text(&variable["name"]), text(&variable["type"]))).collect();
    assert_eq!(found, [("datasource", "datasource"), ("replica_set", "query"), ("projection", "query")]);
    assert!(text(&dashboard["title"]).starts_with("Kennel") && !text(&dashboard["uid"]).is_empty());
    assert!(dashboard["schemaVersion"].as_u64().is_some_and(|version| version >= 36));
    for variable in &variables[1..] {
        assert_eq!(variable["datasource"]["uid"], "${datasource}");
        assert_eq!(variable["allValue"], ".*", "all of them, also those that come later");
    }
    for panel in list(&dashboard["panels"]) {
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
        assert!(!text(&panel["description"]).is_empty());
        for target in list(&panel["targets"]) {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
            let query = text(&target["expr"]);
            // Every selector, so that no part of a query counts what the rest has left out.
            let selectors = query.matches("pupsourcing_").count() + query.matches("kennel_").count();
            assert_eq!(query.matches("replica_set=~\"$replica_set\"").count(), selectors, "{query}");
        }
    }
}

/// Asks every query of the dashboard with all replica sets and projections chosen, and those of its variables.
#[track_caller]
pub(crate) fn check(prometheus: &Prometheus) {
    let dashboard = dashboard();
    let mut queries = Vec::new();
    for panel in list(&dashboard["panels"]) {
        for target in list(&panel["targets"]) {
            let promql = text(&target["expr"]).replace("$replica_set", ".*").replace("$projection", ".*");
            assert!(!promql.contains('$'), "{promql} has a variable that is not defined");
            // The series are distinguished by what the legend names.
            let legend = text(&target["legendFormat"]);
            let named = legend.split("{{").skip(1).filter_map(|rest| rest.split("}}").next());
            let labels = named.map(ToOwned::to_owned).collect();
            let title = format!("panel {}", panel["title"]);
            queries.push(Query { title, labels, may_be_empty: false, promql });
        }
    }
    cookbook::check(prometheus, &queries);
    for variable in &list(&dashboard["templating"]["list"])[1..] {
        let query = text(&variable["query"]["query"]);
        let inner = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
        let (selector, label) = inner.and_then(|inner| inner.rsplit_once(", ")).expect("label_values");
        let answer: Vec<Sample> = prometheus.query(&selector.replace("$replica_set", ".*"));
        assert!(!answer.is_empty(), "{query} offers nothing");
        assert!(answer.iter().all(|sample| sample.labels.contains_key(label)), "{query}");
    }
}
