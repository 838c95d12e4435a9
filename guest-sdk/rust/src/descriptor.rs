//! What a projection says of itself. The host reads it once, when the component is deployed.

use crate::Collection;

/// How the work of a projection may be divided among workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Partitioning {
    /// By the hash of the aggregate id: many workers, order kept per aggregate.
    #[default]
    ByAggregate,
    /// One worker at a time handles everything, in the order of the log.
    Single,
}

/// A projection's name, version and scope: which events it handles.
///
/// An empty list means all; lists are combined with "and".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Descriptor {
    /// A name for people. What counts is the name it is deployed under.
    pub name: String,
    /// The version of the projection's code, for people.
    pub version: String,
    /// Only events of these parts of the business.
    pub bounded_contexts: Vec<String>,
    /// Only events of these kinds of aggregate.
    pub aggregate_types: Vec<String>,
    /// Only events of these types.
    pub event_types: Vec<String>,
    /// How the work may be divided.
    pub partitioning: Partitioning,
    /// The collections of which columns and indexes are declared.
    pub collections: Vec<Collection>,
}

impl Descriptor {
    /// A projection of all events, divided by aggregate.
    #[must_use]
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self { name: name.into(), version: version.into(), ..Self::default() }
    }

    /// Asks only for events of these parts of the business.
    #[must_use]
    pub fn bounded_contexts<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.bounded_contexts.extend(names.into_iter().map(Into::into));
        self
    }

    /// Asks only for events of these kinds of aggregate.
    #[must_use]
    pub fn aggregate_types<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.aggregate_types.extend(names.into_iter().map(Into::into));
        self
    }

    /// Asks only for events of these types.
    #[must_use]
    pub fn event_types<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.event_types.extend(names.into_iter().map(Into::into));
        self
    }

    /// Asks for one worker at a time, which handles all events in the order of the log. Choose it only
    /// when the order *between* aggregates matters: it cannot be spread over workers.
    #[must_use]
    pub fn single(mut self) -> Self {
        self.partitioning = Partitioning::Single;
        self
    }

    /// Declares columns and indexes of a collection. Collections that are not declared hold documents all the same.
    #[must_use]
    pub fn collection(mut self, collection: Collection) -> Self {
        self.collections.push(collection);
        self
    }
}
