//! The operations on projections, as HTTP has them.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use kennel_core::name::ProjectionName;
use serde::Deserialize;
use utoipa::IntoParams;

use super::extract::{Asked, JsonBody, Named, OptionalBody};
use super::problem::{Compares, Operations, Problem, Reads, ReadsOne};
use super::state::ApiState;
use kennel::control::operation::{
    AcceptLogRequest, CancelRequest, DeployRequest, PauseRequest, PromoteRequest, RebuildRequest,
    ResumeRequest, RetireRequest, RollbackRequest,
};
use kennel::control::status::StatusView;
use kennel::control::view::{ChangeView, DeploymentView, DiffView, OperationView, ProjectionView};

type Answer<T> = Result<Json<T>, Problem>;

/// The name in the path, for the document.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct NameParam {
    /// The projection.
    #[expect(dead_code, reason = "it describes to the document what `Named` reads")]
    #[param(pattern = "^[a-z][a-z0-9_-]{0,47}$", min_length = 1, max_length = 48)]
    name: String,
}

/// How many differing documents of each collection to show.
#[derive(Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DiffParams {
    /// Documents to show of each collection that are missing, surplus or different.
    #[param(minimum = 0, maximum = 1000)]
    samples: usize,
}

impl Default for DiffParams {
    fn default() -> Self {
        Self { samples: 5 }
    }
}

/// How the projections are doing, and which workers run them
#[utoipa::path(get, path = "/v1/status", tag = "projections",
    responses((status = 200, body = StatusView, description = "What `kennel status --json` prints"), Reads))]
pub(super) async fn status(State(api): State<ApiState>) -> Answer<StatusView> {
    Ok(Json(api.control.status().await?))
}

/// All projections, by name
///
/// Those that are retired as well, each with its whole history.
#[utoipa::path(get, path = "/v1/projections", tag = "projections",
    responses((status = 200, body = Vec<ProjectionView>, description = "All projections"), Reads))]
pub(super) async fn list_projections(State(api): State<ApiState>) -> Answer<Vec<ProjectionView>> {
    Ok(Json(api.control.projections().await?))
}

/// One projection with its whole history
#[utoipa::path(get, path = "/v1/projections/{name}", tag = "projections", params(NameParam),
    responses((status = 200, body = ProjectionView, description = "The projection"), ReadsOne))]
pub(super) async fn get_projection(
    State(api): State<ApiState>,
    Named(name): Named<ProjectionName>,
) -> Answer<ProjectionView> {
    Ok(Json(api.control.projection(&name).await?))
}

/// The deployments of a projection, by number
#[utoipa::path(get, path = "/v1/projections/{name}/deployments", tag = "projections", params(NameParam),
    responses((status = 200, body = Vec<DeploymentView>, description = "Its deployments"), ReadsOne))]
pub(super) async fn list_deployments(
    State(api): State<ApiState>,
    Named(name): Named<ProjectionName>,
) -> Answer<Vec<DeploymentView>> {
    Ok(Json(api.control.projection(&name).await?.deployments))
}

/// The operations on a projection with actor and reason, the oldest first
///
/// Deployments among the rest. Operations that changed nothing are not among them.
#[utoipa::path(get, path = "/v1/projections/{name}/operations", tag = "projections", params(NameParam),
    responses((status = 200, body = Vec<OperationView>, description = "Its operations"), ReadsOne))]
pub(super) async fn list_operations(
    State(api): State<ApiState>,
    Named(name): Named<ProjectionName>,
) -> Answer<Vec<OperationView>> {
    Ok(Json(api.control.operations(&name).await?))
}

/// Deploys a component that the host holds
///
/// `PUT /v1/components/{digest}` stores one there. Deploying the same again changes nothing, so that a request whose
/// answer was lost can be repeated.
#[utoipa::path(post, path = "/v1/projections/{name}/deployments", tag = "projections", params(NameParam),
    request_body = DeployRequest,
    responses(
        (status = 201, body = ChangeView, description = "There is a new deployment",
            headers(("Location" = String, description = "The path of the projection"))),
        (status = 200, body = ChangeView, description = "It was deployed already; nothing was changed"),
        Operations))]
pub(super) async fn deploy(
    State(api): State<ApiState>,
    Named(name): Named<ProjectionName>,
    JsonBody(request): JsonBody<DeployRequest>,
) -> Result<Response, Problem> {
    let Json(change) = api.carry_out(&name, request).await?;
    if !change.changed {
        return Ok(Json(change).into_response());
    }
    let location = [(header::LOCATION, format!("/v1/projections/{name}"))];
    Ok((StatusCode::CREATED, location, Json(change)).into_response())
}

/// How the read model of the candidate differs from the one that serves
///
/// Without a candidate, the one that served before is compared.
#[utoipa::path(get, path = "/v1/projections/{name}/diff", tag = "projections", params(NameParam, DiffParams),
    responses((status = 200, body = DiffView, description = "Where they differ"), Compares))]
pub(super) async fn diff(
    State(api): State<ApiState>,
    Named(name): Named<ProjectionName>,
    Asked(DiffParams { samples }): Asked<DiffParams>,
) -> Answer<DiffView> {
    let _permit = api.comparing.take().await?;
    Ok(Json(api.control.diff(&name, samples).await?))
}

/// Declares the endpoint of an operation on a projection. `OptionalBody` takes a request without a body as well.
macro_rules! operation {
    ($(#[doc = $doc:literal])* $path:literal, $name:ident, $body:ident<$request:ident>, $described:ty) => {
        $(#[doc = $doc])*
        #[utoipa::path(post, path = $path, tag = "projections", params(NameParam),
            request_body = $described,
            responses((status = 200, body = ChangeView, description = "The outcome of the operation"), Operations))]
        pub(super) async fn $name(
            State(api): State<ApiState>,
            Named(name): Named<ProjectionName>,
            $body(request): $body<$request>,
        ) -> Answer<ChangeView> {
            api.carry_out(&name, request).await
        }
    };
    ($(#[doc = $doc:literal])* $path:literal, $name:ident, OptionalBody<$request:ident>) => {
        operation! { $(#[doc = $doc])* $path, $name, OptionalBody<$request>, Option<$request> }
    };
    ($(#[doc = $doc:literal])* $path:literal, $name:ident, JsonBody<$request:ident>) => {
        operation! { $(#[doc = $doc])* $path, $name, JsonBody<$request>, $request }
    };
}

operation! {
    /// Builds the read model anew, beside the one that serves
    "/v1/projections/{name}/rebuild", rebuild, OptionalBody<RebuildRequest>
}
operation! {
    /// Returns to an earlier deployment
    ///
    /// After a rebuild the old read model is brought up to date first, and then replaces the newer one as a whole.
    "/v1/projections/{name}/rollback", rollback, OptionalBody<RollbackRequest>
}
operation! {
    /// Promotes the candidate: its read model begins to serve once it has caught up
    "/v1/projections/{name}/promote", promote, OptionalBody<PromoteRequest>
}
operation! {
    /// Cancels the candidate
    "/v1/projections/{name}/cancel", cancel, OptionalBody<CancelRequest>
}
operation! {
    /// Pauses a projection until it is resumed
    "/v1/projections/{name}/pause", pause, OptionalBody<PauseRequest>
}
operation! {
    /// Resumes a paused projection
    "/v1/projections/{name}/resume", resume, OptionalBody<ResumeRequest>
}
operation! {
    /// Takes a projection out of service
    ///
    /// Its history stays, and deploying to it brings it back.
    "/v1/projections/{name}/retire", retire, OptionalBody<RetireRequest>
}
operation! {
    /// Goes on with a log that was set back
    ///
    /// What was handled stays in the read model; what the log holds after the given position is handled. 422 if the log ends
    /// before it, 409 if the log was not set back.
    "/v1/projections/{name}/accept-log", accept_log, JsonBody<AcceptLogRequest>
}
