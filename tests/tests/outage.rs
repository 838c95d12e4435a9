//! A database that goes away: the metrics show that no worker is active, until it is back.

use std::time::Duration;

use kennel_test_support::postgres::Cluster;
use kennel_tests::binary::{Kennel, wait_until};
use kennel_tests::metrics::Served;

#[test]
fn while_the_database_is_away_no_worker_counts_as_active() {
    let mut cluster = Cluster::start();
    let kennel = Kennel::on(&cluster.create_database());
    kennel.write("kennel.toml", "[run]\nheartbeat_seconds = 1\nstale_after_seconds = 2\n");
    kennel.ok(&["migrate"]);
    let served = Served::start(&kennel, &["--workers", "2"]);
    let active = || served.series("pupsourcing_orchestrator_active_workers");
    let reports = |workers: u32| {
        wait_until(&format!("it reports {workers} workers"), Duration::from_secs(30), || {
            active() == [format!("pupsourcing_orchestrator_active_workers{{replica_set=\"main\"}} {workers}")]
        });
    };
    reports(2);
    cluster.stop();
    reports(0);
    cluster.launch();
    reports(2);
}
