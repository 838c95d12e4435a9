//! Given some events, when another arrives, then the read model looks so.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::Value;

use super::event_builder::Log;
use super::{EventBuilder, MemoryReadModel};
use crate::log::Level;
use crate::{Descriptor, Event, Failure, Projection, sys};

/// A projection under test, with its own log and read model.
///
/// A `then` about the read model demands that the last event was handled, unless a `then` before it said
/// how it failed. Every `then` panics, as `assert!` does, when it does not hold.
#[derive(Debug)]
pub struct Scenario<P> {
    projection: P,
    descriptor: Descriptor,
    log: Log,
    model: MemoryReadModel,
    settings: BTreeMap<String, String>,
    lines: Vec<(Level, String)>,
    outcome: Outcome,
    /// Whether a `then` has said that the last event fails.
    failure_is_expected: bool,
}

/// What became of the last event.
#[derive(Debug)]
enum Outcome {
    Handled,
    OutOfScope,
    Failed(Failure),
    Panicked(String),
}

impl<P: Projection> Scenario<P> {
    /// An empty log and an empty read model.
    #[must_use]
    pub fn new(projection: P) -> Self {
        Self {
            descriptor: projection.descriptor(),
            projection,
            log: Log::default(),
            model: MemoryReadModel::default(),
            settings: BTreeMap::new(),
            lines: Vec::new(),
            outcome: Outcome::Handled,
            failure_is_expected: false,
        }
    }

    /// Gives the deployment a setting, for [`config::get`](crate::config::get).
    #[must_use]
    pub fn with_setting(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.insert(key.into(), value.into());
        self
    }

    /// An event that has been handled before the test begins. Events out of scope pass unseen.
    #[must_use = "say what follows"]
    #[track_caller]
    pub fn given(mut self, event: EventBuilder) -> Self {
        self.deliver(event);
        self.demand_success();
        self
    }

    /// Many events that have been handled before the test begins.
    #[must_use = "say what follows"]
    #[track_caller]
    pub fn given_all(self, events: impl IntoIterator<Item = EventBuilder>) -> Self {
        let mut scenario = self;
        for event in events {
            scenario = scenario.given(event);
        }
        scenario
    }

    /// The event under test. Whether it is handled is for the `then` to say.
    #[must_use = "say what follows"]
    #[track_caller]
    pub fn when(mut self, event: EventBuilder) -> Self {
        self.deliver(event);
        self
    }

    /// The last event was handled.
    #[track_caller]
    pub fn then_handled(self) -> Self {
        assert!(
            matches!(self.outcome, Outcome::Handled),
            "expected the event to be handled, but {}",
            self.story()
        );
        self
    }

    /// The last event is not in the projection's scope: the host does not deliver it.
    #[track_caller]
    pub fn then_out_of_scope(self) -> Self {
        assert!(
            matches!(self.outcome, Outcome::OutOfScope),
            "expected the event to be out of scope, but {}",
            self.story()
        );
        self
    }

    /// The last event was rejected, for a reason that contains this text.
    #[track_caller]
    pub fn then_rejects(self, reason: &str) -> Self {
        let holds =
            matches!(&self.outcome, Outcome::Failed(Failure::Reject(found)) if found.contains(reason));
        self.expect_failure(holds, "rejected", reason)
    }

    /// The last event is to be tried again, for a reason that contains this text.
    #[track_caller]
    pub fn then_retries(self, reason: &str) -> Self {
        let holds = matches!(&self.outcome, Outcome::Failed(Failure::Retry(found)) if found.contains(reason));
        self.expect_failure(holds, "to be tried again", reason)
    }

    /// The last event made the handler panic, or call the read model against its rules, with a message
    /// that contains this text.
    #[track_caller]
    pub fn then_panics(self, message: &str) -> Self {
        let holds = matches!(&self.outcome, Outcome::Panicked(found) if found.contains(message));
        self.expect_failure(holds, "a panic", message)
    }

    /// There is such a document, equal as JSON.
    #[track_caller]
    pub fn then_document(self, collection: &str, key: &str, expected: Value) -> Self {
        self.demand_success();
        match self.document(collection, key) {
            None => panic!("there is no document {collection}/{key}; expected {expected:#}"),
            Some(found) => {
                assert!(found == expected, "document {collection}/{key} is {found:#}\nexpected {expected:#}");
            }
        }
        self
    }

    /// There is no such document.
    #[track_caller]
    pub fn then_no_document(self, collection: &str, key: &str) -> Self {
        self.demand_success();
        if let Some(found) = self.document(collection, key) {
            panic!("document {collection}/{key} is {found:#}\nexpected none");
        }
        self
    }

    /// The collection holds these documents and no others. `expected` is an object: key to document.
    #[track_caller]
    pub fn then_collection(self, collection: &str, expected: Value) -> Self {
        self.demand_success();
        let documents = self.model.documents(collection);
        let found: Value = documents.map(|(key, text)| (key.to_owned(), parse(text))).collect();
        assert!(found == expected, "collection {collection} is {found:#}\nexpected {expected:#}");
        self
    }

    /// The last event wrote a line to the log that contains this text.
    #[track_caller]
    pub fn then_logs(self, level: Level, text: &str) -> Self {
        let found = self.lines.iter().any(|(of, line)| *of == level && line.contains(text));
        assert!(found, "no {level:?} line contains {text:?}; the lines are {:#?}", self.lines);
        self
    }

    /// A document, for checks that no `then` offers.
    #[must_use]
    pub fn document(&self, collection: &str, key: &str) -> Option<Value> {
        self.model.documents(collection).find(|(found, _)| *found == key).map(|(_, text)| parse(text))
    }

    #[track_caller]
    fn deliver(&mut self, event: EventBuilder) {
        self.demand_success();
        self.failure_is_expected = false;
        let event = self.log.append(event, &self.descriptor);
        self.outcome =
            if in_scope(&self.descriptor, &event) { self.handle(&event) } else { Outcome::OutOfScope };
    }

    fn handle(&mut self, event: &Event) -> Outcome {
        sys::set_settings(self.settings.clone());
        sys::take_log();
        let call = AssertUnwindSafe(|| self.projection.handle(event, &mut self.model));
        let result = catch_unwind(call);
        self.lines = sys::take_log();
        if let Ok(Ok(())) = result {
            self.model.commit();
        } else {
            self.model.roll_back();
        }
        match result {
            Ok(Ok(())) => Outcome::Handled,
            Ok(Err(failure)) => Outcome::Failed(failure),
            Err(payload) => Outcome::Panicked(message_of(&*payload)),
        }
    }

    #[track_caller]
    fn expect_failure(mut self, holds: bool, expected: &str, text: &str) -> Self {
        assert!(holds, "expected the event to be {expected} with {text:?}, but {}", self.story());
        self.failure_is_expected = true;
        self
    }

    #[track_caller]
    fn demand_success(&self) {
        let failed = matches!(self.outcome, Outcome::Failed(_) | Outcome::Panicked(_));
        assert!(
            !failed || self.failure_is_expected,
            "the event was expected to be handled, but {}",
            self.story()
        );
    }

    fn story(&self) -> String {
        match &self.outcome {
            Outcome::Handled => "it was handled".to_owned(),
            Outcome::OutOfScope => format!("it is not in the scope: {:?}", self.descriptor),
            Outcome::Failed(failure) => format!("it was {failure}"),
            Outcome::Panicked(message) => format!("the handler panicked: {message}"),
        }
    }
}

fn in_scope(descriptor: &Descriptor, event: &Event) -> bool {
    let asked_for = |names: &[String], name: &String| names.is_empty() || names.contains(name);
    asked_for(&descriptor.bounded_contexts, &event.bounded_context)
        && asked_for(&descriptor.aggregate_types, &event.aggregate_type)
        && asked_for(&descriptor.event_types, &event.event_type)
}

fn parse(text: &str) -> Value {
    // The model has checked every document when it was written.
    serde_json::from_str(text).unwrap_or_default()
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("(a value that is not text)").to_owned()
}
