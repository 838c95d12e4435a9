//! A database that goes away: the metrics tell that nobody works, until it is back.

use std::time::Duration;

use kennel_tests::binary::{Kennel, wait_until};
use kennel_tests::metrics::Served;
use kennel_tests::postgres::Cluster;

#[test]
fn while_the_database_is_away_no_worker_counts_as_active() {
    let mut cluster = Cluster::start();
    let kennel = Kennel::on(&cluster.create_database());
    kennel.write("kennel.toml", "[run]\nheartbeat_seconds = 1\nstale_after_seconds = 2\n");
    kennel.ok(&["migrate"]);
    let served = Served::start(&kennel, &["--workers", "2"]);
    let active = || served.series("pupsourcing_orchestrator_active_workers");
    let tells = |workers: u32| {
        wait_until(&format!("it tells of {workers} workers"), Duration::from_secs(30), || {
            active() == [format!("pupsourcing_orchestrator_active_workers{{replica_set=\"main\"}} {workers}")]
        });
    };
    tells(2);
    cluster.stop();
    tells(0);
    cluster.launch();
    tells(2);
}
