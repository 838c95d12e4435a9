//! A panic while a request is answered: a fault of the host, which is reported to the client and counted by the
//! metrics, and which ends neither its connection nor any other.

use std::panic::AssertUnwindSafe;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::{Router, middleware};
use futures::FutureExt as _;
use kennel_engine::metrics::{HostPart, ReplicaSetMetrics};

use super::problem::{Problem, ProblemKind};

/// The routes, of which none takes its connection with it.
pub fn caught(routes: Router, metrics: ReplicaSetMetrics) -> Router {
    routes.layer(middleware::from_fn_with_state(metrics, answer))
}

async fn answer(State(metrics): State<ReplicaSetMetrics>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            metrics.host_fault(HostPart::Http);
            tracing::error!(%method, path, "a fault of the host: answering a request panicked; please report it as a bug");
            let detail = "answering the request panicked, which is a bug of Kennel: please report it, with the log of the host";
            Problem::new(ProblemKind::Internal, detail).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use kennel_engine::Metrics;

    use super::*;

    #[tokio::test]
    async fn a_handler_that_panics_is_a_problem_and_counted() {
        async fn broken() -> &'static str {
            panic!("nothing works")
        }
        let registry = prometheus::Registry::new();
        let metrics =
            Metrics::register(&registry).unwrap().replica_set(&kennel_core::name::ReplicaSet::default());
        let routes =
            caught(Router::new().route("/", get(broken)).route("/fine", get(async || "fine")), metrics);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_stop, stopped) = kennel_engine::Shutdown::channel();
        tokio::spawn(super::super::serve(listener, routes, stopped));
        let ask = async |path: &str| {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let answer = ask("/").await;
        assert!(
            answer.starts_with("HTTP/1.1 500 ") && answer.contains("urn:kennel:problem:internal"),
            "{answer}"
        );
        assert!(ask("/fine").await.ends_with("fine"));
        let families = registry.gather();
        let faults = families.iter().find(|family| family.name() == "kennel_host_faults_total").unwrap();
        let counted: f64 = faults.get_metric().iter().map(|metric| metric.get_counter().get_value()).sum();
        assert!((counted - 1.0).abs() < f64::EPSILON);
    }
}
