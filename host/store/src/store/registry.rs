//! Components, deployments, and what hosts report about them. How a projection changes is in
//! `registry/lifecycle` and `registry/cutover`, where its documents are found in `registry/namespaces`.

mod cutover;
mod lifecycle;
mod namespaces;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use async_trait::async_trait;
use kennel_core::checkpoint::{self, Checkpoint};
use kennel_core::condition::{Condition, ReportedCondition};
use kennel_core::digest::Digest;
use kennel_core::failure::EventFailure;
use kennel_core::lifecycle::{Lifecycle, OperationRecord, OperationRequest, Outcome, Rejected, Role};
use kennel_core::limits;
use kennel_core::name::{ProjectionName, ReplicaSet};
use kennel_core::port::{
    Changed, ComponentStore, DeploymentStore, ProjectionProgress, ProjectionState, StatusReports, StoreError,
    StoredComponent,
};
use kennel_core::position::Position;
use kennel_core::projection::{Deployment, DeploymentId, ReadModelId};
use kennel_core::witness::LogSetBack;

use crate::backend::Backend;
use crate::error::{Doing, while_blocked};
use crate::row::{self, signed, unsigned};
use crate::session::{Arg, Durability, Row, Tx as _};
use crate::store::SqlStore;
use crate::store::log_set_back::Found;

#[async_trait]
impl<B: Backend> ComponentStore for SqlStore<B> {
    async fn put_component(&self, digest: Digest, bytes: &[u8]) -> Result<(), StoreError> {
        let doing = "storing a component";
        if bytes.len() > limits::COMPONENT_BYTES_MAX {
            let message = format!(
                "component {} has {} bytes; at most {} are allowed",
                digest.short(),
                bytes.len(),
                limits::COMPONENT_BYTES_MAX
            );
            return Err(StoreError::Invalid { message });
        }
        let mut tx = self.backend.begin(Durability::Acknowledged, doing).await?;
        let args = [Arg::Text(&digest.to_string()), Arg::Bytes(bytes)];
        tx.execute(&self.sql.component_put, &args).await.doing(doing)?;
        // A caller may store it again because it was reported as damaged.
        tx.execute(&self.sql.component_repair, &args).await.doing(doing)?;
        tx.commit().await.doing(doing)
    }

    async fn component(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let doing = "reading a component";
        let digest = digest.to_string();
        let row = self.backend.row(&self.sql.component_get, &[Arg::Text(&digest)], doing).await?;
        row.map(|row| row.bytes("bytes")).transpose().doing(doing)
    }

    async fn keep_component(&self, digest: Digest) -> Result<bool, StoreError> {
        let doing = "keeping a component";
        let mut tx = self.backend.begin(Durability::Acknowledged, doing).await?;
        let found =
            tx.execute(&self.sql.component_keep, &[Arg::Text(&digest.to_string())]).await.doing(doing)?;
        tx.commit().await.doing(doing)?;
        Ok(found > 0)
    }

    async fn components(&self) -> Result<Vec<StoredComponent>, StoreError> {
        let doing = "listing components";
        let mut components: Vec<StoredComponent> = Vec::new();
        for found in self.backend.rows(&self.sql.components, &[], doing).await? {
            let digest = row::digest(&found.text("digest").doing(doing)?)?;
            if components.last().is_none_or(|last| last.digest != digest) {
                components.push(StoredComponent {
                    digest,
                    bytes: unsigned(found.int("bytes").doing(doing)?),
                    stored_at: unsigned(found.int("stored_at").doing(doing)?),
                    used_by: Vec::new(),
                });
            }
            if let (Some(projection), Some(component)) =
                (found.text_or_null("projection").doing(doing)?, components.last_mut())
            {
                component.used_by.push((row::projection(projection)?, row::number(&found, "number")?));
            }
        }
        Ok(components)
    }
}

#[async_trait]
impl<B: Backend> DeploymentStore for SqlStore<B> {
    async fn carry_out(
        &self,
        projection: &ProjectionName,
        request: &OperationRequest,
    ) -> Result<Result<Changed, Rejected>, StoreError> {
        while_blocked(lifecycle::BLOCKED_MAX, || self.try_carry_out(projection, request)).await
    }

    async fn lifecycle(&self, projection: &ProjectionName) -> Result<Option<Lifecycle>, StoreError> {
        let doing = "reading the history of a projection";
        let mut tx = self.backend.begin_reading(doing).await?;
        let lifecycle = self.load(&mut tx, projection).await?;
        tx.rollback().await.doing(doing)?;
        Ok(lifecycle)
    }

    async fn operations(&self, projection: &ProjectionName) -> Result<Vec<OperationRecord>, StoreError> {
        let doing = "reading operations";
        let args = [Arg::Text(projection.as_str())];
        let rows = self.backend.rows(&self.sql.operations, &args, doing).await?;
        let rows = rows.iter().map(|found| {
            Ok(OperationRecord {
                operation: found.text("operation").doing(doing)?,
                detail: found.text_or_null("detail").doing(doing)?,
                deployment: row::number_or_null(found, "deployment")?,
                attribution: row::attribution(found)?,
                at: unsigned(found.int("carried_out_at").doing(doing)?),
            })
        });
        rows.collect()
    }

    async fn projections(&self) -> Result<Vec<ProjectionName>, StoreError> {
        let doing = "listing projections";
        let rows = self.backend.rows(&self.sql.projections, &[], doing).await?;
        rows.iter().map(|found| row::projection(found.text("name").doing(doing)?)).collect()
    }

    async fn active(&self, replica_set: &ReplicaSet) -> Result<Vec<(Deployment, Role)>, StoreError> {
        let args = [Arg::Text(replica_set.as_str())];
        let rows = self.backend.rows(&self.sql.deployments_active, &args, "listing deployments").await?;
        rows.iter().map(|found| Ok((row::deployment(found)?, role(found)?))).collect()
    }

    async fn find(&self, projection: &ProjectionName) -> Result<Option<Deployment>, StoreError> {
        let args = [Arg::Text(projection.as_str())];
        let row = self.backend.row(&self.sql.deployment_find, &args, "finding a deployment").await?;
        row.as_ref().map(row::deployment).transpose()
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        let doing = "asking whether projections have changed";
        let row = self.backend.row(&self.sql.registry_revision, &[], doing).await?;
        row.map_or(Ok(0), |row| row.int("revision").map(unsigned).doing(doing))
    }

    async fn projections_changed(&self) {
        /// How often another process's changes are looked for where nothing announces them: some 20
        /// microseconds each.
        const LOOK_EVERY: Duration = Duration::from_millis(100);
        if self.backend.next_deployment().await {
            return;
        }
        let known = self.revision().await.ok();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if self.revision().await.ok() != known {
                return;
            }
        }
    }
}

#[async_trait]
impl<B: Backend> StatusReports for SqlStore<B> {
    async fn checkpoints_of(&self, read_model: ReadModelId) -> Result<Vec<Checkpoint>, StoreError> {
        let doing = "reading checkpoints";
        let args = [Arg::Int(read_model.get())];
        let rows = self.backend.rows(&self.sql.checkpoints_of, &args, doing).await?;
        rows.iter().map(row::checkpoint).collect()
    }

    async fn report(
        &self,
        deployment: DeploymentId,
        state: ProjectionState,
        failure: Option<&EventFailure>,
    ) -> Result<(), StoreError> {
        let doing = "recording what a projection is doing";
        let failure = failure.map(row::failure_to_json).transpose()?;
        let mut tx = self.backend.begin(Durability::Replayable, doing).await?;
        let args =
            [Arg::Int(deployment.get()), Arg::Text(state.as_str()), Arg::TextOrNull(failure.as_deref())];
        tx.execute(&self.sql.deployment_report, &args).await.doing(doing)?;
        tx.commit().await.doing(doing)
    }

    async fn report_condition(
        &self,
        deployment: DeploymentId,
        source: &str,
        condition: Option<&Condition>,
    ) -> Result<(), StoreError> {
        let doing = "recording a condition of a deployment";
        let mut tx = self.backend.begin(Durability::Replayable, doing).await?;
        let (id, source) = (Arg::Int(deployment.get()), Arg::Text(source));
        match condition {
            Some(Condition { reason, message }) => {
                let (reason, message) = (Arg::Text(reason.as_str()), Arg::Text(message));
                let args = [id, source, reason, message, micros(limits::CONDITION_EXPIRES_AFTER)];
                tx.execute(&self.sql.condition_put, &args).await.doing(doing)?
            }
            None => tx.execute(&self.sql.condition_remove, &[id, source]).await.doing(doing)?,
        };
        tx.commit().await.doing(doing)
    }

    async fn progress(&self) -> Result<Vec<ProjectionProgress>, StoreError> {
        let doing = "reading the progress of projections";
        let mut found: BTreeMap<ReadModelId, Vec<Found>> = BTreeMap::new();
        let mut tx = self.backend.begin_reading(doing).await?;
        for row in tx.rows(&self.sql.checkpoints_at_work, &[]).await.doing(doing)? {
            let read_model = ReadModelId::new(row.int("read_model").doing(doing)?);
            found.entry(read_model).or_default().push(Found::new(&row)?);
        }
        let mut checkpoints: HashMap<ReadModelId, (Vec<Checkpoint>, Option<LogSetBack>)> = HashMap::new();
        for (read_model, found) in found {
            let set_back = self.log_set_back(&mut tx, read_model, &found).await?;
            let all = found.iter().map(|found| found.checkpoint).collect();
            checkpoints.insert(read_model, (all, set_back));
        }
        let mut conditions: HashMap<DeploymentId, Vec<ReportedCondition>> = HashMap::new();
        for found in
            tx.rows(&self.sql.conditions, &[micros(limits::CONDITION_EXPIRES_AFTER)]).await.doing(doing)?
        {
            let deployment = DeploymentId::new(found.int("deployment").doing(doing)?);
            conditions.entry(deployment).or_default().extend(row::condition(&found)?);
        }
        let mut progress = Vec::new();
        let found = tx.rows(&self.sql.progress, &[]).await.doing(doing)?;
        tx.rollback().await.doing(doing)?;
        for found in found {
            let deployment = row::deployment(&found)?;
            let failure = found.text_or_null("last_failure").doing(doing)?;
            let (checkpoints, log_set_back) =
                checkpoints.get(&deployment.read_model).cloned().unwrap_or_default();
            let role = role(&found)?;
            let mut conditions = conditions.remove(&deployment.id).unwrap_or_default();
            conditions.retain(|one| one.condition.reason.concerns(role));
            let set_back = log_set_back.as_ref().map(|set_back| set_back.condition(&deployment.projection));
            conditions.extend(set_back.map(ReportedCondition::found));
            progress.push(ProjectionProgress {
                role,
                activity: row::word(&found, "activity")?,
                promotion: row::word(&found, "promotion")?,
                fenced: found.int("fenced").doing(doing)? != 0,
                from: Position::new(unsigned(found.int("from_position").doing(doing)?)),
                age: Duration::from_micros(unsigned(found.int("age").doing(doing)?)),
                state: match log_set_back {
                    Some(_) => ProjectionState::Halted,
                    None => row::word(&found, "state")?,
                },
                last_failure: failure.as_deref().map(row::failure_from_json).transpose()?,
                checkpoints: checkpoint::merge(checkpoints),
                dead_letters: unsigned(found.int("dead_letters").doing(doing)?),
                conditions,
                deployment,
            });
        }
        Ok(progress)
    }
}

/// So long, as the databases count.
fn micros(long: Duration) -> Arg<'static> {
    Arg::Int(i64::try_from(long.as_micros()).unwrap_or(i64::MAX))
}

/// The role that an outcome stands for.
fn role(found: &impl Row) -> Result<Role, StoreError> {
    let outcome: Outcome = row::word(found, "outcome")?;
    Ok(if outcome == Outcome::Candidate { Role::Candidate } else { Role::Serving })
}

impl<B: Backend> SqlStore<B> {
    /// Removes conditions that were not repeated for long.
    async fn expire_conditions(&self) -> Result<(), StoreError> {
        let doing = "expiring conditions of deployments";
        let mut tx = self.backend.begin(Durability::Replayable, doing).await?;
        tx.execute(&self.sql.conditions_expire, &[micros(limits::CONDITION_EXPIRES_AFTER)])
            .await
            .doing(doing)?;
        tx.commit().await.doing(doing)
    }

    /// Removes components that were not deployed for long after they were stored.
    async fn remove_unused_components(&self) -> Result<(), StoreError> {
        let doing = "removing components that were never deployed";
        let kept = micros(limits::UNUSED_COMPONENT_KEPT);
        let unused = self.backend.rows(&self.sql.components_unused, &[kept], doing).await?;
        if unused.is_empty() {
            return Ok(());
        }
        let mut tx = self.backend.begin(Durability::Replayable, doing).await?;
        self.backend.limit_waiting(&mut tx).await.doing(doing)?;
        // No operation deploys one of them meanwhile.
        tx.row(&self.sql.registry_lock, &[]).await.doing(doing)?;
        let mut removed = Vec::new();
        for found in unused {
            let digest = found.text("digest").doing(doing)?;
            if tx.execute(&self.sql.component_remove, &[Arg::Text(&digest), kept]).await.doing(doing)? > 0 {
                removed.push(digest);
            }
        }
        tx.commit().await.doing(doing)?;
        for component in removed {
            tracing::info!(component, "a component that was never deployed was removed");
        }
        Ok(())
    }

    pub(crate) async fn insert_checkpoint(
        &self,
        tx: &mut B::Tx,
        read_model: ReadModelId,
        checkpoint: &Checkpoint,
    ) -> Result<(), sqlx::Error> {
        let (witness_position, witness_id) = row::witness_args(checkpoint.witness);
        let args = [
            Arg::Int(read_model.get()),
            Arg::Int(signed(checkpoint.range.start())),
            Arg::Int(signed(checkpoint.range.end())),
            Arg::Int(signed(checkpoint.position.get())),
            Arg::Int(signed(checkpoint.generation.get())),
            Arg::Int(witness_position),
            Arg::Text(&witness_id),
        ];
        tx.execute(&self.sql.checkpoint_insert, &args).await.map(|_| ())
    }
}
