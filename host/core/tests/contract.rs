//! The documentation of the contract with guests is true: every bound in it is the constant that the host obeys.

use std::collections::BTreeMap;

use kennel_core::document::Unfit;
use kennel_core::failure::FailureKind;
use kennel_core::limits;
use kennel_core::name::RESERVED_COLUMNS;

const WIT: &str = include_str!("../../../wit/world.wit");

/// The comments of the contract by the line that they belong to, each on one line. An item that is on one line with
/// others counts as that line.
fn documentation() -> BTreeMap<String, String> {
    let mut documented = BTreeMap::new();
    let mut scope = String::new();
    let mut comment = String::new();
    for line in WIT.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            comment.push_str(text);
        } else if !line.is_empty() {
            let item = line.split([':', '{', ',', '(', ';']).next().unwrap_or_default().trim();
            if line.ends_with('{') {
                scope = item.rsplit(' ').next().unwrap_or_default().to_owned();
            }
            let name = if line.ends_with('{') { scope.clone() } else { format!("{scope}.{item}") };
            let text = std::mem::take(&mut comment);
            documented.insert(name, text.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
    documented
}

/// A number as it is written for people: in groups of three digits.
fn number(value: usize) -> String {
    let digits = value.to_string();
    let groups: Vec<&[u8]> = digits.as_bytes().rchunks(3).rev().collect();
    groups.iter().map(|group| String::from_utf8_lossy(group)).collect::<Vec<_>>().join(",")
}

fn mib(bytes: usize) -> String {
    assert_eq!(bytes % (1 << 20), 0);
    format!("{} MiB", bytes >> 20)
}

/// What the documentation of each item says of bounds, as the constants have it.
fn bounds() -> Vec<(&'static str, String)> {
    let text = |bytes: usize| format!("1 to {} bytes of text without NUL", number(bytes));
    let value = format!("1 to {} bytes without control characters", limits::DESCRIPTOR_VALUE_BYTES_MAX);
    let digits = Unfit::Number { number: String::new() }.to_string();
    let (_, digits) = digits.split_once("up to ").expect("the message names the bound");
    vec![
        ("event", format!("at most {}", mib(limits::EVENT_BYTES_MAX))),
        ("scope", format!("at most {} names, each name {value}", number(limits::SCOPE_VALUES_MAX))),
        ("column.name", format!("1 to {} lower-case letters", limits::NAME_BYTES_MAX)),
        (
            "column.path",
            format!(
                "1 to {} fields and at most {} bytes",
                limits::COLUMN_PATH_FIELDS_MAX,
                limits::COLUMN_PATH_BYTES_MAX
            ),
        ),
        ("index.columns", format!("1 to {}, each once", limits::INDEX_COLUMNS_MAX)),
        ("collection.name", text(limits::COLLECTION_BYTES_MAX)),
        ("collection.columns", format!("At most {} in all", limits::DECLARED_COLUMNS_MAX)),
        ("collection.indexes", format!("At most {} in all", limits::DECLARED_INDEXES_MAX)),
        ("descriptor.name", value.clone()),
        ("descriptor.version", value),
        ("descriptor.collections", format!("at most {}.", limits::DECLARED_COLLECTIONS_MAX)),
        ("failure", format!("{} bytes are kept", number(limits::ERROR_BYTES_MAX / 2))),
        ("read-model", format!("The name of a collection is {}", text(limits::COLLECTION_BYTES_MAX))),
        ("read-model", format!("a key {}", text(limits::KEY_BYTES_MAX))),
        (
            "read-model",
            format!(
                "at most {} bytes ({})",
                number(limits::DOCUMENT_BYTES_MAX),
                mib(limits::DOCUMENT_BYTES_MAX)
            ),
        ),
        ("read-model", format!("at most {} levels deep", number(limits::JSON_DEPTH_MAX))),
        ("read-model", format!("at most {digits}")),
        ("read-model", format!("more than {} collections", limits::EVENT_COLLECTIONS_MAX)),
        ("read-model", format!("more than {} of documents", mib(limits::EVENT_READ_BYTES_MAX))),
        ("read-model", format!("takes more than {}", mib(limits::EVENT_CHANGE_BYTES_MAX))),
        ("read-model.get-many", format!("at most {} keys", number(limits::READ_KEYS_MAX))),
        ("read-model.get-many", format!("more than {} together", mib(limits::READ_BYTES_MAX))),
        ("read-model.scan", format!("at most {}.", number(limits::READ_KEYS_MAX))),
        ("read-model.scan", format!("more than {} together", mib(limits::READ_BYTES_MAX))),
        ("read-model.increment", text(limits::KEY_BYTES_MAX)),
        ("log.log", format!("at most {} bytes", number(limits::LOG_LINE_BYTES_MAX))),
        ("log.log", format!("{} lines are logged", limits::LOG_LINES_PER_EVENT_MAX)),
        ("projection", format!("at most {} in one call", mib(limits::GUEST_RANDOM_BYTES_MAX))),
        ("projection", format!("at most {} of memory", mib(limits::GUEST_MEMORY_BYTES_MAX))),
        ("projection", format!("at most {} elements", number(limits::GUEST_TABLE_ELEMENTS_MAX))),
        ("projection", format!("The stack has {}", mib(limits::GUEST_STACK_BYTES_MAX))),
        ("projection", format!("at most {}, and", mib(limits::HOST_CALL_BYTES_MAX))),
        ("projection", format!("{} resources", number(limits::GUEST_HANDLES_MAX))),
        ("projection.export describe", format!("within {} s", limits::DESCRIBE_DEADLINE.as_secs())),
        ("projection.export handle", format!("after {} s", limits::CALL_DEADLINE.as_secs())),
    ]
}

/// Numbers that are no bounds: of standards, in examples, and those that follow from a type.
const OTHER_NUMBERS: [&str; 10] = [
    "UTF-8",
    "beginning of 1970",
    "first is 1.",
    "36 characters",
    "s64",
    "RFC 3339",
    "2026-03-01T09:30:00Z",
    "`1.0`",
    "WASI 0.2",
    "WebAssembly 3.0",
];

#[test]
fn every_number_in_the_contract_is_that_of_the_host() {
    let mut documented = documentation();
    for (item, bound) in bounds() {
        let text = documented.get_mut(item).unwrap_or_else(|| panic!("the contract has no {item}"));
        assert!(text.contains(&bound), "{item} does not say `{bound}`: {text}");
    }
    // Taken out only now, since bounds may share a piece of text. The longest first: one may be a part of another.
    let mut said: Vec<String> = bounds().into_iter().map(|(_, bound)| bound).collect();
    said.extend(OTHER_NUMBERS.map(str::to_owned));
    said.sort_by_key(|bound| std::cmp::Reverse(bound.len()));
    for (item, text) in documented {
        let rest = said.iter().fold(text, |rest, bound| rest.replace(bound.as_str(), ""));
        assert!(
            !rest.contains(|c: char| c.is_ascii_digit()),
            "{item} names a number that `bounds` does not compare with a constant: {rest}"
        );
    }
}

#[test]
fn everything_in_the_contract_is_documented() {
    for (item, text) in documentation() {
        // Ends of blocks, imports, and levels of the log, which are on one line.
        let plain = ["package", "import", "use ", "}", "enum level"];
        let name = item.split_once('.').map_or(item.as_str(), |(_, name)| name);
        let is_plain = plain.iter().any(|plain| name.starts_with(plain));
        assert!(is_plain || !text.is_empty(), "{item} is not documented");
    }
}

#[test]
fn names_in_the_contract_are_those_of_the_host() {
    let documented = documentation();
    for name in RESERVED_COLUMNS {
        assert!(documented["column.name"].contains(&format!("`{name}`")), "{name}");
    }
    let all: String = documented.into_values().collect::<Vec<_>>().join(" ");
    // No guest sees the row that cannot be read.
    for kind in FailureKind::ALL.into_iter().filter(|kind| *kind != FailureKind::Unreadable) {
        assert!(all.contains(&format!("`{}`", kind.as_str())), "{kind:?}");
    }
}
