//! The grants of docs/postgres.md: every command works with those listed for it, and fails without each of them.

use std::path::Path;
use std::time::Duration;

use kennel_test_support::postgres::Cluster;
use kennel_tests::binary::{Kennel, repository, wait_until};
use kennel_tests::components::guest;
use kennel_tests::events;
use kennel_tests::metrics::Served;

const SOON: Duration = Duration::from_secs(20);

/// The statements below a heading of docs/postgres.md, for this database.
fn grants(heading: &str, database: &str) -> Vec<String> {
    let page = std::fs::read_to_string(repository().join("docs/postgres.md")).expect("the page is there");
    let section =
        page.split_once(&format!("\n### {heading}\n")).unwrap_or_else(|| panic!("no heading {heading}")).1;
    let section = section.split("\n#").next().unwrap_or_default();
    let block = section.split_once("```sql\n").unwrap_or_else(|| panic!("no statements below {heading}")).1;
    let block = block.split("```").next().unwrap_or_default();
    block
        .lines()
        .map(|line| line.trim_end_matches(';').replace("DATABASE shop", &format!("DATABASE {database}")))
        .collect()
}

/// `GRANT … TO role` undone.
fn revoke(grant: &str) -> String {
    grant.replacen("GRANT", "REVOKE", 1).replace(" TO ", " FROM ")
}

/// A database in which no role has any right, and two roles without any.
struct Bare {
    cluster: Cluster,
    name: String,
}

impl Bare {
    fn new() -> Self {
        let cluster = Cluster::start();
        let url = cluster.create_database();
        let name = url.rsplit('/').next().expect("a database").to_owned();
        let bare = Self { cluster, name };
        for role in ["kennel_app", "looker"] {
            bare.sql(&format!("CREATE ROLE {role} LOGIN"));
        }
        bare.sql(&format!(
            "REVOKE ALL ON DATABASE {} FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC",
            bare.name
        ));
        bare
    }

    fn sql(&self, sql: &str) -> String {
        self.cluster.sql(&self.name, sql)
    }

    /// Whether a statement fails.
    fn rejects(&self, sql: &str) -> bool {
        let output = self.cluster.psql(&self.name).args(["-c", sql]).output().expect("psql runs");
        !output.status.success()
    }

    /// Kennel as this role.
    fn kennel(&self, role: &str) -> Kennel {
        Kennel::on(&self.cluster.url(&self.name).replace("kennel@", &format!("{role}@")))
    }

    /// The grants below a heading, to the role that stands for `kennel` here: the superuser has that name.
    fn grants(&self, heading: &str) -> Vec<String> {
        let app = |grant: String| match grant.strip_suffix("TO kennel") {
            Some(start) => format!("{start}TO kennel_app"),
            None => grant,
        };
        grants(heading, &self.name).into_iter().map(app).collect()
    }

    fn grant(&self, heading: &str) {
        for grant in self.grants(heading) {
            self.sql(&grant);
        }
    }

    /// The log, made by another role.
    fn make_log(&self) {
        let admin = self.kennel("kennel");
        admin.ok(&["migrate"]);
        self.sql("DROP SCHEMA kennel CASCADE");
    }

    /// Sees that what `works` says it does needs each of the grants below this heading.
    fn needs_each(&self, heading: &str, works: &dyn Fn() -> bool) {
        assert!(works(), "{heading}: all was granted");
        for grant in self.grants(heading) {
            self.sql(&revoke(&grant));
            assert!(!works(), "{heading}: `{grant}` is not needed");
            self.sql(&grant);
        }
        assert!(works(), "{heading}: all was granted again");
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

#[test]
fn every_command_works_with_the_grants_that_are_listed_for_it_and_no_fewer() {
    let bare = Bare::new();
    bare.make_log();
    let kennel = bare.kennel("kennel_app");
    let audit_log = guest("audit-log");
    bare.grant("To run");
    let succeeds = |kennel: &Kennel, arguments: &[&str]| kennel.run(arguments).code == Some(0);
    bare.needs_each("To run", &|| {
        let drop = "DO $$ BEGIN IF to_regnamespace('kennel') IS NOT NULL THEN DROP SCHEMA kennel CASCADE; END IF; END $$";
        bare.sql(drop);
        succeeds(&kennel, &["migrate"]) && succeeds(&kennel, &["status"])
    });
    kennel.ok(&["migrate"]);

    bare.grant("To append");
    let number = std::cell::Cell::new(0);
    bare.needs_each("To append", &|| {
        number.set(number.get() + 1);
        let line = events::line(number.get(), "Sales", ("Order", "a"), "Happened", &serde_json::json!({}));
        kennel.write("event.jsonl", line);
        succeeds(&kennel, &["append", "--from", "event.jsonl"])
    });
    for grant in bare.grants("To append") {
        bare.sql(&revoke(&grant));
    }

    kennel.ok(&["deploy", "audit-log", path(&audit_log)]);
    kennel.ok(&["run", "--until-caught-up"]);
    for arguments in
        [&["rebuild", "audit-log"][..], &["run", "--until-caught-up"], &["rollback", "audit-log"]]
    {
        kennel.ok(arguments);
    }
    for command in ["pause", "resume", "deployments", "operations"] {
        kennel.ok(&[command, "audit-log"]);
    }
    for command in ["status", "workers", "generations", "components"] {
        kennel.ok(&[command]);
    }
    kennel.ok(&["documents", "audit-log", "events"]);

    bare.grant("To announce appends");
    bare.needs_each("To announce appends", &|| {
        bare.sql("DROP TRIGGER IF EXISTS kennel_notify ON public.events");
        succeeds(&kennel, &["migrate", "--install-notify"])
    });
    kennel.ok(&["migrate", "--install-notify"]);

    // The other role: the owner of the tables grants the rights to look at them.
    let looker = bare.kennel("looker");
    bare.grant("To look");
    bare.needs_each("To look", &|| succeeds(&looker, &["status"]));
    for arguments in [
        &["workers"][..],
        &["generations"],
        &["components"],
        &["deployments", "audit-log"],
        &["operations", "audit-log"],
    ] {
        looker.ok(arguments);
    }
    let view =
        bare.sql("SELECT schemaname || '.' || viewname FROM pg_views WHERE schemaname = 'audit_log' LIMIT 1");
    let read = format!("SET ROLE looker; SELECT count(*) FROM {view}");
    for grant in bare.grants("To query views") {
        assert!(bare.rejects(&read), "`{grant}` is not needed");
        bare.sql(&grant.replace("SCHEMA order_summary", "SCHEMA audit_log"));
    }
    assert!(!bare.rejects(&read));
    kennel.ok(&["retire", "audit-log", "--drop-read-model"]);
}

/// The age of writers that other roles own, in status and metrics.
#[test]
fn how_long_writers_have_been_open_is_unknown_without_the_grant_and_never_zero() {
    let bare = Bare::new();
    bare.make_log();
    bare.grant("To run");
    bare.sql("CREATE TABLE go (now int)");
    let kennel = bare.kennel("kennel_app");
    kennel.ok(&["migrate"]);
    let served = Served::start(&kennel, &[]);
    let insert = "INSERT INTO events (bounded_context, aggregate_type, aggregate_id, aggregate_version, event_id, event_type, payload) \
                  VALUES ('Sales', 'Order', gen_random_uuid(), 1, gen_random_uuid(), 'Happened', '{}')";
    std::thread::scope(|scope| {
        let writer = format!(
            "SET statement_timeout = '60s'; DO $$ BEGIN {insert}; WHILE NOT EXISTS (SELECT FROM go) LOOP PERFORM pg_sleep(0.02); END LOOP; END $$"
        );
        let bare = &bare;
        scope.spawn(move || bare.sql(&writer));
        wait_until("the writer has drawn its position", SOON, || {
            bare.sql("SELECT is_called FROM events_global_position_seq") == "t"
        });
        bare.sql(insert);
        let seconds = |served: &Served| served.series("kennel_high_water_mark_blocked_seconds");
        wait_until("the writer has a series", SOON, || {
            !served.series("kennel_high_water_mark_blocked_age_unknown").is_empty()
        });
        assert_eq!(seconds(&served), [""; 0]);
        let status = kennel.json(&["status", "--json"]);
        let writer = &status["writers"][0];
        assert_eq!(
            (&writer["open_seconds"], &writer["application"]),
            (&serde_json::Value::Null, &"psql".into())
        );
        let text = kennel.ok(&["status"]);
        let said = "its transaction is open since an unknown time; `GRANT pg_read_all_stats TO kennel_app` shows since when";
        assert!(text.contains(said), "{text}");
        bare.grant("To see how long writers have been open");
        wait_until("its age is known", SOON, || {
            seconds(&served).len() == 1
                && served.series("kennel_high_water_mark_blocked_age_unknown").is_empty()
        });
        assert!(kennel.json(&["status", "--json"])["writers"][0]["open_seconds"].is_u64());
        bare.sql("INSERT INTO go VALUES (1)");
        wait_until("the high-water mark goes on", SOON, || {
            served.series("kennel_high_water_mark_blocked").is_empty()
        });
    });
}

/// `migrate` where everything is there, by a role that may make nothing; and where something is missing.
#[test]
fn migrate_needs_no_right_to_make_existing_tables() {
    let bare = Bare::new();
    let kennel = bare.kennel("kennel_app");
    bare.sql("CREATE SCHEMA kennel AUTHORIZATION kennel_app; GRANT USAGE ON SCHEMA public TO kennel_app");
    bare.sql(&format!("GRANT CONNECT ON DATABASE {} TO kennel_app", bare.name));
    let rejected = kennel.run(&["migrate"]);
    assert_eq!(rejected.code, Some(3), "{}", rejected.stderr);
    assert!(rejected.stderr.contains("permission denied for schema public; grant"), "{}", rejected.stderr);
    bare.grant("To make the log");
    kennel.ok(&["migrate"]);
    for grant in bare.grants("To make the log") {
        bare.sql(&revoke(&grant));
    }
    // Its own tables, and then those that another role lets it read.
    kennel.ok(&["migrate"]);
    bare.sql("ALTER TABLE events OWNER TO kennel; ALTER TABLE aggregate_heads OWNER TO kennel; GRANT SELECT ON events TO kennel_app");
    kennel.ok(&["migrate"]);
    kennel.ok(&["status"]);
    // Without the heads, everything works but `append`.
    bare.sql("DROP TABLE aggregate_heads");
    let printed = kennel.run(&["migrate"]);
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    assert!(printed.stderr.contains("`kennel append` will not work"), "{}", printed.stderr);
}
