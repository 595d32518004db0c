//! Opening a connection.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use base64ct::{Base64, Encoding};
use tautline_proto::compression::Backend;
use tautline_proto::handshake::client::{Offered, Request};
use tautline_proto::handshake::deflate::Offer;
use tautline_proto::handshake::{Limits, WriteError};
use tautline_proto::{Config, Role};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::dial;
use crate::error::{ConnectError, Phase};
use crate::opening::{self, Answer};
use crate::reconnect::Reconnecting;
use crate::shared::{Info, Settings};
use crate::stream::Stream;
use crate::uri::{Target, UriError};
use crate::websocket::WebSocket;

/// Opens a WebSocket: `connect("wss://example.com/feed").await?`.
///
/// What stands between the call and `.await` is in [`Connect`]:
///
/// ```no_run
/// # async fn example() -> Result<(), tautline::ConnectError> {
/// use tautline::connect;
///
/// let plain = connect("ws://localhost:8765").await?;
/// let fancy = connect("wss://user:secret@example.com/feed").subprotocol("v2").subprotocol("v1").await?;
/// # Ok(()) }
/// ```
pub fn connect(uri: impl AsRef<str>) -> Connect {
    Connect::new(uri)
}

/// A connection to be opened: `.await` opens it, [`reconnecting`](Self::reconnecting) keeps opening it.
///
/// Nothing happens before. A mistake in the URI or in an option shows as the error of `.await`, so that a chain of calls
/// needs one `?`.
///
/// # Errors
///
/// [`ConnectError`]: which mistake was made, what failed, or how the server refused.
///
/// # Cancel safety
///
/// Dropping the future closes whatever it had opened. (A name lookup that is under way ends by itself, on a thread of the
/// runtime.)
///
/// # Panics
///
/// Outside of a tokio runtime with its I/O and time drivers enabled.
#[derive(Clone)]
#[must_use = "nothing happens before `.await`"]
pub struct Connect {
    target: Result<Target, UriError>,
    /// The first mistake in the options.
    mistake: Option<Mistake>,
    subprotocols: Vec<String>,
    deflate: Option<Offer>,
    origin: Option<String>,
    user_agent: Option<String>,
    authorization: Option<String>,
    headers: Vec<(String, String)>,
    addresses: Vec<SocketAddr>,
    #[cfg(feature = "tls")]
    tls: crate::tls::Options,
    settings: Settings,
    limits: Limits,
    open_timeout: Duration,
}

#[derive(Clone)]
struct Mistake {
    option: &'static str,
    problem: String,
}

impl Connect {
    /// The default of [`open_timeout`](Self::open_timeout).
    pub const DEFAULT_OPEN_TIMEOUT: Duration = Duration::from_secs(10);

    /// A connection to `uri`, `ws://` or `wss://`; the same as [`connect`].
    ///
    /// A user name and password in it (`ws://user:password@host/`) are percent-decoded and sent as
    /// [`basic_auth`](Self::basic_auth).
    pub fn new(uri: impl AsRef<str>) -> Self {
        let target = Target::parse(uri.as_ref());
        let userinfo = target.as_ref().ok().and_then(|target| target.userinfo.as_ref());
        Self {
            authorization: userinfo.map(|(user, password)| basic(user, password)),
            target,
            mistake: None,
            subprotocols: Vec::new(),
            deflate: None,
            origin: None,
            user_agent: Some(concat!("tautline/", env!("CARGO_PKG_VERSION")).to_owned()),
            headers: Vec::new(),
            addresses: Vec::new(),
            #[cfg(feature = "tls")]
            tls: crate::tls::Options::default(),
            settings: Settings::default(),
            limits: Limits::DEFAULT,
            open_timeout: Self::DEFAULT_OPEN_TIMEOUT,
        }
    }

    /// Offers a subprotocol. Call it once for each, the preferred one first; the server selects one of them or none.
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.subprotocols.push(name.into());
        let offered: Vec<&str> = self.subprotocols.iter().map(String::as_str).collect();
        let error = check(Request { subprotocols: &offered, ..PROBE });
        self.note("subprotocol", error);
        self
    }

    /// Offers to compress messages (permessage-deflate, RFC 7692), which the server accepts or declines:
    /// [`Info::deflate`] tells. By default nothing is offered. What it costs in memory: see [`deflate`](crate::deflate).
    pub fn deflate(mut self, offer: Offer) -> Self {
        self.deflate = Some(offer);
        self
    }

    /// What compresses messages. Default [`Backend::Small`](crate::deflate::Backend::Small).
    pub fn deflate_backend(mut self, backend: Backend) -> Self {
        self.settings.deflate_backend = backend;
        self
    }

    /// Sends a header with the request, next to those of the handshake itself, which cannot be set. Repeated calls add
    /// headers, also of the same name, except that User-Agent, Authorization and Origin replace what was set before.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        let error = check(Request { extra: &[(&name, &value)], ..PROBE });
        self.note("header", error.map(|error| format!("{}: {error}", name.escape_debug())));
        match name.to_ascii_lowercase().as_str() {
            "user-agent" => self.user_agent = Some(value),
            "authorization" => self.authorization = Some(value),
            "origin" => self.origin = Some(value),
            _ => self.headers.push((name, value)),
        }
        self
    }

    /// Sends an Origin header, as browsers do: scheme, host and port of a page, such as `https://example.com`. Only
    /// servers that take nobody without one need it.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        let origin = origin.into();
        let error = check(Request { origin: Some(&origin), ..PROBE });
        self.note("origin", error);
        self.origin = Some(origin);
        self
    }

    /// Sends this User-Agent instead of `tautline/VERSION`; an empty one leaves the header out.
    pub fn user_agent(mut self, product: impl Into<String>) -> Self {
        let product = product.into();
        let error = check(Request { user_agent: Some(&product), ..PROBE });
        self.note("user_agent", error);
        self.user_agent = (!product.is_empty()).then_some(product);
        self
    }

    /// Sends user name and password (RFC 7617), in place of those in the URI and of other credentials given before.
    pub fn basic_auth(mut self, user: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        let (user, password) = (user.as_ref(), password.as_ref());
        let has_control = [user, password].iter().any(|text| text.chars().any(char::is_control));
        let problem = match user.contains(':') || has_control {
            true => Some("the user name has a colon, or one of them a control character"),
            false => None,
        };
        self.note("basic_auth", problem);
        self.authorization = Some(basic(user, password));
        self
    }

    /// Sends a token (RFC 6750), in place of other credentials given before.
    pub fn bearer(mut self, token: impl AsRef<str>) -> Self {
        let value = format!("Bearer {}", token.as_ref());
        let error = check(Request { authorization: Some(&value), ..PROBE });
        self.note("bearer", error);
        self.authorization = Some(value);
        self
    }

    /// Connects to this address instead of looking the URI's host up; called more than once, falls back among them in
    /// this order. The Host header and the name that TLS checks stay those of the URI.
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.addresses.push(address);
        self
    }

    /// Trusts these CA certificates, and no longer those of the system. `certificates` are the bytes of a file, PEM
    /// (with any number of them) or DER (with one). Repeated calls add to each other.
    ///
    /// Without it the roots that the operating system trusts are used. They are loaded once in a process; the
    /// environment variables `SSL_CERT_FILE` and `SSL_CERT_DIR` can name others.
    #[cfg(feature = "tls")]
    pub fn ca(mut self, certificates: impl AsRef<[u8]>) -> Self {
        let problem = self.tls.add_roots(certificates.as_ref()).err();
        self.note("ca", problem);
        self
    }

    /// Shows this client certificate to a server that asks for one: the bytes of a chain, PEM or DER, the client's own
    /// certificate first, and of its private key (PKCS #8, PKCS #1 or SEC 1), PEM or DER, not encrypted.
    #[cfg(feature = "tls")]
    pub fn client_certificate(mut self, chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        let problem = self.tls.set_identity(chain.as_ref(), key.as_ref()).err();
        self.note("client_certificate", problem);
        self
    }

    /// Accepts **any** certificate, also an expired one, or one for another name. Whoever controls the network can then
    /// read and change everything. For experiments; a private CA belongs into [`ca`](Self::ca).
    #[cfg(feature = "tls")]
    pub fn dangerous_no_verify(mut self) -> Self {
        self.tls.trust_everyone();
        self
    }

    /// Uses this configuration of rustls as it is, in place of the other TLS options. It should have `http/1.1` in its
    /// ALPN protocols, or none.
    #[cfg(feature = "tls")]
    pub fn tls_config(mut self, config: Arc<rustls::ClientConfig>) -> Self {
        self.tls.set_config(config);
        self
    }

    /// The configuration of rustls that the TLS options come to: for a client of another kind that is to trust the same servers and to
    /// show the same certificate. It has `http/1.1` in its ALPN protocols.
    ///
    /// # Errors
    ///
    /// The first option that cannot be, of TLS or not, or that the system's roots cannot be loaded.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is harmless.
    #[cfg(feature = "tls")]
    pub async fn rustls_config(&self) -> Result<Arc<rustls::ClientConfig>, ConnectError> {
        let target = self.checked_target()?;
        self.tls.config().await.map_err(|source| ConnectError::Tls { host: target.host.clone(), source })
    }

    /// Limits and timers of the open connection.
    pub fn config(mut self, config: Config) -> Self {
        self.settings.protocol = config;
        self
    }

    /// How many bytes may wait to be sent; see [`Settings::send_queue`].
    pub fn send_queue(mut self, bytes: usize) -> Self {
        self.settings.send_queue = bytes;
        self
    }

    /// How long opening may take: lookup, TCP, TLS and handshake together. Default 10 s.
    pub fn open_timeout(mut self, limit: Duration) -> Self {
        self.open_timeout = limit;
        self
    }

    /// How many bytes the head of the server's answer may have: 128 to 1,048,576, default 16,384. It is held in memory
    /// while the connection opens, in a buffer that may grow to twice that.
    pub fn max_head(mut self, bytes: usize) -> Self {
        match self.limits.with_max_head(bytes) {
            Ok(limits) => self.limits = limits,
            Err(error) => self.note("max_head", Some(error)),
        }
        self
    }

    /// Opens the connection over a stream that is there already: a tunnel, a Unix socket, a test's pipe. The URI still
    /// gives Host header, path and credentials, and for `wss://` TLS is done over the stream.
    ///
    /// # Errors
    ///
    /// [`ConnectError`], as with `.await`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the stream.
    pub async fn over<S>(self, stream: S) -> Result<WebSocket, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let target = self.checked_target()?;
        let deadline = Deadline::after(self.open_timeout);
        let stream = Stream::other(stream);
        #[cfg(feature = "tls")]
        let stream = match target.secure {
            true => self.secure(target, deadline, stream).await?,
            false => stream,
        };
        self.finish(target, deadline, stream, None).await
    }

    /// Opens the connection, and again whenever it has ended: see [`Reconnecting`].
    pub fn reconnecting(self) -> Reconnecting {
        Reconnecting::new(self)
    }

    /// Opens one connection; what `.await` does, to be repeated.
    pub(crate) async fn open(&self) -> Result<WebSocket, ConnectError> {
        let target = self.checked_target()?;
        let deadline = Deadline::after(self.open_timeout);
        let addresses = match self.addresses.as_slice() {
            [] => deadline.bound(Phase::Resolve, dial::resolve(target)).await?,
            given => given.to_vec(),
        };
        let tcp = deadline.bound(Phase::Connect, dial::connect(target, &addresses)).await?;
        let peer = tcp.peer_addr().ok();
        let stream = self.stream(target, deadline, tcp).await?;
        self.finish(target, deadline, stream, peer).await
    }

    #[cfg(feature = "tls")]
    async fn stream(&self, target: &Target, deadline: Deadline, tcp: TcpStream) -> Result<Stream, ConnectError> {
        if target.secure { self.secure(target, deadline, tcp).await } else { Ok(Stream::tcp(tcp)) }
    }

    #[cfg(not(feature = "tls"))]
    async fn stream(&self, _: &Target, _: Deadline, tcp: TcpStream) -> Result<Stream, ConnectError> {
        Ok(Stream::tcp(tcp))
    }

    #[cfg(feature = "tls")]
    async fn secure<S>(&self, target: &Target, deadline: Deadline, stream: S) -> Result<Stream, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let connecting = async {
            let failed = |source| ConnectError::Tls { host: target.host.clone(), source };
            self.tls.connect(target, stream).await.map_err(failed)
        };
        Ok(Stream::other(deadline.bound(Phase::Tls, connecting).await?))
    }

    async fn finish(
        &self,
        target: &Target,
        deadline: Deadline,
        mut stream: Stream,
        peer: Option<SocketAddr>,
    ) -> Result<WebSocket, ConnectError> {
        let subprotocols: Vec<&str> = self.subprotocols.iter().map(String::as_str).collect();
        let extra: Vec<_> = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let extensions = Offered { deflate: self.deflate, others: None };
        let request = Request {
            secure: target.secure,
            subprotocols: &subprotocols,
            extensions: Some(&extensions),
            origin: self.origin.as_deref(),
            user_agent: self.user_agent.as_deref(),
            authorization: self.authorization.as_deref(),
            extra: &extra,
            ..Request::new(&target.host, target.port, &target.resource, rand::random())
        };
        let encoded = opening::encode(&request).map_err(misuse)?;
        let exchange = opening::exchange(&mut stream, &request, &encoded, &self.limits);
        match deadline.bound(Phase::Handshake, exchange).await.map_err(|error| tls_or_io(error, target))? {
            Answer::Open { subprotocol, deflate, leftover } => {
                tracing::debug!(%target, secure = target.secure, ?peer, ?subprotocol, ?deflate, "connected");
                let info = Info { subprotocol, peer, deflate };
                Ok(WebSocket::start(stream, Role::Client, Arc::new(self.settings.clone()), &leftover, info))
            }
            Answer::Refused(mut refusal, mut body) => {
                // The status is what counts; a body that does not come must not hold it back.
                let patience = deadline.at.min(Deadline::after(Duration::from_secs(1)).at);
                let _ = timeout_at(patience, opening::read_body(&mut stream, &refusal, &mut body)).await;
                refusal.body = opening::body_text(&refusal, &body);
                Err(ConnectError::Refused(refusal))
            }
        }
    }

    fn checked_target(&self) -> Result<&Target, ConnectError> {
        let target = self.target.as_ref().map_err(|&error| ConnectError::InvalidUri(error))?;
        if let Some(Mistake { option, problem }) = self.mistake.clone() {
            return Err(ConnectError::InvalidOption { option, problem });
        }
        #[cfg(feature = "tls")]
        if let Err(problem) = self.tls.check() {
            return Err(ConnectError::InvalidOption { option: "tls_config", problem: problem.to_owned() });
        }
        #[cfg(not(feature = "tls"))]
        if target.secure {
            return Err(ConnectError::TlsFeatureMissing);
        }
        Ok(target)
    }

    fn note(&mut self, option: &'static str, problem: Option<impl ToString>) {
        if let (None, Some(problem)) = (&self.mistake, problem) {
            self.mistake = Some(Mistake { option, problem: problem.to_string() });
        }
    }
}

impl IntoFuture for Connect {
    type Output = Result<WebSocket, ConnectError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.open().await })
    }
}

impl fmt::Debug for Connect {
    /// Host and port only: everything else may hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect").field("target", &self.target.as_ref().map(Target::to_string)).finish_non_exhaustive()
    }
}

/// When opening has to be done, and how long that was from the beginning.
#[derive(Clone, Copy)]
struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    fn after(limit: Duration) -> Self {
        /// Stands for "never": tokio's clock ends somewhere.
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
        Self { at: Instant::now() + limit.min(YEAR), limit }
    }

    async fn bound<T>(
        self,
        phase: Phase,
        future: impl Future<Output = Result<T, ConnectError>>,
    ) -> Result<T, ConnectError> {
        timeout_at(self.at, future).await.unwrap_or(Err(ConnectError::Timeout { phase, limit: self.limit }))
    }
}

/// A request that has nothing wrong in it, to try single fields with: the core knows the rules.
const PROBE: Request<'static> = Request::new("h", 80, "/", [0; 16]);

fn check(request: Request<'_>) -> Option<WriteError> {
    opening::encode(&request).err()
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", Base64::encode_string(format!("{user}:{password}").as_bytes()))
}

/// What the options did not catch.
fn misuse(error: WriteError) -> ConnectError {
    match error {
        WriteError::InvalidHost => ConnectError::InvalidUri(UriError::InvalidHost),
        WriteError::InvalidTarget => ConnectError::InvalidUri(UriError::Malformed),
        other => ConnectError::InvalidOption { option: "header", problem: other.to_string() },
    }
}

/// A server that refuses our certificate in TLS 1.3 says so after the TLS handshake.
fn tls_or_io(error: ConnectError, target: &Target) -> ConnectError {
    match error {
        #[cfg(feature = "tls")]
        ConnectError::Io(source) if crate::tls::is_tls_error(&source) => {
            ConnectError::Tls { host: target.host.clone(), source }
        }
        other => {
            let _ = target;
            other
        }
    }
}
