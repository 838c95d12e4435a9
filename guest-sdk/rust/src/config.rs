//! Settings that the operator gave the deployment. They stay the same as long as the deployment lives.

use std::fmt::Display;
use std::str::FromStr;

use crate::{Failure, sys};

/// The setting's value, or none.
#[must_use]
pub fn get(key: &str) -> Option<String> {
    sys::setting(key)
}

/// The setting's value as a number, a flag or any other type that can be read from text, or none.
///
/// # Errors
///
/// [`Failure::Reject`] when there is a value that cannot be read as a `T`.
pub fn parsed<T: FromStr>(key: &str) -> Result<Option<T>, Failure>
where
    T::Err: Display,
{
    let Some(value) = get(key) else { return Ok(None) };
    match value.parse() {
        Ok(parsed) => Ok(Some(parsed)),
        Err(error) => Err(Failure::reject(format!(
            "the setting {key} = {value:?} cannot be read as {}: {error}",
            std::any::type_name::<T>()
        ))),
    }
}
