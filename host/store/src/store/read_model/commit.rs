//! Commits a batch in one transaction: fence, expectations, documents, dead letters.
//!
//! The order matters. The fence comes first: it locks the checkpoints, so a worker that takes them over
//! waits for this commit to land or makes it fail, and nothing in between. Collections are made next,
//! before any document is locked, so that making one never waits for a transaction that waits for this one.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use kennel_core::change::{Access, Change, CollectionChanges, Expectation, Stored, add};
use kennel_core::limits;
use kennel_core::port::{Commit, CommitOutcome, StoreError};

use crate::backend::Backend;
use crate::backend::documents::{LockSet, Locked, LockedText, Put};
use crate::error::{Doing, is_cut_short};
use crate::row::{self, signed};
use crate::session::{Arg, Row as _, Tx as _};
use crate::store::SqlStore;

/// How often the sums of one batch are built again because another transaction made the document first.
const RACES_MAX: usize = 100;

/// Why a commit goes no further.
pub(super) enum Stop {
    Outcome(CommitOutcome),
    /// The database cannot hold a document of this collection; its message.
    Unfit {
        collection: String,
        message: String,
    },
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

pub(super) async fn commit<B: Backend>(
    store: &SqlStore<B>,
    batch: &Commit,
) -> Result<CommitOutcome, StoreError> {
    let doing = "committing a batch";
    if batch.to.position < batch.from {
        let (from, to) = (batch.from, batch.to.position);
        let message = format!("a batch cannot move a checkpoint back from {from} to {to}");
        return Err(StoreError::Invalid { message });
    }
    let mut tx = store.backend.begin_commit(batch.read_model, doing).await?;
    let tables = match write(store, &mut tx, batch).await {
        Ok(tables) => tables,
        Err(stop) => {
            // The transaction is rolled back either way; waiting for it keeps the connection usable.
            let rolled_back = tx.rollback().await;
            if matches!(stop, Stop::Store(_)) {
                store.catalog.forget(batch.read_model);
            }
            return match stop {
                Stop::Outcome(outcome) => rolled_back.doing(doing).map(|()| outcome),
                Stop::Unfit { collection, message } => {
                    invalid_commit(store, batch, &collection, &message).await
                }
                Stop::Store(error) => cut_short(error),
            };
        }
    };
    if let Err(error) = tx.commit().await.doing(doing) {
        return cut_short(error);
    }
    for (changes, table) in batch.changes.iter().zip(&tables) {
        if let Some(table) = table {
            store.catalog.remember(batch.read_model, &changes.collection, table);
        }
    }
    Ok(CommitOutcome::Committed)
}

/// What was ended by the database because it took too long, or too much, is no failure of the store: less of it may
/// be done. A commit that was cut short has not taken effect.
fn cut_short(error: StoreError) -> Result<CommitOutcome, StoreError> {
    match error {
        StoreError::Unavailable { doing, source } => match source.downcast_ref::<sqlx::Error>() {
            Some(error) if is_cut_short(error) => {
                let said = error
                    .as_database_error()
                    .map_or_else(|| error.to_string(), |said| said.message().to_owned());
                Ok(CommitOutcome::CutShort { reason: format!("{said} (while {doing})") })
            }
            _ => Err(StoreError::Unavailable { doing, source }),
        },
        other => Err(other),
    }
}

async fn write<B: Backend>(
    store: &SqlStore<B>,
    tx: &mut B::Tx,
    batch: &Commit,
) -> Result<Vec<Option<Arc<B::Table>>>, Stop> {
    fence(store, tx, batch).await?;
    let mut tables = Vec::with_capacity(batch.changes.len());
    for changes in &batch.changes {
        let creates = |change: &Change| matches!(change.access, Access::Put(_) | Access::Increment(_));
        let create = changes.changes.iter().any(creates);
        tables.push(store.table_in(tx, batch.read_model, &changes.collection, create).await?);
    }
    for (changes, table) in batch.changes.iter().zip(&tables) {
        let collection = Collection { store, batch, changes, table: table.as_deref() };
        collection.apply(tx).await?;
    }
    for letter in &batch.dead_letters {
        let failure = row::failure_to_json(&letter.failure)?;
        let position = signed(letter.failure.position.get());
        let args = [Arg::Int(batch.read_model.get()), Arg::Int(position), Arg::Text(&failure)];
        tx.execute(&store.sql.dead_letter_insert, &args).await.doing("recording a dead letter")?;
    }
    Ok(tables)
}

/// Moves the checkpoints, or finds that they belong to another worker by now, or that the log is another one.
///
/// The owner's picture may be coarser than the rows: two rows that have reached the same position are
/// one range to their owner. So a range is in order if the rows inside it that could be moved
/// cover it completely. Rows are joined when a worker claims them.
async fn fence<B: Backend>(store: &SqlStore<B>, tx: &mut B::Tx, batch: &Commit) -> Result<(), Stop> {
    let (witness_position, witness_id) = row::witness_args(batch.to.witness);
    for range in &batch.ranges {
        let args = [
            Arg::Int(signed(batch.to.position.get())),
            Arg::Int(batch.read_model.get()),
            Arg::Int(signed(batch.generation.get())),
            Arg::Int(signed(batch.from.get())),
            Arg::Int(signed(range.start())),
            Arg::Int(signed(range.end())),
            Arg::Int(witness_position),
            Arg::Text(&witness_id),
        ];
        let doing = "moving checkpoints";
        let whole = signed(range.end() - range.start());
        let covered =
            |rows: Vec<B::Row>| rows.iter().map(|row| row.int("width")).sum::<Result<i64, _>>().doing(doing);
        let moved = tx.rows(&store.sql.checkpoint_move, &args).await.doing(doing)?;
        if covered(moved)? == whole {
            continue;
        }
        // Those that a new generation has taken over are no longer to be found like this.
        let movable = tx.rows(&store.sql.checkpoint_movable, &args[1..6]).await.doing(doing)?;
        let outcome = match covered(movable)? == whole {
            true => CommitOutcome::LogSetBack,
            false => CommitOutcome::Fenced,
        };
        return Err(Stop::Outcome(outcome));
    }
    Ok(())
}

/// The changes of one collection.
struct Collection<'a, B: Backend> {
    store: &'a SqlStore<B>,
    batch: &'a Commit,
    changes: &'a CollectionChanges,
    table: Option<&'a B::Table>,
}

impl<'a, B: Backend> Collection<'a, B> {
    async fn apply(&self, tx: &mut B::Tx) -> Result<(), Stop> {
        let lock = self.lock();
        let mut locked = self.find(tx, &lock).await?;
        if !self.batch.sole_owner {
            self.check(&locked)?;
        }
        let Some(table) = self.table else { return Ok(()) };
        let deletes = self.keys(|change| change.access == Access::Delete);
        if !deletes.is_empty() {
            let deleted = self.store.backend.delete(tx, table, &deletes).await;
            deleted.map_err(|error| self.stop(error))?;
        }
        let mut pending: Vec<&'a Change> = self.changes.changes.iter().collect();
        for _ in 0..RACES_MAX {
            let raced = self.put(tx, table, &pending, &locked).await?;
            if raced.is_empty() {
                return Ok(());
            }
            // Another transaction made these documents since this one looked. A sum can be built on what they
            // wrote; for anything else it is a conflict.
            pending.retain(|change| raced.contains(&change.key));
            if let Some(change) = pending.iter().find(|change| change.expectation != Expectation::Unread) {
                return Err(self.conflict(&change.key));
            }
            let summed = pending.iter().map(|change| change.key.as_str()).collect();
            locked = self.find(tx, &LockSet { summed, ..LockSet::default() }).await?;
        }
        Err(self.conflict(pending.first().map_or("", |change| &change.key)))
    }

    /// What has to be found out before anything is written. A sole owner knows all but its sums.
    fn lock(&self) -> LockSet<'a> {
        let summed = self.keys(|change| matches!(change.access, Access::Increment(_)));
        if self.batch.sole_owner {
            return LockSet { summed, ..LockSet::default() };
        }
        let is_read = |change: &Change| change.access == Access::Read;
        LockSet {
            absence_matters: !self
                .keys(|change| is_read(change) && change.expectation == Expectation::Absent)
                .is_empty(),
            may_create: self.changes.changes.iter().any(|change| {
                matches!(change.access, Access::Put(_) | Access::Increment(_))
                    && !matches!(change.expectation, Expectation::Revision(_))
            }),
            written: self.keys(|change| matches!(change.access, Access::Put(_) | Access::Delete)),
            summed,
            read: self.keys(is_read),
        }
    }

    fn keys(&self, wanted: impl Fn(&Change) -> bool) -> Vec<&'a str> {
        let changes = self.changes.changes.iter();
        changes.filter(|change| wanted(change)).map(|change| change.key.as_str()).collect()
    }

    async fn find(&self, tx: &mut B::Tx, lock: &LockSet<'_>) -> Result<HashMap<String, Locked>, Stop> {
        let collection = (self.batch.read_model, self.changes.collection.as_str());
        let found = self.store.backend.lock(tx, collection, self.table, lock);
        found.await.map_err(|error| self.stop(error))
    }

    fn check(&self, locked: &HashMap<String, Locked>) -> Result<(), Stop> {
        let as_expected = |change: &&Change| {
            let found = locked.get(&change.key).map(|locked| locked.revision);
            match change.expectation {
                Expectation::Unread => true,
                Expectation::Absent => found.is_none(),
                Expectation::Revision(revision) => found == Some(revision),
            }
        };
        match self.changes.changes.iter().find(|change| !as_expected(change)) {
            Some(change) => Err(self.conflict(&change.key)),
            None => Ok(()),
        }
    }

    /// Writes documents, sums included, only so many at a time as may be in memory besides what the batch holds.
    /// Returns the keys of those that were to be new and exist.
    async fn put(
        &self,
        tx: &mut B::Tx,
        table: &B::Table,
        pending: &[&'a Change],
        locked: &HashMap<String, Locked>,
    ) -> Result<HashSet<String>, Stop> {
        let mut raced = HashSet::new();
        for part in parts(pending, locked) {
            let wanting = part.iter().filter(|change| {
                locked.get(&change.key).is_some_and(|locked| matches!(locked.text, LockedText::TooMuch(_)))
            });
            let wanting: Vec<&str> = wanting.map(|change| change.key.as_str()).collect();
            let loaded = match wanting.is_empty() {
                true => HashMap::new(),
                false => {
                    let loaded = self.store.backend.load(tx, table, &wanting).await;
                    loaded.map_err(|error| self.stop(error))?
                }
            };
            let puts = self.puts(part, locked, &loaded)?;
            if !puts.is_empty() {
                let put = self.store.backend.put(tx, table, &puts).await;
                raced.extend(put.map_err(|error| self.stop(error))?);
            }
        }
        Ok(raced)
    }

    /// The documents to write, sums included. Those that were too much to be `held` are `loaded`.
    fn puts(
        &self,
        pending: &[&'a Change],
        locked: &HashMap<String, Locked>,
        loaded: &HashMap<String, Stored>,
    ) -> Result<Vec<Put<'a>>, Stop> {
        let mut puts = Vec::with_capacity(pending.len());
        for change in pending {
            let found = locked.get(&change.key).map(|locked| match &locked.text {
                LockedText::Loaded(text) => Some(&**text),
                LockedText::TooMuch(_) => loaded.get(&change.key).map(|stored| &*stored.document),
                LockedText::NotWanted => None,
            });
            let (document, new) = match &change.access {
                Access::Put(document) => (Arc::clone(document), change.expectation == Expectation::Absent),
                Access::Increment(amounts) => (self.sum(change, amounts, found)?, found.is_none()),
                Access::Delete | Access::Read => continue,
            };
            let new = new && !self.batch.sole_owner;
            // Every write bears the position of its own event, also when a later one has written before: what
            // counts is that no two writes bear the same.
            puts.push(Put { key: &change.key, document, revision: change.revision, new });
        }
        Ok(puts)
    }

    fn sum(
        &self,
        change: &Change,
        amounts: &BTreeMap<String, i64>,
        found: Option<Option<&str>>,
    ) -> Result<Arc<str>, Stop> {
        let sum = add(&self.changes.collection, &change.key, found.flatten(), amounts);
        sum.map(Arc::from)
            .map_err(|invalid| Stop::Outcome(CommitOutcome::Invalid { reason: invalid.to_string() }))
    }

    fn conflict(&self, key: &str) -> Stop {
        let collection = self.changes.collection.clone();
        Stop::Outcome(CommitOutcome::Conflict { collection, key: key.to_owned() })
    }

    /// What an error means for the batch while documents are written.
    fn stop(&self, error: sqlx::Error) -> Stop {
        let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned();
        // PostgreSQL's serialization failure and deadlock: another transaction wanted the same documents.
        if matches!(code.as_str(), "40001" | "40P01") {
            return self.conflict(self.changes.changes.first().map_or("", |change| &change.key));
        }
        // PostgreSQL's data exceptions, limits of a row and of nesting; SQLite's "too big".
        let invalid = code.len() == 5 && (code.starts_with("22") || code.starts_with("54")) || code == "18";
        if !invalid {
            return crate::error::classify(error, "writing documents").into();
        }
        Stop::Unfit {
            collection: self.changes.collection.clone(),
            message: error
                .as_database_error()
                .map_or_else(|| error.to_string(), |error| error.message().to_owned()),
        }
    }
}

/// Splits changes into parts whose documents take no more than is allowed at once, or are only one.
fn parts<'a, 'c>(pending: &'c [&'a Change], locked: &HashMap<String, Locked>) -> Vec<&'c [&'a Change]> {
    let mut parts = Vec::with_capacity(1);
    let (mut begin, mut bytes) = (0, 0);
    for (index, change) in pending.iter().enumerate() {
        let more = bytes_of(change, locked.get(&change.key));
        if bytes + more > limits::COMMIT_BYTES_MAX && index > begin {
            parts.push(&pending[begin..index]);
            (begin, bytes) = (index, 0);
        }
        bytes += more;
    }
    parts.push(&pending[begin..]);
    parts
}

/// About how many bytes the document has that a change leads to.
fn bytes_of(change: &Change, locked: Option<&Locked>) -> usize {
    match &change.access {
        Access::Put(document) => document.len(),
        Access::Increment(amounts) => {
            let before = locked.map_or(0, |locked| match &locked.text {
                LockedText::Loaded(text) => text.len(),
                LockedText::TooMuch(bytes) => *bytes,
                LockedText::NotWanted => 0,
            });
            before + amounts.keys().map(String::len).sum::<usize>()
        }
        Access::Delete | Access::Read => 0,
    }
}

/// Finds out which document it was. The database only says that one of a batch was wrong, so each is
/// tried by itself; this happens once, and then the guest has to be corrected.
async fn invalid_commit<B: Backend>(
    store: &SqlStore<B>,
    batch: &Commit,
    collection: &str,
    message: &str,
) -> Result<CommitOutcome, StoreError> {
    let changes = batch.changes.iter().filter(|changes| changes.collection == collection);
    let mut which = "a document".to_owned();
    for change in changes.flat_map(|changes| &changes.changes) {
        let Access::Put(document) = &change.access else { continue };
        if !store.backend.can_hold(document).await? {
            which = format!("document {}", limits::excerpt(&change.key));
            break;
        }
    }
    let collection = limits::excerpt(collection);
    let reason = format!("the database cannot hold {which} of collection {collection}: {message}");
    Ok(CommitOutcome::Invalid { reason })
}
