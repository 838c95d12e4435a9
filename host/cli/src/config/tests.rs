//! What the configuration file accepts, and the errors of what it does not.

use kennel_core::projection::Settings;

use super::*;

#[test]
fn a_full_file_is_read() {
    let config = Config::parse(
        r#"
        store = "sqlite:shop.db"
        [events]
        table = "sales.event_log"
        [run]
        listen = "127.0.0.1:9100"
        workers = 2
        replica_set = "reports"
        log_format = "json"
        heartbeat_seconds = 1
        stale_after_seconds = 3
        rebuild_percent = 20
        connections = 8
        memory_mib = 800
        [projections.order-summary]
        batch = 500
        on_failure = "dead-letter"
        config = { currency = "EUR" }
        grants = ["http"]
        "#,
    )
    .unwrap();
    assert_eq!(config.store.as_deref(), Some("sqlite:shop.db"));
    let tables = config.events.tables(&EventsConfig::default());
    assert_eq!(tables.events.to_string(), "sales.event_log");
    assert_eq!(tables.aggregate_heads.to_string(), "aggregate_heads");
    let given = EventsConfig { table: Some("ledger".parse().unwrap()), heads_table: None };
    assert_eq!(config.events.tables(&given).events.to_string(), "ledger");
    assert_eq!(config.run.listen.unwrap().port(), 9100);
    assert_eq!(config.run.workers.unwrap().get(), 2);
    assert_eq!(config.run.heartbeat_interval().as_secs(), 1);
    assert_eq!(config.run.stale_after().unwrap().as_secs(), 3);
    assert_eq!(config.run.memory_bytes(), Some(800 * 1024 * 1024));
    assert!((config.run.rebuild_share() - 0.2).abs() < 1e-9);
    assert_eq!(config.run.connections, Some(8));
    assert_eq!(config.run.replica_set.unwrap().as_str(), "reports");
    let section = &config.projections[&"order-summary".parse().unwrap()];
    let settings = section.over(Settings::default());
    assert_eq!((settings.batch, settings.on_failure.as_str()), (500, "dead-letter"));
    assert_eq!(settings.config["currency"], "EUR");
    assert!(settings.grants.contains("http"));
    assert_eq!(Config::parse("").unwrap(), Config::default());
}

#[test]
fn a_worker_may_miss_one_heartbeat() {
    let rejected = |text| Config::parse(text).unwrap().run.stale_after().unwrap_err().to_string();
    assert_eq!(
        rejected("[run]\nstale_after_seconds = 3"),
        "a worker would be taken for dead after 3 s without a heartbeat, and sends one every 2 s: \
         make `stale_after_seconds` at least twice `heartbeat_seconds`"
    );
    assert!(rejected("[run]\nheartbeat_seconds = 6").contains("after 10 s"));
}

#[test]
fn what_the_command_line_gives_wins_key_by_key() {
    let pairs = |pairs: &[(&str, Option<&str>)]| {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), value.map(str::to_owned))).collect()
    };
    let section = ProjectionConfig {
        batch: Some(500),
        on_failure: None,
        config: pairs(&[("currency", Some("EUR")), ("region", Some("north")), ("tax", Some("7"))]),
        grants: Some(["http".to_owned()].into()),
    };
    let config = pairs(&[("currency", Some("CHF")), ("tax", None)]);
    let given = ProjectionConfig { batch: Some(7), config, ..ProjectionConfig::default() };
    let settings = section.with(given).over(Settings::default());
    assert_eq!((settings.batch, settings.on_failure.as_str()), (7, "halt"));
    let expected = [("currency", "CHF"), ("region", "north")];
    assert_eq!(settings.config, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    assert_eq!(settings.grants, ["http".to_owned()].into());
    let none = ProjectionConfig { grants: Some([].into()), ..ProjectionConfig::default() };
    assert_eq!(section.with(none.clone()).over(Settings::default()).grants, [].into());
    assert_eq!(none.over(settings).grants, [].into());
}

#[test]
fn an_error_names_the_line_the_key_and_what_the_key_takes() {
    for (text, expected) in [
        ("stoer = \"x\"", "line 1: unknown key `stoer`; did you mean `store`?"),
        (
            "[run]\nzzz = 1",
            "line 2: unknown key `zzz`; known keys here: listen, workers, replica_set, log_format, heartbeat_seconds, stale_after_seconds, rebuild_percent, connections, memory_mib",
        ),
        ("\n[runn]", "line 2: unknown key `runn`; did you mean `run`?"),
        (
            "[projections.a]\nonfailure = \"halt\"",
            "line 2: unknown key `onfailure`; did you mean `on_failure`?",
        ),
        ("[events]\ntabel = \"e\"", "line 2: unknown key `tabel`; did you mean `table`?"),
        (
            "[events]\ntable = \"sales events\"",
            "line 2: `table`: `sales events` is not a table name: use TABLE or SCHEMA.TABLE, of letters, digits, `_` and `-`",
        ),
        ("[run]\nlisten = 5", "line 2: `listen` takes text in quotes, not integer `5`"),
        (
            "[run]\nlisten = \"localhost:1\"",
            "line 2: `listen`: use an IP address and a port, such as 127.0.0.1:9090 or [::1]:9090",
        ),
        ("[run]\nworkers = \"2\"", "line 2: `workers` takes a whole number of at least 1, not string \"2\""),
        (
            "[run]\nconnections = 3",
            "line 2: `connections`: a process that runs projections needs 4 to 1000 connections, not 3: on one it shows that \
             it is alive, on one it hears of new events, and the others do its work",
        ),
        ("[run]\nmemory_mib = 351", "line 2: `memory_mib`: batches need 352 MiB of memory at least, not 351"),
        ("[run]\nrebuild_percent = 0", "line 2: `rebuild_percent`: a share is 1 to 100 percent, not 0"),
        ("[run]\nworkers = 0", "line 2: `workers` takes a whole number of at least 1, not integer `0`"),
        ("[run]\nlog_format = \"xml\"", "line 2: `log_format` takes `text` or `json`, not `xml`"),
        (
            "[run]\nreplica_set = \"A\"",
            "line 2: `replica_set`: `A` is not a valid replica set name: use 1 to 48 lower-case letters, digits, `-` or `_`, starting with a letter",
        ),
        (
            "[projections.A]\n",
            "line 1: `A` is not a valid projection name: use 1 to 48 lower-case letters, digits, `-` or `_`, starting with a letter",
        ),
        ("[projections.a]\nbatch = 0", "line 2: `batch`: a batch has 1 to 10000 events, not 0"),
        (
            "[projections.a]\non_failure = \"stop\"",
            "line 2: `on_failure` takes `halt` or `dead-letter`, not `stop`",
        ),
        ("[projections.a]\ngrants = \"http\"", "line 2: `grants` takes a list, not string \"http\""),
        (
            "[projections.a]\nconfig = { b = \"x\", c = 3 }",
            "line 2: `c` takes text in quotes, not integer `3`",
        ),
        ("run = \"x\"", "line 1: `run` takes a table, not string \"x\""),
        ("a = 1\na = 2", "line 2: duplicate key"),
        ("store = x", "line 1: `store`: string values must be quoted, expected literal string"),
    ] {
        assert_eq!(Config::parse(text).unwrap_err(), expected, "{text}");
    }
}
