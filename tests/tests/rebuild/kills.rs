//! `kill -9` at each step of a deployment, a rebuild, a promotion and a rollback: of the command that requested the
//! operation, and of the processes that carry it out, at random moments and while a read model is fenced for a
//! cutover. Every time it comes back to one of two states, the old or the new, and says which.
//!
//! `KENNEL_TEST_SEED` repeats the decisions, though not what becomes of them.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use kennel_tests::binary::{now, wait_until};
use kennel_tests::database::Database;
use kennel_tests::fixture::{Family, Fixture, Judgement, NAME, digest, judge};
use kennel_tests::load::{Load, backlog};
use kennel_tests::metrics::Served;
use kennel_tests::random::Random;
use kennel_tests::reader::Reader;
use serde_json::Value;

use super::{LONG, alone, whole};

const BACKLOG: u64 = 3_000;
const EVENTS_PER_SECOND: u64 = 200;
/// Components of each family, so that there is always another one to continue with.
const COMPONENTS: u8 = 3;
/// The state comes back by itself within this time.
const BACK: Duration = Duration::from_secs(60);

/// The operation that is requested while something is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Continue,
    Rebuild,
    Promotion,
    Rollback,
}

impl Operation {
    /// About how long it takes to be carried out here.
    const fn milliseconds(self) -> u64 {
        match self {
            Self::Continue => 200,
            Self::Rollback => 400,
            Self::Rebuild | Self::Promotion => 900,
        }
    }
}

/// The processes that are killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    /// The command that requested the operation.
    Command,
    /// One of the processes that carry it out.
    Host,
    /// All of them.
    Hosts,
    /// All of them, while the serving read model is fenced for the cutover.
    HostsWhileFenced,
}

const ROUNDS: [(Operation, Victim); 15] = [
    (Operation::Continue, Victim::Command),
    (Operation::Continue, Victim::Host),
    (Operation::Continue, Victim::Hosts),
    (Operation::Rebuild, Victim::Command),
    (Operation::Rebuild, Victim::Host),
    (Operation::Rebuild, Victim::Hosts),
    (Operation::Rebuild, Victim::HostsWhileFenced),
    (Operation::Promotion, Victim::Command),
    (Operation::Promotion, Victim::Host),
    (Operation::Promotion, Victim::Hosts),
    (Operation::Promotion, Victim::HostsWhileFenced),
    (Operation::Rollback, Victim::Command),
    (Operation::Rollback, Victim::Host),
    (Operation::Rollback, Victim::Hosts),
    (Operation::Rollback, Victim::HostsWhileFenced),
];

#[test]
fn after_any_kill_one_of_two_states_comes_back_on_postgres() {
    Play::begin(&Fixture::postgres()).go();
}

#[test]
fn after_any_kill_one_of_two_states_comes_back_on_sqlite() {
    Play::begin(&Fixture::sqlite()).go();
}

struct Play<'a> {
    fixture: &'a Fixture,
    database: Database,
    processes: Vec<Served>,
    random: Random,
    /// The components by digest.
    components: Vec<(String, Family, String)>,
    /// Rounds in which the old state came back, the new one at once, and a build that went on by itself.
    old: usize,
    new: usize,
    went_on: usize,
    /// Rounds after whose kills a read model was still fenced.
    fenced: usize,
}

/// Where the projection is in its history.
#[derive(Clone, Debug)]
struct State {
    serving: Value,
    candidate: Option<Value>,
    latest: u64,
}

impl<'a> Play<'a> {
    fn begin(fixture: &'a Fixture) -> Self {
        let mut components = Vec::new();
        for family in [Family::First, Family::Second] {
            for number in 0..COMPONENTS {
                let file = fixture.component(family, number);
                components.push((digest(&file), family, file));
            }
        }
        let random = Random::from_environment();
        let (database, processes) = (fixture.database(), Vec::new());
        Self { fixture, database, processes, random, components, old: 0, new: 0, went_on: 0, fenced: 0 }
    }

    fn go(mut self) {
        let _alone = alone();
        backlog(&mut self.database, BACKLOG);
        self.fixture.kennel.ok(&["deploy", NAME, &self.fixture.component(Family::First, 0)]);
        self.processes = self.fixture.start();
        wait_until("all is handled", LONG, || self.database.lag(NAME) == 0);
        let load = Load::start(self.fixture.database(), EVENTS_PER_SECOND, 0);
        let reader = Reader::start(self.fixture.database(), whole(&self.database));
        // Something to roll back to.
        self.run_to_the_end(Operation::Rebuild);
        let mut rounds = ROUNDS.to_vec();
        while !rounds.is_empty() {
            let index = self.random.below(rounds.len() as u64);
            let (operation, victim) = rounds.swap_remove(usize::try_from(index).expect("an index"));
            self.round(operation, victim);
        }
        let events = BACKLOG + load.end();
        wait_until("everything is handled", BACK, || self.database.lag(NAME) == 0);
        let seen = reader.end();
        println!(
            "{}: {} rounds; {} came back to the old state, {} were in the new one, {} went on building; {} times the \
             read model was fenced when everything was killed. The views answered {} queries, the slowest in {:?}, and \
             showed one of the two models {} times in turn",
            self.fixture.kind(),
            ROUNDS.len(),
            self.old,
            self.new,
            self.went_on,
            self.fenced,
            seen.queries,
            seen.slowest,
            seen.answers.len()
        );
        let head = self.database.head();
        let judgement = judge(&mut self.database, head);
        let Judgement { by_the_second, .. } = judgement;
        assert_eq!(judgement, Judgement { events, not_once: 0, by_the_second, out_of_order: 0 });
        assert!(self.fenced > 0, "nothing was killed while a read model was fenced: this proves little");
        assert!(self.went_on > 0 && self.old + self.new > 0, "all rounds went alike: this proves little");
    }

    /// Requests an operation, kills, and waits until everything is well again.
    fn round(&mut self, operation: Operation, victim: Victim) {
        if operation == Operation::Promotion {
            // Ready, and waiting for the promotion.
            self.fixture.kennel.ok(&[
                "deploy",
                NAME,
                &self.other_family(),
                "--mode",
                "rebuild",
                "--promote",
                "manual",
            ]);
        }
        let before = self.state();
        let mut command = self.request(operation);
        let began = now();
        match victim {
            Victim::Command => {
                self.wait_up_to(began, 40);
                command.kill().expect("it is ours to kill");
            }
            Victim::Host | Victim::Hosts => self.wait_up_to(began, operation.milliseconds()),
            Victim::HostsWhileFenced => self.wait_until_fenced(),
        }
        if victim != Victim::Command {
            let count = if victim == Victim::Host { 1 } else { self.processes.len() };
            self.processes.drain(..count).for_each(|served| served.process.kill());
        }
        let fenced = self.is_fenced();
        self.fenced += usize::from(fenced && self.processes.is_empty());
        let after = self.state();
        self.count(&before, &after);
        self.views_show(&after);
        if self.processes.len() < self.fixture.processes() {
            let missing = self.fixture.processes() - self.processes.len();
            self.processes.extend(self.fixture.start_some(missing));
        }
        self.comes_back(operation, &before, &after, command);
    }

    /// An operation that was accepted goes on by itself until the new deployment serves; any other was never requested.
    fn comes_back(&mut self, operation: Operation, before: &State, after: &State, mut command: Child) {
        // One that was not killed waits for the build.
        wait_until("the command ends", BACK, || {
            command.try_wait().expect("the process can be asked").is_some()
        });
        let mut state = self.state();
        if operation == Operation::Promotion && state.candidate.is_some() && !self.promotes_automatically() {
            // The request never arrived: the candidate is ready as before, until the promotion is requested once more.
            self.fixture.kennel.ok(&["promote", NAME, "--detach"]);
        }
        wait_until("the candidate serves", BACK, || {
            state = self.state();
            state.candidate.is_none()
        });
        let wanted = match (&after.candidate, after.latest > before.latest) {
            (Some(candidate), _) => candidate["number"].clone(),
            (None, true) => after.latest.into(),
            // Nothing new was there when the kill came. A command that lived on may have requested its operation since.
            (None, false) if state.latest > after.latest => state.latest.into(),
            (None, false) => after.serving["number"].clone(),
        };
        assert_eq!(
            state.serving["number"], wanted,
            "{operation:?}: before {before:?}, after the kill {after:?}"
        );
        let head = self.database.head();
        wait_until("it has handled everything", BACK, || {
            self.database.positions(NAME).iter().all(|[_, position]| *position >= head)
        });
        self.views_show(&state);
        assert!(!self.is_fenced(), "{operation:?}: the read model is still fenced");
        let found = judge(&mut self.database, head);
        assert_eq!((found.not_once, found.out_of_order), (0, 0), "{operation:?}: {found:?}");
        let second = self.family(&state.serving) == Family::Second;
        assert_eq!(found.by_the_second > 0, second, "{operation:?}: {state:?}");
    }

    fn count(&mut self, before: &State, after: &State) {
        match (&after.candidate, before.serving == after.serving) {
            (Some(_), true) => self.went_on += 1,
            (None, true) => self.old += 1,
            (_, false) => self.new += 1,
        }
    }

    /// Requests an operation and has it under way.
    fn request(&mut self, operation: Operation) -> Child {
        let arguments = self.arguments(operation);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut command = self.fixture.kennel.command(&arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("kennel starts")
    }

    fn run_to_the_end(&mut self, operation: Operation) {
        let arguments = self.arguments(operation);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.fixture.kennel.ok(&arguments);
    }

    fn arguments(&mut self, operation: Operation) -> Vec<String> {
        let line = |arguments: &[&str]| arguments.iter().map(|argument| (*argument).to_owned()).collect();
        match operation {
            Operation::Continue => line(&["deploy", NAME, &self.other_component()]),
            Operation::Rebuild => line(&["deploy", NAME, &self.other_family(), "--mode", "rebuild"]),
            Operation::Promotion => line(&["promote", NAME]),
            Operation::Rollback => line(&["rollback", NAME, "--to", &self.kept().to_string()]),
        }
    }

    /// A component that goes on with what the serving one has written.
    fn other_component(&mut self) -> String {
        let serving = self.state().serving;
        let family = self.family(&serving);
        let others = self
            .components
            .iter()
            .filter(|(digest, of, _)| *of == family && serving["component"] != **digest);
        let others: Vec<usize> = others.map(|(.., file)| self.index_of(file)).collect();
        let chosen = self.random.one_of(&others);
        self.components[chosen].2.clone()
    }

    /// A component that writes other documents than the serving one.
    fn other_family(&mut self) -> String {
        let serving = self.state().serving;
        let family = self.family(&serving);
        let others = self.components.iter().filter(|(_, of, _)| *of != family);
        let others: Vec<usize> = others.map(|(.., file)| self.index_of(file)).collect();
        let chosen = self.random.one_of(&others);
        self.components[chosen].2.clone()
    }

    fn index_of(&self, file: &str) -> usize {
        self.components.iter().position(|(.., known)| known == file).expect("one of ours")
    }

    fn family(&self, deployment: &Value) -> Family {
        let found = self.components.iter().find(|(digest, ..)| deployment["component"] == **digest);
        found.expect("one of ours").1
    }

    /// The latest deployment whose read model served before that of the serving one.
    fn kept(&self) -> u64 {
        let serving = self.state().serving;
        let served = self.fixture.deployments().into_iter().rev();
        let mut others =
            served.filter(|one| one["outcome"] == "superseded" && one["read_model"] != serving["read_model"]);
        others.next().and_then(|one| one["number"].as_u64()).expect("there was a rebuild")
    }

    /// What `kennel deployments` says: exactly one serves, and at most one is being built.
    fn state(&self) -> State {
        let all = self.fixture.deployments();
        let of = |outcome: &str| -> Vec<Value> {
            all.iter().filter(|one| one["outcome"] == outcome).cloned().collect()
        };
        let (mut serving, mut candidate) = (of("serving"), of("candidate"));
        assert!(serving.len() == 1 && candidate.len() <= 1, "{all:?}");
        State { serving: serving.remove(0), candidate: candidate.pop(), latest: all.len() as u64 }
    }

    /// The views show the model of the serving deployment.
    fn views_show(&mut self, state: &State) {
        // Between the two looks there may have been a cutover.
        let shown = whole(&self.database)(&mut self.database);
        if self.state().serving == state.serving {
            assert_eq!(shown, self.family(&state.serving), "{state:?}");
        }
    }

    fn promotes_automatically(&mut self) -> bool {
        let projection = self.database.own("projection");
        self.database.rows(&format!("SELECT promotion FROM {projection} WHERE name = '{NAME}'")) == ["auto"]
    }

    fn is_fenced(&mut self) -> bool {
        let projection = self.database.own("projection");
        self.database.numbers(&format!("SELECT fenced FROM {projection} WHERE name = '{NAME}'")) == [1]
    }

    /// Waits for the moment of the cutover, or until that is over.
    fn wait_until_fenced(&mut self) {
        let (projection, deployment) = (self.database.own("projection"), self.database.own("deployment"));
        let sql = format!(
            "SELECT p.fenced, d.number FROM {projection} p JOIN {deployment} d ON d.projection = p.name
             WHERE p.name = '{NAME}' AND d.outcome = 'serving'"
        );
        let [_, serving] = self.database.numbers(&sql);
        let began = now();
        loop {
            let [fenced, serves] = self.database.numbers(&sql);
            if fenced == 1 || serves != serving {
                return;
            }
            assert!(began.elapsed() < BACK, "waited in vain for the cutover");
        }
    }

    /// Waits for up to so many milliseconds after `began`.
    fn wait_up_to(&mut self, began: Instant, milliseconds: u64) {
        let long = Duration::from_millis(self.random.below(milliseconds));
        wait_until("the moment comes", BACK, || began.elapsed() >= long);
    }
}
