//! The collections that the component of a deployment declares, as they are shown. Nothing is made of them yet.

use kennel_core::collection::{Collection, ColumnType};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A collection of which a component declares columns and indexes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CollectionView {
    pub name: String,
    pub columns: Vec<ColumnView>,
    pub indexes: Vec<IndexView>,
}

/// A value that the documents of a collection have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ColumnView {
    pub name: String,
    /// Where it is in a document: names of fields, joined by dots.
    pub path: String,
    /// `text`, `integer`, `decimal`, `boolean`, `timestamp` or `json`.
    #[schema(value_type = String)]
    pub data_type: ColumnType,
}

/// Columns by which documents are looked up or sorted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IndexView {
    /// The most significant first.
    pub columns: Vec<String>,
    /// Whether no two documents may have the same values in them.
    pub unique: bool,
}

impl From<&Collection> for CollectionView {
    fn from(declared: &Collection) -> Self {
        let columns = declared.columns.iter().map(|column| ColumnView {
            name: column.name.clone(),
            path: column.path.clone(),
            data_type: column.data_type,
        });
        let indexes = declared.indexes.iter();
        let indexes = indexes.map(|index| IndexView { columns: index.columns.clone(), unique: index.unique });
        Self { name: declared.name.clone(), columns: columns.collect(), indexes: indexes.collect() }
    }
}
