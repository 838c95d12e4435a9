//! `kill -9` at each step of a deployment, a rebuild, a switch and a rollback: of the command that gave the
//! order, and of the processes that carry it out, at random moments and while a read model is held for a
//! switch. Every time it comes back to one of two states, the old or the new, and says which.
//!
//! `KENNEL_TEST_SEED` repeats the decisions, though not what becomes of them.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use kennel_tests::binary::{now, wait_until};
use kennel_tests::database::Database;
use kennel_tests::load::{Load, backlog};
use kennel_tests::metrics::Served;
use kennel_tests::random::Random;
use kennel_tests::reader::Reader;
use kennel_tests::stage::{Family, Judgement, NAME, Stage, digest, judge};
use serde_json::Value;

use super::{LONG, alone, whole};

const BACKLOG: u64 = 3_000;
const EVENTS_PER_SECOND: u64 = 200;
/// Components of each family, so that there is always another one to continue with.
const COMPONENTS: u8 = 3;
/// The state comes back by itself within this time.
const BACK: Duration = Duration::from_secs(60);

/// What is asked for while something is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Continue,
    Rebuild,
    Switch,
    Rollback,
}

impl Order {
    /// About how long it takes to be carried out here.
    const fn milliseconds(self) -> u64 {
        match self {
            Self::Continue => 200,
            Self::Rollback => 400,
            Self::Rebuild | Self::Switch => 900,
        }
    }
}

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    /// The command that gave the order.
    Command,
    /// One of the processes that carry it out.
    Host,
    /// All of them.
    Hosts,
    /// All of them, while the read model that serves is held for the switch.
    HostsWhileHeld,
}

const ROUNDS: [(Order, Victim); 15] = [
    (Order::Continue, Victim::Command),
    (Order::Continue, Victim::Host),
    (Order::Continue, Victim::Hosts),
    (Order::Rebuild, Victim::Command),
    (Order::Rebuild, Victim::Host),
    (Order::Rebuild, Victim::Hosts),
    (Order::Rebuild, Victim::HostsWhileHeld),
    (Order::Switch, Victim::Command),
    (Order::Switch, Victim::Host),
    (Order::Switch, Victim::Hosts),
    (Order::Switch, Victim::HostsWhileHeld),
    (Order::Rollback, Victim::Command),
    (Order::Rollback, Victim::Host),
    (Order::Rollback, Victim::Hosts),
    (Order::Rollback, Victim::HostsWhileHeld),
];

#[test]
fn whatever_is_killed_one_of_two_states_comes_back_on_postgres() {
    Play::begin(&Stage::postgres()).go();
}

#[test]
fn whatever_is_killed_one_of_two_states_comes_back_on_sqlite() {
    Play::begin(&Stage::sqlite()).go();
}

struct Play<'a> {
    stage: &'a Stage,
    database: Database,
    processes: Vec<Served>,
    random: Random,
    /// The components by digest.
    components: Vec<(String, Family, String)>,
    /// Rounds in which the old state came back, the new one at once, and a build that went on by itself.
    old: usize,
    new: usize,
    went_on: usize,
    /// Rounds after whose kills a read model was still held.
    held: usize,
}

/// Where the projection is in its history.
#[derive(Clone, Debug)]
struct State {
    live: Value,
    building: Option<Value>,
    latest: u64,
}

impl<'a> Play<'a> {
    fn begin(stage: &'a Stage) -> Self {
        let mut components = Vec::new();
        for family in [Family::First, Family::Second] {
            for number in 0..COMPONENTS {
                let file = stage.component(family, number);
                components.push((digest(&file), family, file));
            }
        }
        let random = Random::from_environment();
        let (database, processes) = (stage.database(), Vec::new());
        Self { stage, database, processes, random, components, old: 0, new: 0, went_on: 0, held: 0 }
    }

    fn go(mut self) {
        let _alone = alone();
        backlog(&mut self.database, BACKLOG);
        self.stage.kennel.ok(&["deploy", NAME, &self.stage.component(Family::First, 0)]);
        self.processes = self.stage.start();
        wait_until("all is handled", LONG, || self.database.lag(NAME) == 0);
        let load = Load::start(self.stage.database(), EVENTS_PER_SECOND, 0);
        let reader = Reader::start(self.stage.database(), whole(&self.database));
        // Something to roll back to.
        self.order_to_the_end(Order::Rebuild);
        let mut rounds = ROUNDS.to_vec();
        while !rounds.is_empty() {
            let index = self.random.below(rounds.len() as u64);
            let (order, victim) = rounds.swap_remove(usize::try_from(index).expect("an index"));
            self.round(order, victim);
        }
        let events = BACKLOG + load.end();
        wait_until("everything is handled", BACK, || self.database.lag(NAME) == 0);
        let seen = reader.end();
        println!(
            "{}: {} rounds; {} came back to the old state, {} were in the new one, {} went on building; {} times the \
             read model was held when everything was killed. The views answered {} queries, the slowest in {:?}, and \
             showed one of the two models {} times in turn",
            self.stage.kind(),
            ROUNDS.len(),
            self.old,
            self.new,
            self.went_on,
            self.held,
            seen.queries,
            seen.slowest,
            seen.answers.len()
        );
        let head = self.database.head();
        let judgement = judge(&mut self.database, head);
        let Judgement { by_the_second, .. } = judgement;
        assert_eq!(judgement, Judgement { events, not_once: 0, by_the_second, out_of_order: 0 });
        assert!(self.held > 0, "nothing was killed while a read model was held: this proves little");
        assert!(self.went_on > 0 && self.old + self.new > 0, "all rounds went alike: this proves little");
    }

    /// Gives an order, kills, and waits until everything is well again.
    fn round(&mut self, order: Order, victim: Victim) {
        if order == Order::Switch {
            // Ready, and waiting for somebody to say so.
            self.stage.kennel.ok(&[
                "deploy",
                NAME,
                &self.other_family(),
                "--mode",
                "rebuild",
                "--switch",
                "manual",
            ]);
        }
        let before = self.state();
        let mut command = self.give(order);
        let began = now();
        match victim {
            Victim::Command => {
                self.wait_up_to(began, 40);
                command.kill().expect("it is ours to kill");
            }
            Victim::Host | Victim::Hosts => self.wait_up_to(began, order.milliseconds()),
            Victim::HostsWhileHeld => self.wait_until_held(),
        }
        if victim != Victim::Command {
            let count = if victim == Victim::Host { 1 } else { self.processes.len() };
            self.processes.drain(..count).for_each(|served| served.process.kill());
        }
        let held = self.is_held();
        self.held += usize::from(held && self.processes.is_empty());
        let after = self.state();
        self.count(&before, &after);
        self.views_show(&after);
        if self.processes.len() < self.stage.processes() {
            let missing = self.stage.processes() - self.processes.len();
            self.processes.extend(self.stage.start_some(missing));
        }
        self.comes_back(order, &before, &after, command);
    }

    /// What is under way goes on by itself until the new one serves; what is not, has never been asked for.
    fn comes_back(&mut self, order: Order, before: &State, after: &State, mut command: Child) {
        // One that was not killed waits for the build.
        wait_until("the command ends", BACK, || {
            command.try_wait().expect("the process can be asked").is_some()
        });
        let mut state = self.state();
        if order == Order::Switch && state.building.is_some() && !self.switches_by_itself() {
            // The order never arrived: it is ready as before, until somebody asks once more.
            self.stage.kennel.ok(&["switch", NAME, "--detach"]);
        }
        wait_until("what is built serves", BACK, || {
            state = self.state();
            state.building.is_none()
        });
        let wanted = match (&after.building, after.latest > before.latest) {
            (Some(building), _) => building["number"].clone(),
            (None, true) => after.latest.into(),
            // Nothing new was there when the kill came. A command that lived on may have given its order since.
            (None, false) if state.latest > after.latest => state.latest.into(),
            (None, false) => after.live["number"].clone(),
        };
        assert_eq!(state.live["number"], wanted, "{order:?}: before {before:?}, after the kill {after:?}");
        let head = self.database.head();
        wait_until("it has handled everything", BACK, || {
            self.database.positions(NAME).iter().all(|[_, position]| *position >= head)
        });
        self.views_show(&state);
        assert!(!self.is_held(), "{order:?}: the read model is still held");
        let found = judge(&mut self.database, head);
        assert_eq!((found.not_once, found.out_of_order), (0, 0), "{order:?}: {found:?}");
        let second = self.family(&state.live) == Family::Second;
        assert_eq!(found.by_the_second > 0, second, "{order:?}: {state:?}");
    }

    fn count(&mut self, before: &State, after: &State) {
        match (&after.building, before.live == after.live) {
            (Some(_), true) => self.went_on += 1,
            (None, true) => self.old += 1,
            (_, false) => self.new += 1,
        }
    }

    /// Gives an order and has it under way.
    fn give(&mut self, order: Order) -> Child {
        let arguments = self.arguments(order);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut command = self.stage.kennel.command(&arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("kennel starts")
    }

    fn order_to_the_end(&mut self, order: Order) {
        let arguments = self.arguments(order);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.stage.kennel.ok(&arguments);
    }

    fn arguments(&mut self, order: Order) -> Vec<String> {
        let line = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        match order {
            Order::Continue => line(&["deploy", NAME, &self.other_component()]),
            Order::Rebuild => line(&["deploy", NAME, &self.other_family(), "--mode", "rebuild"]),
            Order::Switch => line(&["switch", NAME]),
            Order::Rollback => line(&["rollback", NAME, "--to", &self.kept().to_string()]),
        }
    }

    /// A component that goes on with what the one that serves has written.
    fn other_component(&mut self) -> String {
        let live = self.state().live;
        let family = self.family(&live);
        let others =
            self.components.iter().filter(|(digest, of, _)| *of == family && live["component"] != **digest);
        let others: Vec<usize> = others.map(|(.., file)| self.place(file)).collect();
        let chosen = self.random.one_of(&others);
        self.components[chosen].2.clone()
    }

    /// A component that writes other documents than the one that serves.
    fn other_family(&mut self) -> String {
        let live = self.state().live;
        let family = self.family(&live);
        let others = self.components.iter().filter(|(_, of, _)| *of != family);
        let others: Vec<usize> = others.map(|(.., file)| self.place(file)).collect();
        let chosen = self.random.one_of(&others);
        self.components[chosen].2.clone()
    }

    fn place(&self, file: &str) -> usize {
        self.components.iter().position(|(.., known)| known == file).expect("one of ours")
    }

    fn family(&self, deployment: &Value) -> Family {
        let found = self.components.iter().find(|(digest, ..)| deployment["component"] == **digest);
        found.expect("one of ours").1
    }

    /// The latest deployment whose read model served before that of the one that does.
    fn kept(&self) -> u64 {
        let live = self.state().live;
        let served = self.stage.deployments().into_iter().rev();
        let mut others =
            served.filter(|one| one["outcome"] == "superseded" && one["read_model"] != live["read_model"]);
        others.next().and_then(|one| one["number"].as_u64()).expect("there was a rebuild")
    }

    /// What `kennel deployments` says: exactly one serves, and at most one is being built.
    fn state(&self) -> State {
        let all = self.stage.deployments();
        let of = |outcome: &str| -> Vec<Value> {
            all.iter().filter(|one| one["outcome"] == outcome).cloned().collect()
        };
        let (mut live, mut building) = (of("live"), of("building"));
        assert!(live.len() == 1 && building.len() <= 1, "{all:?}");
        State { live: live.remove(0), building: building.pop(), latest: all.len() as u64 }
    }

    /// The views show the model of the deployment that serves.
    fn views_show(&mut self, state: &State) {
        // Between the two looks it may have been switched.
        let shown = whole(&self.database)(&mut self.database);
        if self.state().live == state.live {
            assert_eq!(shown, self.family(&state.live), "{state:?}");
        }
    }

    fn switches_by_itself(&mut self) -> bool {
        let projection = self.database.own("projection");
        self.database.rows(&format!("SELECT switch FROM {projection} WHERE name = '{NAME}'")) == ["auto"]
    }

    fn is_held(&mut self) -> bool {
        let projection = self.database.own("projection");
        self.database.numbers(&format!("SELECT frozen FROM {projection} WHERE name = '{NAME}'")) == [1]
    }

    /// Waits for the moment of the switch, or until that is over.
    fn wait_until_held(&mut self) {
        let (projection, deployment) = (self.database.own("projection"), self.database.own("deployment"));
        let sql = format!(
            "SELECT p.frozen, d.number FROM {projection} p JOIN {deployment} d ON d.projection = p.name
             WHERE p.name = '{NAME}' AND d.outcome = 'live'"
        );
        let [_, live] = self.database.numbers(&sql);
        let began = now();
        loop {
            let [held, serves] = self.database.numbers(&sql);
            if held == 1 || serves != live {
                return;
            }
            assert!(began.elapsed() < BACK, "waited in vain for the switch");
        }
    }

    /// Waits for up to so many milliseconds after `began`.
    fn wait_up_to(&mut self, began: Instant, milliseconds: u64) {
        let long = Duration::from_millis(self.random.below(milliseconds));
        wait_until("the moment comes", BACK, || began.elapsed() >= long);
    }
}
