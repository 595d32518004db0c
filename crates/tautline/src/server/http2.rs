//! HTTP/2, for clients that have negotiated it with TLS. No WebSocket comes this way.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::Running;
use super::body::Body;
use super::connections::Place;
use super::patience::Patient;
use super::request::{Response, Secured};
use crate::stream::Stream;

/// How many requests a client may have under way. Each may hold [`WINDOW`] of its body and [`SEND_BUFFER`] of the answer.
const STREAMS: u32 = 64;

/// How many bytes of a request's body are taken before they are asked for.
const WINDOW: u32 = 64 * 1024;

/// How many bytes of all bodies of a connection are taken before they are asked for.
const CONNECTION_WINDOW: u32 = 256 * 1024;

/// How many bytes of an answer wait for the client.
const SEND_BUFFER: usize = 64 * 1024;

/// How often a client is asked whether it is there, and how long it has for its answer: an event stream has nothing else
/// that would tell.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// How long a client that has been told to go may take.
const LEAVING: Duration = Duration::from_secs(5);

impl Running {
    pub(super) async fn serve_http2(self: Arc<Self>, stream: Stream, peer: SocketAddr, place: Place) {
        let over = place.over();
        let secured = Secured::of(&stream);
        let requests = Arc::new(Requests::default());
        let (this, count) = (self.clone(), requests.clone());
        let service = service_fn(move |request: http::Request<Incoming>| {
            let request = secured.attach(request);
            let (this, under_way) = (this.clone(), UnderWay::new(&count));
            async move {
                let response: Response = match over {
                    Some(over) => over.refusal().into_response(),
                    None => this.answer_http(request, peer).await,
                };
                Ok::<_, Infallible>(response.map(|body| Counted { body, _under_way: under_way }))
            }
        });
        let limits = &self.server.limits;
        let mut http = http2::Builder::new(TokioExecutor::new());
        http.timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .max_header_list_size(u32::try_from(limits.max_head()).unwrap_or(u32::MAX))
            .keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE);
        let mut connection = pin!(http.serve_connection(TokioIo::new(Patient::new(stream)), service));
        let result = tokio::select! {
            result = &mut connection => result,
            () = requests.idle(limits.opening_timeout()) => {
                connection.as_mut().graceful_shutdown();
                tracing::debug!(%peer, "HTTP connection idle");
                // Whether it has gone in time does not matter: it is dropped.
                timeout(LEAVING, connection).await.unwrap_or(Ok(()))
            }
            () = self.closed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            self.failed(peer, &error, true);
        }
    }
}

/// The requests of a connection that are under way, up to the last byte of the answer.
#[derive(Debug, Default)]
struct Requests {
    open: AtomicUsize,
    changed: Notify,
}

impl Requests {
    /// Waits until there has been none for this long.
    async fn idle(&self, limit: Duration) {
        loop {
            let changed = self.changed.notified();
            if self.open.load(Ordering::Acquire) > 0 {
                changed.await;
            } else if timeout(limit, changed).await.is_err() {
                return;
            }
        }
    }
}

#[derive(Debug)]
struct UnderWay(Arc<Requests>);

impl UnderWay {
    fn new(requests: &Arc<Requests>) -> Self {
        requests.open.fetch_add(1, Ordering::AcqRel);
        requests.changed.notify_one();
        Self(requests.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
        self.0.changed.notify_one();
    }
}

/// An answer's body, whose request is under way until it is dropped.
struct Counted {
    body: Body,
    _under_way: UnderWay,
}

impl hyper::body::Body for Counted {
    type Data = Bytes;
    type Error = <Body as hyper::body::Body>::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_once_there_was_no_request_for_the_time() {
        let (requests, limit) = (Arc::new(Requests::default()), Duration::from_secs(10));
        let began = Instant::now();
        requests.idle(limit).await;
        assert_eq!(began.elapsed(), limit, "no request at all");
        let under_way = UnderWay::new(&requests);
        let lasting = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(60)).await;
            drop(under_way);
        });
        requests.idle(limit).await;
        assert_eq!(began.elapsed(), limit + Duration::from_secs(60) + limit, "from the end of the last one");
        lasting.await.unwrap();
    }
}
