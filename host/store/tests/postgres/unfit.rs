//! Logs in which events would be missed, and logs that are not where they seem to be: rejected with a message, when a
//! store is opened and while it is followed.

use std::time::Duration;

use kennel_core::port::StoreError;
use kennel_store::{ConnectOptions, EventTables, Mode, Store};
use kennel_test_support::samples::event;
use sqlx::Row as _;
use tokio::time::{Instant, sleep};

use super::log::{follow, insert};
use super::{open, sql, store, stranger};

/// A fault that is made in a log, the message about it, and the repair.
const FAULTS: [(&str, &str, &str); 13] = [
    (
        "ALTER SEQUENCE events_global_position_seq CACHE 20",
        "the sequence events_global_position_seq hands out positions in blocks of 20, so they do not follow the order in \
         which events are written and events would be missed; run `ALTER SEQUENCE events_global_position_seq CACHE 1`",
        "ALTER SEQUENCE events_global_position_seq CACHE 1",
    ),
    (
        "ALTER SEQUENCE events_global_position_seq INCREMENT -1 MINVALUE -9 START 1",
        "the sequence events_global_position_seq counts by -1; positions must increase",
        "ALTER SEQUENCE events_global_position_seq INCREMENT 1 MINVALUE 1 RESTART 100",
    ),
    (
        "ALTER SEQUENCE events_global_position_seq CYCLE",
        "begins anew at its end, and its positions with it; run `ALTER SEQUENCE events_global_position_seq NO CYCLE`",
        "ALTER SEQUENCE events_global_position_seq NO CYCLE",
    ),
    (
        "ALTER SEQUENCE events_global_position_seq SET UNLOGGED",
        "the sequence events_global_position_seq is not logged: after a crash of the server it begins anew",
        "ALTER SEQUENCE events_global_position_seq SET LOGGED",
    ),
    (
        "CREATE SEQUENCE other; ALTER TABLE events ALTER COLUMN global_position SET DEFAULT nextval('other')",
        "the positions of public.events may come from several sequences, events_global_position_seq, other, which do not \
         follow one order",
        "ALTER TABLE events ALTER COLUMN global_position SET DEFAULT nextval('events_global_position_seq')",
    ),
    (
        "ALTER TABLE events ALTER COLUMN global_position SET DEFAULT (extract(epoch FROM now()) * 1000000)::bigint",
        "only `nextval` of a sequence, by itself, gives them out in an order that can be followed",
        "ALTER TABLE events ALTER COLUMN global_position SET DEFAULT nextval('events_global_position_seq')",
    ),
    (
        "ALTER TABLE events ALTER COLUMN global_position DROP DEFAULT; ALTER SEQUENCE events_global_position_seq OWNED BY NONE",
        "come from no sequence that is known to the database, so it is not to be seen who holds one; name the sequence with \
         `ALTER SEQUENCE … OWNED BY public.events.global_position`",
        "ALTER SEQUENCE events_global_position_seq OWNED BY events.global_position; \
         ALTER TABLE events ALTER COLUMN global_position SET DEFAULT nextval('events_global_position_seq')",
    ),
    (
        "ALTER TABLE events RENAME TO behind; CREATE VIEW public.events AS SELECT * FROM behind",
        "events is a view: who writes to the tables behind it is not to be seen, and events would be missed; name a table of \
         this database as `table` in `[events]` of kennel.toml",
        "DROP VIEW public.events; ALTER TABLE behind RENAME TO events",
    ),
    (
        "ALTER TABLE events RENAME TO behind; CREATE MATERIALIZED VIEW public.events AS SELECT * FROM behind",
        "events is a materialized view: what it shows was written before",
        "DROP MATERIALIZED VIEW public.events; ALTER TABLE behind RENAME TO events",
    ),
    (
        "CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere; \
         CREATE FOREIGN TABLE elsewhere () INHERITS (events) SERVER nowhere; \
         ALTER FOREIGN TABLE elsewhere ALTER COLUMN global_position DROP DEFAULT",
        "elsewhere is a foreign table: who writes to it elsewhere is not to be seen",
        "DROP FOREIGN DATA WRAPPER nowhere CASCADE",
    ),
    (
        "CREATE TABLE child () INHERITS (events); CREATE SEQUENCE of_child; \
         ALTER TABLE child ALTER COLUMN global_position SET DEFAULT nextval('of_child')",
        "may come from several sequences, events_global_position_seq, of_child",
        "DROP TABLE child; DROP SEQUENCE of_child",
    ),
    (
        "SELECT pg_create_logical_replication_slot('SLOT', 'pgoutput'); CREATE PUBLICATION p FOR TABLE events; \
         CREATE SUBSCRIPTION s_SLOT CONNECTION 'CONNINFO' PUBLICATION p WITH (create_slot = false, slot_name = 'SLOT', \
         enabled = false, copy_data = false)",
        "writes to events: logical replication brings events in the order in which they were committed elsewhere, not in \
         that of their positions",
        "ALTER SUBSCRIPTION s_SLOT SET (slot_name = NONE); DROP SUBSCRIPTION s_SLOT; SELECT pg_drop_replication_slot('SLOT')",
    ),
    ("ALTER TABLE events RENAME TO gone", "no table", "ALTER TABLE gone RENAME TO events"),
];

/// Some statements cannot run beside others in one transaction.
async fn each(url: &str, statements: &str) {
    let mut connection = stranger(url).await;
    let database = url.rsplit('/').next().unwrap();
    let port = url.rsplit(':').next().unwrap().split('/').next().unwrap();
    let conninfo = format!("host=127.0.0.1 port={port} user=kennel dbname={database}");
    let statements = statements.replace("SLOT", &format!("slot_{database}")).replace("CONNINFO", &conninfo);
    for statement in statements.split("; ") {
        sql(&mut connection, statement).await;
    }
}

/// Waits until the log is rejected with this message.
async fn unfit(store: &Store, said: &str) -> String {
    let began = Instant::now();
    loop {
        match store.high_water_mark().await {
            Err(StoreError::Unfit { reason }) if reason.contains(said) => return reason,
            other => assert!(began.elapsed() < Duration::from_secs(20), "{other:?}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn logs_in_which_events_would_be_missed_are_rejected_at_start_and_while_running() {
    let (url, running) = store().await;
    let mut other = stranger(&url).await;
    for (number, (spoil, said, repair)) in (1..).zip(FAULTS) {
        // A position is missing, so that it is looked at once whether the log is fit.
        sql(&mut other, "SELECT nextval('events_global_position_seq')").await;
        insert(&mut other, 1, number).await;
        each(&url, spoil).await;
        let rejected = open(&url, Mode::Existing).await.map(|_| ()).unwrap_err().to_string();
        assert!(rejected.contains(said), "{spoil}: {rejected}");
        unfit(&running, said).await;
        each(&url, repair).await;
        open(&url, Mode::Existing).await.unwrap_or_else(|error| panic!("{repair}: {error}")).close().await;
        let high_water_mark =
            running.high_water_mark().await.unwrap_or_else(|error| panic!("{repair}: {error}"));
        assert_eq!(high_water_mark.position, high_water_mark.head, "{repair}");
    }
}

/// A session takes a block of numbers and uses one of them; later ones become visible, and then the rest of the block.
#[tokio::test]
async fn nothing_is_lost_when_a_sequence_begins_to_hand_out_blocks() {
    let (url, store) = store().await;
    let (mut early, mut late) = (stranger(&url).await, stranger(&url).await);
    insert(&mut early, 1, 1).await;
    let (mut seen, mut reached) = Default::default();
    reached = follow(&store, reached, &mut seen).await;
    sql(&mut late, "ALTER SEQUENCE events_global_position_seq CACHE 20").await;
    insert(&mut early, 1, 2).await;
    insert(&mut late, 2, 1).await;
    // A position is missing, so that no reader goes on for a moment without having looked.
    let Err(StoreError::Unfit { reason }) = store.high_water_mark().await else {
        panic!("the high-water mark went on")
    };
    assert!(reason.contains("in blocks of 20"), "{reason}");
    insert(&mut early, 1, 3).await;
    unfit(&store, "in blocks of 20").await;
    sql(&mut late, "ALTER SEQUENCE events_global_position_seq CACHE 1").await;
    // The rest of the blocks is never used.
    insert(&mut early, 1, 4).await;
    insert(&mut late, 2, 2).await;
    follow(&store, reached, &mut seen).await;
    assert_eq!(seen.len(), 6);
    let positions =
        sqlx::query("SELECT string_agg(global_position::text, ' ' ORDER BY global_position) FROM events");
    let positions: String = positions.fetch_one(&mut late).await.unwrap().get(0);
    assert_eq!(positions, "1 2 3 22 42 43");
}

/// What no lock shows: the number is drawn in a transaction of its own. The event is missed, and that is reported.
#[tokio::test]
async fn an_event_that_appears_where_none_may_is_reported() {
    let (url, store) = store().await;
    let mut other = stranger(&url).await;
    insert(&mut other, 1, 1).await;
    sql(&mut other, "SELECT nextval('events_global_position_seq')").await;
    insert(&mut other, 1, 2).await;
    assert_eq!(store.high_water_mark().await.unwrap().position.get(), 3);
    let late = "INSERT INTO events (global_position, bounded_context, aggregate_type, aggregate_id, aggregate_version, \
                event_id, event_type, payload) \
                VALUES (2, 'c', 't', 'late', 1, '00000000-0000-0000-0000-0000000000ff', 'e', '{}')";
    sql(&mut other, late).await;
    insert(&mut other, 1, 3).await;
    let said = "event 00000000-0000-0000-0000-0000000000ff was written at position 2 of public.events after the log had \
                been complete beyond it";
    let reason = unfit(&store, said).await;
    assert!(reason.contains("run `kennel rebuild`"), "{reason}");
    // It does not pass.
    assert_eq!(store.high_water_mark().await.unwrap_err().to_string(), reason);
}

#[tokio::test]
async fn row_level_security_that_may_hide_events_is_rejected() {
    let (url, store) = store().await;
    store.close().await;
    let mut admin = stranger(&url).await;
    sql(
        &mut admin,
        "CREATE ROLE shielded LOGIN; GRANT USAGE ON SCHEMA kennel TO shielded; \
         GRANT SELECT ON ALL TABLES IN SCHEMA kennel TO shielded",
    )
    .await;
    let theirs = url.replace("kennel@", "shielded@");
    let rejected = async || open(&theirs, Mode::ReadWrite).await.map(|_| ()).unwrap_err().to_string();
    let no_right = rejected().await;
    assert!(no_right.ends_with("run `GRANT SELECT ON events TO shielded`"), "{no_right}");
    sql(&mut admin, "GRANT SELECT ON events TO shielded").await;
    let running = open(&theirs, Mode::ReadWrite).await.unwrap();
    sql(&mut admin, "ALTER TABLE events ENABLE ROW LEVEL SECURITY").await;
    let said = "row-level security may hide rows of events from shielded, and events would be missed: run `ALTER ROLE \
                shielded BYPASSRLS`, or `CREATE POLICY kennel ON events FOR SELECT TO shielded USING (true)`";
    assert!(rejected().await.contains(said), "{}", rejected().await);
    unfit(&running, said).await;
    // The one who owns the table sees all of it.
    open(&url, Mode::ReadWrite).await.unwrap().close().await;
    sql(&mut admin, "CREATE POLICY few ON events USING (aggregate_version > 1)").await;
    assert!(rejected().await.contains(said));
    sql(&mut admin, "CREATE POLICY kennel ON events FOR SELECT TO shielded USING (true)").await;
    running.high_water_mark().await.unwrap();
    sql(&mut admin, "CREATE POLICY fewer ON events AS RESTRICTIVE USING (aggregate_version > 1)").await;
    assert!(rejected().await.contains(said));
    sql(&mut admin, "DROP POLICY kennel ON events; ALTER ROLE shielded BYPASSRLS").await;
    open(&theirs, Mode::ReadWrite).await.unwrap().close().await;
    running.close().await;
    sql(&mut admin, "DROP OWNED BY shielded; DROP ROLE shielded").await;
}

/// Where the events of a store are, as it is opened by the role `kennel`.
async fn opened(url: &str, mode: Mode) -> Result<u64, String> {
    let store = open(url, mode).await.map_err(|error| error.to_string())?;
    if mode == Mode::Migrate {
        store.migrate().await.map_err(|error| error.to_string())?;
    }
    let head = store.high_water_mark().await.unwrap().head.get();
    store.close().await;
    Ok(head)
}

/// The user is called `kennel` in all of these tests, as Kennel's schema is, and its search path begins with it.
#[tokio::test]
async fn the_log_is_found_once_and_never_made_where_another_one_is_visible() {
    let (url, log) = store().await;
    log.append(&[event(1, "a")]).await.unwrap();
    log.close().await;
    let mut other = stranger(&url).await;
    // Kennel comes to a log that is there already.
    sql(&mut other, "DROP SCHEMA kennel CASCADE").await;
    for _ in 0..2 {
        assert_eq!(opened(&url, Mode::Migrate).await, Ok(1));
    }
    assert_eq!(opened(&url, Mode::ReadWrite).await, Ok(1));
    let tables = "SELECT string_agg(schemaname || '.' || tablename, ' ' ORDER BY tablename) FROM pg_tables \
                  WHERE tablename IN ('events', 'aggregate_heads')";
    let tables: String = sqlx::query(tables).fetch_one(&mut other).await.unwrap().get(0);
    assert_eq!(tables, "public.aggregate_heads public.events");
    // A view of the same name in front, such as a projection called like the role makes, changes nothing.
    sql(&mut other, "CREATE SCHEMA front; CREATE VIEW front.events AS SELECT 1 AS one").await;
    let path = format!("{url}?options=-csearch_path%3Dfront,public");
    assert_eq!(opened(&path, Mode::ReadWrite).await, Ok(1));
    // Two tables: neither is guessed.
    sql(&mut other, "DROP VIEW front.events; CREATE TABLE front.events (global_position BIGSERIAL)").await;
    let said = "`events` may be front.events or public.events: name the one that is meant with its schema, as `table` in \
                `[events]` of kennel.toml";
    for mode in [Mode::Migrate, Mode::ReadWrite] {
        let rejected = opened(&path, mode).await.unwrap_err();
        assert!(rejected.ends_with(said), "{rejected}");
    }
    // One that is not on the path.
    sql(
        &mut other,
        "DROP TABLE front.events; CREATE SCHEMA \"sa.les\"; ALTER TABLE events SET SCHEMA \"sa.les\"",
    )
    .await;
    let rejected = opened(&url, Mode::Migrate).await.unwrap_err();
    assert!(rejected.contains("has a table events, but there is sa.les.events: name the one"), "{rejected}");
    let path = format!("{url}?options=-csearch_path%3D%22sa.les%22,public");
    assert_eq!(opened(&path, Mode::ReadWrite).await, Ok(1));
    // Asked for by its name, a new one is made.
    let tables = EventTables { events: "public.events".parse().unwrap(), ..EventTables::default() };
    let options = ConnectOptions { mode: Mode::Migrate, tables, ..ConnectOptions::default() };
    let store = kennel_store::connect(&url.parse().unwrap(), &options).await.unwrap();
    store.migrate().await.unwrap();
    assert_eq!(store.high_water_mark().await.unwrap().head.get(), 0);
}
