//! HTTP/1.1, and the upgrade to WebSockets.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::{TokioIo, TokioTimer};
use tautline_proto::Role;
use tokio::time::Instant;

use super::addresses::Share;
use super::connections::Place;
use super::hand_over::{Carry, Handover};
use super::patience::Patient;
#[cfg(feature = "tls")]
use super::request::Secured;
use super::request::{self, Handshake, Refusal, Request, Response};
use super::tally::Refused;
use super::{Running, Whose};
use crate::keeper::Handling;
use crate::shared::{Info, Shared};
use crate::stream::Stream;
use crate::websocket::WebSocket;

/// How long a request's head may take at least, however late its first byte came.
const LEAST: Duration = Duration::from_millis(100);

impl Running {
    /// Speaks HTTP until the client leaves or asks for a WebSocket, whose connection then gets a task of its own: a
    /// task is as large as the largest thing that it ever does, and HTTP is large.
    pub(super) async fn serve_http(
        self: Arc<Self>,
        stream: Stream,
        peer: SocketAddr,
        mut place: Place,
        began: Instant,
    ) {
        #[cfg(feature = "tls")]
        if stream.speaks_http2() {
            return Box::pin(self.serve_http2(stream, peer, place)).await;
        }
        let over = place.over();
        #[cfg(feature = "tls")]
        let secured = Secured::of(&stream);
        let upgrade = Arc::new(Mutex::new(None));
        let asked = Arc::new(AtomicBool::new(false));
        let (this, slot, noted) = (self.clone(), upgrade.clone(), asked.clone());
        let service = service_fn(move |request: http::Request<Incoming>| {
            #[cfg(feature = "tls")]
            let request = secured.attach(request);
            noted.store(true, Ordering::Relaxed);
            let (this, slot) = (this.clone(), slot.clone());
            async move {
                Ok::<_, Infallible>(match over {
                    Some(over) => over.refusal().into_response(),
                    None => this.answer(request, peer, &slot).await,
                })
            }
        });
        let limits = &self.server.limits;
        // What the client has taken already counts, but even a late one gets to finish what is on its way.
        let within = limits.opening_timeout().saturating_sub(began.elapsed()).max(LEAST);
        let stream = Patient::new(stream).with_head(within, asked.clone());
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            // For the heads after the first one, which is answered if it is late.
            .header_read_timeout(within + LEAST)
            .title_case_headers(true)
            .max_headers(limits.max_headers())
            // hyper's least is 8 KiB; smaller limits are enforced by the validation.
            .max_buf_size(limits.max_head().max(8192));
        let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service).with_upgrades());
        let result = tokio::select! {
            result = &mut connection => result,
            // hyper would wait for the first request, to the end of its deadline.
            () = self.closed() => match asked.load(Ordering::Relaxed) {
                false => return,
                true => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            }
        };
        if let Err(error) = result {
            return self.failed(peer, &error, asked.load(Ordering::Relaxed));
        }
        let pending = upgrade.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Upgrade { transport, next }) = pending {
            match transport.await {
                Ok(upgraded) => match next {
                    Next::Handle(request) => self.open(upgraded, request, place),
                    Next::Carry(carry) => pass_on(upgraded, peer, place.take_share(), carry),
                },
                Err(error) => tracing::info!(%peer, %error, "client left during the handshake"),
            }
        }
    }

    async fn answer(
        &self,
        request: http::Request<Incoming>,
        peer: SocketAddr,
        upgrade: &Mutex<Option<Upgrade>>,
    ) -> Response {
        if !request::is_upgrade(&request) {
            return self.answer_http(request, peer).await;
        }
        let watched = self.server.handshakes.as_ref().map(|watch| (watch, request::head(&request)));
        let (response, refused) = match self.accept(request, peer).await {
            Ok((response, accepted)) => {
                *upgrade.lock().unwrap_or_else(PoisonError::into_inner) = Some(accepted);
                (response, None)
            }
            Err(refusal) => {
                self.server.tally.count(Refused::Handshake);
                tracing::info!(%peer, status = refusal.status(), reason = %refusal.reason(), "WebSocket request refused");
                let reason = refusal.reason().to_owned();
                (refusal.into_response(), Some(reason))
            }
        };
        if let Some((watch, head)) = watched {
            let (status, headers, refused) = (response.status(), response.headers(), refused.as_deref());
            watch(&Handshake { request: &head, peer, status, headers, refused });
        }
        response
    }

    /// Answers a request that is not for a WebSocket.
    pub(super) async fn answer_http(&self, mut request: http::Request<Incoming>, peer: SocketAddr) -> Response {
        match &self.server.http {
            Some(http) => {
                request.extensions_mut().insert(peer);
                http(request).await
            }
            None => Refusal::new(426, "this is a WebSocket server")
                .header("Upgrade", "websocket")
                .header("Connection", "close, Upgrade")
                .into_response(),
        }
    }

    async fn accept(
        &self,
        mut http: http::Request<Incoming>,
        peer: SocketAddr,
    ) -> Result<(Response, Upgrade), Refusal> {
        let transport = hyper::upgrade::on(&mut http);
        let (parts, _) = http.into_parts();
        let (response, agreed) =
            self.server.with_options(parts.uri.path(), |options| request::accept(&parts, options))?;
        let mut request = Request::new(parts, peer, agreed);
        let next = match &self.whose {
            Whose::Carrier(carrier) => Next::Carry(carrier.clone().admit(request).await?),
            Whose::Handler(_) => {
                if let Some(admit) = &self.server.admit {
                    admit(&mut request)?;
                }
                Next::Handle(request)
            }
        };
        Ok((response, Upgrade { transport, next }))
    }

    /// Starts the handler of a connection whose handshake has been answered.
    fn open(&self, upgraded: Upgraded, request: Request, place: Place) {
        // The transport is what `serve_http` gave to hyper.
        let Ok(parts) = upgraded.downcast::<TokioIo<Patient>>() else { return };
        let subprotocol = request.subprotocol().map(str::to_owned);
        let info = Info { subprotocol, peer: Some(request.peer()), deflate: request.deflate() };
        let stream = parts.io.into_inner().into_inner();
        let shared = Shared::new(stream, Role::Server, self.settings.clone(), &parts.read_buf, info);
        place.set_open(&shared);
        if *self.closing.borrow() {
            shared.begin_close(self.server.shutdown_code, "");
        }
        let Whose::Handler(handler) = &self.whose else { return };
        let handler = handler(WebSocket::from_shared(&shared), request);
        place.handle(Handling::new(shared, handler));
    }

    /// Takes note of an HTTP connection that has failed.
    pub(super) fn failed(&self, peer: SocketAddr, error: &hyper::Error, asked: bool) {
        // A client that keeps its connection for a next request may let it lie.
        if error.is_timeout() && asked {
            return tracing::debug!(%peer, "HTTP connection idle");
        }
        // Who leaves, or takes nothing of an answer, was not refused.
        match error.is_parse() {
            true => self.server.tally.count(Refused::BadHttp),
            false if is_late(error) && !asked => self.server.tally.count(Refused::Opening),
            false => {}
        }
        tracing::info!(%peer, %error, "bad HTTP connection");
    }
}

/// Whether something was waited for in vain.
fn is_late(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    error.is_timeout() || cause.is_some_and(|cause| cause.kind() == io::ErrorKind::TimedOut)
}

/// An accepted handshake.
struct Upgrade {
    transport: OnUpgrade,
    next: Next,
}

/// What becomes of the connection.
enum Next {
    Handle(Request),
    Carry(Carry),
}

/// Passes a connection on to the carrier that has admitted it.
fn pass_on(upgraded: Upgraded, peer: SocketAddr, share: Option<Share>, carry: Carry) {
    // The transport is what `serve_http` gave to hyper.
    let Ok(parts) = upgraded.downcast::<TokioIo<Patient>>() else { return };
    match Handover::new(parts.io.into_inner().into_inner(), &parts.read_buf, peer, share) {
        Ok(handover) => carry(handover),
        Err(error) => tracing::error!(%peer, %error, "cannot hand a connection over: dropped"),
    }
}
