//! A throw-away PostgreSQL cluster for tests. It never skips: without PostgreSQL's programs it panics and says what to
//! install.
//!
//! The server is watched over by a shell that waits for the end of its standard input. That comes when
//! the cluster is dropped, and also when the test process ends in any other way, even by `kill -9`.

use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::Duration;

/// The superuser of every cluster.
const USER: &str = "kennel";
const READY_ATTEMPTS: u32 = 600;
const PAUSE: Duration = Duration::from_millis(50);

/// `$1` is the cluster's folder, the rest the server's command. A file `keep` saves the folder.
const WATCH: &str = r#"
dir=$1; shift
"$@" >>"$dir/log" 2>&1 </dev/null &
pid=$!
echo $pid
cat >/dev/null
kill -QUIT $pid 2>/dev/null
wait $pid
[ -e "$dir/keep" ] || rm -rf "$dir"
"#;

/// A running server with an empty set of databases. It is gone when this is dropped.
#[derive(Debug)]
pub struct Cluster {
    programs: PathBuf,
    folder: PathBuf,
    port: u16,
    settings: Vec<String>,
    server: Option<Server>,
}

#[derive(Debug)]
struct Server {
    watch: Child,
    // Held for what its end means.
    _open: ChildStdin,
    pid: u32,
}

/// A PgBouncer in front of a cluster. It is gone when this is dropped.
#[derive(Debug)]
pub struct Pooler {
    watch: Child,
    // Held for what its end means.
    open: Option<ChildStdin>,
    port: u16,
}

/// Which PgBouncer is there: its program, and the second number of its version.
pub fn pgbouncer() -> (PathBuf, u32) {
    let given = std::env::var_os("KENNEL_TEST_PGBOUNCER").map(PathBuf::from);
    let program = given.unwrap_or_else(|| {
        let paths = ["/usr/sbin/pgbouncer", "/usr/local/bin/pgbouncer", "/opt/homebrew/bin/pgbouncer"];
        paths.into_iter().map(PathBuf::from).find(|path| path.exists()).unwrap_or_else(|| "pgbouncer".into())
    });
    let output = Command::new(&program).arg("--version").output().unwrap_or_else(|error| {
        panic!("this test needs PgBouncer: install it, on Debian with `apt-get install pgbouncer` ({error})")
    });
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let version =
        printed.split_whitespace().nth(1).and_then(|version| version.split('.').nth(1)?.parse().ok());
    (program, version.unwrap_or_else(|| panic!("{printed} names no version")))
}

static CLUSTERS: AtomicU32 = AtomicU32::new(0);
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// A folder that was not there before. A killed test leaves its own behind, and a later process may get the
/// same process id.
fn new_folder() -> PathBuf {
    loop {
        let number = CLUSTERS.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("kennel-postgres-{}-{number}", std::process::id()));
        match fs::create_dir(&folder) {
            Ok(()) => return folder,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => panic!("cannot create {}: {error}", folder.display()),
        }
    }
}

impl Cluster {
    /// Starts a server that does not wait for the disk. What was committed survives a crash of the server,
    /// though not one of the machine.
    pub fn start() -> Self {
        Self::start_with(&[("fsync", "off"), ("full_page_writes", "off")])
    }

    /// Starts a server with these settings and otherwise the default ones.
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        let folder = new_folder();
        if is_root() {
            run(Command::new("chown").arg(server_user()).arg(&folder));
        }
        let programs = programs();
        let mut initdb = as_server_user(&programs.join("initdb"));
        initdb.args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "--username", USER, "-D"]);
        run(initdb.arg(folder.join("data")).current_dir(&folder));
        let settings = settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut cluster = Self { programs, folder, port: free_port(), settings, server: None };
        cluster.launch();
        cluster
    }

    /// The URL of a new, empty database.
    pub fn create_database(&self) -> String {
        let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        self.url(&name)
    }

    /// The URL of a database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs SQL in a database; returns the rows as `psql` prints them unaligned.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let output = self.psql(database).args(["-c", sql]).output();
        let output = output.unwrap_or_else(|error| panic!("cannot run psql: {error}"));
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Starts a PgBouncer in front of it, with these settings.
    #[expect(clippy::disallowed_methods, reason = "waiting for a program to start, in synchronous code")]
    pub fn pooler(&self, program: &Path, settings: &[(&str, &str)]) -> Pooler {
        let (port, server) = (free_port(), self.port);
        let folder = self.folder.join(format!("pooler-{port}"));
        fs::create_dir_all(&folder)
            .unwrap_or_else(|error| panic!("cannot create {}: {error}", folder.display()));
        let mut text = format!(
            "[databases]\n* = host=127.0.0.1 port={server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}/users\n",
            folder.display()
        );
        for (name, value) in settings {
            text.push_str(&format!("{name} = {value}\n"));
        }
        for (name, content) in [("config", text.as_str()), ("users", &format!("\"{USER}\" \"\"\n"))] {
            fs::write(folder.join(name), content)
                .unwrap_or_else(|error| panic!("cannot write {name}: {error}"));
        }
        let pooler = as_server_user(program);
        let mut watch = Command::new("sh");
        watch.args(["-c", "\"$@\" & cat >/dev/null; kill $!", "sh"]);
        watch.arg(pooler.get_program()).args(pooler.get_args()).arg("-q").arg(folder.join("config"));
        watch.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir(&folder);
        let mut watch = watch.spawn().unwrap_or_else(|error| panic!("cannot run sh: {error}"));
        let open = watch.stdin.take();
        let pooler = Pooler { watch, open, port };
        let answers = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        for _ in 0..READY_ATTEMPTS {
            if answers() {
                return pooler;
            }
            sleep(PAUSE);
        }
        panic!("PgBouncer did not start");
    }

    /// Lets the server have a folder.
    pub fn give(&self, folder: &Path) {
        if is_root() {
            run(Command::new("chown").arg(server_user()).arg(folder));
        }
    }

    /// The process id of the server.
    pub fn pid(&self) -> u32 {
        self.server.as_ref().map_or(0, |server| server.pid)
    }

    /// Stops the server as a crash would and starts it again.
    pub fn restart(&mut self) {
        self.stop();
        self.launch();
    }

    /// Stops the server as a crash would. Its data stay.
    pub fn stop(&mut self) {
        let keep = self.folder.join("keep");
        fs::write(&keep, "").unwrap_or_else(|error| panic!("cannot write {}: {error}", keep.display()));
        self.end();
        let _ = fs::remove_file(keep);
    }

    /// A table of a database as `pg_dump` writes it: to be dropped, made again and filled.
    pub fn dump(&self, database: &str, table: &str) -> String {
        let mut dump = Command::new(self.programs.join("pg_dump"));
        let output = dump.args(["--clean", "--table", table, "-d", &self.url(database)]).output();
        let output = output.unwrap_or_else(|error| panic!("cannot run pg_dump: {error}"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A copy of the data as they are now, for [`Self::swap`]. The server goes on meanwhile.
    pub fn backup(&self) -> PathBuf {
        let copy = self.folder.join("backup");
        let _ = fs::remove_dir_all(&copy);
        let mut backup = as_server_user(&self.programs.join("pg_basebackup"));
        backup.args(["--checkpoint=fast", "--wal-method=stream", "--no-sync", "-h", "127.0.0.1", "-U", USER]);
        run(backup.args(["-p", &self.port.to_string(), "-D"]).arg(&copy).current_dir(&self.folder));
        copy
    }

    /// Stops the server as a crash would and starts it on a copy of its data that was taken before. With `promote`, as a
    /// standby that takes over: what it writes belongs to another timeline.
    pub fn swap(&mut self, copy: &Path, promote: bool) {
        self.stop();
        let data = self.folder.join("data");
        fs::remove_dir_all(&data).unwrap_or_else(|error| panic!("cannot remove the data: {error}"));
        fs::rename(copy, &data).unwrap_or_else(|error| panic!("cannot move the copy: {error}"));
        if promote {
            let signal = data.join("standby.signal");
            fs::write(&signal, "").unwrap_or_else(|error| panic!("cannot write: {error}"));
        }
        self.launch();
        if promote {
            assert_eq!(self.sql("postgres", "SELECT pg_promote(true, 60)"), "t");
        }
    }

    /// Starts a server that was stopped.
    pub fn launch(&mut self) {
        let mut postgres = as_server_user(&self.programs.join("postgres"));
        postgres.arg("-D").arg(self.folder.join("data")).args(["-c", "listen_addresses=127.0.0.1"]);
        postgres.args(["-c", &format!("port={}", self.port), "-c", "max_connections=200"]);
        postgres.args(["-c", &format!("unix_socket_directories={}", self.folder.display())]);
        for setting in &self.settings {
            postgres.args(["-c", setting]);
        }
        let mut watch = Command::new("sh");
        watch
            .args(["-c", WATCH, "sh"])
            .arg(&self.folder)
            .arg(postgres.get_program())
            .args(postgres.get_args());
        watch.stdin(Stdio::piped()).stdout(Stdio::piped()).current_dir(&self.folder);
        let mut watch = watch.spawn().unwrap_or_else(|error| panic!("cannot run sh: {error}"));
        let open = watch.stdin.take().unwrap_or_else(|| panic!("the shell has no standard input"));
        let mut pid = String::new();
        let stdout = watch.stdout.take().unwrap_or_else(|| panic!("the shell has no standard output"));
        let _ = BufReader::new(stdout).read_line(&mut pid);
        self.server = Some(Server { watch, _open: open, pid: pid.trim().parse().unwrap_or(0) });
        self.wait_until_ready();
    }

    #[expect(clippy::disallowed_methods, reason = "waiting for a server to start, in synchronous code")]
    fn wait_until_ready(&self) {
        for _ in 0..READY_ATTEMPTS {
            if self
                .psql("postgres")
                .args(["-c", "SELECT 1"])
                .output()
                .is_ok_and(|output| output.status.success())
            {
                return;
            }
            sleep(PAUSE);
        }
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        panic!("PostgreSQL did not start:\n{log}");
    }

    /// A `psql` that is connected to a database and reads statements from its standard input.
    pub fn psql(&self, database: &str) -> Command {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", &self.url(database)]);
        psql.env("PGCONNECT_TIMEOUT", "5").stdin(Stdio::null());
        psql
    }

    fn end(&mut self) {
        if let Some(Server { mut watch, _open, .. }) = self.server.take() {
            drop(_open);
            let _ = watch.wait();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.end();
    }
}

impl Pooler {
    /// The URL of a database through it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.open.take());
        let _ = self.watch.wait();
    }
}

/// Where the server's programs are: where `pg_config` says, where Debian puts them, or on the path.
fn programs() -> PathBuf {
    let configured = Command::new("pg_config").arg("--bindir").output().ok();
    let configured = configured.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let mut folders: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"))
        .collect();
    folders.sort();
    folders.reverse();
    folders.splice(0..0, configured);
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let has_all =
        |folder: &PathBuf| ["initdb", "postgres", "psql"].iter().all(|name| folder.join(name).exists());
    folders.into_iter().find(has_all).unwrap_or_else(|| {
        panic!("this test needs PostgreSQL's server programs: install them, on Debian with `apt-get install postgresql`")
    })
}

/// PostgreSQL does not run as root; then it runs as the user that its package made, or as `nobody`.
fn as_server_user(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let user = server_user();
    let group = if user == "nobody" { "nogroup" } else { user };
    let mut command = Command::new("setpriv");
    command
        .args([&format!("--reuid={user}"), &format!("--regid={group}"), "--clear-groups", "--"])
        .arg(program);
    command
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.starts_with(b"0\n"))
}

fn server_user() -> &'static str {
    let exists =
        Command::new("id").args(["-u", "postgres"]).output().is_ok_and(|output| output.status.success());
    if exists { "postgres" } else { "nobody" }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    listener.unwrap_or_else(|error| panic!("no port is free: {error}")).port()
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
