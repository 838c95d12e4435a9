//! Rehearsals of components without wasm: what they report of calls, failures, documents and lines.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use kennel::rehearsal::{Rehearsal, Rehearsed};
use kennel_core::digest::Digest;
use kennel_core::event::{Event, NewEvent};
use kennel_core::failure::FailureKind;
use kennel_core::port::{CallFailure, GuestEnv, HostError, Instance, LogLevel};
use kennel_core::position::Position;
use kennel_core::projection::{Descriptor, Scope, Settings};
use kennel_test_support::guests::{FakeComponent, FakeRuntime};
use kennel_test_support::samples;

/// Does what the type of an event says. Counts how many events it has handled itself.
struct Guest {
    env: Arc<dyn GuestEnv>,
    handled: u64,
}

#[async_trait]
impl Instance for Guest {
    async fn handle(&mut self, event: &Event, _: u64) -> Result<(), CallFailure> {
        self.handled += 1;
        let guest = |kind, message: String| CallFailure::Guest { kind, message };
        let invalid = |error: HostError| guest(FailureKind::InvalidCall, error.to_string());
        let (env, key) = (&self.env, event.aggregate_id.as_str());
        env.log(LogLevel::Info, &format!("{} is the {}.", event.position, self.handled));
        env.increment("counts", key, "events", 1).map_err(invalid)?;
        match event.event_type.as_str() {
            "Text" => env.put("texts", key, "\"no object\"".to_owned()).map_err(invalid),
            "Add" => env.increment("texts", key, "n", 1).map_err(invalid),
            "Time" => env.put("times", key, format!("\"{}\"", event.created_at)).map_err(invalid),
            "Setting" => {
                let greeting = env.config("greeting").unwrap_or_default();
                env.put("settings", key, format!("\"{greeting}\"")).map_err(invalid)
            }
            "Gone" => env.delete("texts", key).map_err(invalid),
            "Reject" => Err(guest(FailureKind::Reject, format!("no {}", event.position))),
            "Retry" => Err(guest(FailureKind::Retry, "later".to_owned())),
            _ => Ok(()),
        }
    }

    fn memory_peak(&self) -> usize {
        usize::try_from(self.handled).expect("a number") * 1000
    }
}

fn event(number: u128, aggregate: &str, event_type: &str) -> NewEvent {
    NewEvent { event_type: event_type.to_owned(), ..samples::event(number, aggregate) }
}

fn log(types: &[&str]) -> Rehearsal {
    let mut rehearsal = Rehearsal::new();
    for (number, event_type) in (1..).zip(types) {
        rehearsal.append(event(number, "a", event_type), None).expect("the log takes it");
    }
    rehearsal
}

async fn run(rehearsal: Rehearsal, settings: Settings) -> Rehearsed {
    let scope = |types: &[&str]| types.iter().map(|one| (*one).to_owned()).collect();
    let instances = Arc::new(AtomicUsize::new(0));
    let runtime = FakeRuntime(move |bytes: &[u8]| {
        let scope = Scope {
            event_types: scope(&["Text", "Add", "Time", "Setting", "Gone", "Reject", "Retry", "Other"]),
            ..Scope::default()
        };
        let descriptor = Descriptor { scope, ..samples::descriptor("Not a name: of a projection") };
        let instances = Arc::clone(&instances);
        FakeComponent::new(Digest::of(bytes), descriptor).with_instances(move |env| {
            instances.fetch_add(1, Ordering::Relaxed);
            Box::new(Guest { env, handled: 0 })
        })
    });
    let rehearsed = rehearsal.run(b"guest".to_vec(), Arc::new(runtime), settings, |_| {});
    rehearsed.await.expect("the rehearsal comes to its end")
}

/// The lines, the failures and the documents, all as text.
fn outcome(rehearsed: &Rehearsed) -> (Vec<String>, Vec<String>, Vec<String>) {
    let lines = rehearsed.calls.iter().flat_map(|(_, call)| &call.lines).map(|line| line.message.clone());
    let failures = rehearsed.failures.iter().map(|failure| {
        assert_eq!(failure.attempts, 1);
        format!("{} {}: {}", failure.position, failure.kind, failure.message)
    });
    let documents = rehearsed.documents.iter().flat_map(|(name, documents)| {
        documents.iter().map(move |(key, document)| format!("{name}/{key} {document}"))
    });
    (lines.collect(), failures.collect(), documents.collect())
}

#[tokio::test]
async fn a_failed_event_is_undone_and_the_next_goes_on_in_a_new_instance() {
    let types = ["Other", "Reject", "Unwanted", "Other", "Retry", "Other", "Unwanted"];
    let rehearsed = run(log(&types), Settings::default()).await;
    let (lines, failures, documents) = outcome(&rehearsed);
    assert_eq!(lines, ["1 is the 1.", "2 is the 2.", "4 is the 1.", "5 is the 2.", "6 is the 1."]);
    assert_eq!(failures, ["2 reject: no 2", "5 retry: later"]);
    assert_eq!(documents, [r#"counts/a {"events":3}"#]);
    assert_eq!(rehearsed.handled_and_passed_over(), (3, 2));
    let call = rehearsed.calls.of(Position::new(2)).expect("it was called");
    assert_eq!((&*call.event_type, call.memory_bytes), ("Reject", 2000));
    assert!(rehearsed.calls.first_instance().is_some());
}

#[tokio::test]
async fn a_batch_has_an_instance_of_its_own() {
    let settings = Settings { batch: 2, ..Settings::default() };
    let (lines, ..) = outcome(&run(log(&["Other"; 5]), settings).await);
    assert_eq!(lines, ["1 is the 1.", "2 is the 2.", "3 is the 1.", "4 is the 2.", "5 is the 1."]);
}

/// The document is not read, so only the commit finds out that nothing can be added to it.
#[tokio::test]
async fn an_event_whose_changes_cannot_be_committed_fails_alone() {
    let settings = Settings { batch: 4, ..Settings::default() };
    let types = ["Text", "Other", "Other", "Other", "Other", "Add", "Other", "Other"];
    let rehearsed = run(log(&types), settings).await;
    let (_, failures, documents) = outcome(&rehearsed);
    let reason = "6 invalid-call: increment of field `n` of texts/a: the document is not a JSON object";
    assert_eq!(failures, [reason]);
    assert_eq!(documents, [r#"counts/a {"events":7}"#, "texts/a \"no object\""]);
    assert_eq!(rehearsed.handled_and_passed_over(), (7, 0));
    assert_eq!(rehearsed.calls.len(), 8, "an event counts once, however often it was tried");
}

#[tokio::test]
async fn events_have_the_positions_that_they_are_given_and_a_time_that_stays() {
    let mut rehearsal = Rehearsal::new();
    let positions = [3, 1 << 53, (1 << 53) + 1, i64::MAX.unsigned_abs()];
    for (number, position) in (1..).zip(positions) {
        let event = NewEvent { created_at: None, ..event(number, &position.to_string(), "Time") };
        rehearsal.append(event, Some(Position::new(position))).expect("the log takes it");
    }
    let again = rehearsal.append(event(9, "a", "Other"), Some(Position::new(3))).expect_err("3 is taken");
    assert!(again.starts_with("position 3 does not lie beyond the one before it, "), "{again}");
    let known = rehearsal.append(event(2, "a", "Other"), None).expect_err("its id is known");
    assert!(known.contains("there is an event 00000000-0000-0000-0000-000000000002 before it"), "{known}");
    let version = NewEvent { aggregate_version: Some(3), ..event(10, "a", "Other") };
    let version = rehearsal.append(version, None).expect_err("the version is not the next");
    assert!(version.contains("the next version is 1 and not 3"), "{version}");

    let rehearsed = run(rehearsal, Settings::default()).await;
    let called: Vec<u64> = rehearsed.calls.iter().map(|(position, _)| position.get()).collect();
    assert_eq!(called, positions);
    assert!(rehearsed.documents["times"].values().all(|time| &**time == "\"1970-01-01T00:00:00Z\""));
}

#[tokio::test]
async fn settings_reach_the_guest_and_deleted_documents_are_gone() {
    let config = [("greeting".to_owned(), "hello".to_owned())].into();
    let settings = Settings { config, ..Settings::default() };
    let rehearsed = run(log(&["Text", "Setting", "Gone"]), settings).await;
    assert_eq!(outcome(&rehearsed).2, [r#"counts/a {"events":3}"#, r#"settings/a "hello""#]);
    let nothing = run(Rehearsal::new(), Settings::default()).await;
    assert!(
        nothing.calls.is_empty() && nothing.documents.is_empty() && nothing.calls.first_instance().is_none()
    );
}
