//! Pages, and the answer to every POST.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body;
use tautline::{Refusal, Response};

use crate::name::AppName;
use crate::page::{self, File};

/// The path that tells whether the hub is alive.
pub(super) const HEALTH: &str = "/healthz";

/// How many bytes a request's body may have.
const LARGEST_BODY: usize = 64 * 1024;

/// How much of a body that is too large is read all the same before it is refused: a client that is still sending when
/// the connection is closed may never see the answer.
const LARGEST_DISCARDED: usize = 1024 * 1024;

/// How long a request's body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The answer to every POST.
const POST_ANSWER: &str = r#"{"status": "success", "message": "Received your request."}"#;

/// Answers a request. `only` is the app that has the port to itself.
pub(super) async fn answer<B>(only: Option<AppName>, request: Request<B>) -> Response
where
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let path = request.uri().path();
    match only {
        _ if reads && path == HEALTH => text(StatusCode::OK, "ok"),
        None | Some(AppName::Post) if request.method() == Method::POST => post(request).await,
        None if reads => match page::find(path) {
            Some(file) => serve(file),
            None => missing(path),
        },
        None => not_allowed("GET, HEAD, POST"),
        Some(AppName::Post) => not_allowed("POST"),
        Some(app) if reads => upgrade_required(app, path),
        Some(_) => not_allowed("GET, HEAD"),
    }
}

/// The answer of the labs' HTTP server, once the whole body has arrived.
async fn post<B>(request: Request<B>) -> Response
where
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let peer = parts.extensions.get::<SocketAddr>().map(tracing::field::display);
    match tokio::time::timeout(BODY_TIMEOUT, length(body)).await {
        Ok(Ok(length)) if length <= LARGEST_BODY => {
            tracing::info!(peer, path, bytes = length, "POST");
            let mut response = response(StatusCode::OK, "application/json", POST_ANSWER);
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            response
        }
        Ok(Ok(_)) => refuse(peer, path, 413, format!("the body has more than {LARGEST_BODY} bytes")),
        Ok(Err(error)) => refuse(peer, path, 400, format!("the body cannot be read: {error}")),
        Err(_) => refuse(peer, path, 408, format!("the body did not arrive within {} s", BODY_TIMEOUT.as_secs())),
    }
}

/// Reads a body to its end, or until there is no point in it. Answers how many bytes it had.
async fn length<B>(body: B) -> Result<usize, Box<dyn std::error::Error + Send + Sync>>
where
    B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    let mut body = std::pin::pin!(Limited::new(body, LARGEST_DISCARDED));
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => length += frame.data_ref().map_or(0, hyper::body::Buf::remaining),
            Err(error) if error.is::<LengthLimitError>() => return Ok(LARGEST_DISCARDED),
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

fn refuse(peer: Option<impl tracing::Value>, path: &str, status: u16, reason: String) -> Response {
    tracing::info!(peer, path, status, reason, "POST refused");
    Refusal::new(status, reason).into_response()
}

fn serve(file: &'static File) -> Response {
    let mut response = response(StatusCode::OK, file.content_type, file.content);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(page::CONTENT_SECURITY_POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // A newer hub brings a newer page.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// There is no page here; perhaps there is a WebSocket.
fn missing(path: &str) -> Response {
    // As the WebSocket is found.
    let path = path.strip_suffix('/').unwrap_or(path);
    if let Some(app) = AppName::ALL.into_iter().find(|app| app.is_websocket() && app.path() == path) {
        return upgrade_required(app, path);
    }
    let mut help = String::from("There is no page here. There is the page at /, and by WebSocket:\n");
    for app in AppName::ALL.into_iter().filter(|app| app.is_websocket()) {
        help += &format!("  {:<14}{}\n", app.path(), app.summary());
    }
    text(StatusCode::NOT_FOUND, help)
}

fn upgrade_required(app: AppName, path: &str) -> Response {
    let path = if path.len() > 100 { "/" } else { path };
    let help = format!(
        "This is a WebSocket ({app}: {}), not a page. Open it with a WebSocket client:\n  tautline connect \
         ws://HOST:PORT{path}",
        app.summary()
    );
    let mut response = Refusal::new(426, help).header("Upgrade", "websocket").header("Connection", "Upgrade");
    response = response.header("X-Content-Type-Options", "nosniff");
    response.into_response()
}

fn not_allowed(allow: &'static str) -> Response {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, format!("Allowed methods: {allow}\n"));
    let headers = response.headers_mut();
    headers.insert(header::ALLOW, HeaderValue::from_static(allow));
    // There may be a body, which nobody is going to read.
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

pub(super) fn text(status: StatusCode, text: impl Into<Bytes>) -> Response {
    response(status, "text/plain; charset=utf-8", text)
}

pub(super) fn response(status: StatusCode, content_type: &'static str, content: impl Into<Bytes>) -> Response {
    let mut response = http::Response::new(content.into().into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use hyper::body::Frame;

    use super::*;

    /// A body that does not come.
    struct Never;

    impl Body for Never {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Pending
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_refused_in_time() {
        let started = tokio::time::Instant::now();
        let response = answer(None, Request::post("/").body(Never).unwrap()).await;
        assert_eq!((response.status(), started.elapsed()), (StatusCode::REQUEST_TIMEOUT, BODY_TIMEOUT));
        assert_eq!(response.headers()[header::CONNECTION], "close");
    }
}
