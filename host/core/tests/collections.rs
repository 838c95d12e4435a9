//! What a component may declare of its collections: each rule at its bound, and the message of each fault.

use kennel_core::collection::{Collection, Column, ColumnType, Index, check, fields};
use kennel_core::limits;
use kennel_core::name::RESERVED_COLUMNS;
use proptest::prelude::*;

fn column(name: &str, path: &str) -> Column {
    Column { name: name.to_owned(), path: path.to_owned(), data_type: ColumnType::Text }
}

fn index(columns: &[&str]) -> Index {
    Index { columns: columns.iter().map(|name| (*name).to_owned()).collect(), unique: false }
}

/// `orders` with the columns `city` and `net`, and `raw`, which holds JSON.
fn orders(columns: Vec<Column>, indexes: Vec<Index>) -> Collection {
    let raw = Column { data_type: ColumnType::Json, ..column("raw", "raw") };
    let known = [column("city", "customer.city"), column("net", "net"), raw];
    Collection { name: "orders".to_owned(), columns: known.into_iter().chain(columns).collect(), indexes }
}

fn numbered(count: usize) -> Vec<Column> {
    (0..count).map(|number| column(&format!("c{number}"), "a")).collect()
}

#[test]
fn a_declaration_within_the_rules_is_valid() {
    assert_eq!(check(&[]), Ok(()));
    let indexes = vec![index(&["city", "net"]), index(&["net", "city"]), index(&["net"])];
    assert_eq!(check(&[orders(vec![column("more", "customer.city")], indexes)]), Ok(()));
    let name = |number| format!("{number:0>200}");
    let bare = |number| Collection { name: name(number), columns: Vec::new(), indexes: Vec::new() };
    let all: Vec<Collection> = (0..limits::DECLARED_COLLECTIONS_MAX).map(bare).collect();
    assert_eq!(check(&all), Ok(()));
    assert_eq!(check(&[orders(numbered(limits::DECLARED_COLUMNS_MAX - 3), Vec::new())]), Ok(()));
    let columns = numbered(limits::INDEX_COLUMNS_MAX);
    let widest = columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>();
    assert_eq!(check(&[orders(columns.clone(), vec![index(&widest)])]), Ok(()));
    assert_eq!(check(&[orders(vec![column(&"a".repeat(48), &"a".repeat(200))], Vec::new())]), Ok(()));
}

/// The message for a declaration that is not valid.
fn message(collections: &[Collection]) -> String {
    check(collections).expect_err("it is not valid").to_string()
}

#[test]
fn too_many_parts_are_counted() {
    let bare =
        |number: usize| Collection { name: number.to_string(), columns: Vec::new(), indexes: Vec::new() };
    let collections: Vec<Collection> = (0..101).map(bare).collect();
    assert_eq!(message(&collections), "it declares 101 collections; at most 100 are allowed");
    let columns = message(&[orders(numbered(498), Vec::new())]);
    assert_eq!(columns, "its collections have 501 columns together; at most 500 are allowed");
    let indexes = message(&[orders(Vec::new(), (0..101).map(|_| index(&["net"])).collect())]);
    assert_eq!(indexes, "its collections have 101 indexes together; at most 100 are allowed");
    let wide = numbered(17);
    let names: Vec<&str> = wide.iter().map(|column| column.name.as_str()).collect();
    let wide_index = message(&[orders(wide.clone(), vec![index(&names)])]);
    assert_eq!(wide_index, "index 1 of the collection `orders` has 17 columns; at most 16 are allowed");
}

#[test]
fn a_name_that_is_not_valid_is_named_with_its_rule() {
    let bare = |name: &str| Collection { name: name.to_owned(), columns: Vec::new(), indexes: Vec::new() };
    assert_eq!(
        message(&[bare("a"), bare("")]),
        "collection 2: `` is not a valid collection name: use 1 to 200 bytes of text without NUL"
    );
    assert_eq!(
        message(&[bare("a"), bare("a")]),
        "it declares the collection `a` twice: put all columns and indexes into one"
    );
    let with_column = |name: &str| message(&[orders(vec![column(name, "a")], Vec::new())]);
    let rule = "use 1 to 48 lower-case letters, digits or `_`, starting with a letter";
    for name in ["", "1a", "_a", "a-b", "Total", "ä", &"a".repeat(49)] {
        let expected =
            format!("column 4 of the collection `orders`: `{name}` is not a valid column name: {rule}");
        assert_eq!(with_column(name), expected);
    }
    for name in RESERVED_COLUMNS {
        let taken = "tables have a column of this name already, so use another one";
        assert!(
            with_column(name).ends_with(&format!("`{name}` is not a valid column name: {taken}")),
            "{name}"
        );
    }
    let twice = "the collection `orders` has two columns `city`: give one of them another name";
    assert_eq!(with_column("city"), twice);
    assert_eq!(
        message(&[orders(vec![column("first", "items[0]")], Vec::new())]),
        "column `first` of the collection `orders`: its path `items[0]` has `[` in a field: a name of other characters \
         than letters of ASCII, digits, `_` and `-` is written as a JSON string, as in `\"unit.price\".net`"
    );
}

#[test]
fn an_index_names_columns_that_it_can_have() {
    for (columns, expected) in [
        (&[][..], "has no columns: name at least one"),
        (
            &["city", "town"],
            "names `town`, which is no column of it: declare the column, or name one of `city`, `net`, `raw`",
        ),
        (&["city", "city"], "names the column `city` twice: name it once"),
        (&["raw"], "names `raw`, which holds JSON and has no order: index a column of another type"),
        (&["net"], "has the same columns as index 1: remove one of the two"),
    ] {
        let message = message(&[orders(Vec::new(), vec![index(&["net"]), index(columns)])]);
        assert_eq!(message, format!("index 2 of the collection `orders` {expected}"));
    }
    let bare = Collection { name: "a".to_owned(), columns: Vec::new(), indexes: vec![index(&["b"])] };
    assert_eq!(
        message(&[bare]),
        "index 1 of the collection `a` names `b`, which is no column of it: declare the column, or name another one"
    );
}

#[test]
fn a_path_is_read_field_by_field() {
    let long = "a".repeat(200);
    let deep = ["a"; 16].join(".");
    for (path, expected) in [
        ("customer", vec!["customer"]),
        ("customer.address.city", vec!["customer", "address", "city"]),
        ("prices.\"net.eur\"", vec!["prices", "net.eur"]),
        ("\"größe\".\"\".x-Y_9", vec!["größe", "", "x-Y_9"]),
        ("\"a\\\"b\\\\\\u00e9\\ud83d\\ude00\"", vec!["a\"b\\é😀"]),
        (long.as_str(), vec![long.as_str()]),
        (deep.as_str(), vec!["a"; 16]),
    ] {
        assert_eq!(fields(path).unwrap(), expected, "{path}");
    }
}

#[test]
fn a_path_that_is_none_says_why() {
    let (long, deep) = ("a".repeat(201), ["a"; 17].join("."));
    for (path, expected) in [
        ("", "its path is empty"),
        (long.as_str(), "its path has 201 bytes; at most 200 are allowed"),
        (deep.as_str(), "leads through more than 16 fields"),
        (".a", "has an empty field"),
        ("a.", "has an empty field"),
        ("a..b", "has an empty field"),
        ("a b", "has ` ` in a field"),
        ("größe", "has `ö` in a field"),
        ("$.a", "has `$` in a field"),
        ("a\"b\"", "has `\"` in a field"),
        ("\"a", "is not a JSON string: EOF while parsing a string"),
        ("\"\\x\"", "is not a JSON string: invalid escape"),
        ("\"\\ud800\"", "is not a JSON string"),
        ("\"\\u0000\"", "the character NUL"),
        ("\"a\"b", "needs a dot after a field in quotes"),
        ("\"a\" .b", "needs a dot after a field in quotes"),
    ] {
        let error = fields(path).unwrap_err().to_string();
        assert!(error.contains(expected), "{path}: {error}");
    }
}

proptest! {
    /// A field may have any name without NUL: written as a JSON string it is read as it was.
    #[test]
    fn any_names_can_be_written(names in prop::collection::vec("[^\\x00]{0,6}", 1..8)) {
        let written: Vec<String> = names.iter().map(|name| serde_json::to_string(name).unwrap()).collect();
        let path = written.join(".");
        prop_assume!(path.len() <= limits::COLUMN_PATH_BYTES_MAX);
        prop_assert_eq!(fields(&path).unwrap(), names);
    }

    #[test]
    fn no_text_is_read_in_two_ways(path in "[a\".\\\\ ]{0,12}") {
        if let Ok(names) = fields(&path) {
            let written: Vec<String> = names.iter().map(|name| serde_json::to_string(name).unwrap()).collect();
            prop_assert_eq!(fields(&written.join(".")).unwrap(), names);
        }
    }
}
