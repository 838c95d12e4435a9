//! The figures, for programs and for people.

use std::time::Duration;

use serde::Serialize;

use crate::cli::output;
use crate::wire::StoreUrl;

/// Everything that was measured.
#[derive(Serialize)]
pub(super) struct Figures {
    pub(super) events: u64,
    pub(super) aggregates: u64,
    pub(super) payload_bytes: usize,
    pub(super) batch: usize,
    pub(super) catch_up: CatchUp,
    /// None: no appends were asked for.
    pub(super) latency: Option<Latency>,
    /// None: no kills were asked for, or the store is run by one process.
    #[serde(rename = "failover_milliseconds")]
    pub(super) failover: Option<Times>,
}

/// Catching up, round by round, by Kennel and by hand.
#[derive(Serialize)]
pub(super) struct CatchUp {
    kennel: Vec<Speed>,
    by_hand: Vec<Speed>,
    /// The median speed of Kennel over that of the loop by hand.
    ratio: Option<f64>,
}

/// How fast events were handled.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Speed {
    events_per_second: f64,
    /// Processor time of this process for each event. The database server's is not in it; SQLite's is.
    cpu_microseconds_per_event: Option<f64>,
}

#[derive(Serialize)]
pub(super) struct Latency {
    #[serde(rename = "append_milliseconds")]
    pub(super) append: Times,
    /// From the end of the append, when it is committed.
    #[serde(rename = "commit_to_visible_milliseconds")]
    pub(super) commit_to_visible: Times,
    /// From the beginning of the append.
    #[serde(rename = "append_to_visible_milliseconds")]
    pub(super) append_to_visible: Times,
}

/// Percentiles, in milliseconds.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Times {
    p50: f64,
    p99: f64,
    max: f64,
}

impl Speed {
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub(super) fn of(events: u64, took: Duration, cpu: Option<Duration>) -> Self {
        let events = events.max(1) as f64;
        Self {
            events_per_second: (events / took.as_secs_f64().max(1e-9)).round(),
            cpu_microseconds_per_event: cpu.map(|cpu| rounded(cpu.as_secs_f64() * 1e6 / events)),
        }
    }
}

impl Times {
    /// `durations` must not be empty.
    pub(super) fn of(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        let at = |percent: usize| {
            let index = (durations.len() * percent / 100).min(durations.len().saturating_sub(1));
            durations.get(index).map_or(0.0, |duration| rounded(duration.as_secs_f64() * 1e3))
        };
        Self { p50: at(50), p99: at(99), max: at(100) }
    }
}

impl CatchUp {
    pub(super) fn of(kennel: Vec<Speed>, by_hand: Vec<Speed>) -> Self {
        let typical = |speeds: &[Speed]| median(speeds.iter().map(|speed| speed.events_per_second));
        let ratio = typical(&kennel).zip(typical(&by_hand)).map(|(ours, theirs)| rounded(ours / theirs));
        Self { kennel, by_hand, ratio }
    }
}

impl Figures {
    pub(super) fn print(&self, store: &StoreUrl) -> anyhow::Result<()> {
        output::line(format!(
            "{} events of {} bytes over {} aggregates, one worker, batches of {}, beside {store}\n",
            output::thousands(self.events),
            self.payload_bytes,
            output::thousands(self.aggregates),
            output::thousands(self.batch as u64),
        ))?;
        let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"));
        let row = |name: &str, speeds: &[Speed]| {
            let cpu = speeds.iter().filter_map(|speed| speed.cpu_microseconds_per_event);
            let speeds = speeds.iter().map(|speed| speed.events_per_second);
            vec![
                name.to_owned(),
                whole(median(speeds.clone())),
                whole(speeds.clone().reduce(f64::min)),
                whole(speeds.reduce(f64::max)),
                shown(median(cpu)),
            ]
        };
        let rows = vec![row("Kennel", &self.catch_up.kennel), row("a loop by hand", &self.catch_up.by_hand)];
        if let Some(ratio) = self.catch_up.ratio {
            output::table(&["CATCH-UP", "EVENTS/S", "MIN", "MAX", "CPU µs/EVENT"], rows)?;
            output::line(format!("Kennel reaches {ratio:.2} of what the store gives a loop by hand"))?;
        }
        let mut rows = Vec::new();
        let mut times = |name: &str, times: Option<&Times>| {
            rows.extend(times.map(|times| {
                let shown = [times.p50, times.p99, times.max].map(|value| format!("{value:.1}"));
                [vec![name.to_owned()], shown.to_vec()].concat()
            }));
        };
        times("append one event", self.latency.as_ref().map(|latency| &latency.append));
        times("committed to visible", self.latency.as_ref().map(|latency| &latency.commit_to_visible));
        times("append to visible", self.latency.as_ref().map(|latency| &latency.append_to_visible));
        times("kill to all handled", self.failover.as_ref());
        if !rows.is_empty() {
            output::line("")?;
            output::table(&["MILLISECONDS", "P50", "P99", "MAX"], rows)?;
        }
        Ok(())
    }
}

fn whole(value: Option<f64>) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate for people")]
    let number = value.unwrap_or_default() as u64;
    output::thousands(number)
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        length if length % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_and_medians_are_those_of_the_sorted_values() {
        let times = Times::of((1..=200).rev().map(Duration::from_millis).collect());
        assert_eq!(times, Times { p50: 101.0, p99: 199.0, max: 200.0 });
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0].into_iter()), Some(2.5));
        assert_eq!(median([].into_iter()), None);
    }
}
