//! Many processes on one real PostgreSQL: no event is skipped, none is handled twice, whoever comes and
//! goes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kennel_tests::audit::{Audit, audit};
use kennel_tests::binary::{Kennel, Running, wait_until};
use kennel_tests::components::guest;
use kennel_tests::events;
use kennel_tests::postgres::Cluster;
use serde_json::Value;

/// A store with `audit-log` deployed, and the name of its database.
fn store(cluster: &Cluster) -> (Kennel, String) {
    let url = cluster.create_database();
    let database = url.rsplit('/').next().expect("a database").to_owned();
    let kennel = Kennel::on(&url);
    kennel.ok(&["migrate"]);
    let component = guest("audit-log");
    kennel.ok(&["deploy", "audit-log", component.to_str().expect("a UTF-8 path")]);
    (kennel, database)
}

fn start(kennel: &Kennel) -> Running {
    kennel.start(&["run", "--listen", "127.0.0.1:0", "--workers", "2"])
}

fn caught_up(kennel: &Kennel) -> bool {
    let printed = kennel.run(&["status", "--json"]);
    let Ok(status) = serde_json::from_str::<Value>(&printed.stdout) else { return false };
    status["head"] == status["horizon"] && status["projections"][0]["position"] == status["head"]
}

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
    let (kennel, database) = store(&cluster);
    let processes = [start(&kennel), start(&kennel)];
    std::thread::scope(|scope| {
        for number in 1..=4 {
            let (cluster, database) = (&cluster, &database);
            scope.spawn(move || cluster.sql(database, &writer(number, 15, "random() * 0.02")));
        }
        // One holds its transaction open for three seconds at a time.
        scope.spawn(|| cluster.sql(&database, &writer(5, 14, "3")));
    });
    wait_until("everything is handled", Duration::from_secs(30), || caught_up(&kennel));
    let counted = |sql: &str| cluster.sql(&database, sql).parse::<usize>().expect("a number");
    let committed = counted("SELECT count(*) FROM events");
    let skipped = counted("SELECT max(global_position) - count(*) FROM events");
    assert!(committed > 1_000 && skipped > 100, "{committed} events with {skipped} gaps prove little");
    let found = audit(&kennel, "audit-log");
    assert_eq!((found.events, found.not_once, found.out_of_order), (committed, 0, 0));
    drop(processes);
}

#[test]
fn processes_come_and_go_and_the_server_restarts() {
    const EVENTS: u64 = 60_000;
    let mut cluster = Cluster::start();
    let (kennel, _) = store(&cluster);
    let lines = kennel.write("events.jsonl", events::log(EVENTS, 2_000));
    let lines = lines.to_str().expect("a UTF-8 path");
    let appended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // The server's restart breaks an append; running it again skips what is there.
        scope.spawn(|| {
            while kennel.run(&["append", "--from", lines]).code != Some(0) {}
            appended.store(true, Ordering::Relaxed);
        });
        let mut processes: Vec<Running> = Vec::new();
        let mut random = Random(u64::from(std::process::id()));
        for round in 0..30 {
            disturb(&kennel, &mut processes, &mut random);
            if round == 15 {
                cluster.restart();
            }
            wait_a_moment(&mut random);
        }
        processes.push(start(&kennel));
        wait_until("all is appended", Duration::from_secs(60), || appended.load(Ordering::Relaxed));
        wait_until("everything is handled", Duration::from_secs(90), || caught_up(&kennel));
    });
    let expected = Audit { events: 60_000, aggregates: 2_000, not_once: 0, out_of_order: 0 };
    assert_eq!(audit(&kennel, "audit-log"), expected);
}

/// Starts a process, ends one gently, kills one, or freezes one and lets it go on as a zombie.
fn disturb(kennel: &Kennel, processes: &mut Vec<Running>, random: &mut Random) {
    if processes.is_empty() || (processes.len() < 4 && random.below(3) == 0) {
        processes.push(start(kennel));
        return;
    }
    let index = usize::try_from(random.below(processes.len() as u64)).expect("a small number");
    match random.below(3) {
        0 => processes.swap_remove(index).kill(),
        1 => {
            let process = processes.swap_remove(index);
            process.signal("TERM");
            let code = process.wait(Duration::from_secs(45));
            // 3: it was just starting while the server was away. 143: its grace was over.
            assert!(matches!(code, Some(0 | 3 | 143)), "a process that was told to stop ended with {code:?}");
        }
        _ => {
            processes[index].signal("STOP");
            wait_a_moment(random);
            processes[index].signal("CONT");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "chaos has no condition to wait for")]
fn wait_a_moment(random: &mut Random) {
    std::thread::sleep(Duration::from_millis(100 + random.below(900)));
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = (self.0 ^ 0x2545_f491_4f6c_dd1d).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
        (self.0 >> 16) % bound
    }
}
