//! What is answered to requests that are not for a WebSocket: pages, probes, metrics, and the API.

mod api;
mod body;
mod guard;
mod pages;
mod probes;
pub(crate) mod problem;
mod requests;

use std::sync::Arc;

use axum::response::Response as ApiResponse;
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Request, StatusCode};
use hyper::body::Body;
use serde::Serialize;
use tautline::{Response, Tally};

use crate::access::Access;
use crate::name::AppName;
use crate::site::Site;
use api::Api;
pub(crate) use guard::Guard;
use probes::Counts;

/// Answers requests.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    only: Option<AppName>,
    counts: Counts,
    site: Arc<Site>,
    /// Only where all apps are.
    api: Option<Api>,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Http {
    /// `only` is the app that has the port to itself.
    pub(crate) fn new(only: Option<AppName>, site: Arc<Site>, guard: Guard, access: Access, tally: Tally) -> Self {
        let api = only.is_none().then(|| Api::new(site.clone(), guard, access));
        Self { only, counts: Counts::new(tally), site, api }
    }

    /// Answers a request.
    pub(crate) async fn answer<B>(&self, request: Request<B>) -> Response
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let method = request.method().clone();
        let response = self.find(request).await;
        self.counts.requests.count(&method, response.status());
        response
    }

    async fn find<B>(&self, request: Request<B>) -> Response
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let path = request.uri().path();
        match &self.api {
            Some(api) if is_api(path) => return api.answer(request).await,
            _ => {}
        }
        if matches!(*request.method(), Method::GET | Method::HEAD)
            && let Some(probe) = probes::Probe::at(path)
        {
            return probe.answer(&self.site, &self.counts).await;
        }
        pages::answer(self.only, request).await
    }
}

/// Paths of answers by HTTP, besides those of the page and what is below the last one.
pub(crate) const TAKEN: [&str; 5] = [pages::HEALTH, probes::LIVE, probes::READY, probes::METRICS, api::ROOT];

/// Whether a path is that of an answer by HTTP, so that no client can have it as its id.
pub(crate) fn is_taken(path: &str) -> bool {
    TAKEN.contains(&path) || is_api(path) || crate::page::find(path).is_some()
}

fn is_api(path: &str) -> bool {
    path.strip_prefix(api::ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A JSON answer.
fn json(status: StatusCode, content: &impl Serialize) -> ApiResponse {
    // There are no maps with other keys than strings, and no writer that can fail.
    let json = serde_json::to_vec(content).unwrap_or_default();
    let mut response = ApiResponse::new(axum::body::Body::from(json));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // It is as it is now.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
