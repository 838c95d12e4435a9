//! What promtool says of the rules, and what the alerts are called and bound to.

use std::collections::BTreeMap;
use std::time::Duration;

use kennel_tests::binary::wait_until;
use kennel_tests::prometheus::{Prometheus, programs, promtool};
use serde_json::Value;

use super::{document, text_of};

const RULES: [&str; 2] = ["alerts.yaml", "recording.yaml"];

/// The alerts that must exist: how long each has to hold, in seconds, and its severity.
const ALERTS: [(&str, u32, &str); 14] = [
    ("KennelDeadLetters", 0, "warning"),
    ("KennelHighWaterMarkBlocked", 60, "warning"),
    ("KennelHighWaterMarkBlockedUnknownAge", 120, "warning"),
    ("KennelHostFault", 0, "critical"),
    ("KennelLogSetBack", 0, "warning"),
    ("KennelLogUnreadable", 60, "critical"),
    ("KennelProjectionHalted", 60, "critical"),
    ("KennelRebuildHalted", 60, "warning"),
    ("KennelProjectionLagGrowing", 600, "warning"),
    ("OrchestratorFrequentReconfigurations", 900, "warning"),
    ("OrchestratorHighErrorRate", 300, "critical"),
    ("OrchestratorNoWorkers", 120, "critical"),
    ("OrchestratorSlowCoordination", 600, "warning"),
    ("OrchestratorStaleWorkers", 0, "warning"),
];

#[test]
fn the_rules_are_well_formed() {
    let Some(programs) = programs() else { return };
    let (content, said) =
        promtool(&programs, &document(""), &["check", "rules", "--lint-fatal", RULES[0], RULES[1]], "");
    assert!(content, "{said}");
}

#[test]
fn every_alert_fires_when_it_should_and_only_then() {
    let Some(programs) = programs() else { return };
    let (content, said) = promtool(&programs, &document(""), &["test", "rules", "alerts_test.yaml"], "");
    assert!(content, "{said}");
    let cases = text_of("alerts_test.yaml");
    for (alert, ..) in ALERTS {
        let name = format!("alertname: {alert}\n");
        let of_it = cases.split(&name).skip(1).map(str::trim_start);
        let (silent, firing): (Vec<&str>, Vec<&str>) =
            of_it.partition(|rest| rest.starts_with("exp_alerts: []"));
        assert!(!firing.is_empty(), "alerts_test.yaml has no case in which {alert} fires");
        assert!(!silent.is_empty(), "alerts_test.yaml has no case in which {alert} is silent");
    }
}

/// Demands that Prometheus evaluates every rule, and that the alerts are those of the contract.
#[track_caller]
pub(crate) fn check(prometheus: &Prometheus) {
    // A group is evaluated for the first time some seconds after the start, at its own interval.
    wait_until("every rule has been evaluated", Duration::from_secs(60), || {
        prometheus.rules().iter().all(|rule| rule["health"] != "unknown")
    });
    let rules = prometheus.rules();
    for rule in &rules {
        assert_eq!(rule["health"], "ok", "{rule:#}");
    }
    let alerts = rules.iter().filter(|rule| rule["type"] == "alerting");
    let found: BTreeMap<&str, (&Value, &Value)> = alerts
        .map(|rule| (rule["name"].as_str().unwrap_or(""), (&rule["duration"], &rule["labels"]["severity"])))
        .collect();
    assert_eq!(found.len(), ALERTS.len(), "{found:?}");
    for (name, seconds, severity) in ALERTS {
        let (duration, label) = found.get(name).unwrap_or_else(|| panic!("no alert {name}"));
        assert_eq!((duration.as_f64(), label.as_str()), (Some(f64::from(seconds)), Some(severity)), "{name}");
    }
    let manual = text_of("README.md");
    for (name, ..) in ALERTS {
        assert!(manual.contains(&format!("### {name}\n")), "README.md does not say what to do about {name}");
    }
}

/// What the recording rules record, each with its expression.
pub(crate) fn recorded(prometheus: &Prometheus) -> Vec<(String, String)> {
    let rules = prometheus.rules();
    let recording = rules.iter().filter(|rule| rule["type"] == "recording");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    recording.map(|rule| (text(&rule["name"]), text(&rule["query"]))).collect()
}
