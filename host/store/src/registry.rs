//! Components and deployments, and what hosts report about them.

use std::collections::HashMap;

use async_trait::async_trait;
use kennel_core::checkpoint::{self, Checkpoint};
use kennel_core::digest::Digest;
use kennel_core::failure::EventFailure;
use kennel_core::limits;
use kennel_core::name::{ProjectionName, ReplicaSet};
use kennel_core::port::{NewDeployment, ProjectionProgress, ProjectionState, Registry, StoreError};
use kennel_core::projection::{Deployment, DeploymentId};

use crate::error::{Doing, corrupt};
use crate::naming;
use crate::row::{self, signed, unsigned};
use crate::session::{Arg, Durability, Tx};
use crate::store::Store;

#[async_trait]
impl Registry for Store {
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
        let mut tx = self.backend().begin(Durability::Acknowledged, doing).await?;
        let args = [Arg::Text(&digest.to_string()), Arg::Bytes(bytes)];
        tx.execute(&self.sql().component_put, &args).await.doing(doing)?;
        tx.commit().await.doing(doing)
    }

    async fn component(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let doing = "reading a component";
        let digest = digest.to_string();
        let row = self.backend().row(&self.sql().component_get, &[Arg::Text(&digest)], doing).await?;
        row.map(|row| row.bytes(0)).transpose().doing(doing)
    }

    async fn deploy(&self, new: &NewDeployment) -> Result<Option<Deployment>, StoreError> {
        let doing = "recording a deployment";
        let mut tx = self.backend().begin(Durability::Acknowledged, doing).await?;
        self.backend().lock_catalog(&mut tx).await.doing(doing)?;
        let name = [Arg::Text(new.projection.as_str())];
        if tx.row(&self.sql().projection_exists, &name).await.doing(doing)?.is_some() {
            tx.rollback().await.doing(doing)?;
            return Ok(None);
        }
        let schema = self.free_schema(&mut tx, &new.projection).await?;
        let deployment = self.insert_deployment(&mut tx, new, &schema).await?;
        let id = Arg::Int(deployment.id.get());
        tx.execute(&self.sql().projection_insert, &[name[0], id]).await.doing(doing)?;
        self.insert_checkpoint(&mut tx, deployment.id, &Checkpoint::UNTOUCHED).await.doing(doing)?;
        tx.commit().await.doing(doing)?;
        Ok(Some(deployment))
    }

    async fn active(&self, replica_set: &ReplicaSet) -> Result<Vec<Deployment>, StoreError> {
        let args = [Arg::Text(replica_set.as_str())];
        let rows = self.backend().rows(&self.sql().deployments_active, &args, "listing deployments").await?;
        rows.iter().map(row::deployment).collect()
    }

    async fn find(&self, projection: &ProjectionName) -> Result<Option<Deployment>, StoreError> {
        let args = [Arg::Text(projection.as_str())];
        let row = self.backend().row(&self.sql().deployment_find, &args, "finding a deployment").await?;
        row.as_ref().map(row::deployment).transpose()
    }

    async fn report(
        &self,
        deployment: DeploymentId,
        state: ProjectionState,
        failure: Option<&EventFailure>,
    ) -> Result<(), StoreError> {
        let doing = "recording what a projection is doing";
        let failure = failure.map(row::failure_to_json).transpose()?;
        let mut tx = self.backend().begin(Durability::Replayable, doing).await?;
        let args =
            [Arg::Int(deployment.get()), Arg::Text(state.as_str()), Arg::TextOrNull(failure.as_deref())];
        tx.execute(&self.sql().deployment_report, &args).await.doing(doing)?;
        tx.commit().await.doing(doing)
    }

    async fn progress(&self) -> Result<Vec<ProjectionProgress>, StoreError> {
        let doing = "reading the progress of projections";
        let mut checkpoints: HashMap<DeploymentId, Vec<Checkpoint>> = HashMap::new();
        for found in self.backend().rows(&self.sql().checkpoints_active, &[], doing).await? {
            let deployment = DeploymentId::new(found.int(0).doing(doing)?);
            checkpoints.entry(deployment).or_default().push(row::checkpoint(&found, 1)?);
        }
        let mut progress = Vec::new();
        for found in self.backend().rows(&self.sql().progress, &[], doing).await? {
            let deployment = row::deployment(&found)?;
            let state = found.text(7).doing(doing)?;
            let failure = found.text_or_null(8).doing(doing)?;
            progress.push(ProjectionProgress {
                checkpoints: checkpoint::merge(checkpoints.remove(&deployment.id).unwrap_or_default()),
                state: ProjectionState::parse(&state)
                    .ok_or_else(|| corrupt("a projection's state", &state))?,
                last_failure: failure.as_deref().map(row::failure_from_json).transpose()?,
                dead_letters: unsigned(found.int(9).doing(doing)?),
                deployment,
            });
        }
        Ok(progress)
    }
}

impl Store {
    /// A place for a read model that is not in use.
    async fn free_schema(&self, tx: &mut Tx, projection: &ProjectionName) -> Result<String, StoreError> {
        let doing = "finding a place for a read model";
        for candidate in naming::candidates(projection.as_str()) {
            let ours = tx.row(&self.sql().read_schema_taken, &[Arg::Text(&candidate)]).await.doing(doing)?;
            if ours.is_none() && self.backend().create_schema(tx, &candidate).await.doing(doing)? {
                return Ok(candidate);
            }
        }
        let message =
            format!("no schema name is free for projection `{projection}`: deploy it under another name");
        Err(StoreError::Invalid { message })
    }

    async fn insert_deployment(
        &self,
        tx: &mut Tx,
        new: &NewDeployment,
        schema: &str,
    ) -> Result<Deployment, StoreError> {
        let doing = "recording a deployment";
        const FIRST: u32 = 1;
        let (descriptor, settings) = (row::to_json(&new.descriptor)?, row::to_json(&new.settings)?);
        let args = [
            Arg::Text(new.projection.as_str()),
            Arg::Int(i64::from(FIRST)),
            Arg::Text(new.replica_set.as_str()),
            Arg::Text(&new.digest.to_string()),
            Arg::Text(&descriptor),
            Arg::Text(&settings),
            Arg::Text(schema),
            Arg::Text(&new.author),
            Arg::Text(ProjectionState::Running.as_str()),
        ];
        let row = tx.row(&self.sql().deployment_insert, &args).await.doing(doing)?;
        let id = row.ok_or(sqlx::Error::RowNotFound).and_then(|row| row.int(0)).doing(doing)?;
        Ok(Deployment {
            id: DeploymentId::new(id),
            projection: new.projection.clone(),
            replica_set: new.replica_set.clone(),
            number: FIRST,
            digest: new.digest,
            descriptor: new.descriptor.clone(),
            settings: new.settings.clone(),
        })
    }

    pub(crate) async fn insert_checkpoint(
        &self,
        tx: &mut Tx,
        deployment: DeploymentId,
        checkpoint: &Checkpoint,
    ) -> Result<(), sqlx::Error> {
        let args = [
            Arg::Int(deployment.get()),
            Arg::Int(signed(checkpoint.range.start())),
            Arg::Int(signed(checkpoint.range.end())),
            Arg::Int(signed(checkpoint.position.get())),
            Arg::Int(signed(checkpoint.generation.get())),
        ];
        tx.execute(&self.sql().checkpoint_insert, &args).await.map(|_| ())
    }
}
