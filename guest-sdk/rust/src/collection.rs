//! The columns and indexes that a projection declares of its collections. The host checks them when the component is
//! deployed, stores and shows them; tables with these columns and indexes are made by a later version of the host.

/// What a column holds. A field that is missing from a document, or null, leaves it empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// A JSON string.
    Text,
    /// A JSON number without a fraction that fits an `i64`.
    Integer,
    /// A JSON number with all its digits.
    Decimal,
    /// `true` or `false`.
    Boolean,
    /// A JSON string with a date and a time as RFC 3339 writes them.
    Timestamp,
    /// Any JSON value. No index may name the column.
    Json,
}

/// A value that the documents of a collection have.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Where it is in a document.
    pub path: String,
    /// What it holds.
    pub data_type: ColumnType,
}

/// Columns by which documents are looked up or sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Index {
    /// Names of columns, the most significant first.
    pub columns: Vec<String>,
    /// Whether no two documents may have the same values in them.
    pub unique: bool,
}

/// The declaration of a collection.
///
/// ```
/// use kennel_guest::{Collection, ColumnType, Descriptor};
///
/// let orders = Collection::new("orders")
///     .column("number", "number", ColumnType::Text)
///     .column("city", "customer.address.city", ColumnType::Text)
///     .column("net", r#"prices."net.eur""#, ColumnType::Decimal)
///     .index(["city", "net"])
///     .unique_index(["number"]);
/// let descriptor = Descriptor::new("order-summary", "1.0.0").collection(orders);
/// assert_eq!(descriptor.collections[0].columns.len(), 3);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Collection {
    /// The name under which its documents are written.
    pub name: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its indexes.
    pub indexes: Vec<Index>,
}

impl Collection {
    /// A collection without columns and indexes.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), columns: Vec::new(), indexes: Vec::new() }
    }

    /// Adds a column: 1 to 48 lower-case letters, digits and `_`, for the value at a path.
    ///
    /// The path is the names of the fields that lead to the value from the top of the document, joined by dots. A name
    /// of other characters than letters of ASCII, digits, `_` and `-` is written as a JSON string.
    #[must_use]
    pub fn column(mut self, name: impl Into<String>, path: impl Into<String>, data_type: ColumnType) -> Self {
        self.columns.push(Column { name: name.into(), path: path.into(), data_type });
        self
    }

    /// Adds an index of these columns, the most significant first.
    #[must_use]
    pub fn index<S: Into<String>>(self, columns: impl IntoIterator<Item = S>) -> Self {
        self.indexed(columns, false)
    }

    /// Adds an index of columns in which no two documents may have the same values.
    #[must_use]
    pub fn unique_index<S: Into<String>>(self, columns: impl IntoIterator<Item = S>) -> Self {
        self.indexed(columns, true)
    }

    fn indexed<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>, unique: bool) -> Self {
        let columns = columns.into_iter().map(Into::into).collect();
        self.indexes.push(Index { columns, unique });
        self
    }
}
