//! The metrics of the connections to the store.

use kennel_core::port::ConnectionUsage;
use prometheus::{Gauge, IntCounter, IntGauge, IntGaugeVec, Opts};

use super::Register;

#[derive(Clone, Debug)]
pub(super) struct Vectors {
    connections: IntGaugeVec,
    max: IntGauge,
    waiting: IntGauge,
    longest_wait: Gauge,
    waits: IntCounter,
    denied: IntCounter,
}

impl Vectors {
    pub(super) fn register(register: &Register<'_>) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::with_opts(Opts::new(name, help))?;
            register.0.register(Box::new(counter.clone())).map(|()| counter)
        };
        let longest_wait = Gauge::with_opts(Opts::new(
            "kennel_store_connection_longest_wait_seconds",
            "How long the statement that waits longest for a connection to the store has waited.",
        ))?;
        register.0.register(Box::new(longest_wait.clone()))?;
        Ok(Self {
            connections: register.gauge(
                "kennel_store_connections",
                "Connections to the store for the work of this process.",
                &["state"],
            )?,
            max: register.single_gauge(
                "kennel_store_connections_max",
                "Most connections to the store that this process may have for its work.",
            )?,
            waiting: register.single_gauge(
                "kennel_store_connections_waiting",
                "Statements that wait for a connection to the store.",
            )?,
            longest_wait,
            waits: counter(
                "kennel_store_connection_waits_total",
                "Statements that have waited for a connection to the store, for 10 ms or longer.",
            )?,
            denied: counter(
                "kennel_store_connections_denied_total",
                "Connections that the server has denied to this process.",
            )?,
        })
    }
}

/// Reports how many connections there are, and how many statements wait.
#[derive(Clone, Debug, Default)]
pub struct ConnectionMetrics(Option<Vectors>);

impl ConnectionMetrics {
    pub(super) const fn new(vectors: Option<Vectors>) -> Self {
        Self(vectors)
    }

    /// The usage was `before` and is `now`.
    pub fn observed(&self, before: &ConnectionUsage, now: &ConnectionUsage) {
        let Some(vectors) = &self.0 else { return };
        let gauge = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let idle = now.open.saturating_sub(now.in_use);
        for (state, number) in [("in_use", now.in_use), ("idle", idle)] {
            vectors.connections.with_label_values(&[state]).set(gauge(number));
        }
        vectors.max.set(gauge(now.max));
        vectors.waiting.set(gauge(now.waiting));
        vectors.longest_wait.set(now.longest_wait.as_secs_f64());
        vectors.waits.inc_by(now.waits.saturating_sub(before.waits));
        vectors.denied.inc_by(now.denied.saturating_sub(before.denied));
    }
}
