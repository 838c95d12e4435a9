//! Many processes on one real PostgreSQL: no event is skipped, none is handled twice. Whoever comes and
//! goes by force is in `chaos`; how fast the others take over is in `timings`.

use std::time::Duration;

use kennel_tests::audit::audit;
use kennel_tests::binary::wait_until;
use kennel_tests::postgres::Cluster;
use kennel_tests::replicas::Replicas;

/// Writes for some seconds, sleeping between insert and commit, and takes back every seventh event.
fn writer(number: u32, seconds: u32, sleep: &str) -> String {
    format!(
        "DO $$ DECLARE n int := 0; till timestamptz := clock_timestamp() + interval '{seconds} s'; BEGIN
           WHILE clock_timestamp() < till LOOP
             n := n + 1;
             INSERT INTO events (bounded_context, aggregate_type, aggregate_id, aggregate_version, event_id,
               event_type, event_version, payload)
             VALUES ('Sales', 'Order', 'writer-{number}-' || n % 40, n, gen_random_uuid(), 'Happened', 1, '{{}}');
             PERFORM pg_sleep({sleep});
             IF n % 7 = 0 THEN ROLLBACK; ELSE COMMIT; END IF;
           END LOOP; END $$"
    )
}

#[test]
fn writers_that_commit_out_of_order_lose_no_event() {
    let cluster = Cluster::start();
    let replicas = Replicas::new(&cluster, &["audit-log"]);
    let database = &replicas.database;
    let processes = [replicas.start(2), replicas.start(2)];
    std::thread::scope(|scope| {
        for number in 1..=4 {
            let (cluster, database) = (&cluster, &database);
            scope.spawn(move || cluster.sql(database, &writer(number, 15, "random() * 0.02")));
        }
        // One holds its transaction open for three seconds at a time.
        scope.spawn(|| cluster.sql(database, &writer(5, 14, "3")));
    });
    wait_until("everything is handled", Duration::from_secs(30), || replicas.caught_up());
    let counted = |sql: &str| cluster.sql(database, sql).parse::<usize>().expect("a number");
    let committed = counted("SELECT count(*) FROM events");
    let skipped = counted("SELECT max(global_position) - count(*) FROM events");
    assert!(committed > 1_000 && skipped > 100, "{committed} events with {skipped} gaps prove little");
    let found = audit(&replicas.kennel, "audit-log");
    assert_eq!((found.events, found.not_once, found.out_of_order), (committed, 0, 0));
    drop(processes);
}
