//! The operations on components, as HTTP has them.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use kennel_core::digest::Digest;
use utoipa::{IntoParams, ToSchema};

use super::answers::Counted;
use super::extract::{Named, WASM, Wasm};
use super::problem::{Problem, ProblemKind, Reads, ReadsOne, Stores};
use super::state::ApiState;
use kennel::control::ControlError;
use kennel::control::view::ComponentView;

/// The digest in the path, for the document.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct DigestParam {
    /// The SHA-256 of the component, in hexadecimal.
    #[expect(dead_code, reason = "it describes to the document what `Named` reads")]
    #[param(pattern = "^[0-9a-fA-F]{64}$", min_length = 64, max_length = 64)]
    digest: String,
}

/// The bytes of a component, for the document.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
pub(super) struct WasmBytes(#[expect(dead_code, reason = "it describes a body to the document")] Vec<u8>);

/// The components that the host holds, the latest first
#[utoipa::path(get, path = "/v1/components", tag = "components",
    responses((status = 200, body = Vec<ComponentView>, description = "The components"), Reads))]
pub(super) async fn list_components(
    State(api): State<ApiState>,
) -> Result<Json<Vec<ComponentView>>, Problem> {
    Ok(Json(api.control.components().await?))
}

/// The bytes of a component
#[utoipa::path(get, path = "/v1/components/{digest}", tag = "components", params(DigestParam),
    responses((status = 200, body = WasmBytes, content_type = "application/wasm", description = "The bytes"), ReadsOne))]
pub(super) async fn get_component(
    State(api): State<ApiState>,
    Named(digest): Named<Digest>,
) -> Result<Response, Problem> {
    let bytes = api.components.get(&*api.control, digest).await?;
    Ok((Extension(Counted), [(header::CONTENT_TYPE, WASM)], bytes).into_response())
}

/// Checks a component and stores it at the host
///
/// Nothing runs it before it is deployed. One that was never deployed is removed a day after it was last stored.
#[utoipa::path(put, path = "/v1/components/{digest}", tag = "components", params(DigestParam),
    request_body(content = WasmBytes, content_type = "application/wasm", description = "The component"),
    responses(
        (status = 201, body = ComponentView, description = "It can run here and is stored from now on"),
        (status = 200, body = ComponentView, description = "It was stored already"),
        Stores))]
pub(super) async fn put_component(
    State(api): State<ApiState>,
    Named(digest): Named<Digest>,
    Wasm { bytes, reservation: _reservation }: Wasm,
) -> Result<Response, Problem> {
    let actual = Digest::of(&bytes);
    if actual != digest {
        let detail =
            format!("the body is not what the path says: its SHA-256 is {actual}; nothing was stored");
        return Err(Problem::new(ProblemKind::Invalid, detail));
    }
    let stored = api.control.components().await?;
    if stored.iter().any(|one| one.digest == digest.to_string()) {
        return Ok(Json(api.control.put_component(bytes).await?).into_response());
    }
    let _permit = api.compiling.take().await?;
    let stored = api.control.put_component(bytes).await;
    if let Err(error @ ControlError::Unsupported(_)) = &stored {
        api.count(Err(error));
    }
    Ok((StatusCode::CREATED, Json(stored?)).into_response())
}
