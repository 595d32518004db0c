//! The API under `/api`.
//!
//! Routes are axum's, and each is registered together with its description (`utoipa-axum`), so that none can be missing in
//! the OpenAPI document.

mod devices;
mod documents;
mod events;
mod extract;
mod inspector;
mod openapi;
mod readings;
mod reference;
mod rooms;
mod state;
mod written;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse, Response as ApiResponse};
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Request, StatusCode, Uri};
use hyper::body::Body;
use tautline::Response;
use tautline_engine::Host;
use tautline_proto::app::{App, Io};
use tokio::sync::oneshot;
use tower_service::Service;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::body::Lent;
use super::problem::{Kind, Problem};
use super::{BoxError, Guard};
use crate::access::Access;
use crate::homes;
use crate::site::Site;

/// Where the API is.
pub(super) const ROOT: &str = "/api";

/// How long a loop may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// When to come back to a hub that has too much to do, in seconds.
const RETRY_AFTER: u32 = 2;

/// The API.
#[derive(Clone, Debug)]
pub(super) struct Api {
    router: Router,
    guard: Guard,
}

/// What handlers need.
#[derive(Clone, Debug)]
struct State {
    site: Arc<Site>,
    access: Access,
    /// The OpenAPI document.
    document: Bytes,
}

impl Api {
    pub(super) fn new(site: Arc<Site>, guard: Guard, access: Access) -> Self {
        let (router, document) = routes();
        let state = State { site, access, document };
        Self { router: router.with_state(state), guard }
    }

    /// Answers a request.
    pub(super) async fn answer<B>(&self, request: Request<B>) -> Response
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let (parts, body) = request.into_parts();
        let has_body = !body.is_end_stream();
        let body = Lent::new(body);
        let checked = self.guard.check(&parts.method, &parts.uri, &parts.headers);
        let answer = match checked.and_then(|()| self.guard.pace(&parts)) {
            Ok(()) => {
                let request = Request::from_parts(parts, axum::body::Body::new(body.lend()));
                let answered: Result<_, Infallible> = self.router.clone().call(request).await;
                answered.unwrap_or_else(|never| match never {})
            }
            Err(problem) => problem.into_response(),
        };
        let mut response = answer.map(tautline::Body::stream);
        if has_body && !response.status().is_success() {
            // Nobody knows how much more there is.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            // Of a body that did not come in time nothing is left to wait for.
            if response.status() != StatusCode::REQUEST_TIMEOUT {
                body.discard().await;
            }
        }
        response
    }
}

/// All routes, and the document that describes them.
fn routes() -> (Router<State>, Bytes) {
    let (router, document) = OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(rooms::list))
        .routes(routes!(rooms::one))
        .routes(routes!(rooms::messages, rooms::publish))
        .routes(routes!(state::list))
        .routes(routes!(state::one, state::change))
        .routes(routes!(documents::list))
        .routes(routes!(documents::one, documents::put, documents::patch, documents::remove))
        .routes(routes!(devices::list))
        .routes(routes!(devices::one))
        .routes(routes!(devices::twin))
        .routes(routes!(devices::put_desired, devices::patch_desired))
        .routes(routes!(devices::command))
        .routes(routes!(devices::connections))
        .routes(routes!(readings::take))
        .routes(routes!(readings::take_of_device, readings::of_device))
        .routes(routes!(readings::sensors))
        .routes(routes!(readings::keep))
        .routes(routes!(events::stream))
        .routes(routes!(inspector::handshakes))
        .routes(routes!(inspector::connections))
        .routes(routes!(inspector::frames::stream))
        .routes(routes!(openapi::document))
        .routes(routes!(reference::page))
        .routes(routes!(reference::style))
        .routes(routes!(reference::script))
        .split_for_parts();
    let router = router.fallback(missing).method_not_allowed_fallback(not_allowed);
    (router, openapi::finish(document))
}

async fn missing(uri: Uri) -> Problem {
    let path = uri.path();
    let detail = match path.len() {
        0..=100 => format!("there is nothing at {path}: /api has a list of what there is"),
        _ => "there is nothing at this address: /api has a list of what there is".to_owned(),
    };
    Problem::new(Kind::NotFound, detail)
}

async fn not_allowed(method: Method) -> Problem {
    let method = if method.as_str().len() > 20 { "this method" } else { method.as_str() };
    Problem::new(Kind::MethodNotAllowed, format!("{method} is not for this address: the Allow header says what is"))
}

/// Asks an app on its loop.
async fn ask<A: App + 'static, T: Send + 'static>(
    host: &Host<A>,
    question: impl FnOnce(&mut A, &mut dyn Io) -> T + Send + 'static,
) -> Result<T, Problem> {
    in_time(homes::ask(host, question)).await
}

/// What a loop answers, if it does so in time.
async fn in_time<T>(answer: oneshot::Receiver<T>) -> Result<T, Problem> {
    maybe_in_time(answer).await?.ok_or_else(gone)
}

/// As [`in_time`]; `None` if it drops the question.
async fn maybe_in_time<T>(answer: oneshot::Receiver<T>) -> Result<Option<T>, Problem> {
    match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
        Ok(answer) => Ok(answer.ok()),
        Err(_) => {
            Err(Problem::new(Kind::Unavailable, "an event loop does not answer in time").retry_after(RETRY_AFTER))
        }
    }
}

/// Has an app do something that it answers later; `None` if it does not within the time.
async fn have_done<A: App + 'static, T: Send + 'static>(
    host: &Host<A>,
    task: impl FnOnce(&mut A, &mut dyn Io, oneshot::Sender<T>) + Send + 'static,
) -> Result<T, Problem> {
    let (reply, answer) = oneshot::channel();
    host.visit(move |app, io| task(app, io, reply)).map_err(|_| gone())?;
    match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        // Once it was asked for, it may have been done, whatever has become of the answer.
        Ok(Err(_)) | Err(_) => Err(Problem::new(Kind::OutcomeUnknown, "it was not stored in time; it may be yet")),
    }
}

fn gone() -> Problem {
    Problem::new(Kind::Unavailable, "the hub shuts down").retry_after(RETRY_AFTER)
}

/// A JSON answer of a handler.
struct Json<T>(T);

impl<T: serde::Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> ApiResponse {
        super::json(StatusCode::OK, &self.0)
    }
}
