//! The description for people: a page that is made from the OpenAPI document in the browser.

use axum::response::{IntoResponse, Response};
use http::header;

use crate::page::CONTENT_SECURITY_POLICY;

/// The page
///
/// This description, for people to read.
#[utoipa::path(get, path = "/api", tag = "description",
    responses((status = 200, description = "HTML.", content_type = "text/html", body = String)))]
pub(super) async fn page() -> Response {
    part("text/html; charset=utf-8", include_str!("reference.html"))
}

/// The page's style
#[utoipa::path(get, path = "/api/reference.css", tag = "description",
    responses((status = 200, description = "CSS.", content_type = "text/css", body = String)))]
pub(super) async fn style() -> Response {
    part("text/css; charset=utf-8", include_str!("reference.css"))
}

/// The page's script
#[utoipa::path(get, path = "/api/reference.js", tag = "description",
    responses((status = 200, description = "JavaScript.", content_type = "text/javascript", body = String)))]
pub(super) async fn script() -> Response {
    part("text/javascript; charset=utf-8", include_str!("reference.js"))
}

fn part(content_type: &'static str, content: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        // A newer hub brings a newer page.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, content).into_response()
}
