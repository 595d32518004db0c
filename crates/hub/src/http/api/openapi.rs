//! The description of the API, made from its code.

use axum::extract::State as Given;
use axum::response::Response;
use bytes::Bytes;
use http::header::{self, HeaderValue};
use serde_json::{Value, json};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};

use super::State;
use crate::http::problem::{CONTENT_TYPE, Kind};

/// What the document says besides routes.
pub(super) fn base() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Tautline hub")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "What the hub answers by HTTP. Bodies are JSON. Errors are problems (RFC 9457), whose `type` leads to an \
             explanation. Whoever shows no access token (`Authorization: Bearer`, or `token` in the query) is answered on the \
             hub's own machine only.",
        ))
        .build();
    let tag = |name: &str, words: &str| TagBuilder::new().name(name).description(Some(words)).build();
    let tags = [
        tag("rooms", "Where clients meet: what one publishes goes to all others."),
        tag("state", "Numbers that everybody sees and can change."),
        tag("documents", "JSON that the clients of a room share, with versions."),
        tag("devices", "Who has been here, what they should be and are, and commands to them."),
        tag("readings", "What sensors have measured."),
        tag("events", "What happens, while it happens."),
        tag("inspector", "What connections look like on the wire: for administrators."),
        tag("description", "This description."),
    ];
    OpenApiBuilder::new().info(info).tags(Some(tags)).build()
}

/// The document as JSON, with what all operations have in common.
pub(super) fn finish(document: OpenApi) -> Bytes {
    // There are no maps with other keys than strings.
    let mut document = serde_json::to_value(document).unwrap_or_default();
    let problem = json!({
        "description": "A problem.",
        "content": { CONTENT_TYPE: { "schema": { "$ref": "#/components/schemas/Problem" } } },
    });
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for operation in paths.into_iter().flat_map(|paths| paths.values_mut()).filter_map(Value::as_object_mut).flatten() {
        operation.1["responses"]["default"] = problem.clone();
    }
    document["components"]["schemas"]["Problem"] = schema();
    let scheme = json!({ "type": "http", "scheme": "bearer", "description": "`tautline token add` makes one." });
    document["components"]["securitySchemes"] = json!({ "token": scheme });
    // On the hub's own machine it works without.
    document["security"] = json!([{}, { "token": [] }]);
    document.to_string().into()
}

/// The description
///
/// This description as OpenAPI 3.1.
#[utoipa::path(get, path = "/api/openapi.json", tag = "description",
    responses((status = 200, description = "An OpenAPI document.", body = Object)))]
pub(super) async fn document(Given(state): Given<State>) -> Response {
    let mut response = Response::new(axum::body::Body::from(state.document));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // A newer hub has a newer one.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// What problems there are.
fn schema() -> Value {
    let kinds: Vec<_> = Kind::ALL
        .iter()
        .map(|kind| {
            let (id, title, status) = (kind.id(), kind.title(), kind.status().as_u16());
            json!({ "const": format!("/api#{id}"), "title": title, "description": format!("With status {status}.") })
        })
        .collect();
    json!({
        "type": "object",
        "description": "What went wrong (RFC 9457).",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": { "type": "string", "format": "uri-reference", "description": "Which kind of problem.", "oneOf": kinds },
            "title": { "type": "string", "description": "The kind, in words." },
            "status": { "type": "integer", "description": "The HTTP status." },
            "detail": { "type": "string", "description": "What is wrong with this very request." },
        },
    })
}
