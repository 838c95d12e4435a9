//! How fast a log that is waiting is handled: by Kennel and by hand in turn, so that whatever disturbs the
//! machine disturbs both.

use std::time::Duration;

use kennel_core::port::ProjectionState;
use kennel_core::position::Position;
use kennel_core::projection::Deployment;
use tokio::time::Instant;

use super::report::{CatchUp, Speed};
use super::{Bench, Setup, load};
use crate::cli::output;
use crate::exit::ExitKind;
use crate::wire;

/// Events appended in one transaction.
const CHUNK: u64 = 5000;
/// Seldom, because each look is work for the store that the loop by hand is not burdened with; it is part of
/// the measurement.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Appends the log and catches up with it.
pub(super) async fn measure(bench: &Bench, setup: &Setup) -> anyhow::Result<CatchUp> {
    append(bench, setup).await?;
    let (mut kennel, mut by_hand) = (Vec::new(), Vec::new());
    for round in 1..=bench.rounds {
        kennel.push(by_kennel(bench, setup, round).await?);
        let bar = output::progress("by hand", None);
        let work = Work::begin();
        let handled = wire::run_by_hand(setup.target.url(), bench.batch).await?;
        by_hand.push(work.end(handled));
        bar.finish();
    }
    Ok(CatchUp::of(kennel, by_hand))
}

async fn append(bench: &Bench, setup: &Setup) -> anyhow::Result<()> {
    let bar = output::progress("appending", Some(bench.events));
    let mut numbers = 0..bench.events;
    loop {
        let chunk: Vec<_> = numbers
            .by_ref()
            .take(usize::try_from(CHUNK)?)
            .map(|number| load::event(number, load::aggregate(number, bench.aggregates)))
            .collect();
        if chunk.is_empty() {
            bar.finish();
            return Ok(());
        }
        setup.store.append(&chunk).await?;
        bar.inc(chunk.len() as u64);
    }
}

async fn by_kennel(bench: &Bench, setup: &Setup, round: usize) -> anyhow::Result<Speed> {
    let deployment = setup.deploy(&format!("bench-{round}"), Some(bench.batch)).await?;
    let head = setup.store.high_water_mark().await?.head;
    let bar = output::progress("Kennel", Some(head.get()));
    let work = Work::begin();
    let engine = setup.run(&deployment)?;
    loop {
        let position = position(setup, &deployment).await?;
        bar.set_position(position.get());
        if position >= head {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let speed = work.end(bench.events);
    bar.finish();
    engine.end().await?;
    Ok(speed)
}

/// How far the deployment is. One that is halted would be waited for in vain.
pub(super) async fn position(setup: &Setup, deployment: &Deployment) -> anyhow::Result<Position> {
    let progress = setup.store.progress().await?;
    let Some(found) = progress.into_iter().find(|progress| progress.deployment.id == deployment.id) else {
        return Err(ExitKind::Missing.error(format!("the deployment of {} is gone", deployment.projection)));
    };
    if found.state == ProjectionState::Halted {
        let reason = found.last_failure.as_ref().map(|failure| failure.message.clone()).unwrap_or_default();
        return Err(ExitKind::Halted.error(format!("{} is halted: {reason}", deployment.projection)));
    }
    Ok(found.position())
}

/// Time and processor time that something takes.
struct Work {
    began: Instant,
    cpu: Option<Duration>,
}

impl Work {
    fn begin() -> Self {
        Self { began: Instant::now(), cpu: cpu_time() }
    }

    fn end(self, events: u64) -> Speed {
        let cpu = cpu_time().zip(self.cpu).map(|(after, before)| after.saturating_sub(before));
        Speed::of(events, self.began.elapsed(), cpu)
    }
}

/// Processor time that this process has used, where the system reports it.
fn cpu_time() -> Option<Duration> {
    // Fields 14 and 15 of proc(5), in clock ticks; after the command's name, which ends with the last `)`.
    const TICKS_PER_SECOND: u64 = 100;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}
