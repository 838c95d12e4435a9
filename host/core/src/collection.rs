//! The collections that a component declares in its descriptor: the columns and indexes that tables of its documents
//! are to have. It checks the declaration as a whole; it makes no tables.

mod path;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use self::path::{InvalidPath, fields};
use crate::limits;
use crate::name::{InvalidName, check_collection, check_column};
use crate::named::named;

/// A collection, with what its documents have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collection {
    pub name: String,
    pub columns: Vec<Column>,
    pub indexes: Vec<Index>,
}

/// A value that the documents of a collection have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    /// Where it is in a document, as [`fields`] reads it.
    pub path: String,
    pub data_type: ColumnType,
}

named! {
    /// What a column holds.
    ColumnType, "a type of columns" {
        Text = "text",
        Integer = "integer",
        Decimal = "decimal",
        Boolean = "boolean",
        Timestamp = "timestamp",
        Json = "json",
    }
}

/// Columns by which documents are looked up or sorted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Names of columns, the most significant first.
    pub columns: Vec<String>,
    /// Whether no two documents may have the same values in them.
    pub unique: bool,
}

/// Collections that cannot be declared. Parts without a valid name are named by their number, from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCollections {
    #[error("it declares {given} collections; at most {max} are allowed", max = limits::DECLARED_COLLECTIONS_MAX)]
    TooManyCollections { given: usize },
    #[error(
        "its collections have {given} columns together; at most {max} are allowed",
        max = limits::DECLARED_COLUMNS_MAX
    )]
    TooManyColumns { given: usize },
    #[error(
        "its collections have {given} indexes together; at most {max} are allowed",
        max = limits::DECLARED_INDEXES_MAX
    )]
    TooManyIndexes { given: usize },
    #[error("collection {number}: {error}")]
    Name { number: usize, error: InvalidName },
    #[error("it declares the collection `{collection}` twice: put all columns and indexes into one")]
    Twice { collection: String },
    #[error("column {number} of the collection `{collection}`: {error}")]
    ColumnName { collection: String, number: usize, error: InvalidName },
    #[error("the collection `{collection}` has two columns `{column}`: give one of them another name")]
    ColumnTwice { collection: String, column: String },
    #[error("column `{column}` of the collection `{collection}`: {error}")]
    Path { collection: String, column: String, error: InvalidPath },
    #[error("index {number} of the collection `{collection}` {problem}")]
    Index { collection: String, number: usize, problem: InvalidIndex },
}

/// An index that cannot be declared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIndex {
    #[error("has no columns: name at least one")]
    Empty,
    #[error("has {given} columns; at most {max} are allowed", max = limits::INDEX_COLUMNS_MAX)]
    TooManyColumns { given: usize },
    #[error("names `{column}`, which is no column of it: declare the column, or name {columns}")]
    UnknownColumn { column: String, columns: String },
    #[error("names the column `{column}` twice: name it once")]
    ColumnTwice { column: String },
    #[error("names `{column}`, which holds JSON and has no order: index a column of another type")]
    Json { column: String },
    #[error("has the same columns as index {of}: remove one of the two")]
    Twice { of: usize },
}

/// Checks a declaration: names, paths, indexes, and how many there are of each.
///
/// # Errors
///
/// The first part that is not valid, and what to do about it.
pub fn check(collections: &[Collection]) -> Result<(), InvalidCollections> {
    let (columns, indexes) = collections.iter().fold((0, 0), |(columns, indexes), collection| {
        (columns + collection.columns.len(), indexes + collection.indexes.len())
    });
    if collections.len() > limits::DECLARED_COLLECTIONS_MAX {
        return Err(InvalidCollections::TooManyCollections { given: collections.len() });
    }
    if columns > limits::DECLARED_COLUMNS_MAX {
        return Err(InvalidCollections::TooManyColumns { given: columns });
    }
    if indexes > limits::DECLARED_INDEXES_MAX {
        return Err(InvalidCollections::TooManyIndexes { given: indexes });
    }
    let mut names = BTreeSet::new();
    for (number, collection) in (1..).zip(collections) {
        check_collection(&collection.name).map_err(|error| InvalidCollections::Name { number, error })?;
        if !names.insert(&collection.name) {
            return Err(InvalidCollections::Twice { collection: limits::excerpt(&collection.name) });
        }
        check_columns(collection)?;
        for (number, index) in (1..).zip(&collection.indexes) {
            check_index(collection, number, index).map_err(|problem| InvalidCollections::Index {
                collection: limits::excerpt(&collection.name),
                number,
                problem,
            })?;
        }
    }
    Ok(())
}

fn check_columns(declared: &Collection) -> Result<(), InvalidCollections> {
    let collection = || limits::excerpt(&declared.name);
    let mut names = BTreeSet::new();
    for (number, column) in (1..).zip(&declared.columns) {
        check_column(&column.name).map_err(|error| InvalidCollections::ColumnName {
            collection: collection(),
            number,
            error,
        })?;
        if !names.insert(&column.name) {
            return Err(InvalidCollections::ColumnTwice {
                collection: collection(),
                column: column.name.clone(),
            });
        }
        fields(&column.path).map_err(|error| InvalidCollections::Path {
            collection: collection(),
            column: column.name.clone(),
            error,
        })?;
    }
    Ok(())
}

fn check_index(collection: &Collection, number: usize, index: &Index) -> Result<(), InvalidIndex> {
    if index.columns.is_empty() {
        return Err(InvalidIndex::Empty);
    }
    if index.columns.len() > limits::INDEX_COLUMNS_MAX {
        return Err(InvalidIndex::TooManyColumns { given: index.columns.len() });
    }
    let mut names = BTreeSet::new();
    for name in &index.columns {
        let Some(column) = collection.columns.iter().find(|column| column.name == *name) else {
            let (column, columns) = (limits::excerpt(name), listed(&collection.columns));
            return Err(InvalidIndex::UnknownColumn { column, columns });
        };
        if column.data_type == ColumnType::Json {
            return Err(InvalidIndex::Json { column: name.clone() });
        }
        if !names.insert(name) {
            return Err(InvalidIndex::ColumnTwice { column: name.clone() });
        }
    }
    let before = collection.indexes.iter().take(number - 1).position(|other| other.columns == index.columns);
    before.map_or(Ok(()), |before| Err(InvalidIndex::Twice { of: before + 1 }))
}

/// At most so many columns are named in an error.
const COLUMNS_NAMED_MAX: usize = 8;

fn listed(columns: &[Column]) -> String {
    let names = columns.iter().take(COLUMNS_NAMED_MAX).map(|column| format!("`{}`", column.name));
    let names = names.collect::<Vec<_>>().join(", ");
    match columns.len() {
        0 => "another one".to_owned(),
        count if count > COLUMNS_NAMED_MAX => format!("one of {names}, … ({count} of them)"),
        _ => format!("one of {names}"),
    }
}
