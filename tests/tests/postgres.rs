//! Many processes on one real PostgreSQL: no event is skipped, none is handled twice. Processes that come and go by
//! force are in `chaos`; how fast the others take over is in `timings`.

use std::time::Duration;

use kennel_test_support::postgres::Cluster;
use kennel_tests::binary::{Running, wait_until};
use kennel_tests::events;
use kennel_tests::exactly_once::{ExactlyOnce, exactly_once};
use kennel_tests::replicas::{CheckpointRow, Replicas};

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
    let found = exactly_once(&replicas.kennel, "audit-log");
    assert_eq!((found.events, found.not_once, found.out_of_order), (committed, 0, 0));
    drop(processes);
}

/// Each change comes while the partitions are only partly caught up, and at different positions: that is
/// what checkpoints that split and merge are for.
#[test]
fn partitions_follow_the_workers_while_events_are_appended() {
    const EVENTS: u64 = 60_000;
    const WORKERS: [usize; 6] = [1, 2, 3, 2, 1, 4];
    let cluster = Cluster::start();
    let replicas = Replicas::new(&cluster, &["audit-log"]);
    let mut session = replicas.session(&cluster);
    // A third is there at the beginning, so that no worker has caught up; the rest comes meanwhile.
    let log = events::log(EVENTS, 2_000);
    let lines: Vec<&str> = log.lines().collect();
    let append = |number: usize, lines: &[&str]| {
        let file = replicas.kennel.write(&format!("events-{number}.jsonl"), lines.join("\n"));
        replicas.kennel.ok(&["append", "--from", file.to_str().expect("a UTF-8 path")]);
    };
    let chunks: Vec<&[&str]> = lines.chunks(10_000).collect();
    append(0, chunks[0]);
    append(1, chunks[1]);
    let mut processes: Vec<Running> = Vec::new();
    let mut uneven = 0;
    for (number, wanted) in WORKERS.into_iter().enumerate() {
        let before = session.checkpoints("audit-log");
        while processes.len() < wanted {
            processes.push(start_slowly(&replicas));
        }
        for process in processes.split_off(wanted) {
            process.signal("TERM");
            assert_eq!(process.wait(Duration::from_secs(30)), Some(0));
        }
        wait_until("there are as many partitions as workers", Duration::from_secs(20), || {
            let (generation, owners) = session.owners();
            owners.len() == wanted && all_claimed(&session.checkpoints("audit-log"), generation, wanted)
        });
        let at_change = session.checkpoints("audit-log");
        if let Some(chunk) = chunks.get(number + 2) {
            append(number + 2, chunk);
        }
        wait_until("every partition has gone on a little", Duration::from_secs(20), || {
            let now = session.checkpoints("audit-log");
            lowest(&now) > lowest(&at_change) && lowest(&now) > lowest(&before)
        });
        let head = session.numbers("SELECT max(global_position) FROM events")[0];
        let now = session.checkpoints("audit-log");
        assert!(lowest(&now) < head, "with {wanted} workers all was handled already: this proves little");
        uneven += usize::from(now.iter().any(|row| row.position != now[0].position));
    }
    assert!(uneven > 0, "all partitions stood at the same position at every change: this proves little");
    drop(processes);
    let processes = [replicas.start(1), replicas.start(1)];
    wait_until("everything is handled", Duration::from_secs(60), || replicas.caught_up());
    let expected = ExactlyOnce { events: 60_000, aggregates: 2_000, not_once: 0, out_of_order: 0 };
    assert_eq!(exactly_once(&replicas.kennel, "audit-log"), expected);
    drop(processes);
}

/// A process whose batches are so small that it does not catch up before the next change.
fn start_slowly(replicas: &Replicas) -> Running {
    replicas.kennel.start(&["run", "--listen", "127.0.0.1:0", "--workers", "1", "--batch", "20"])
}

/// Whether all partitions have been taken over for this generation: then each row lies inside one.
fn all_claimed(rows: &[CheckpointRow], generation: u64, partitions: usize) -> bool {
    rows.len() >= partitions && rows.iter().all(|row| row.generation == generation)
}

fn lowest(rows: &[CheckpointRow]) -> u64 {
    rows.iter().map(|row| row.position).min().unwrap_or(0)
}
