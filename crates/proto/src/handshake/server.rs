//! The server's side of the opening handshake (RFC 6455 section 4.2).
//!
//! Over raw bytes: [`Handshake::receive`] finds the [`Request`], [`Request::accept`] decides, and either
//! [`Accepted::write_response`] or [`Refusal::write_response`] makes the answer. On top of an HTTP library:
//! [`is_upgrade`] tells whether the request is for us at all, [`validate`] decides, and [`Accepted::headers`] or
//! [`Refusal::headers`] go into the library's response.

pub use super::origin::OriginPolicy;
pub use super::refusal::{Refusal, RefusalHeader, Rejection, reason_phrase};

use super::deflate::{self, Acceptance};
use super::extensions::{self, Extension};
use super::head::{HeadScanner, Headers, HttpVersion, Scanned, check_headers};
use super::key::{AcceptKey, ClientKey};
use super::limits::Limits;
use super::syntax::{Authority, Target, ascii_value, is_token, is_token_byte, list, list_has};
use super::write::{WriteError, Writer, is_reserved};
use crate::time::Instant;

/// How many subprotocols one request may offer. Unit: subprotocols. Fixed; it bounds the search for duplicates.
pub const MAX_SUBPROTOCOLS: usize = 64;

/// What a server accepts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// The subprotocols that the server speaks, in any order: of those that the client offers, the first one in the
    /// client's order is selected. None by default.
    ///
    /// For another choice, look at [`offered_subprotocols`] first and put the chosen one here alone.
    pub subprotocols: &'a [&'a str],
    /// Which web pages may connect.
    pub origin: OriginPolicy<'a>,
    /// Which offers of permessage-deflate (RFC 7692) are accepted; `None`, the default, declines them all.
    pub deflate: Option<Acceptance>,
    /// What the head may cost.
    pub limits: Limits,
}

/// Reads a request's head from the bytes of a connection, within its limits and its deadline.
#[derive(Clone, Debug)]
pub struct Handshake {
    limits: Limits,
    deadline: Instant,
    scanner: HeadScanner,
    line: RequestLine,
    outcome: Option<Result<(), Refusal>>,
}

/// How far a handshake has come.
#[derive(Clone, Debug)]
#[must_use]
pub enum Progress<'a> {
    /// More bytes are needed.
    Incomplete,
    /// The head is complete and well-formed. Frames start at [`Request::head_len`].
    Complete(Request<'a>),
    /// The request gets this answer, and the connection is to be closed after it.
    Refused(Refusal),
}

impl Handshake {
    /// Waits for a request from `now` on.
    pub fn new(now: Instant, limits: &Limits) -> Self {
        Self {
            limits: *limits,
            deadline: now + limits.opening_timeout(),
            scanner: HeadScanner::default(),
            line: RequestLine::default(),
            outcome: None,
        }
    }

    /// Looks at everything that has arrived: `bytes` starts with the connection's first byte and only grows.
    ///
    /// Call it after each read, until it no longer says [`Progress::Incomplete`]; then it repeats its answer. A byte is
    /// searched once, however finely the bytes are cut. A head that is complete is taken even after the deadline: its
    /// sender was in time, and the caller was late. `bytes` never has to hold more than
    /// [`Limits::max_head`] bytes for a decision; a caller whose own buffer is smaller answers
    /// [`Refusal::HeadTooLarge`] when that is full.
    pub fn receive<'a>(&mut self, now: Instant, bytes: &'a [u8]) -> Progress<'a> {
        if self.outcome.is_none() {
            self.outcome = match self.scan(bytes) {
                Ok(true) => Some(check_headers(self.scanner.header_lines(bytes), self.limits.max_headers()))
                    .map(|checked| checked.map_err(Refusal::from)),
                Ok(false) => None,
                Err(refusal) => Some(Err(refusal)),
            };
        }
        match self.outcome {
            None => self.handle_timeout(now).map_or(Progress::Incomplete, Progress::Refused),
            Some(Ok(())) => match Request::new(&self.scanner, bytes) {
                Some(request) => Progress::Complete(request),
                None => Progress::Refused(Refusal::Malformed),
            },
            Some(Err(refusal)) => Progress::Refused(refusal),
        }
    }

    /// When to call [`Handshake::handle_timeout`]; `None` once the handshake has come to an end.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.outcome.is_none().then_some(self.deadline)
    }

    /// Gives up if the deadline has passed without a complete head.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Refusal> {
        if self.outcome.is_some() || now < self.deadline {
            return None;
        }
        self.outcome = Some(Err(Refusal::TimedOut));
        Some(Refusal::TimedOut)
    }

    /// Whether the head is complete.
    fn scan(&mut self, bytes: &[u8]) -> Result<bool, Refusal> {
        loop {
            match self.scanner.next(bytes, &self.limits)? {
                Scanned::Incomplete => return Ok(false),
                Scanned::StartByte(byte) => self.line.push(byte, self.limits.max_target())?,
                Scanned::StartLine => {
                    let (_, _, version) = split_request_line(self.scanner.start_line(bytes))?;
                    // RFC 7230 section 2.6: only the minor version may grow without another syntax. HTTP/1.0 can at least
                    // be answered with a page.
                    if version.major != 1 {
                        return Err(Refusal::UnsupportedHttpVersion);
                    }
                }
                Scanned::End => return Ok(true),
            }
        }
    }
}

/// A request whose head is well-formed HTTP. Whether it is a valid WebSocket handshake, [`Request::accept`] tells.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    method: &'a str,
    target: &'a str,
    version: HttpVersion,
    headers: Headers<'a>,
    head_len: usize,
}

impl<'a> Request<'a> {
    /// Reads a head that the scanner and [`check_headers`] have accepted.
    fn new(scanner: &HeadScanner, bytes: &'a [u8]) -> Option<Self> {
        let (method, target, version) = split_request_line(scanner.start_line(bytes)).ok()?;
        let headers = Headers::new(scanner.header_lines(bytes));
        Some(Self { method, target, version, headers, head_len: scanner.position() })
    }

    /// Applies every rule of RFC 6455 section 4.2.1 and selects what the answer says.
    ///
    /// # Errors
    ///
    /// The [`Refusal`] that the client is to be told.
    pub fn accept(&self, options: &Options<'_>) -> Result<Accepted<'a>, Refusal> {
        validate(self.method, self.version, self.target, self.headers(), options)
    }

    /// Whether this asks for a WebSocket at all; otherwise it is a request for a page. See [`is_upgrade`].
    pub fn is_upgrade(&self) -> bool {
        is_upgrade(self.headers())
    }

    /// Applies the rules that every request has to keep, whatever it asks for: a valid target, and in HTTP/1.1 exactly one
    /// valid Host (RFC 9112 section 3.2). For a server that also has pages; [`Request::accept`] applies them itself.
    ///
    /// `OPTIONS *` passes, the authority form of `CONNECT` does not.
    ///
    /// # Errors
    ///
    /// The [`Refusal`] that the client is to be told.
    pub fn check_routing(&self) -> Result<(), Refusal> {
        if Target::parse(self.target).is_none() && (self.method, self.target) != ("OPTIONS", "*") {
            return Err(Refusal::BadTarget);
        }
        let mut host = None;
        for (_, value) in self.headers().filter(|(name, _)| name.eq_ignore_ascii_case("Host")) {
            once(&mut host, ascii_value(value).ok_or(Refusal::BadHeader)?, Refusal::DuplicateHost)?;
        }
        match host {
            // RFC 9112 section 3.2: empty where the target has no authority.
            Some(host) if !host.is_empty() && Authority::parse(host).is_none() => Err(Refusal::BadHost),
            None if self.version >= HttpVersion::HTTP_11 => Err(Refusal::MissingHost),
            _ => Ok(()),
        }
    }

    /// The method, whose case matters.
    pub fn method(&self) -> &'a str {
        self.method
    }

    /// The request target as sent: a path with perhaps a query, rarely a whole URI.
    pub fn target(&self) -> &'a str {
        self.target
    }

    /// The path of the target, not decoded; `/` if it is not a valid target.
    pub fn path(&self) -> &'a str {
        Target::parse(self.target).map_or("/", |target| target.path)
    }

    /// The query of the target, not decoded, without its question mark.
    pub fn query(&self) -> Option<&'a str> {
        Target::parse(self.target).and_then(|target| target.query)
    }

    /// The version of HTTP.
    pub fn version(&self) -> HttpVersion {
        self.version
    }

    /// All headers in their order.
    pub fn headers(&self) -> Headers<'a> {
        self.headers.clone()
    }

    /// The value of the first header with this name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers.first(name)
    }

    /// The subprotocols that the client offers, the one it likes best first.
    pub fn subprotocols(&self) -> impl Iterator<Item = &'a str> + Clone {
        offered_subprotocols(self.headers())
    }

    /// The extensions that the client offers.
    pub fn extensions(&self) -> impl Iterator<Item = Extension<'a>> + Clone {
        extensions::in_headers(self.headers())
    }

    /// Bytes of the head. What lies behind them are frames that the client sent without waiting for the answer.
    pub fn head_len(&self) -> usize {
        self.head_len
    }
}

/// Whether a request asks for a WebSocket: Upgrade names `websocket` and Connection names `Upgrade`.
///
/// A server that also has pages asks this first and serves the others; [`validate`] refuses them.
pub fn is_upgrade<'a>(headers: impl Iterator<Item = (&'a str, &'a [u8])> + Clone) -> bool {
    let names = |header: &str, element: &str| {
        headers
            .clone()
            .filter(|(name, _)| name.eq_ignore_ascii_case(header))
            .any(|(_, value)| ascii_value(value).is_some() && list_has(value, element))
    };
    names("Upgrade", "websocket") && names("Connection", "Upgrade")
}

/// The subprotocols that a request offers over all its headers, the one that the client likes best first.
pub fn offered_subprotocols<'a>(
    headers: impl Iterator<Item = (&'a str, &'a [u8])> + Clone,
) -> impl Iterator<Item = &'a str> + Clone {
    headers
        .filter(|(name, _)| name.eq_ignore_ascii_case("Sec-WebSocket-Protocol"))
        .filter_map(|(_, value)| ascii_value(value))
        .flat_map(list)
}

/// Applies every rule of RFC 6455 section 4.2.1 to a parsed request and selects what the answer says.
///
/// The limits on the head are applied too, as far as a parsed request shows them, so that they hold whoever parsed it.
///
/// # Errors
///
/// The [`Refusal`] that the client is to be told.
pub fn validate<'a>(
    method: &str,
    version: HttpVersion,
    target: &'a str,
    headers: impl Iterator<Item = (&'a str, &'a [u8])> + Clone,
    options: &Options<'_>,
) -> Result<Accepted<'a>, Refusal> {
    // RFC 6455 section 4.2.1, 1: a GET request of HTTP/1.1 or higher.
    if !version.can_upgrade() {
        return Err(Refusal::UnsupportedHttpVersion);
    }
    if method != "GET" {
        return Err(Refusal::MethodNotAllowed);
    }
    check_size(method, target, headers.clone(), &options.limits)?;
    let target = Target::parse(target).ok_or(Refusal::BadTarget)?;
    let fields = Fields::read(headers.clone())?;

    // RFC 6455 section 4.2.1, 2, and RFC 7230 section 5.4. An absolute target overrules the header, which has to be
    // there all the same.
    let host = fields.host.ok_or(Refusal::MissingHost)?;
    let authority = Authority::parse(host).ok_or(Refusal::BadHost)?;
    let authority = target.authority.unwrap_or(authority);
    // RFC 6455 section 4.2.1, 3 and 4.
    if !fields.upgrade {
        return Err(Refusal::NotAnUpgrade);
    }
    if !fields.connection {
        return Err(Refusal::ConnectionNotUpgrade);
    }
    if fields.body {
        return Err(Refusal::BodyNotAllowed);
    }
    // RFC 6455 section 4.2.1, 6; before the key, because other versions may have none.
    check_version(fields.version.ok_or(Refusal::MissingVersion)?)?;
    // RFC 6455 section 4.2.1, 5.
    let key = fields.key.ok_or(Refusal::MissingKey)?;
    let key = ClientKey::parse(key).ok_or(Refusal::BadKey)?;
    let subprotocol = select_subprotocol(offered_subprotocols(headers.clone()), options.subprotocols)?;
    // RFC 6455 section 4.2.2, 4.
    if !options.origin.allows(fields.origin, &authority) {
        return Err(Refusal::OriginNotAllowed);
    }
    let deflate = options.deflate.and_then(|acceptance| acceptance.accept(extensions::in_headers(headers)));
    Ok(Accepted { accept: key.accept(), host, origin: fields.origin, subprotocol, deflate })
}

/// A handshake that the server may complete, and what its answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted<'a> {
    accept: AcceptKey,
    host: &'a str,
    origin: Option<&'a str>,
    subprotocol: Option<&'a str>,
    deflate: Option<deflate::Accepted>,
}

impl<'a> Accepted<'a> {
    /// The value of Sec-WebSocket-Accept.
    pub fn accept_key(&self) -> &AcceptKey {
        &self.accept
    }

    /// The value of the Host header.
    pub fn host(&self) -> &'a str {
        self.host
    }

    /// The value of the Origin header, which the policy allows.
    pub fn origin(&self) -> Option<&'a str> {
        self.origin
    }

    /// The selected subprotocol.
    pub fn subprotocol(&self) -> Option<&'a str> {
        self.subprotocol
    }

    /// How messages are compressed; `None`: they are not.
    pub fn deflate(&self) -> Option<deflate::Parameters> {
        self.deflate.map(|deflate| deflate.parameters())
    }

    /// The value of Sec-WebSocket-Extensions in the answer.
    pub fn extensions(&self) -> Option<&str> {
        self.deflate.as_ref().map(deflate::Accepted::as_str)
    }

    /// The headers of the answer, whose status is 101 (RFC 6455 section 4.2.2, 5).
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> + Clone {
        [
            Some(("Upgrade", "websocket")),
            Some(("Connection", "Upgrade")),
            Some(("Sec-WebSocket-Accept", self.accept.as_str())),
            self.subprotocol.map(|value| ("Sec-WebSocket-Protocol", value)),
            self.extensions().map(|value| ("Sec-WebSocket-Extensions", value)),
        ]
        .into_iter()
        .flatten()
    }

    /// Writes the whole answer into `out`, in one piece for clients that read only once, and returns its length in
    /// bytes. `extra` are further headers, such as Server or Set-Cookie.
    ///
    /// # Errors
    ///
    /// [`WriteError`] if `out` is too small or `extra` holds an invalid header or one of the handshake's own.
    pub fn write_response(&self, extra: &[(&str, &str)], out: &mut [u8]) -> Result<usize, WriteError> {
        let mut writer = Writer::new(out);
        writer.put("HTTP/1.1 101 Switching Protocols\r\n");
        for (name, value) in self.headers() {
            writer.header(name, value);
        }
        for (name, value) in extra {
            if is_reserved(name) {
                return Err(WriteError::ReservedHeader);
            }
            writer.checked_header(name, value)?;
        }
        writer.put("\r\n");
        writer.finish()
    }
}

/// Refuses a request line while it is still arriving (RFC 7230 section 3.1.1).
#[derive(Clone, Copy, Debug, Default)]
struct RequestLine {
    part: Part,
    /// Bytes of the current part.
    len: usize,
}

#[derive(Clone, Copy, Debug, Default)]
enum Part {
    #[default]
    Method,
    Target,
    Version,
}

impl RequestLine {
    fn push(&mut self, byte: u8, max_target: usize) -> Result<(), Refusal> {
        let next = match self.part {
            Part::Method if byte == b' ' => Part::Target,
            Part::Target if byte == b' ' => Part::Version,
            Part::Method if is_token_byte(byte) => Part::Method,
            Part::Target if byte.is_ascii_graphic() && self.len >= max_target => return Err(Refusal::TargetTooLong),
            Part::Target if byte.is_ascii_graphic() => Part::Target,
            Part::Version if byte.is_ascii_graphic() && self.len < "HTTP/1.1".len() => Part::Version,
            _ => return Err(Refusal::Malformed),
        };
        match byte {
            b' ' if self.len == 0 => return Err(Refusal::Malformed),
            b' ' => self.len = 0,
            _ => self.len += 1,
        }
        self.part = next;
        Ok(())
    }
}

fn split_request_line(line: &[u8]) -> Result<(&str, &str, HttpVersion), Refusal> {
    let mut parts = core::str::from_utf8(line).map_err(|_| Refusal::Malformed)?.split(' ');
    match (parts.next(), parts.next(), parts.next().and_then(|text| HttpVersion::parse(text.as_bytes()))) {
        (Some(method), Some(target), Some(version)) => Ok((method, target, version)),
        _ => Err(Refusal::Malformed),
    }
}

fn check_size<'a>(
    method: &str,
    target: &str,
    headers: impl Iterator<Item = (&'a str, &'a [u8])>,
    limits: &Limits,
) -> Result<(), Refusal> {
    if target.len() > limits.max_target() {
        return Err(Refusal::TargetTooLong);
    }
    // The least that the head can have been on the wire: no white space, LF alone for line ends.
    let mut head = method.len() + target.len() + "  HTTP/1.1\n\n".len();
    for (count, (name, value)) in headers.enumerate() {
        if count >= limits.max_headers() {
            return Err(Refusal::TooManyHeaders);
        }
        head = head.saturating_add(name.len()).saturating_add(value.len()).saturating_add(":\n".len());
    }
    if head > limits.max_head() { Err(Refusal::HeadTooLarge) } else { Ok(()) }
}

/// The headers that decide, read in one pass.
#[derive(Default)]
struct Fields<'a> {
    host: Option<&'a str>,
    origin: Option<&'a str>,
    key: Option<&'a str>,
    version: Option<&'a str>,
    upgrade: bool,
    connection: bool,
    body: bool,
}

impl<'a> Fields<'a> {
    fn read(headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> Result<Self, Refusal> {
        let mut fields = Self::default();
        for (name, value) in headers {
            fields.read_one(name, value)?;
        }
        Ok(fields)
    }

    fn read_one(&mut self, name: &str, value: &'a [u8]) -> Result<(), Refusal> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        let text = || ascii_value(value).ok_or(Refusal::BadHeader);
        if is("Host") {
            once(&mut self.host, text()?, Refusal::DuplicateHost)
        } else if is("Origin") {
            once(&mut self.origin, text()?, Refusal::DuplicateOrigin)
        } else if is("Sec-WebSocket-Key") {
            once(&mut self.key, text()?, Refusal::DuplicateKey)
        } else if is("Sec-WebSocket-Version") {
            once(&mut self.version, text()?, Refusal::DuplicateVersion)
        } else if is("Upgrade") {
            self.upgrade |= list_has(text()?.as_bytes(), "websocket");
            Ok(())
        } else if is("Connection") {
            self.connection |= list_has(text()?.as_bytes(), "Upgrade");
            Ok(())
        } else if is("Sec-WebSocket-Protocol") {
            // RFC 6455 section 4.1, 10: at least one, and tokens all of them.
            let mut offered = list(text()?).peekable();
            if offered.peek().is_none() || !offered.all(is_token) { Err(Refusal::BadSubprotocol) } else { Ok(()) }
        } else if is("Sec-WebSocket-Extensions") {
            // RFC 6455 section 9.1.
            if extensions::is_well_formed(text()?.as_bytes()) { Ok(()) } else { Err(Refusal::BadExtensions) }
        } else {
            // RFC 7230 section 3.3: either of the two announces a body.
            self.body |= is("Transfer-Encoding") || (is("Content-Length") && value != b"0");
            Ok(())
        }
    }
}

fn once<'a>(slot: &mut Option<&'a str>, value: &'a str, duplicate: Refusal) -> Result<(), Refusal> {
    if slot.replace(value).is_some() { Err(duplicate) } else { Ok(()) }
}

/// RFC 6455 sections 4.3 (0 to 255, no leading zero) and 4.4.
fn check_version(version: &str) -> Result<(), Refusal> {
    let is_number = version.bytes().all(|byte| byte.is_ascii_digit()) && (version == "0" || !version.starts_with('0'));
    match version.parse::<u8>() {
        Ok(13) if is_number => Ok(()),
        Ok(_) if is_number => Err(Refusal::UnsupportedVersion),
        _ => Err(Refusal::BadVersion),
    }
}

/// Selects the first that the client offers of those that the server speaks (RFC 6455 section 4.2.2, 5.5).
fn select_subprotocol<'a>(
    offered: impl Iterator<Item = &'a str> + Clone,
    spoken: &[&str],
) -> Result<Option<&'a str>, Refusal> {
    let mut selected = None;
    for (index, subprotocol) in offered.clone().enumerate() {
        if index >= MAX_SUBPROTOCOLS {
            return Err(Refusal::TooManySubprotocols);
        }
        // RFC 6455 section 4.1, 10.
        if offered.clone().take(index).any(|earlier| earlier == subprotocol) {
            return Err(Refusal::DuplicateSubprotocol);
        }
        if selected.is_none() && spoken.contains(&subprotocol) {
            selected = Some(subprotocol);
        }
    }
    Ok(selected)
}
