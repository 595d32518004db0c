//! The server.

mod connections;
mod request;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::{TokioIo, TokioTimer};
use tautline_proto::handshake::Limits;
use tautline_proto::handshake::server::{Options, OriginPolicy};
use tautline_proto::{CloseCode, Config};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::shared::Settings;
use crate::stream::Stream;
use crate::websocket::WebSocket;

use connections::Connections;
pub use request::{Body, Refusal, Request, Response};

/// How often a connection over the limit is told so before further ones are just closed.
const OVERFLOW: usize = 64;

/// Serves WebSocket connections from `listener` with default settings: see [`Server::serve`].
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8765").await?;
/// tautline::serve(listener, |mut ws, _request| async move {
///     while let Some(message) = ws.recv().await {
///         let _ = ws.send(message).await;
///     }
/// }, tokio::signal::ctrl_c()).await
/// # }
/// ```
///
/// # Errors
///
/// As [`Server::serve`].
pub async fn serve<H, F>(listener: TcpListener, handler: H, shutdown: impl Future) -> io::Result<()>
where
    H: Fn(WebSocket, Request) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    Server::new().serve(listener, handler, shutdown).await
}

/// A WebSocket server: what it accepts, and how it answers what it does not.
#[derive(Clone)]
pub struct Server {
    settings: Settings,
    limits: Limits,
    subprotocols: Vec<String>,
    origins: Origins,
    max_connections: usize,
    drain_timeout: Duration,
    shutdown_code: CloseCode,
    admit: Option<Arc<Admit>>,
    http: Option<Arc<Http>>,
    #[cfg(feature = "tls")]
    tls: Option<Arc<rustls::ServerConfig>>,
}

type Admit = dyn Fn(&mut Request) -> Result<(), Refusal> + Send + Sync;
type Http = dyn Fn(http::Request<Incoming>) -> BoxFuture<Response> + Send + Sync;
type BoxFuture<T> = std::pin::Pin<Box<dyn Future<Output = T> + Send>>;

/// Which pages may open connections: see [`Server::origins`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origins {
    /// No Origin (not a browser), `null` (a page opened from a file), loopback, and pages of the same host, ignoring
    /// the scheme and a missing port.
    #[default]
    SameHost,
    /// Every origin.
    Any,
    /// No Origin, and exactly these.
    List(Vec<String>),
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("settings", &self.settings)
            .field("subprotocols", &self.subprotocols)
            .field("origins", &self.origins)
            .field("max_connections", &self.max_connections)
            .finish_non_exhaustive()
    }
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

impl Server {
    /// The defaults, which each setter names.
    pub fn new() -> Self {
        Self {
            settings: Settings::new(),
            limits: Limits::DEFAULT,
            subprotocols: Vec::new(),
            origins: Origins::default(),
            max_connections: 100_000,
            drain_timeout: Duration::from_secs(10),
            shutdown_code: CloseCode::GOING_AWAY,
            admit: None,
            http: None,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Limits and timers of the connections.
    pub fn config(mut self, config: Config) -> Self {
        self.settings.protocol = config;
        self
    }

    /// How many bytes may wait to be sent on a connection before `send` waits. Default 1 MiB.
    pub fn send_queue(mut self, bytes: usize) -> Self {
        self.settings.send_queue = bytes;
        self
    }

    /// Limits of the request head, and how long it may take. Defaults: [`Limits::DEFAULT`].
    pub fn head_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The subprotocols that are supported. The first one that a client offers and that is supported is selected.
    /// Default: none.
    pub fn subprotocols<I: IntoIterator<Item = S>, S: Into<String>>(mut self, names: I) -> Self {
        self.subprotocols = names.into_iter().map(Into::into).collect();
        self
    }

    /// Which pages may open connections; others get 403. Default [`Origins::SameHost`].
    pub fn origins(mut self, origins: Origins) -> Self {
        self.origins = origins;
        self
    }

    /// How many connections are served at once, WebSocket and HTTP together; more get 503 with `Retry-After`. Default
    /// 100,000.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections.min(Semaphore::MAX_PERMITS);
        self
    }

    /// How long connections and handlers may take to end after the shutdown began. Default 10 s.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }

    /// The close code that clients get at shutdown: [`CloseCode::GOING_AWAY`], the default, or
    /// [`CloseCode::SERVICE_RESTART`].
    pub fn shutdown_code(mut self, code: CloseCode) -> Self {
        self.shutdown_code = code;
        self
    }

    /// Is asked about every valid WebSocket request before it is answered, and may refuse it. What it puts into
    /// [`Request::extensions_mut`] is there for the handler.
    pub fn admit(mut self, admit: impl Fn(&mut Request) -> Result<(), Refusal> + Send + Sync + 'static) -> Self {
        self.admit = Some(Arc::new(admit));
        self
    }

    /// Answers the requests that are not for a WebSocket. By default they get 426. The client's [`SocketAddr`] is in
    /// the request's extensions.
    pub fn http<F>(mut self, service: impl Fn(http::Request<Incoming>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response> + Send + 'static,
    {
        self.http = Some(Arc::new(move |request| Box::pin(service(request))));
        self
    }

    /// Serves TLS, and nothing else, on the port.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, config: Arc<rustls::ServerConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// Serves connections from `listener` until `shutdown` is ready: each is handed to `handler` in a task of its own,
    /// which owns it; when the handler returns, the connection is closed with 1000. On shutdown the listener is closed
    /// and every connection with [`shutdown_code`](Self::shutdown_code); handlers see the end in `recv`.
    ///
    /// # Errors
    ///
    /// The listener is not usable. A failure to accept (out of files, say) is logged and tried again, ever later.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends listening; the connections that are open go on.
    pub async fn serve<H, F>(self, listener: TcpListener, handler: H, shutdown: impl Future) -> io::Result<()>
    where
        H: Fn(WebSocket, Request) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        listener.local_addr()?;
        let running = Arc::new(Running {
            settings: Arc::new(self.settings.clone()),
            permits: Arc::new(Semaphore::new(self.max_connections)),
            overflow: Arc::new(Semaphore::new(OVERFLOW)),
            connections: Arc::new(Connections::default()),
            closing: watch::channel(false).0,
            server: self,
            handler: Box::new(move |ws, request| Box::pin(handler(ws, request))),
        });
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                _ = &mut shutdown => break,
                (stream, peer) = accept(&listener) => running.clone().start(stream, peer),
            }
        }
        drop(listener);
        running.closing.send_replace(true);
        running.connections.drain(running.server.shutdown_code, running.server.drain_timeout).await;
        Ok(())
    }

    fn with_options<R>(&self, call: impl FnOnce(&Options<'_>) -> R) -> R {
        let subprotocols: Vec<&str> = self.subprotocols.iter().map(String::as_str).collect();
        let listed: Vec<&str> = match &self.origins {
            Origins::List(list) => list.iter().map(String::as_str).collect(),
            _ => Vec::new(),
        };
        let origin = match &self.origins {
            Origins::SameHost => OriginPolicy::Default,
            Origins::Any => OriginPolicy::Any,
            Origins::List(_) => OriginPolicy::List(&listed),
        };
        call(&Options { subprotocols: &subprotocols, origin, limits: self.limits })
    }
}

/// Accepts, and waits longer and longer while accepting fails: the usual reason is that the process is out of files,
/// which passes when connections end.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let mut wait = Duration::from_millis(10);
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // The client gave up while it was in the queue.
            Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::error!(%error, retry_in = ?wait, "cannot accept connections");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(Duration::from_secs(1));
            }
        }
    }
}

type Handler = dyn Fn(WebSocket, Request) -> BoxFuture<()> + Send + Sync;

/// A server that is running.
struct Running {
    server: Server,
    settings: Arc<Settings>,
    handler: Box<Handler>,
    permits: Arc<Semaphore>,
    overflow: Arc<Semaphore>,
    connections: Arc<Connections>,
    closing: watch::Sender<bool>,
}

impl Running {
    fn start(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let (permit, full) = match self.permits.clone().try_acquire_owned() {
            Ok(permit) => (permit, false),
            Err(_) => match self.overflow.clone().try_acquire_owned() {
                Ok(permit) => (permit, true),
                Err(_) => return tracing::warn!(%peer, "connection limit reached: closed"),
            },
        };
        if full {
            tracing::warn!(%peer, limit = self.server.max_connections, "connection limit reached: 503");
        }
        // Messages are written whole; waiting for more would only delay them.
        let _ = stream.set_nodelay(true);
        let connections = self.connections.clone();
        connections.spawn(async move {
            let secured = tokio::select! {
                secured = self.secure(stream) => secured,
                () = self.closed() => return,
            };
            match secured {
                Ok(stream) => self.serve_http(stream, peer, permit, full).await,
                Err(error) => tracing::info!(%peer, %error, "TLS handshake failed"),
            }
        });
    }

    /// Waits for the shutdown to begin.
    async fn closed(&self) {
        let _ = self.closing.subscribe().wait_for(|closing| *closing).await;
    }

    #[cfg(feature = "tls")]
    async fn secure(&self, stream: TcpStream) -> io::Result<Stream> {
        let Some(config) = &self.server.tls else { return Ok(Stream::tcp(stream)) };
        let accept = tokio_rustls::TlsAcceptor::from(config.clone()).accept(stream);
        let timed_out = |_| io::Error::new(io::ErrorKind::TimedOut, "took too long");
        let stream = tokio::time::timeout(self.server.limits.opening_timeout(), accept).await.map_err(timed_out)??;
        Ok(Stream::other(stream))
    }

    #[cfg(not(feature = "tls"))]
    async fn secure(&self, stream: TcpStream) -> io::Result<Stream> {
        Ok(Stream::tcp(stream))
    }

    /// Speaks HTTP until the client leaves or asks for a WebSocket, whose connection then gets a task of its own: a
    /// task is as large as the largest thing that it ever does, and HTTP is large.
    async fn serve_http(self: Arc<Self>, stream: Stream, peer: SocketAddr, permit: OwnedSemaphorePermit, full: bool) {
        let upgrade = Arc::new(Mutex::new(None));
        let asked = Arc::new(AtomicBool::new(false));
        let (this, slot, noted) = (self.clone(), upgrade.clone(), asked.clone());
        let service = service_fn(move |mut request: http::Request<Incoming>| {
            request.extensions_mut().insert(peer);
            noted.store(true, Ordering::Relaxed);
            let (this, slot) = (this.clone(), slot.clone());
            async move {
                Ok::<_, std::convert::Infallible>(if full {
                    Refusal::new(503, "too many connections").retry_after(5).into_response()
                } else {
                    this.answer(request, peer, &slot).await
                })
            }
        });
        let limits = &self.server.limits;
        let mut http = hyper::server::conn::http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(limits.opening_timeout())
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
            // A client that keeps its connection for a next request may let it lie.
            return match error.is_timeout() && asked.load(Ordering::Relaxed) {
                true => tracing::debug!(%peer, "HTTP connection idle"),
                false => tracing::info!(%peer, %error, "bad HTTP connection"),
            };
        }
        let pending = upgrade.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Upgrade { transport, request }) = pending {
            match transport.await {
                Ok(upgraded) => self.open(upgraded, request, permit),
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
            return match &self.server.http {
                Some(http) => http(request).await,
                None => Refusal::new(426, "this is a WebSocket server")
                    .header("Upgrade", "websocket")
                    .header("Connection", "close, Upgrade")
                    .into_response(),
            };
        }
        match self.accept(request, peer) {
            Ok((response, accepted)) => {
                *upgrade.lock().unwrap_or_else(PoisonError::into_inner) = Some(accepted);
                response
            }
            Err(refusal) => {
                tracing::info!(%peer, status = refusal.status(), reason = %refusal.reason(), "WebSocket request refused");
                refusal.into_response()
            }
        }
    }

    fn accept(&self, mut http: http::Request<Incoming>, peer: SocketAddr) -> Result<(Response, Upgrade), Refusal> {
        let transport = hyper::upgrade::on(&mut http);
        let (parts, _) = http.into_parts();
        let (response, subprotocol) = self.server.with_options(|options| request::accept(&parts, options))?;
        let mut request = Request::new(parts, peer, subprotocol);
        if let Some(admit) = &self.server.admit {
            admit(&mut request)?;
        }
        Ok((response, Upgrade { transport, request }))
    }

    /// Starts the handler of a connection whose handshake has been answered.
    fn open(self: Arc<Self>, upgraded: Upgraded, request: Request, permit: OwnedSemaphorePermit) {
        // The transport is what `serve_http` gave to hyper.
        let Ok(parts) = upgraded.downcast::<TokioIo<Stream>>() else { return };
        let peer = request.peer();
        let shared = connections::open(parts.io.into_inner(), self.settings.clone(), &parts.read_buf, &request);
        let listed = self.connections.add(&shared);
        if *self.closing.borrow() {
            shared.begin_close(self.server.shutdown_code, "");
        }
        let handler = (self.handler)(WebSocket::from_shared(&shared), request);
        self.connections.spawn(async move {
            let _held = (permit, listed);
            let panicked = crate::keeper::run(shared.clone(), handler).await;
            let ended = shared.lock().core.ended();
            match ended {
                _ if panicked => tracing::error!(%peer, "the handler panicked; the connection was closed with 1011"),
                Some(ended) if ended.is_clean() => tracing::debug!(%peer, %ended, "connection closed"),
                Some(ended) => tracing::info!(%peer, %ended, "connection lost"),
                None => tracing::info!(%peer, "connection dropped"),
            }
        });
    }
}

/// An accepted handshake.
struct Upgrade {
    transport: OnUpgrade,
    request: Request,
}
