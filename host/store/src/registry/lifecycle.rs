//! Carries out what the law of a projection's life says, each time in one transaction. All of them take
//! turns, on the row that counts them.
//!
//! Locks are taken in one order: the registry, read models, checkpoints, the catalog of tables, views.
//! Commits of batches take checkpoints and then the catalog, so that nobody waits in a circle.

use std::time::Duration;

use kennel_core::checkpoint::{self, Checkpoint};
use kennel_core::lifecycle::{
    self as law, Decision, Declined, Entry, Lifecycle, NewDeployment, Outcome, Request, Signature, Standing,
    Verdict,
};
use kennel_core::name::ProjectionName;
use kennel_core::port::{Changed, ProjectionState, StoreError, Switched};
use kennel_core::position::Position;
use kennel_core::projection::ReadModelId;

use crate::error::{Doing, advised, while_in_the_way};
use crate::log_set_back::Found;
use crate::row::{self, unsigned};
use crate::session::{Arg, Durability, Tx};
use crate::store::Store;

/// How long an order is tried while somebody is in its way.
const IN_THE_WAY_MAX: Duration = Duration::from_secs(2);

impl Store {
    pub(super) async fn carry_out(
        &self,
        projection: &ProjectionName,
        request: &Request,
    ) -> Result<Result<Changed, Declined>, StoreError> {
        while_in_the_way(IN_THE_WAY_MAX, || self.try_carry_out(projection, request)).await
    }

    async fn try_carry_out(
        &self,
        projection: &ProjectionName,
        request: &Request,
    ) -> Result<Result<Changed, Declined>, StoreError> {
        let doing = "changing a projection";
        let (mut tx, found) = self.turn(projection, doing).await?;
        let before = found.unwrap_or_else(|| Lifecycle::unborn(projection.clone()));
        let decision = match law::decide(&before, request) {
            Err(declined) => {
                tx.rollback().await.doing(doing)?;
                return Ok(Err(declined));
            }
            Ok(Verdict::Unchanged(number)) => {
                tx.rollback().await.doing(doing)?;
                return Ok(Ok(Changed { lifecycle: before, number, changed: false }));
            }
            Ok(Verdict::Change(decision)) => decision,
        };
        let number = decision.about;
        if let Some(after) = decision.accept_log
            && let Err(declined) = self.accept_log(&mut tx, &before, after).await?
        {
            tx.rollback().await.doing(doing)?;
            return Ok(Err(declined));
        }
        let lifecycle = self.apply(&mut tx, &before, &decision, &request.signature).await?;
        self.record(&mut tx, projection, number, request).await?;
        tx.commit().await.doing(doing)?;
        Ok(Ok(Changed { lifecycle, number, changed: true }))
    }

    pub(super) async fn hold_for_switch(
        &self,
        projection: &ProjectionName,
        slack: u64,
    ) -> Result<Switched, StoreError> {
        self.step(projection, law::freeze, slack, "preparing to switch read models").await
    }

    pub(super) async fn put_in_place(&self, projection: &ProjectionName) -> Result<Switched, StoreError> {
        self.step(projection, law::complete, 0, "switching read models").await
    }

    /// A step of a switch, if it is due and what is being built is at most `slack` positions behind.
    async fn step(
        &self,
        projection: &ProjectionName,
        law: fn(&Lifecycle) -> Option<Decision>,
        slack: u64,
        doing: &str,
    ) -> Result<Switched, StoreError> {
        let mut tx = self.backend().begin(Durability::Acknowledged, doing).await?;
        let work = async {
            // Somebody may read the views for hours, and a process may be frozen in the middle of a batch: nobody
            // else shall wait for that.
            self.backend().limit_waiting(&mut tx).await.doing(doing)?;
            let found = self.take_turn(&mut tx, projection, doing).await?;
            let decided = found.as_ref().and_then(|before| Some((before, law(before)?)));
            let Some((before, decision)) = decided else { return Ok(Switched::Nothing) };
            let behind = self.behind(&mut tx, before).await?;
            if behind > slack {
                return Ok(Switched::Behind(behind));
            }
            self.apply(&mut tx, before, &decision, &nobody()).await.map(|_| Switched::Done)
        };
        match work.await {
            Ok(Switched::Done) => tx.commit().await.doing(doing).map(|()| Switched::Done),
            Ok(other) => tx.rollback().await.doing(doing).map(|()| other),
            // A lock that could not be had in time, or a deadlock: both mean that somebody is in the way. If
            // the database has gone away, it shows here.
            Err(error @ StoreError::Unavailable { .. }) => {
                tx.rollback().await.doing(doing)?;
                let source = match advised(error) {
                    StoreError::Unavailable { source, .. } => source,
                    for_good => return Err(for_good),
                };
                tracing::debug!(%projection, %source, "a switch waits for those who are in its way");
                Ok(Switched::Busy)
            }
            Err(error) => {
                // Waited for, so that the connection stays usable; the first error says more than a second.
                let _ = tx.rollback().await;
                Err(error)
            }
        }
    }

    pub(super) async fn let_go(&self, projection: &ProjectionName) -> Result<(), StoreError> {
        while_in_the_way(IN_THE_WAY_MAX, || self.try_let_go(projection)).await
    }

    async fn try_let_go(&self, projection: &ProjectionName) -> Result<(), StoreError> {
        let doing = "giving up a switch";
        let (mut tx, found) = self.turn(projection, doing).await?;
        let Some((before, decision)) = found.as_ref().and_then(|before| Some((before, law::thaw(before)?)))
        else {
            return tx.rollback().await.doing(doing);
        };
        self.apply(&mut tx, before, &decision, &nobody()).await?;
        tx.commit().await.doing(doing)
    }

    /// A transaction that has its turn, and the projection as it finds it. It waits for nobody for long: an index that
    /// somebody makes may hold up a batch, and with it whoever wants the checkpoints, and all others wait for the turn.
    async fn turn(
        &self,
        projection: &ProjectionName,
        doing: &str,
    ) -> Result<(Tx, Option<Lifecycle>), StoreError> {
        let mut tx = self.backend().begin(Durability::Acknowledged, doing).await?;
        self.backend().limit_waiting(&mut tx).await.doing(doing)?;
        let found = self.take_turn(&mut tx, projection, doing).await?;
        Ok((tx, found))
    }

    async fn take_turn(
        &self,
        tx: &mut Tx,
        projection: &ProjectionName,
        doing: &str,
    ) -> Result<Option<Lifecycle>, StoreError> {
        tx.row(&self.sql().registry_advance, &[]).await.doing(doing)?;
        self.load(tx, projection).await
    }

    pub(super) async fn load(
        &self,
        tx: &mut Tx,
        projection: &ProjectionName,
    ) -> Result<Option<Lifecycle>, StoreError> {
        let doing = "reading the history of a projection";
        let name = [Arg::Text(projection.as_str())];
        let Some(found) = tx.row(&self.sql().projection_find, &name).await.doing(doing)? else {
            return Ok(None);
        };
        let mut history = Vec::new();
        for line in tx.rows(&self.sql().deployment_history, &name).await.doing(doing)? {
            history.push(Entry {
                deployment: row::deployment(&line)?,
                outcome: row::word(&line, 8)?,
                origin: row::word(&line, 9)?,
                returns_to: row::number_or_null(&line, 15)?,
                signature: row::signature(&line, 10)?,
                from: Position::new(unsigned(line.int(12).doing(doing)?)),
                deployed_at: unsigned(line.int(13).doing(doing)?),
                decided_at: unsigned(line.int(14).doing(doing)?),
            });
        }
        let standings = self.standings(tx, projection).await?;
        let there = standings.into_iter().filter(|(_, standing)| *standing != Standing::Condemned);
        Ok(Some(Lifecycle {
            projection: projection.clone(),
            replica_set: row::parsed(found.text(0).doing(doing)?, "a replica set's name")?,
            activity: row::word(&found, 1)?,
            switch: row::word(&found, 2)?,
            frozen: found.int(3).doing(doing)? != 0,
            history,
            read_models: there.map(|(id, _)| id).collect(),
        }))
    }

    async fn standings(
        &self,
        tx: &mut Tx,
        projection: &ProjectionName,
    ) -> Result<Vec<(ReadModelId, Standing)>, StoreError> {
        let doing = "reading the read models of a projection";
        let rows = tx.rows(&self.sql().read_models, &[Arg::Text(projection.as_str())]).await.doing(doing)?;
        rows.iter().map(|row| Ok((ReadModelId::new(row.int(0).doing(doing)?), row::word(row, 1)?))).collect()
    }

    /// How far what is being built is behind what serves, in positions.
    async fn behind(&self, tx: &mut Tx, lifecycle: &Lifecycle) -> Result<u64, StoreError> {
        let (Some(live), Some(candidate)) = (lifecycle.live(), lifecycle.candidate()) else { return Ok(0) };
        let mut leader = self.checkpoints(tx, live.deployment.read_model).await?;
        let follower = self.checkpoints(tx, candidate.deployment.read_model).await?;
        if let Some(set_back) = self.log_set_back(tx, live.deployment.read_model, &leader).await? {
            // What serves went farther than the log does now: nothing can get there, and nothing has to.
            for found in &mut leader {
                found.checkpoint.position = found.checkpoint.position.min(set_back.log_end);
            }
        }
        let of = |found: &[Found]| found.iter().map(|found| found.checkpoint).collect::<Vec<_>>();
        Ok(checkpoint::behind(&of(&follower), &of(&leader)))
    }

    async fn checkpoints(&self, tx: &mut Tx, read_model: ReadModelId) -> Result<Vec<Found>, StoreError> {
        let doing = "reading checkpoints";
        let rows = tx.rows(&self.sql().checkpoints_of, &[Arg::Int(read_model.get())]).await.doing(doing)?;
        rows.iter().map(|found| Found::new(found, 0)).collect()
    }

    /// Writes what a decision changes. Returns the projection as it is then.
    async fn apply(
        &self,
        tx: &mut Tx,
        before: &Lifecycle,
        decision: &Decision,
        signature: &Signature,
    ) -> Result<Lifecycle, StoreError> {
        let doing = "changing a projection";
        let projection = &before.projection;
        self.write_projection(tx, before, decision).await?;
        // Whoever serves makes room before another takes the place.
        let mut outcomes = decision.outcomes.clone();
        outcomes.sort_by_key(|(_, outcome)| *outcome == Outcome::Live);
        for (number, outcome) in outcomes {
            let args =
                [Arg::Text(projection.as_str()), Arg::Int(i64::from(number)), Arg::Text(outcome.as_str())];
            tx.execute(&self.sql().deployment_decide, &args).await.doing(doing)?;
        }
        if let Some(new) = &decision.new {
            if new.read_model.is_none() {
                // Making a place locks the catalog. A batch for a read model that is given up here may hold the
                // locks of its checkpoints and want the catalog next: it goes first.
                self.settle(tx, projection).await?;
            }
            self.insert_deployment(tx, projection, new, signature).await?;
        }
        let after = self.settle(tx, projection).await?;
        let serving = |lifecycle: &Lifecycle| lifecycle.live().map(|entry| entry.deployment.read_model);
        if serving(before) != serving(&after) {
            self.publish(tx, projection, serving(&after)).await?;
        }
        self.backend().announce_deployment(tx).await.doing(doing)?;
        Ok(after)
    }

    /// Gives each read model the standing that it has by law. Returns the projection as it is then.
    async fn settle(&self, tx: &mut Tx, projection: &ProjectionName) -> Result<Lifecycle, StoreError> {
        let mut lifecycle = self.load(tx, projection).await?.ok_or_else(|| StoreError::Invalid {
            message: format!("the projection `{projection}` has vanished"),
        })?;
        let mut kept = Vec::new();
        for (read_model, standing) in self.standings(tx, projection).await? {
            let wanted = lifecycle.standing(read_model);
            if standing != wanted {
                self.stand(tx, read_model, wanted).await?;
            }
            if wanted != Standing::Condemned {
                kept.push(read_model);
            }
        }
        lifecycle.read_models = kept;
        Ok(lifecycle)
    }

    async fn write_projection(
        &self,
        tx: &mut Tx,
        before: &Lifecycle,
        decision: &Decision,
    ) -> Result<(), StoreError> {
        let doing = "recording a projection";
        let name = Arg::Text(before.projection.as_str());
        let replica_set = Arg::Text(decision.replica_set.as_str());
        let (activity, switch) = (Arg::Text(decision.activity.as_str()), Arg::Text(decision.switch.as_str()));
        let frozen = Arg::Int(i64::from(decision.frozen));
        if before.history.is_empty() {
            let place = self.make_place(tx, before.projection.as_str()).await?;
            let args = [name, replica_set, Arg::Text(&place), activity, switch, frozen];
            tx.execute(&self.sql().projection_insert, &args).await.doing(doing)?;
        } else {
            let args = [name, replica_set, activity, switch, frozen];
            tx.execute(&self.sql().projection_update, &args).await.doing(doing)?;
        }
        Ok(())
    }

    async fn insert_deployment(
        &self,
        tx: &mut Tx,
        projection: &ProjectionName,
        new: &NewDeployment,
        signature: &Signature,
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
            Arg::Text(&signature.author),
            Arg::TextOrNull(signature.note.as_deref()),
            Arg::Text(ProjectionState::Running.as_str()),
            Arg::IntOrNull(new.returns_to.map(i64::from)),
        ];
        tx.execute(&self.sql().deployment_insert, &args).await.doing(doing).map(|_| ())
    }

    /// Puts on record who ordered what and why.
    async fn record(
        &self,
        tx: &mut Tx,
        projection: &ProjectionName,
        number: Option<u32>,
        request: &Request,
    ) -> Result<(), StoreError> {
        let args = [
            Arg::Text(projection.as_str()),
            Arg::Text(&request.command.record()),
            Arg::IntOrNull(number.map(i64::from)),
            Arg::Text(&request.signature.author),
            Arg::TextOrNull(request.signature.note.as_deref()),
        ];
        tx.execute(&self.sql().ordered_insert, &args).await.doing("recording an order").map(|_| ())
    }

    async fn make_read_model(
        &self,
        tx: &mut Tx,
        projection: &ProjectionName,
        number: u32,
    ) -> Result<ReadModelId, StoreError> {
        let doing = "making a read model";
        let place = self.make_place(tx, &format!("{projection}_{number}")).await?;
        let standing = Arg::Text(Standing::Open.as_str());
        let args = [Arg::Text(projection.as_str()), Arg::Text(&place), standing];
        let row = tx.row(&self.sql().read_model_insert, &args).await.doing(doing)?;
        let id = row.ok_or(sqlx::Error::RowNotFound).and_then(|row| row.int(0)).doing(doing)?;
        let read_model = ReadModelId::new(id);
        self.insert_checkpoint(tx, read_model, &Checkpoint::UNTOUCHED).await.doing(doing)?;
        Ok(read_model)
    }

    /// Lets workers at a read model or keeps them from it: what they have under way is no longer committed.
    async fn stand(
        &self,
        tx: &mut Tx,
        read_model: ReadModelId,
        standing: Standing,
    ) -> Result<(), StoreError> {
        let doing = "changing the standing of a read model";
        let id = Arg::Int(read_model.get());
        tx.execute(&self.sql().read_model_stand, &[id, Arg::Text(standing.as_str())]).await.doing(doing)?;
        if standing != Standing::Open {
            tx.execute(&self.sql().checkpoints_hold, &[id]).await.doing(doing)?;
        }
        Ok(())
    }
}

/// Steps of a switch are taken by hosts, and recorded as outcomes without an author.
fn nobody() -> Signature {
    Signature { author: String::new(), note: None }
}
