//! How JSON is read where serde's own way is not that of JSON Schema: it takes a list for a table, and it does not take
//! 5.0 for a whole number. What the document of the API says is what the API takes.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserializer;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Error, MapAccess, Unexpected, Visitor};

/// A table, and nothing else.
pub fn table<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<T, D::Error> {
    struct Table<T>(PhantomData<T>);

    impl<'de, T: DeserializeOwned> Visitor<'de> for Table<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_map(Table(PhantomData))
}

/// A whole number, or nothing.
pub fn whole<'de, D: Deserializer<'de>, T: TryFrom<u64>>(deserializer: D) -> Result<Option<T>, D::Error> {
    struct Whole;

    impl<'de> Visitor<'de> for Whole {
        type Value = Option<u64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number")
        }

        fn visit_unit<E: Error>(self) -> Result<Option<u64>, E> {
            Ok(None)
        }

        fn visit_none<E: Error>(self) -> Result<Option<u64>, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<u64>, D::Error> {
            deserializer.deserialize_any(self)
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<Option<u64>, E> {
            Ok(Some(number))
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<Option<u64>, E> {
            let whole = u64::try_from(number);
            whole.map(Some).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
        }

        fn visit_f64<E: Error>(self, number: f64) -> Result<Option<u64>, E> {
            let whole = exactly(number);
            whole.map(Some).ok_or_else(|| E::invalid_value(Unexpected::Float(number), &self))
        }
    }

    let number = deserializer.deserialize_option(Whole)?;
    let fitting = number
        .map(|number| T::try_from(number).map_err(|_| D::Error::custom(format!("{number} is too large"))));
    fitting.transpose()
}

/// The whole number that a floating one is, if it is one.
fn exactly(number: f64) -> Option<u64> {
    // Above this, neighbours are further apart than 1.
    const MAX: f64 = 9_007_199_254_740_992.0;
    let whole = (0.0..=MAX).contains(&number) && number.fract() == 0.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it was found to be whole and in range"
    )]
    whole.then_some(number as u64)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Read {
        #[serde(default, deserialize_with = "whole")]
        number: Option<u32>,
    }

    fn read(text: &str) -> Result<Read, String> {
        table(&mut serde_json::Deserializer::from_str(text)).map_err(|error| error.to_string())
    }

    #[test]
    fn whole_numbers_are_taken_however_they_are_written() {
        for (text, expected) in [
            ("{}", None),
            (r#"{"number": null}"#, None),
            (r#"{"number": 0}"#, Some(0)),
            (r#"{"number": 5}"#, Some(5)),
            (r#"{"number": 5.0}"#, Some(5)),
            (r#"{"number": 4.294967295e9}"#, Some(u32::MAX)),
        ] {
            assert_eq!(read(text).unwrap().number, expected, "{text}");
        }
        for text in
            ["5.5", "-1", "-0.5", "4294967296", "1e300", "18446744073709551616", "\"5\"", "true", "[5]"]
        {
            assert!(read(&format!(r#"{{"number": {text}}}"#)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_list_is_no_table() {
        assert_eq!(read("[5]").unwrap_err(), "invalid type: sequence, expected an object at line 1 column 0");
        assert!(read("null").is_err() && read("5").is_err());
    }
}
