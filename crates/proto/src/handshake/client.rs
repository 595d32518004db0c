//! The client's side of the opening handshake (RFC 6455 section 4.1).
//!
//! [`Request::write`] makes the request, [`Handshake::receive`] reads the answer and believes none of it unchecked.

use core::fmt;

use super::deflate::Parameters;
use super::extensions;
use super::head::{HeadError, HeadScanner, Headers, HttpVersion, Scanned, check_headers};
use super::key::{AcceptKey, ClientKey};
use super::limits::Limits;
use super::syntax::{
    ascii_value, in_list, is_host_name, is_ipv6, is_same, is_target, is_token, is_value_byte, list_has,
};
use super::write::{Decimal, WriteError, Writer, is_reserved};
use crate::time::Instant;

pub use super::offered::{Extensions, Offered};

/// A request for a WebSocket.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The server's name or address; an IPv6 address with or without its brackets.
    pub host: &'a str,
    /// The server's port.
    pub port: u16,
    /// Whether the connection is `wss`. Decides which port is the default one and need not be named.
    pub secure: bool,
    /// Path and query, such as `/chat?room=1`, already percent-encoded; it starts with `/` and has no fragment.
    pub target: &'a str,
    /// 16 bytes drawn at random for this connection, unpredictable to others (RFC 6455 section 4.1, 7).
    pub key_nonce: [u8; 16],
    /// The subprotocols to offer, the preferred one first.
    pub subprotocols: &'a [&'a str],
    /// The extensions to offer, such as compression: see [`Offered`].
    pub extensions: Option<&'a dyn Extensions>,
    /// The value of Origin. Programs other than browsers rarely need it.
    pub origin: Option<&'a str>,
    /// The value of User-Agent.
    pub user_agent: Option<&'a str>,
    /// The whole value of Authorization, such as `Bearer ...`.
    pub authorization: Option<&'a str>,
    /// Further headers.
    pub extra: &'a [(&'a str, &'a str)],
}

impl<'a> Request<'a> {
    /// A `ws` request with nothing optional in it. Set the other fields as needed.
    pub const fn new(host: &'a str, port: u16, target: &'a str, key_nonce: [u8; 16]) -> Self {
        Self {
            host,
            port,
            secure: false,
            target,
            key_nonce,
            subprotocols: &[],
            extensions: None,
            origin: None,
            user_agent: None,
            authorization: None,
            extra: &[],
        }
    }

    /// Writes the whole request into `out` and returns its length in bytes.
    ///
    /// # Errors
    ///
    /// [`WriteError`] if `out` is too small or a field is not what it has to be.
    pub fn write(&self, out: &mut [u8]) -> Result<usize, WriteError> {
        self.write_for(self.target, out)
    }

    /// As [`write`](Self::write), for this target instead of the request's own: one that does not live as long as the
    /// [`Handshake`], which does not ask for it.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn write_for(&self, target: &str, out: &mut [u8]) -> Result<usize, WriteError> {
        self.check(target)?;
        let mut writer = Writer::new(out);
        writer.put("GET ");
        writer.put(target);
        writer.put(" HTTP/1.1\r\nHost: ");
        self.write_host(&mut writer);
        writer.put("\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ");
        writer.bytes(self.key().as_bytes());
        writer.put("\r\nSec-WebSocket-Version: 13\r\n");
        let mut before = "Sec-WebSocket-Protocol: ";
        for subprotocol in self.subprotocols {
            writer.put(before);
            writer.put(subprotocol);
            before = ", ";
        }
        if !self.subprotocols.is_empty() {
            writer.put("\r\n");
        }
        if let Some(extensions) = self.extensions {
            extensions.values(&mut |value| writer.header("Sec-WebSocket-Extensions", value))?;
        }
        let own = self.optional_headers();
        for (name, value) in own {
            if let Some(value) = value {
                writer.checked_header(name, value)?;
            }
        }
        for (name, value) in self.extra {
            let written = own.iter().any(|(own, value)| value.is_some() && is_same(name.as_bytes(), own));
            if written || is_reserved(name) {
                return Err(WriteError::ReservedHeader);
            }
            writer.checked_header(name, value)?;
        }
        writer.put("\r\n");
        writer.finish()
    }

    /// The key that this request sends.
    fn key(&self) -> ClientKey {
        ClientKey::new(&self.key_nonce)
    }

    fn optional_headers(&self) -> [(&'static str, Option<&'a str>); 3] {
        [("Origin", self.origin), ("User-Agent", self.user_agent), ("Authorization", self.authorization)]
    }

    fn check(&self, target: &str) -> Result<(), WriteError> {
        if !is_host(self.host) {
            return Err(WriteError::InvalidHost);
        }
        // RFC 6455 section 4.1, 1: the resource name of section 3.
        if !target.starts_with('/') || !is_target(target) {
            return Err(WriteError::InvalidTarget);
        }
        // RFC 6455 section 4.1, 10.
        for (index, subprotocol) in self.subprotocols.iter().enumerate() {
            if !is_token(subprotocol) {
                return Err(WriteError::InvalidSubprotocol);
            }
            if self.subprotocols.iter().take(index).any(|earlier| earlier == subprotocol) {
                return Err(WriteError::DuplicateSubprotocol);
            }
        }
        Ok(())
    }

    /// RFC 6455 section 4.1, 4: the port only if it is not the default one.
    fn write_host(&self, writer: &mut Writer<'_>) {
        let (before, behind) = if is_ipv6(self.host.as_bytes()) { ("[", "]") } else { ("", "") };
        writer.put(before);
        writer.put(self.host);
        writer.put(behind);
        if self.port != if self.secure { 443 } else { 80 } {
            writer.put(":");
            writer.bytes(Decimal::new(self.port.into()).as_bytes());
        }
    }
}

impl fmt::Debug for Request<'_> {
    /// Without the target's query and the headers, which may hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("secure", &self.secure)
            .field("path", &self.target.split('?').next())
            .field("subprotocols", &self.subprotocols)
            .finish_non_exhaustive()
    }
}

/// Reads and checks a server's answer, within its limits and its deadline.
#[derive(Clone)]
pub struct Handshake<'r> {
    accept: AcceptKey,
    subprotocols: &'r [&'r str],
    extensions: Option<&'r dyn Extensions>,
    limits: Limits,
    deadline: Instant,
    scanner: HeadScanner,
    /// Bytes of the status line so far, and what it says once it is complete.
    line_len: usize,
    version: HttpVersion,
    status: u16,
    outcome: Option<Result<Option<Parameters>, Error>>,
}

/// How far a handshake has come.
#[derive(Clone, Debug)]
#[must_use]
pub enum Progress<'a> {
    /// More bytes are needed.
    Incomplete,
    /// The connection is a WebSocket now. Frames start at [`Response::head_len`].
    Complete(Response<'a>),
    /// The server answered with another status than 101; [`Response::refusal`] makes an [`Error`] of it. The answer's
    /// body starts at [`Response::head_len`].
    Refused(Response<'a>),
    /// The answer is not one to our request, or came too late. Close the connection.
    Failed(Error),
}

impl<'r> Handshake<'r> {
    /// Waits for the answer to `request` from `now` on.
    pub fn new(now: Instant, request: &Request<'r>, limits: &Limits) -> Self {
        Self {
            accept: request.key().accept(),
            subprotocols: request.subprotocols,
            extensions: request.extensions,
            limits: *limits,
            deadline: now + limits.opening_timeout(),
            scanner: HeadScanner::default(),
            line_len: 0,
            version: HttpVersion::HTTP_10,
            status: 0,
            outcome: None,
        }
    }

    /// Looks at everything that has arrived: `bytes` starts with the connection's first byte and only grows.
    ///
    /// Call it after each read, until it no longer says [`Progress::Incomplete`]; then it repeats its answer. A byte is
    /// searched once, however finely the bytes are cut. An answer that is complete is taken even after the deadline.
    pub fn receive<'a>(&mut self, now: Instant, bytes: &'a [u8]) -> Progress<'a> {
        if self.outcome.is_none() {
            self.outcome = match self.scan(bytes) {
                Ok(true) => Some(self.check(bytes).map_err(Error::Violation)),
                Ok(false) => None,
                Err(violation) => Some(Err(Error::Violation(violation))),
            };
        }
        match self.outcome {
            None => self.handle_timeout(now).map_or(Progress::Incomplete, Progress::Failed),
            Some(Ok(deflate)) => {
                let headers = Headers::new(self.scanner.header_lines(bytes));
                let response = Response { status: self.status, headers, head_len: self.scanner.position(), deflate };
                if self.status == 101 { Progress::Complete(response) } else { Progress::Refused(response) }
            }
            Some(Err(error)) => Progress::Failed(error),
        }
    }

    /// When to call [`Handshake::handle_timeout`]; `None` once the handshake has come to an end.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.outcome.is_none().then_some(self.deadline)
    }

    /// Gives up if the deadline has passed without a complete answer.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Error> {
        if self.outcome.is_some() || now < self.deadline {
            return None;
        }
        self.outcome = Some(Err(Error::TimedOut));
        Some(Error::TimedOut)
    }

    /// Whether the head is complete and well-formed.
    fn scan(&mut self, bytes: &[u8]) -> Result<bool, Violation> {
        const PREFIX: &[u8] = b"HTTP/";
        loop {
            match self.scanner.next(bytes, &self.limits)? {
                Scanned::Incomplete => return Ok(false),
                Scanned::StartByte(byte) => {
                    // Another protocol shows itself at once, and its server may be waiting for us.
                    if PREFIX.get(self.line_len).is_some_and(|&expected| byte != expected) {
                        return Err(Violation::NotHttp);
                    }
                    if !is_value_byte(byte) {
                        return Err(Violation::Malformed);
                    }
                    self.line_len += 1;
                }
                Scanned::StartLine => {
                    (self.version, self.status) = split_status_line(self.scanner.start_line(bytes))?;
                }
                Scanned::End => {
                    check_headers(self.scanner.header_lines(bytes), self.limits.max_headers())?;
                    if self.status == 101 || self.status >= 200 {
                        return Ok(true);
                    }
                    // RFC 7231 section 6.2: interim answers come before the one that counts.
                    self.scanner.restart();
                    self.line_len = 0;
                }
            }
        }
    }

    fn check(&self, bytes: &[u8]) -> Result<Option<Parameters>, Violation> {
        if self.status != 101 {
            return Ok(None);
        }
        if !self.version.can_upgrade() {
            return Err(Violation::HttpVersion);
        }
        let headers = Headers::new(self.scanner.header_lines(bytes));
        self.check_upgrade(headers.clone())?;
        self.extensions.map_or(Ok(None), |extensions| extensions.agreed(headers))
    }

    /// The server's answer, 1 to 6 (RFC 6455 section 4.1).
    fn check_upgrade(&self, mut headers: Headers<'_>) -> Result<(), Violation> {
        let (mut upgrade, mut connection, mut accept, mut subprotocol) = (false, false, false, false);
        // As bytes: what they are compared with is ASCII.
        while let Some((name, value)) = headers.next_bytes() {
            let is = |known: &str| is_same(name, known);
            if is("Upgrade") {
                // 2: this and nothing else.
                let (found, others) = in_list(value, "websocket");
                if others {
                    return Err(Violation::Upgrade);
                }
                upgrade |= found;
            } else if is("Connection") {
                // 3.
                connection |= value.iter().all(u8::is_ascii) && list_has(value, "Upgrade");
            } else if is("Sec-WebSocket-Accept") {
                // 4, and section 11.3.3: not more than once.
                if accept || value != self.accept.as_bytes() {
                    return Err(Violation::Accept);
                }
                accept = true;
            } else if is("Sec-WebSocket-Extensions") {
                // 5, and section 9.1.
                self.extensions.ok_or(Violation::ExtensionNotOffered)?.check(value)?;
            } else if is("Sec-WebSocket-Protocol") {
                // 6, and section 11.3.4: not more than once.
                if subprotocol {
                    return Err(Violation::DuplicateSubprotocol);
                }
                subprotocol = true;
                if !self.subprotocols.iter().any(|offered| offered.as_bytes() == value) {
                    return Err(Violation::SubprotocolNotOffered);
                }
            }
        }
        match (upgrade, connection, accept) {
            (true, true, true) => Ok(()),
            (false, ..) => Err(Violation::Upgrade),
            (_, false, _) => Err(Violation::Connection),
            (_, _, false) => Err(Violation::Accept),
        }
    }
}

impl fmt::Debug for Handshake<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("deadline", &self.deadline)
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

/// A server's answer, whose head is well-formed.
#[derive(Clone, Debug)]
pub struct Response<'a> {
    status: u16,
    headers: Headers<'a>,
    head_len: usize,
    deflate: Option<Parameters>,
}

impl<'a> Response<'a> {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// All headers in their order.
    pub fn headers(&self) -> Headers<'a> {
        self.headers.clone()
    }

    /// The value of the first header with this name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers.first(name)
    }

    /// The subprotocol that the server selected; in a [`Progress::Complete`] one that was offered.
    pub fn subprotocol(&self) -> Option<&'a str> {
        self.header("Sec-WebSocket-Protocol").and_then(ascii_value)
    }

    /// The extensions that the server accepted; in a [`Progress::Complete`] among those that were offered.
    pub fn extensions(&self) -> impl Iterator<Item = extensions::Extension<'a>> + Clone {
        extensions::in_headers(self.headers())
    }

    /// How messages are compressed; `None`: they are not.
    pub fn deflate(&self) -> Option<Parameters> {
        self.deflate
    }

    /// Where a redirection (status 3xx) points to; perhaps relative to the request's own URI.
    pub fn location(&self) -> Option<&'a str> {
        self.header("Location").and_then(ascii_value)
    }

    /// How many seconds to wait before the next attempt, if the server says so.
    ///
    /// Only a number of seconds is understood: the other form of Retry-After, a date, takes a calendar clock, and gives
    /// `None`. A number that is too large gives [`u32::MAX`].
    pub fn retry_after(&self) -> Option<u32> {
        let text = self.header("Retry-After").filter(|text| !text.is_empty())?;
        text.iter().try_fold(0, |seconds: u32, byte| {
            let digit = byte.is_ascii_digit().then(|| u32::from(byte - b'0'))?;
            // From the first step on that is too large, it stays so.
            Some(if seconds > (u32::MAX - digit) / 10 { u32::MAX } else { 10 * seconds + digit })
        })
    }

    /// The bytes of the body, if the server says how many; otherwise it ends with the connection or is chunked.
    pub fn content_length(&self) -> Option<u64> {
        let text = self.header("Content-Length").and_then(ascii_value)?;
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
    }

    /// Bytes of the head, with those of interim answers before it.
    pub fn head_len(&self) -> usize {
        self.head_len
    }

    /// The error that stands for an answer other than 101.
    pub fn refusal(&self) -> Error {
        Error::Refused { status: self.status, retry_after: self.retry_after() }
    }
}

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The server broke the protocol, or speaks another one.
    Violation(Violation),
    /// The server answered properly that it does not want this connection.
    Refused {
        /// The HTTP status.
        status: u16,
        /// See [`Response::retry_after`]. Unit: seconds.
        retry_after: Option<u32>,
    },
    /// The answer did not arrive in time.
    TimedOut,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Violation(violation) => violation.fmt(f),
            Self::Refused { status, retry_after: None } => write!(f, "the server answered with HTTP status {status}"),
            Self::Refused { status, retry_after: Some(seconds) } => {
                write!(f, "the server answered with HTTP status {status}: try again in {seconds} s")
            }
            Self::TimedOut => f.write_str("the server did not answer in time"),
        }
    }
}

impl core::error::Error for Error {}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

/// What a server did wrong in its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// The answer does not start with `HTTP/`.
    NotHttp,
    /// The answer breaks HTTP's grammar (RFC 7230 section 3).
    Malformed,
    /// The head has more bytes than [`Limits::with_max_head`] allows.
    HeadTooLarge,
    /// More headers than [`Limits::with_max_headers`] allows.
    TooManyHeaders,
    /// Another version than HTTP/1.x, or status 101 in less than HTTP/1.1.
    HttpVersion,
    /// Upgrade is missing or names something else than `websocket` (RFC 6455 section 4.1, answer 2).
    Upgrade,
    /// Connection does not name `Upgrade` (RFC 6455 section 4.1, answer 3).
    Connection,
    /// Sec-WebSocket-Accept is missing, repeated or does not fit our key (RFC 6455 section 4.1, answer 4).
    Accept,
    /// The server selected an extension that was not offered (RFC 6455 section 4.1, answer 5).
    ExtensionNotOffered,
    /// The server accepted permessage-deflate otherwise than it was offered (RFC 7692 section 7.1.3).
    DeflateParameters,
    /// Sec-WebSocket-Extensions breaks its grammar (RFC 6455 section 9.1).
    MalformedExtensions,
    /// The server selected a subprotocol that was not offered (RFC 6455 section 4.1, answer 6).
    SubprotocolNotOffered,
    /// Several Sec-WebSocket-Protocol headers (RFC 6455 section 11.3.4).
    DuplicateSubprotocol,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotHttp => "the server does not speak HTTP (ws or wss mixed up?)",
            Self::Malformed => "the server's answer is malformed HTTP",
            Self::HeadTooLarge => "the head of the server's answer is too large",
            Self::TooManyHeaders => "the server's answer has too many headers",
            Self::HttpVersion => "the server's answer is not HTTP/1.1",
            Self::Upgrade => "the server's answer does not upgrade to websocket",
            Self::Connection => "the Connection header of the server's answer does not say Upgrade",
            Self::Accept => "the server's Sec-WebSocket-Accept does not fit our key",
            Self::ExtensionNotOffered => "the server selected an extension that was not offered",
            Self::DeflateParameters => "the server's answer to permessage-deflate is not one to our offer",
            Self::MalformedExtensions => "the server's Sec-WebSocket-Extensions is malformed",
            Self::SubprotocolNotOffered => "the server selected a subprotocol that was not offered",
            Self::DuplicateSubprotocol => "the server selected more than one subprotocol",
        })
    }
}

impl core::error::Error for Violation {}

impl From<HeadError> for Violation {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::Malformed => Self::Malformed,
            HeadError::TooLarge => Self::HeadTooLarge,
            HeadError::TooManyHeaders => Self::TooManyHeaders,
        }
    }
}

fn is_host(host: &str) -> bool {
    let address = match host.as_bytes() {
        [b'[', address @ .., b']'] => address,
        bare => bare,
    };
    is_ipv6(address) || is_host_name(host)
}

/// RFC 7230 section 3.1.2. Some servers leave out the space in front of an empty reason.
fn split_status_line(line: &[u8]) -> Result<(HttpVersion, u16), Violation> {
    let (version, rest) = line.split_at_checked("HTTP/1.1".len()).ok_or(Violation::Malformed)?;
    let version = HttpVersion::parse(version).ok_or(Violation::Malformed)?;
    if version.major != 1 {
        return Err(Violation::HttpVersion);
    }
    let ([b' ', digits @ ..], [] | [b' ', ..]) = rest.split_at_checked(" 101".len()).ok_or(Violation::Malformed)?
    else {
        return Err(Violation::Malformed);
    };
    let status = digits
        .iter()
        .try_fold(0, |status, digit| digit.is_ascii_digit().then(|| status * 10 + u16::from(digit - b'0')));
    status.filter(|&status| status >= 100).map(|status| (version, status)).ok_or(Violation::Malformed)
}
