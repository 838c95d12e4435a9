//! Carries out what the rules of a projection's lifecycle say, each time in one transaction. All of them run one at a
//! time, serialized by the row that counts them.
//!
//! Locks are taken in one order: the registry, read models, checkpoints, the catalog of tables, views.
//! Commits of batches take checkpoints and then the catalog, so that no transactions wait in a circle.

use std::time::Duration;

use kennel_core::checkpoint::Checkpoint;
use kennel_core::lifecycle::{
    self as rules, Attribution, Decision, Entry, Lifecycle, NewDeployment, OperationRequest, Outcome,
    ReadModelStatus, Rejected, Verdict,
};
use kennel_core::name::ProjectionName;
use kennel_core::port::{Changed, ProjectionState, StoreError};
use kennel_core::position::Position;
use kennel_core::projection::ReadModelId;

use crate::backend::Backend;
use crate::error::Doing;
use crate::row::{self, unsigned};
use crate::session::{Arg, Durability, Row as _, Tx as _};
use crate::store::SqlStore;

/// How long an operation is tried while another transaction blocks it.
pub(super) const BLOCKED_MAX: Duration = Duration::from_secs(2);

impl<B: Backend> SqlStore<B> {
    pub(super) async fn try_carry_out(
        &self,
        projection: &ProjectionName,
        request: &OperationRequest,
    ) -> Result<Result<Changed, Rejected>, StoreError> {
        let doing = "changing a projection";
        let (mut tx, found) = self.begin_permitted(projection, doing).await?;
        let before = found.unwrap_or_else(|| Lifecycle::new(projection.clone()));
        let decision = match rules::decide(&before, request) {
            Err(rejected) => {
                tx.rollback().await.doing(doing)?;
                return Ok(Err(rejected));
            }
            Ok(Verdict::Unchanged(number)) => {
                tx.rollback().await.doing(doing)?;
                return Ok(Ok(Changed { lifecycle: before, number, changed: false }));
            }
            Ok(Verdict::Change(decision)) => decision,
        };
        let number = decision.about;
        if let Some(after) = decision.accept_log
            && let Err(rejected) = self.accept_log(&mut tx, &before, after).await?
        {
            tx.rollback().await.doing(doing)?;
            return Ok(Err(rejected));
        }
        let lifecycle = self.apply(&mut tx, &before, &decision, &request.attribution).await?;
        self.record(&mut tx, projection, number, request).await?;
        tx.commit().await.doing(doing)?;
        Ok(Ok(Changed { lifecycle, number, changed: true }))
    }

    /// A transaction that holds the permit to change projections, and the projection as it finds it. It waits for no
    /// lock for long: an index that is being made may hold up a batch, and with it the transactions that want the
    /// checkpoints, and all others wait for the permit.
    pub(super) async fn begin_permitted(
        &self,
        projection: &ProjectionName,
        doing: &str,
    ) -> Result<(B::Tx, Option<Lifecycle>), StoreError> {
        let mut tx = self.backend.begin(Durability::Acknowledged, doing).await?;
        self.backend.limit_waiting(&mut tx).await.doing(doing)?;
        let found = self.take_permit(&mut tx, projection, doing).await?;
        Ok((tx, found))
    }

    pub(super) async fn take_permit(
        &self,
        tx: &mut B::Tx,
        projection: &ProjectionName,
        doing: &str,
    ) -> Result<Option<Lifecycle>, StoreError> {
        tx.row(&self.sql.registry_advance, &[]).await.doing(doing)?;
        self.load(tx, projection).await
    }

    pub(super) async fn load(
        &self,
        tx: &mut B::Tx,
        projection: &ProjectionName,
    ) -> Result<Option<Lifecycle>, StoreError> {
        let doing = "reading the history of a projection";
        let name = [Arg::Text(projection.as_str())];
        let Some(found) = tx.row(&self.sql.projection_find, &name).await.doing(doing)? else {
            return Ok(None);
        };
        let mut history = Vec::new();
        for line in tx.rows(&self.sql.deployment_history, &name).await.doing(doing)? {
            history.push(Entry {
                deployment: row::deployment(&line)?,
                outcome: row::word(&line, "outcome")?,
                origin: row::word(&line, "origin")?,
                returns_to: row::number_or_null(&line, "returns_to")?,
                attribution: row::attribution(&line)?,
                from: Position::new(unsigned(line.int("from_position").doing(doing)?)),
                deployed_at: unsigned(line.int("deployed_at").doing(doing)?),
                decided_at: unsigned(line.int("decided_at").doing(doing)?),
            });
        }
        let statuses = self.statuses(tx, projection).await?;
        let there = statuses.into_iter().filter(|(_, status)| *status != ReadModelStatus::Deleting);
        Ok(Some(Lifecycle {
            projection: projection.clone(),
            replica_set: row::parsed(found.text("replica_set").doing(doing)?, "a replica set's name")?,
            activity: row::word(&found, "activity")?,
            promotion: row::word(&found, "promotion")?,
            fenced: found.int("fenced").doing(doing)? != 0,
            history,
            read_models: there.map(|(id, _)| id).collect(),
        }))
    }

    async fn statuses(
        &self,
        tx: &mut B::Tx,
        projection: &ProjectionName,
    ) -> Result<Vec<(ReadModelId, ReadModelStatus)>, StoreError> {
        let doing = "reading the read models of a projection";
        let rows = tx.rows(&self.sql.read_models, &[Arg::Text(projection.as_str())]).await.doing(doing)?;
        rows.iter()
            .map(|row| Ok((ReadModelId::new(row.int("id").doing(doing)?), row::word(row, "status")?)))
            .collect()
    }

    /// Writes what a decision changes. Returns the projection as it is then.
    pub(super) async fn apply(
        &self,
        tx: &mut B::Tx,
        before: &Lifecycle,
        decision: &Decision,
        attribution: &Attribution,
    ) -> Result<Lifecycle, StoreError> {
        let doing = "changing a projection";
        let projection = &before.projection;
        self.write_projection(tx, before, decision).await?;
        // The serving deployment makes room before another is promoted.
        let mut outcomes = decision.outcomes.clone();
        outcomes.sort_by_key(|(_, outcome)| *outcome == Outcome::Serving);
        for (number, outcome) in outcomes {
            let args =
                [Arg::Text(projection.as_str()), Arg::Int(i64::from(number)), Arg::Text(outcome.as_str())];
            tx.execute(&self.sql.deployment_decide, &args).await.doing(doing)?;
        }
        if let Some(new) = &decision.new {
            if new.read_model.is_none() {
                // Making a namespace locks the catalog. A batch for a read model that is abandoned here may hold the
                // locks of its checkpoints and want the catalog next: it goes first.
                self.settle(tx, projection).await?;
            }
            self.insert_deployment(tx, projection, new, attribution).await?;
        }
        let after = self.settle(tx, projection).await?;
        let serving = |lifecycle: &Lifecycle| lifecycle.serving().map(|entry| entry.deployment.read_model);
        if serving(before) != serving(&after) {
            self.publish(tx, projection, serving(&after)).await?;
        }
        self.backend.announce_deployment(tx).await.doing(doing)?;
        Ok(after)
    }

    /// Gives each read model the status that the rules assign. Returns the projection as it is then.
    async fn settle(&self, tx: &mut B::Tx, projection: &ProjectionName) -> Result<Lifecycle, StoreError> {
        let mut lifecycle = self.load(tx, projection).await?.ok_or_else(|| StoreError::Invalid {
            message: format!("the projection `{projection}` has vanished"),
        })?;
        let mut kept = Vec::new();
        for (read_model, status) in self.statuses(tx, projection).await? {
            let wanted = lifecycle.read_model_status(read_model);
            if status != wanted {
                self.set_status(tx, read_model, wanted).await?;
            }
            if wanted != ReadModelStatus::Deleting {
                kept.push(read_model);
            }
        }
        lifecycle.read_models = kept;
        Ok(lifecycle)
    }

    async fn write_projection(
        &self,
        tx: &mut B::Tx,
        before: &Lifecycle,
        decision: &Decision,
    ) -> Result<(), StoreError> {
        let doing = "recording a projection";
        let name = Arg::Text(before.projection.as_str());
        let replica_set = Arg::Text(decision.replica_set.as_str());
        let (activity, promotion) =
            (Arg::Text(decision.activity.as_str()), Arg::Text(decision.promotion.as_str()));
        let fenced = Arg::Int(i64::from(decision.fenced));
        if before.history.is_empty() {
            let namespace = self.make_namespace(tx, before.projection.as_str()).await?;
            let args = [name, replica_set, Arg::Text(&namespace), activity, promotion, fenced];
            tx.execute(&self.sql.projection_insert, &args).await.doing(doing)?;
        } else {
            let args = [name, replica_set, activity, promotion, fenced];
            tx.execute(&self.sql.projection_update, &args).await.doing(doing)?;
        }
        Ok(())
    }

    async fn insert_deployment(
        &self,
        tx: &mut B::Tx,
        projection: &ProjectionName,
        new: &NewDeployment,
        attribution: &Attribution,
    ) -> Result<(), StoreError> {
        let doing = "recording a deployment";
        let read_model = match new.read_model {
            Some(read_model) => read_model,
            None => self.make_read_model(tx, projection, new.number).await?,
        };
        let (descriptor, settings) = (row::to_json(&new.descriptor)?, row::to_json(&new.settings)?);
        let args = [
            Arg::Text(projection.as_str()),
            Arg::Int(i64::from(new.number)),
            Arg::Text(&new.digest.to_string()),
            Arg::Text(&descriptor),
            Arg::Text(&settings),
            Arg::Int(read_model.get()),
            Arg::Text(new.origin.as_str()),
            Arg::Text(new.outcome.as_str()),
            Arg::Text(&attribution.actor),
            Arg::TextOrNull(attribution.reason.as_deref()),
            Arg::Text(ProjectionState::Running.as_str()),
            Arg::IntOrNull(new.returns_to.map(i64::from)),
        ];
        tx.execute(&self.sql.deployment_insert, &args).await.doing(doing).map(|_| ())
    }

    /// Records the operation, its actor and its reason.
    async fn record(
        &self,
        tx: &mut B::Tx,
        projection: &ProjectionName,
        number: Option<u32>,
        request: &OperationRequest,
    ) -> Result<(), StoreError> {
        let detail = request.operation.detail();
        let args = [
            Arg::Text(projection.as_str()),
            Arg::Text(request.operation.kind().as_str()),
            Arg::TextOrNull(detail.as_deref()),
            Arg::IntOrNull(number.map(i64::from)),
            Arg::Text(&request.attribution.actor),
            Arg::TextOrNull(request.attribution.reason.as_deref()),
        ];
        tx.execute(&self.sql.operation_insert, &args).await.doing("recording an operation").map(|_| ())
    }

    async fn make_read_model(
        &self,
        tx: &mut B::Tx,
        projection: &ProjectionName,
        number: u32,
    ) -> Result<ReadModelId, StoreError> {
        let doing = "making a read model";
        let namespace = self.make_namespace(tx, &format!("{projection}_{number}")).await?;
        let status = Arg::Text(ReadModelStatus::Active.as_str());
        let args = [Arg::Text(projection.as_str()), Arg::Text(&namespace), status];
        let row = tx.row(&self.sql.read_model_insert, &args).await.doing(doing)?;
        let id = row.ok_or(sqlx::Error::RowNotFound).and_then(|row| row.int("id")).doing(doing)?;
        let read_model = ReadModelId::new(id);
        self.insert_checkpoint(tx, read_model, &Checkpoint::INITIAL).await.doing(doing)?;
        Ok(read_model)
    }

    /// Changes the status of a read model. Once it is not active, batches that are under way are no longer committed.
    async fn set_status(
        &self,
        tx: &mut B::Tx,
        read_model: ReadModelId,
        status: ReadModelStatus,
    ) -> Result<(), StoreError> {
        let doing = "changing the status of a read model";
        let id = Arg::Int(read_model.get());
        tx.execute(&self.sql.read_model_set_status, &[id, Arg::Text(status.as_str())]).await.doing(doing)?;
        if status != ReadModelStatus::Active {
            tx.execute(&self.sql.checkpoints_lock, &[id]).await.doing(doing)?;
        }
        Ok(())
    }
}
