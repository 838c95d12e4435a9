//! How the values of flags are read, where the library's own messages would not help.

use std::num::NonZeroUsize;

pub(super) use crate::config::address;
use kennel::settings::batch_size;

use crate::config::connections as budget;

/// `--batch`.
pub(super) fn batch(text: &str) -> Result<usize, String> {
    batch_size(whole(text)?)
}

/// `--workers`.
pub(super) fn workers(text: &str) -> Result<NonZeroUsize, String> {
    NonZeroUsize::new(whole(text)?).ok_or_else(|| "at least 1 is needed".to_owned())
}

/// `--connections`.
pub(super) fn connections(text: &str) -> Result<u32, String> {
    budget(i64::try_from(whole(text)?).unwrap_or(i64::MAX))
}

/// `--set`.
pub(super) fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("use KEY=VALUE, such as currency=EUR".to_owned()),
    }
}

fn whole(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "use a whole number".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_values_are_taken_and_invalid_ones_reported() {
        assert_eq!(batch("10000"), Ok(10_000));
        assert_eq!(batch("10001").unwrap_err(), "a batch has 1 to 10000 events, not 10001");
        assert_eq!(workers("0").unwrap_err(), "at least 1 is needed");
        assert_eq!(workers("-1").unwrap_err(), "use a whole number");
        assert_eq!(connections("4"), Ok(4));
        assert!(
            connections("3")
                .unwrap_err()
                .starts_with("a process that runs projections needs 4 to 1000 connections")
        );
        assert_eq!(setting("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(setting("a="), Ok(("a".to_owned(), String::new())));
        assert!(setting("=b").is_err());
        assert!(address("localhost:9090").unwrap_err().contains("127.0.0.1:9090"));
        assert!(address("[::1]:0").is_ok());
    }
}
