//! The whole database goes back, as at the failover to a standby that was behind, or at a restore: hosts go on by
//! themselves from what it says, while writers write.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use kennel_tests::binary::wait_until;
use kennel_tests::components::guest;
use kennel_tests::fixture::{Fixture, Judgement, NAME, judge};
use kennel_tests::metrics::Served;
use kennel_tests::random::Random;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};

const WRITERS: u64 = 4;
const PROCESSES: usize = 3;
const AGGREGATES: u64 = 25;
const PATIENCE: Duration = Duration::from_secs(60);

/// Writers that keep transactions open for some milliseconds, so that they commit out of order, and that begin again
/// when their server goes away.
struct Writers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Writers {
    fn start(url: &str, random: &mut Random) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let writer = |number| {
            let (url, stopped, mut chance) =
                (url.to_owned(), Arc::clone(&stop), Random::of(random.below(u64::MAX)));
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let options: PgConnectOptions = url.parse().expect("the URL of a database");
                runtime.expect("a runtime").block_on(async {
                    while !stopped.load(Ordering::SeqCst) {
                        // An error means that the server has gone away, or is not there yet.
                        if let Ok(mut connection) = options.connect().await {
                            let _ = write(&mut connection, number, &stopped, &mut chance).await;
                        }
                        pause(20).await;
                    }
                });
            })
        };
        let threads = (0..WRITERS).map(writer).collect();
        Self { stop, threads }
    }

    fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.threads.into_iter().for_each(|thread| thread.join().expect("a writer ends"));
    }
}

/// Each transaction writes one to three events to one aggregate, which only this writer writes to.
async fn write(
    connection: &mut PgConnection,
    writer: u64,
    stopped: &AtomicBool,
    chance: &mut Random,
) -> Result<(), sqlx::Error> {
    while !stopped.load(Ordering::SeqCst) {
        let aggregate = format!("w{writer}-{}", chance.below(AGGREGATES));
        let mut tx = connection.begin().await?;
        for _ in 0..=chance.below(3) {
            let sql = format!(
                "INSERT INTO events (bounded_context, aggregate_type, aggregate_id, aggregate_version, event_id, \
                   event_type, payload)
                 SELECT 'Test', 'Order', '{aggregate}', coalesce(max(aggregate_version), 0) + 1, gen_random_uuid(), \
                   'Happened', '{{}}' FROM events WHERE bounded_context = 'Test' AND aggregate_type = 'Order' \
                   AND aggregate_id = '{aggregate}'"
            );
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *tx).await?;
        }
        pause(chance.below(8)).await;
        match chance.below(10) {
            0 => tx.rollback().await?,
            _ => tx.commit().await?,
        }
    }
    Ok(())
}

async fn pause(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

/// Runs the whole story once.
fn fail_over(seed: u64) {
    let mut random = Random::of(seed);
    let promote = seed % 2 == 1;
    let mut fixture = Fixture::postgres();
    fixture.kennel.write("kennel.toml", "[run]\nheartbeat_seconds = 1\nstale_after_seconds = 3\n");
    fixture.kennel.ok(&["deploy", NAME, guest(NAME).to_str().expect("a UTF-8 path")]);
    let hosts: Vec<Served> =
        (0..PROCESSES).map(|_| Served::start(&fixture.kennel, &["--workers", "2"])).collect();
    let writers = Writers::start(&fixture.url(), &mut random);
    let mut database = fixture.database();
    wait_until("much is written and handled", PATIENCE, || {
        let head = database.head();
        head > 1000 && database.lag(NAME) < 200
    });
    let copy = fixture.backup();
    let at_copy = database.head();
    let more = 500 + random.below(1500);
    wait_until("it is behind", PATIENCE, || database.head() > at_copy + more && database.lag(NAME) < 200);
    drop(database);
    fixture.swap(&copy, promote);
    let mut database = fixture.database();
    let restored = database.head();
    wait_until("much is written to the new server", PATIENCE, || database.head() > restored + more + 500);
    writers.end();
    let head = database.head();
    wait_until("everything is handled", PATIENCE, || database.lag(NAME) == 0 && database.head() == head);
    let [events] = database.numbers("SELECT count(*) FROM events");
    let expected = Judgement { events, not_once: 0, by_the_second: 0, out_of_order: 0 };
    assert_eq!(judge(&mut database, head), expected, "seed {seed}, promoted {promote}");
    wait_until("all hosts are ready", PATIENCE, || {
        hosts.iter().all(|host| {
            kennel_tests::metrics::get(host.address(), "/readyz").is_ok_and(|reported| reported.0 == 200)
        })
    });
    let noticed = |host: &Served| host.scrape().sum("kennel_log_incarnations_total", &[]) >= Some(1.0);
    assert!(hosts.iter().all(noticed), "seed {seed}: a host has not noticed");
}

#[test]
fn hosts_go_on_from_what_a_database_says_that_went_back() {
    let (seed, runs) = (Random::seed(), Random::runs(2));
    // A restore and a promoted standby alternately.
    (0..runs).for_each(|run| fail_over(seed + run));
}
