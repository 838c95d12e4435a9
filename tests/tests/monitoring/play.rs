//! The setup of the scenario: a database, a Prometheus, and processes that come and go, with the sum of what
//! all of them have counted.

use std::time::Duration;

use kennel_test_support::postgres::Cluster;
use kennel_tests::binary::wait_until;
use kennel_tests::metrics::{Scrape, Served, free_address};
use kennel_tests::prometheus::Prometheus;
use kennel_tests::replicas::Replicas;
use serde_json::Value;

use super::contract::PREFIX;
use super::document;

pub(crate) const SOON: Duration = Duration::from_secs(40);
pub(crate) const PROJECTIONS: [&str; 3] = ["audit-log", "misbehaving", "timeline"];
const NAMES: [&str; 3] = ["a", "b", "c"];

pub(crate) struct Play {
    _cluster: Cluster,
    pub(crate) replicas: Replicas,
    pub(crate) prometheus: Prometheus,
    addresses: Vec<(&'static str, String)>,
    alive: Vec<(&'static str, Served)>,
    /// What those had counted that are gone.
    gone: Vec<Scrape>,
}

impl Play {
    pub(crate) fn set(programs: &std::path::Path) -> Self {
        let cluster = Cluster::start();
        let replicas = Replicas::new(&cluster, &["audit-log", "timeline"]).stale_after(4);
        let guest = kennel_tests::components::guest("misbehaving");
        let guest = guest.to_str().expect("a UTF-8 path");
        replicas.kennel.ok(&["deploy", "misbehaving", guest, "--on-failure", "dead-letter"]);
        // Their ports are known beforehand: Prometheus needs many seconds to take up a new target.
        let addresses: Vec<(&str, String)> = NAMES.iter().map(|name| (*name, free_address())).collect();
        let targets: Vec<(&str, &str)> =
            addresses.iter().map(|(name, address)| (*name, &**address)).collect();
        let rules = [document("alerts.yaml"), document("recording.yaml")];
        let prometheus = Prometheus::start(programs, &targets, &rules);
        Self { _cluster: cluster, replicas, prometheus, addresses, alive: Vec::new(), gone: Vec::new() }
    }

    pub(crate) fn start(&mut self, name: &'static str, workers: u32) {
        let (_, address) = self.addresses.iter().find(|(known, _)| *known == name).expect("a known name");
        let served = Served::start_at(&self.replicas.kennel, address, &["--workers", &workers.to_string()]);
        self.alive.push((name, served));
    }

    pub(crate) fn process(&self, name: &str) -> &Served {
        &self.alive.iter().find(|(known, _)| *known == name).expect("a process that runs").1
    }

    /// Has a process end by itself.
    pub(crate) fn terminate(&mut self, name: &str) {
        let served = self.retire(name);
        served.process.signal("TERM");
        assert_eq!(served.process.wait(SOON), Some(0));
    }

    /// Ends a process as `kill -9` does.
    pub(crate) fn kill(&mut self, name: &str) {
        self.retire(name).process.kill();
    }

    /// Remembers what a process has counted, once Prometheus has seen it too.
    fn retire(&mut self, name: &str) -> Served {
        let index = self.alive.iter().position(|(known, _)| *known == name).expect("a process that runs");
        let last = self.alive[index].1.scrape();
        for sample in last.0.iter().filter(|sample| sample.name.ends_with("_total")) {
            let known = ["projection", "kind", "outcome", "origin", "part"]
                .into_iter()
                .filter_map(|label| sample.labels.get(label).map(|value| format!("{label}={value:?},")));
            let matchers: String = known.collect();
            let query = format!("{}{{{matchers}process={name:?}}}", sample.name);
            wait_until(&format!("Prometheus has seen {query}"), SOON, || {
                self.prometheus.value(&query) == Some(sample.value)
            });
        }
        self.gone.push(last);
        self.alive.remove(index).1
    }

    /// What all processes have counted, those that are gone included. NaN while one has no such series.
    pub(crate) fn total(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let living = self.alive.iter().map(|(_, served)| served.scrape());
        let scrapes = living.chain(self.gone.iter().cloned());
        scrapes.map(|scrape| scrape.sum(&full(name), labels).unwrap_or(f64::NAN)).sum()
    }

    /// Demands that all processes together come to exactly so much, and that Prometheus says the same.
    #[track_caller]
    pub(crate) fn check_total(&self, name: &str, labels: &[(&str, &str)], expected: f64) {
        let what = format!("{name} {labels:?} comes to {expected}");
        wait_until(&what, SOON, || self.total(name, labels) >= expected);
        assert_eq!(self.total(name, labels), expected, "{what}");
        let matchers: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        let query = format!("sum(last_over_time({}{{{}}}[1h]))", full(name), matchers.join(","));
        wait_until(&format!("{query} is {expected}"), SOON, || {
            self.prometheus.value(&query) == Some(expected)
        });
    }

    /// Demands that every living process comes to see so many workers in as many partitions.
    #[track_caller]
    pub(crate) fn check_workers(&self, expected: u32) {
        for (name, served) in &self.alive {
            for gauge in ["active_workers", "current_generation_partitions"] {
                wait_until(&format!("{gauge} of {name} is {expected}"), SOON, || {
                    served.scrape().sum(&full(gauge), &[]) == Some(f64::from(expected))
                });
            }
        }
        let query = format!("max by (replica_set) ({PREFIX}active_workers)");
        wait_until(&format!("{query} is {expected}"), SOON, || {
            self.prometheus.value(&query) == Some(f64::from(expected))
        });
    }

    /// Generations, partitions assigned in them, and reconfigurations, as the database has them.
    pub(crate) fn history(&self) -> [f64; 3] {
        let history = self.replicas.kennel.json(&["generations", "--json"]);
        let records = history.as_array().expect("a list of generations");
        let partitions = |record: &Value| record["partitions"].as_f64().expect("a number");
        let first = records.iter().filter(|record| record["cause"] == "first").count();
        assert_eq!(first, 1, "{history}");
        [records.len() as f64, records.iter().map(partitions).sum(), (records.len() - first) as f64]
    }
}

/// The full name of a metric of the contract, or of another.
pub(crate) fn full(name: &str) -> String {
    if name.starts_with("kennel_") { name.to_owned() } else { format!("{PREFIX}{name}") }
}
