//! The Rust SDK's text of a moment beside the host's, and back.

use kennel_core::timestamp::Timestamp as Hosts;
use kennel_guest::Timestamp;
use proptest::prelude::*;

/// The host writes a fraction with as many digits as it needs, SDKs with 3, 6 or 9.
fn with_groups(text: &str) -> String {
    let Some((whole, fraction)) = text.trim_end_matches('Z').split_once('.') else { return text.to_owned() };
    let digits = fraction.len().next_multiple_of(3);
    format!("{whole}.{fraction:0<digits$}Z")
}

/// Any moment that the host takes, many of them with a short fraction and around the ends of years.
fn moments() -> impl Strategy<Value = (i64, u32)> {
    let nanoseconds = prop_oneof![Just(0), (0..1000_u32).prop_map(|ms| ms * 1_000_000), 0..1_000_000_000_u32];
    let anywhere = Hosts::MIN.seconds()..=Hosts::MAX.seconds();
    let new_years = (-4712..9999_i64, -2..2_i64).prop_map(|(year, near)| {
        let days = (year - 1970) * 365 + (year - 1969).div_euclid(4) - (year - 1901).div_euclid(100)
            + (year - 1601).div_euclid(400);
        days * 86_400 + near
    });
    (prop_oneof![anywhere, new_years], nanoseconds)
}

proptest! {
    #[test]
    fn the_text_is_the_hosts_with_digits_in_groups((seconds, nanoseconds) in moments()) {
        let host = Hosts::new(seconds, nanoseconds).expect("less than a second");
        let text = Timestamp { seconds, nanoseconds }.to_rfc3339();
        prop_assert_eq!(&text, &with_groups(&host.to_string()));
        prop_assert_eq!(Hosts::parse(&text), Some(host));
    }

    #[test]
    fn text_is_read_as_the_host_reads_it(
        (seconds, nanoseconds) in moments(), minutes in -1439..1440_i64, junk in "[0-9TZ:.+-]{0,3}",
    ) {
        let host = Hosts::new(seconds, nanoseconds).expect("less than a second").to_string();
        let (sign, east) = (if minutes < 0 { '-' } else { '+' }, minutes.unsigned_abs());
        let local = format!("{}{sign}{:02}:{:02}", host.trim_end_matches('Z'), east / 60, east % 60);
        for text in [host.clone(), local, format!("{host}{junk}")] {
            let found = text.parse().ok().map(|found: Timestamp| (found.seconds, found.nanoseconds));
            let hosts = Hosts::parse(&text).map(|found| (found.seconds(), found.nanoseconds()));
            prop_assert_eq!(found, hosts, "{}", text);
        }
    }
}
