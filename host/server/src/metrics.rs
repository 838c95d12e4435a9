//! A server of its own for metrics, for programs that embed Kennel and serve nothing themselves.
//!
//! It knows nothing of the measurements: every registered metric is served. Readiness and health of a whole
//! process are the business of [`crate::router`].

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use kennel_engine::{Shutdown, ShutdownTrigger};
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Serves `/metrics` on an address of its own.
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// let server = kennel_server::metrics::Server::new(([127, 0, 0, 1], 9090)).start().await?;
/// // … Prometheus scrapes http://127.0.0.1:9090/metrics …
/// server.shutdown().await;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Server {
    address: SocketAddr,
    registry: Registry,
}

/// A server that serves. Dropped without [`Running::shutdown`], it ends without waiting for requests.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    stop: ShutdownTrigger,
    task: JoinHandle<()>,
}

impl Server {
    /// A server for prometheus' default registry. Port 0 takes any that is free.
    #[must_use]
    pub fn new(address: impl Into<SocketAddr>) -> Self {
        Self { address: address.into(), registry: prometheus::default_registry().clone() }
    }

    /// Serves another registry.
    #[must_use]
    pub fn registry(mut self, registry: &Registry) -> Self {
        self.registry = registry.clone();
        self
    }

    /// Takes the address and begins to serve.
    ///
    /// # Errors
    /// If the address cannot be taken: it is in use, not this machine's, or not allowed.
    pub async fn start(self) -> io::Result<Running> {
        let listener = TcpListener::bind(self.address).await?;
        let address = listener.local_addr()?;
        let app = Router::new().route("/metrics", get(crate::health::metrics)).with_state(self.registry);
        let (stop, stopped) = Shutdown::channel();
        Ok(Running { address, stop, task: tokio::spawn(crate::serve(listener, app, stopped)) })
    }
}

impl Running {
    /// Where it serves.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends once the requests under way have been answered.
    pub async fn shutdown(self) {
        self.stop.stop();
        // An error means that the server has ended already.
        let _ = self.task.await;
    }
}
