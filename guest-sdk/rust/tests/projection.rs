//! A small projection through the test kit: what a projection may rely on.

use kennel_guest::log::Level;
use kennel_guest::prelude::*;
use kennel_guest::testing::{MemoryReadModel, Scenario, event};

/// Does what the event's type says to document `d/1`.
#[derive(Debug, Default)]
struct Commanded;

#[derive(Serialize, Deserialize, Default)]
#[serde(crate = "kennel_guest::serde")]
struct Tally {
    count: u32,
}

#[derive(Deserialize)]
#[serde(crate = "kennel_guest::serde")]
struct Borrowed<'event> {
    name: &'event str,
}

impl Projection for Commanded {
    fn descriptor(&self) -> Descriptor {
        Descriptor::new("commanded", "1").bounded_contexts(["Here", "There"]).aggregate_types(["Thing"])
    }

    fn handle(&self, event: &Event, model: &mut dyn ReadModel) -> Result<(), Failure> {
        match event.event_type.as_str() {
            "Put" => model.put("d", "1", &event.json::<Value>()?)?,
            "Update" => model.update("d", "1", |tally: &mut Tally| tally.count += 1)?,
            "Upsert" => model.upsert("d", "1", |tally: &mut Tally| tally.count += 1)?,
            "Delete" => model.delete("d", "1"),
            "Borrow" => model.put("d", "1", event.json::<Borrowed>()?.name)?,
            "Bytes" => model.put("d", "1", &event.bytes().len())?,
            "Describe" => model.put(
                "d",
                "1",
                &json!([
                    event.position,
                    event.bounded_context,
                    event.aggregate_type,
                    event.aggregate_id,
                    event.aggregate_version,
                    event.event_id,
                    event.metadata,
                    event.created_at
                ]),
            )?,
            "Date" => model.put("d", "1", &event.created_at)?,
            "Copy" => {
                let all: Vec<(String, Tally)> = model.scan("d", None, "", 10)?;
                let keys: Vec<String> = all.into_iter().map(|(key, _)| key).collect();
                let again: Vec<Option<Tally>> = model.get_many("d", &keys)?;
                model.put(
                    "copies",
                    "counts",
                    &again.iter().flatten().map(|tally| tally.count).collect::<Vec<_>>(),
                )?;
            }
            "HalfDone" => {
                model.put("d", "1", "changed")?;
                model.increment("d", "2", "count", 1);
                return Err(Failure::retry("later"));
            }
            "ForeignError" => drop("x".parse::<u8>()?),
            "BadKeys" => model.put(
                "d",
                "1",
                &[((1, 2), 3)].into_iter().collect::<std::collections::BTreeMap<_, _>>(),
            )?,
            "BreakBound" => model.put_text("d", "1", "no json"),
            "Panic" => panic!("number {}", 7),
            "Configured" => {
                log::warn(format_args!("limit {:?}", config::get("limit")));
                model.put("d", "1", &config::parsed::<u8>("limit")?)?;
            }
            other => return Err(Failure::reject(format!("unknown command {other}"))),
        }
        Ok(())
    }
}

export_projection!(Commanded);

fn scenario() -> Scenario<Commanded> {
    Scenario::new(Commanded)
}

#[test]
fn documents_are_written_changed_and_removed() {
    scenario()
        .when(event("Put").json(json!({"count": 1})))
        .then_document("d", "1", json!({"count": 1}))
        .when(event("Update"))
        .then_document("d", "1", json!({"count": 2}))
        .when(event("Copy"))
        .then_document("copies", "counts", json!([2]))
        .when(event("Delete"))
        .then_no_document("d", "1")
        .when(event("Upsert"))
        .then_collection("d", json!({"1": {"count": 1}}));
}

#[test]
fn payloads_are_read_without_copies_and_as_bytes() {
    scenario()
        .when(event("Borrow").json(json!({"name": "Ada"})))
        .then_document("d", "1", json!("Ada"))
        .when(event("Bytes").binary([0xff, 0xfe, 0xfd]))
        .then_document("d", "1", json!(3));
}

#[test]
fn a_payload_that_does_not_fit_is_rejected_with_a_reason() {
    scenario()
        .when(event("Borrow").schema(3).json(json!({"nam": "Ada"})))
        .then_rejects(
            "the payload of Borrow (version 3) cannot be read: missing field `name` at line 1 column 13",
        )
        .when(event("Borrow").binary(*b"\xff\xfe"))
        .then_rejects("it is 2 bytes that are not JSON");
}

#[test]
fn a_document_that_does_not_fit_is_rejected_with_a_reason() {
    scenario()
        .when(event("Update"))
        .then_rejects("there is no document d/1 to change")
        .given(event("Put").json("text"))
        .when(event("Update"))
        .then_rejects("document d/1 does not fit")
        .when(event("BadKeys"))
        .then_rejects("document d/1 has no JSON form: key must be a string");
}

#[test]
fn a_failed_event_leaves_no_trace() {
    for (command, failed) in
        [("HalfDone", "later"), ("ForeignError", "invalid digit"), ("BreakBound", ""), ("Panic", "")]
    {
        let after = scenario().given(event("Put").json("kept")).when(event(command));
        let after = match command {
            "HalfDone" => after.then_retries(failed),
            "ForeignError" => after.then_rejects(failed),
            "BreakBound" => after.then_panics("document d/1 is not JSON"),
            _ => after.then_panics("number 7"),
        };
        after.then_collection("d", json!({"1": "kept"}));
    }
}

#[test]
fn settings_and_log_lines_are_seen() {
    scenario()
        .with_setting("limit", "12")
        .when(event("Configured"))
        .then_document("d", "1", json!(12))
        .then_logs(Level::Warn, r#"limit Some("12")"#);
    scenario().when(event("Configured")).then_document("d", "1", json!(null));
    scenario()
        .with_setting("limit", "300")
        .when(event("Configured"))
        .then_rejects(r#"the setting limit = "300" cannot be read as u8: number too large"#);
}

#[test]
fn raw_json_keeps_every_digit_and_the_order_of_fields() {
    let text = r#"{"z":1.10,"a":[18446744073709551616,1e400],"m":{}}"#;
    let mut memory = MemoryReadModel::default();
    let model: &mut dyn ReadModel = &mut memory;
    let payload: &RawValue = kennel_guest::serde_json::from_str(text).expect("JSON");
    model.put("d", "1", payload).expect("JSON");
    let stored: Option<Box<RawValue>> = model.get("d", "1").expect("JSON");
    model.put("d", "2", &stored).expect("JSON");
    assert_eq!(model.get_text("d", "2").as_deref(), Some(text));
}

#[test]
fn an_event_is_written_when_a_test_says() {
    scenario().when(event("Date").at("2026-03-01T10:30:00.5+01:00")).then_document(
        "d",
        "1",
        json!("2026-03-01T09:30:00.500Z"),
    );
    let wrong = std::panic::catch_unwind(|| event("Date").at("today")).unwrap_err();
    let message = wrong.downcast_ref::<String>().expect("a message");
    assert!(message.contains(r#""today" is not a time like 2026-03-01T09:30:00Z"#), "{message}");
}

#[test]
fn what_a_test_does_not_say_is_filled_in() {
    let second_of_one = event("Describe").metadata(json!({"by": "me"}));
    scenario()
        .given(event("Delete"))
        .given(event("Delete").of("2").position(10))
        .when(second_of_one)
        .then_document(
            "d",
            "1",
            json!([
                11,
                "Here",
                "Thing",
                "1",
                2,
                "00000000-0000-4000-8000-00000000000b",
                "{\"by\":\"me\"}",
                "2026-01-01T00:00:10Z"
            ]),
        );
}

#[test]
fn events_out_of_scope_do_not_arrive() {
    scenario()
        .when(event("Panic").bounded_context("Elsewhere"))
        .then_out_of_scope()
        .when(event("Panic").aggregate_type("Nothing"))
        .then_out_of_scope()
        .when(event("Delete").bounded_context("There"))
        .then_handled();
}

#[test]
#[should_panic(expected = "the event was expected to be handled, but it was rejected: unknown command Oops")]
fn an_unexpected_failure_fails_the_test() {
    scenario().when(event("Oops")).then_no_document("d", "1");
}

#[test]
#[should_panic(expected = "expected the event to be rejected with \"\", but it was handled")]
fn an_expected_failure_must_happen() {
    scenario().when(event("Delete")).then_rejects("");
}
