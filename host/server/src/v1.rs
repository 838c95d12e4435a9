//! The routes of /v1, what they share, and the document that describes them. The operations themselves are
//! [`kennel::control`]'s.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{Method, Uri, header};
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, any, get, post, put};
use kennel_core::limits;
use kennel_engine::metrics::ReplicaSetMetrics;
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};

use super::answers::{Answers, bounded};
use super::authentication::{Authentication, DOCUMENT, guard};
use super::problem::{Describes, Problem, ProblemKind};
use super::request_limits::{COMPARING, COMPILING, SHORT, within};
use super::state::ApiState;
use super::{components, projections};
use kennel::control::Control;

/// The routes of /v1.
#[derive(Clone)]
pub struct Api {
    state: ApiState,
    authentication: Arc<Authentication>,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("authentication", &self.authentication).finish_non_exhaustive()
    }
}

impl Api {
    /// Serves these operations to clients that the authentication admits, and counts their outcomes.
    #[must_use]
    pub fn new(
        control: Arc<dyn Control>,
        authentication: Authentication,
        metrics: ReplicaSetMetrics,
    ) -> Self {
        let document = serde_json::to_vec(&document(&authentication)).unwrap_or_default().into();
        let state = ApiState::new(control, metrics, document);
        Self { state, authentication: Arc::new(authentication) }
    }

    /// The routes, for programs that serve them beside their own.
    pub fn router(self) -> Router {
        let authentication = middleware::from_fn_with_state(Arc::clone(&self.authentication), guard);
        let answers = middleware::from_fn_with_state(Answers::default(), bounded);
        let routes =
            routes().into_iter().fold(Router::new(), |router, (path, route)| router.route(path, route));
        routes
            // Not a fallback: that would answer for the paths of others, too.
            .route("/v1", any(nowhere))
            .route("/v1/", any(nowhere))
            .route("/v1/{*rest}", any(nowhere))
            .method_not_allowed_fallback(not_like_this)
            .route_layer(DefaultBodyLimit::max(limits::OPERATION_BYTES_MAX))
            .route_layer(answers)
            .route_layer(authentication)
            .with_state(self.state)
    }
}

/// Every route with its path, as the document has them.
fn routes() -> Vec<(&'static str, MethodRouter<ApiState>)> {
    let quick = |route| limited(route, SHORT);
    let slow = |route| limited(route, COMPILING);
    vec![
        ("/v1/status", quick(get(projections::status))),
        ("/v1/projections", quick(get(projections::list_projections))),
        ("/v1/projections/{name}", quick(get(projections::get_projection))),
        (
            "/v1/projections/{name}/deployments",
            quick(get(projections::list_deployments)).merge(slow(post(projections::deploy))),
        ),
        ("/v1/projections/{name}/operations", quick(get(projections::list_operations))),
        ("/v1/projections/{name}/diff", limited(get(projections::diff), COMPARING)),
        ("/v1/projections/{name}/rebuild", slow(post(projections::rebuild))),
        ("/v1/projections/{name}/rollback", quick(post(projections::rollback))),
        ("/v1/projections/{name}/promote", quick(post(projections::promote))),
        ("/v1/projections/{name}/cancel", quick(post(projections::cancel))),
        ("/v1/projections/{name}/pause", quick(post(projections::pause))),
        ("/v1/projections/{name}/resume", quick(post(projections::resume))),
        ("/v1/projections/{name}/retire", quick(post(projections::retire))),
        ("/v1/projections/{name}/accept-log", quick(post(projections::accept_log))),
        ("/v1/components", quick(get(components::list_components))),
        (
            "/v1/components/{digest}",
            quick(get(components::get_component)).merge(slow(put(components::put_component))),
        ),
        (DOCUMENT, quick(get(openapi))),
    ]
}

fn limited(route: MethodRouter<ApiState>, limit: Duration) -> MethodRouter<ApiState> {
    route.layer(middleware::from_fn(move |request: Request, next| within(limit, request, next)))
}

async fn nowhere(uri: Uri) -> Problem {
    let detail = format!("there is nothing at {}: {DOCUMENT} describes what there is", uri.path());
    Problem::new(ProblemKind::Missing, detail)
}

/// The header that says which methods there are is added by the router.
async fn not_like_this(method: Method, uri: Uri) -> Problem {
    let detail = format!("{method} cannot be done to {}: {DOCUMENT} describes what can", uri.path());
    Problem::new(ProblemKind::Method, detail)
}

/// This document
#[utoipa::path(get, path = "/v1/openapi.json", tag = "interface", security(()),
    responses((status = 200, body = Object, description = "The interface of this host, as OpenAPI 3.1"), Describes))]
async fn openapi(State(api): State<ApiState>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], api.document).into_response()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Kennel",
        description = "The operations on the projections of a Kennel host. Every error is a problem \
            (RFC 9457) of type `application/problem+json`."
    ),
    tags(
        (name = "projections", description = "The projections that run or are to run"),
        (name = "components", description = "WebAssembly binaries, named by the SHA-256 of their bytes"),
        (name = "interface", description = "The description of this interface")
    ),
    components(schemas(Problem)),
    paths(
        projections::status,
        projections::list_projections,
        projections::get_projection,
        projections::list_deployments,
        projections::list_operations,
        projections::deploy,
        projections::diff,
        projections::rebuild,
        projections::rollback,
        projections::promote,
        projections::cancel,
        projections::pause,
        projections::resume,
        projections::retire,
        projections::accept_log,
        components::list_components,
        components::get_component,
        components::put_component,
        openapi,
    )
)]
struct Document;

/// The document, as it holds for a host with this authentication.
fn document(authentication: &Authentication) -> utoipa::openapi::OpenApi {
    let mut document = Document::openapi();
    if matches!(authentication, Authentication::Token(_)) {
        let scheme = Http::builder()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("KENNEL_TOKEN, as it is where `kennel run` was started"))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
        document.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>("token", [])]);
    }
    document
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use kennel::control::operation;
    use kennel_core::lifecycle::OperationKind;

    use super::*;

    /// Which methods each route has is compared with a real host, in tests/tests/api/main.rs.
    #[test]
    fn the_document_has_every_route_and_no_other() {
        let described = Document::openapi().paths.paths;
        let described: BTreeSet<&str> = described.keys().map(String::as_str).collect();
        let served: BTreeSet<&str> = routes().into_iter().map(|(path, _)| path).collect();
        assert_eq!(served, described);
    }

    #[test]
    fn every_operation_is_served_where_clients_send_it() {
        let served: BTreeSet<&str> = routes().into_iter().map(|(path, _)| path).collect();
        for kind in OperationKind::ALL {
            let path = format!("/v1/projections/{{name}}/{}", operation::path(kind));
            assert!(served.contains(path.as_str()), "{path}");
        }
    }
}
