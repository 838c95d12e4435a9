//! Every process runs the latest deployment: at once, after it was away, and when others deploy at the same time.
//! Real time, so these tests run one at a time, and are a test binary by themselves.

#![expect(clippy::print_stdout, reason = "figures are what these tests are for")]

use std::process::{Child, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kennel_tests::binary::{Kennel, wait_until};
use kennel_tests::database::Database;
use kennel_tests::fixture::{Family, Fixture, Judgement, NAME, WORKERS, digest, judge, running, timed};
use kennel_tests::load::Load;
use kennel_tests::metrics::Served;
use serde_json::Value;

const EVENTS_PER_SECOND: u64 = 200;
const SOON: Duration = Duration::from_secs(30);
/// Until every process runs what was deployed.
const BOUND: Duration = Duration::from_secs(1);
const ROUNDS: usize = 10;
const STALE_AFTER_SECONDS: u32 = 2;

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn all_processes_run_a_deployment_within_a_second_on_postgres() {
    at_once(&Fixture::postgres());
}

#[test]
fn all_processes_run_a_deployment_within_a_second_on_sqlite() {
    at_once(&Fixture::sqlite());
}

#[test]
fn a_process_that_was_stopped_comes_back_with_the_right_deployment_on_postgres() {
    stopped(&Fixture::postgres());
}

#[test]
fn a_process_that_was_stopped_comes_back_with_the_right_deployment_on_sqlite() {
    stopped(&Fixture::sqlite());
}

#[test]
fn a_process_that_was_taken_for_dead_comes_back_with_the_right_deployment() {
    suspended(&Fixture::postgres());
}

#[test]
fn of_two_deploys_at_the_same_time_one_wins_and_the_other_is_rejected_on_postgres() {
    two_operators(&Fixture::postgres());
}

#[test]
fn of_two_deploys_at_the_same_time_one_wins_and_the_other_is_rejected_on_sqlite() {
    two_operators(&Fixture::sqlite());
}

/// The files of components that are compiled already, with their digests: of the first family 0, 1 and 2, and
/// of the second 0 and 1.
fn components(fixture: &Fixture) -> Vec<(String, String)> {
    let all = [
        (Family::First, 0),
        (Family::First, 1),
        (Family::First, 2),
        (Family::Second, 0),
        (Family::Second, 1),
    ];
    let files = all.map(|(family, number)| fixture.component(family, number));
    // The first is deployed last, and so it serves.
    for file in files.iter().rev() {
        fixture.kennel.ok(&["deploy", NAME, file]);
    }
    files.into_iter().map(|file| (file.clone(), digest(&file))).collect()
}

/// Waits until these processes run this component and nothing else; how long that took.
#[track_caller]
fn wait_until_all_run(processes: &[Served], digest: &str) -> Duration {
    let ((), seconds) = timed(|| {
        wait_until("all processes run the latest deployment", SOON, || {
            processes.iter().all(|process| running(process) == [digest])
        });
    });
    Duration::from_secs_f64(seconds)
}

fn report(fixture: &Fixture, what: &str, mut measured: Vec<Duration>) {
    measured.sort_unstable();
    let (median, longest) = (measured[measured.len() / 2], measured[measured.len() - 1]);
    println!("{}: {what}: median {median:?}, longest {longest:?}", fixture.kind());
    // What else happens on the machine may spoil one of them.
    let longest_but_one = measured[measured.len() - 2];
    assert!(longest_but_one <= BOUND, "{measured:?} is beyond {BOUND:?}");
}

/// Measured from the end of the command that deploys, and, for a process that is started, from when it says
/// where it listens.
fn at_once(fixture: &Fixture) {
    let _alone = alone();
    let components = components(fixture);
    let mut processes = fixture.start();
    wait_until_all_run(&processes, &components[0].1);
    let (mut deployed, mut restarted) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let (file, digest) = &components[round % components.len()];
        fixture.kennel.ok(&["deploy", NAME, file]);
        deployed.push(wait_until_all_run(&processes, digest));
        processes.remove(0).process.kill();
        processes.extend(fixture.start_some(1));
        restarted.push(wait_until_all_run(&processes, digest));
    }
    report(fixture, "from the end of `kennel deploy` until all processes run it", deployed);
    report(fixture, "from the start of a process until it runs the serving deployment", restarted);
}

/// Three deployments of all kinds. The last is of the second family.
fn deploy_three(fixture: &Fixture, components: &[(String, String)]) -> String {
    let [(one, _), (two, _), (three, last)] = [&components[1], &components[3], &components[4]];
    fixture.kennel.ok(&["deploy", NAME, one]);
    // Without a process that builds it, it is built once one is there.
    fixture.kennel.ok(&["deploy", NAME, two, "--mode", "rebuild", "--detach"]);
    if fixture.processes() > 1 {
        wait_until("it is built", SOON, || fixture.kennel.status(NAME)["candidate"].is_null());
        fixture.kennel.ok(&["deploy", NAME, three]);
    } else {
        fixture.kennel.ok(&["deploy", NAME, three, "--mode", "rebuild", "--detach"]);
    }
    last.clone()
}

fn stopped(fixture: &Fixture) {
    let _alone = alone();
    let components = components(fixture);
    let mut processes = fixture.start();
    let mut database = fixture.database();
    let load = Load::start(fixture.database(), EVENTS_PER_SECOND, 0);
    wait_until_all_work(&mut database, &processes);
    let away = processes.remove(0).process;
    away.signal("TERM");
    assert_eq!(away.wait(SOON), Some(0));
    let last = deploy_three(fixture, &components);
    processes.extend(fixture.start_some(1));
    wait_until_all_run(&processes, &last);
    check_the_second_works(&mut database, &processes);
    end(&mut database, load);
}

fn suspended(fixture: &Fixture) {
    let _alone = alone();
    let settings = format!("[run]\nheartbeat_seconds = 1\nstale_after_seconds = {STALE_AFTER_SECONDS}\n");
    fixture.kennel.write("kennel.toml", settings);
    let components = components(fixture);
    let mut processes = fixture.start();
    let mut database = fixture.database();
    let load = Load::start(fixture.database(), EVENTS_PER_SECOND, 0);
    wait_until_all_work(&mut database, &processes);
    let suspended = processes.remove(0);
    suspended.process.signal("STOP");
    wait_until_all_work(&mut database, &processes);
    let last = deploy_three(fixture, &components);
    wait_until_all_run(&processes, &last);
    let before = handled(&mut database, 0);
    assert!(before[0] == 0 && before[1] > 0, "the one that is left has built it: {before:?}");
    suspended.process.signal("CONT");
    processes.push(suspended);
    let took = wait_until_all_run(&processes, &last);
    println!(
        "{}: a process that had been taken for dead runs the right deployment after {took:?}",
        fixture.kind()
    );
    check_the_second_works(&mut database, &processes);
    end(&mut database, load);
}

/// Waits until exactly these processes own the partitions, and every partition has moved on since.
#[track_caller]
fn wait_until_all_work(database: &mut Database, processes: &[Served]) {
    let mut wanted: Vec<u64> = processes.iter().map(|served| served.process.pid().into()).collect();
    wanted.sort_unstable();
    wait_until("these processes own everything", SOON, || {
        let mut owners = match database {
            Database::Postgres(session) => session.owners().1,
            // There is only one that can.
            Database::Sqlite(_) => wanted.clone(),
        };
        owners.sort_unstable();
        owners.dedup();
        owners == wanted
    });
    let head = database.head();
    wait_until("every partition moves on", SOON, || {
        let positions = database.positions(NAME);
        positions.len() >= WORKERS / 2 && positions.iter().all(|[_, position]| *position > head)
    });
}

/// Every partition is handled by the code that was deployed last, whichever process owns it.
fn check_the_second_works(database: &mut Database, processes: &[Served]) {
    wait_until_all_work(database, processes);
    let from = database.head();
    wait_until("some more are handled", SOON, || {
        let positions = database.positions(NAME);
        positions.iter().all(|[_, position]| *position > from + EVENTS_PER_SECOND)
    });
    let [first, second] = handled(database, from);
    assert!(
        first == 0 && second >= EVENTS_PER_SECOND,
        "{first} events were handled by old code, {second} by new"
    );
}

/// How many events after a position were handled by components of each family.
fn handled(database: &mut Database, from: u64) -> [u64; 2] {
    let events = database.view(NAME, "events");
    database.numbers(&format!(
        "SELECT count(*) FILTER (WHERE d.document->>'count' IS NOT NULL),
           count(*) FILTER (WHERE d.document->>'tally' IS NOT NULL)
         FROM events e JOIN {events} d ON d.key = CAST(e.event_id AS TEXT) WHERE e.global_position > {from}"
    ))
}

/// Stops the load, and demands that everything took effect exactly once.
fn end(database: &mut Database, load: Load) {
    let events = load.end();
    wait_until("everything is handled", SOON, || database.lag(NAME) == 0);
    let head = database.head();
    let judgement = judge(database, head);
    assert_eq!(judgement, Judgement { events, not_once: 0, by_the_second: events, out_of_order: 0 });
}

/// Both know the same history, and carry out their operations at the same time.
fn two_operators(fixture: &Fixture) {
    let _alone = alone();
    let components = components(fixture);
    let (mut rejection, mut wins) = (String::new(), [0, 0]);
    for round in 0..3 * ROUNDS / 2 {
        let before = fixture.deployments();
        let serving = component_of(&before, "serving");
        let previous = before.iter().rfind(|one| one["outcome"] == "superseded").expect("there are several");
        // An operator that wants what another has just brought about is not rejected.
        let others =
            components.iter().filter(|(_, digest)| *digest != serving && previous["component"] != **digest);
        let others: Vec<&str> = others.map(|(file, _)| file.as_str()).collect();
        let (one, other) = (others[round % others.len()], others[(round + 1) % others.len()]);
        let (first, second): (Vec<&str>, Vec<&str>) = match round % 3 {
            0 => (vec!["deploy", NAME, one], vec!["deploy", NAME, other]),
            1 => {
                let rebuild = |file| vec!["deploy", NAME, file, "--mode", "rebuild", "--detach"];
                (rebuild(one), rebuild(other))
            }
            _ => (vec!["rollback", NAME, "--detach"], vec!["deploy", NAME, one]),
        };
        let expected = before.len().to_string();
        let operate = |arguments: &[&str]| {
            start(&fixture.kennel, &[arguments, &["--expect", &expected, "--json"]].concat())
        };
        let (first, second) = (operate(&first), operate(&second));
        let outputs = [first, second].map(|child| child.wait_with_output().expect("it ends"));
        let (winner, message) = judge_operations(&outputs);
        wins[winner] += 1;
        rejection = message;
        let after = fixture.deployments();
        assert_eq!(after.len(), before.len() + 1, "one has won: {after:?}");
        let reported: Value = serde_json::from_slice(&outputs[winner].stdout).expect("kennel prints JSON");
        let new = &after[before.len()];
        assert_eq!(
            (&reported["deployment"], &reported["projection"]["deployments"][before.len()]),
            (&new["number"], new)
        );
        let outcome = if round % 3 == 1 { "candidate" } else { "serving" };
        assert_eq!(new["outcome"], outcome);
        component_of(&after, "serving");
        if outcome == "candidate" {
            fixture.kennel.ok(&["cancel", NAME]);
        }
    }
    println!(
        "{}: of {} pairs of operations the first won {} times, the second {}; the message for the other: {rejection}",
        fixture.kind(),
        wins[0] + wins[1],
        wins[0],
        wins[1]
    );
    the_same_from_both(fixture, &components);
}

/// Which of two operations was carried out, and the message for the other.
fn judge_operations(outputs: &[Output; 2]) -> (usize, String) {
    let codes = outputs.each_ref().map(|output| output.status.code());
    let winner = match codes {
        [Some(0), Some(5)] => 0,
        [Some(5), Some(0)] => 1,
        _ => panic!("one must win, and the other be rejected: {outputs:?}"),
    };
    let message = String::from_utf8_lossy(&outputs[1 - winner].stderr).trim().to_owned();
    assert!(
        message.contains("came first: component ") && message.contains("kennel deployments"),
        "{message}"
    );
    (winner, message)
}

/// An operator that wants what another has just deployed has not been overtaken.
fn the_same_from_both(fixture: &Fixture, components: &[(String, String)]) {
    for _ in 0..ROUNDS / 2 {
        let before = fixture.deployments();
        let serving = component_of(&before, "serving");
        let (file, _) = components.iter().find(|(_, digest)| *digest != serving).expect("there are others");
        let expected = before.len().to_string();
        let deploys = [(); 2]
            .map(|()| start(&fixture.kennel, &["deploy", NAME, file, "--expect", &expected, "--json"]));
        let changed = deploys.map(|child| {
            let output = child.wait_with_output().expect("it ends");
            assert!(output.status.success(), "{output:?}");
            let reported: Value = serde_json::from_slice(&output.stdout).expect("kennel prints JSON");
            reported["changed"] == true
        });
        assert!(changed[0] != changed[1], "one of the two has deployed it: {changed:?}");
        assert_eq!(fixture.deployments().len(), before.len() + 1);
    }
}

/// The component of the only deployment with this outcome.
#[track_caller]
fn component_of(deployments: &[Value], outcome: &str) -> String {
    let found: Vec<&Value> = deployments.iter().filter(|one| one["outcome"] == outcome).collect();
    assert_eq!(found.len(), 1, "exactly one is {outcome}: {deployments:?}");
    found[0]["component"].as_str().expect("a digest").to_owned()
}

fn start(kennel: &Kennel, arguments: &[&str]) -> Child {
    let mut command = kennel.command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("kennel starts")
}
