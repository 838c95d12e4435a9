//! How long a single event takes from its append into the read model, while nothing else is to do.

use std::time::Duration;

use kennel_core::port::Wanted;
use tokio::time::Instant;

use super::report::{Latency, Times};
use super::{Setup, load};
use crate::cli::output;
use crate::exit::ExitKind;
use crate::wire;

/// Between looks at the read model. It is part of the measurement.
const LOOK_EVERY: Duration = Duration::from_micros(200);
/// Between an event that was seen and the next append.
const REST: Duration = Duration::from_millis(5);
/// An event that takes longer is lost.
const PATIENCE: Duration = Duration::from_secs(30);
/// Numbers of these events, which no other measurement uses.
const FIRST: u64 = 1 << 40;

/// Appends events one by one through a connection of its own, as another program would.
pub(super) async fn measure(appends: usize, setup: &Setup) -> anyhow::Result<Option<Latency>> {
    if appends == 0 {
        return Ok(None);
    }
    let deployment = setup.deploy("bench-latency", None).await?;
    let engine = setup.run(&deployment)?;
    let head = setup.store.high_water_mark().await?.head;
    while super::catch_up::position(setup, &deployment).await? < head {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let writer = wire::open(&setup.target).await?;
    let bar = output::progress("single appends", Some(appends as u64));
    let (mut appended, mut visible, mut after_commit) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..appends {
        let aggregate = format!("single-{number}");
        let event = load::event(FIRST + number as u64, aggregate.clone());
        let wanted = [Wanted { collection: "counts".to_owned(), keys: vec![aggregate] }];
        let began = Instant::now();
        writer.append(&[event]).await?;
        let committed = Instant::now();
        appended.push(committed - began);
        while setup.store.fetch(deployment.read_model, &wanted).await?.iter().flatten().all(Option::is_none) {
            if began.elapsed() > PATIENCE {
                return Err(ExitKind::Halted.error("an appended event did not become visible within 30 s"));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        visible.push(began.elapsed());
        after_commit.push(committed.elapsed());
        bar.inc(1);
        tokio::time::sleep(REST).await;
    }
    bar.finish();
    writer.close().await;
    engine.end().await?;
    Ok(Some(Latency {
        append: Times::of(appended),
        commit_to_visible: Times::of(after_commit),
        append_to_visible: Times::of(visible),
    }))
}
