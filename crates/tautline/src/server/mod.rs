//! The server.

mod addresses;
mod admission;
mod body;
mod bucket;
mod connections;
mod hand_over;
mod http1;
#[cfg(feature = "tls")]
mod http2;
mod patience;
mod request;
mod tally;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use tautline_proto::compression::Backend;
use tautline_proto::handshake::Limits;
use tautline_proto::handshake::deflate::Acceptance;
use tautline_proto::handshake::server::{Options, OriginPolicy};
use tautline_proto::{CloseCode, Config};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::keeper;
use crate::shared::Settings;
use crate::stream::Stream;
use crate::websocket::WebSocket;

pub use addresses::{AddressLimits, Addresses, Excess, Share, TooMuch};
pub use body::Body;
use connections::Connections;
use hand_over::AnyCarrier;
pub use hand_over::{Carrier, Handover};
pub use request::{Handshake, Refusal, Request, Response};
#[cfg(feature = "tls")]
pub use request::{PeerCertificates, TlsSession};
pub use tally::Tally;
use tally::{Lines, Refused};

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
    deflate: Option<Arc<Deflate>>,
    origins: Origins,
    max_connections: usize,
    addresses: Addresses,
    tally: Tally,
    drain_timeout: Duration,
    shutdown_code: CloseCode,
    admit: Option<Arc<Admit>>,
    handshakes: Option<Arc<Handshakes>>,
    http: Option<Arc<Http>>,
    #[cfg(feature = "tls")]
    tls: Option<Arc<rustls::ServerConfig>>,
}

type Deflate = dyn Fn(&str) -> Option<Acceptance> + Send + Sync;
type Admit = dyn Fn(&mut Request) -> Result<(), Refusal> + Send + Sync;
type Handshakes = dyn Fn(&Handshake<'_>) + Send + Sync;
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
            deflate: None,
            origins: Origins::default(),
            max_connections: 100_000,
            addresses: Addresses::default(),
            tally: Tally::default(),
            drain_timeout: Duration::from_secs(10),
            shutdown_code: CloseCode::GOING_AWAY,
            admit: None,
            handshakes: None,
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

    /// Agrees to compress messages (permessage-deflate, RFC 7692) with clients that offer it. By default none are compressed.
    ///
    /// What it costs in memory: see [`deflate`](crate::deflate).
    pub fn deflate(self, acceptance: Acceptance) -> Self {
        self.deflate_at(move |_| Some(acceptance))
    }

    /// As [`deflate`](Self::deflate), with an answer for each path.
    pub fn deflate_at(mut self, acceptance: impl Fn(&str) -> Option<Acceptance> + Send + Sync + 'static) -> Self {
        self.deflate = Some(Arc::new(acceptance));
        self
    }

    /// What compresses messages. Default [`Backend::Small`](crate::deflate::Backend::Small).
    pub fn deflate_backend(mut self, backend: Backend) -> Self {
        self.settings.deflate_backend = backend;
        self
    }

    /// How connections behave, as was set with [`config`](Self::config), [`send_queue`](Self::send_queue) and
    /// [`deflate_backend`](Self::deflate_backend).
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Which pages may open connections; others get 403. Default [`Origins::SameHost`].
    pub fn origins(mut self, origins: Origins) -> Self {
        self.origins = origins;
        self
    }

    /// How many connections are served at once, WebSocket and HTTP together; more get 503 with `Retry-After`. Default
    /// 100,000.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// What the clients of one address may have together. One that has too many connections, or opens them too fast, gets 429
    /// with `Retry-After`, or with TLS, where saying so would cost a handshake, its connections are closed. Default
    /// [`AddressLimits::new`]: 1,000 at once, 100 a second, and no limit for this machine.
    ///
    /// Clones of this server that are made from now on count together.
    pub fn address_limits(mut self, limits: AddressLimits) -> Self {
        self.addresses = Addresses::new(limits);
        self
    }

    /// The addresses that are connected.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// What was refused, by this server and its clones.
    pub fn tally(&self) -> &Tally {
        &self.tally
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

    /// Is told of every request for a WebSocket with the answer that it gets, refused ones included: for whoever wants to see
    /// what clients ask. Must not block.
    pub fn handshakes(mut self, watch: impl Fn(&Handshake<'_>) + Send + Sync + 'static) -> Self {
        self.handshakes = Some(Arc::new(watch));
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

    /// Which pages may open connections, as was set with [`origins`](Self::origins).
    pub fn allowed_origins(&self) -> &Origins {
        &self.origins
    }

    /// Serves TLS, and nothing else, on the port. A client that negotiates `h2` with it (ALPN) is served HTTP/2: at most 64
    /// requests at once, and the connection ends when there was none for as long as a head may take. WebSockets are opened by
    /// HTTP/1.1 only, so `http/1.1` should be among the protocols too.
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
        let handler: Box<Handler> = Box::new(move |ws, request| Box::pin(handler(ws, request)));
        self.run(listener, Whose::Handler(handler), shutdown).await
    }

    /// As [`serve`](Self::serve), but carries no connection itself: what is admitted by `carrier` is handed over to it as
    /// soon as the opening handshake has been answered. What was set with [`admit`](Self::admit) has no effect, and of
    /// [`settings`](Self::settings) whatever the carrier makes of them.
    ///
    /// # Errors
    ///
    /// As [`serve`](Self::serve).
    ///
    /// # Cancel safety
    ///
    /// As [`serve`](Self::serve).
    pub async fn hand_over<C: Carrier>(
        self,
        listener: TcpListener,
        carrier: Arc<C>,
        shutdown: impl Future,
    ) -> io::Result<()> {
        self.run(listener, Whose::Carrier(carrier), shutdown).await
    }

    async fn run(self, listener: TcpListener, whose: Whose, shutdown: impl Future) -> io::Result<()> {
        listener.local_addr()?;
        let running = Arc::new(Running {
            settings: Arc::new(self.settings.clone()),
            connections: Connections::new(self.max_connections),
            closing: watch::channel(false).0,
            full: Lines::new(),
            server: self,
            whose,
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
        let Server { shutdown_code, drain_timeout, .. } = running.server;
        let drained = running.connections.drain(shutdown_code, drain_timeout);
        match &running.whose {
            Whose::Handler(_) => drained.await,
            Whose::Carrier(carrier) => {
                tokio::join!(drained, carrier.clone().drain(shutdown_code, drain_timeout));
            }
        }
        Ok(())
    }

    fn with_options<R>(&self, path: &str, call: impl FnOnce(&Options<'_>) -> R) -> R {
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
        let deflate = self.deflate.as_ref().and_then(|acceptance| acceptance(path));
        call(&Options { subprotocols: &subprotocols, origin, deflate, limits: self.limits })
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

type Handler = dyn Fn(WebSocket, Request) -> keeper::Handler + Send + Sync;

/// Who gets the connections.
enum Whose {
    Handler(Box<Handler>),
    Carrier(Arc<dyn AnyCarrier>),
}

/// A server that is running.
struct Running {
    server: Server,
    settings: Arc<Settings>,
    whose: Whose,
    connections: Arc<Connections>,
    closing: watch::Sender<bool>,
    /// Lines in the log about the server being full.
    full: Lines,
}

impl Running {
    fn start(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let Some(place) = self.place(peer) else { return };
        // Messages are written whole; waiting for more would only delay them.
        let _ = stream.set_nodelay(true);
        place.run(|place| async move {
            let began = Instant::now();
            let secured = tokio::select! {
                secured = self.begin(stream) => secured,
                () = self.closed() => return,
            };
            match secured {
                // Boxed, since HTTP is large: a client that has said nothing yet costs little, and many may come at once.
                Ok(stream) => Box::pin(self.serve_http(stream, peer, place, began)).await,
                Err(error) => {
                    self.server.tally.count(Refused::Opening);
                    tracing::info!(%peer, %error, "client gave up, or its TLS handshake failed");
                }
            }
        });
    }

    /// Waits for the shutdown to begin.
    async fn closed(&self) {
        let _ = self.closing.subscribe().wait_for(|closing| *closing).await;
    }

    /// Waits until the client has said something; with TLS, until the session stands.
    async fn begin(&self, stream: TcpStream) -> io::Result<Stream> {
        let timed_out = |_| io::Error::new(io::ErrorKind::TimedOut, "took too long");
        let limit = self.server.limits.opening_timeout();
        tokio::time::timeout(limit, self.secure(stream)).await.map_err(timed_out)?
    }

    async fn secure(&self, stream: TcpStream) -> io::Result<Stream> {
        // Not `readable`, which a socket is to tokio before it has looked.
        stream.peek(&mut [0]).await?;
        #[cfg(feature = "tls")]
        if let Some(config) = &self.server.tls {
            let accept = tokio_rustls::TlsAcceptor::from(config.clone()).accept(stream);
            return Ok(Stream::tls(Box::pin(accept).await?));
        }
        Ok(Stream::tcp(stream))
    }
}
