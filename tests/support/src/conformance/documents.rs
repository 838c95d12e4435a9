//! Read models: what a commit does, and when it does nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use kennel_core::change::{Access, Expectation};
use kennel_core::digest::Digest;
use kennel_core::failure::{EventFailure, FailureKind};
use kennel_core::limits;
use kennel_core::membership::Generation;
use kennel_core::partition::HashRange;
use kennel_core::port::{Commit, CommitOutcome, DeadLetter, Fetched, StoreError, Wanted};
use kennel_core::position::Position;
use kennel_core::projection::ReadModelId;
use serde_json::json;
use uuid::Uuid;

use super::{StorePorts, agree, batch, change, claim, commit, deploy, document, increment, keys, of, put};

/// A read model whose only owner is generation 1.
async fn owned(store: &dyn StorePorts) -> (ReadModelId, Generation) {
    let read_model = deploy(store, "order-summary").await.read_model;
    let generation = agree(store, Generation::NONE, 1).await;
    claim(store, generation, read_model, HashRange::ALL).await;
    (read_model, generation)
}

pub async fn documents_and_checkpoint_move_together(store: &dyn StorePorts) {
    let (id, generation) = owned(store).await;
    assert_eq!(document(store, id, "orders", "a").await, None);
    assert!(store.scan(id, "orders", None, "", 10).await.unwrap().is_empty());
    let put_two = vec![
        change("a", put("{\"n\":1}"), Expectation::Absent, 3),
        change("b", put("{\"n\":2}"), Expectation::Unread, 4),
    ];
    commit(store, &Commit { changes: of("orders", put_two), ..batch(id, generation, 0, 5) }).await;
    assert_eq!(document(store, id, "orders", "a").await, Some((json!({"n": 1}), 3)));
    assert_eq!(document(store, id, "orders", "b").await, Some((json!({"n": 2}), 4)));
    let rest = vec![
        change("a", Access::Delete, Expectation::Revision(Position::new(3)), 6),
        change("b", put("[1,2]"), Expectation::Unread, 7),
        change("c", put("null"), Expectation::Unread, 8),
    ];
    commit(store, &Commit { changes: of("orders", rest), ..batch(id, generation, 5, 9) }).await;
    assert_eq!(keys(store, id, "orders").await, ["b", "c"]);
    assert_eq!(document(store, id, "orders", "b").await, Some((json!([1, 2]), 7)));
    assert_eq!(document(store, id, "orders", "c").await, Some((json!(null), 8)));
    let progress = store.progress().await.unwrap();
    assert_eq!(progress[0].checkpoints[0].position, Position::new(9));
    assert_eq!(store.collections(id).await.unwrap(), [Arc::from("orders")]);
}

pub async fn a_fenced_batch_writes_nothing(store: &dyn StorePorts) {
    let (id, generation) = owned(store).await;
    let half = |index| HashRange::of_partition(index, 2);
    let changes = || of("orders", vec![change("a", put("{}"), Expectation::Unread, 3)]);
    commit(store, &batch(id, generation, 0, 4)).await;
    let good = Commit { changes: changes(), ..batch(id, generation, 4, 5) };
    for (what, fenced) in [
        ("an older generation", Commit { generation: Generation::NONE, ..good.clone() }),
        ("a newer generation", Commit { generation: generation.next(), ..good.clone() }),
        ("an older position", Commit { from: Position::new(3), ..good.clone() }),
        ("a newer position", Commit { changes: changes(), ..batch(id, generation, 5, 6) }),
        ("part of a range", Commit { ranges: vec![half(0)], ..good.clone() }),
        ("a range twice", Commit { ranges: vec![half(0), half(1)], ..good.clone() }),
        ("another read model", Commit { read_model: ReadModelId::new(id.get() + 1), ..good.clone() }),
    ] {
        assert_eq!(store.commit(&fenced).await.unwrap(), CommitOutcome::Fenced, "{what}");
    }
    let back = store.commit(&batch(id, generation, 4, 3)).await;
    assert!(matches!(back, Err(StoreError::Invalid { .. })), "{back:?}");
    assert!(store.collections(id).await.unwrap().is_empty());
    commit(store, &good).await;
}

pub async fn a_zombie_is_fenced_range_by_range(store: &dyn StorePorts) {
    let (id, old) = owned(store).await;
    commit(store, &batch(id, old, 0, 10)).await;
    let new = agree(store, old, 2).await;
    let (left, right) = (HashRange::of_partition(0, 2), HashRange::of_partition(1, 2));
    let owned = claim(store, new, id, left).await;
    assert_eq!((owned.len(), owned[0].range, owned[0].position.get()), (1, left, 10));
    // The old owner has lost the left half; all or nothing.
    assert_eq!(store.commit(&batch(id, old, 10, 20)).await.unwrap(), CommitOutcome::Fenced);
    // No worker has claimed the right half yet, so its old owner may finish its batch there.
    let finish = Commit { ranges: vec![right], ..batch(id, old, 10, 15) };
    commit(store, &finish).await;
    let owned = claim(store, new, id, right).await;
    assert_eq!((owned.len(), owned[0].position.get()), (1, 15));
    let finish = Commit { ranges: vec![right], ..batch(id, old, 15, 16) };
    assert_eq!(store.commit(&finish).await.unwrap(), CommitOutcome::Fenced);
    let progress = &store.progress().await.unwrap()[0].checkpoints;
    assert_eq!(progress.iter().map(|row| row.position.get()).collect::<Vec<_>>(), [10, 15]);
}

pub async fn ranges_that_meet_are_moved_as_one(store: &dyn StorePorts) {
    let (id, first) = owned(store).await;
    let two = agree(store, first, 2).await;
    let (left, right) = (HashRange::of_partition(0, 2), HashRange::of_partition(1, 2));
    claim(store, two, id, left).await;
    claim(store, two, id, right).await;
    commit(store, &Commit { ranges: vec![left], sole_owner: false, ..batch(id, two, 0, 7) }).await;
    let one = agree(store, two, 1).await;
    let owned = claim(store, one, id, HashRange::ALL).await;
    assert_eq!(owned.iter().map(|row| row.position.get()).collect::<Vec<_>>(), [7, 0]);
    commit(store, &Commit { ranges: vec![right], ..batch(id, one, 0, 7) }).await;
    // Both have reached 7: to their owner they are one range now.
    commit(store, &batch(id, one, 7, 8)).await;
    let progress = &store.progress().await.unwrap()[0].checkpoints;
    assert_eq!((progress.len(), progress[0].range, progress[0].position.get()), (1, HashRange::ALL, 8));
    assert_eq!(claim(store, one, id, HashRange::ALL).await.len(), 1);
}

pub async fn a_changed_document_is_a_conflict(store: &dyn StorePorts) {
    let (id, generation) = owned(store).await;
    let first = of("c", vec![change("a", put("{\"n\":1}"), Expectation::Unread, 2)]);
    commit(store, &Commit { changes: first, ..batch(id, generation, 0, 3) }).await;
    let at = |revision| Expectation::Revision(Position::new(revision));
    let shared = Commit { sole_owner: false, ..batch(id, generation, 3, 4) };
    for (what, key, access, expectation) in [
        ("put over an older revision", "a", put("{}"), at(1)),
        ("put of a document thought absent", "a", put("{}"), Expectation::Absent),
        ("put of a document that is gone", "b", put("{}"), at(2)),
        ("delete of an older revision", "a", Access::Delete, at(1)),
        ("delete of a document that is gone", "b", Access::Delete, at(2)),
        ("increment of an older revision", "a", increment("n", 1), at(1)),
        ("increment of a document thought absent", "a", increment("n", 1), Expectation::Absent),
        ("read of an older revision", "a", Access::Read, at(1)),
        ("read of a document thought absent", "a", Access::Read, Expectation::Absent),
    ] {
        let mut changes = of("c", vec![change(key, access, expectation, 4)]);
        changes[0].changes.push(change("z", put("{}"), Expectation::Unread, 4));
        let outcome = store.commit(&Commit { changes, ..shared.clone() }).await.unwrap();
        let conflict = CommitOutcome::Conflict { collection: "c".to_owned(), key: key.to_owned() };
        assert_eq!(outcome, conflict, "{what}");
    }
    // In a collection that does not exist yet, nothing can have been read.
    let unknown = of("d", vec![change("a", put("{}"), at(1), 4)]);
    let outcome = store.commit(&Commit { changes: unknown, ..shared.clone() }).await.unwrap();
    assert_eq!(outcome, CommitOutcome::Conflict { collection: "d".to_owned(), key: "a".to_owned() });
    assert_eq!(keys(store, id, "c").await, ["a"]);
    assert_eq!(store.collections(id).await.unwrap(), [Arc::from("c")]);
    let right = vec![
        change("a", put("{\"n\":2}"), at(2), 4),
        change("b", put("{}"), Expectation::Absent, 4),
        change("q", Access::Read, Expectation::Absent, 0),
    ];
    commit(store, &Commit { changes: of("c", right), ..shared }).await;
    assert_eq!(document(store, id, "c", "a").await, Some((json!({"n": 2}), 4)));
}

pub async fn increments_add_up(store: &dyn StorePorts) {
    let (id, generation) = owned(store).await;
    for (step, sole_owner) in [(0, true), (1, false), (2, true)] {
        let amounts = BTreeMap::from([("n".to_owned(), 5), ("m".to_owned(), -1)]);
        let changes = vec![
            change("new", Access::Increment(amounts), Expectation::Unread, step + 1),
            change("other", increment("count", 1), Expectation::Unread, step + 1),
        ];
        commit(
            store,
            &Commit { changes: of("c", changes), sole_owner, ..batch(id, generation, step, step + 1) },
        )
        .await;
    }
    assert_eq!(document(store, id, "c", "new").await, Some((json!({"n": 15, "m": -3}), 3)));
    assert_eq!(document(store, id, "c", "other").await, Some((json!({"count": 3}), 3)));
    let known = vec![
        change("new", put("{\"n\":\"five\",\"x\":9223372036854775807,\"k\":null}"), Expectation::Unread, 4),
        change("list", put("[]"), Expectation::Unread, 4),
    ];
    commit(store, &Commit { changes: of("c", known), ..batch(id, generation, 3, 4) }).await;
    for (key, field, by) in [("new", "n", 1), ("new", "x", 1), ("list", "n", 1)] {
        let changes = of("c", vec![change(key, increment(field, by), Expectation::Unread, 5)]);
        let outcome = store.commit(&Commit { changes, ..batch(id, generation, 4, 5) }).await.unwrap();
        let CommitOutcome::Invalid { reason } = outcome else { panic!("{key}.{field}: {outcome:?}") };
        assert!(reason.contains(field) && reason.contains(key), "{reason}");
    }
    let null = of("c", vec![change("new", increment("k", 2), Expectation::Unread, 5)]);
    commit(store, &Commit { changes: null, ..batch(id, generation, 4, 5) }).await;
    assert_eq!(document(store, id, "c", "new").await.unwrap().0["k"], json!(2));
}

pub async fn delete_and_create_again_does_not_fool_a_reader(store: &dyn StorePorts) {
    let (id, generation) = owned(store).await;
    let step = |access, at: u64| Commit {
        changes: of("c", vec![change("a", access, Expectation::Unread, at)]),
        sole_owner: false,
        ..batch(id, generation, at - 1, at)
    };
    commit(store, &step(put("{}"), 1)).await;
    commit(store, &step(Access::Delete, 2)).await;
    commit(store, &step(put("{}"), 3)).await;
    let stale = change("a", put("{}"), Expectation::Revision(Position::new(1)), 4);
    let outcome =
        store.commit(&Commit { changes: of("c", vec![stale]), ..step(Access::Read, 4) }).await.unwrap();
    assert!(matches!(outcome, CommitOutcome::Conflict { .. }), "{outcome:?}");
}

pub async fn scans_go_in_byte_order(store: &dyn StorePorts) {
    let (id, generation) = owned(store).await;
    let mut sorted = [
        "a",
        "B",
        "b",
        "ba",
        "b\u{1}",
        "b\u{10ffff}",
        "bb",
        "c",
        "Ä",
        "ä",
        "é",
        "e",
        "🐕",
        "~",
        "b%",
        "b_",
        "\u{7f}",
    ];
    sorted.sort_unstable();
    let changes = sorted.iter().map(|key| change(key, put("{}"), Expectation::Unread, 1)).collect();
    commit(store, &Commit { changes: of("c", changes), ..batch(id, generation, 0, 1) }).await;
    assert_eq!(keys(store, id, "c").await, sorted);
    for prefix in ["", "b", "b%", "ba", "x", "🐕", "é"] {
        for after in [None, Some(""), Some("b"), Some("b\u{1}"), Some("bb"), Some("zzz")] {
            for limit in [0, 1, 3, 100] {
                let found = store.scan(id, "c", after, prefix, limit).await.unwrap();
                let found: Vec<&str> = found.iter().map(|document| document.key.as_str()).collect();
                let fits = |key: &&str| key.starts_with(prefix) && after.is_none_or(|after| *key > after);
                let expected: Vec<&str> = sorted.iter().copied().filter(fits).take(limit).collect();
                assert_eq!(found, expected, "prefix {prefix:?} after {after:?} limit {limit}");
            }
        }
    }
}

pub async fn fetches_keep_the_order_of_what_was_wanted(store: &dyn StorePorts) {
    let (id, generation) = owned(store).await;
    let mut changes = of("c", vec![change("a", put("1"), Expectation::Unread, 1)]);
    changes.extend(of("d", vec![change("b", put("2"), Expectation::Unread, 1)]));
    commit(store, &Commit { changes, ..batch(id, generation, 0, 1) }).await;
    let wanted = |collection: &str, keys: &[&str]| Wanted {
        collection: collection.to_owned(),
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
    };
    let wanted =
        [wanted("d", &["x", "b", "b"]), wanted("none", &["a"]), wanted("c", &[]), wanted("c", &["a"])];
    let found = store.fetch(id, &wanted).await.unwrap();
    let found: Vec<Vec<Option<&str>>> = found
        .iter()
        .map(|list| list.iter().map(|stored| stored.as_ref().map(|stored| &*stored.document)).collect())
        .collect();
    assert_eq!(found, [vec![None, Some("2"), Some("2")], vec![None], vec![], vec![Some("1")]]);
}

pub async fn large_documents_are_read_and_added_to_a_few_at_a_time(store: &dyn StorePorts) {
    const DOCUMENTS: u64 = 20;
    let (id, generation) = owned(store).await;
    let keys: Vec<String> = (10..10 + DOCUMENTS).map(|number| number.to_string()).collect();
    let text = "x".repeat(600 * 1024);
    let changes = keys.iter().zip(1..).map(|(key, revision)| {
        change(key, put(&format!("{{\"n\": 1, \"text\": \"{text}\"}}")), Expectation::Unread, revision)
    });
    let changes = of("c", changes.collect());
    commit(store, &Commit { changes, ..batch(id, generation, 0, DOCUMENTS) }).await;

    let bytes_max = 1024 * 1024;
    let wanted =
        ["c", "none"].map(|collection| Wanted { collection: collection.to_owned(), keys: keys.clone() });
    let found = store.fetch_up_to(id, &wanted, bytes_max).await.unwrap();
    let stored = found[0].iter().filter(|found| matches!(found, Fetched::Stored(_))).count();
    let left = found[0].iter().filter(|found| **found == Fetched::Left).count();
    assert_eq!((stored, left), (2, keys.len() - 2));
    assert!(found[1].iter().all(|found| *found == Fetched::Absent));
    let scanned = store.scan_up_to(id, "c", None, "", 1000, bytes_max).await.unwrap();
    assert_eq!(scanned.iter().map(|row| row.key.as_str()).collect::<Vec<_>>(), ["10", "11"]);

    // More than a commit has in memory at once, and no guest has read them.
    let amounts = || Access::Increment(BTreeMap::from([("n".to_owned(), 2)]));
    let changes = keys.iter().map(|key| change(key, amounts(), Expectation::Unread, DOCUMENTS + 1));
    let changes = of("c", changes.collect());
    commit(store, &Commit { changes, ..batch(id, generation, DOCUMENTS, DOCUMENTS + 1) }).await;
    let found = store.scan(id, "c", None, "", 1000).await.unwrap();
    assert_eq!(found.len(), keys.len());
    for row in found {
        let document: serde_json::Value = serde_json::from_str(&row.stored.document).unwrap();
        assert_eq!((&document["n"], document["text"].as_str()), (&serde_json::json!(3), Some(text.as_str())));
    }
}

/// Around the size from which a document is read by itself.
pub async fn long_documents_among_short_ones_are_found_in_order(store: &dyn StorePorts) {
    let (id, generation) = owned(store).await;
    let sizes = [1, 16_382, 16_383, 16_385, 3, 700_000, 2, 20_000];
    let documents: Vec<(String, String)> = (0..)
        .zip(sizes)
        .map(|(number, size)| (format!("k{number}"), format!("\"{}\"", "d".repeat(size))))
        .collect();
    let changes = documents.iter().map(|(key, document)| change(key, put(document), Expectation::Unread, 1));
    commit(store, &Commit { changes: of("c", changes.collect()), ..batch(id, generation, 0, 1) }).await;

    let scanned = store.scan(id, "c", None, "", 100).await.unwrap();
    let found: Vec<(String, String)> =
        scanned.into_iter().map(|one| (one.key, one.stored.document.to_string())).collect();
    assert!(found == documents, "in order, each whole");
    for (limit, after) in [(3, "k1"), (1, "k4"), (4, "k0")] {
        let page = store.scan(id, "c", Some(after), "k", limit).await.unwrap();
        let from = documents.iter().position(|(key, _)| key == after).unwrap() + 1;
        let keys: Vec<&str> = page.iter().map(|one| one.key.as_str()).collect();
        let expected: Vec<&str> = documents[from..from + limit].iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, expected, "{limit} after {after}");
    }
    let keys = documents.iter().rev().map(|(key, _)| key.clone()).collect();
    let found = store.fetch(id, &[Wanted { collection: "c".to_owned(), keys }]).await.unwrap();
    let texts: Vec<&str> = found[0].iter().map(|one| &*one.as_ref().unwrap().document).collect();
    assert!(texts == documents.iter().rev().map(|(_, text)| text.as_str()).collect::<Vec<_>>());
}

pub async fn dead_letters_are_kept_with_their_reason(store: &dyn StorePorts) {
    let (id, generation) = owned(store).await;
    let letter = |position| DeadLetter {
        failure: EventFailure {
            position: Position::new(position),
            event_id: Some(Uuid::from_u128(u128::from(position))),
            event_type: "order-placed".to_owned(),
            aggregate_id: "o-1".to_owned(),
            digest: Digest::of(b"x"),
            kind: FailureKind::Trap,
            message: "wasm trap: \0 unreachable 🐕".to_owned(),
            attempts: 4,
        },
    };
    let dead_letters = vec![letter(3), letter(2)];
    commit(store, &Commit { dead_letters, ..batch(id, generation, 0, 5) }).await;
    assert_eq!(store.dead_letters(id, 10).await.unwrap(), [letter(2), letter(3)]);
    assert_eq!(store.dead_letters(id, 1).await.unwrap(), [letter(2)]);
    assert_eq!(store.progress().await.unwrap()[0].dead_letters, 2);
    let fenced = Commit { dead_letters: vec![letter(9)], ..batch(id, generation, 0, 10) };
    assert_eq!(store.commit(&fenced).await.unwrap(), CommitOutcome::Fenced);
    assert_eq!(store.dead_letters(id, 10).await.unwrap().len(), 2);
}

pub async fn awkward_names_and_sizes_are_held(store: &dyn StorePorts) {
    let (id, generation) = owned(store).await;
    let long = "n".repeat(limits::COLLECTION_BYTES_MAX - 1);
    let (long_a, long_b) = (format!("{long}a"), format!("{long}b"));
    let mut names = vec![
        "orders",
        "Orders",
        "ORDERS",
        "or ders",
        "a'b",
        "a\"b",
        "a;--",
        "käse",
        "日本",
        "🐕",
        ".",
        "..",
        "a.b",
        "select",
        "events",
        "kennel_worker",
        "pg_class",
        "sqlite_schema",
        "1",
        "_",
        &long_a,
        &long_b,
    ];
    names.sort_unstable();
    let key = "k".repeat(limits::KEY_BYTES_MAX - 4) + "🐕";
    let keys = ["'", "\"", "\\", "a\nb", "$1", "🐕🐕", "A", "a", key.as_str()];
    let large = format!("\"{}\"", "d".repeat(limits::DOCUMENT_BYTES_MAX - 2));
    for (step, name) in names.iter().enumerate() {
        let mut changes: Vec<_> = keys
            .iter()
            .map(|key| change(key, put(&json!([name, key]).to_string()), Expectation::Absent, 1))
            .collect();
        changes.sort_by(|a, b| a.key.cmp(&b.key));
        let sole_owner = step % 2 == 0;
        let at = step as u64;
        commit(
            store,
            &Commit { changes: of(name, changes), sole_owner, ..batch(id, generation, at, at + 1) },
        )
        .await;
    }
    for name in &names {
        for key in keys {
            assert_eq!(document(store, id, name, key).await, Some((json!([name, key]), 1)), "{name}/{key}");
        }
    }
    let listed = store.collections(id).await.unwrap();
    assert_eq!(listed.iter().map(|name| &**name).collect::<Vec<_>>(), names);
    let at = names.len() as u64;
    let changes = of("large", vec![change("k", put(&large), Expectation::Unread, 1)]);
    commit(store, &Commit { changes, ..batch(id, generation, at, at + 1) }).await;
    assert_eq!(
        document(store, id, "large", "k").await.unwrap().0.as_str().unwrap().len(),
        limits::DOCUMENT_BYTES_MAX - 2
    );
}

pub async fn large_batches_are_written_whole(store: &dyn StorePorts) {
    let (id, generation) = owned(store).await;
    for (step, (count, sole_owner)) in
        [(1, true), (255, true), (256, false), (257, true), (5_000, false)].into_iter().enumerate()
    {
        let changes: Vec<_> = (0..count)
            .map(|i| {
                change(
                    &format!("k{i:05}"),
                    put(&json!({"step": step}).to_string()),
                    Expectation::Unread,
                    step as u64 + 1,
                )
            })
            .collect();
        let at = step as u64;
        commit(store, &Commit { changes: of("c", changes), sole_owner, ..batch(id, generation, at, at + 1) })
            .await;
        let found = store.scan(id, "c", None, "", 10_000).await.unwrap();
        let written = found.iter().filter(|found| found.stored.revision.get() == step as u64 + 1).count();
        assert_eq!(written, count);
    }
    let deletes =
        (0..4_999).map(|i| change(&format!("k{i:05}"), Access::Delete, Expectation::Unread, 9)).collect();
    commit(store, &Commit { changes: of("c", deletes), ..batch(id, generation, 5, 6) }).await;
    assert_eq!(keys(store, id, "c").await, ["k04999"]);
}
