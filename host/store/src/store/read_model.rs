//! The read models of both databases: fetching, scanning, and the table that each collection has. How a
//! batch is committed is in `read_model/commit`.

mod catalog;
mod commit;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use kennel_core::change::Stored;
use kennel_core::port::{
    Commit, CommitOutcome, DeadLetter, Document, Fetched, ReadModel, StoreError, Wanted,
};
use kennel_core::projection::ReadModelId;

pub(crate) use catalog::TableCache;

use crate::backend::Backend;
use crate::backend::documents::Scan;
use crate::error::{Doing, is_cut_short};
use crate::naming;
use crate::row;
use crate::session::{Arg, Row as _};
use crate::store::SqlStore;

#[async_trait]
impl<B: Backend> ReadModel for SqlStore<B> {
    async fn fetch_up_to(
        &self,
        read_model: ReadModelId,
        wanted: &[Wanted],
        bytes_max: usize,
    ) -> Result<Vec<Vec<Fetched>>, StoreError> {
        let mut bytes = 0;
        let mut answers = Vec::with_capacity(wanted.len());
        for Wanted { collection, keys } in wanted {
            let (found, is_cut) = match self.table(read_model, collection).await? {
                Some(_) if bytes > bytes_max => (HashMap::new(), true),
                Some(table) if !keys.is_empty() => {
                    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
                    let found = self.fetch_in_pieces(read_model, &table, keys, bytes_max - bytes).await;
                    found.inspect_err(|_| self.catalog.forget(read_model)).doing("fetching documents")?
                }
                _ => (HashMap::new(), false),
            };
            bytes += found.values().map(|stored: &Stored| stored.document.len()).sum::<usize>();
            // A key may be wanted twice, so nothing is taken out of what was found.
            let answer = |key| match found.get(key) {
                Some(stored) => Fetched::Stored(Stored::clone(stored)),
                None if is_cut => Fetched::Left,
                None => Fetched::Absent,
            };
            answers.push(keys.iter().map(answer).collect());
        }
        Ok(answers)
    }

    async fn scan_up_to(
        &self,
        read_model: ReadModelId,
        collection: &str,
        after: Option<&str>,
        prefix: &str,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Vec<Document>, StoreError> {
        let Some(table) = self.table(read_model, collection).await? else { return Ok(Vec::new()) };
        let (first, end) = (naming::first_of_scan(after, prefix), naming::after_prefix(prefix));
        let found = self.scan_in_pieces(read_model, &table, first, &end, limit, bytes_max).await;
        found.inspect_err(|_| self.catalog.forget(read_model)).doing("scanning documents")
    }

    async fn commit(&self, batch: &Commit) -> Result<CommitOutcome, StoreError> {
        commit::commit(self, batch).await
    }

    async fn collections(&self, read_model: ReadModelId) -> Result<Vec<Arc<str>>, StoreError> {
        let doing = "listing collections";
        let rows = self.backend.rows(&self.sql.collections, &[Arg::Int(read_model.get())], doing).await?;
        rows.iter().map(|row| row.text("name").map(Arc::from).doing(doing)).collect()
    }

    async fn dead_letters(
        &self,
        read_model: ReadModelId,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let doing = "reading dead letters";
        let args = [Arg::Int(read_model.get()), Arg::Int(i64::try_from(limit).unwrap_or(i64::MAX))];
        let rows = self.backend.rows(&self.sql.dead_letters, &args, doing).await?;
        rows.iter().map(|found| row::dead_letter(&found.text("failure").doing(doing)?)).collect()
    }
}

/// Reads that the database cuts short because they take too long are done in pieces.
impl<B: Backend> SqlStore<B> {
    /// The documents that were found, and whether there may be more than these bytes had room for.
    async fn fetch_in_pieces(
        &self,
        read_model: ReadModelId,
        table: &B::Table,
        keys: Vec<&str>,
        bytes_max: usize,
    ) -> Result<(HashMap<String, Stored>, bool), sqlx::Error> {
        let (mut found, mut bytes) = (HashMap::new(), 0);
        let mut pieces = vec![keys];
        while let Some(mut piece) = pieces.pop() {
            if bytes > bytes_max {
                return Ok((found, true));
            }
            match self.backend.fetch(read_model, table, &piece, bytes_max - bytes).await {
                Ok((some, is_cut)) => {
                    bytes += some.values().map(|stored: &Stored| stored.document.len()).sum::<usize>();
                    if found.is_empty() {
                        found = some;
                    } else {
                        found.extend(some);
                    }
                    if is_cut {
                        return Ok((found, true));
                    }
                }
                Err(error) if is_cut_short(&error) && piece.len() > 1 => {
                    let half = piece.split_off(piece.len() / 2);
                    pieces.extend([half, piece]);
                }
                Err(error) => return Err(error),
            }
        }
        Ok((found, false))
    }

    async fn scan_in_pieces(
        &self,
        read_model: ReadModelId,
        table: &B::Table,
        mut first: String,
        end: &str,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Vec<Document>, sqlx::Error> {
        let (mut found, mut piece, mut bytes) = (Vec::new(), limit, 0);
        loop {
            let wanted = piece.min(limit - found.len());
            let scan = Scan { first: &first, end, limit: wanted, bytes_max: bytes_max - bytes };
            match self.backend.scan(read_model, table, scan).await {
                Ok(some) => {
                    let is_last = some.len() < wanted;
                    bytes += some.iter().map(|one| one.stored.document.len()).sum::<usize>();
                    found.extend(some);
                    match found.last() {
                        Some(last) if !is_last && found.len() < limit && bytes < bytes_max => {
                            first = naming::first_of_scan(Some(&last.key), "");
                        }
                        _ => return Ok(found),
                    }
                }
                Err(error) if is_cut_short(&error) && wanted > 1 => piece = wanted / 2,
                Err(error) => return Err(error),
            }
        }
    }
}
