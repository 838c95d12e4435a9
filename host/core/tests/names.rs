//! Names, digests, partitions and the cutting of text, each against its rule in the plainest form.

use kennel_core::digest::Digest;
use kennel_core::limits;
use kennel_core::name::{ProjectionName, ReplicaSet, check_collection, check_key};
use kennel_core::partition::{self, HASH_SPACE, HashRange};
use proptest::prelude::*;

/// Text that is often nearly a name.
fn nearly_a_name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z][a-z0-9_-]{0,60}", "[a-zA-Z0-9_. -]{0,50}", "\\PC{0,20}", ".{0,200}"]
}

fn is_a_name(text: &str) -> bool {
    let allowed = "abcdefghijklmnopqrstuvwxyz0123456789-_";
    let first = text.chars().next();
    first.is_some_and(|first| first.is_ascii_lowercase())
        && text.chars().all(|c| allowed.contains(c))
        && text.chars().count() <= 48
}

/// A name of a collection or a key of a document: not empty, not too long, no NUL.
fn is_text_up_to(text: &str, bytes_max: usize) -> bool {
    (1..=bytes_max).contains(&text.len()) && !text.contains('\0')
}

fn range() -> impl Strategy<Value = HashRange> {
    let edge = || prop_oneof![0..=HASH_SPACE, 0..=8_u64, HASH_SPACE - 8..=HASH_SPACE];
    (edge(), edge()).prop_filter_map("empty", |(start, end)| HashRange::new(start.min(end), start.max(end)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_name_is_accepted_exactly_if_it_follows_the_rule(text in nearly_a_name()) {
        let parsed = text.parse::<ProjectionName>();
        prop_assert_eq!(parsed.is_ok(), is_a_name(&text));
        prop_assert_eq!(text.parse::<ReplicaSet>().is_ok(), is_a_name(&text));
        let json = serde_json::to_string(&text).unwrap();
        let from_json = serde_json::from_str::<ProjectionName>(&json);
        prop_assert_eq!(from_json.is_ok(), is_a_name(&text), "JSON is no back door");
        match parsed {
            Ok(name) => {
                prop_assert_eq!(name.as_str(), &text);
                prop_assert_eq!(name.to_string(), text);
                prop_assert_eq!(serde_json::to_string(&name).unwrap(), json);
            }
            Err(error) => {
                let message = error.to_string();
                prop_assert!(message.len() < 1000, "{} bytes", message.len());
                prop_assert!(!message.contains(char::is_control), "{message}");
            }
        }
    }

    #[test]
    fn collections_and_keys_are_any_text_of_bounded_length(
        text in prop_oneof![".{0,8}", "\\PC{60,70}", ".{190,210}", "[a-z]{1020,1030}", "ä{99,101}", "ä{511,513}"],
        nul in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut text = text;
        if let Some(nul) = nul {
            text.insert(limits::cut(&text, nul.index(text.len() + 1)).len(), '\0');
        }
        prop_assert_eq!(check_collection(&text).is_ok(), is_text_up_to(&text, 200));
        prop_assert_eq!(check_key(&text).is_ok(), is_text_up_to(&text, 1024));
    }

    #[test]
    fn a_digest_survives_text(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let digest = Digest::of(&bytes);
        let text = digest.to_string();
        prop_assert_eq!(text.parse(), Ok(digest));
        prop_assert_eq!(text.to_uppercase().parse(), Ok(digest));
        prop_assert!(text.starts_with(&digest.short()));
        prop_assert_eq!(format!("{digest:?}"), text);
    }

    #[test]
    fn only_64_hexadecimal_digits_are_a_digest(text in prop_oneof!["[0-9a-f]{62}[+-][0-9a-f]", "[0-9a-f ]{64}", "[0-9a-fA-F]{60,68}", "\\PC{64}", "ä{32}"]) {
        let is_digest = text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit());
        prop_assert_eq!(text.parse::<Digest>().is_ok(), is_digest, "{}", text);
    }

    #[test]
    fn every_point_lies_in_exactly_one_partition(count in 1..3000_u32, id in ".{0,20}", points in prop::collection::vec(any::<u32>(), 8)) {
        for point in points.into_iter().chain([0, u32::MAX, partition::hash(&id)]) {
            let owners = (0..count).filter(|index| HashRange::of_partition(*index, count).contains(point)).count();
            prop_assert_eq!(owners, 1, "point {} of {} partitions", point, count);
        }
    }

    #[test]
    fn partitions_are_of_one_size(count in 1..=u32::MAX, index in any::<prop::sample::Index>()) {
        let index = u32::try_from(index.index(usize::try_from(count).unwrap())).unwrap();
        let range = HashRange::of_partition(index, count);
        let share = HASH_SPACE / u64::from(count);
        prop_assert!((share..=share + 1).contains(&(range.end() - range.start())));
        let last = HashRange::of_partition(count - 1, count);
        prop_assert_eq!((HashRange::of_partition(0, count).start(), last.end()), (0, HASH_SPACE));
    }

    #[test]
    fn an_intersection_holds_what_both_hold(left in range(), right in range(), point in any::<u32>()) {
        let both = left.intersection(right);
        prop_assert_eq!(both, right.intersection(left));
        prop_assert_eq!(left.intersection(HashRange::ALL), Some(left));
        for point in [point, 0, 1, 7, u32::MAX - 7, u32::MAX] {
            let expected = left.contains(point) && right.contains(point);
            prop_assert_eq!(both.is_some_and(|both| both.contains(point)), expected);
        }
    }

    #[test]
    fn an_empty_range_or_one_outside_the_hash_space_is_none(start in 0..=HASH_SPACE + 2, end in 0..=HASH_SPACE + 2) {
        prop_assert_eq!(HashRange::new(start, end).is_some(), start < end && end <= HASH_SPACE);
        prop_assert_eq!(HashRange::new(start, start), None);
        prop_assert_eq!(HashRange::new(0, HASH_SPACE + 1 + end), None);
    }

    #[test]
    fn a_single_projection_has_a_partition_at_any_count(name in "[a-z][a-z0-9_-]{0,47}", count in 1..=u32::MAX) {
        let name: ProjectionName = name.parse().unwrap();
        prop_assert!(partition::of_single(&name, count) < count);
        prop_assert_eq!(partition::of_single(&name, 1), 0);
    }

    #[test]
    fn a_cut_keeps_as_many_whole_characters_as_fit(text in "\\PC{0,40}", bytes_max in 0..100_usize) {
        let mut expected = String::new();
        for c in text.chars() {
            if expected.len() + c.len_utf8() > bytes_max {
                break;
            }
            expected.push(c);
        }
        prop_assert_eq!(limits::cut(&text, bytes_max), expected);
    }

    #[test]
    fn an_excerpt_is_one_short_line(text in prop_oneof![".{0,80}", "[ -~]{55,65}", "(?s).{0,80}"]) {
        let excerpt = limits::excerpt(&text);
        prop_assert!(!excerpt.contains(char::is_control), "{excerpt:?}");
        prop_assert_eq!(excerpt.ends_with('…'), text.chars().count() > 60 || text.ends_with('…'));
        let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || c == ' ');
        if plain && text.len() <= 60 {
            prop_assert_eq!(excerpt, text);
        }
    }
}
