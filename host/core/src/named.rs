//! Enums whose variants have one name each: the same in stores, in reports, over HTTP and in configuration.

/// Declares such an enum, with its names in one place: `as_str`, `Display`, `FromStr`, serde and `ALL` follow from it.
macro_rules! named {
    ($(#[$meta:meta])* $name:ident, $what:literal { $($(#[$variant_meta:meta])* $variant:ident = $value:literal,)* }) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
        )]
        pub enum $name { $($(#[$variant_meta])* #[serde(rename = $value)] $variant,)* }

        impl $name {
            /// All of them, in the order of their declaration.
            pub const ALL: [Self; [$($value),*].len()] = [$(Self::$variant),*];

            /// The name used in stores and reports.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $value,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::named::UnknownValue;
            fn from_str(given: &str) -> Result<Self, $crate::named::UnknownValue> {
                Self::ALL.into_iter().find(|known| known.as_str() == given).ok_or_else(|| {
                    $crate::named::UnknownValue::new(given, $what, &[$($value),*])
                })
            }
        }
    };
}
pub(crate) use named;

/// A value that is none of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not {what}: use {known}")]
pub struct UnknownValue {
    given: String,
    what: &'static str,
    known: String,
}

impl UnknownValue {
    pub(crate) fn new(given: &str, what: &'static str, known: &[&str]) -> Self {
        let known = match known {
            [others @ .., last] if !others.is_empty() => format!("`{}` or `{last}`", others.join("`, `")),
            known => format!("`{}`", known.join("")),
        };
        Self { given: given.to_owned(), what, known }
    }
}

#[cfg(test)]
#[expect(unreachable_pub, reason = "the macro declares what other modules use")]
mod tests {
    named! {
        /// How soon.
        #[derive(Default)]
        Urgency, "an urgency" {
            #[default]
            AtOnce = "at-once",
            Later = "later",
        }
    }

    #[test]
    fn a_name_is_the_same_everywhere() {
        assert_eq!(Urgency::default(), Urgency::AtOnce);
        for (urgency, name) in Urgency::ALL.into_iter().zip(["at-once", "later"]) {
            assert_eq!((urgency.as_str(), format!("{urgency:>8}")), (name, format!("{name:>8}")));
            assert_eq!(name.parse(), Ok(urgency));
            assert_eq!(serde_json::to_string(&urgency).unwrap(), format!("\"{name}\""));
            assert_eq!(serde_json::from_str::<Urgency>(&format!("\"{name}\"")).unwrap(), urgency);
        }
        let unknown = "never".parse::<Urgency>().unwrap_err();
        assert_eq!(unknown.to_string(), "`never` is not an urgency: use `at-once` or `later`");
    }
}
