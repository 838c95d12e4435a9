//! The event log.

use kennel_core::event::{NewEvent, Payload};
use kennel_core::limits;
use kennel_core::partition::{HashRange, hash};
use kennel_core::port::{Page, ReadQuery, StoreError};
use kennel_core::position::Position;
use kennel_core::projection::Scope;
use kennel_core::timestamp::Timestamp;
use uuid::Uuid;

use super::StorePorts;
use crate::samples::event;

async fn read(store: &dyn StorePorts, after: u64, scope: &Scope, ranges: &[HashRange], limit: usize) -> Page {
    let upto = store.high_water_mark().await.unwrap().position;
    let query = ReadQuery { after: Position::new(after), upto, scope, ranges, limit };
    store.read(query).await.unwrap()
}

async fn everything(store: &dyn StorePorts) -> Page {
    read(store, 0, &Scope::default(), &[HashRange::ALL], 100_000).await
}

fn positions(page: &Page) -> Vec<u64> {
    page.events.iter().map(|event| event.position.get()).collect()
}

pub async fn appended_events_are_read(store: &dyn StorePorts) {
    assert_eq!(store.high_water_mark().await.unwrap().position, Position::START);
    assert_eq!(everything(store).await, Page::default());
    let full = NewEvent {
        metadata: Some("{\"who\": \"me\"}".to_owned()),
        trace_id: Some("t".to_owned()),
        correlation_id: Some("c".to_owned()),
        causation_id: Some("🐕".to_owned()),
        event_version: 7,
        aggregate_version: Some(1),
        ..event(1, "o-1")
    };
    let appended = store.append(&[full.clone(), event(2, "o-2")]).await.unwrap();
    assert_eq!((appended.written, appended.skipped), (2, 0));
    let page = everything(store).await;
    let read = &page.events[0];
    assert_eq!(page.reached, appended.head);
    assert_eq!(store.high_water_mark().await.unwrap().position, appended.head);
    assert_eq!(read.event_id, full.event_id);
    assert_eq!(read.aggregate_version, 1);
    assert_eq!((&read.bounded_context, &read.aggregate_type), (&full.bounded_context, &full.aggregate_type));
    assert_eq!((&read.aggregate_id, &read.event_type), (&full.aggregate_id, &full.event_type));
    assert_eq!(read.event_version, 7);
    assert_eq!(read.payload, Payload::Json("{\"number\":1}".to_owned()));
    assert_eq!(read.metadata.as_deref(), Some("{\"who\": \"me\"}"));
    assert_eq!((&read.trace_id, &read.correlation_id), (&full.trace_id, &full.correlation_id));
    assert_eq!(read.causation_id, full.causation_id);
    assert_eq!(Some(read.created_at), full.created_at);
    assert_eq!(page.events[1].metadata, None);
}

pub async fn the_store_gives_the_time_where_the_writer_does_not(store: &dyn StorePorts) {
    store.append(&[NewEvent { created_at: None, ..event(1, "o") }]).await.unwrap();
    assert_eq!(everything(store).await.events.len(), 1);
}

pub async fn known_events_are_skipped(store: &dyn StorePorts) {
    store.append(&[event(1, "a"), event(2, "a")]).await.unwrap();
    let repeated = store.append(&[event(2, "a"), event(3, "a"), event(3, "a")]).await.unwrap();
    assert_eq!((repeated.written, repeated.skipped), (1, 2));
    let versions: Vec<u64> =
        everything(store).await.events.iter().map(|event| event.aggregate_version).collect();
    assert_eq!(versions, [1, 2, 3]);
    let nothing = store.append(&[event(1, "a")]).await.unwrap();
    assert_eq!((nothing.written, nothing.skipped, nothing.head), (0, 1, repeated.head));
    assert_eq!(store.append(&[]).await.unwrap().head, repeated.head);
}

pub async fn a_wrong_version_writes_nothing(store: &dyn StorePorts) {
    let versioned = |number, version| NewEvent { aggregate_version: Some(version), ..event(number, "a") };
    store.append(&[versioned(1, 1), versioned(2, 2)]).await.unwrap();
    for wrong in [1, 2, 4, u64::MAX] {
        let error = store.append(&[event(3, "b"), versioned(4, wrong)]).await.unwrap_err();
        let StoreError::InvalidEvent { index: 1, message } = &error else { panic!("{error:?}") };
        assert!(message.contains("the next version is 3"), "{message}");
    }
    assert_eq!(everything(store).await.events.len(), 2);
    store.append(&[versioned(4, 3), NewEvent { aggregate_version: None, ..event(5, "a") }]).await.unwrap();
    assert_eq!(everything(store).await.events.last().unwrap().aggregate_version, 4);
}

pub async fn invalid_events_are_rejected(store: &dyn StorePorts) {
    let bad = [
        NewEvent { aggregate_id: "a\0b".to_owned(), ..event(1, "a") },
        NewEvent { event_type: "\0".to_owned(), ..event(1, "a") },
        NewEvent { metadata: Some("{".to_owned()), ..event(1, "a") },
        NewEvent { metadata: Some("{\"a\":\"\\u0000\"}".to_owned()), ..event(1, "a") },
        NewEvent { event_version: u32::MAX, ..event(1, "a") },
        NewEvent { created_at: Timestamp::new(i64::MAX, 0), ..event(1, "a") },
        NewEvent { created_at: Timestamp::new(i64::MIN, 0), ..event(1, "a") },
        NewEvent { metadata: Some("\"\\ud800\"".to_owned()), ..event(1, "a") },
        NewEvent { metadata: Some("[1e400000]".to_owned()), ..event(1, "a") },
        NewEvent { metadata: Some("[".repeat(20_000) + &"]".repeat(20_000)), ..event(1, "a") },
        NewEvent { aggregate_id: "x".repeat(9_000), ..event(1, "a") },
        NewEvent { correlation_id: Some("x".repeat(9_000)), ..event(1, "a") },
    ];
    for event in bad {
        let error = store.append(std::slice::from_ref(&event)).await.unwrap_err();
        assert!(matches!(error, StoreError::InvalidEvent { index: 0, .. }), "{event:?}: {error:?}");
    }
    assert_eq!(everything(store).await.events.len(), 0);
}

pub async fn awkward_text_and_payloads_arrive_as_they_are(store: &dyn StorePorts) {
    let long = "k".repeat(1024);
    let ids = ["", " ", "'; DROP TABLE events; --", "\"", "🐕‍🦺", "Ä", "ä", "a\u{301}", "%_\\", long.as_str()];
    let payloads: [&[u8]; 5] = [b"", b"\xff\xfe\x00", b"plain", b"{\"a\":\"\\u0000\"}", b"null"];
    let events: Vec<NewEvent> = ids
        .iter()
        .enumerate()
        .map(|(i, id)| NewEvent { payload: payloads[i % 5].to_vec(), ..event(i as u128 + 1, id) })
        .collect();
    store.append(&events).await.unwrap();
    let read = everything(store).await.events;
    for (event, written) in read.iter().zip(&events) {
        assert_eq!(event.aggregate_id, written.aggregate_id);
        assert_eq!(event.aggregate_version, 1, "{}", event.aggregate_id);
        assert_eq!(event.payload.as_bytes(), written.payload);
        assert_eq!(event.payload, Payload::from_stored(written.payload.clone()));
    }
    assert_eq!(read.len(), ids.len());
}

pub async fn scopes_are_combined_with_and(store: &dyn StorePorts) {
    let of = |number, context: &str, kind: &str, event_type: &str| NewEvent {
        bounded_context: context.to_owned(),
        aggregate_type: kind.to_owned(),
        event_type: event_type.to_owned(),
        ..event(number, "x")
    };
    let events = [
        of(1, "a", "t", "e"),
        of(2, "b", "t", "e"),
        of(3, "a", "u", "e"),
        of(4, "a", "t", "f"),
        of(5, "A", "t", "e"),
    ];
    store.append(&events).await.unwrap();
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    for (contexts, types, event_types, expected) in [
        (texts(&[]), texts(&[]), texts(&[]), vec![1_u128, 2, 3, 4, 5]),
        (texts(&["a"]), texts(&[]), texts(&[]), vec![1, 3, 4]),
        (texts(&["a", "b"]), texts(&["t"]), texts(&["e"]), vec![1, 2]),
        (texts(&["c"]), texts(&[]), texts(&[]), vec![]),
        (texts(&["a'"]), texts(&["\"t"]), texts(&[]), vec![]),
    ] {
        let scope = Scope { bounded_contexts: contexts, aggregate_types: types, event_types };
        let page = read(store, 0, &scope, &[HashRange::ALL], 10).await;
        let ids: Vec<Uuid> = page.events.iter().map(|event| event.event_id).collect();
        assert_eq!(ids, expected.iter().copied().map(Uuid::from_u128).collect::<Vec<_>>(), "{scope:?}");
        assert_eq!(
            page.reached,
            store.high_water_mark().await.unwrap().position,
            "a short page reaches the end"
        );
    }
}

pub async fn pages_follow_one_another_without_gap(store: &dyn StorePorts) {
    let events: Vec<NewEvent> = (1..=25).map(|i| event(i, &format!("o-{}", i % 4))).collect();
    store.append(&events).await.unwrap();
    let all = positions(&everything(store).await);
    for limit in [1, 7, 25, 26] {
        let (mut after, mut seen) = (0, Vec::new());
        loop {
            let page = read(store, after, &Scope::default(), &[HashRange::ALL], limit).await;
            assert!(page.events.len() <= limit);
            seen.extend(positions(&page));
            if page.events.is_empty() {
                break;
            }
            if page.events.len() == limit {
                assert_eq!(page.reached, page.events[limit - 1].position, "a full page reaches its last row");
            }
            after = page.reached.get();
        }
        assert_eq!(seen, all, "limit {limit}");
    }
    let scope = Scope::default();
    let query = ReadQuery {
        after: Position::new(5),
        upto: Position::new(9),
        scope: &scope,
        ranges: &[HashRange::ALL],
        limit: 99,
    };
    let page = store.read(query.clone()).await.unwrap();
    assert_eq!((positions(&page), page.reached.get()), (vec![6, 7, 8, 9], 9));
    let beyond = store.read(ReadQuery { after: Position::new(9), ..query }).await.unwrap();
    assert_eq!((beyond.events.len(), beyond.reached.get()), (0, 9));
}

pub async fn ranges_divide_the_log_by_aggregate(store: &dyn StorePorts) {
    let events: Vec<NewEvent> = (1..=200).map(|i| event(i, &format!("o-{}", i % 37))).collect();
    store.append(&events).await.unwrap();
    let all = everything(store).await;
    for (count, limit) in [(1, 200), (2, 3), (3, 200), (7, 1)] {
        let mut seen = 0;
        for index in 0..count {
            let range = HashRange::of_partition(index, count);
            let expected: Vec<u64> = all
                .events
                .iter()
                .filter(|event| range.contains(hash(&event.aggregate_id)))
                .map(|event| event.position.get())
                .collect();
            let (mut after, mut got) = (0, Vec::new());
            loop {
                let page = read(store, after, &Scope::default(), &[range], limit).await;
                got.extend(positions(&page));
                after = page.reached.get();
                if page.events.len() < limit {
                    assert_eq!(page.reached, all.reached);
                    break;
                }
            }
            assert_eq!(got, expected);
            seen += got.len();
        }
        assert_eq!(seen, 200);
    }
    let outer = [HashRange::of_partition(0, 3), HashRange::of_partition(2, 3)];
    let two = read(store, 0, &Scope::default(), &outer, 200).await;
    let middle = read(store, 0, &Scope::default(), &[HashRange::of_partition(1, 3)], 200).await;
    assert_eq!(two.events.len() + middle.events.len(), 200);
    let none = read(store, 0, &Scope::default(), &[], 200).await;
    assert_eq!((none.events.len(), none.reached), (0, all.reached));
}

pub async fn heavy_pages_are_cut_short(store: &dyn StorePorts) {
    let heavy = limits::BATCH_EVENT_BYTES_MAX / 4;
    for number in 1..=6 {
        // Whatever it is that is heavy.
        let metadata = |times| Some(format!("\"{}\"", "x".repeat(times)));
        let heavy = match number % 3 {
            0 => NewEvent { payload: vec![b'x'; heavy], ..event(number, "o") },
            1 => NewEvent { metadata: metadata(heavy), ..event(number, "o") },
            _ => NewEvent {
                payload: vec![b'x'; heavy / 2],
                metadata: metadata(heavy / 2),
                ..event(number, "o")
            },
        };
        store.append(&[heavy]).await.unwrap();
    }
    let first = everything(store).await;
    assert_eq!(first.events.len(), 4);
    assert_eq!(first.reached, first.events[3].position);
    let rest = read(store, first.reached.get(), &Scope::default(), &[HashRange::ALL], 100).await;
    assert_eq!(rest.events.len(), 2);
}

pub async fn long_rows_among_short_ones_are_read_in_order(store: &dyn StorePorts) {
    let long = |bytes: usize| "x".repeat(bytes);
    let events: Vec<NewEvent> = (1..=120_u64)
        .map(|number| {
            let short = event(number.into(), &format!("o-{}", number % 5));
            match number % 12 {
                3 => NewEvent { payload: long(20_000).into_bytes(), ..short },
                4 | 5 => NewEvent { payload: long(200_000).into_bytes(), ..short },
                8 => NewEvent { metadata: Some(format!("\"{}\"", long(3_000))), ..short },
                10 if number > 60 => NewEvent { payload: long(1_500_000).into_bytes(), ..short },
                _ => short,
            }
        })
        .collect();
    store.append(&events).await.unwrap();
    let upto = store.high_water_mark().await.unwrap().position.get();
    let halves = [0, 1].map(|index| HashRange::of_partition(index, 2));
    for limit in [1, 2, 7, 50, 5_000] {
        let mut seen: Vec<(u64, usize, Option<usize>)> = Vec::new();
        for ranges in [&[HashRange::ALL][..], &halves[..1], &halves[1..]] {
            let mut after = 0;
            while after < upto {
                let page = read(store, after, &Scope::default(), ranges, limit).await;
                assert!(page.events.len() <= limit && page.reached.get() > after);
                assert_eq!(page.unreadable, None);
                assert!(positions(&page).is_sorted_by(|a, b| a < b));
                seen.extend(page.events.iter().map(|event| {
                    let bytes = event.payload.as_bytes().len();
                    (event.position.get(), bytes, event.metadata.as_ref().map(String::len))
                }));
                after = page.reached.get();
            }
        }
        seen.sort_unstable();
        let expected = events.iter().zip(1..).flat_map(|(event, position)| {
            // Once for all ranges, once for its half.
            [(position, event.payload.len(), event.metadata.as_ref().map(String::len)); 2]
        });
        assert!(seen.into_iter().eq(expected), "limit {limit}");
    }
}

pub async fn an_aggregate_of_many_events_keeps_its_order(store: &dyn StorePorts) {
    let events: Vec<NewEvent> = (1..=10_000).map(|number| event(number, "one")).collect();
    store.append(&events[..9_999]).await.unwrap();
    store.append(&events[9_999..]).await.unwrap();
    let read = everything(store).await.events;
    assert_eq!(read.len(), 10_000);
    assert!(read.iter().zip(1..).all(|(event, version)| event.aggregate_version == version));
}
