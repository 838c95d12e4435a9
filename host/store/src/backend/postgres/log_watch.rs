//! Whether the event log can be followed without missing an event, and who writes to it now: what
//! [`crate::high_water_mark`] relies on.
//!
//! A log that is unfit is rejected with a message, when a store is opened and while it is followed: before anything is
//! settled over a gap, and every few seconds besides.

use std::time::Duration;

use kennel_core::port::{Blocker, StoreError};
use kennel_core::position::Position;
use sqlx::Row as _;
use sqlx::postgres::{PgExecutor, PgRow};
use tokio::time::Instant;

use super::PostgresBackend;
use crate::error::Doing as _;
use crate::gaps::{GAPS_MAX, Gaps};
use crate::high_water_mark::{SEARCH_MAX, Writer};
use crate::row::{signed, unsigned};

/// How long a log that was found fit is taken for fit while no position is missing.
const FIT_FOR: Duration = Duration::from_secs(2);

/// The known state of the log and of its writers.
#[derive(Debug, Default)]
pub(super) struct LogWatch {
    /// When the log was last found to be fit.
    fit: Option<Instant>,
    gaps: Gaps,
    /// The message about an event that appeared where none may. It has been missed, so this does not pass.
    late: Option<String>,
}

/// The writers of the log.
pub(super) struct Open {
    pub(super) writers: Vec<Writer>,
    /// Since when the server runs, in microseconds since 1970; not known if there are no writers.
    pub(super) server: Option<i64>,
}

impl PostgresBackend {
    /// Sees that the log is fit, unless it was found so a moment ago.
    pub(super) async fn see_fit_lately(&self, watch: &mut LogWatch) -> Result<(), StoreError> {
        if let Some(reason) = &watch.late {
            return Err(StoreError::Unfit { reason: reason.clone() });
        }
        if watch.fit.is_some_and(|at| at.elapsed() < FIT_FOR) {
            return Ok(());
        }
        self.see_fit(watch).await?;
        let seen = self.see_nothing_late(watch).await;
        if seen.is_err() {
            watch.fit = None;
        }
        seen
    }

    /// Sees that the log is fit now.
    pub(super) async fn see_fit(&self, watch: &mut LogWatch) -> Result<(), StoreError> {
        watch.fit = None;
        let found =
            self.unfit_log(&self.pool).await.doing("looking whether the event log can be followed")?;
        if let Some(reason) = found {
            let table = &self.names.tables().events;
            return Err(StoreError::Unfit {
                reason: format!("the event log {table} cannot be followed: {reason}"),
            });
        }
        watch.fit = Some(Instant::now());
        Ok(())
    }

    /// Why the log is unfit, if it is.
    pub(super) async fn unfit_log(
        &self,
        executor: impl PgExecutor<'_>,
    ) -> Result<Option<String>, sqlx::Error> {
        let row = sqlx::query(self.sql.events_unfit.clone()).fetch_all(executor).await?.into_iter().next();
        let Some(row) = row else { return Ok(None) };
        let fault: String = row.try_get("fault")?;
        let found = Found {
            subject: row.try_get("subject")?,
            detail: row.try_get("detail")?,
            role: row.try_get("role")?,
            table: self.names.tables().events.to_string(),
        };
        Ok(Some(reason(&fault, &found)))
    }

    /// Notes the gaps that the high-water mark has gone past. No position is missing after `complete_after`.
    pub(super) async fn note_gaps(
        &self,
        watch: &mut LogWatch,
        settled: Position,
        complete_after: Option<Position>,
    ) -> Result<(), StoreError> {
        let doing = "looking for gaps in the event log";
        let Some(after) = watch.gaps.settled(settled, complete_after) else { return Ok(()) };
        let after = after.max(Position::new(settled.get().saturating_sub(SEARCH_MAX)));
        let query = sqlx::query(self.sql.events_gaps.clone());
        let query = query.bind(signed(after.get())).bind(signed(settled.get())).bind(signed(GAPS_MAX as u64));
        let range = |row: &PgRow| {
            let (first, last): (i64, i64) = (row.try_get("first")?, row.try_get("last")?);
            Ok((Position::new(unsigned(first)), Position::new(unsigned(last))))
        };
        let rows = query.fetch_all(&self.pool).await.doing(doing)?;
        let found = rows.iter().map(range).collect::<Result<_, sqlx::Error>>().doing(doing)?;
        watch.gaps.found(settled, found);
        Ok(())
    }

    /// Sees that no event has appeared in a gap that the high-water mark has gone past.
    async fn see_nothing_late(&self, watch: &mut LogWatch) -> Result<(), StoreError> {
        let doing = "looking for late events";
        let bounds = watch.gaps.bounds().map(|(first, last)| (signed(first.get()), signed(last.get())));
        let (firsts, lasts): (Vec<i64>, Vec<i64>) = bounds.unzip();
        if firsts.is_empty() {
            return Ok(());
        }
        let query = sqlx::query(self.sql.events_late.clone()).bind(firsts).bind(lasts);
        let Some(row) = query.fetch_optional(&self.pool).await.doing(doing)? else { return Ok(()) };
        let position: i64 = row.try_get("position").doing(doing)?;
        let id: String = row.try_get("event_id").doing(doing)?;
        let reason = format!(
            "event {id} was written at position {position} of {} after the log had been complete beyond it, so \
             projections may have missed it: its writer drew the position in another transaction than the one that wrote \
             the event, or wrote it under a number of its own. Have it draw and write in one transaction, then start this \
             process anew and run `kennel rebuild` for the projections that have gone past the event",
            self.names.tables().events
        );
        watch.late = Some(reason.clone());
        Err(StoreError::Unfit { reason })
    }

    /// The transactions that may hold a position which is not visible.
    pub(super) async fn writers(&self) -> Result<Open, StoreError> {
        let doing = "looking for open writers of the event log";
        let rows = sqlx::query(self.sql.events_writers.clone()).fetch_all(&self.pool).await.doing(doing)?;
        let server = rows.first().map(|row| row.try_get("server")).transpose().doing(doing)?;
        let writers = rows.iter().map(writer).collect::<Result<_, sqlx::Error>>().doing(doing)?;
        Ok(Open { writers, server })
    }
}

fn writer(row: &PgRow) -> Result<Writer, sqlx::Error> {
    let pid: Option<i32> = row.try_get("pid")?;
    let application: String = row.try_get("application")?;
    let prepared: Option<String> = row.try_get("prepared")?;
    let open_seconds = row.try_get::<Option<i64>, _>("open_seconds")?.map(unsigned);
    let (sees_all, role): (bool, String) = (row.try_get("sees_all")?, row.try_get("role")?);
    let advice = match (&prepared, pid) {
        (Some(gid), _) => {
            let gid = gid.replace('\'', "''");
            format!("`COMMIT PREPARED '{gid}'` or `ROLLBACK PREPARED '{gid}'`, in this database, ends it")
        }
        (None, Some(pid)) => {
            let end = format!("`SELECT pg_terminate_backend({pid})` ends it if it will never commit");
            match open_seconds {
                Some(_) => end,
                None if sees_all => format!("the server does not say since when (track_activities); {end}"),
                None => format!("`GRANT pg_read_all_stats TO {role}` shows since when; {end}"),
            }
        }
        (None, None) => "it is being prepared, or has just ended".to_owned(),
    };
    let application = match pid {
        None => "a prepared transaction".to_owned(),
        Some(_) => application,
    };
    let blocker = Blocker { pid, application, prepared, open_seconds, advice };
    Ok(Writer { transaction: row.try_get("transaction")?, blocker })
}

/// What a fault is about.
struct Found {
    subject: String,
    detail: String,
    role: String,
    table: String,
}

/// The fault, and what to do.
fn reason(fault: &str, Found { subject, detail, role, table }: &Found) -> String {
    match fault {
        "gone" => format!("there is no table {table} any more: put it back, or name the right table"),
        "kind" => {
            let (kind, writers) = match detail.as_str() {
                "v" => ("a view", "who writes to the tables behind it is not to be seen"),
                "m" => ("a materialized view", "what it shows was written before"),
                _ => ("a foreign table", "who writes to it elsewhere is not to be seen"),
            };
            format!(
                "{subject} is {kind}: {writers}, and events would be missed; name a table of this database as `table` in \
                 `[events]` of kennel.toml"
            )
        }
        "privilege" => format!("its user may not read {subject}: run `GRANT SELECT ON {subject} TO {role}`"),
        "policy" => format!(
            "row-level security may hide rows of {subject} from {role}, and events would be missed: run `ALTER ROLE {role} \
             BYPASSRLS`, or `CREATE POLICY kennel ON {subject} FOR SELECT TO {role} USING (true)` and have no restrictive \
             policy apply to it"
        ),
        "subscription" => format!(
            "the subscription {subject} writes to {detail}: logical replication brings events in the order in which they \
             were committed elsewhere, not in that of their positions, and some would be missed; follow the log where it is \
             written, or take the table out of the publication and run `ALTER SUBSCRIPTION {subject} REFRESH PUBLICATION`"
        ),
        "default" => format!(
            "the positions of {subject} come from `{detail}`: only `nextval` of a sequence, by itself, gives them out in an \
             order that can be followed; make it the default of `global_position`"
        ),
        "no sequence" => format!(
            "the positions of {table} come from no sequence that is known to the database, so it is not to be seen who holds \
             one; name the sequence with `ALTER SEQUENCE … OWNED BY {table}.global_position`"
        ),
        "sequences" => format!(
            "the positions of {table} may come from several sequences, {subject}, which do not follow one order; have one \
             alone be the default of `global_position`, in every partition, and run `ALTER SEQUENCE … OWNED BY NONE` for \
             the others"
        ),
        "cache" => format!(
            "the sequence {subject} hands out positions in blocks of {detail}, so they do not follow the order in which \
             events are written and events would be missed; run `ALTER SEQUENCE {subject} CACHE 1`"
        ),
        "step" => format!("the sequence {subject} counts by {detail}; positions must increase"),
        "cycle" => format!(
            "the sequence {subject} begins anew at its end, and its positions with it; run `ALTER SEQUENCE {subject} NO \
             CYCLE`"
        ),
        _ => format!(
            "the sequence {subject} is not logged: after a crash of the server it begins anew, and its positions with it; \
             run `ALTER TABLE {table} SET LOGGED` or `ALTER SEQUENCE {subject} SET LOGGED`"
        ),
    }
}
