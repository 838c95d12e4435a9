//! Every bound in one place, with its unit in its name.

use std::time::Duration;

/// Longest projection or replica set name, and longest name of a column.
pub const NAME_BYTES_MAX: usize = 48;
/// Longest collection name.
pub const COLLECTION_BYTES_MAX: usize = 200;
/// Longest document key.
pub const KEY_BYTES_MAX: usize = 1024;
/// Longest name and version that a component gives itself, and longest value in its scope.
pub const DESCRIPTOR_VALUE_BYTES_MAX: usize = 200;
/// Most values in one list of a scope.
pub const SCOPE_VALUES_MAX: usize = 1000;
/// Most collections that a component declares.
pub const DECLARED_COLLECTIONS_MAX: usize = 100;
/// Most columns that the collections of a component declare together.
pub const DECLARED_COLUMNS_MAX: usize = 500;
/// Most indexes that the collections of a component declare together.
pub const DECLARED_INDEXES_MAX: usize = 100;
/// Most columns of one index.
pub const INDEX_COLUMNS_MAX: usize = 16;
/// Longest path of a column.
pub const COLUMN_PATH_BYTES_MAX: usize = 200;
/// Most fields that the path of a column leads through.
pub const COLUMN_PATH_FIELDS_MAX: usize = 16;
/// Largest document.
pub const DOCUMENT_BYTES_MAX: usize = 1024 * 1024;
/// Most keys in one `get-many`, and most rows that one `scan` returns.
pub const READ_KEYS_MAX: usize = 1000;
/// Documents, read and changed, that one batch may hold in memory before it is committed early.
pub const BATCH_CHANGE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// What the changes of one event may take in memory, with the memory that undoing them needs.
pub const EVENT_CHANGE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Documents that one event may read, besides those that its batch knows already.
pub const EVENT_READ_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Documents that one `get-many` or one `scan` returns.
pub const READ_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Documents that are fetched ahead for one batch.
pub const PREFETCH_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Documents that a commit has in memory at once to write them or to add to them, besides the changes themselves.
pub const COMMIT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Collections that one batch may touch before it is committed early. Each that is made costs PostgreSQL some
/// locks until the commit, out of a few thousand that all its clients share.
pub const BATCH_COLLECTIONS_MAX: usize = 200;
/// Most collections that one event may touch.
pub const EVENT_COLLECTIONS_MAX: usize = 500;
/// Events handled and committed together unless the operator says otherwise.
pub const BATCH_EVENTS_DEFAULT: usize = 1000;
/// Most events that may be handled and committed together.
pub const BATCH_EVENTS_MAX: usize = 10_000;
/// Bytes of events, everything in them included, that one page of the log may hold before it is cut short. The page
/// that is read ahead while a batch runs has as much again.
pub const BATCH_EVENT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Largest event that is read, everything in it included. It comes on a page by itself.
pub const EVENT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most bytes of the names of an aggregate together, and of each other name and id of an event that is appended: what
/// an index entry of PostgreSQL holds.
pub const EVENT_NAME_BYTES_MAX: usize = 2_560;
/// Deepest nesting of JSON: what SQLite's own functions take.
pub const JSON_DEPTH_MAX: usize = 1000;
/// Longest time that one handler call may take.
pub const CALL_DEADLINE: Duration = Duration::from_secs(2);
/// Longest time that `describe` may take.
pub const DESCRIBE_DEADLINE: Duration = Duration::from_secs(5);
/// Most memory that one guest instance may use.
pub const GUEST_MEMORY_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Most stack that one guest instance may use.
pub const GUEST_STACK_BYTES_MAX: usize = 1024 * 1024;
/// What a guest may pass in one call of the host, and what it may return: text, names, keys.
pub const HOST_CALL_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most elements in one table of a guest; interpreters written in C have some ten thousand functions.
pub const GUEST_TABLE_ELEMENTS_MAX: usize = 100_000;
/// Most random bytes that a guest gets in one call.
pub const GUEST_RANDOM_BYTES_MAX: usize = 1024 * 1024;
/// Handles of streams, clocks and the like that one guest instance may hold.
pub const GUEST_HANDLES_MAX: usize = 1000;
/// Memory that a batch has for sure from its beginning to its end: for the guest, and for what the host keeps of
/// documents. What it takes beyond that is shared with the other batches of the process.
pub const BATCH_MEMORY_BYTES_SURE: usize = 16 * 1024 * 1024;
/// The most that one batch can take: a guest, and the documents that the host keeps and passes for it.
pub const BATCH_MEMORY_BYTES_MAX: usize = GUEST_MEMORY_BYTES_MAX
    + BATCH_CHANGE_BYTES_MAX
    + EVENT_CHANGE_BYTES_MAX
    + EVENT_READ_BYTES_MAX
    + READ_BYTES_MAX;
/// Batches that can go on at once, each with the memory that it has for sure, in the least memory that works.
pub const BATCHES_MIN: usize = 4;
/// Least memory for all batches of a process together: one of them can take the most that is allowed.
pub const WORK_MEMORY_BYTES_MIN: usize = BATCH_MEMORY_BYTES_MAX + BATCHES_MIN * BATCH_MEMORY_BYTES_SURE;
/// Memory for all batches of a process together where the memory of the machine is not known.
pub const WORK_MEMORY_BYTES_DEFAULT: usize = 2 * 1024 * 1024 * 1024;
/// Guest instances that may exist at once in one process.
pub const GUEST_INSTANCES_MAX: u32 = 100;
/// Largest component that can be deployed.
pub const COMPONENT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most memory that compiling one component may take, in the process of its own that compiles it.
pub const COMPILE_MEMORY_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;
/// Longest time that compiling one component may take: by the clock, and of processor time.
pub const COMPILE_TIME_MAX: Duration = Duration::from_secs(300);
/// Most threads that compile one component: each of them takes memory, and the host needs the other cores.
pub const COMPILE_THREADS_MAX: usize = 8;
/// Longest time that the process which compiles may take to begin.
pub const COMPILER_START_MAX: Duration = Duration::from_secs(30);
/// Most compiled code that is kept on disk.
pub const COMPILED_CACHE_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;
/// Lines that a guest may log while it handles one event; the rest is counted and dropped.
pub const LOG_LINES_PER_EVENT_MAX: u32 = 20;
/// Longest line in a projection's log; longer ones are cut.
pub const LOG_LINE_BYTES_MAX: usize = 4096;
/// Positions that one read of the log looks at, most of which may be of no interest: how long it takes is bounded.
pub const READ_POSITIONS_MAX: u64 = 200_000;
/// Longest error text that is kept with a failure.
pub const ERROR_BYTES_MAX: usize = 4096;
/// Connections to a PostgreSQL server that a process which runs projections has at most, unless the operator says
/// otherwise: one that shows that it is alive, one that listens, and the rest for its work.
pub const CONNECTIONS: u32 = 6;
/// Fewest that it can be given: two for its work, so that one projection which waits keeps no other waiting.
pub const CONNECTIONS_MIN: u32 = 4;
/// Most that it can be given.
pub const CONNECTIONS_MAX: u32 = 1000;
/// How often a worker records a heartbeat, unless the operator says otherwise.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(2);
/// The age of its last heartbeat at which a worker is taken for dead, unless the operator says otherwise.
pub const STALE_AFTER: Duration = Duration::from_secs(10);
/// How long a component is kept after it was last stored, if it was never deployed.
pub const UNUSED_COMPONENT_KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a condition of a deployment is kept after it was last reported.
pub const CONDITION_EXPIRES_AFTER: Duration = Duration::from_secs(10 * 60);
/// Generations whose record is kept: the history is for operators, who look at the latest.
pub const GENERATIONS_KEPT: u64 = 1000;

/// How much of its time a worker gives to building a read model beside the serving one, unless the operator says
/// otherwise: a share of 1.
pub const REBUILD_SHARE: f64 = 0.5;
/// A cutover may begin once the candidate is at most so many positions behind: the serving read model is fenced for as
/// long as these take.
pub const CUTOVER_SLACK_POSITIONS: u64 = 2000;

/// Most bytes of the request for an operation over HTTP; a component comes apart from it.
pub const OPERATION_BYTES_MAX: usize = 64 * 1024;
/// Most characters that the actor of an operation has.
pub const ACTOR_CHARS_MAX: usize = 200;
/// Most characters that the reason of an operation has.
pub const REASON_CHARS_MAX: usize = 1000;

/// The start of `text` in at most about 60 characters, for error messages.
#[must_use]
pub fn excerpt(text: &str) -> String {
    let mut excerpt = String::new();
    for c in text.chars().take(60) {
        if c.is_control() { excerpt.extend(c.escape_default()) } else { excerpt.push(c) }
    }
    if text.chars().nth(60).is_some() {
        excerpt.push('…');
    }
    excerpt
}

/// `text` cut to at most `bytes_max` bytes at a character's edge.
#[must_use]
pub fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}
