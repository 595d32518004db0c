//! Requests, and what is answered to those that are refused.

use std::net::SocketAddr;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderValue, StatusCode, Version, header};
use hyper::body::Incoming;
use tautline_proto::handshake::HttpVersion;
use tautline_proto::handshake::deflate::Parameters;
use tautline_proto::handshake::server::{self, Options};

use super::body::Body;

/// An HTTP answer.
pub type Response = http::Response<Body>;

/// The certificates that a client has shown and that were verified, its own first. An extension of every request of such
/// a client, by WebSocket and by HTTP.
#[cfg(feature = "tls")]
#[derive(Clone, Debug)]
pub struct PeerCertificates(pub std::sync::Arc<[rustls::pki_types::CertificateDer<'static>]>);

/// How a request was encrypted. An extension of every request by TLS.
#[cfg(feature = "tls")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsSession {
    /// TLS 1.2 or 1.3.
    pub version: rustls::ProtocolVersion,
    /// Key exchange (in TLS 1.2), encryption and integrity.
    pub cipher: rustls::CipherSuite,
}

/// What the requests of a TLS connection carry along.
#[cfg(feature = "tls")]
#[derive(Clone, Debug)]
pub(super) struct Secured {
    session: Option<TlsSession>,
    certificates: PeerCertificates,
}

#[cfg(feature = "tls")]
impl Secured {
    /// That of a stream, with TLS or without.
    pub(super) fn of(stream: &crate::stream::Stream) -> Self {
        let session = stream.session();
        let parts =
            session.and_then(|session| Some((session.protocol_version()?, session.negotiated_cipher_suite()?.suite())));
        Self {
            session: parts.map(|(version, cipher)| TlsSession { version, cipher }),
            certificates: PeerCertificates(session.and_then(|it| it.peer_certificates()).unwrap_or_default().into()),
        }
    }

    pub(super) fn attach<B>(&self, mut request: http::Request<B>) -> http::Request<B> {
        if let Some(session) = self.session {
            request.extensions_mut().insert(session);
        }
        if !self.certificates.0.is_empty() {
            request.extensions_mut().insert(self.certificates.clone());
        }
        request
    }
}

/// The request that opened, or is to open, a connection.
#[derive(Debug)]
pub struct Request(Box<Inner>);

/// What a handler may ask for, and not a byte of hyper's read buffer: a handler keeps its request for as long as it likes.
#[derive(Debug)]
struct Inner {
    target: PathAndQuery,
    headers: http::HeaderMap,
    extensions: http::Extensions,
    peer: SocketAddr,
    agreed: Agreed,
}

/// What the answer to a handshake says.
#[derive(Debug)]
pub(super) struct Agreed {
    subprotocol: Option<String>,
    deflate: Option<Parameters>,
}

impl Request {
    pub(super) fn new(parts: http::request::Parts, peer: SocketAddr, agreed: Agreed) -> Self {
        let mut bytes = Vec::with_capacity(parts.headers.values().map(HeaderValue::len).sum());
        parts.headers.values().for_each(|value| bytes.extend_from_slice(value.as_bytes()));
        let bytes = Bytes::from(bytes);
        let mut headers = http::HeaderMap::with_capacity(parts.headers.len());
        let mut at = 0;
        for (name, value) in &parts.headers {
            let end = at + value.len();
            if let Ok(value) = HeaderValue::from_maybe_shared(bytes.slice(at..end)) {
                headers.append(name, value);
            }
            at = end;
        }
        let target = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let target = PathAndQuery::try_from(target).unwrap_or_else(|_| PathAndQuery::from_static("/"));
        let extensions = if parts.extensions.is_empty() { http::Extensions::new() } else { parts.extensions };
        Self(Box::new(Inner { target, headers, extensions, peer, agreed }))
    }

    /// The path, without the query.
    pub fn path(&self) -> &str {
        self.0.target.path()
    }

    /// The query, without the question mark.
    pub fn query(&self) -> Option<&str> {
        self.0.target.query()
    }

    /// The headers.
    pub fn headers(&self) -> &http::HeaderMap {
        &self.0.headers
    }

    /// The address of the client.
    pub fn peer(&self) -> SocketAddr {
        self.0.peer
    }

    /// The subprotocol that was selected.
    pub fn subprotocol(&self) -> Option<&str> {
        self.0.agreed.subprotocol.as_deref()
    }

    /// How messages are compressed, as was agreed; `None`: they are not.
    pub fn deflate(&self) -> Option<Parameters> {
        self.0.agreed.deflate
    }

    /// What was attached to the request.
    pub fn extensions(&self) -> &http::Extensions {
        &self.0.extensions
    }

    /// For attaching to the request what the handler needs: see [`Server::admit`](crate::Server::admit).
    pub fn extensions_mut(&mut self) -> &mut http::Extensions {
        &mut self.0.extensions
    }
}

/// A request for a WebSocket and its answer: see [`Server::handshakes`](crate::Server::handshakes).
#[derive(Debug)]
pub struct Handshake<'a> {
    /// The request, as the client sent it: whatever it asks for, it says that it wants a WebSocket. Its extensions are
    /// [`PeerCertificates`] and [`TlsSession`], where there is TLS.
    pub request: &'a http::request::Parts,
    /// The address of the client.
    pub peer: SocketAddr,
    /// The answer's status.
    pub status: StatusCode,
    /// The answer's headers, without `Date` and those of its body, which are added to every answer.
    pub headers: &'a http::HeaderMap,
    /// Why the client is refused.
    pub refused: Option<&'a str>,
}

/// Why a request is refused, as an HTTP answer.
#[derive(Debug)]
pub struct Refusal(Box<Parts>);

#[derive(Debug)]
struct Parts {
    status: StatusCode,
    reason: String,
    headers: http::HeaderMap,
}

impl Refusal {
    /// A refusal with this status (300 to 599, else 500) and a reason, which is logged and is the answer's text.
    pub fn new(status: u16, reason: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status)
            .ok()
            .filter(|status| (300..600).contains(&status.as_u16()))
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self(Box::new(Parts { status, reason: reason.into(), headers: http::HeaderMap::new() }))
    }

    /// Tells the client when to come back, in seconds.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.0.headers.insert(header::RETRY_AFTER, seconds.into());
        self
    }

    /// Adds a header.
    ///
    /// # Panics
    ///
    /// If the name or the value is not valid in HTTP.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("a header value is visible ASCII");
        self.0.headers.append(name, value);
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.0.status.as_u16()
    }

    /// Why.
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// The answer. The connection is closed after it.
    pub fn into_response(self) -> Response {
        let Parts { status, mut reason, headers } = *self.0;
        reason.push('\n');
        let mut response = http::Response::new(Body::from(reason));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        let headers = response.headers_mut();
        headers.entry(header::CONNECTION).or_insert(HeaderValue::from_static("close"));
        headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("text/plain; charset=utf-8"));
        response
    }
}

impl From<server::Refusal> for Refusal {
    fn from(refusal: server::Refusal) -> Self {
        let reason = match refusal.option() {
            Some(option) => format!("{refusal}; the option `{}` would permit it", option_name(option)),
            None => refusal.to_string(),
        };
        let mut this = Self::new(refusal.status(), reason);
        for header in refusal.headers() {
            if let (Ok(name), Ok(value)) =
                (header::HeaderName::try_from(header.name()), HeaderValue::from_str(header.value()))
            {
                this.0.headers.append(name, value);
            }
        }
        this
    }
}

/// What the core's option is called here.
fn option_name(option: &str) -> &str {
    match option {
        "origin" => "origins",
        "limits.max_head" => "head_limits.with_max_head",
        "limits.max_target" => "head_limits.with_max_target",
        "limits.max_headers" => "head_limits.with_max_headers",
        other => other,
    }
}

/// Whether the request asks for a WebSocket, rightly or not: a proxy that drops `Connection: Upgrade` leaves the key.
pub(super) fn is_upgrade(request: &http::Request<Incoming>) -> bool {
    request.headers().contains_key(header::SEC_WEBSOCKET_KEY)
        || server::is_upgrade(headers(request.headers()).into_iter())
}

/// A copy of a request's head, with what it carries along of TLS.
pub(super) fn head<B>(request: &http::Request<B>) -> http::request::Parts {
    let (mut head, ()) = http::Request::new(()).into_parts();
    head.method = request.method().clone();
    head.uri = request.uri().clone();
    head.version = request.version();
    head.headers = request.headers().clone();
    #[cfg(feature = "tls")]
    {
        if let Some(session) = request.extensions().get::<TlsSession>() {
            head.extensions.insert(*session);
        }
        if let Some(certificates) = request.extensions().get::<PeerCertificates>() {
            head.extensions.insert(certificates.clone());
        }
    }
    head
}

/// The 101 answer, and what it says, as the protocol core decides.
pub(super) fn accept(
    parts: &http::request::Parts,
    options: &Options<'_>,
) -> Result<(Response, Agreed), server::Refusal> {
    let version = match parts.version {
        Version::HTTP_10 => HttpVersion::HTTP_10,
        Version::HTTP_11 => HttpVersion::HTTP_11,
        _ => HttpVersion { major: 2, minor: 0 },
    };
    let target = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let headers = headers(&parts.headers);
    let accepted = server::validate(parts.method.as_str(), version, target, headers.iter().copied(), options)?;
    let mut response = http::Response::new(Body::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    for (name, value) in accepted.headers() {
        // Both come from the core: known names, and values that it has checked.
        if let (Ok(name), Ok(value)) = (header::HeaderName::try_from(name), HeaderValue::from_str(value)) {
            response.headers_mut().append(name, value);
        }
    }
    let agreed = Agreed { subprotocol: accepted.subprotocol().map(str::to_owned), deflate: accepted.deflate() };
    Ok((response, agreed))
}

/// The headers in a form that can be walked more than once, as the core does.
fn headers(map: &http::HeaderMap) -> Vec<(&str, &[u8])> {
    map.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}
