//! A client that connects and says nothing keeps no other client from being answered.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use kennel_tests::binary::{Kennel, Running, now, wait_until};
use kennel_tests::metrics::{free_address, get};

use super::{Host, SOON, example_bytes, text};

/// How long a connection may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// The same, and a little.
const ENOUGH: Duration = Duration::from_secs(15);

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the host listens");
    stream.set_read_timeout(Some(SOON)).expect("a timeout can be set");
    stream
}

/// Connections on which this is sent and no more.
fn connections(address: &str, count: usize, sent: &[u8]) -> Vec<TcpStream> {
    let begin = |_| {
        let mut stream = connect(address);
        stream.write_all(sent).expect("the host reads");
        stream
    };
    (0..count).map(begin).collect()
}

/// `/healthz` answers although all of this is going on.
#[track_caller]
fn assert_answers(address: &str) {
    let began = now();
    assert_eq!(get(address, "/healthz").expect("it answers"), (200, "ok\n".to_owned()));
    assert!(began.elapsed() < ENOUGH, "{:?}", began.elapsed());
}

/// The host ends a connection by itself; what it has sent before that.
#[track_caller]
fn until_the_end(mut stream: TcpStream) -> String {
    let mut received = Vec::new();
    // One that has to make room may be reset.
    let _ = stream.read_to_end(&mut received);
    String::from_utf8(received).expect("text")
}

/// Starts `kennel run` such that it can have only so many files open.
fn run_with_files(kennel: &Kennel, files: u32, address: &str) -> Running {
    let run = kennel.command(&["run", "--listen", address, "--workers", "1"]);
    let mut command = Command::new("bash");
    command.args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\"")]);
    command.arg(run.get_program()).args(run.get_args()).current_dir(kennel.folder());
    for (variable, value) in run.get_envs() {
        match value {
            Some(value) => command.env(variable, value),
            None => command.env_remove(variable),
        };
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("bash starts").into()
}

#[test]
fn silent_connections_make_room_for_those_that_ask() {
    let host = Host::open();
    let address = host.served.address();
    let silent = connections(address, 600, b"");
    let began = now();
    assert_answers(address);
    assert_eq!(host.get("/v1/projections").status, 200);
    for stream in silent {
        assert_eq!(until_the_end(stream), "");
    }
    assert!(began.elapsed() < SILENCE_MAX + ENOUGH, "{:?}", began.elapsed());
}

/// Something has been asked on each of them: they are kept alive, as those of a load balancer are.
#[test]
fn connections_on_which_nothing_more_is_asked_make_room_as_well() {
    let host = Host::open();
    let address = host.served.address();
    let asked = connections(address, 600, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let began = now();
    assert_answers(address);
    // Long before they are ended for their silence.
    assert!(began.elapsed() < SILENCE_MAX / 2, "{:?}", began.elapsed());
    for stream in asked {
        let received = until_the_end(stream);
        assert!(received.ends_with("\r\n\r\nok\n"), "each was answered: {received}");
    }
}

/// What they ask for fills every buffer on the way.
#[test]
fn clients_that_do_not_take_their_answers_keep_no_other_waiting() {
    let Host { kennel: _kennel, served, .. } = Host::open();
    let address = served.address();
    let metrics = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(2_000);
    let mut stuck: Vec<TcpStream> = (0..520).map(|_| connect(address)).collect();
    for stream in &mut stuck {
        stream.set_write_timeout(Some(Duration::from_millis(1))).expect("a timeout can be set");
        // Whatever fits: the host reads no more while its own answers are stuck.
        let _ = stream.write_all(&metrics);
    }
    let began = now();
    assert_answers(address);
    assert!(began.elapsed() < SILENCE_MAX / 2, "{:?}", began.elapsed());
    served.process.signal("TERM");
    assert_eq!(served.process.wait(SOON), Some(0), "it waits for none of them");
    drop(stuck);
}

#[test]
fn a_host_with_few_files_goes_on_working_while_others_are_silent() {
    let kennel = Kennel::default();
    kennel.ok(&["migrate"]);
    let address = free_address();
    let process = run_with_files(&kennel, 256, &address);
    wait_until("it listens", SOON, || get(&address, "/healthz").is_ok());
    let silent = connections(&address, 300, b"");
    assert_answers(&address);
    // Compiling takes files, too.
    let file = kennel.write("counter.wasm", example_bytes("counter"));
    kennel.ok(&["deploy", "counter", text(&file), "--host", &format!("http://{address}")]);
    assert_answers(&address);
    drop(silent);
    process.signal("TERM");
    assert_eq!(process.wait(SOON), Some(0));
}

#[test]
fn a_connection_ends_when_nothing_comes_for_a_while() {
    let host = Host::open();
    let asked = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let began = now();
    let begun = [(&b""[..], false), (b"GET /healthz HTTP/1.1\r\nHost: loc", false), (asked, true)]
        .map(|(sent, answered)| (connections(host.served.address(), 1, sent).remove(0), answered));
    for (stream, answered) in begun {
        let received = until_the_end(stream);
        assert_eq!(received.ends_with("\r\n\r\nok\n"), answered, "{received}");
        let took = began.elapsed();
        assert!((SILENCE_MAX - Duration::from_secs(1)..ENOUGH).contains(&took), "{took:?}: {received}");
    }
}

#[test]
fn many_requests_come_by_one_connection() {
    let host = Host::open();
    let mut stream = connect(host.served.address());
    for _ in 0..3 {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("the host reads");
        let mut received = Vec::new();
        while !received.ends_with(b"\r\n\r\nok\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("it answers");
            received.push(byte[0]);
        }
        assert!(received.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", String::from_utf8_lossy(&received));
    }
}
