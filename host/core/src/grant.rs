//! Grants: what a guest can do only if the operator allows it to a deployment. Which grants there are is the runtime's
//! to say; here settings are compared with that, and with what a component needs.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::limits;

/// An import that takes a grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NeededGrant {
    /// The import, such as `wasi:http/outgoing-handler@0.2.0`.
    pub import: String,
    /// The name of the grant, such as `http`.
    pub grant: String,
}

/// Settings with the wrong grants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    #[error("`{}` is not a grant that this host knows; {}", limits::excerpt(.grant), rendered(.known))]
    Unknown { grant: String, known: Vec<&'static str> },
    #[error(
        "the component imports `{}`, which takes the grant `{}`: add it to `grants` in the settings",
        .0.import, .0.grant
    )]
    Missing(NeededGrant),
}

/// Whether all that is granted is known, and all that is needed is granted. A grant that is not needed is allowed: the
/// next component of the projection may need it.
pub fn check(
    granted: &BTreeSet<String>,
    known: &[&'static str],
    needed: &[NeededGrant],
) -> Result<(), GrantError> {
    if let Some(grant) = granted.iter().find(|grant| !known.contains(&grant.as_str())) {
        return Err(GrantError::Unknown { grant: grant.clone(), known: known.to_vec() });
    }
    match needed.iter().find(|needed| !granted.contains(&needed.grant)) {
        Some(missing) => Err(GrantError::Missing(missing.clone())),
        None => Ok(()),
    }
}

fn rendered(known: &[&str]) -> String {
    match known {
        [] => "it has none to give: leave `grants` empty".to_owned(),
        known => format!("known grants: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(grants: &[&str]) -> BTreeSet<String> {
        grants.iter().map(|grant| (*grant).to_owned()).collect()
    }

    #[test]
    fn needed_grants_have_to_be_given_and_given_ones_to_be_known() {
        let http =
            NeededGrant { import: "wasi:http/outgoing-handler@0.2.0".to_owned(), grant: "http".to_owned() };
        let needed = [http];
        let message = |granted: &[&str], known: &[&'static str], needed: &[NeededGrant]| {
            check(&set(granted), known, needed).err().map(|error| error.to_string())
        };
        assert_eq!(message(&[], &[], &[]), None);
        assert_eq!(message(&["http"], &["http", "queue"], &needed), None);
        assert_eq!(message(&["http", "queue"], &["http", "queue"], &needed), None);
        assert_eq!(
            message(&["queue"], &["http", "queue"], &needed).as_deref(),
            Some(
                "the component imports `wasi:http/outgoing-handler@0.2.0`, which takes the grant `http`: add it to \
                 `grants` in the settings"
            )
        );
        assert_eq!(
            message(&["htpp"], &["http", "queue"], &needed).as_deref(),
            Some("`htpp` is not a grant that this host knows; known grants: http, queue")
        );
        assert_eq!(
            message(&["http"], &[], &[]).as_deref(),
            Some("`http` is not a grant that this host knows; it has none to give: leave `grants` empty")
        );
    }
}
