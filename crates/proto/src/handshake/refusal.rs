//! Why a server refuses an opening handshake, and the answer that says so.

use core::fmt;

use super::head::HeadError;
use super::write::{Decimal, WriteError, Writer, is_reserved};

/// Why a server refuses an opening handshake.
///
/// `Display` gives the reason for the log and for the answer's body; it never repeats what the peer sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// 400: not HTTP, or HTTP that breaks its own grammar (RFC 7230 section 3).
    Malformed,
    /// 431: the head has more bytes than [`Limits::with_max_head`](super::Limits::with_max_head) allows.
    HeadTooLarge,
    /// 431: more headers than [`Limits::with_max_headers`](super::Limits::with_max_headers) allows.
    TooManyHeaders,
    /// 414: the target is longer than [`Limits::with_max_target`](super::Limits::with_max_target) allows.
    TargetTooLong,
    /// 408: the head did not arrive in time.
    TimedOut,
    /// 505: not HTTP/1.1 or a later HTTP/1.x (RFC 6455 section 4.2.1, 1).
    UnsupportedHttpVersion,
    /// 405: the method is not GET (RFC 6455 section 4.2.1, 1).
    MethodNotAllowed,
    /// 400: the target is neither a path nor an http or ws URI, or has a fragment (RFC 7230 section 5.3).
    BadTarget,
    /// 400: a header that matters has control characters or is not ASCII.
    BadHeader,
    /// 400: the request announces a body, which would be taken for frames.
    BodyNotAllowed,
    /// 400: no Host header (RFC 6455 section 4.2.1, 2).
    MissingHost,
    /// 400: several Host headers (RFC 7230 section 5.4).
    DuplicateHost,
    /// 400: the Host header is not a host with perhaps a port.
    BadHost,
    /// 426: the Upgrade header does not name `websocket` (RFC 6455 section 4.2.1, 3): an ordinary HTTP request.
    NotAnUpgrade,
    /// 426: the Connection header does not name `Upgrade` (RFC 6455 section 4.2.1, 4); proxies remove it.
    ConnectionNotUpgrade,
    /// 400: no Sec-WebSocket-Version (RFC 6455 section 4.2.1, 6).
    MissingVersion,
    /// 400: several Sec-WebSocket-Version headers (RFC 6455 section 11.3.5).
    DuplicateVersion,
    /// 400: Sec-WebSocket-Version is not a number from 0 to 255 (RFC 6455 section 4.3).
    BadVersion,
    /// 426 naming version 13: another version of the protocol (RFC 6455 section 4.4).
    UnsupportedVersion,
    /// 400: no Sec-WebSocket-Key (RFC 6455 section 4.2.1, 5).
    MissingKey,
    /// 400: several Sec-WebSocket-Key headers (RFC 6455 section 11.3.1).
    DuplicateKey,
    /// 400: Sec-WebSocket-Key is not the base64 of 16 bytes (RFC 6455 section 4.2.1, 5).
    BadKey,
    /// 400: Sec-WebSocket-Protocol is empty or not a list of tokens (RFC 6455 section 4.1, 10).
    BadSubprotocol,
    /// 400: a subprotocol is offered twice (RFC 6455 section 4.1, 10).
    DuplicateSubprotocol,
    /// 400: more than [`MAX_SUBPROTOCOLS`](super::server::MAX_SUBPROTOCOLS) are offered.
    TooManySubprotocols,
    /// 400: Sec-WebSocket-Extensions breaks its grammar (RFC 6455 section 9.1).
    BadExtensions,
    /// 400: several Origin headers (RFC 6454 section 7.3).
    DuplicateOrigin,
    /// 403: the policy does not allow the page's origin (RFC 6455 section 4.2.2, 4).
    OriginNotAllowed,
    /// The application's own refusal.
    Rejected(Rejection),
}

impl Refusal {
    /// The HTTP status of the answer.
    pub const fn status(&self) -> u16 {
        match self {
            Self::MethodNotAllowed => 405,
            Self::TimedOut => 408,
            Self::TargetTooLong => 414,
            Self::NotAnUpgrade | Self::ConnectionNotUpgrade | Self::UnsupportedVersion => 426,
            Self::HeadTooLarge | Self::TooManyHeaders => 431,
            Self::UnsupportedHttpVersion => 505,
            Self::OriginNotAllowed => 403,
            Self::Rejected(rejection) => rejection.status,
            _ => 400,
        }
    }

    /// The server's setting that would let this request through, for the log: a field of
    /// [`Options`](super::server::Options), as a path.
    pub const fn option(&self) -> Option<&'static str> {
        match self {
            Self::OriginNotAllowed => Some("origin"),
            Self::HeadTooLarge => Some("limits.max_head"),
            Self::TooManyHeaders => Some("limits.max_headers"),
            Self::TargetTooLong => Some("limits.max_target"),
            Self::TimedOut => Some("limits.opening_timeout"),
            _ => None,
        }
    }

    /// The headers that the answer has to carry, without those of its body.
    ///
    /// `Connection: close` is among them: after a refusal nothing on the connection can be trusted to be a request.
    pub fn headers(&self) -> impl Iterator<Item = RefusalHeader> + use<> {
        let text = |name, value| Some(RefusalHeader { name, value: Value::Text(value) });
        let (retry_after, challenge) = match self {
            Self::Rejected(rejection) => (rejection.retry_after, rejection.challenge),
            _ => (None, None),
        };
        let upgrade = self.status() == 426;
        [
            // RFC 7230 section 6.7: 426 names the protocol in Upgrade, and whoever sends Upgrade names it in Connection.
            text("Connection", if upgrade { "close, Upgrade" } else { "close" }),
            upgrade.then_some(RefusalHeader { name: "Upgrade", value: Value::Text("websocket") }),
            // RFC 6455 section 4.4: the versions that the server understands.
            if matches!(self, Self::UnsupportedVersion) { text("Sec-WebSocket-Version", "13") } else { None },
            // RFC 7231 section 6.5.5.
            if matches!(self, Self::MethodNotAllowed) { text("Allow", "GET") } else { None },
            // RFC 7235 section 3.1.
            challenge.and_then(|challenge| text("WWW-Authenticate", challenge)),
            // RFC 7231 section 7.1.3, in seconds.
            retry_after
                .map(|seconds| RefusalHeader { name: "Retry-After", value: Value::Number(Decimal::new(seconds)) }),
        ]
        .into_iter()
        .flatten()
    }

    /// Writes the whole answer into `out` and returns its length in bytes.
    ///
    /// `body` is sent as plain text in UTF-8, unless `extra` has a Content-Type of its own. Close the connection after
    /// it.
    ///
    /// # Errors
    ///
    /// [`WriteError`] if `out` is too small or `extra` holds an invalid header or one that the answer itself needs.
    pub fn write_response(&self, body: &str, extra: &[(&str, &str)], out: &mut [u8]) -> Result<usize, WriteError> {
        let mut writer = Writer::new(out);
        let status = Decimal::new(self.status().into());
        for part in ["HTTP/1.1 ", status.as_str(), " ", reason_phrase(self.status()), "\r\n"] {
            writer.put(part);
        }
        for header in self.headers() {
            writer.checked_header(header.name(), header.value())?;
        }
        if !extra.iter().any(|(name, _)| name.eq_ignore_ascii_case("Content-Type")) {
            writer.header("Content-Type", "text/plain; charset=utf-8");
        }
        writer.header("Content-Length", Decimal::new(body.len().try_into().unwrap_or(u32::MAX)).as_str());
        for (name, value) in extra {
            if is_reserved(name) {
                return Err(WriteError::ReservedHeader);
            }
            writer.checked_header(name, value)?;
        }
        writer.put("\r\n");
        writer.put(body);
        writer.finish()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "malformed HTTP request",
            Self::HeadTooLarge => "the request's head is too large",
            Self::TooManyHeaders => "too many headers",
            Self::TargetTooLong => "the request's target is too long",
            Self::TimedOut => "the request did not arrive in time",
            Self::UnsupportedHttpVersion => "WebSocket needs HTTP/1.1",
            Self::MethodNotAllowed => "the method is not GET",
            Self::BadTarget => "malformed request target",
            Self::BadHeader => "a header contains characters that it must not",
            Self::BodyNotAllowed => "a WebSocket request has no body",
            Self::MissingHost => "no Host header",
            Self::DuplicateHost => "more than one Host header",
            Self::BadHost => "malformed Host header",
            Self::NotAnUpgrade => "not a WebSocket request: the Upgrade header does not say websocket",
            Self::ConnectionNotUpgrade => {
                "the Connection header does not say Upgrade; a proxy in between has to pass it on"
            }
            Self::MissingVersion => "no Sec-WebSocket-Version header",
            Self::DuplicateVersion => "more than one Sec-WebSocket-Version header",
            Self::BadVersion => "malformed Sec-WebSocket-Version header",
            Self::UnsupportedVersion => "unsupported WebSocket version: 13 is the one understood here",
            Self::MissingKey => "no Sec-WebSocket-Key header",
            Self::DuplicateKey => "more than one Sec-WebSocket-Key header",
            Self::BadKey => "Sec-WebSocket-Key is not the base64 of 16 bytes",
            Self::BadSubprotocol => "malformed Sec-WebSocket-Protocol header",
            Self::DuplicateSubprotocol => "a subprotocol is offered twice",
            Self::TooManySubprotocols => "too many subprotocols are offered",
            Self::BadExtensions => "malformed Sec-WebSocket-Extensions header",
            Self::DuplicateOrigin => "more than one Origin header",
            Self::OriginNotAllowed => "pages of this origin may not connect",
            Self::Rejected(rejection) => reason_phrase(rejection.status),
        })
    }
}

impl core::error::Error for Refusal {}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl From<HeadError> for Refusal {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::Malformed => Self::Malformed,
            HeadError::TooLarge => Self::HeadTooLarge,
            HeadError::TooManyHeaders => Self::TooManyHeaders,
        }
    }
}

/// A refusal for a reason of the application's own: the request was a valid WebSocket handshake, or need not be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    status: u16,
    retry_after: Option<u32>,
    challenge: Option<&'static str>,
}

impl Rejection {
    /// 403: the client may not do this, whoever it is; it should not try again.
    pub const FORBIDDEN: Self = Self::new(403);
    /// 404: there is nothing at this path.
    pub const NOT_FOUND: Self = Self::new(404);
    /// 409: the identity is in use; the client should try again later.
    pub const CONFLICT: Self = Self::new(409);

    /// A refusal with this status, from 300 to 599; any other becomes 500, because it would not refuse.
    pub const fn new(status: u16) -> Self {
        let status = if status < 300 || status > 599 { 500 } else { status };
        Self { status, retry_after: None, challenge: None }
    }

    /// The HTTP status.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// 401 with this WWW-Authenticate challenge, such as `Basic realm="hub"`.
    pub const fn unauthorized(challenge: &'static str) -> Self {
        Self { challenge: Some(challenge), ..Self::new(401) }
    }

    /// 429: the client asks too often; it may come back after so many seconds.
    pub const fn too_many_requests(retry_after: u32) -> Self {
        Self::new(429).with_retry_after(retry_after)
    }

    /// 503: the server cannot take the connection now; the client may come back after so many seconds.
    pub const fn unavailable(retry_after: u32) -> Self {
        Self::new(503).with_retry_after(retry_after)
    }

    /// Adds Retry-After, in seconds.
    pub const fn with_retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

/// A header of a refusal; see [`Refusal::headers`].
#[derive(Clone, Copy, Debug)]
pub struct RefusalHeader {
    name: &'static str,
    value: Value,
}

#[derive(Clone, Copy, Debug)]
enum Value {
    Text(&'static str),
    Number(Decimal),
}

impl RefusalHeader {
    /// The header's name, in title case.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The header's value.
    pub fn value(&self) -> &str {
        match &self.value {
            Value::Text(text) => text,
            Value::Number(number) => number.as_str(),
        }
    }
}

/// What a status is called (RFC 9110 section 15 and RFC 6585); clients ignore it, people read it.
pub const fn reason_phrase(status: u16) -> &'static str {
    match status {
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        200..300 => "OK",
        300..400 => "Redirect",
        _ => "Refused",
    }
}
