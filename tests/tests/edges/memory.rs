//! Clients that ask for much and take nothing of it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use kennel_core::digest::Digest;
use kennel_tests::binary::{Kennel, wait_until};
use kennel_tests::components::{guest, padded};
use kennel_tests::http;
use kennel_tests::metrics::{Served, get};

const CLIENTS: usize = 80;
const COMPONENT_BYTES: usize = 60_000_000;
/// The most that the process has ever had in memory, in KiB: 80 times the component would be 4.6 GiB.
const MEMORY_KIB_MAX: u64 = 500 << 10;
const PATIENCE: Duration = Duration::from_secs(60);

/// The most memory that a process has had, in KiB.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux reports it");
    peak.trim().trim_end_matches("kB").trim().parse().expect("a number")
}

/// Has the host hold a component that differs from others by its number.
fn put(served: &Served, number: u8) -> (String, usize) {
    let counter = std::fs::read(guest("counter")).expect("the guest is built");
    let bytes = padded(counter, number, COMPONENT_BYTES);
    let path = format!("/v1/components/{}", Digest::of(&bytes));
    let headers = [("Content-Type", "application/wasm")];
    let answer = http::request(served.address(), "PUT", &path, &headers, &bytes).expect("the host answers");
    assert_eq!(answer.status, 201, "{}", answer.text());
    (path, bytes.len())
}

/// A client that asks, and takes nothing of the answer yet.
fn ask(served: &Served, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(served.address()).expect("the host listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("the host reads");
    stream
}

/// Connections that the process has to its port, its listener not among them.
fn open_connections(served: &Served) -> usize {
    let port = served.address().rsplit(':').next().and_then(|port| port.parse::<u16>().ok()).expect("a port");
    let mut inodes = Vec::new();
    let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux reports it");
    for fields in table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>()) {
        // Local address, remote address, state; 01 is established. The inode is the tenth field.
        if fields[1].ends_with(&format!(":{port:04X}")) && fields[3] == "01" {
            inodes.push(fields[9].to_owned());
        }
    }
    inodes.iter().filter(|inode| *inode != "0").count()
}

/// The beginning of an answer.
fn status(stream: &mut TcpStream) -> u16 {
    let mut head = [0; 12];
    stream.read_exact(&mut head).expect("an answer comes");
    std::str::from_utf8(&head[9..]).ok().and_then(|code| code.parse().ok()).expect("a status")
}

#[test]
fn clients_that_do_not_take_a_large_component_cost_hardly_any_memory() {
    let kennel = Kennel::default();
    kennel.ok(&["migrate"]);
    let served = Served::start(&kennel, &["--workers", "1"]);
    let (path, length) = put(&served, 1);
    let others: Vec<String> = (2..4).map(|number| put(&served, number).0).collect();
    // The first has it loaded; a slow machine may take longer over that than others would wait.
    let mut stuck = vec![ask(&served, &path)];
    assert_eq!(status(&mut stuck[0]), 200);
    for _ in 1..CLIENTS {
        let mut stream = ask(&served, &path);
        assert_eq!(status(&mut stream), 200);
        stuck.push(stream);
    }
    // A client that takes its answer gets it meanwhile.
    let answer = http::request(served.address(), "GET", &path, &[], b"").expect("the host answers");
    assert_eq!((answer.status, answer.body.len()), (200, length), "{:?}", answer.header("Retry-After"));
    // As many components at once as there is room for, and no more: other clients are asked to retry later.
    for path in &others {
        let mut stream = ask(&served, path);
        match status(&mut stream) {
            200 => stuck.push(stream),
            503 => {
                let mut rest = [0; 200];
                let length = stream.read(&mut rest).expect("the head comes whole");
                let rest = String::from_utf8_lossy(&rest[..length]).to_lowercase();
                assert!(rest.contains("\r\nretry-after: "), "{rest}");
            }
            other => panic!("{path}: {other}"),
        }
    }
    assert_eq!(get(served.address(), "/healthz").expect("it answers").0, 200);
    let peak = peak(served.process.pid());
    assert!(peak < MEMORY_KIB_MAX, "{} MiB", peak >> 10);
    // The host does not wait for clients that take nothing at all.
    let mut first = stuck.swap_remove(0);
    let mut taken = 0;
    let mut buffer = vec![0; 1 << 20];
    wait_until("the host ends the connections that are stuck", PATIENCE, || open_connections(&served) == 0);
    while let Ok(bytes @ 1..) = first.read(&mut buffer) {
        taken += bytes;
    }
    assert!(taken < length, "the rest was not sent: {taken}");
}
