//! A request for a page.

use tautline_proto::handshake::server::Request as Head;
use tautline_proto::handshake::{Headers, HttpVersion};

use crate::body::Framing;
use crate::handler::ClientId;

/// A method of HTTP that the server knows (RFC 9110 section 9.3). To others it answers 501.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

impl Method {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "PATCH" => Self::Patch,
            "DELETE" => Self::Delete,
            "OPTIONS" => Self::Options,
            _ => return None,
        })
    }
}

/// A request whose head is sound; its body, if it has one, comes later, if the handler wants it.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub(crate) client: ClientId,
    pub(crate) method: Method,
    pub(crate) head: Head<'a>,
    pub(crate) framing: Framing,
    pub(crate) secure: bool,
}

impl<'a> Request<'a> {
    /// Who asks.
    pub fn client(&self) -> ClientId {
        self.client
    }

    /// The method.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The path, percent-encoded as it was sent, without the query; `*` for `OPTIONS *`.
    pub fn path(&self) -> &'a str {
        if self.head.target() == "*" { "*" } else { self.head.path() }
    }

    /// The query, without the question mark.
    pub fn query(&self) -> Option<&'a str> {
        self.head.query()
    }

    /// The value of the first header with this name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.head.header(name)
    }

    /// All headers in their order.
    pub fn headers(&self) -> Headers<'a> {
        self.head.headers()
    }

    /// How many bytes of body it announces; `None` if it does not say (there is none, or it comes in chunks).
    pub fn content_length(&self) -> Option<u64> {
        match self.framing {
            Framing::Length(len) => Some(len),
            _ => None,
        }
    }

    /// Whether the connection is encrypted (`https`).
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Whether Content-Type says JSON (RFC 8259 section 11, RFC 6839 section 3.1).
    pub fn is_json(&self) -> bool {
        let Some(value) = self.header("Content-Type") else { return false };
        let media = value.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
        let ends_with =
            |end: &[u8]| media.len().checked_sub(end.len()).is_some_and(|at| media[at..].eq_ignore_ascii_case(end));
        media.eq_ignore_ascii_case(b"application/json") || ends_with(b"+json")
    }

    /// Whether the client expects to be told to go on before it sends the body (RFC 9110 section 10.1.1). The error is the
    /// status for other expectations.
    pub(crate) fn expects_continue(&self) -> Result<bool, u16> {
        match self.header("Expect") {
            // Section 10.1.1: a server that receives it in HTTP/1.0 ignores it.
            Some(_) if self.head.version() < HttpVersion::HTTP_11 => Ok(false),
            Some(value) if value.eq_ignore_ascii_case(b"100-continue") => Ok(self.framing != Framing::Length(0)),
            Some(_) => Err(417),
            None => Ok(false),
        }
    }

    /// Whether the client would keep the connection (RFC 9112 section 9.3). Old HTTP/1.0 clients that ask for it are not
    /// kept: a place is worth more here than a handshake.
    pub(crate) fn keeps_alive(&self) -> bool {
        let mut connection = self.headers().filter(|(name, _)| name.eq_ignore_ascii_case("Connection"));
        let names_close = |value: &[u8]| {
            value.split(|&byte| byte == b',').any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
        };
        self.head.version() >= HttpVersion::HTTP_11 && !connection.any(|(_, value)| names_close(value))
    }
}
