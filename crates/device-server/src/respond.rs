//! Answers to requests.

use core::fmt::{self, Display, Write};

use tautline_proto::handshake::server::reason_phrase;

use crate::asset::Asset;

/// The way to answer a request: exactly one of the methods is called, and what it returns is given back.
///
/// Answers are written to the client's own queue at once; pages ([`asset`](Self::asset)) are sent from where they lie.
#[derive(Debug)]
pub struct Respond<'r> {
    pub(crate) room: &'r mut [u8],
    /// Whether the answer is to have no body (HEAD), though its headers tell of it.
    pub(crate) head_only: bool,
    /// Whether pages may be asked for at all: GET and HEAD.
    pub(crate) reads: bool,
    pub(crate) keep_alive: bool,
    pub(crate) if_none_match: Option<&'r [u8]>,
    /// The program's own.
    pub(crate) headers: &'r [(&'static str, &'r str)],
}

/// Proof that a request has been answered.
#[derive(Debug)]
#[must_use]
pub struct Responded {
    /// Bytes that were written to the room.
    pub(crate) len: usize,
    /// What follows them, from where it lies.
    pub(crate) asset: &'static [u8],
    pub(crate) keep_alive: bool,
}

/// What a handler does with a request.
#[derive(Debug)]
#[must_use]
pub enum Outcome {
    /// It has answered, and what body there may be is of no interest.
    Answered(Responded),
    /// It takes a body of at most so many bytes, which it gets piece by piece, and answers then.
    Body {
        /// The most bytes that the body may have; more are answered with 413.
        limit: u64,
    },
    /// The same, but only if Content-Type says JSON; otherwise the answer is 415.
    Json {
        /// The most bytes that the body may have; more are answered with 413.
        limit: u64,
    },
}

impl From<Responded> for Outcome {
    fn from(responded: Responded) -> Self {
        Self::Answered(responded)
    }
}

impl<'r> Respond<'r> {
    /// Adds headers to the answer, such as Location or Cache-Control. A value with control characters, which would be more than
    /// a value, makes the answer 500. Content-Type, Content-Length and Connection are the answer's own.
    #[must_use]
    pub fn with_headers(self, headers: &'r [(&'static str, &'r str)]) -> Self {
        Self { headers, ..self }
    }

    /// Sends a page. A client that has it already is told so (304), and one that would do something else than read it is told
    /// that it cannot (405).
    pub fn asset(self, asset: &Asset) -> Responded {
        if !self.reads {
            return self.not_allowed("GET, HEAD");
        }
        let etag = asset.etag.map(|tag| ("ETag", tag));
        if self.if_none_match.is_some_and(|value| asset.is_named_by(value)) {
            return self.write(304, etag.as_slice(), None, &[]);
        }
        let mut headers = [("Content-Type", asset.content_type); 2];
        let headers = match etag {
            Some(etag) => {
                headers[1] = etag;
                &headers[..]
            }
            None => &headers[..1],
        };
        let bytes = if self.head_only { &[] } else { asset.bytes };
        self.write(200, headers, Some(asset.bytes.len()), bytes)
    }

    /// Sends JSON. It is formatted twice, the first time to measure it, so it has to come out the same.
    pub fn json(self, status: u16, json: impl Display) -> Responded {
        self.body(status, "application/json", json)
    }

    /// Sends text; see [`json`](Self::json).
    pub fn text(self, status: u16, text: impl Display) -> Responded {
        self.body(status, "text/plain; charset=utf-8", text)
    }

    /// Sends anything else that can be formatted; see [`json`](Self::json).
    ///
    /// A body that does not fit the client's queue becomes 500, with the connection's end.
    pub fn body(mut self, status: u16, content_type: &'static str, body: impl Display) -> Responded {
        let mut measure = Measure(0);
        if write!(measure, "{body}").is_err() {
            return self.too_large();
        }
        let head_only = self.head_only;
        let mut writer = self.begin(status, &[("Content-Type", content_type)], Some(measure.0));
        let head = writer.len;
        let written = if head_only { Ok(()) } else { write!(writer, "{body}") };
        let expected = if head_only { 0 } else { measure.0 };
        let (len, full) = (writer.len, writer.full);
        if written.is_err() || full || len - head != expected {
            return self.too_large();
        }
        Responded { len, asset: &[], keep_alive: self.keep_alive }
    }

    /// Answers with a status and no body.
    pub fn status(self, status: u16) -> Responded {
        // RFC 9110 section 15.3.5: 204 has no body by definition.
        let len = if status == 204 { None } else { Some(0) };
        self.write(status, &[], len, &[])
    }

    /// 404: there is nothing at this path.
    pub fn not_found(self) -> Responded {
        self.error(404)
    }

    /// 405: what is at this path takes other methods only, such as `GET, HEAD`.
    pub fn not_allowed(mut self, allow: &'static str) -> Responded {
        self.error_with(405, &[("Allow", allow), ("Content-Type", PLAIN)])
    }

    /// An error whose short text is the name of the status.
    pub fn error(mut self, status: u16) -> Responded {
        self.error_with(status, &[("Content-Type", PLAIN)])
    }

    fn error_with(&mut self, status: u16, headers: &[(&str, &str)]) -> Responded {
        let text = reason_phrase(status);
        let head_only = self.head_only;
        let mut writer = self.begin(status, headers, Some(text.len()));
        if !head_only {
            writer.put(text.as_bytes());
        }
        let (len, full) = (writer.len, writer.full);
        Responded { len: if full { 0 } else { len }, asset: &[], keep_alive: self.keep_alive && !full }
    }

    fn write(
        mut self,
        status: u16,
        headers: &[(&str, &str)],
        content_length: Option<usize>,
        asset: &'static [u8],
    ) -> Responded {
        let writer = self.begin(status, headers, content_length);
        if writer.full {
            return self.too_large();
        }
        Responded { len: writer.len, asset, keep_alive: self.keep_alive }
    }

    /// What was to be said does not fit. Nothing of it is sent.
    fn too_large(mut self) -> Responded {
        self.keep_alive = false;
        self.headers = &[];
        self.error(500)
    }

    fn begin(&mut self, status: u16, headers: &[(&str, &str)], content_length: Option<usize>) -> Writer<'_> {
        let mut writer = Writer { room: self.room, len: 0, full: false };
        // A failure shows in `full`.
        let _ = write!(writer, "HTTP/1.1 {status} {}\r\n", reason_phrase(status));
        for (name, value) in headers.iter().chain(self.headers) {
            writer.full |= value.bytes().any(|byte| byte.is_ascii_control());
            let _ = write!(writer, "{name}: {value}\r\n");
        }
        if let Some(len) = content_length {
            let _ = write!(writer, "Content-Length: {len}\r\n");
        }
        writer.put(if self.keep_alive { b"\r\n" } else { b"Connection: close\r\n\r\n" });
        writer
    }
}

const PLAIN: &str = "text/plain; charset=utf-8";

/// Counts what is formatted.
struct Measure(usize);

impl Write for Measure {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.saturating_add(text.len());
        Ok(())
    }
}

/// Formats into a slice, and notes when it is full.
struct Writer<'w> {
    room: &'w mut [u8],
    len: usize,
    full: bool,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) {
        match self.room.get_mut(self.len..self.len + bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            None => self.full = true,
        }
    }
}

impl Write for Writer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes());
        if self.full { Err(fmt::Error) } else { Ok(()) }
    }
}
