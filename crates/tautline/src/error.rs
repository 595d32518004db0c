//! Why a connection could not be opened.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::header::LOCATION;
use http::{HeaderMap, StatusCode};
use tautline_proto::Next;
use tautline_proto::handshake::client::Violation;

use crate::uri::UriError;

/// Why a connection could not be opened.
///
/// Three families: the caller asked for something impossible ([`InvalidUri`](Self::InvalidUri),
/// [`InvalidOption`](Self::InvalidOption), [`TlsFeatureMissing`](Self::TlsFeatureMissing)), the environment failed
/// ([`Resolve`](Self::Resolve), [`Connect`](Self::Connect), [`Tls`](Self::Tls), [`Timeout`](Self::Timeout),
/// [`Io`](Self::Io)), or the peer did not want or not understand us ([`Handshake`](Self::Handshake),
/// [`Refused`](Self::Refused)). The text says what can be done; it never has credentials in it.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URI is not one of a WebSocket.
    InvalidUri(UriError),
    /// An option was given something that it cannot take.
    InvalidOption {
        /// The method of [`Connect`](crate::Connect).
        option: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// A `wss://` URI, and the library was built without the cargo feature `tls`.
    TlsFeatureMissing,
    /// The host's name could not be looked up.
    Resolve {
        /// The host.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// None of the host's addresses took the TCP connection.
    Connect {
        /// Host and port.
        target: String,
        /// What happened at each address, in the order in which they failed.
        failures: Vec<(SocketAddr, io::Error)>,
    },
    /// TLS failed, or the system's trusted roots could not be loaded.
    Tls {
        /// The host.
        host: String,
        /// What happened; mostly a wrapped `rustls::Error`.
        source: io::Error,
    },
    /// [`Connect::open_timeout`](crate::Connect::open_timeout) has passed.
    Timeout {
        /// What was under way.
        phase: Phase,
        /// How long it was allowed to take, together with the phases before it.
        limit: Duration,
    },
    /// The connection failed, or ended, before the server's answer was complete.
    Io(io::Error),
    /// The server's answer is not one to a WebSocket request (RFC 6455 section 4.1).
    Handshake(Violation),
    /// The server answered with another status than 101.
    Refused(Box<Refused>),
}

impl ConnectError {
    /// What a client should do next, by the table in [`Next`]: stop after mistakes of its own and where the server
    /// says that coming back is of no use, wait for the time it names, else back off.
    pub fn next(&self) -> Next {
        match self {
            Self::InvalidUri(_) | Self::InvalidOption { .. } | Self::TlsFeatureMissing => Next::Stop,
            Self::Refused(refusal) => Next::after_status(refusal.status().as_u16()),
            _ => Next::BackOff,
        }
    }

    /// How long the server asks to wait before the next attempt, if it does.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after(),
            _ => None,
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidUri(problem) => write!(f, "invalid URI: {problem}"),
            Self::InvalidOption { option, problem } => write!(f, "invalid argument of `{option}`: {problem}"),
            Self::TlsFeatureMissing => f.write_str("wss:// takes the cargo feature `tls` of tautline: switch it on"),
            Self::Resolve { host, source } => write!(f, "cannot look up the host {host}: {source}"),
            Self::Connect { target, failures } => fmt_failures(f, target, failures),
            Self::Tls { host, source } => {
                write!(f, "no TLS connection to {host}: {source}")?;
                tls_remedy(source).map_or(Ok(()), |remedy| write!(f, "; {remedy}"))
            }
            Self::Timeout { phase, limit } => {
                write!(f, "no connection within {limit:?}: {phase} (the limit is `open_timeout`)")
            }
            Self::Io(source) => write!(f, "the connection ended before the server had answered: {source}"),
            Self::Handshake(violation) => write!(f, "not a WebSocket server: {violation}"),
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}

// No `source`: the message contains the cause, and reporters that print the chain would print it twice.
impl std::error::Error for ConnectError {}

/// A step of opening a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Looking up the host's name.
    Resolve,
    /// Opening a TCP connection to one of its addresses.
    Connect,
    /// TLS.
    Tls,
    /// The WebSocket handshake: our request, and the server's answer.
    Handshake,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "the name lookup did not finish",
            Self::Connect => "no address took the TCP connection",
            Self::Tls => "the TLS handshake did not finish",
            Self::Handshake => "the server did not answer the WebSocket handshake",
        })
    }
}

/// A server's answer other than 101.
#[derive(Clone, Debug)]
pub struct Refused {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: String,
}

impl Refused {
    /// How much of a body is kept, in bytes.
    pub const MAX_BODY: usize = 4096;

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Where the server sends us instead (the Location header); perhaps relative to the URI. It is not followed.
    pub fn location(&self) -> Option<&str> {
        self.headers.get(LOCATION)?.to_str().ok()
    }

    /// How long the server asks to wait before the next attempt (the Retry-After header, seconds or a date).
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The first [`MAX_BODY`](Self::MAX_BODY) bytes of the body, as far as they came within a second, with U+FFFD in
    /// place of what is not UTF-8.
    pub fn body(&self) -> &str {
        &self.body
    }

    fn remedy(&self) -> Option<&'static str> {
        Some(match self.status.as_u16() {
            200..=299 => "there is no WebSocket at this path",
            401 => "give credentials with `bearer` or `basic_auth`",
            403 => "a server that checks the Origin header may want `origin`",
            404 | 405 => "is the path right?",
            407 => "a proxy wants credentials",
            426 => "it speaks another version of WebSocket, or HTTP only over TLS (wss://)",
            _ => return None,
        })
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Characters of the body's first line, enough for a server's reason and not for its page.
        const EXCERPT: usize = 120;
        write!(f, "the server refused with HTTP status {}", self.status)?;
        let line = self.body.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        if !line.is_empty() && !line.starts_with('<') {
            write!(f, ": {}", line.chars().take(EXCERPT).collect::<String>().escape_debug())?;
        }
        if let (true, Some(location)) = (self.status.is_redirection(), self.location()) {
            write!(f, "; it points to {}", location.escape_debug())?;
        }
        if let Some(wait) = self.retry_after {
            write!(f, "; try again in {} s", wait.as_secs())?;
        }
        self.remedy().map_or(Ok(()), |remedy| write!(f, "; {remedy}"))
    }
}

#[cfg(feature = "tls")]
fn tls_remedy(source: &io::Error) -> Option<&'static str> {
    crate::tls::remedy(source)
}

#[cfg(not(feature = "tls"))]
fn tls_remedy(_: &io::Error) -> Option<&'static str> {
    None
}

fn fmt_failures(f: &mut fmt::Formatter<'_>, target: &str, failures: &[(SocketAddr, io::Error)]) -> fmt::Result {
    write!(f, "cannot connect to {target}")?;
    for (index, (address, error)) in failures.iter().enumerate() {
        write!(f, "{} {address}: {error}", if index == 0 { ":" } else { "," })?;
    }
    if failures.iter().all(|(_, error)| error.kind() == io::ErrorKind::ConnectionRefused) {
        f.write_str("; is the server running, and on this port?")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> Refused {
        Refused {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            retry_after: None,
            body: body.into(),
        }
    }

    #[test]
    fn the_table_decides_what_comes_next() {
        let refused = |status| ConnectError::Refused(Box::new(refusal(status, ""))).next();
        assert_eq!(refused(401), Next::Stop);
        assert_eq!(refused(503), Next::RetryAfter);
        assert_eq!(refused(502), Next::BackOff);
        assert_eq!(ConnectError::InvalidUri(UriError::NoHost).next(), Next::Stop);
        assert_eq!(ConnectError::TlsFeatureMissing.next(), Next::Stop);
        assert_eq!(ConnectError::Io(io::ErrorKind::UnexpectedEof.into()).next(), Next::BackOff);
        assert_eq!(ConnectError::Handshake(Violation::Accept).next(), Next::BackOff);
    }

    #[test]
    fn a_refusal_quotes_one_harmless_line_of_the_body() {
        let text = refusal(403, "\n  id taken\u{1b}[2J\nsecond line").to_string();
        assert!(text.contains("403 Forbidden: id taken\\u{1b}[2J; "), "{text}");
        assert!(!refusal(404, "<html>no</html>").to_string().contains("html"));
        assert!(refusal(500, &"x".repeat(5000)).to_string().len() < 200);
    }

    #[test]
    fn all_addresses_are_named() {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let error = ConnectError::Connect {
            target: "h:1".into(),
            failures: vec![("[::1]:1".parse().unwrap(), refused()), ("127.0.0.1:1".parse().unwrap(), refused())],
        };
        let text = error.to_string();
        assert!(text.starts_with("cannot connect to h:1: [::1]:1: ") && text.contains(", 127.0.0.1:1: "), "{text}");
        assert!(text.ends_with("on this port?"), "{text}");
    }
}
