//! Real processes with few connections to a real server, with its timeouts, and with secrets in URLs: no projection
//! hangs, no statement waits unseen, and no secret is shown.

use std::time::Duration;

use kennel_test_support::postgres::Cluster;
use kennel_tests::binary::{Kennel, Running, now, wait_until};
use kennel_tests::components::guest;
use kennel_tests::database::Database;
use kennel_tests::http;
use kennel_tests::load::Load;
use kennel_tests::metrics::Served;
use kennel_tests::replicas::{Replicas, Session};

/// No projection may make no progress for longer.
const STANDSTILL_MAX: Duration = Duration::from_secs(5);
const PROJECTIONS: [&str; 3] = ["one", "two", "three"];

/// A database that belongs to a role, with deployed projections.
fn limited(cluster: &Cluster, role: &str) -> Replicas {
    let url = cluster.create_database();
    let database = url.rsplit('/').next().expect("a database").to_owned();
    cluster.sql(
        &database,
        &format!("CREATE ROLE {role} LOGIN; ALTER DATABASE {database} OWNER TO {role}; GRANT ALL ON SCHEMA public TO {role}"),
    );
    let kennel = Kennel::on(&url.replace("kennel@", &format!("{role}@")));
    kennel.ok(&["migrate"]);
    for name in PROJECTIONS {
        kennel.ok(&["deploy", name, guest("counter").to_str().expect("a UTF-8 path")]);
    }
    Replicas { kennel, database }
}

/// Watches every projection for so long while events are appended; returns the longest time in which one of them had
/// something to do and did not get on.
fn longest_standstill(session: &mut Session, watched: Duration) -> Duration {
    let mut longest = Duration::ZERO;
    let began = now();
    let mut seen = [(0, began); PROJECTIONS.len()];
    while began.elapsed() < watched {
        let head = session.numbers("SELECT coalesce(max(global_position), 0) FROM events")[0];
        for (projection, seen) in PROJECTIONS.iter().zip(&mut seen) {
            let rows = session.checkpoints(projection);
            let at = rows.iter().map(|row| row.position).sum::<u64>();
            let lowest = rows.iter().map(|row| row.position).min().unwrap_or(0);
            if at != seen.0 || lowest >= head {
                *seen = (at, now());
            }
            longest = longest.max(seen.1.elapsed());
        }
    }
    longest
}

fn ready(served: &Served) -> (u16, String) {
    let answer = http::request(served.address(), "GET", "/readyz", &[], &[]).expect("it answers");
    (answer.status, answer.text())
}

fn connections(session: &mut Session, role: &str) -> u64 {
    session.numbers(&format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{role}'"))[0]
}

fn working(session: &mut Session, processes: usize) -> bool {
    let (generation, owners) = session.owners();
    let mut pids = owners.clone();
    pids.sort_unstable();
    pids.dedup();
    pids.len() == processes
        && PROJECTIONS.iter().all(|name| {
            let rows = session.checkpoints(name);
            rows.len() >= owners.len() && rows.iter().all(|row| row.generation == generation)
        })
}

#[test]
fn three_hosts_share_seventeen_connections_and_all_make_progress() {
    let cluster = Cluster::start();
    let replicas = limited(&cluster, "seventeen");
    let database = &replicas.database;
    cluster.sql(database, "ALTER ROLE seventeen CONNECTION LIMIT 17");
    let mut session = replicas.session(&cluster);
    let hosts: Vec<Running> = (0..3).map(|_| replicas.start(2)).collect();
    wait_until("all three share the work", Duration::from_secs(60), || working(&mut session, 3));
    let load = Load::start(Database::Postgres(Box::new(replicas.session(&cluster))), 200, 0);
    let longest = longest_standstill(&mut session, Duration::from_secs(8));
    let open = connections(&mut session, "seventeen");
    assert!(load.end() > 500, "few events prove little");
    assert!(
        longest < STANDSTILL_MAX,
        "a projection made no progress for {longest:?} with {open} connections"
    );
    assert!(open <= 17 && open > 9, "{open} connections");
    drop(hosts);
}

/// The server as a whole has no more for them than that.
#[test]
fn three_hosts_on_a_server_with_seventeen_connections_go_on_as_well() {
    let cluster = Cluster::start_with(&[
        ("fsync", "off"),
        ("full_page_writes", "off"),
        ("max_connections", "17"),
        ("superuser_reserved_connections", "3"),
    ]);
    let replicas = limited(&cluster, "few");
    let mut session = replicas.session(&cluster);
    let hosts: Vec<Running> = (0..3).map(|_| replicas.start(2)).collect();
    wait_until("all three share the work", Duration::from_secs(60), || working(&mut session, 3));
    let load = Load::start(Database::Postgres(Box::new(replicas.session(&cluster))), 300, 0);
    let longest = longest_standstill(&mut session, Duration::from_secs(6));
    assert!(load.end() > 300 && longest < STANDSTILL_MAX, "a projection made no progress for {longest:?}");
    drop(hosts);
}

#[test]
fn one_host_gets_along_with_ten_connections_and_with_eight_and_with_the_fewest() {
    let cluster = Cluster::start();
    let replicas = limited(&cluster, "limited");
    let mut session = replicas.session(&cluster);
    let mut before = 0;
    for (limit, arguments) in
        [(10, &[][..]), (8, &["--connections", "12"][..]), (4, &["--connections", "4"][..])]
    {
        cluster.sql(&replicas.database, &format!("ALTER ROLE limited CONNECTION LIMIT {limit}"));
        let served = Served::start(&replicas.kennel, &[&["--workers", "4"], arguments].concat());
        wait_until("it works", Duration::from_secs(60), || working(&mut session, 1));
        let load = Load::start(Database::Postgres(Box::new(replicas.session(&cluster))), 300, before);
        let longest = longest_standstill(&mut session, Duration::from_secs(4));
        before += load.end();
        assert!(longest < STANDSTILL_MAX, "with {limit} connections it made no progress for {longest:?}");
        assert!(connections(&mut session, "limited") <= limit);
        assert_eq!(ready(&served).0, 200);
        let max = served.series("kennel_store_connections_max");
        let expected = match limit {
            10 => 4,
            8 => 10,
            _ => 2,
        };
        assert_eq!(max, [format!("kennel_store_connections_max {expected}")]);
        drop(served);
        wait_until("it has gone", Duration::from_secs(10), || connections(&mut session, "limited") == 0);
    }
}

#[test]
fn too_few_connections_are_reported() {
    let cluster = Cluster::start();
    let replicas = limited(&cluster, "short");
    let rejected = replicas.kennel.run(&["run", "--connections", "3"]);
    assert_eq!(rejected.code, Some(2));
    assert!(
        rejected.stderr.contains("a process that runs projections needs 4 to 1000 connections, not 3"),
        "{}",
        rejected.stderr
    );
    replicas.kennel.write("kennel.toml", "[run]\nconnections = 3\n");
    let rejected = replicas.kennel.run(&["run"]);
    assert_eq!(rejected.code, Some(6));
    assert!(
        rejected.stderr.contains("`connections`: a process that runs projections needs 4"),
        "{}",
        rejected.stderr
    );
    replicas.kennel.write("kennel.toml", "");
    cluster.sql(&replicas.database, "ALTER ROLE short CONNECTION LIMIT 3");
    let rejected = replicas.kennel.run(&["run", "--listen", "127.0.0.1:0"]);
    assert_eq!(rejected.code, Some(3));
    assert!(
        rejected.stderr.contains(
            "the role short (`ALTER ROLE short CONNECTION LIMIT …`) allows 3 connections at a time"
        ),
        "{}",
        rejected.stderr
    );
}

/// A statement that waits for a connection is seen in `/readyz`, in the metrics and in the log.
#[test]
fn a_wait_for_a_connection_is_reported() {
    let cluster = Cluster::start();
    let replicas = limited(&cluster, "waiting");
    let served = Served::start(&replicas.kennel, &["--workers", "2", "--connections", "4"]);
    wait_until("it is ready", Duration::from_secs(60), || ready(&served).0 == 200);
    let (mut other, mut session) = (replicas.session(&cluster), replicas.session(&cluster));
    // The watches of the log and of the deployments wait for these, and keep both connections from the next statement.
    other.rows("BEGIN; LOCK TABLE events, kennel.registry IN ACCESS EXCLUSIVE MODE");
    wait_until("both wait", Duration::from_secs(10), || {
        session.numbers("SELECT count(*) FROM pg_locks WHERE NOT granted")[0] >= 2
    });
    let asked = http::begin(served.address(), "GET", "/v1/components", &[], &[]).expect("it listens");
    wait_until("it is reported", Duration::from_secs(20), || {
        let (code, body) = ready(&served);
        code == 503 && body.contains("statements wait for a connection to the store")
    });
    let waited = served.series("kennel_store_connection_longest_wait_seconds");
    assert!(!waited[0].ends_with(" 0"), "{waited:?}");
    other.rows("ROLLBACK");
    assert_eq!(asked.answer().expect("it answers").status, 200);
    wait_until("it is ready again", Duration::from_secs(20), || ready(&served).0 == 200);
}

/// The batch shrinks until it fits, and the log and the metrics report it.
#[test]
fn a_commit_that_takes_longer_than_the_role_allows_is_made_smaller() {
    let cluster = Cluster::start();
    let replicas = limited(&cluster, "hurried");
    let mut session = replicas.session(&cluster);
    let log: String = kennel_tests::events::log(600, 300);
    let file = replicas.kennel.write("events.jsonl", log);
    replicas.kennel.ok(&["append", "--from", file.to_str().expect("a UTF-8 path")]);
    // Each document takes 10 ms, so that a batch of more than 25 takes too long.
    session.rows(
        "CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN PERFORM pg_sleep(0.01); RETURN NEW; END $$;
         CREATE FUNCTION public.make_slow() RETURNS event_trigger LANGUAGE plpgsql AS
           $$ DECLARE made record; BEGIN
             FOR made IN SELECT * FROM pg_event_trigger_ddl_commands() WHERE object_type = 'table' LOOP
               EXECUTE format('CREATE TRIGGER slow BEFORE INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION public.slow()', made.object_identity);
             END LOOP;
           END $$;
         CREATE EVENT TRIGGER slow_tables ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.make_slow();
         ALTER ROLE hurried SET statement_timeout = '250ms'",
    );
    let served = Served::start(&replicas.kennel, &["--workers", "1"]);
    wait_until("everything is handled", Duration::from_secs(60), || {
        PROJECTIONS.iter().all(|name| session.checkpoints(name).iter().all(|row| row.position == 600))
    });
    let cut_short = served.series("kennel_commits_cut_short_total");
    assert!(
        cut_short.len() == PROJECTIONS.len() && cut_short.iter().any(|series| !series.ends_with(" 0")),
        "{cut_short:?}"
    );
}

/// Nothing that is printed, logged or passed on to another process has a secret in it.
#[test]
fn secrets_in_urls_are_never_shown() {
    let cluster = Cluster::start();
    let url = cluster.create_database();
    let secrets = "password=s3cret&sslkey=s3cret&sslrootcert=s3cret&channel_binding=s3cret&token=s3cret";
    let named = format!("{}?{secrets}&sslmode=disable", url.replace("kennel@", "kennel:s3cret@"));
    let away = named.replacen("127.0.0.1:", "127.0.0.1:1", 1);
    let unescaped = url.replace("kennel@", "kennel:p?s3cret@");
    let rejected = format!("{url}?sslpassword=s3cret");
    for (store, code) in [(&named, Some(0)), (&away, None), (&unescaped, Some(6)), (&rejected, Some(6))] {
        let kennel = Kennel::on(store).with("KENNEL_LOG", "trace").with("RUST_BACKTRACE", "1");
        let mut reported = String::new();
        for arguments in
            [&["migrate"][..], &["status", "--json"], &["run", "--until-caught-up"], &["run", "--help"]]
        {
            let printed = kennel.run(arguments);
            if arguments != ["run", "--help"] && code.is_some() {
                assert_eq!(printed.code, code, "{arguments:?}: {}", printed.stderr);
            }
            reported.push_str(&printed.stdout);
            reported.push_str(&printed.stderr);
        }
        kennel.write("kennel.toml", format!("store = \"{store}\"\nstores = 1\n"));
        reported.push_str(&kennel.run(&["status"]).stderr);
        let found = reported.lines().find(|line| line.contains("s3cret"));
        assert!(found.is_none(), "{found:?}");
    }
}
