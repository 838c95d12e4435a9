//! `kennel documents`: prints the documents of a read model.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use serde_json::value::RawValue;

use kennel_core::limits;
use kennel_core::name::ProjectionName;
use kennel_core::port::{Document, Wanted};
use kennel_core::projection::ReadModelId;
use kennel_core::text::escaped;

use super::{StoreArgs, output};
use crate::config::Config;
use crate::exit::ExitKind;
use crate::wire::{self, Store};

/// Documents that are printed for people unless they ask for more.
const LIMIT_FOR_PEOPLE: usize = 20;

const EXAMPLES: &str = "\
Examples:
  kennel documents order-summary orders
  kennel documents order-summary orders order-17
  kennel documents order-summary orders --json | jq '.[].document.total_cents'";

/// Prints the documents of a read model, in key order.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Documents {
    #[command(flatten)]
    store: StoreArgs,
    /// The projection
    projection: ProjectionName,
    /// The collection
    collection: String,
    /// Print only the document with this key
    key: Option<String>,
    /// Print an array of {"key": …, "document": {…}}
    #[arg(long)]
    json: bool,
    /// Print at most so many documents [default: 20; with --json all]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

/// Most documents that are held at once, and what they should take; each may have a mebibyte.
const PAGE_MAX: usize = 128;
const PAGE_BYTES: usize = 4 << 20;

#[derive(Serialize)]
struct Row<'a> {
    key: &'a str,
    document: &'a RawValue,
}

impl Documents {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        let projection = &self.projection;
        let store = wire::open_existing(&self.store.target(config)?).await?;
        let deployment = wire::find_deployment(&store, projection).await?;
        let collections = store.collections(deployment.read_model).await?;
        if !collections.iter().any(|known| **known == *self.collection) {
            let known: Vec<&str> = collections.iter().map(|name| &**name).collect();
            let known = if known.is_empty() { "none yet".to_owned() } else { known.join(", ") };
            return Err(ExitKind::Missing.error(format!(
                "`{projection}` has no collection `{}`; it has: {known}",
                limits::excerpt(&self.collection)
            )));
        }
        match &self.key {
            Some(key) => self.print_one(&store, deployment.read_model, key).await,
            None => self.print_many(&store, deployment.read_model).await,
        }
    }

    async fn print_one(&self, store: &Store, read_model: ReadModelId, key: &str) -> anyhow::Result<ExitCode> {
        let wanted = Wanted { collection: self.collection.clone(), keys: vec![key.to_owned()] };
        let found = store.fetch(read_model, &[wanted]).await?;
        let Some(stored) = found.into_iter().flatten().next().flatten() else {
            return Err(ExitKind::Missing.error(format!(
                "the collection `{}` has no document `{}`",
                self.collection,
                limits::excerpt(key)
            )));
        };
        if self.json {
            output::json(&[Row { key, document: serde_json::from_str(&stored.document)? }])?;
        } else {
            let value: serde_json::Value = serde_json::from_str(&stored.document)?;
            output::json(&value)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn print_many(&self, store: &Store, read_model: ReadModelId) -> anyhow::Result<ExitCode> {
        let limit = self.limit.unwrap_or(if self.json { usize::MAX } else { LIMIT_FOR_PEOPLE });
        let mut printed = 0;
        let mut after: Option<String> = None;
        let (mut more, mut size) = (true, PAGE_MAX / 4);
        if self.json {
            output::raw_json("[")?;
        }
        while more && printed < limit {
            let page = size.min(limit - printed);
            let rows = store.scan(read_model, &self.collection, after.as_deref(), "", page).await?;
            more = rows.len() == page;
            let bytes: usize = rows.iter().map(|row| row.stored.document.len()).sum();
            let each = bytes.checked_div(rows.len()).unwrap_or(0).max(1);
            size = (PAGE_BYTES / each).clamp(1, PAGE_MAX);
            after = rows.last().map(|row| row.key.clone());
            self.print(&rows, printed == 0)?;
            printed += rows.len();
        }
        if self.json {
            output::raw_json(if printed == 0 { "]\n" } else { "\n]\n" })?;
        } else if more && self.limit.is_none() {
            output::note(format!("… the first {printed} documents; --limit N shows more"));
        }
        Ok(ExitCode::SUCCESS)
    }

    fn print(&self, rows: &[Document], first: bool) -> anyhow::Result<()> {
        let mut text = String::new();
        for (index, row) in rows.iter().enumerate() {
            if self.json {
                text.push_str(if first && index == 0 { "\n  " } else { ",\n  " });
                let document = serde_json::from_str(&row.stored.document)?;
                text.push_str(&serde_json::to_string(&Row { key: &row.key, document })?);
            } else {
                text.push_str(&format!("{}  {}\n", escaped(&row.key), escaped(&row.stored.document)));
            }
        }
        if self.json { output::raw_json(&text) } else { output::lines(&text) }
    }
}
